// The list at /__dev/requests, live.

shows("requests", followed("requests", ({ requests }) => requests[0]?.id ?? 0, takeOver));

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
