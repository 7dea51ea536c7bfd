"""A function f of a Gaussian x, as Legendre series on intervals where f^2 is monotone."""

import functools
import itertools
import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.polynomial import legendre

from meanfield.errors import NonlinearityError
from meanfield.quadrature import EPS, NODES, ORDER, TO_LEGENDRE

__all__ = ["REACH", "Piece", "is_even", "monotone_pieces"]

REACH = 9.5  # standard deviations of x that are kept; 2e-21 lies beyond
RESOLVED = 4e-15  # trailing Legendre coefficients relative to the variation on the panel
PLATEAU = 1e-9  # a flat tail below this is rounding noise of f
SQUARES_UNDERFLOW = 1e-150
MAX_BISECTIONS = 56
MAX_PANELS = 20_000
LARGEST_RATIO = 1e3  # of |f| on a panel: what is resolved relative to the largest value has to serve the smallest too
NEAREST = 1e-10  # how close to an end, in half widths, f^2 is told apart from its value there
NEAREST_EXTREMUM = 1e-7
NEAREST_ZERO = 1e-13  # there f^2 covers many orders of magnitude
_BASES = (
    np.array([0.0, 0.5, 1.0, 2.0, 3.0, 4.5, 6.0, 7.5, REACH]),
    np.array([0.0, 0.37, 0.81, 1.6, 2.5, 3.7, 5.2, 6.9, REACH]),
)
_GRADINGS = (1.0, 0.74)
_AT_SAMPLES = legendre.legvander(np.linspace(-1, 1, 33), ORDER - 1)


@dataclass(frozen=True)
class Piece:
    """f on [a, b] as a Legendre series on its parent panel, centre +- half; constant where f is, to rounding."""

    a: float
    b: float
    centre: float
    half: float
    series: np.ndarray
    constant: bool = False

    def f(self, x):
        return legendre.legval((x - self.centre) / self.half, self.series)

    def slope(self, x):
        """f'."""
        return legendre.legval((x - self.centre) / self.half, self._derivative) / self.half

    @functools.cached_property
    def _derivative(self) -> np.ndarray:
        return legendre.legder(self.series)

    def finest(self, x: float) -> float:
        """First panel at the end x, in half widths: f^2 itself is no sharper than rounding at a smooth extremum."""
        slope, value = self.half * self.slope(x), abs(self.f(x))
        if abs(slope) <= 1e-6 * value:
            return NEAREST_EXTREMUM
        return NEAREST_ZERO if value <= 1e-6 * abs(slope) else NEAREST

    @functools.cached_property
    def direction(self) -> int:
        """1 where f^2 increases, -1 where it decreases."""
        return 1 if abs(self.f(self.b)) > abs(self.f(self.a)) else -1


def monotone_pieces(f, q: float, kinks, partition: int) -> list[Piece]:
    """Pieces on which f^2 is monotone or constant, from left to right; of an even f^2 the right half line only.

    Raises
    ------
    NonlinearityError
        f is not finite within reach, or takes too many panels.
    """
    spread = math.sqrt(q)
    edges = _edges(spread, kinks, partition, is_even(f, q))
    return [cut for panel in _resolve(f, edges, spread) for cut in _monotone_cuts(panel)]


def is_even(f, q: float) -> bool:
    """Is |f| even, to rounding?"""
    x = math.sqrt(q) * np.linspace(0.01, REACH, 64)
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


def _resolve(f, edges: np.ndarray, spread: float) -> list[Piece]:
    """Panels bisected until Legendre interpolation resolves f on each; those too narrow for that are left out."""
    left, right = edges[:-1], edges[1:]
    found: list[Piece] = []
    largest = 0.0
    for _ in range(MAX_BISECTIONS + 1):
        half = (right - left) / 2
        values = f((left + half)[:, None] + half[:, None] * NODES)
        if not np.isfinite(values).all():
            raise NonlinearityError(f"phi' is not finite within {REACH:g} standard deviations of {spread:.6g}")
        largest = max(largest, float(np.abs(values).max()))
        series, done = _interpolants(values, EPS * largest)
        found.extend(
            Piece(left[i], right[i], left[i] + half[i], half[i], series[i], len(series[i]) == 1)
            for i in np.flatnonzero(done)
        )
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
    sharp = tail <= argument * np.maximum(RESOLVED * np.ptp(values, axis=1), 2 * EPS * scale)
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


def _monotone_cuts(piece: Piece) -> list[Piece]:
    """The piece, cut at the zeros of f and f'."""
    if piece.constant:
        return [piece]
    cuts: list[float] = []
    for series in (piece.series, legendre.legder(piece.series)):
        signs = np.sign(_AT_SAMPLES[:, : len(series)] @ series)
        if len(series) > 1 and (signs[:-1] * signs[1:] <= 0).any():
            roots = legendre.legroots(series)
            roots = roots[np.abs(roots.imag) <= 1e-7].real
            cuts.extend(float(r) for r in roots[np.abs(roots) < 1 - 1e-9])
    ends = [piece.a, *sorted(piece.centre + piece.half * t for t in set(cuts)), piece.b]
    return [replace(piece, a=a, b=b) for a, b in itertools.pairwise(ends) if b > a]
