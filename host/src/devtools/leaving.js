// Whether the user is navigating to another page. That page may be waiting for the build whose end reloads this page,
// and the reload would cancel the navigation.
//
// `beforeunload` fires for links, forms, scripts and the address bar alike. The navigation lasts until this page is
// gone, or until an event says that it was stopped or was handled by a script of the app. No event says that the
// response was a download or empty, hence the limit.

const ON_THE_WAY = 5000; // ms, once an action is postponed
let leaving = false;
let putOff = null;
let limit = null;

addEventListener("beforeunload", leaves);
addEventListener("pageshow", stays);
globalThis.navigation?.addEventListener("navigate", ({ destination, downloadRequest }) => {
  if (!destination.sameDocument && downloadRequest === null) leaves();
});
// Not immediately: a reload during these events would be stopped too, or another navigation is about to begin.
globalThis.navigation?.addEventListener("navigatesuccess", () => stayAfter(0));
globalThis.navigation?.addEventListener("navigateerror", () => stayAfter(0));

// Acts now, or once the current navigation has led nowhere.
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
