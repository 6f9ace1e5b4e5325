// Reloads the page after a swap and shows why a build failed. Added by the dev server to HTML pages, never in
// production. Text from compiler and app reaches the page as text nodes only. The overlay is in overlay.js.
const REASON = "__dev:reason"; // of the last reload
const { host, generation, revision = 0, schema = null, outage = null, keep } = document.currentScript.dataset; // what this page came from
let madeIn; // the outage in which this page was made, such as a database that was down; null: none

const pause = follow("/__dev/events", hear);

function hear(data) {
  const news = JSON.parse(data);
  // What goes on when the page has just come went on when it was made, though nobody may have noticed yet.
  if (madeIn === undefined) madeIn = outage ?? (news.outage === null ? null : String(news.outage));
  if (madeIn !== null && String(news.outage) !== madeIn) return again(news);
  const told = document.querySelector("[data-dev-trouble]"); // in a page of the host
  if (told && news.trouble && told.textContent !== news.trouble) told.textContent = news.trouble;
  if (String(news.schema) !== String(schema)) return again(news); // the app is blocked, or no longer
  const failed = news.phase === "build_failed" || news.phase === "load_failed";
  if (failed) return showFailure(news);
  if (news.phase !== "active") return; // while it builds, the last word stands
  forgetFailure();
  if (news.host !== Number(host)) return again(news); // another host counts its generations from 1 again
  if (news.generation !== Number(generation) || news.revision !== Number(revision)) again(news);
}

function again(news) {
  if (keep !== undefined) return; // the answer to a form: to load it again is to send it again
  // Once for the same news: a cache in between may answer with the old page, for ever.
  const reason = JSON.stringify([location.href, news.host, news.generation, news.revision, news.schema, madeIn]);
  if (recall(REASON) === reason) return;
  unlessLeaving(() => {
    remember(REASON, reason);
    hideFailure();
    keepPage();
    pause();
    location.reload();
  });
}
