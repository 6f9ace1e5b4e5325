// The page at /__dev: draws the document of /__dev/status into dashboard.html and posts the actions. Comes after
// ansi.js, chart.js, place.js, elements.js and stream.js, in the same function scope.

const RELOADED = "__dev:reloaded"; // carries the scroll position over a reload of the page
const token = document.querySelector("meta[name=dev-token]").content;
let latest = null;
let lostAt = null; // when the stream broke off; null while it is connected

// The stream

subscribe("/__dev/status", (data) => receive(JSON.parse(data)), lose);

function receive(status) {
  const before = latest;
  if (before && before.host_boot !== status.host_boot) return reloadPage();
  latest = status;
  render(status);
  if (!before) arrive();
  else if (lostAt) say("reconnected");
  else if (summary(before) !== summary(status)) say(...phaseNews(status));
  lostAt = null;
  document.documentElement.classList.remove("lost");
}

function lose() {
  if (lostAt) return;
  lostAt = new Date();
  document.documentElement.classList.add("lost");
  put("link", "reconnecting…", "chip bad");
  if (latest) say(`reconnecting… this is the state at ${clock(lostAt)}`, "bad");
}

// The host was restarted: it has another token, and may serve another version of this script.
function reloadPage() {
  sessionStorage.setItem(RELOADED, scrollY);
  location.reload();
}

function arrive() {
  const scroll = sessionStorage.getItem(RELOADED);
  sessionStorage.removeItem(RELOADED);
  if (scroll === null) return say(...phaseNews(latest));
  scrollTo(0, Number(scroll));
  say("the host restarted");
}

// Actions

async function act(button, name, body = "") {
  if (button.matches("[aria-busy=true], [aria-disabled=true]")) return;
  button.setAttribute("aria-busy", "true"); // not `disabled`, which would take the focus away
  try {
    const headers = { "x-dev-token": token, "content-type": "application/x-www-form-urlencoded" };
    const answer = await fetch(`/__dev/actions/${name}`, { method: "POST", headers, body });
    const text = await answer.text();
    if (answer.status === 403 && text.startsWith("stale token")) return reloadPage();
    say(text, answer.ok ? "" : "bad");
  } catch {
    say(`${name}: no answer from the dev server`, "bad");
  } finally {
    button.removeAttribute("aria-busy");
  }
}

document.addEventListener("click", ({ target }) => {
  const button = target.closest("button[data-action]");
  if (button) act(button, button.dataset.action, button.name && new URLSearchParams({ [button.name]: button.value }).toString());
});

get("lab").addEventListener("change", renderOutcome);
get("lab").addEventListener("submit", (event) => {
  event.preventDefault();
  act(get("switch"), "mode", new URLSearchParams(new FormData(event.target)).toString());
});

// Shows what happened, also to screen readers: this is the only live region of the page.
function say(text, look = "") {
  put("news-at", clock(new Date()));
  put("news", text, look);
}

function summary({ phase, generation, health }) {
  return JSON.stringify([phase, generation, health.trouble?.what]);
}

function phaseNews({ phase, generation, health }) {
  if (isOutage(health.trouble)) return [`${health.trouble.what}. ${health.trouble.remedy}`, "bad"];
  const serving = generation ? `still serving generation ${generation}` : "nothing to serve yet";
  if (phase === "active") return [`generation ${generation} is live`];
  if (phase.endsWith("_failed")) return [`${words(phase)}: ${serving}`, "bad"];
  return [`${words(phase)}…`];
}

// Drawing

function render(status) {
  document.querySelector("main").hidden = false;
  const none = status.db.url === "none";
  for (const part of document.querySelectorAll("[data-database]")) part.hidden = none;
  renderTiles(status);
  once("build", [{ ...status.build, progress: null }, status.generation], () => renderBuild(status));
  renderUnreloadable(status.unreloadable);
  renderSchema(status);
  renderChart(status);
  renderLatency(status.latency);
  renderPool(status);
  renderGenerations(status.generations);
  renderKept(status.kept);
  renderLab(status);
  renderActivity(status.activity);
  renderRequests(status.requests);
  rows("environment", status.environment, {
    key: ({ name }) => name,
    cells: ({ name, value, source, change }) => [name, value, source, CHANGES[change]],
  });
}

