"""The dual kernel of a nonlinearity: its expectation, and its derivative's, over two correlated Gaussians."""

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from meanfield.arguments import broadcast, interval
from meanfield.bivariate import TERMS, MehlerSeries, mehler_series, smoothed_products
from meanfield.errors import InvalidParameterError, NonlinearityError
from meanfield.gaussian_moments import germ, refuse_infinite
from meanfield.nonlinearity import Nonlinearity
from meanfield.quadrature import EPS, HalfLineQuadrature
from meanfield.results import Result

__all__ = ["DualKernel", "correlation", "dual_kernel", "evaluate_kernel", "series"]

SERIES_ACCURACY = 1e-13  # relative to sqrt(V(q1) V(q2)); beyond it the nested quadrature is tried too


@dataclass(frozen=True, kw_only=True, eq=False)
class DualKernel(Result):
    """E phi(u) phi(v) and E phi'(u) phi'(v); floats, or arrays of the broadcast shape of c, q1 and q2.

    Attributes
    ----------
    c, q1, q2 : correlation and variances
    value, derivative : the two expectations
    error : absolute error bound of `value`
    errors : bounds of both, by name
    """

    c: float | np.ndarray
    q1: float | np.ndarray
    q2: float | np.ndarray
    value: float | np.ndarray
    derivative: float | np.ndarray
    error: float | np.ndarray
    errors: dict[str, float | np.ndarray]


def correlation(name: str, value) -> np.ndarray:
    """`value` as correlations in [-1, 1]; an excess of a few ulp over 1 is rounding and counts as 1.

    Raises
    ------
    InvalidParameterError
        Not real, not finite or outside [-1, 1].
    """
    array = interval(name, value)
    outside = np.abs(array) > 1 + 4 * EPS
    if outside.any():
        raise InvalidParameterError(f"{name} must be in [-1, 1], got {array[outside].flat[0]}")
    return np.clip(array, -1.0, 1.0)


def dual_kernel(phi: Nonlinearity, c, *, q1: ArrayLike = 1.0, q2: ArrayLike | None = None) -> DualKernel:
    """The dual kernel of `phi` at correlation `c` and variances `q1`, `q2` (None: `q1`), with error bounds.

    Raises
    ------
    InvalidParameterError
        An argument is outside its range or the shapes do not broadcast.
    NonlinearityError
        An expectation is infinite or beyond float64.
    """
    first = interval("q1", q1, low=0.0)
    second = first if q2 is None else interval("q2", q2, low=0.0)
    cs, first, second = broadcast(c=correlation("c", c), q1=first, q2=second)
    values, errors = np.empty((2, cs.size)), np.empty((2, cs.size))
    flat_c, flat_1, flat_2 = cs.ravel(), first.ravel(), second.ravel()
    pairs, which = np.unique(np.stack([flat_1, flat_2], axis=1), axis=0, return_inverse=True)
    for k, (a, b) in enumerate(pairs):
        where = which.ravel() == k
        values[:, where], errors[:, where] = evaluate_kernel(phi, flat_c[where], float(a), float(b))
    refuse_infinite(phi, np.maximum(flat_1, flat_2), errors)
    value, derivative = (row.reshape(cs.shape)[()] for row in values)
    value_error, derivative_error = (row.reshape(cs.shape)[()] for row in errors)
    return DualKernel(
        c=cs[()],
        q1=first[()],
        q2=second[()],
        value=value,
        derivative=derivative,
        error=value_error,
        errors={"value": value_error, "derivative": derivative_error},
    )


def evaluate_kernel(phi: Nonlinearity, c: np.ndarray, q1: float, q2: float) -> tuple[np.ndarray, np.ndarray]:
    """Rows E phi phi and E phi' phi' at correlations c (n,): values and absolute error bounds, (2, n)."""
    values, errors = np.full((2, c.size), np.nan), np.full((2, c.size), np.inf)
    for row, name in enumerate(("dual_value", "dual_derivative")):
        hook = getattr(phi.closed_forms, name)
        if hook is not None and hook.covers(np.array([q1, q2])).all():
            values[row] = hook.formula(c, np.full_like(c, q1), np.full_like(c, q2))
            # A zero of the kernel is met to rounding of its size, the Cauchy-Schwarz bound, not of its value.
            lengths = np.array([q1, q2])
            sizes = hook.formula(np.ones(2), lengths, lengths)
            errors[row] = hook.relative_error * math.prod(np.sqrt(sizes))
    if np.isfinite(errors).all():
        return values, errors
    try:
        found, bounds = _numerically(phi, c, q1, q2)
    except OverflowError as error:
        raise NonlinearityError(f"{phi.name}: {error} of sqrt(q) = {math.sqrt(max(q1, q2)):.6g}") from None
    better = bounds < errors
    return np.where(better, found, values), np.where(better, bounds, errors)


