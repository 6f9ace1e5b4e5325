// What overlay and dashboard both draw: an element with text, and a place in the source.

function element(name, text) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  return made;
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
