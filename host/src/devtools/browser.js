// Reloads the page after a swap and shows why a build failed. Added by the dev server to HTML pages, never in
// production. Text from compiler and app reaches the page as text nodes only. The overlay is in overlay.js.
const REASON = "__dev:reason"; // of the last reload
const made = document.currentScript.dataset; // what this page was rendered from
const { host, generation, revision = 0, schema = null, outage = null, keep } = made;
let madeIn; // the outage during which this page was rendered, such as a database that was down; null: none

showBar(made);
const pause = subscribe("/__dev/events", hear);

function hear(data) {
  const news = JSON.parse(data);
  // An outage at the first message was already there when the page was rendered, even if the host had not noticed yet.
  if (madeIn === undefined) madeIn = outage ?? (news.outage === null ? null : String(news.outage));
  if (madeIn !== null && String(news.outage) !== madeIn) return again(news);
  const told = document.querySelector("[data-dev-trouble]"); // on a page of the host
  if (told && news.trouble && told.textContent !== news.trouble) told.textContent = news.trouble;
  if (String(news.schema) !== String(schema)) return again(news); // the app is blocked, or no longer
  const failed = news.phase === "build_failed" || news.phase === "load_failed";
  if (failed) return showFailure(news);
  if (news.phase !== "active") return; // during a build, keep showing the last result
  forgetFailure();
  if (news.host !== Number(host)) return again(news); // another host counts its generations from 1 again
  if (news.generation !== Number(generation) || news.revision !== Number(revision)) again(news);
}

function again(news) {
  if (keep !== undefined) return; // the response to a form: reloading would send the form again
  // Only once per state: a cache in between may keep answering with the old page.
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
