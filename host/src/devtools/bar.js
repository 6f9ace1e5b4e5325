// The bar at the edge of a page: what it took to render it, and the way to all that the request did. In a shadow root,
// like the overlay. Closed, it stays away for this tab.
const HIDDEN = "__dev:bar";

let bar = null;

function showBar({ request, took, statements, repeated, generation }) {
  bar?.remove();
  if (request === undefined || recall(HIDDEN)) return;
  bar = document.createElement("div");
  const link = element("a", [`gen ${generation}`, `${took} ms`, count(Number(statements), "statement")].join(" · "));
  link.href = `/__dev/requests/${request}`;
  link.target = "_blank";
  if (repeated !== undefined) link.append(" · ", element("b", "N+1"));
  const close = element("button", "×");
  close.type = "button";
  close.setAttribute("aria-label", "Hide this bar");
  close.onclick = () => {
    remember(HIDDEN, "1");
    bar.remove();
  };
  const aside = element("aside");
  aside.setAttribute("aria-label", "Dev server");
  aside.append(link, close);
  const root = bar.attachShadow({ mode: "open" });
  const style = new CSSStyleSheet();
  style.replaceSync(BAR_STYLE);
  root.adoptedStyleSheets = [style];
  root.append(aside);
  document.documentElement.append(bar);
}

// What the tests after the last save have come to; null: none have run.
function showTests(tests) {
  const aside = bar?.shadowRoot.querySelector("aside");
  if (!aside) return;
  let link = aside.querySelector("[data-tests]");
  if (!tests) return link?.remove();
  if (!link) {
    link = element("a");
    link.dataset.tests = "";
    link.href = "/__dev/reloads#tests";
    link.target = "_blank";
    aside.insertBefore(link, aside.lastChild);
  }
  link.textContent = tests.words;
  link.className = tests.succeeded === false ? "failed" : "";
}

const BAR_STYLE = `
  :host { all: initial !important; position: fixed !important; right: 8px !important; bottom: 8px !important; z-index: 2147483646 !important; }
  aside { display: flex; align-items: center; border-radius: 6px; background: #16181d; color: #e6e6e6;
    font: 12px/1.35 ui-monospace, monospace; box-shadow: 0 1px 4px #0006; }
  a { padding: 6px 4px 6px 10px; color: inherit; text-decoration: none; }
  a:hover { text-decoration: underline; }
  b { color: #f2c46d; }
  [data-tests] { padding-left: 6px; }
  .failed { color: #ff9a8a; }
  button { min-width: 24px; padding: 8px; border: 0; background: none; color: inherit; font: inherit; cursor: pointer; }
  :is(a, button):focus-visible { outline: 2px solid #8ab4ff; outline-offset: -2px; }
  @media print { :host { display: none !important; } }`;
