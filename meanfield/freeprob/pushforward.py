"""The law of f(x)^2 for a Gaussian x and a piecewise smooth f, as sums over a path below the real axis.

On each interval where f^2 is monotone, x is moved off the real axis to the side on which f(x)^2 has negative imaginary
part; Legendre interpolants of f carry it there. The path returns to the axis only where it has to, at kinks and
extrema, and its panels shrink geometrically towards those.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import ndtr

from meanfield.freeprob.factors import ComplexArray
from meanfield.freeprob.laws import Law
from meanfield.freeprob.pieces import REACH, Piece, is_even, monotone_pieces
from meanfield.freeprob.real_line import Distribution
from meanfield.quadrature import EPS, NODES, WEIGHTS

__all__ = ["gaussian_pushforward"]

BULK = 8.3  # standard deviations that count for the support; 1e-16 lies beyond
DEPTH = 0.6  # of the path below the axis, in half widths of the interpolant's panel
STEP = 1.7  # length of a path panel over its depth: 16 nodes then see a pole on the axis to 1e-14
NOTHING = 1e-40  # of the largest f^2: the support counts as reaching 0
ZERO = 1e-24  # of the largest f^2 on one piece, which covers so much only where f has a zero
FAR = 1e8  # beyond every scale of f
NEGLIGIBLE = 1e-20


def gaussian_pushforward(
    f: Callable[[np.ndarray], np.ndarray],
    q: float,
    *,
    kinks: Callable[[float, float], np.ndarray] = lambda low, high: np.empty(0),
    partition: int = 0,
) -> Law:
    """The law of f(x)^2, x ~ N(0, q).

    Parameters
    ----------
    f : callable
        Vectorised, piecewise analytic.
    q : float, > 0
        Variance of x.
    kinks : callable
        ``(low, high)`` to the places in between where f jumps or bends; those left out are found by bisection.
    partition : 0 or 1
        Two sets of panels, shifted against each other: their difference measures the error.

    Returns
    -------
    Law
        Its `sensitivity` is by q.

    Raises
    ------
    NonlinearityError
        f is not finite within reach.

    Examples
    --------
    >>> law = gaussian_pushforward(np.tanh, 1.0)
    >>> round(law.mean, 12)
    0.394294490398
    """
    spread = math.sqrt(q)
    pieces = monotone_pieces(f, q, kinks, partition)
    fold = 2.0 if is_even(f, q) else 1.0
    atoms = _atoms(pieces, spread)
    parts = [_nodes_on(path, piece) for path, piece in _paths(pieces)]
    nothing = [np.empty(0, dtype=np.complex128)]
    d, x, steps = (np.concatenate([part[i] for part in parts] or nothing) for i in range(3))
    weights = fold * steps * np.exp(-(x**2) / (2 * q)) / math.sqrt(2 * math.pi * q)
    heavy = np.abs(weights) > NEGLIGIBLE
    d, x, weights = d[heavy], x[heavy], weights[heavy]
    masses = fold * np.array([atoms[a] for a in sorted(atoms)])
    if not d.size:
        masses /= masses.sum()
    bottom, top = _far_range(f, spread, pieces)
    return Law(
        nodes=d,
        weights=weights,
        locations=np.array(sorted(atoms)),
        masses=masses,
        distribution=Distribution(tuple(piece for piece in pieces if not piece.constant), spread, fold),
        intervals=_support(pieces, spread, atoms),
        bottom=bottom,
        top=top,
        sensitivity=weights * (x**2 / q - 1) / (2 * q),
    )


def _atoms(pieces: list[Piece], spread: float) -> dict[float, float]:
    """Location to mass of the pieces on which f is constant."""
    masses: dict[float, float] = {}
    for piece in pieces:
        if not piece.constant:
            continue
        place = float(piece.series[0]) ** 2
        place = next((known for known in masses if abs(known - place) <= 1e-14 * place), place)
        low, high = piece.a / spread, piece.b / spread
        # On the right half line the upper tail keeps the digits.
        mass = ndtr(-low) - ndtr(-high) if low > 0 else ndtr(high) - ndtr(low)
        masses[place] = masses.get(place, 0.0) + float(mass)
    return {place: mass for place, mass in masses.items() if mass > 1e-17}


@dataclass(frozen=True)
class _Path:
    """Depth below the axis over [a, b]: `low` at a, `high` at b, rising from there with slope 1 up to `cap`."""

    low: float
    high: float
    cap: float

    def depth(self, piece: Piece, x: np.ndarray) -> np.ndarray:
        return np.minimum(self.cap, np.minimum(self.low + (x - piece.a), self.high + (piece.b - x)))


def _paths(pieces: list[Piece]) -> list[tuple[_Path, Piece]]:
    """A path for each piece that is not constant, made flatter until f^2 has negative imaginary part all along it."""
    caps = [DEPTH * piece.half for piece in pieces]
    for _ in range(8):
        vertices = [_vertex(*pair) for pair in itertools.pairwise(zip(pieces, caps, strict=True))]
        depths = _no_steeper_than_1([caps[0] if pieces[0].a < 0 else 0.0, *vertices, caps[-1]], pieces)
        paths = [
            (_Path(low, high, cap), piece)
            for piece, cap, (low, high) in zip(pieces, caps, itertools.pairwise(depths), strict=True)
        ]
        wrong = [i for i, (path, piece) in enumerate(paths) if not piece.constant and not _stays_below(path, piece)]
        if not wrong:
            break
        for i in wrong:
            caps[i] /= 2
    return [(path, piece) for path, piece in paths if not piece.constant]


def _no_steeper_than_1(depths: list[float], pieces: list[Piece]) -> list[float]:
    """Depths at the vertices lowered until neighbours differ by no more than the length of the piece between them."""
    lengths = [piece.b - piece.a for piece in pieces]
    for i, length in enumerate(lengths):
        depths[i + 1] = min(depths[i + 1], depths[i] + length)
    for i, length in reversed(list(enumerate(lengths))):
        depths[i] = min(depths[i], depths[i + 1] + length)
    return depths


def _vertex(left: tuple[Piece, float], right: tuple[Piece, float]) -> float:
    """Depth at the vertex between two pieces: 0 where f^2 turns, f bends or f vanishes."""
    (before, cap), (after, next_cap) = left, right
    if before.constant or after.constant or before.direction != after.direction or before.b < after.a:
        return 0.0
    depth = min(cap, next_cap)
    at = after.a - 1j * after.direction * depth
    agree = abs(before.f(at) - after.f(at)) <= 1e-7 * max(abs(before.f(after.a)), abs(after.f(after.a)))
    return depth if agree else 0.0


def _stays_below(path: _Path, piece: Piece) -> bool:
    d, _, _ = _nodes_on(path, piece)
    return bool((d.imag <= 1e-9 * np.abs(d)).all())


def _nodes_on(path: _Path, piece: Piece) -> tuple[ComplexArray, ComplexArray, ComplexArray]:
    """f^2, x and dx at the nodes of Gauss-Legendre panels along the path."""
    real = _breakpoints(path, piece)
    corners = real - 1j * piece.direction * path.depth(piece, real)
    half = np.diff(corners) / 2
    x = ((corners[:-1] + half)[:, None] + half[:, None] * NODES).ravel()
    return piece.f(x) ** 2, x, (half[:, None] * WEIGHTS).ravel()


def _breakpoints(path: _Path, piece: Piece) -> np.ndarray:
    """Real parts of the corners: panels no longer than STEP times the path's depth at either end."""
    rounding = 8 * EPS * max(abs(piece.a), abs(piece.b))
    at_a, at_b = (max(piece.finest(x) * piece.half, rounding) for x in (piece.a, piece.b))
    points = [piece.a]
    while True:
        x = points[-1]
        depth = min(path.cap, path.low + (x - piece.a), path.high + (piece.b - x))
        ahead = path.high + (piece.b - x)
        step = max(min(STEP * depth, STEP / (1 + STEP) * ahead), at_a)
        if x + step >= piece.b - at_b or piece.b - x <= STEP * min(path.high, depth):
            break
        points.append(x + step)
    return np.array([*points, piece.b])


