"""The law of f(x)^2 for a Gaussian x and a piecewise smooth f, as sums over a path below the real axis.

On each interval where f^2 is monotone, x is moved off the real axis to the side on which f(x)^2 has negative imaginary
part; Legendre interpolants of f carry it there. The path returns to the axis only where it has to, at kinks and
extrema, and its panels shrink geometrically towards those.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.polynomial import legendre
from scipy.optimize import minimize_scalar
from scipy.special import ndtr

from meanfield.errors import NonlinearityError
from meanfield.freeprob.laws import Law
from meanfield.quadrature import EPS, NODES, ORDER, TO_LEGENDRE, WEIGHTS

__all__ = ["gaussian_pushforward"]

REACH = 9.5  # standard deviations of x that are integrated; 2e-21 lies beyond
BULK = 8.3  # standard deviations that count for the support; 1e-16 lies beyond
RESOLVED = 4e-15  # trailing Legendre coefficients relative to the panel's largest value
SQUARES_UNDERFLOW = 1e-150
PLATEAU = 1e-9  # a flat tail below this is rounding noise of f
MAX_BISECTIONS = 56
MAX_PANELS = 20_000
LARGEST_RATIO = 1e3  # of |f| on a panel: what is resolved relative to the largest value has to serve the smallest too
DEPTH = 0.6  # of the path below the axis, in half widths of the interpolant's panel
STEP = 1.7  # length of a path panel over its depth: 16 nodes then see a pole on the axis to 1e-14
NEAREST = 1e-10  # first panel at a kink or extremum, in half widths
_BASES = (
    np.array([0.0, 0.5, 1.0, 2.0, 3.0, 4.5, 6.0, 7.5, REACH]),
    np.array([0.0, 0.37, 0.81, 1.6, 2.5, 3.7, 5.2, 6.9, REACH]),
)
_GRADINGS = (1.0, 0.74)
FAR = 1e8  # beyond every scale of f


@dataclass(frozen=True)
class _Piece:
    """f on [a, b] as a Legendre series on its parent panel, centre +- half; constant where f is, to rounding."""

    a: float
    b: float
    centre: float
    half: float
    series: np.ndarray
    constant: bool = False

    def f(self, x):
        return legendre.legval((x - self.centre) / self.half, self.series)

    def finest(self, x: float) -> float:
        """First panel at the end x, in half widths: f^2 itself is no sharper than rounding at a smooth extremum."""
        slope = legendre.legval((x - self.centre) / self.half, legendre.legder(self.series))
        return math.sqrt(NEAREST * 1e-4) if abs(slope) <= 1e-6 * abs(self.f(x)) else NEAREST

    def direction(self) -> int:
        """1 where f^2 increases, -1 where it decreases."""
        return 1 if abs(self.f(self.b)) > abs(self.f(self.a)) else -1


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
    0.394294491397
    """
    spread = math.sqrt(q)
    even = _is_even(f, spread)
    edges = _edges(spread, kinks, partition, even)
    pieces = [cut for panel in _resolve(f, edges, spread) for cut in _monotone_cuts(panel)]
    atoms, parts = _atoms(pieces, spread), []
    for path, piece in _paths(pieces):
        parts.append(_nodes_on(path, piece))
    fold = 2.0 if even else 1.0
    d, x, steps = (np.concatenate([part[i] for part in parts] or [np.empty(0, complex)]) for i in range(3))
    weights = fold * steps * np.exp(-(x**2) / (2 * q)) / math.sqrt(2 * math.pi * q)
    heavy = np.abs(weights) > 1e-20
    d, x, weights = d[heavy], x[heavy], weights[heavy]
    bottom, top = _far_range(f, spread, pieces)
    return Law(
        nodes=d,
        weights=weights,
        locations=np.array(sorted(atoms)),
        masses=fold * np.array([atoms[a] for a in sorted(atoms)]),
        intervals=_support(pieces, spread, atoms),
        bottom=bottom,
        top=top,
        sensitivity=weights * (x**2 / q - 1) / (2 * q),
    )


def _is_even(f, spread: float) -> bool:
    x = spread * np.linspace(0.01, REACH, 64)
    right, left = np.abs(f(x)), np.abs(f(-x))
    return bool((np.abs(right - left) <= 4 * EPS * right).all())


