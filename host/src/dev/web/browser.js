// Reloads the page after a swap and shows why a build failed. Added by the dev server to HTML pages, never in
// production. Text from compiler and app reaches the page as text nodes only. The overlay is in overlay.js.
const REASON = "__dev:reason"; // of the last reload
const { generation, revision = 0, schema = null, keep } = document.currentScript.dataset; // what this page came from

const pause = follow("/__dev/events", hear);

function hear(data) {
  const news = JSON.parse(data);
  if (String(news.schema) !== String(schema)) return again(news); // the app is blocked, or no longer
  const failed = news.phase === "build_failed" || news.phase === "load_failed";
  if (failed) return showFailure(news);
  if (news.phase !== "active") return; // while it builds, the last word stands
  forgetFailure();
  if (news.generation !== Number(generation) || news.revision !== Number(revision)) again(news);
}

function again(news) {
  if (keep !== undefined) return; // the answer to a form: to load it again is to send it again
  // Once for the same news: a cache in between may answer with the old page, for ever.
  const reason = JSON.stringify([location.href, news.generation, news.revision, news.schema]);
  if (recall(REASON) === reason) return;
  unlessLeaving(() => {
    remember(REASON, reason);
    hideFailure();
    keepPage();
    pause();
    location.reload();
  });
}
