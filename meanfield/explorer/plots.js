// Drawing: axes, curves, cobwebs, and the phase plane.
"use strict";

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

// A canvas in device pixels, with axes over [x0, x1] x [y0, y1].
class Axes {
  constructor(canvas, [x0, x1], [y0, y1], {x = "", y = ""} = {}) {
    const ratio = window.devicePixelRatio || 1;
    this.width = canvas.clientWidth;
    this.height = canvas.clientHeight;
    canvas.width = Math.round(this.width * ratio);
    canvas.height = Math.round(this.height * ratio);
    this.pen = canvas.getContext("2d");
    this.pen.scale(ratio, ratio);
    this.pen.font = "12px system-ui, sans-serif";
    Object.assign(this, {x0, x1, y0, y1, left: 48, right: 12, top: 12, bottom: 38});
    this.names = [x, y];
  }

  x(value) { return this.left + ((value - this.x0) / (this.x1 - this.x0)) * (this.width - this.left - this.right); }
  y(value) { return this.height - this.bottom - ((value - this.y0) / (this.y1 - this.y0)) * (this.height - this.top - this.bottom); }
  fromX(pixel) { return this.x0 + ((pixel - this.left) / (this.width - this.left - this.right)) * (this.x1 - this.x0); }
  fromY(pixel) { return this.y0 + ((this.height - this.bottom - pixel) / (this.height - this.top - this.bottom)) * (this.y1 - this.y0); }

  frame() {
    const {pen} = this;
    pen.strokeStyle = colour("soft");
    pen.fillStyle = colour("ink");
    pen.lineWidth = 1;
    pen.strokeRect(this.left, this.top, this.width - this.left - this.right, this.height - this.top - this.bottom);
    pen.textAlign = "center";
    for (const value of ticks(this.x0, this.x1, this.width / 65)) {
      pen.fillText(tickText(value), this.x(value), this.height - this.bottom + 15);
      this.mark(this.x(value), this.height - this.bottom, 0, 4);
    }
    pen.fillText(this.names[0], (this.left + this.width - this.right) / 2, this.height - 6);
    pen.textAlign = "right";
    for (const value of ticks(this.y0, this.y1, this.height / 40)) {
      pen.fillText(tickText(value), this.left - 7, this.y(value) + 4);
      this.mark(this.left, this.y(value), -4, 0);
    }
    pen.save();
    pen.translate(11, (this.top + this.height - this.bottom) / 2);
    pen.rotate(-Math.PI / 2);
    pen.textAlign = "center";
    pen.fillText(this.names[1], 0, 0);
    pen.restore();
  }

  mark(x, y, dx, dy) {
    this.pen.beginPath();
    this.pen.moveTo(x, y);
    this.pen.lineTo(x + dx, y + dy);
    this.pen.stroke();
  }

  // Draw within the frame only.
  inside(draw) {
    const {pen} = this;
    pen.save();
    pen.beginPath();
    pen.rect(this.left, this.top, this.width - this.left - this.right, this.height - this.top - this.bottom);
    pen.clip();
    draw(pen);
    pen.restore();
  }

  curve(xs, ys, name, {width = 2, dash = []} = {}) {
    this.inside((pen) => {
      pen.strokeStyle = colour(name);
      pen.lineWidth = width;
      pen.setLineDash(dash);
      pen.beginPath();
      let open = false;
      for (let i = 0; i < xs.length; i++) {
        if (!Number.isFinite(xs[i]) || !Number.isFinite(ys[i])) { open = false; continue; }
        const x = this.x(xs[i]), y = Math.max(-1e4, Math.min(1e4, this.y(ys[i])));
        if (open) pen.lineTo(x, y); else pen.moveTo(x, y);
        open = true;
      }
      pen.stroke();
    });
  }

  // Whole even on the frame, and nothing outside it.
  dot(x, y, name, radius = 4) {
    if (!(x >= this.x0 && x <= this.x1 && y >= this.y0 && y <= this.y1)) return;
    const {pen} = this;
    pen.fillStyle = colour(name);
    pen.strokeStyle = colour("panel");
    pen.lineWidth = 1.5;
    pen.beginPath();
    pen.arc(this.x(x), this.y(y), radius, 0, 2 * Math.PI);
    pen.fill();
    pen.stroke();
  }
}

function ticks(low, high, most) {
  const rough = (high - low) / Math.max(2, most), power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((each) => each >= rough);
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k++) found.push(k * step);
  return found;
}

