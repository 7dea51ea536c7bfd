// Fixed points, slopes, depth scales and phases from the tables, as meanfield.fixed_point defines them.
"use strict";

const MARGINAL = 1e-11; // how near to 1 a slope counts as 1: the tables' accuracy
const LEAST_NOISE = 2e-14; // of V, relative

function drift(tables, w2, b2, q) {
  const m = tables.moments(q);
  return m ? [w2 * m[0] + b2 - q, w2 * m[2] - 1] : [Infinity, 0];
}

// The zero of the drift between two lengths where it has opposite signs: Newton's method kept inside.
function rootBetween(tables, w2, b2, low, high, falls) {
  let q = Math.sqrt(low * high);
  for (let i = 0; i < 100; i++) {
    const [value, slope] = drift(tables, w2, b2, q);
    if (value > 0 === falls) low = q; else high = q;
    let moved = q - value / slope;
    if (!(moved >= low && moved <= high)) moved = Math.sqrt(low * high);
    const step = Math.abs(moved - q);
    q = moved;
    if (step <= 4e-16 * q) break;
  }
  return q;
}

// Where the drift has its extremum between two lengths, by bisection of its slope.
function turnBetween(tables, w2, low, high, rises) {
  for (let i = 0; i < 60; i++) {
    const q = Math.sqrt(low * high);
    const slope = w2 * tables.moments(q)[2] - 1;
    if (slope > 0 === rises) low = q; else high = q;
  }
  return Math.sqrt(low * high);
}

// All lengths that stay: {roots, neutral, open}; neutral: all stay; open: the drift is positive where the tables end.
function lengthRoots(tables, w2, b2) {
  const atOrigin = b2 === 0 && tables.zeroV === 0;
  const roots = atOrigin ? [0] : [];
  let last = null, told = false;
  for (const p of tables.profile) {
    const value = w2 * p.V + b2 - p.q;
    if (Math.abs(value) <= LEAST_NOISE * (w2 * p.V + b2 + p.q)) continue;
    const here = {q: p.q, sign: Math.sign(value), turn: w2 * p.slope - 1};
    told = true;
    if (!last && here.sign < 0 && !atOrigin) {
      const floor = (w2 * tables.zeroV + b2) / 2;
      roots.push(rootBetween(tables, w2, b2, floor, p.q, true));
    } else if (last && last.sign !== here.sign) {
      roots.push(rootBetween(tables, w2, b2, last.q, here.q, last.sign > 0));
    } else if (last && last.sign * last.turn < 0 && here.sign * here.turn > 0) {
      const turn = turnBetween(tables, w2, last.q, here.q, here.sign < 0);
      if (drift(tables, w2, b2, turn)[0] * here.sign < 0) {
        roots.push(rootBetween(tables, w2, b2, last.q, turn, here.sign > 0));
        roots.push(rootBetween(tables, w2, b2, turn, here.q, here.sign < 0));
      }
    }
    last = here;
  }
  return {roots, neutral: atOrigin && !told, open: Boolean(last && last.sign > 0)};
}

// Where the orbit of q0 ends: followed until the map increases all the way to the next root; Infinity if nowhere.
function attractor(tables, w2, b2, roots, q0) {
  let q = q0;
  for (let layer = 0; layer < 2000; layer++) {
    const near = roots.find((root) => Math.abs(root - q) <= 2e-15 * q);
    if (near !== undefined) return near;
    const m = tables.moments(q);
    if (!m) return Infinity;
    const image = w2 * m[0] + b2, up = image > q;
    const ahead = roots.filter((root) => (up ? root > q : root < q));
    const target = ahead.length ? (up ? ahead[0] : ahead[ahead.length - 1]) : Infinity;
    const low = Math.min(q, target), high = Math.max(q, target);
    const clear = m[2] * q >= -1e-12 * m[0] && tables.profile.every((p) => p.rising || p.q < low || p.q > high);
    if (clear) return target;
    if (Math.abs(image - target) <= 1e-6 * target && Math.abs(image - q) <= 1e-6 * target) return target;
    q = image;
  }
  return NaN;
}

const depthScale = (slope) => (slope === 0 ? 0 : slope === 1 ? Infinity : -1 / Math.log(slope));

// The angle where chord = 1/sigma_w^2 in the chaotic phase, and the slope of the chord there.
function correlationAngle(chord, target) {
  let low = 0, high = Math.PI / 2;
  if (chord(high)[0] >= target) return [high, chord(high)[1]];
  let theta = high / 2;
  for (let i = 0; i < 200; i++) {
    const [value, slope] = chord(theta);
    if (value > target) low = theta; else high = theta;
    let moved = theta - (value - target) / slope;
    if (!(moved > low && moved < high)) moved = (low + high) / 2;
    const step = Math.abs(moved - theta);
    theta = moved;
    if (step <= 4e-16 * theta) break;
  }
  return [theta, chord(theta)[1]];
}