def _edges(spread: float, kinks, partition: int, even: bool) -> np.ndarray:
    reach = REACH * spread
    # Graded in x too, for a function's own scale is x ~ 1.
    grading = _GRADINGS[partition] * 2.0 ** np.arange(-4, 60)
    right = np.concatenate([_BASES[partition] * spread, grading[grading < reach]])
    sides = right if even else np.concatenate([-right, right])
    edges = np.unique(np.concatenate([sides, kinks(-reach, reach)]))
    edges = edges[edges >= 0] if even else edges
    apart = np.diff(edges, append=math.inf) > 64 * EPS * np.abs(edges)
    return edges[apart]


def _resolve(f, edges: np.ndarray, spread: float) -> list[_Piece]:
    """Panels bisected until Legendre interpolation resolves f on each; those too narrow for that are left out."""
    left, right = edges[:-1], edges[1:]
    found: list[_Piece] = []
    largest = 0.0
    for _ in range(MAX_BISECTIONS + 1):
        half = (right - left) / 2
        values = f((left + half)[:, None] + half[:, None] * NODES)
        if not np.isfinite(values).all():
            raise NonlinearityError(f"phi' is not finite within {REACH:g} standard deviations of {spread:.6g}")
        largest = max(largest, float(np.abs(values).max()))
        series, done = _interpolants(values, EPS * largest)
        for i in np.flatnonzero(done):
            found.append(_Piece(left[i], right[i], left[i] + half[i], half[i], series[i], len(series[i]) == 1))
        open_ = ~done & (half > 8 * EPS * np.maximum(np.abs(left), np.abs(right)))
        left, middle, right = left[open_], (left + half)[open_], right[open_]
        if not left.size:
            break
        left, right = np.concatenate([left, middle]), np.concatenate([middle, right])
        if len(found) + left.size > MAX_PANELS:
            raise NonlinearityError(f"phi' takes more than {MAX_PANELS} panels within {REACH:g} x {spread:.6g}")
    return sorted(found, key=lambda piece: piece.a)


def _interpolants(values: np.ndarray, rounding: float) -> tuple[list[np.ndarray], np.ndarray]:
    """Legendre series of the rows of `values`, and which of them are resolved, if only to the `rounding` of f."""
    pivot = values[:, 7:8]  # the transform's own rounding then scales with the variation on the panel
    coefficients = (values - pivot) @ TO_LEGENDRE.T
    sizes = np.abs(values)
    scale = sizes.max(axis=1)
    tail = np.abs(coefficients[:, -3:]).max(axis=1)
    middle = np.abs(coefficients[:, 8:12]).max(axis=1)
    # Where f decays like exp(-y) it is rounded by y EPS.
    with np.errstate(divide="ignore", invalid="ignore"):
        argument = 1 + 10 * np.abs(np.nan_to_num(np.log(scale * EPS / rounding), nan=0.0, neginf=0.0))
    sharp = tail <= RESOLVED * argument * scale
    noisy = (middle <= 8 * tail) & (tail <= np.maximum(PLATEAU * scale, 8 * rounding)) & ~sharp
    one_sign = (values > 0).all(axis=1) | (values < 0).all(axis=1)
    steep = one_sign & (scale > LARGEST_RATIO * sizes.min(axis=1))
    done = (sharp | noisy) & ~steep
    coefficients[:, 0] += pivot[:, 0]
    noise = np.where(noisy, 2 * tail, 2 * EPS * argument * scale)
    series = [_trimmed(c, n) for c, n in zip(coefficients, noise, strict=True)]
    flat = np.ptp(values, axis=1) <= 4 * EPS * scale
    nothing = noisy & ~steep & (scale <= 8 * rounding) & (tail >= 1e-3 * scale)
    nothing |= scale <= SQUARES_UNDERFLOW
    for i in np.flatnonzero(flat | nothing):
        series[i] = np.zeros(1) if nothing[i] else values[i, :1]
    return series, done | flat | nothing


def _trimmed(series: np.ndarray, noise: float) -> np.ndarray:
    """Without the trailing coefficients that are rounding: off the axis they would grow."""
    above = np.flatnonzero(np.abs(series) > noise)
    return series[: above[-1] + 1] if above.size else series[:1]


