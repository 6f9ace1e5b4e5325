// Renders the page again after a swap and shows why a build failed. Added by the dev server to HTML pages, never in
// production. Text from compiler and app reaches the page as text nodes only. The overlay is in overlay.js.
const REASON = "__dev:reason"; // of the last time the page was rendered again
const made = document.currentScript.dataset; // what this page was rendered from
let madeIn; // the outage during which this page was rendered, such as a database that was down; null: none
let latest; // the last message
let rendering = false; // messages wait until that is over
let lastReason = null; // where the tab's storage is refused

showBar(made);
const pause = subscribe("/__dev/events", (data) => {
  latest = JSON.parse(data);
  showTests(latest.tests);
  if (!rendering) hear(latest);
});

function hear(news) {
  // An outage at the first message was already there when the page was rendered, even if the host had not noticed yet.
  if (madeIn === undefined) madeIn = made.outage ?? (news.outage === null ? null : String(news.outage));
  if (madeIn !== null && String(news.outage) !== madeIn) return again(news);
  const told = document.querySelector("[data-dev-trouble]"); // on a page of the host
  if (told && news.trouble && told.textContent !== news.trouble) told.textContent = news.trouble;
  if (String(news.schema) !== (made.schema ?? "null")) return again(news); // the app is blocked, or no longer
  const failed = news.phase === "build_failed" || news.phase === "load_failed";
  if (failed) return showFailure(news);
  if (news.phase !== "active") return; // during a build, keep showing the last result
  forgetFailure();
  // Another host counts its generations from 1 again.
  if (news.host !== Number(made.host) || news.generation !== Number(made.generation)) return again(news);
  const revision = Number(made.revision ?? 0);
  if (news.revision === revision) return;
  const files = savedSince(revision, news);
  if (!files || !reloadFiles(files)) return again(news);
  made.revision = news.revision;
}

// The names of the files that the app reads at run time and that were saved since, if all are known.
function savedSince(revision, { saved, revision: now }) {
  const since = saved.filter((file) => file.revision > revision);
  const known = new Set(since.map((file) => file.revision));
  return known.size === now - revision ? since.map(({ name }) => name) : null;
}

// Renders the page again.
function again(news) {
  if (made.keep !== undefined) return; // the response to a form: asking again would send the form again
  // Only once per state: a cache in between may keep answering with the old page.
  const reason = JSON.stringify([location.href, news.host, news.generation, news.revision, news.schema, madeIn]);
  const key = `${REASON} ${location.href}`; // a frame has the same storage
  if (lastReason === reason || recall(key) === reason) return;
  unlessLeaving(async () => {
    lastReason = reason;
    remember(key, reason);
    hideFailure();
    rendering = true;
    if (news.morph && (await morphPage().catch(() => false))) return rendered();
    unlessLeaving(load); // the user may have gone on meanwhile
  });
}

function load() {
  keepPage();
  pause();
  location.reload();
  setTimeout(() => (rendering = false), 2000); // the user may cancel the reload
}

// After a morph.
function rendered() {
  rendering = false;
  madeIn = undefined;
  reloadStylesheets(); // the save may have been of one of those too, or of the code that serves it
  showBar(made);
  showTests(latest.tests);
  hear(latest);
}
