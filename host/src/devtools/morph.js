// Renders the page again in place: what the server says now is fetched, and only what differs is changed. So forms,
// focus, scroll positions, opened details and playing videos stay as they are.
//
// Only for pages that are what the server sent. A script may have built a part of the page, or hold elements that the
// new page has not: such a page is loaded again, unless it says `<meta name="dev-update" content="morph">`.

const PATIENCE = 5000; // ms; a page that streams for longer is loaded again
const OWN = "/__dev/browser.js";
const REPORTER = "/__dev/errors.js";
const DATA = /^(application|text)\/(?!javascript|ecmascript)/; // as the type of a script: nothing runs

// Returns whether the page is what the server says now.
async function morphPage() {
  if (!bearsMorph(document)) return false;
  const next = await fetchPage().catch(() => null); // no answer, or a policy of the page against it
  if (!next || !bearsMorph(next) || !isSame(scriptsOf(document), scriptsOf(next))) return false;
  const [kept, data] = [pageNow(), { ...next.querySelector(`script[src="${OWN}"]`).dataset }];
  keepAddresses(next);
  keepReporter(next);
  Idiomorph.morph(document.documentElement, next.documentElement, {
    head: { style: "morph" },
    callbacks: {
      beforeNodeRemoved: (node) => !isAdded(node),
      beforeAttributeUpdated: (name, node) => !isOfUser(name, node),
    },
  });
  renewData(data);
  restoreInPlace(kept);
  return true;
}

// What the user has done to an element. Passwords and files too: nothing is stored.
function isOfUser(name, node) {
  if (name === "open") return ["details", "dialog"].includes(node.localName);
  return ["value", "checked"].includes(name) && holdsInput(node);
}

// A script of the page may have taken this script's element away.
function renewData(data) {
  for (const name of Object.keys(made)) delete made[name];
  Object.assign(made, data);
}

// The script that reports errors keeps running; run again, it would report twice. Only its data is renewed.
function keepReporter(next) {
  const [here, there] = [document, next].map((page) => page.querySelector(`script[src="${REPORTER}"]`));
  if (!here || !there) return;
  Object.assign(here.dataset, there.dataset);
  there.replaceWith(here.cloneNode(true)); // so that they do not differ
}

async function fetchPage() {
  // The host passes it on as what it is in effect: the load of a page.
  const headers = { accept: "text/html", "x-dev-page": "1" };
  const answer = await fetch(location.href, { headers, cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
  const isPage = answer.headers.get("content-type")?.startsWith("text/html") && !answer.redirected;
  return isPage ? new DOMParser().parseFromString(await answer.text(), "text/html") : null;
}

function bearsMorph(page) {
  // What is fetched as text is read as UTF-8.
  if (document.characterSet !== "UTF-8" || !page.querySelector(`script[src="${OWN}"]`)) return false;
  return page.querySelector("meta[name=dev-update][content=morph]") !== null || scriptsOf(page).length === 0;
}

// What runs on a page, beside this script.
function scriptsOf(page) {
  const run = [...page.scripts].filter((script) => !isOurs(script) && !DATA.test(script.type));
  return run.map((script) => script.getAttribute("src") ?? script.text);
}

function isOurs(script) {
  return [OWN, REPORTER].includes(script.getAttribute("src"));
}

function isSame(some, others) {
  return JSON.stringify(some) === JSON.stringify(others);
}

// The overlay and the bar: the parser of HTML puts nothing behind the body.
function isAdded(node) {
  return node.parentNode === document.documentElement && node.localName === "div";
}
