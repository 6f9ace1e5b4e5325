// The tab of the database: its backends, the pool, who shares the connection, and the migrations.

shows("activity", ({ activity }) => renderActivity(activity));
shows("pool", renderPool);
shows("schema", renderSchema);

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

function renderSchema(status) {
  const { applied, pending, failure, applying, ignored, branch } = status.schema;
  get("cancel").hidden = !applying?.slow;
  // The lists are those from before a run until it ends.
  const word = applying ? `${applying.instead ?? (applying.file ? `applying ${applying.file}` : "comparing with the database")} since ${clock(new Date(applying.since))}`
    : pending.length > 0 ? `${pending.length} pending:`
    : `${applied.length} applied, none pending`;
  const look = applying ? "busy" : failure ? "bad" : pending.length > 0 ? "busy" : applied.length > 0 ? "good" : "quiet";
  const whose = branch ? `branch ${branch}: ` : "";
  put("schema-word", `${whose}${failure && !applying ? `a migration failed; ${word}` : word}`, look);
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
