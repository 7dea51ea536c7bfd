// The state of the page, its controls and read-outs.
"use strict";

const byId = (id) => document.getElementById(id);
const data = JSON.parse(byId("data").textContent);
const made = new Map();
const state = {phi: 0, sigma_w: 1, sigma_b: 0, q0: 1, c0: 0.5, depth: 40};
const FIELDS = {"sigma-w": "sigma_w", "sigma-b": "sigma_b", q0: "q0", c0: "c0", depth: "depth"};
const RANGES = {sigma_w: [1e-3, 100], sigma_b: [0, 100], q0: [0, 1e4], c0: [0, 1], depth: [2, 1000]};
let axes = null, cells = null, cellsKey = "", pending = false;

function tablesOf(index) {
  if (!made.has(index)) made.set(index, new Tables(data.entries[index]));
  return made.get(index);
}

function text(value, digits = 7) {
  if (value === Infinity) return "∞";
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  return size && (size < 1e-4 || size >= 1e6) ? value.toExponential(digits - 2) : String(Number(value.toPrecision(digits)));
}

const READOUTS = [
  ["q*", "length", (p) => text(p.q_star)],
  ["α", "slope of the length map", (p) => text(p.alpha)],
  ["χ₁", "growth of gradients", (p) => text(p.chi_1)],
  ["c*", "correlation", (p) => text(p.c_star)],
  ["ξq", "depth of lengths", (p) => text(p.xi_q)],
  ["ξc", "depth of correlations", (p) => text(p.xi_c)],
  ["ξ∇", "depth of gradients", (p) => text(p.xi_gradient)],
  ["fixed points", "of the length map", (p) => (p.neutral ? "every q" : String(p.n_fixed_points))],
];

function showReadouts(point) {
  const rows = READOUTS.map(([symbol, meaning, value]) => {
    const row = document.createElement("tr"), head = document.createElement("th"), cell = document.createElement("td");
    const note = document.createElement("small");
    head.scope = "row";
    note.textContent = ` ${meaning}`;
    head.append(symbol, note);
    cell.textContent = value(point);
    row.append(head, cell);
    return row;
  });
  byId("readouts").replaceChildren(...rows);
  byId("summary").textContent = sentence(point);
}

function sentence(p) {
  const place = `σw ${text(state.sigma_w, 4)}, σb ${text(state.sigma_b, 4)}: `;
  if (p.phase === "unbounded") return `${place}q grows without bound from ${text(state.q0, 3)}`;
  if (p.phase === "beyond") return `${place}q* lies beyond the tables of this page`;
  const side = {ordered: "ordered, inputs become alike", chaotic: "chaotic, inputs drift apart", critical: "critical"}[p.phase];
  return place + side;
}

function showCritical(tables) {
  const point = nearestCritical(tables, state.sigma_w, state.sigma_b);
  byId("snap").disabled = !point;
  if (!point) {
    byId("critical").textContent = "This nonlinearity has no critical point in this window.";
    byId("torch").textContent = "";
    return null;
  }
  const warning = point.stable ? "" : " It repels lengths: networks drift away from it.";
  const length = tables.line[0].length === 1 ? "any q" : `q* = ${text(point.q_star)}`;
  byId("critical").textContent =
    `Nearest critical point on this map: σw = ${text(point.sigma_w)}, σb = ${text(point.sigma_b)}, ${length}.${warning}`;
  byId("torch").textContent = [
    `gain = ${text(point.sigma_w, 10)}`,
    "fan_in = layer.weight.shape[1]",
    "torch.nn.init.normal_(layer.weight, std=gain / fan_in**0.5)",
    "# or: torch.nn.init.orthogonal_(layer.weight, gain=gain)",
    `torch.nn.init.normal_(layer.bias, std=${text(point.sigma_b, 10)})`,
  ].join("\n");
  return point;
}

function draw() {
  pending = false;
  const tables = tablesOf(state.phi);
  const point = fixedPoint(tables, state.sigma_w, state.sigma_b, state.q0);
  const path = propagate(tables, state.sigma_w, state.sigma_b, state.q0, state.c0, state.depth);
  const key = `${state.phi} ${state.q0}`;
  if (key !== cellsKey) {
    cells = phaseCells(tables, state.q0);
    cellsKey = key;
  }
  readColours();
  axes = drawPlane(byId("plane"), tables, cells, state);
  drawLengthMap(byId("q-map"), tables, state, point, path);
  drawCorrelationMap(byId("c-map"), tables, state, point, path);
  const highest = 1.15 * Math.max(...path.q, Number.isFinite(point.q_star) ? point.q_star : 0) || 1;
  drawLayers(byId("q-layers"), path.q, point.q_star, {x: "layer", y: "q"}, highest);
  drawLayers(byId("c-layers"), path.c, point.c_star, {x: "layer", y: "c"}, 1.05);
  showReadouts(point);
  showCritical(tables);
}

