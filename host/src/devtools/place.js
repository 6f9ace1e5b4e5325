// Used by overlay and dashboard: elements with text, compiler messages, and places in the source.

function element(name, text) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  return made;
}

// `3`, or `3 errors` with a noun.
function count(n, noun) {
  const number = n.toLocaleString("en");
  return noun ? `${number} ${noun}${n === 1 ? "" : "s"}` : number;
}

// A place in the source, as a link if the editor is known.
function place(file, line, column, { editor, root }) {
  const text = [file, line, column].filter((each) => each !== null).join(":");
  if (!editor) return element("span", text);
  const path = encodeURI(file.startsWith("/") ? file : `${root}/${file}`);
  const link = element("a", text);
  link.href = editor.replace("{file}", () => path).replace("{line}", line ?? 1).replace("{column}", column ?? 1);
  return link;
}

// Output of compiler or app, not wrapped, since rustc's carets point at the column above them.
function frame(text, label, status) {
  const made = element("pre");
  made.tabIndex = 0; // it scrolls
  made.setAttribute("role", "group");
  made.setAttribute("aria-label", label);
  made.append(...linked(coloured(text), status));
  return made;
}

// The same for prose, which may wrap.
function prose(text, label, status) {
  const made = frame(text, label, status);
  made.className = "prose";
  return made;
}

// Turns the places that rustc names (` --> file:line:column`) into links.
function linked(spans, status) {
  for (const [i, span] of spans.entries()) {
    const arrow = /(-->|:::) *$/.test(spans[i - 1]?.textContent ?? "");
    const [found, file, line, column] = (arrow && /^([^:\n]+):(\d+):(\d+)/.exec(span.textContent)) || [];
    if (found) span.replaceChildren(place(file, line, column, status), span.textContent.slice(found.length));
  }
  return spans;
}
