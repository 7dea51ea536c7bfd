"""The correlation map at every length, as interpolants in ln q and the angle between two inputs.

With c = cos(theta) and K(c) = E phi(u) phi(v) at variance q, all that its fixed point needs are

    chord(c) = (V - K(c)) / (q (1 - c)) = E (phi(u) - phi(v))^2 / E (u - v)^2  and  derivative(c) = E phi'(u) phi'(v).

A length fixed point has c_star where chord = 1/sigma_w^2, and chi_c = sigma_w^2 derivative: nothing cancels as c -> 1,
where both tend to mu_1. By Mehler's formula both are power series in c with non-negative coefficients, so they are
analytic, and at most mu_1, for |c| < 1. A kink of phi makes them functions of theta, not of theta^2, near 0.
"""

import functools
import math
from dataclasses import dataclass

import numpy as np

from meanfield.bivariate import MehlerSeries
from meanfield.dual_kernels import series
from meanfield.errors import NonlinearityError
from meanfield.gaussian_moments import evaluate
from meanfield.interpolation import (
    ELLIPSE_REACH,
    LENGTH_NODES,
    SEGMENT,
    chebyshev_nodes,
    interpolation_error,
    lebesgue,
    length_error,
    segment_nodes,
    to_coefficients,
)
from meanfield.near_diagonal import near_product
from meanfield.nonlinearity import Nonlinearity

__all__ = ["RINGS", "Block", "block", "is_smooth"]

# Angles between which one polynomial serves. The last ring ends at equal inputs.
RINGS = (math.pi / 2, math.pi / 4, math.pi / 8, math.pi / 16, 0.0)
ANGLE_NODES = 28
RING_ELLIPSE = 4.0  # |cos theta| < 1 on it for every ring but the last
FINEST_ANGLE_NODES = (14, 28)  # tried one after the other in the last ring, where no ellipse is known
RESOLVED = 3e-12  # relative to mu_1; near equal inputs c_star is far better conditioned than that
# c^512 <= 3e-18 in the outer two rings, c^2048 <= 5e-18 in the third.
LONG_SERIES = 2048


@dataclass(frozen=True, eq=False)
class Block:
    """Chebyshev coefficients over a segment of ln q and a ring of angles, shape (LENGTH_NODES, angle nodes).

    chord_error, derivative_error : bounds that hold anywhere in the block.
    steepness : bound on the derivatives of both with respect to ln q.
    """

    chord: np.ndarray
    derivative: np.ndarray
    chord_error: float
    derivative_error: float
    steepness: float


@functools.lru_cache(maxsize=1024)
def block(phi: Nonlinearity, segment: int, ring: int) -> Block | None:
    """The interpolants of one block; None where a moment is infinite or not resolved."""
    try:
        ceiling, ceiling_bound = (
            rows[1, 0] for rows in evaluate(phi, np.array([ELLIPSE_REACH * math.exp(SEGMENT * segment)]))
        )
        if not np.isfinite(ceiling_bound):
            return None
        return _inner_block(phi, segment, ceiling) if ring == len(RINGS) - 2 else _block(phi, segment, ring, ceiling)
    except (NonlinearityError, OverflowError):
        return None


def is_smooth(phi: Nonlinearity, segment: int) -> bool:
    """Do the Hermite coefficients fall fast enough, at the segment's upper end, to make every block cheap?"""
    try:
        return _series(phi, float(segment_nodes(segment)[0]), long=True).has_decayed(1)
    except OverflowError:
        return False


def ring_angles(ring: int, n: int) -> np.ndarray:
    """The angles (n,) at which functions are evaluated on a ring; -1 of its polynomials is the end nearer to 0."""
    high, low = RINGS[ring], RINGS[ring + 1]
    return low + (high - low) * (1 + chebyshev_nodes(n)) / 2


