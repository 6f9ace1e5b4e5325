// Reloads the page after a swap and shows why a build failed. Added by the dev server to HTML pages, never in
// production. Text from compiler and app reaches the page as text nodes only. The overlay is in overlay.js.
const SCROLL = "__dev:scroll";
const REASON = "__dev:reason"; // of the last reload
const { generation, schema = null, keep } = document.currentScript.dataset; // what this page came from

const scroll = sessionStorage.getItem(SCROLL);
if (scroll) {
  sessionStorage.removeItem(SCROLL);
  const [path, x, y] = JSON.parse(scroll);
  if (path === location.href) addEventListener("load", () => scrollTo(x, y));
}

// Only while somebody looks: a browser opens six connections to a host, and each stream takes one. The first message
// is the state of now, so whoever comes back has missed nothing. It is opened again by itself across a restart.
let source = null;
document.addEventListener("visibilitychange", follow);
follow();

function follow() {
  source?.close();
  source = null;
  if (document.hidden) return;
  source = new EventSource("/__dev/events");
  source.onmessage = hear;
}

function hear({ data }) {
  const news = JSON.parse(data);
  if (String(news.schema) !== String(schema)) return again(news); // the app is blocked, or no longer
  const failed = news.phase === "build_failed" || news.phase === "load_failed";
  if (failed) return showFailure(news);
  if (news.phase !== "active") return; // while it builds, the last word stands
  forgetFailure();
  if (news.generation !== Number(generation)) again(news);
}

function again(news) {
  if (keep !== undefined) return; // the answer to a form: to load it again is to send it again
  // Once for the same news: a cache in between may answer with the old page, for ever.
  const reason = JSON.stringify([location.href, news.generation, news.schema]);
  if (sessionStorage.getItem(REASON) === reason) return;
  sessionStorage.setItem(REASON, reason);
  sessionStorage.setItem(SCROLL, JSON.stringify([location.href, scrollX, scrollY]));
  location.reload();
}