def _support(pieces: list[Piece], spread: float, atoms: dict[float, float]) -> tuple[tuple[float, float], ...]:
    """The intervals that f^2 covers within the bulk of the Gaussian, atoms at their ends included."""
    reach = BULK * spread
    images = []
    for piece in pieces:
        a, b = max(piece.a, -reach), min(piece.b, reach)
        if not piece.constant and a < b:
            low, high = sorted((float(piece.f(a)) ** 2, float(piece.f(b)) ** 2))
            images.append((low, high))
    merged: list[list[float]] = []
    nothing = NOTHING * max((high for _, high in images), default=0.0)
    for low, high in sorted(images):
        low = 0.0 if low <= max(nothing, ZERO * high) else low
        if merged and (low <= merged[-1][1] * (1 + 1e-9) or low == 0):
            merged[-1][1] = max(merged[-1][1], high)
        else:
            merged.append([low, high])
    for interval in merged:
        for place in atoms:
            if abs(place - interval[0]) <= 1e-9 * place:
                interval[0] = min(interval[0], place)
            if abs(place - interval[1]) <= 1e-9 * place:
                interval[1] = max(interval[1], place)
    return tuple((low, high) for low, high in merged)


def _far_range(f, spread: float, pieces: list[Piece]) -> tuple[float, float]:
    """Infimum and supremum of f^2 over the whole line; an infimum that f only tends to, if it is small, is 0."""
    ends = np.unique([x for piece in pieces for x in (piece.a, piece.b)])
    far = np.geomspace(REACH * spread, FAR * max(1.0, spread), 1001)
    x = np.concatenate([-far[::-1], ends, -ends[::-1], far])
    x = np.unique(x)
    with np.errstate(all="ignore"):
        values = np.abs(f(x))
        x, values = x[~np.isnan(values)], values[~np.isnan(values)]  # inf/inf far out says nothing
        top, bottom = float(values.max()), float(values.min())
        if values[[0, -1]].max() > 2 * values[(np.abs(x) < far[-100])].max():
            top = math.inf
        elif math.isfinite(top):
            top = _refined(f, x, int(values.argmax()), -1, top)
        bottom = _refined(f, x, int(values.argmin()), 1, bottom)
    return (0.0 if bottom <= 1e-6 * values[len(x) // 2] else bottom) ** 2, top**2


def _refined(f, x: np.ndarray, i: int, sign: int, found: float) -> float:
    """The extremum of |f| beside grid point i, to rounding."""
    if not 0 < i < len(x) - 1:
        return found
    bracket = (x[i - 1], x[i + 1])
    best = minimize_scalar(lambda t: sign * abs(float(f(np.array([t]))[0])), bounds=bracket, method="bounded")
    return sign * min(sign * found, float(best.fun))