// What a change of a setting takes.
const CHANGES = {
  pool: "replaces the pool",
  generation: "next generation",
  restart: "next start",
};

function renderTiles({ phase, generation, generations, images, reloads, last_reload, db, activity, ...status }) {
  const failed = phase.endsWith("_failed");
  const look = failed ? "bad" : phase === "active" ? "good" : "busy";
  const { trouble } = status.health;
  const [state, tone] = trouble ? [TROUBLES[trouble.cause], "bad"] : [words(phase), look];
  put("link", state, `chip ${tone}`);
  put("host", `${status.address} · host ${status.version}, PID ${status.host_pid}`);
  put("phase", state, tone);
  const { progress } = status.build;
  const serving = generation ? `generation ${generation} is still serving` : "nothing to serve yet";
  const built = progress ? `${progress.built} of ${progress.total}` : "";
  put("phase-note", isOfTheApp(trouble) ? serving : trouble ? explained(trouble) : built);
  put("generation", generation || "none");
  const inFlight = generations.reduce((sum, each) => sum + each.in_flight, 0);
  const restarts = count(status.restarts, "restart") + (status.restarted ? ` (${status.restarted})` : "");
  put("generation-note", `${inFlight} in flight; up ${age(status.uptime_s)}, ${restarts}`);
  put("images", images.kept === null ? "unknown" : mb(images.memory_kb / 1024));
  const budget = images.budget_mb === null ? "no limit" : `of ${mb(images.budget_mb)}`;
  put("images-note", images.kept === null ? "" : `${budget}; ${count(images.kept, "image")} mapped`);
  put("reloads", `${reloads.ok} ok`);
  once("reloads", reloads, () => {
    const failed = element("span", `${reloads.failed} failed`);
    failed.className = reloads.failed ? "bad" : "";
    get("reloads-note").replaceChildren(failed, `, ${reloads.unchanged} unchanged`);
  });
  put("last-reload", last_reload ? ms(last_reload.total_ms) : "none");
  put("last-reload-note", last_reload ? last_reload.files.join(", ") : "");
  put("backends", db.url === "none" ? "none" : db.backends ?? "unknown");
  put("backends-note", db.url === "none" ? "no database" : db.pids.length > 0 ? pidsAndAges(db.pids, activity ?? []) : "");
}

const TROUBLES = {
  starting: "database starting",
  database: "database down",
  migration: "migrating",
  schema: "blocked by migrations",
  build: "build failed",
  load: "load failed",
};

function isOfTheApp(trouble) {
  return ["build", "load"].includes(trouble?.cause);
}

function explained({ what, since, remedy }) {
  const seconds = Math.max(0, (Date.now() - new Date(since)) / 1000);
  return `for ${age(seconds)}: ${what}. ${remedy}`;
}

// Whether something other than the app's code keeps it from answering.
function isOutage(trouble) {
  return ["starting", "database", "migration"].includes(trouble?.cause);
}

function pidsAndAges(pids, activity) {
  const aged = (pid) => {
    const backend = activity.find((each) => each.pid === pid);
    return backend ? `${pid} (${age(backend.age_s)})` : `${pid}`;
  };
  const shown = pids.slice(-2).map(aged).join(", ");
  return pids.length > 2 ? `newest PIDs ${shown}` : `PID ${shown}`;
}

function renderBuild(status) {
  const { ok, diagnostics, errors, warnings, refused } = status.build;
  const clean = ok && !refused && diagnostics.length === 0;
  document.querySelector("main").classList.toggle("verbose", !clean);
  if (!status.generation && clean) put("build-word", "nothing has been built yet", "quiet");
  else if (clean) put("build-word", "the last build was clean", "good");
  else if (refused) put("build-word", "it compiled, but is not live", "bad");
  else if (!ok) put("build-word", `${count(errors, "error")}: the last save did not compile`, "bad");
  else put("build-word", `compiled with ${count(warnings, "warning")}`, "busy");
  const parts = diagnostics.map(({ level, message, rendered, file }) =>
    frame(rendered || message, `${level} in ${file ?? "the build"}`, status));
  if (refused) parts.unshift(prose(refused, "why it is not live", status));
  const more = errors + warnings - diagnostics.length;
  if (more > 0) parts.push(element("p", `and ${count(more)} more`));
  get("diagnostics").replaceChildren(...parts);
}