def _numerically(phi: Nonlinearity, c: np.ndarray, q1: float, q2: float) -> tuple[np.ndarray, np.ndarray]:
    if q1 == 0 or q2 == 0:
        return _with_zero_variance(phi, c, q1, q2)
    values, errors = np.empty((2, c.size)), np.empty((2, c.size))
    edge = np.abs(c) == 1
    for sign in (-1.0, 1.0):
        where = c == sign
        if where.any():
            values[:, where], errors[:, where] = (part[:, None] for part in _fully_correlated(phi, sign, q1, q2))
    inside = np.flatnonzero(~edge)
    if not inside.size:
        return values, errors
    first, second = series(phi, q1), series(phi, q2)
    poor = np.zeros(inside.size, dtype=bool)
    for row in range(2):
        values[row, inside], errors[row, inside] = first.product(second, row, c[inside])
        poor |= errors[row, inside] > SERIES_ACCURACY * math.sqrt(first.size[row]) * math.sqrt(second.size[row])
    for i in inside[poor]:
        found, bounds = smoothed_products(functools.partial(_rows, phi), phi.breaks_between, float(c[i]), q1, q2)
        better = bounds < errors[:, i]
        values[better, i], errors[better, i] = found[better], bounds[better]
    return values, errors


def _rows(phi: Nonlinearity, x: np.ndarray) -> np.ndarray:
    return np.array([phi.function(x), phi.derivative(x)])


@functools.lru_cache(maxsize=1024)
def series(phi: Nonlinearity, q: float, terms: int = TERMS) -> MehlerSeries:
    """The first `terms` Hermite coefficients of phi(sqrt(q) z) and phi'(sqrt(q) z), rows 0 and 1."""
    scale = math.sqrt(q)
    return mehler_series(
        lambda z: _rows(phi, scale * z),
        lambda low, high: phi.breaks_between(scale * low, scale * high) / scale,
        terms=terms,
    )


def _fully_correlated(phi: Nonlinearity, sign: float, q1: float, q2: float) -> tuple[np.ndarray, np.ndarray]:
    """c = +-1: one Gaussian z drives both, u = sqrt(q1) z and v = +-sqrt(q2) z."""
    a, b = math.sqrt(q1), sign * math.sqrt(q2)

    def rows(z: np.ndarray) -> np.ndarray:
        return np.concatenate([_rows(phi, s * z) for s in (a, -a, b, -b)])

    def integrands(z: np.ndarray, r: np.ndarray) -> np.ndarray:
        return np.array([r[0] * r[4] + r[2] * r[6], r[1] * r[5] + r[3] * r[7]])

    def kinks(low: float, high: float) -> np.ndarray:
        places = [np.abs(phi.breaks_between(-abs(s) * high, abs(s) * high) / s) for s in (a, b)]
        return np.unique(np.concatenate(places))

    rule = HalfLineQuadrature(rows, integrands, kinks, resolving=8)
    values, errors = rule.expectation(np.array([1.0]))
    return values[:, 0], errors[:, 0]


def _with_zero_variance(phi: Nonlinearity, c: np.ndarray, q1: float, q2: float) -> tuple[np.ndarray, np.ndarray]:
    """A Gaussian of variance 0 sits at 0; where both do, the one-sided slopes meet with orthant probabilities."""
    value, below, above = germ(phi)
    if q1 == 0 and q2 == 0:
        same = 0.25 + np.arcsin(c) / (2 * math.pi)
        values = np.array([np.full_like(c, value**2), (below**2 + above**2) * same + 2 * below * above * (0.5 - same)])
        return values, 8 * EPS * np.array([np.full_like(c, value**2), np.full_like(c, below**2 + above**2)])
    spread = series(phi, max(q1, q2))
    means, bounds = spread.coefficients[0, :, 0], np.abs(np.diff(spread.coefficients[:, :, 0], axis=0))[0]
    factors = np.array([value, (below + above) / 2])
    errors = np.abs(factors) * (2 * bounds + 16 * EPS * np.sqrt(spread.size))
    return np.outer(factors * means, np.ones_like(c)), np.outer(errors, np.ones_like(c))
