// The leak laboratory: backends over reloads, and the switches that make them grow.

shows("chart", renderChart);
shows("lab", renderLab);

if (get("chart")) {
  new ResizeObserver(() => {
    if (latest) drawBackends(get("chart"), latest.history, limitOf(latest));
  }).observe(get("chart"));
}

get("lab")?.addEventListener("change", renderOutcome);
get("lab")?.addEventListener("submit", (event) => {
  event.preventDefault();
  act(get("switch"), "mode", new URLSearchParams(new FormData(event.target)).toString());
});

function renderChart(status) {
  const { history, db } = status;
  const limit = limitOf(status);
  once("chart", [history, limit], () => drawBackends(get("chart"), history, limit));
  const refusals = history.filter(({ refused }) => refused).map(({ generation }) => generation);
  const refused = refusals.length > 0 ? `; refused at generation ${refusals.join(", ")}` : "";
  const counted = `${count(history.filter(({ first }) => !first).length, "reload")}, ${db.backends ?? "an unknown number of"} backends now`;
  get("chart").setAttribute("aria-label", `${counted}, ${limit ?? "an unknown number"} usable${refused}`);
  put("counted-by", db.counted_by);
  const { times, last } = db.refused;
  const why = last ? ` The last time: ${last.sqlstate} ${last.message} (${last.application_name})` : "";
  put("refused", times > 0 ? `PostgreSQL refused ${count(times, "connection")}.${why}` : "");
}

const OUTCOMES = {
  "host on": "The design: one backend, the same from first to last.",
  "host off": "Still one backend, since the pool is the host’s; everything else the app opened outlives its generation.",
  "app off": "The leak: one more backend for each reload that a query follows, until PostgreSQL refuses.",
  "app on": "The naive static, cured by the runtime: back to one backend after each reload.",
};

function renderLab({ pool_owner, isolation }) {
  once("lab", [pool_owner, isolation], () => {
    for (const input of get("lab").querySelectorAll("input")) {
      const now = input.value === (input.name === "pool" ? pool_owner : isolation);
      input.checked = now;
      input.parentNode.querySelector(".chip").hidden = !now;
    }
    renderOutcome();
  });
}

function renderOutcome() {
  const { pool, isolation } = Object.fromEntries(new FormData(get("lab")));
  put("outcome", OUTCOMES[`${pool} ${isolation}`]);
  get("switch").disabled = pool === latest.pool_owner && isolation === latest.isolation;
}
