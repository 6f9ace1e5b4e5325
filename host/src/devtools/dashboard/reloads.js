// The tab of reloads: each of them and where its time went, generations, and what outlives them.

shows("reloads", renderReloads);
shows("images", renderImages);
shows("tests", renderTests);
shows("latency", ({ latency }) => renderLatency(latency));
shows("generations", ({ generations }) => renderGenerations(generations));
shows("history", ({ history }) => renderHistory(history));
shows("kept", ({ kept }) => renderKept(kept));

function renderReloads({ reloads, restarts, restarted }) {
  put("reloads", `${reloads.ok} ok`);
  once("reloads", reloads, () => {
    const failed = element("span", `${reloads.failed} failed`);
    failed.className = reloads.failed ? "bad" : "";
    get("reloads-note").replaceChildren(failed, `, ${reloads.unchanged} unchanged`);
  });
  put("restarts", restarts);
  put("restarts-note", restarted ?? "");
}

function renderImages({ images }) {
  put("images", images.kept === null ? "unknown" : mb(images.memory_kb / 1024));
  const budget = images.budget_mb === null ? "no limit" : `of ${mb(images.budget_mb)}`;
  put("images-note", images.kept === null ? "" : `${budget}; ${count(images.kept, "image")} mapped`);
}

function renderTests(status) {
  const { on, running, last } = status.tests;
  const of = running?.total ? `${running.done} of ${running.total} are done` : "they are being compiled";
  if (running) put("tests-word", `testing generation ${running.generation}: ${of}`, "busy");
  else if (last) put("tests-word", `generation ${last.generation}: ${resultOf(last)}`, last.succeeded ? "good" : "bad");
  else put("tests-word", on ? "they run after the next save" : "switched off", "quiet");
  once("failed-tests", last, () => {
    const shown = (last?.failed ?? []).map(({ name, output }) => prose(`${name}\n\n${output.trim()}`, `the failed test ${name}`, status));
    if (last?.error) shown.push(frame(last.error, "why tests do not run", status));
    get("failed-tests").replaceChildren(...shown);
  });
}

function resultOf({ words, ignored, took_ms }) {
  return `${words}${ignored ? `, ${ignored} ignored` : ""}, in ${ms(took_ms)}`;
}

function renderHistory(history) {
  rows("history", history.toReversed(), {
    key: (each) => `${each.generation} ${each.at}`,
    mark: (each) => (each.refused ? "failed" : ""),
    cells: (each) => [
      each.generation, each.at, each.files.join("\n"), ms(each.detect_ms), ms(each.build_ms), ms(each.load_ms),
      ms(each.swap_ms), ms(each.total_ms), each.refused ? `${each.backends ?? "?"}, refused` : (each.backends ?? "?"),
    ],
  });
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
