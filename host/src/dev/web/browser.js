// Reloads the page after a swap and shows why a build failed. Added by the dev server to HTML pages, never in
// production. Text from compiler and app reaches the page as text nodes only.
const SCROLL = "__dev:scroll";
const REASON = "__dev:reason"; // of the last reload
const { generation, schema = null, keep } = document.currentScript.dataset; // what this page came from
let overlay = null;
let dismissed = null; // the failure that Esc has hidden

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
  if (failed) return show(news);
  if (news.phase !== "active") return; // while it builds, the last word stands
  dismissed = null;
  hide();
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

addEventListener("keydown", (event) => {
  if (event.key === "Escape" && overlay) {
    dismissed = overlay.dataset.failure;
    hide();
  }
});

function hide() {
  overlay?.remove();
  overlay = null;
}

function show(news) {
  const failure = JSON.stringify([news.diagnostics, news.refused]);
  if (failure === dismissed) return;
  hide();
  overlay = document.createElement("div");
  overlay.dataset.failure = failure;
  const root = overlay.attachShadow({ mode: "open" });
  const style = element("style");
  style.textContent = STYLE;
  const panel = element("section");
  panel.setAttribute("role", "alertdialog");
  panel.setAttribute("aria-label", "The last save did not go live");
  panel.tabIndex = -1;
  panel.append(element("h1", news.refused ? "Not loaded" : "Does not compile"));
  panel.append(element("p", news.generation ? `Still serving generation ${news.generation}. Goes away with the next good save, or with Esc.` : "Nothing to serve yet."));
  if (news.refused) panel.append(element("pre", news.refused));
  const errors = news.diagnostics.filter((diagnostic) => diagnostic.level === "error");
  for (const diagnostic of errors) {
    if (diagnostic.file) {
      const where = element("p");
      where.append(place(diagnostic.file, diagnostic.line, diagnostic.column, news));
      panel.append(where);
    }
    const frame = element("pre");
    frame.append(...coloured(diagnostic.rendered));
    panel.append(frame);
  }
  root.append(style, panel);
  document.documentElement.append(overlay);
  panel.focus();
}

const STYLE = `
  :host { position: fixed; inset: 0; z-index: 2147483647; background: #0009; }
  section { position: absolute; inset: 4vh 4vw auto; max-height: 92vh; overflow: auto; box-sizing: border-box;
    padding: 1rem 1.5rem; border-top: 4px solid #e5534b; border-radius: 6px; outline: none;
    background: #16181d; color: #e6e6e6; font: 15px/1.5 system-ui, sans-serif; }
  h1 { margin: 0; font-size: 1.2rem; color: #ff8a80; }
  p { margin: .5rem 0; }
  a { color: #8ab4ff; }
  pre { margin: .5rem 0 1rem; white-space: pre-wrap; overflow-wrap: anywhere;
    font: 13px/1.5 ui-monospace, monospace; }
  .bold { font-weight: bold; }
  .c1 { color: #ff8a80; } .c2 { color: #8fd694; } .c3 { color: #f2c46d; }
  .c4 { color: #8ab4ff; } .c5 { color: #d9a5f5; } .c6 { color: #7fd6e0; }`;