def _block(phi: Nonlinearity, segment: int, ring: int, ceiling: float) -> Block:
    q = segment_nodes(segment)
    theta = ring_angles(ring, ANGLE_NODES)
    c, gap = np.cos(theta), 2 * np.sin(theta / 2) ** 2
    lengths, length_bounds = evaluate(phi, q)
    values, bounds = np.empty((2, 2, q.size, theta.size))
    for i, length in enumerate(q):
        terms = _series(phi, float(length), long=ring == len(RINGS) - 3)
        values[1, i], bounds[1, i] = terms.product(terms, 1, c)
        if terms.has_decayed(1):
            values[0, i], bounds[0, i] = _chord_of_decayed(terms, c, gap), bounds[1, i]
        else:
            K, K_bound = terms.product(terms, 0, c)
            values[0, i] = (lengths[0, i] - K) / (length * gap)
            bounds[0, i] = (length_bounds[0, i] + K_bound) / (length * gap)
    by_angle = ceiling * interpolation_error(ANGLE_NODES, RING_ELLIPSE)
    return _assembled(values, bounds.max(axis=(1, 2)), by_angle, ceiling)


def _chord_of_decayed(terms: MehlerSeries, c: np.ndarray, gap: np.ndarray) -> np.ndarray:
    """The average of sum_k b_k^2 c^k over [c, 1], term by term: b_k^2 (1 - c^(k+1))/((k+1)(1 - c))."""
    squares = terms.coefficients[0, 1] ** 2
    k = np.arange(1, squares.size + 1)
    return ((1 - c[:, None] ** k) @ (squares / k)) / gap


def _inner_block(phi: Nonlinearity, segment: int, ceiling: float) -> Block | None:
    q = segment_nodes(segment)
    for n in FINEST_ANGLE_NODES:
        theta = ring_angles(len(RINGS) - 2, n)
        derivative, bounds = np.array([_near(phi, float(length), theta) for length in q]).transpose(1, 0, 2)
        tail = float(np.abs(derivative @ to_coefficients(n).T)[:, -3:].max())
        if tail <= RESOLVED * ceiling:
            break
    else:
        return None
    values = np.array([derivative @ _averages(n).T, derivative])
    return _assembled(values, np.full(2, bounds.max()), 4 * tail, ceiling)


def _assembled(values: np.ndarray, bounds: np.ndarray, by_angle: float, ceiling: float) -> Block:
    n = values.shape[2]
    chord, derivative = (to_coefficients(LENGTH_NODES) @ part @ to_coefficients(n).T for part in values)
    errors = lebesgue(LENGTH_NODES) * (lebesgue(n) * bounds + by_angle) + length_error(ceiling)
    # Cauchy's estimate: 8 ceiling bounds the functions up to 1.4 away in ln q.
    return Block(chord, derivative, float(errors[0]), float(errors[1]), 8 * ceiling / 1.4)


def _series(phi: Nonlinearity, q: float, *, long: bool) -> MehlerSeries:
    short = series(phi, q)
    return series(phi, q, LONG_SERIES) if long and not short.has_decayed(1) else short


def _near(phi: Nonlinearity, q: float, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """E phi' phi' and its bounds at small angles (n,)."""
    terms = _series(phi, q, long=True)
    if terms.has_decayed(1):
        return terms.product(terms, 1, np.cos(theta))
    found = [near_product(phi.derivative, phi.breaks_between, 2 * math.sin(t / 2) ** 2, q) for t in theta]
    values, bounds = np.array(found).T
    return values, bounds


@functools.cache
def _averages(n: int) -> np.ndarray:
    """The matrix (n, n) from E phi' phi' at the last ring's angles to its averages over [c, 1], the chords there."""
    theta = ring_angles(len(RINGS) - 2, n)
    x, w = np.polynomial.legendre.leggauss(n)
    inner = theta[:, None] * (1 + x) / 2
    weight = theta[:, None] * w / 2 * np.sin(inner) / (2 * np.sin(theta / 2) ** 2)[:, None]
    place = 2 * inner / RINGS[-2] - 1
    table = np.polynomial.chebyshev.chebvander(place.ravel(), n - 1).reshape(n, n, n)
    return np.einsum("ij,ijk->ik", weight, table) @ to_coefficients(n)
