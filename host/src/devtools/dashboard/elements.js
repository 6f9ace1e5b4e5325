// Rows, parts and text of the dashboard, and the list of what this tab shows. Elements are reused as long as what they show exists, so focus, scrolling and
// selection survive an update. Text from compiler, app and PostgreSQL reaches the page as text nodes only.

const drawn = new Map(); // what was last drawn, for parts that are redrawn as a whole
const drawings = []; // what this tab shows

// Draws with each status, if this tab has the element.
function shows(id, draw) {
  if (get(id)) drawings.push(draw);
}

// Elements

function get(id) {
  return document.getElementById(id);
}

function put(id, text, look) {
  const target = get(id);
  write(target, text);
  if (look !== undefined && target.className !== look) target.className = look;
}

function write(target, text) {
  if (target.textContent !== String(text)) target.textContent = text;
}

// Redraws a part as a whole, but only if its data has changed.
function once(name, shown, draw) {
  const text = JSON.stringify(shown);
  if (drawn.get(name) === text) return;
  drawn.set(name, text);
  draw();
}

// Brings the children of `parent` in line with `items`: a child stays as long as its key does.
function keyed(parent, items, key, name, fill) {
  const wanted = new Map();
  for (const item of items) {
    let id = String(key(item));
    while (wanted.has(id)) id += "'";
    wanted.set(id, item);
  }
  for (const child of [...parent.children]) if (!wanted.has(child.dataset.key)) remove(child);
  let next = parent.firstElementChild;
  for (const [id, item] of wanted) {
    let child = next;
    if (child?.dataset.key === id) next = child.nextElementSibling;
    else {
      child = [...parent.children].find((each) => each.dataset.key === id) ?? element(name);
      child.dataset.key = id;
      parent.insertBefore(child, next);
    }
    fill(child, item);
  }
}

// If the child has the focus, moves it to the scrolling container.
function remove(child) {
  if (child.contains(document.activeElement)) child.closest("[tabindex]")?.focus({ preventScroll: true });
  child.remove();
}

// Rows of a table. A cell is text, or a node, or a function that makes a node once for the life of the row.
function rows(id, items, { key, cells, mark = () => "", none = "none" }) {
  const table = get(id);
  const heads = table.tHead.rows[0].cells;
  const filled = items.length > 0;
  keyed(table.tBodies[0], filled ? items : [null], (item) => (filled ? key(item) : "\0none"), "tr", (row, item) => {
    row.className = filled ? mark(item) : "";
    for (const [i, value] of (filled ? cells(item) : [none]).entries()) {
      const cell = row.cells[i] ?? row.insertCell();
      cell.className = filled ? heads[i].className : "none";
      if (!filled) cell.colSpan = heads.length;
      if (typeof value === "function") cell.firstChild ?? cell.append(value());
      else if (value instanceof Node) cell.replaceChildren(value);
      else write(cell, value);
    }
  });
}

function list(id, items) {
  keyed(get(id), items, (item) => item, "li", write);
  get(id).hidden = items.length === 0;
}

function pairs(id, items) {
  keyed(get(id), items, ([name]) => name, "div", (pair, [name, value]) => {
    if (!pair.firstChild) pair.append(element("dt"), element("dd"));
    write(pair.firstChild, name);
    write(pair.lastChild, value);
  });
}

// An action on what a row shows: sends `value` as the form's `field`.
function rowButton(action, title, field, value) {
  const button = element("button", title);
  Object.assign(button, { type: "button", name: field, value });
  button.dataset.action = action;
  button.setAttribute("aria-label", `${title} ${value}`);
  return button;
}

function linkTo(url, text) {
  const link = element("a", text);
  link.href = url;
  return link;
}

function placeOf(text, status) {
  const [, file, line, column] = /^(.*):(\d+):(\d+)$/.exec(text) ?? [];
  return file ? place(file, line, column, status) : element("span", text);
}

// Words

function words(phase) {
  return phase.replace("_", " ");
}

function ms(value) {
  if (value === null) return "–"; // for example the detection time of a reload without a save
  if (value === 0) return "0 ms";
  if (value >= 10_000) return `${(value / 1000).toFixed(1)} s`;
  return `${value.toFixed(value < 1 ? 2 : value < 10 ? 1 : 0)} ms`;
}

function mb(value) {
  return `${value.toFixed(value < 10 && value % 1 > 0 ? 1 : 0)} MB`;
}

function age(seconds) {
  // Non-breaking spaces, so that a unit stays with its number.
  if (seconds < 60) return `${Math.floor(seconds)}\u00a0s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes}\u00a0min` : `${Math.floor(minutes / 60)}\u00a0h ${minutes % 60}\u00a0min`;
}

function shorten(text) {
  const line = text.replace(/\s+/g, " ");
  return line.length > 160 ? `${line.slice(0, 160)}…` : line;
}

function clock(date) {
  return date.toTimeString().slice(0, 8);
}
