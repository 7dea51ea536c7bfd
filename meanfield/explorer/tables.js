// The tables that Python made: Chebyshev interpolants in ln q, and in the angle between two inputs.
"use strict";

const SEGMENT = 2; // length of a segment in ln q

function unpacked({shape, data}) {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const values = new Float64Array(bytes.buffer);
  const columns = shape[1];
  return Array.from({length: shape[0]}, (_, row) => values.subarray(row * columns, (row + 1) * columns));
}

// Value and derivative of sum c_k T_k at x, by Clenshaw's recurrence and its derivative.
function chebyshev(c, x) {
  let b1 = 0, b2 = 0, d1 = 0, d2 = 0;
  for (let k = c.length - 1; k > 0; k--) {
    const d = 2 * b1 + 2 * x * d1 - d2;
    d2 = d1; d1 = d;
    const b = c[k] + 2 * x * b1 - b2;
    b2 = b1; b1 = b;
  }
  return [c[0] + x * b1 - b2, b1 + x * d1 - d2];
}

// The segment of q counted from the first one, and the place in it from -1 to 1.
function placed(q, first) {
  const position = Math.log(q) / SEGMENT;
  const segment = Math.floor(position);
  return [segment - first, 2 * (position - segment) - 1];
}

class Tables {
  constructor(entry) {
    this.name = entry.name;
    [this.zeroV, this.zeroMu, this.zeroSlope] = entry.zero;
    this.first = entry.lengths.first;
    this.lengths = entry.lengths.segments.map(unpacked);
    this.lowest = Math.exp(SEGMENT * this.first);
    this.highest = Math.exp(SEGMENT * (this.first + this.lengths.length)) * (1 - 1e-12);
    this.firstChord = entry.chords.first;
    this.rings = entry.chords.rings;
    this.chords = entry.chords.segments.map((rings) => rings.map(unpacked));
    this.chordRange = [0, this.chords.length].map((n) => Math.exp(SEGMENT * (this.firstChord + n)));
    this.line = unpacked(entry.line);
    this.start = entry.start;
    this.window = entry.window;
    this.profile = this.makeProfile();
  }

  // V, mu_1 and dV/dq; below the tables by V's tangent at 0, beyond them null.
  moments(q) {
    if (q < this.lowest) return [this.zeroV + this.zeroSlope * q, this.zeroMu, this.zeroSlope];
    if (!(q <= this.highest)) return null;
    const [segment, x] = placed(q, this.first);
    const rows = this.lengths[Math.min(Math.max(segment, 0), this.lengths.length - 1)];
    return [chebyshev(rows[0], x)[0], chebyshev(rows[1], x)[0], chebyshev(rows[2], x)[0] / q];
  }

  hasChord(q) {
    return q >= this.chordRange[0] && q <= this.chordRange[1];
  }

  // theta -> [chord, d chord/d theta] at q; beyond the tables those of their nearest end.
  chordAt(q) {
    const [low, high] = this.chordRange;
    const [segment, x] = placed(Math.min(Math.max(q, low), high), this.firstChord);
    const index = Math.min(Math.max(segment, 0), this.chords.length - 1);
    const place = x + 2 * (segment - index);
    const rings = this.chords[index].map((rows) => contracted(rows, place));
    const ends = this.rings;
    return (theta) => {
      const ring = theta >= ends[1] ? 0 : 1;
      const half = (ends[ring] - ends[ring + 1]) / 2;
      const [value, slope] = chebyshev(rings[ring], (theta - ends[ring + 1]) / half - 1);
      return [value, slope / half];
    };
  }

  makeProfile() {
    const each = 16, points = [];
    for (let i = 0; i < this.lengths.length * each; i++) {
      const q = this.lowest * Math.exp((SEGMENT * (i + 0.5)) / each);
      const [V, mu, slope] = this.moments(q);
      points.push({q, V, mu, slope, rising: q * slope >= -1e-12 * V});
    }
    return points;
  }
}

function contracted(rows, x) {
  const columns = rows[0].length;
  return Float64Array.from({length: columns}, (_, j) => chebyshev(rows.map((row) => row[j]), x)[0]);
}
