// The lines at /__dev/logs, live. One that is there already stays, with what is opened and selected in it.

shows("lines", followed("lines", ({ log }) => log, (list) => {
  get("count").replaceChildren(...list.ownerDocument.getElementById("count").childNodes);
  keyed(get("lines"), [...list.children], (line) => line.dataset.key, "li", (line, from) => {
    if (line.childNodes.length === 0) line.replaceChildren(...from.childNodes);
  });
}));