function renderUnreloadable(unreloadable) {
  get("unreloadable").hidden = !unreloadable;
  if (unreloadable) put("unreloadable", `${unreloadable.path} does not reload by itself: ${unreloadable.because} keeps the dev server's script out`);
}

function renderSchema(status) {
  const { applied, pending, failure, applying, ignored } = status.schema;
  get("cancel").hidden = !applying?.slow;
  // The lists are those from before a run until it ends.
  const word = applying ? `${applying.file ? `applying ${applying.file}` : "comparing with the database"} since ${clock(new Date(applying.since))}`
    : pending.length > 0 ? `${pending.length} pending:`
    : `${applied.length} applied, none pending`;
  const look = applying ? "busy" : failure ? "bad" : pending.length > 0 ? "busy" : applied.length > 0 ? "good" : "quiet";
  put("schema-word", failure && !applying ? `a migration failed; ${word}` : word, look);
  once("schema-failure", failure, () => {
    get("schema-failure").replaceChildren();
    if (!failure) return;
    if (failure.file) get("schema-failure").append(place(failure.file, failure.line, null, status));
    get("schema-failure").append(prose(failure.message, "why the migration failed", status));
  });
  list("pending", pending);
  list("ignored", ignored.map(({ file, why }) => `${file} is not applied: it ${why}`));
  list("applied", applied);
  get("applied-all").hidden = applied.length === 0;
  get("run").setAttribute("aria-disabled", String(pending.length === 0 && !failure));
}

function renderChart({ history, db }) {
  const limit = limitOf(latest);
  once("chart", [history, limit], () => drawBackends(get("chart"), history, limit));
  const refusals = history.filter(({ refused }) => refused).map(({ generation }) => generation);
  const refused = refusals.length > 0 ? `; refused at generation ${refusals.join(", ")}` : "";
  const counted = `${count(history.filter(({ first }) => !first).length, "reload")}, ${db.backends ?? "an unknown number of"} backends now`;
  get("chart").setAttribute("aria-label", `${counted}, ${limit ?? "an unknown number"} usable${refused}`);
  put("counted-by", db.counted_by);
  const { times, last } = db.refused;
  const why = last ? ` The last time: ${last.sqlstate} ${last.message} (${last.application_name})` : "";
  put("refused", times > 0 ? `PostgreSQL refused ${count(times, "connection")}.${why}` : "");
  rows("history", history.toReversed(), {
    key: (each) => `${each.generation} ${each.at}`,
    mark: (each) => (each.refused ? "failed" : ""),
    cells: (each) => [
      each.generation, each.at, each.files.join("\n"), ms(each.detect_ms), ms(each.build_ms), ms(each.load_ms),
      ms(each.swap_ms), ms(each.total_ms), each.refused ? `${each.backends ?? "?"}, refused` : (each.backends ?? "?"),
    ],
  });
}

// The limit is known only after a successful count; until the next one, use the last known.
function limitOf({ db, history }) {
  return db.usable ?? history.findLast(({ usable }) => usable !== null)?.usable ?? null;
}

function renderLatency(latency) {
  const steps = Object.entries(latency ?? {}).filter(([, spread]) => spread !== null);
  const most = Math.max(...steps.map(([, { p95 }]) => p95));
  rows("latency", steps, {
    key: ([step]) => step,
    cells: ([step, { p50, p95 }]) => [step, ms(p50), ms(p95), bars(p50 / most, p95 / most)],
    none: "no reload yet",
  });
  put("latency-word", latency?.build && latency.total ? shareOfBuild(latency) : "");
}