def _monotone_cuts(piece: _Piece) -> list[_Piece]:
    """The piece, cut at the zeros of f and f'."""
    if piece.constant:
        return [piece]
    t = np.linspace(-1, 1, 33)
    cuts: list[float] = []
    for series in (piece.series, legendre.legder(piece.series)):
        signs = np.sign(legendre.legval(t, series))
        if len(series) > 1 and (signs[:-1] * signs[1:] <= 0).any():
            roots = legendre.legroots(series)
            roots = roots[np.abs(roots.imag) <= 1e-7].real
            cuts.extend(float(r) for r in roots[np.abs(roots) < 1 - 1e-9])
    ends = [piece.a, *sorted(piece.centre + piece.half * t for t in set(cuts)), piece.b]
    return [replace(piece, a=a, b=b) for a, b in itertools.pairwise(ends) if b > a]


def _atoms(pieces: list[_Piece], spread: float) -> dict[float, float]:
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

    def depth(self, piece: _Piece, x: np.ndarray) -> np.ndarray:
        return np.minimum(self.cap, np.minimum(self.low + (x - piece.a), self.high + (piece.b - x)))


def _paths(pieces: list[_Piece]) -> list[tuple[_Path, _Piece]]:
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


def _no_steeper_than_1(depths: list[float], pieces: list[_Piece]) -> list[float]:
    """Depths at the vertices lowered until neighbours differ by no more than the length of the piece between them."""
    lengths = [piece.b - piece.a for piece in pieces]
    for i, length in enumerate(lengths):
        depths[i + 1] = min(depths[i + 1], depths[i] + length)
    for i, length in reversed(list(enumerate(lengths))):
        depths[i] = min(depths[i], depths[i + 1] + length)
    return depths


def _vertex(left: tuple[_Piece, float], right: tuple[_Piece, float]) -> float:
    """Depth at the vertex between two pieces: 0 where f^2 turns, f bends or f vanishes."""
    (before, cap), (after, next_cap) = left, right
    if before.constant or after.constant or before.direction() != after.direction() or before.b < after.a:
        return 0.0
    depth = min(cap, next_cap)
    at = after.a - 1j * after.direction() * depth
    agree = abs(before.f(at) - after.f(at)) <= 1e-7 * max(abs(before.f(after.a)), abs(after.f(after.a)))
    return depth if agree else 0.0


def _stays_below(path: _Path, piece: _Piece) -> bool:
    d, x, _ = _nodes_on(path, piece)
    return bool((d.imag <= 1e-9 * np.abs(d)).all())


def _nodes_on(path: _Path, piece: _Piece) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """f^2, x and dx at the nodes of Gauss-Legendre panels along the path."""
    real = _breakpoints(path, piece)
    corners = real - 1j * piece.direction() * path.depth(piece, real)
    half = np.diff(corners) / 2
    x = ((corners[:-1] + half)[:, None] + half[:, None] * NODES).ravel()
    return piece.f(x) ** 2, x, (half[:, None] * WEIGHTS).ravel()


def _breakpoints(path: _Path, piece: _Piece) -> np.ndarray:
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


def _support(pieces: list[_Piece], spread: float, atoms: dict[float, float]) -> tuple[tuple[float, float], ...]:
    """The intervals that f^2 covers within the bulk of the Gaussian, atoms at their ends included."""
    reach = BULK * spread
    images = []
    for piece in pieces:
        a, b = max(piece.a, -reach), min(piece.b, reach)
        if not piece.constant and a < b:
            low, high = sorted((float(piece.f(a)) ** 2, float(piece.f(b)) ** 2))
            images.append((low, high))
    merged: list[list[float]] = []
    for low, high in sorted(images):
        if merged and low <= merged[-1][1] * (1 + 1e-9):
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


def _far_range(f, spread: float, pieces: list[_Piece]) -> tuple[float, float]:
    """Infimum and supremum of f^2 over the whole line; an infimum that f only tends to, if it is small, is 0."""
    ends = np.unique([x for piece in pieces for x in (piece.a, piece.b)])
    far = np.geomspace(REACH * spread, FAR * max(1.0, spread), 1001)
    x = np.concatenate([-far[::-1], ends, -ends[::-1], far])
    x = np.unique(x)
    with np.errstate(all="ignore"):
        values = np.abs(f(x))
        values[~np.isfinite(values)] = np.inf
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
    best = minimize_scalar(lambda t: sign * abs(float(f(np.array([t]))[0])), bounds=(x[i - 1], x[i + 1]), method="bounded")
    return sign * min(sign * found, float(best.fun))
