// The list at /__dev/requests, live: asks the server for the page again when there are newer requests, and takes over
// its rows. The filter stays with the server.

let newest = null; // of those that the list was asked for
let asking = false;

shows("requests", async ({ requests }) => {
  const now = requests[0]?.id ?? 0;
  newest ??= Number(get("requests").dataset.newest);
  if (asking || now === newest) return;
  asking = true;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (!answer.ok) return;
    takeOver(new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("requests"));
    newest = now;
  } catch {
    // The next message tries again.
  } finally {
    asking = false;
  }
});

// A row that is there already stays, with the focus in it.
function takeOver(list) {
  const here = get("requests").querySelector("tbody");
  const there = list.querySelector("tbody");
  if (!here || !there) return get("requests").replaceChildren(...list.childNodes);
  const rows = [...there.rows];
  keyed(here, rows, (row) => row.dataset.key, "tr", (row, from) => {
    if (row.cells.length === 0) row.replaceChildren(...from.cells);
  });
}
