"""Chebyshev interpolation of Gaussian expectations in ln q, on fixed segments; knows no network.

Whatever f is, E f(x) over x ~ N(0, q) is analytic in t = ln q for |Im t| < pi/2, since there exp(-x^2 exp(-t)/2) still
decays; its size is at most that of E|f| at the real variance |q|/cos(Im t), times 1/sqrt(cos(Im t)) for one Gaussian
and 1/cos(Im t) for two (derived). For non-negative f, sqrt(q) E f increases with q. The ellipse below therefore bounds
the error of interpolation by E f at one length.
"""

import functools
import math

import numpy as np

__all__ = [
    "ELLIPSE_REACH",
    "LENGTH_NODES",
    "SEGMENT",
    "chebyshev_nodes",
    "chebyshev_polynomials",
    "interpolation_error",
    "lebesgue",
    "length_error",
    "segment_nodes",
    "segments_of",
    "to_coefficients",
]

SEGMENT = 2.0  # length of a segment in ln q
LENGTH_NODES = 32
# The ellipse around a segment that reaches 1.4 < pi/2 into the complex plane. On it |q|/cos(Im t) is at most
# exp(3) times the segment's lower end, and what sqrt(q) E f and the cosines add is at most a factor of 8.
ELLIPSE = 1.4 + math.hypot(1.4, 1.0)
ELLIPSE_REACH = math.exp(3.0)
ELLIPSE_GROWTH = 8.0


@functools.cache
def chebyshev_nodes(n: int) -> np.ndarray:
    """The n zeros of T_n, in (-1, 1), decreasing."""
    return np.cos(math.pi * (np.arange(n) + 0.5) / n)


@functools.cache
def to_coefficients(n: int) -> np.ndarray:
    """The matrix (n, n) that takes values at `chebyshev_nodes` to Chebyshev coefficients."""
    angle = math.pi * (np.arange(n) + 0.5) / n
    matrix = np.cos(np.outer(np.arange(n), angle)) * (2 / n)
    matrix[0] /= 2
    return matrix


def chebyshev_polynomials(x: np.ndarray, n: int) -> np.ndarray:
    """T_0, ..., T_(n-1) at x (m,) in [-1, 1], shape (m, n)."""
    table = np.empty((n, x.size))
    table[0] = 1.0
    table[1] = x
    twice = 2 * x
    for k in range(2, n):
        np.multiply(twice, table[k - 1], out=table[k])
        table[k] -= table[k - 2]
    return table.T


def lebesgue(n: int) -> float:
    """A bound on how much interpolation at n nodes enlarges an error of the values."""
    return 1 + 2 / math.pi * math.log(n)


def interpolation_error(n: int, ellipse: float) -> float:
    """A bound on the error of interpolation at n nodes, for functions that are at most 1 on the ellipse around them.

    Its foci are the ends of the segment, its semi-axes (ellipse +- 1/ellipse)/2 half-lengths.

    References
    ----------
    .. [1] Trefethen, Approximation Theory and Approximation Practice, theorem 8.2.
    """
    return 4 * ellipse ** (1 - n) / (ellipse - 1)


def length_error(size: float) -> float:
    """The bound for LENGTH_NODES nodes in ln q; `size` is E|f| at ELLIPSE_REACH times the segment's lower end."""
    return interpolation_error(LENGTH_NODES, ELLIPSE) * ELLIPSE_GROWTH * size


def segments_of(q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The number of the segment of each q (n,) and the place in it, from -1 to 1."""
    position = np.log(q) / SEGMENT
    segment = np.floor(position)
    return segment.astype(np.int64), 2 * (position - segment) - 1


def segment_nodes(segment: int, n: int = LENGTH_NODES) -> np.ndarray:
    """The lengths (n,) at which functions are evaluated on a segment."""
    return np.exp(SEGMENT * (segment + 0.5 + 0.5 * chebyshev_nodes(n)))
