// Whether somebody is on the way to another page. That page may be waiting for the very build whose end reloads this
// one, and a reload would take its place.
//
// `beforeunload` tells of links, forms, scripts and the address bar alike. The browser is on the way until this page
// is gone, or until it tells that the navigation was stopped, or was done by a script of the app. It does not tell
// that the answer was a download or empty: hence the limit.

const ON_THE_WAY = 5000; // ms, once there is something to put off
let leaving = false;
let putOff = null;
let limit = null;

addEventListener("beforeunload", leaves);
addEventListener("pageshow", stays);
globalThis.navigation?.addEventListener("navigate", ({ destination, downloadRequest }) => {
  if (!destination.sameDocument && downloadRequest === null) leaves();
});
// In a moment: within these events a reload is stopped too, or another navigation is about to begin.
globalThis.navigation?.addEventListener("navigatesuccess", () => stayAfter(0));
globalThis.navigation?.addEventListener("navigateerror", () => stayAfter(0));

// Acts now, or if the navigation under way leads nowhere.
function unlessLeaving(act) {
  if (!leaving) return act();
  putOff = act;
  stayAfter(ON_THE_WAY);
}

function leaves() {
  leaving = true;
  clearTimeout(limit);
  if (putOff) stayAfter(ON_THE_WAY);
}

function stayAfter(ms) {
  clearTimeout(limit);
  limit = setTimeout(stays, ms);
}

function stays() {
  leaving = false;
  const act = putOff;
  putOff = null;
  act?.();
}
