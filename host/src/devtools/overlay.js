// The overlay, which shows over the page why the last save did not go live. A modal dialog, so that the page behind it
// cannot take the focus and gets it back afterwards; in a shadow root with a constructed stylesheet, so that neither
// the app's styles nor its content security policy affect it.

let overlay = null; // the element that contains the dialog
let shown = null; // the failure in it
let dismissed = null; // the failure that the user has closed

function showFailure(news) {
  const failure = JSON.stringify([news.diagnostics, news.refused]);
  if (failure === dismissed || failure === shown) return;
  hideFailure();
  shown = failure;
  const dialog = element("dialog");
  dialog.setAttribute("role", "alertdialog");
  dialog.setAttribute("aria-labelledby", "title");
  dialog.onclose = () => {
    dismissed = shown;
    hideFailure();
  };
  const title = element("h1", headline(news));
  title.id = "title";
  title.tabIndex = -1; // takes the focus, so that a key meant for the page does not press the button
  const close = element("button", "Close");
  close.type = "button";
  close.onclick = () => dialog.close();
  const head = element("header");
  head.append(title, close);
  const serving = news.generation ? `Still serving generation ${news.generation}.` : "Nothing to serve yet.";
  dialog.append(head, element("p", `${serving} Fix and save, or press Esc to hide.`));
  if (news.refused) dialog.append(prose(news.refused, "Why it failed", news));
  else dialog.append(...errorsOf(news));

  overlay = document.createElement("div");
  const root = overlay.attachShadow({ mode: "open" });
  const style = new CSSStyleSheet();
  style.replaceSync(STYLE);
  root.adoptedStyleSheets = [style];
  root.append(dialog);
  document.documentElement.append(overlay);
  dialog.showModal();
  title.focus();
}

// Called when the failure is fixed: if the same one comes back, it is shown again.
function forgetFailure() {
  dismissed = null;
  hideFailure();
}

function hideFailure() {
  const dialog = overlay?.shadowRoot.querySelector("dialog");
  if (dialog) {
    dialog.onclose = null;
    dialog.close();
    overlay.remove();
  }
  overlay = shown = null;
}

function headline({ refused, errors }) {
  return refused ? "The app failed to start" : `${count(errors, "error")}: your last save did not compile`;
}

function errorsOf(news) {
  const errors = news.diagnostics.filter(({ level }) => level === "error");
  const parts = errors.flatMap((error, i) => {
    const label = `Error ${i + 1} of ${count(news.errors)}`;
    const text = frame(error.rendered || error.message, label, news);
    return news.errors > 1 ? [element("p", label), text] : [text];
  });
  if (news.errors > errors.length) parts.push(element("p", `and ${count(news.errors - errors.length)} more`));
  return parts;
}

const STYLE = `
  :host { all: initial !important; position: fixed !important; }
  dialog { box-sizing: border-box; inset: 4vh 0 auto; width: min(92vw, 80rem); max-width: none; max-height: 92vh;
    margin: 0 auto; padding: 0 1.5rem 1rem; overflow: auto; border: 0; border-top: 4px solid #e5534b;
    border-radius: 6px; background: #16181d; color: #e6e6e6; font: 15px/1.5 system-ui, sans-serif;
    color-scheme: dark; overscroll-behavior: contain; }
  dialog::backdrop { background: #0009; }
  header { position: sticky; top: 0; display: flex; gap: 1rem; align-items: start; justify-content: space-between;
    padding: 1rem 0 .5rem; background: #16181d; }
  h1 { margin: 0; font-size: 1.2rem; color: #ff8a80; outline: none; }
  p { margin: .5rem 0; }
  a { color: #8ab4ff; }
  button { flex: none; padding: .25rem .75rem; border: 1px solid #777f8b; border-radius: 4px; background: none;
    color: inherit; font: inherit; cursor: pointer; }
  button:hover { background: #2a2e36; }
  :is(a, button, pre):focus-visible { outline: 2px solid #8ab4ff; outline-offset: 2px; }
  pre { margin: .5rem 0 1rem; padding-bottom: .75rem; overflow-x: auto; white-space: pre; font: 13px/1.5 ui-monospace, monospace; }
  .prose { white-space: pre-wrap; overflow-wrap: anywhere; }
  .bold { font-weight: bold; }
  .c1 { color: #ff8a80; } .c2 { color: #8fd694; } .c3 { color: #f2c46d; }
  .c4 { color: #8ab4ff; } .c5 { color: #d9a5f5; } .c6 { color: #7fd6e0; }
  @media (max-width: 600px) { dialog { inset: 0 0 auto; width: 100vw; max-height: 100vh; padding: 0 1rem 1rem; } }`;