function tickText(value) {
  const size = Math.abs(value);
  return size && (size >= 1e5 || size < 1e-3) ? value.toExponential(0) : String(Number(value.toPrecision(6)));
}

const linspace = (low, high, n) => Array.from({length: n}, (_, i) => low + ((high - low) * i) / (n - 1));

function cobweb(axes, orbit) {
  const xs = [orbit[0]], ys = [axes.y0];
  for (let i = 0; i + 1 < orbit.length; i++) {
    xs.push(orbit[i], orbit[i + 1]);
    ys.push(orbit[i + 1], orbit[i + 1]);
  }
  axes.curve(xs, ys, "orbit", {width: 1.3});
}

function drawLengthMap(canvas, tables, state, point, path) {
  const w2 = state.sigma_w ** 2, b2 = state.sigma_b ** 2;
  const settled = Number.isFinite(point.q_star);
  const shown = point.roots.filter((q) => q <= 20 * Math.max(point.q_star, state.q0));
  const high = 1.25 * Math.max(state.q0, settled ? point.q_star : 3 * state.q0, ...shown) || 1;
  const axes = new Axes(canvas, [0, high], [0, high], {x: "q in a layer", y: "q in the next"});
  axes.frame();
  axes.curve([0, high], [0, high], "soft", {width: 1, dash: [4, 3]});
  const xs = linspace(0, high, 240).map((q) => Math.max(q, high * 1e-6));
  axes.curve(xs, xs.map((q) => { const m = tables.moments(q); return m ? w2 * m[0] + b2 : NaN; }), "curve");
  cobweb(axes, path.q);
  for (const q of point.roots) axes.dot(q, q, q === point.q_star ? "good" : "soft", q === point.q_star ? 6 : 5);
}

function drawCorrelationMap(canvas, tables, state, point, path) {
  const axes = new Axes(canvas, [0, 1], [0, 1], {x: "c in a layer", y: "c in the next"});
  axes.frame();
  axes.curve([0, 1], [0, 1], "soft", {width: 1, dash: [4, 3]});
  const q = point.q_star;
  if (!(q > 0) || !Number.isFinite(q)) {
    const {pen} = axes;
    pen.fillStyle = colour("soft");
    pen.textAlign = "center";
    pen.fillText(q === 0 ? "no correlation at q* = 0" : "no q*", (axes.left + axes.width - axes.right) / 2, axes.height / 3);
    return;
  }
  const map = gapMap(tables, state.sigma_w ** 2, q, q);
  const xs = linspace(0, 1, 200);
  axes.curve(xs, xs.map((c) => 1 - map(1 - c)), "curve");
  const orbit = [state.c0];
  while (orbit.length < path.q.length) orbit.push(1 - map(1 - orbit[orbit.length - 1]));
  cobweb(axes, orbit);
  axes.dot(point.c_star, point.c_star, "good", 6);
}

function drawLayers(canvas, values, limit, names, top) {
  const axes = new Axes(canvas, [1, values.length > 1 ? values.length : 2], [0, top], names);
  axes.frame();
  if (Number.isFinite(limit)) axes.curve([1, values.length], [limit, limit], "good", {width: 1.5, dash: [6, 4]});
  const layers = values.map((_, i) => i + 1);
  axes.curve(layers, values, "orbit", {width: 1.5});
  if (values.length <= 60) layers.forEach((layer, i) => axes.dot(layer, values[i], "orbit", 3));
}

// The phases of the cells of the window, row by row from below; the same for every size of the canvas.
const COLUMNS = 210, ROWS = 140;
function phaseCells(tables, q0) {
  const [[left, right], [bottom, top]] = tables.window;
  const cells = [], several = [];
  for (let j = 0; j < ROWS; j++) {
    const b2 = (bottom + ((j + 0.5) / ROWS) * (top - bottom)) ** 2;
    for (let i = 0; i < COLUMNS; i++) {
      const w2 = (left + ((i + 0.5) / COLUMNS) * (right - left)) ** 2;
      const {roots} = lengthRoots(tables, w2, b2);
      const q = attractor(tables, w2, b2, roots, q0);
      const m = Number.isFinite(q) ? tables.moments(q) : null;
      cells.push(!m ? "unbounded" : w2 * m[1] < 1 ? "ordered" : "chaotic");
      several.push(roots.length > 1);
    }
  }
  return {phases: cells, several};
}