function shareOfBuild({ build, total }) {
  const share = total.p50 > 0 ? build.p50 / total.p50 : 0;
  const nearly = share >= 0.9 ? ", nearly all of it" : "";
  return `The build, that is rustc, is ${Math.round(100 * share)} % of the median reload${nearly}.`;
}

// The wide bar is p95, the narrow one within it p50.
function bars(p50, p95) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("aria-hidden", "true");
  part(svg, "rect", { class: "p95", width: `${100 * p95}%`, y: "15%", height: "70%" });
  part(svg, "rect", { class: "p50", width: `${100 * p50}%`, y: "32%", height: "36%" });
  return svg;
}

function renderPool(status) {
  const { db } = status;
  pairs("pool", [
    ["Open", `${db.size} of ${db.max}`],
    ["Backend", db.backend_pid ? `PID ${db.backend_pid}` : "none"],
    ["Opened in total", db.opened_total],
    ["Waiting", db.waiting],
    ["Longest wait", ms(db.longest_wait_ms)],
    ["Sessions ever", db.sessions ?? "unknown"],
  ]);
  rows("holders", db.holders, {
    key: ({ who, at }) => `${who} ${at}`,
    cells: ({ who, at, for_ms, alone }) => [alone ? `${who}, alone` : who, at ? () => placeOf(at, status) : "", ms(for_ms)],
    none: "none",
  });
  rows("clients", db.clients ?? [], {
    key: ({ id }) => id,
    cells: ({ name, units, waits, holds, keeps }) => [name, keeps ? `on a backend of its own: ${keeps}` : holds ? "holds it" : waits ? "waits" : "idle", units],
    none: db.clients ? "none" : "not in this mode",
  });
  rows("reconnects", db.reconnects, {
    key: ({ reason }) => reason,
    cells: ({ reason, times }) => [reason, times],
    none: "never",
  });
}

function renderGenerations(generations) {
  rows("generations", generations.toSorted((a, b) => b.id - a.id), {
    key: ({ id }) => id,
    mark: ({ state }) => (state === "retired" ? "past" : state),
    cells: (each) => [each.id, each.state, each.in_flight, each.served, age(each.age_s), each.late.join("\n")],
  });
}

// One that is being made has no button.
function renderKept(kept) {
  rows("kept", kept, {
    key: ({ name, made }) => `${name} ${made}`,
    cells: ({ name, type, generation, age_s, made }) => [
      name, type, generation, age(age_s), made ? () => rowButton("drop", "Drop", "kept", name) : "being made",
    ],
    none: "none: state.keep makes one",
  });
}

// Sorted by PID, so that rows do not move under the pointer.
function renderActivity(activity) {
  rows("activity", (activity ?? []).toSorted((a, b) => a.pid - b.pid), {
    key: ({ pid }) => pid,
    mark: ({ ours }) => (ours ? "ours" : ""),
    cells: ({ pid, application_name, ours, state, age_s, query }) => [
      pid, application_name, ours ? "ours" : "other", state ?? "", age(age_s), shorten(query), () => rowButton("terminate", "Terminate", "pid", pid),
    ],
    none: activity ? "none" : "PostgreSQL did not say",
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

// To the page that shows all that it did.
function requestLink({ id, path, panic, database }) {
  const cell = element("span");
  const link = element("a", path);
  link.href = `/__dev/requests/${id}`;
  cell.append(link, panic ? `\npanicked: ${panic}` : database ? `\ndatabase: ${database}` : "");
  return cell;
}

function renderRequests(requests) {
  rows("requests", requests.slice(0, 50), {
    key: JSON.stringify,
    mark: ({ status, panic }) => (status >= 500 || panic ? "failed" : ""),
    cells: (request) => [
      request.at, request.status, request.method, () => requestLink(request), ms(request.ms), request.generation,
      request.statements,
    ],
    none: "none yet",
  });
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

new ResizeObserver(() => {
  if (latest) drawBackends(get("chart"), latest.history, limitOf(latest));
}).observe(get("chart"));