// What holds at the length that q0 leads to. phase "unbounded" has no further numbers; nan: undefined or not known.
function fixedPoint(tables, sigmaW, sigmaB, q0) {
  const w2 = sigmaW * sigmaW, b2 = sigmaB * sigmaB;
  const {roots, neutral, open} = lengthRoots(tables, w2, b2);
  const q = neutral ? q0 : attractor(tables, w2, b2, roots, q0);
  const point = {q_star: q, n_fixed_points: neutral ? Infinity : roots.length, neutral, roots};
  if (!Number.isFinite(q)) {
    const last = tables.profile[tables.profile.length - 1];
    point.phase = open && w2 * last.slope < 1 - 1e-9 ? "beyond" : "unbounded";
    return point;
  }
  const m = tables.moments(q);
  const chi = w2 * m[1], alpha = neutral ? 1 : w2 * (q > 0 ? m[2] : m[1]);
  const isOne = Math.abs(chi - 1) <= MARGINAL;
  point.alpha = alpha;
  point.chi_1 = chi;
  point.phase = isOne ? "critical" : chi < 1 ? "ordered" : "chaotic";
  point.xi_q = Math.abs(alpha - 1) <= MARGINAL ? Infinity : alpha > 1 ? NaN : depthScale(Math.abs(alpha));
  point.xi_gradient = isOne ? Infinity : depthScale(chi);
  Object.assign(point, correlationPoint(tables, w2, q, point));
  return point;
}

function correlationPoint(tables, w2, q, {phase, chi_1, xi_gradient}) {
  if (q === 0) return {c_star: NaN, chi_c: NaN, xi_c: NaN};
  if (phase !== "chaotic") return {c_star: 1, chi_c: chi_1, xi_c: xi_gradient};
  if (!tables.hasChord(q)) return {c_star: NaN, chi_c: NaN, xi_c: NaN};
  const [theta, slope] = correlationAngle(tables.chordAt(q), 1 / w2);
  // sigma_w^2 chord = 1 there, so 1 - chi_c keeps its relative accuracy however small it is.
  const excess = w2 * Math.tan(theta / 2) * slope;
  return {c_star: 1 - 2 * Math.sin(theta / 2) ** 2, chi_c: 1 + excess, xi_c: -1 / Math.log1p(excess)};
}

// The image of 1 - c at length q, whose image is `next`.
function gapMap(tables, w2, q, next, chord = tables.chordAt(q)) {
  return (gap) => {
    const theta = 2 * Math.asin(Math.sqrt(Math.min(gap, 1) / 2));
    return (w2 * q * gap * chord(theta)[0]) / next;
  };
}

// q and c through the layers, from q0 and c0; cut where q leaves the tables.
function propagate(tables, sigmaW, sigmaB, q0, c0, depth) {
  const w2 = sigmaW * sigmaW, b2 = sigmaB * sigmaB;
  const q = [q0], c = [c0];
  let gap = 1 - c0;
  while (q.length < depth) {
    const here = q[q.length - 1], m = tables.moments(here);
    if (!m) break;
    const next = w2 * m[0] + b2;
    gap = next > 0 ? gapMap(tables, w2, here, next)(gap) : gap;
    q.push(next);
    c.push(1 - gap);
  }
  return {q, c};
}

// sigma_w, sigma_b^2 and alpha of the critical point of length q.
function criticalAt(tables, q) {
  const [V, mu, slope] = tables.moments(q);
  return [1 / Math.sqrt(mu), q - V / mu, slope / mu];
}

// The critical point nearest to the given one in the plane, measured in windows; null where there is no line.
function nearestCritical(tables, sigmaW, sigmaB) {
  const [W, B, Q, stable] = tables.line;
  const [[left, right], [bottom, top]] = tables.window;
  const apart = (w, b) => Math.hypot((w - sigmaW) / (right - left), (b - sigmaB) / (top - bottom));
  let best = -1, least = Infinity;
  for (let i = 0; i < W.length; i++) {
    const distance = apart(W[i], B[i]);
    if (distance < least) { least = distance; best = i; }
  }
  if (best < 0) return null;
  const found = {sigma_w: W[best], sigma_b: B[best], q_star: Q[best], stable: stable[best] > 0};
  const [before, after] = [best - 1, best + 1].map((i) => (Q[i] > 0 ? Q[i] : Q[best]));
  const at = (t) => criticalAt(tables, Math.exp(t));
  const distance = (t) => {
    const [w, b2] = at(t);
    return b2 >= 0 ? apart(w, Math.sqrt(b2)) : Infinity;
  };
  // sigma_b^2 = q - V/mu_1 cancels at small q, where the line's own points serve.
  if (Q[best] < 1e-3 || before === after || distance(Math.log(Q[best])) > least * 1.001 + 1e-9) return found;
  let low = Math.log(before), high = Math.log(after);
  const golden = (Math.sqrt(5) - 1) / 2;
  for (let i = 0; i < 60; i++) {
    const a = high - golden * (high - low), b = low + golden * (high - low);
    if (distance(a) < distance(b)) high = b; else low = a;
  }
  const t = (low + high) / 2, [w, b2, alpha] = at(t);
  if (!(distance(t) < least)) return found;
  return {sigma_w: w, sigma_b: Math.sqrt(b2), q_star: Math.exp(t), stable: alpha < 1};
}
