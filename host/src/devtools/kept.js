// Keeps what would be lost when the page is rendered again: the scroll positions of the page and its parts, unsent
// input, the focus and its selection.
//
// Over a reload it is stored in the tab's session storage, until the next page of the same URL. A field is
// kept only if the user has changed it and it differs from what the server sent; all others show the server's new
// value. Passwords, codes, card numbers and files are never kept. An element is found again by its id, else by its name
// in its form, else by its position; if it could be mistaken for another it is skipped. What the next page does not
// contain is kept for the page after it, since that page may only report a panic. A restored field fires `input`, as
// typing does, for scripts that mirror it. It does not fire `change`, on which scripts often submit forms.

const STORAGE_KEY = "__dev:kept"; // with the address: a frame has the same storage
const SECRET = /password|one-time-code|cc-/; // in `autocomplete`
const UNKEPT = ["password", "file", "hidden", "submit", "button", "image", "reset"];
const changed = new Set(); // fields changed by the user
const secrets = new WeakSet(document.querySelectorAll("input[type=password]")); // a page may show them as text later
let pending = { fields: [], parts: [], focus: null, page: null }; // not restored yet
let reached = null; // the scroll position that `pending.page` led to

addEventListener(
  "input",
  ({ target, isTrusted }) => {
    if (target.type === "password") secrets.add(target);
    if (isTrusted) changed.add(target);
  },
  true,
);

restoreKept();

function keepPage() {
  remember(`${STORAGE_KEY} ${location.href}`, JSON.stringify(pageNow()));
  history.scrollRestoration = "manual"; // the browser's own would run after ours, with less information
}

function pageNow() {
  const fields = [...changed].filter((field) => field.isConnected && isKept(field) && holdsInput(field));
  return {
    page: pending.page && scrollY === reached ? pending.page : [scrollX, scrollY],
    fields: [...pending.fields, ...fields.map((field) => ({ at: placeOf(field), kind: field.type, state: stateOf(field) }))],
    parts: [...pending.parts, ...scrolledParts()],
    focus: focusNow() ?? pending.focus,
    restoration: history.scrollRestoration,
  };
}

function restoreKept() {
  const key = `${STORAGE_KEY} ${location.href}`;
  const kept = JSON.parse(recall(key) ?? "null");
  forget(key);
  if (!kept) return;
  pending = kept;
  restore();
  // Until then scripts may add elements, and images change the layout.
  addEventListener("load", () => {
    restore();
    scrollBack();
    setTimeout(() => (history.scrollRestoration = pending.restoration)); // after the browser has read it
  });
}

// On the same document, changed by a morph.
function restoreInPlace(kept) {
  pending = kept;
  restore();
  scrollBack();
}

function scrollBack() {
  const [left, top] = pending.page;
  scrollTo({ left, top, behavior: "instant" });
  reached = scrollY; // less than asked for, if this page is shorter
}

function restore() {
  pending.fields = pending.fields.filter(({ at, kind, state }) => {
    const field = find(at);
    if (!field || field.type !== kind || !isKept(field)) return true;
    changed.add(field);
    if (JSON.stringify(stateOf(field)) === JSON.stringify(state)) return false;
    try {
      putState(field, state);
    } catch {
      return false; // a policy of the page may refuse markup
    }
    field.dispatchEvent(new Event("input", { bubbles: true }));
    return false;
  });
  pending.parts = pending.parts.filter(({ at, left, top }) => {
    const part = find(at);
    part?.scrollTo({ left, top, behavior: "instant" });
    return !part || Math.abs(part.scrollTop - top) > 1;
  });
  const focused = pending.focus && find(pending.focus.at);
  if (!focused) return;
  focused.focus({ preventScroll: true });
  select(focused, pending.focus.selection);
  pending.focus = null;
}

// Fields

function isKept(field) {
  if (field.isContentEditable || field.localName === "select" || field.localName === "textarea") return true;
  return field.localName === "input" && !UNKEPT.includes(field.type) && !secrets.has(field) && !SECRET.test(field.autocomplete);
}

function isAsSent(field) {
  if (field.isContentEditable) return false;
  if (field.localName === "select") {
    const options = [...field.options];
    if (options.some((option) => option.defaultSelected)) return options.every((option) => option.selected === option.defaultSelected);
    return field.multiple ? field.selectedIndex < 0 : field.selectedIndex <= 0;
  }
  return isTicked(field) ? field.checked === field.defaultChecked : field.value === field.defaultValue;
}

