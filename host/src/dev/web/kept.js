// What a reload would lose: where the page and its parts are scrolled to, what somebody has typed or chosen and not
// sent, the focus and its selection.
//
// Kept in the tab's own storage, from a reload by this script to the next page of the same URL. A field is kept only if
// somebody has changed it and it is not what the server sent: every other one shows the server's new value. Passwords,
// codes, card numbers and files are never kept. An element is found again by its id, else by its name in its form, else
// by its place; one that could be mistaken for another is given up. What the page does not have stays kept for the
// page after it: this one may be that of a panic. A restored field sends `input`, as typing does, so that scripts that
// mirror it keep up. It sends no `change`, which is where scripts submit forms.

const KEPT = "__dev:kept";
const SECRET = /password|one-time-code|cc-/; // in `autocomplete`
const UNKEPT = ["password", "file", "hidden", "submit", "button", "image", "reset"];
const changed = new Set(); // fields, by a person
const secrets = new WeakSet(document.querySelectorAll("input[type=password]")); // a page may show them as text later
let owed = { fields: [], parts: [], focus: null, page: null }; // kept, but not found yet
let reached = null; // where `owed.page` has led

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
  const fields = [...changed].filter((field) => field.isConnected && isKept(field) && !isAsSent(field));
  const kept = {
    href: location.href,
    page: owed.page && scrollY === reached ? owed.page : [scrollX, scrollY],
    fields: [...owed.fields, ...fields.map((field) => ({ at: placeOf(field), kind: field.type, state: stateOf(field) }))],
    parts: [...owed.parts, ...scrolledParts()],
    focus: focusNow() ?? owed.focus,
    restoration: history.scrollRestoration,
  };
  history.scrollRestoration = "manual"; // the browser's own comes later than ours, and knows less
  remember(KEPT, JSON.stringify(kept));
}

function restoreKept() {
  const kept = JSON.parse(recall(KEPT) ?? "null");
  forget(KEPT);
  if (kept?.href !== location.href) return;
  owed = kept;
  restore();
  // Scripts make elements and pictures make room until then.
  addEventListener("load", () => {
    restore();
    const [left, top] = owed.page;
    scrollTo({ left, top, behavior: "instant" });
    reached = scrollY; // a shorter page in between ends before
    setTimeout(() => (history.scrollRestoration = owed.restoration)); // after the browser has looked
  });
}

function restore() {
  owed.fields = owed.fields.filter(({ at, kind, state }) => {
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
  owed.parts = owed.parts.filter(({ at, left, top }) => {
    const part = find(at);
    part?.scrollTo({ left, top, behavior: "instant" });
    return !part || Math.abs(part.scrollTop - top) > 1;
  });
  const focused = owed.focus && find(owed.focus.at);
  if (!focused) return;
  focused.focus({ preventScroll: true });
  select(focused, owed.focus.selection);
  owed.focus = null;
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
    // A field without text, or text that is no longer there: the focus alone is kept.
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

// With another one more or less, nobody knows which of them it was.
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
    // Refused: there is nothing.
  }
}
