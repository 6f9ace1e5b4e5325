// The dashboard's main chart: backends over reloads as a step line, the usable limit dashed, a cross at each refusal.
// Owns only the children of the SVG it is given; colours are classes in dashboard.css. Draws at the size on the screen,
// so that text keeps its size on a phone; call it again when that size changes.

function drawBackends(svg, history, limit) {
  const { width, height } = svg.getBoundingClientRect();
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.replaceChildren();
  if (width < 120) return; // not on the screen
  const frame = frameOf(width, height, history, limit);
  drawAxes(svg, frame, history);
  if (limit !== null) drawLimit(svg, frame, limit);
  if (history.length === 0) {
    part(svg, "text", { class: "tick", x: width / 2, y: frame.y(0.5), "text-anchor": "middle" }, "no reload yet");
  }
  drawSteps(svg, frame, history);
  drawRefusals(svg, frame, history);
}

// The scales. A limit far above the values would flatten them, so it is then drawn above a broken axis.
function frameOf(width, height, history, limit) {
  const highest = Math.max(1, ...history.map(({ backends }) => backends ?? 0));
  const inView = limit !== null && limit <= Math.max(24, 2 * highest);
  const broken = limit !== null && !inView;
  const most = Math.max(highest + Math.ceil(highest / 10), inView ? limit : 0);
  const [left, right, top, bottom] = [34, width - 38, broken ? 52 : 26, height - 36];
  const slots = Math.max(history.length - 1, 9); // a short history grows from the left
  const x = (i) => left + 12 + ((right - left - 12) * i) / slots;
  const y = (value) => bottom - ((bottom - top) * value) / most;
  return { left, right, top, bottom, most, broken, x, y, limitY: broken ? 24 : y(limit ?? most) };
}

function drawAxes(svg, { left, right, top, bottom, most, x, y }, history) {
  const stepY = niceStep(most, (bottom - top) / 28);
  for (let value = 0; value <= most; value += stepY) {
    part(svg, "line", { class: value ? "grid" : "axis", x1: left, x2: right, y1: y(value), y2: y(value) });
    part(svg, "text", { class: "tick", x: left - 8, y: y(value) + 4, "text-anchor": "end" }, value);
  }
  part(svg, "line", { class: "axis", x1: left, x2: left, y1: top, y2: bottom });
  const stepX = niceStep(history.length, (right - left) / 48);
  for (const [i, { generation }] of history.entries()) {
    if (generation % stepX !== 0 && history.length > 1) continue;
    part(svg, "line", { class: "axis", x1: x(i), x2: x(i), y1: bottom, y2: bottom + 4 });
    part(svg, "text", { class: "tick", x: x(i), y: bottom + 17, "text-anchor": "middle" }, generation);
  }
  part(svg, "text", { class: "tick", x: right, y: bottom + 32, "text-anchor": "end" }, "generation");
}

function drawLimit(svg, { left, right, top, limitY, broken }, limit) {
  part(svg, "line", { class: "limit", x1: left, x2: right, y1: limitY, y2: limitY });
  const text = broken ? `usable: ${limit} (not to scale)` : `usable: ${limit}`;
  part(svg, "text", { class: "limit-label", x: left + 6, y: limitY - 7 }, text);
  if (!broken) return;
  const middle = (limitY + top) / 2;
  const zigzag = `M${left} ${limitY}V${middle - 6}l-5 3 10 6 -5 3V${top}`;
  part(svg, "path", { class: "axis", d: zigzag });
}

// A value is drawn up to the next reload. Where counting failed there is a gap.
function drawSteps(svg, { top, bottom, x, y }, history) {
  let path = "";
  let last = null;
  for (const [i, { generation, at, backends }] of history.entries()) {
    if (backends === null) continue;
    const follows = i > 0 && history[i - 1].backends !== null;
    path += follows ? `H${x(i)}V${y(backends)}` : `M${x(i)} ${y(backends)}`;
    last = { i, backends };
    const point = history.length <= 60 || !follows;
    if (point) part(svg, "circle", { class: "point", cx: x(i), cy: y(backends), r: 3 });
    const half = (x(1) - x(0)) / 2;
    const target = { class: "target", x: x(i) - half, y: top, width: 2 * half, height: bottom - top };
    part(part(svg, "rect", target), "title", {}, `generation ${generation}, ${at}: ${backends}`);
  }
  if (!last) return;
  part(svg, "path", { class: "steps", d: path });
  part(svg, "circle", { class: "point", cx: x(last.i), cy: y(last.backends), r: 4 });
  part(svg, "text", { class: "last", x: x(last.i) + 8, y: y(last.backends) - 8 }, last.backends);
}

function drawRefusals(svg, { x, y, limitY }, history) {
  for (const [i, { backends, refused }] of history.entries()) {
    if (!refused) continue;
    const at = `M${x(i)} ${backends === null ? limitY : y(backends)}`;
    part(svg, "path", { class: "cross", d: `${at}m-6 -6l12 12m0 -12l-12 12` });
  }
}

// 1, 2 or 5 times a power of ten: the smallest that leaves at most `count` ticks.
function niceStep(span, count) {
  for (let power = 1; ; power *= 10) {
    for (const digit of [1, 2, 5]) if (span / (digit * power) <= count) return digit * power;
  }
}

function part(parent, name, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return parent.appendChild(made);
}