// Whether the user has put something into a field that is not sent yet.
function holdsInput(field) {
  return changed.has(field) && !isAsSent(field);
}

function isTicked(field) {
  return field.type === "checkbox" || field.type === "radio";
}

function stateOf(field) {
  if (field.isContentEditable) return field.innerHTML;
  if (field.localName === "select") return [...field.selectedOptions].map((option) => option.value);
  return isTicked(field) ? field.checked : field.value;
}

function putState(field, state) {
  if (field.isContentEditable) field.innerHTML = state;
  else if (field.localName === "select") for (const option of field.options) option.selected = state.includes(option.value);
  else if (isTicked(field)) field.checked = state;
  else field.value = state;
}

// Scrolling and focus

function scrolledParts() {
  const isScrolled = (part) => (part.scrollTop || part.scrollLeft);
  const parts = [...document.body.getElementsByTagName("*")].filter(isScrolled);
  return parts.map((part) => ({ at: placeOf(part), left: part.scrollLeft, top: part.scrollTop }));
}

function focusNow() {
  const focused = document.activeElement;
  if (!focused || focused === document.body || focused === document.documentElement) return null;
  return { at: placeOf(focused), selection: selectionOf(focused) };
}

function selectionOf(focused) {
  if (!focused.isContentEditable) return [focused.selectionStart, focused.selectionEnd, focused.selectionDirection];
  const { anchorNode, anchorOffset, focusNode, focusOffset } = getSelection();
  if (!focused.contains(anchorNode) || !focused.contains(focusNode)) return null;
  return [stepsTo(focused, anchorNode), anchorOffset, stepsTo(focused, focusNode), focusOffset];
}

function select(focused, selection) {
  try {
    if (!focused.isContentEditable) return focused.setSelectionRange(...selection);
    const [anchor, anchorOffset, focus, focusOffset] = selection;
    getSelection().setBaseAndExtent(nodeAt(focused, anchor), anchorOffset, nodeAt(focused, focus), focusOffset);
  } catch {
    // A field without text, or text that is gone: restore only the focus.
  }
}

function stepsTo(root, node) {
  const steps = [];
  for (let at = node; at !== root; at = at.parentNode) steps.unshift([...at.parentNode.childNodes].indexOf(at));
  return steps;
}

function nodeAt(root, steps) {
  return steps.reduce((node, step) => node.childNodes[step], root);
}

// Finding an element again

function placeOf(element) {
  const selector = selectorOf(element);
  const all = [...document.querySelectorAll(selector)];
  return { selector, index: all.indexOf(element), count: all.length };
}

// If their number has changed, there is no telling which one it was.
function find({ selector, index, count }) {
  const all = document.querySelectorAll(selector);
  return all.length === count ? all[index] : undefined;
}

function selectorOf(element) {
  const has = (of, name) => `[${name}="${CSS.escape(of.getAttribute(name))}"]`;
  if (element.id) return `#${CSS.escape(element.id)}`;
  if (element.hasAttribute("name")) {
    const form = element.closest("form");
    const within = form?.id ? `#${CSS.escape(form.id)} ` : form?.hasAttribute("action") ? `form${has(form, "action")} ` : "";
    const value = isTicked(element) && element.hasAttribute("value") ? has(element, "value") : "";
    return `${within}${element.localName}${has(element, "name")}${value}`;
  }
  const steps = [];
  for (let at = element; at.parentElement; at = at.parentElement) {
    if (at.id) return [`#${CSS.escape(at.id)}`, ...steps].join(" > ");
    const alike = [...at.parentElement.children].filter((child) => child.localName === at.localName);
    steps.unshift(`${CSS.escape(at.localName)}:nth-of-type(${alike.indexOf(at) + 1})`);
  }
  return steps.join(" > ");
}

// The tab's own storage, which a browser may refuse to a frame.

function recall(key) {
  try {
    return sessionStorage.getItem(key);
  } catch {
    return null;
  }
}

function remember(key, value) {
  try {
    sessionStorage.setItem(key, value);
  } catch {
    // Full or refused: the reload matters more.
  }
}

function forget(key) {
  try {
    sessionStorage.removeItem(key);
  } catch {
    // Refused: there is nothing to remove.
  }
}