function drawPlane(canvas, tables, {phases: cells, several}, state) {
  const [across, up] = tables.window;
  const axes = new Axes(canvas, across, up, {x: "σw, standard deviation of weights × √fan-in", y: "σb, of biases"});
  axes.inside((pen) => {
    const width = (axes.width - axes.left - axes.right) / COLUMNS, height = (axes.height - axes.top - axes.bottom) / ROWS;
    for (let j = 0; j < ROWS; j++) {
      for (let i = 0; i < COLUMNS; i++) {
        const phase = cells[j * COLUMNS + i];
        if (phase === "unbounded") continue;
        pen.globalAlpha = 0.45;
        pen.fillStyle = CELL_COLOURS[phase];
        const x = Math.floor(axes.left + i * width), y = Math.floor(axes.height - axes.bottom - (j + 1) * height);
        pen.fillRect(x, y, Math.floor(axes.left + (i + 1) * width) - x, Math.floor(axes.height - axes.bottom - j * height) - y);
      }
    }
    pen.globalAlpha = 1;
    hatch(axes, cells.map((phase) => phase === "unbounded"), "unbounded", 1);
    hatch(axes, several, "line", -1);
  });
  drawLine(axes, tables.line);
  axes.frame();
  for (const phase of ["ordered", "chaotic", "unbounded"]) labelPhase(axes, cells, phase);
  axes.dot(state.sigma_w, state.sigma_b, "orbit", 8);
  axes.curve([state.sigma_w, state.sigma_w], up, "orbit", {width: 0.8, dash: [2, 4]});
  axes.curve(across, [state.sigma_b, state.sigma_b], "orbit", {width: 0.8, dash: [2, 4]});
  return axes;
}

const CELL_COLOURS = {};
function readColours() {
  for (const phase of ["ordered", "chaotic"]) CELL_COLOURS[phase] = colour(phase);
}

// Lines over the chosen cells, rising (lean 1) or falling (lean -1) to the right.
function hatch(axes, chosen, name, lean) {
  const width = (axes.width - axes.left - axes.right) / COLUMNS, height = (axes.height - axes.top - axes.bottom) / ROWS;
  const {pen} = axes;
  pen.save();
  pen.beginPath();
  chosen.forEach((wanted, k) => {
    if (!wanted) return;
    pen.rect(axes.left + (k % COLUMNS) * width, axes.height - axes.bottom - (Math.floor(k / COLUMNS) + 1) * height, width + 0.5, height + 0.5);
  });
  pen.clip();
  pen.strokeStyle = colour(name);
  pen.lineWidth = 1;
  pen.beginPath();
  for (let x = -axes.height; x < axes.width + axes.height; x += 9) {
    pen.moveTo(x, axes.height);
    pen.lineTo(x + lean * axes.height, 0);
  }
  pen.stroke();
  pen.restore();
}

function drawLine(axes, [W, B, , stable]) {
  if (W.length === 1) axes.dot(W[0], B[0], "line", 6);
  for (const kind of [1, 0]) {
    const mine = (i) => stable[i] === kind || (i > 0 && stable[i - 1] === kind && stable[i] >= 0);
    axes.curve(W.map((w, i) => (mine(i) ? w : NaN)), B.map((b, i) => (mine(i) ? b : NaN)), "line", {width: 2.5, dash: kind ? [] : [7, 5]});
  }
}

function labelPhase(axes, cells, phase) {
  const mine = [];
  cells.forEach((each, k) => { if (each === phase) mine.push([k % COLUMNS, Math.floor(k / COLUMNS)]); });
  if (mine.length < 0.03 * cells.length) return;
  const centre = [0, 1].map((axis) => mine.reduce((sum, cell) => sum + cell[axis], 0) / mine.length);
  const away = (cell) => Math.hypot(cell[0] - centre[0], cell[1] - centre[1]);
  const [i, j] = mine.reduce((best, cell) => (away(cell) < away(best) ? cell : best));
  const {pen} = axes;
  pen.save();
  pen.font = "600 14px system-ui, sans-serif";
  pen.textAlign = "center";
  pen.lineWidth = 4;
  pen.strokeStyle = colour("panel");
  pen.fillStyle = colour("ink");
  const half = pen.measureText(phase).width / 2 + 4;
  const x = axes.left + ((i + 0.5) / COLUMNS) * (axes.width - axes.left - axes.right);
  const y = axes.height - axes.bottom - ((j + 0.5) / ROWS) * (axes.height - axes.top - axes.bottom);
  const kept = Math.min(Math.max(x, axes.left + half), axes.width - axes.right - half);
  pen.strokeText(phase, kept, y);
  pen.fillText(phase, kept, y);
  pen.restore();
}
