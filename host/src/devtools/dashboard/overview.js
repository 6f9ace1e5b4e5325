// The first tab, "is it well, and what happened last", and the last build, which another tab has too.

shows("phase", renderState);
shows("generation", renderGeneration);
shows("last-reload", renderLastReload);
shows("backends", renderCount);
shows("trouble", renderTrouble);
shows("build", (status) => once("build", [{ ...status.build, progress: null }, status.generation], () => renderBuild(status)));
shows("warnings", renderWarnings);
shows("recent", renderRecent);

const TROUBLES = {
  starting: "database starting",
  database: "database down",
  migration: "migrating",
  schema: "blocked by migrations",
  build: "build failed",
  load: "load failed",
};

// In one or two words, and how it looks.
function stateOf({ phase, health: { trouble } }) {
  if (trouble) return [TROUBLES[trouble.cause], "bad"];
  return [words(phase), phase.endsWith("_failed") ? "bad" : phase === "active" ? "good" : "busy"];
}

function renderState(status) {
  const { generation, build: { progress }, health: { trouble } } = status;
  put("phase", ...stateOf(status));
  const serving = generation ? `generation ${generation} is still serving` : "nothing to serve yet";
  const ofTheApp = ["build", "load"].includes(trouble?.cause);
  put("phase-note", ofTheApp ? serving : trouble ? "" : progress ? `${progress.built} of ${progress.total}` : "");
}

function renderGeneration({ generation, generations, uptime_s }) {
  put("generation", generation || "none");
  const inFlight = generations.reduce((sum, each) => sum + each.in_flight, 0);
  put("generation-note", `${inFlight} in flight; up ${age(uptime_s)}`);
}

function renderLastReload({ last_reload, history }) {
  put("last-reload", last_reload ? ms(last_reload.total_ms) : "none");
  const at = history.findLast(({ generation }) => generation === last_reload?.generation)?.at;
  put("last-reload-note", last_reload ? [at && `at ${at}`, ...last_reload.files].filter(Boolean).join(", ") : "");
}

function renderCount(status) {
  const { db, activity } = status;
  const limit = limitOf(status);
  put("backends", db.url === "none" ? "none" : db.backends ?? "unknown");
  const of = limit === null ? [] : [`of ${limit} usable`];
  put("backends-note", db.url === "none" ? "no database" : [...of, ...pidsAndAges(db.pids, activity ?? [])].join("; "));
}

// The limit is known only after a successful count; until the next one, use the last known.
function limitOf({ db, history }) {
  return db.usable ?? history.findLast(({ usable }) => usable !== null)?.usable ?? null;
}

function pidsAndAges(pids, activity) {
  if (pids.length === 0) return [];
  const aged = (pid) => {
    const backend = activity.find((each) => each.pid === pid);
    return backend ? `${pid} (${age(backend.age_s)})` : `${pid}`;
  };
  const shown = pids.slice(-2).map(aged).join(", ");
  return [pids.length > 2 ? `newest PIDs ${shown}` : `PID ${shown}`];
}

function renderTrouble({ health: { trouble } }) {
  get("trouble").hidden = !trouble;
  if (!trouble) return;
  const since = new Date(trouble.since);
  for (const button of get("trouble").querySelectorAll("[data-cause]")) button.hidden = button.dataset.cause !== trouble.cause;
  put("what", trouble.what);
  put("remedy", trouble.remedy);
  put("since", `since ${clock(since)}, that is for ${age(Math.max(0, (Date.now() - since) / 1000))}`);
}

function renderBuild(status) {
  const { ok, diagnostics, errors, warnings, refused } = status.build;
  const clean = ok && !refused && diagnostics.length === 0;
  get("build").classList.toggle("wide", !clean);
  if (!status.generation && clean) put("build-word", "nothing has been built yet", "quiet");
  else if (clean) put("build-word", "the last build was clean", "good");
  else if (refused) put("build-word", "it compiled, but is not live", "bad");
  else if (!ok) put("build-word", `${count(errors, "error")}: the last save did not compile`, "bad");
  else put("build-word", `compiled with ${count(warnings, "warning")}`, "busy");
  const shown = diagnostics.map(({ level, message, rendered, file }) =>
    frame(rendered || message, `${level} in ${file ?? "the build"}`, status));
  if (refused) shown.unshift(prose(refused, "why it is not live", status));
  const more = errors + warnings - diagnostics.length;
  if (more > 0) shown.push(element("p", `and ${count(more)} more`));
  get("diagnostics").replaceChildren(...shown);
}

// What is no failure yet: a text, and where to see more.
function warningsOf(status) {
  const { unreloadable, requests, db, tests, schema: { pending, ignored } } = status;
  const found = [];
  if (tests.on && tests.last && !tests.last.succeeded) found.push([`tests: ${resultOf(tests.last)}`, "/__dev/reloads#tests"]);
  const limit = limitOf(status);
  if (limit !== null && db.backends > Math.max(db.max, limit * 0.8)) {
    found.push([`${db.backends} of ${limit} usable backends are open`, "/__dev/database"]);
  }
  if (db.refused.times > 0) found.push([`PostgreSQL refused ${count(db.refused.times, "connection")}`, "/__dev/leak"]);
  if (pending.length > 0) found.push([`${count(pending.length, "migration")} pending`, "/__dev/database"]);
  if (ignored.length > 0) found.push([`${count(ignored.length, "file")} in migrations/ not applied`, "/__dev/database"]);
  if (unreloadable) {
    found.push([`${unreloadable.path} does not reload by itself: ${unreloadable.because} keeps the dev server's script out`]);
  }
  // Each once, the newest of its kind.
  const marked = new Map();
  for (const { id, method, path, slow, n_plus_1, ms: took } of requests) {
    if (n_plus_1 && !marked.has(`n ${method} ${path}`)) marked.set(`n ${method} ${path}`, [`${method} ${path}: N+1`, `/__dev/requests/${id}`]);
    if (slow && !marked.has(`s ${method} ${path}`)) marked.set(`s ${method} ${path}`, [`${method} ${path} took ${ms(took)}`, `/__dev/requests/${id}`]);
  }
  return [...found, ...[...marked.values()].slice(0, 8)];
}

function renderWarnings(status) {
  const found = warningsOf(status);
  keyed(get("warnings"), found, String, "li", (item, [text, url]) => {
    if (!item.firstChild) item.append(url ? linkTo(url, text) : text);
  });
  get("no-warnings").hidden = found.length > 0;
}

function renderRecent({ requests }) {
  rows("recent", requests.slice(0, 8), {
    key: JSON.stringify,
    mark: ({ status, panic }) => (status >= 500 || panic ? "failed" : ""),
    cells: (request) => [
      request.at, request.status, () => requestLink(request), ms(request.ms), request.statements, request.generation,
    ],
    none: "none yet",
  });
}

// To the page that shows all that it did.
function requestLink({ id, method, path, panic, database, slow, n_plus_1 }) {
  const cell = element("span");
  cell.append(linkTo(`/__dev/requests/${id}`, `${method} ${path}`));
  for (const word of [n_plus_1 && "N+1", slow && "slow"].filter(Boolean)) {
    const chip = element("span", word);
    chip.className = "chip busy";
    cell.append(" ", chip);
  }
  cell.append(panic ? `\npanicked: ${panic}` : database ? `\ndatabase: ${database}` : "");
  return cell;
}