function redraw() {
  if (!pending) requestAnimationFrame(draw);
  pending = true;
}

// Controls that are not being typed in follow the state.
function follow() {
  for (const [id, field] of Object.entries(FIELDS)) {
    const input = byId(id);
    if (input !== document.activeElement) input.value = String(Number(state[field].toPrecision(8)));
  }
  redraw();
}

function moveTo(sigmaW, sigmaB) {
  const [[left, right], [bottom, top]] = tablesOf(state.phi).window;
  state.sigma_w = Math.min(Math.max(sigmaW, left), right);
  state.sigma_b = Math.min(Math.max(sigmaB, bottom), top);
  follow();
}

function choose(index) {
  state.phi = index;
  byId("phi").selectedIndex = index;
  [state.sigma_w, state.sigma_b] = tablesOf(index).start;
  const error = data.entries[index].error, unbroken = (value) => value.toExponential(0).replace("-", "\u2011");
  byId("accuracy").textContent =
    `Interpolants computed by Python: moments to ${unbroken(error.moments)} relative, ` +
    `correlation maps to ${unbroken(error.chords)} (estimated). ` +
    `q*, α and χ₁ agree with Python's to ${unbroken(1e-9)} where tested, c* and ξc to ${unbroken(1e-6)}.`;
  follow();
}

function onKey(event) {
  const step = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1]}[event.key];
  if (!step) return;
  event.preventDefault();
  const [[left, right], [bottom, top]] = tablesOf(state.phi).window;
  const size = event.shiftKey ? 0.05 : 0.005;
  moveTo(state.sigma_w + step[0] * size * (right - left), state.sigma_b + step[1] * size * (top - bottom));
}

function onDrag(event) {
  if (event.type === "pointerdown") event.target.setPointerCapture(event.pointerId);
  else if (!event.target.hasPointerCapture(event.pointerId)) return;
  const box = event.target.getBoundingClientRect();
  moveTo(axes.fromX(event.clientX - box.left), axes.fromY(event.clientY - box.top));
}

function onInput(event) {
  const field = FIELDS[event.target.id], [low, high] = RANGES[field];
  const value = event.target.valueAsNumber;
  const valid = value >= low && value <= high;
  event.target.setAttribute("aria-invalid", String(!valid));
  byId("notice").textContent = valid ? "" : `${event.target.getAttribute("aria-label") || "Layers"} must be from ${low} to ${high}.`;
  if (!valid) return;
  state[field] = field === "depth" ? Math.round(value) : value;
  redraw();
}

function onSnap() {
  const point = nearestCritical(tablesOf(state.phi), state.sigma_w, state.sigma_b);
  if (!point) return;
  state.sigma_w = point.sigma_w;
  state.sigma_b = point.sigma_b;
  follow();
}

// "#probe=[[name, sigma_w, sigma_b, q0], ...]" writes the answers as JSON into the page.
function answerProbe() {
  const asked = JSON.parse(decodeURIComponent(location.hash.slice("#probe=".length)));
  const answers = asked.map(([name, sigmaW, sigmaB, q0]) => {
    const index = data.entries.findIndex((entry) => entry.name === name);
    const {roots, ...point} = fixedPoint(tablesOf(index), sigmaW, sigmaB, q0);
    return {...point, critical: nearestCritical(tablesOf(index), sigmaW, sigmaB)};
  });
  byId("probe").textContent = JSON.stringify(answers);
}

byId("phi").addEventListener("change", (event) => choose(event.target.selectedIndex));
for (const id of Object.keys(FIELDS)) {
  byId(id).addEventListener("input", onInput);
  byId(id).addEventListener("blur", follow);
}
byId("snap").addEventListener("click", onSnap);
byId("plane").addEventListener("keydown", onKey);
for (const kind of ["pointerdown", "pointermove"]) byId("plane").addEventListener(kind, onDrag);
window.addEventListener("resize", redraw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
choose(Math.max(0, data.entries.findIndex((entry) => entry.name === data.first)));
if (location.hash.startsWith("#probe=")) answerProbe();
