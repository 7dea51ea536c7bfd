"""Gaussian moments of a nonlinearity: a closed form where one is proved, quadrature everywhere else."""

import functools
import math
from dataclasses import dataclass

import numpy as np

from meanfield.arguments import interval
from meanfield.errors import AccuracyWarning, NonlinearityError, warn
from meanfield.nonlinearity import Nonlinearity, finest_scale
from meanfield.quadrature import EPS, HalfLineQuadrature
from meanfield.results import Result

__all__ = [
    "FIELDS",
    "Moments",
    "evaluate",
    "germ",
    "moments",
    "refuse_infinite",
    "scan",
]

FIELDS = ("V", "mu_1", "mu_2", "V_slope", "critical_ratio")
DOCUMENTED_ACCURACY = 1e-10  # relative; looser results come with an AccuracyWarning


@dataclass(frozen=True, kw_only=True, eq=False)
class Moments(Result):
    """Gaussian moments of phi at variance q, z standard normal; floats, or arrays of q's shape.

    Attributes
    ----------
    q : variance
    V : E phi(sqrt(q) z)^2
    mu_1, mu_2 : E phi'^2 and E phi'^4; mu_2 may be inf
    V_slope : dV/dq = E[phi phi' z]/sqrt(q)
    critical_ratio : q mu_1 - V, which is sigma_b^2/sigma_w^2 on the critical line
    errors : absolute error bound of each of the above
    """

    q: float | np.ndarray
    V: float | np.ndarray
    mu_1: float | np.ndarray
    mu_2: float | np.ndarray
    V_slope: float | np.ndarray
    critical_ratio: float | np.ndarray
    errors: dict[str, float | np.ndarray]


def moments(phi: Nonlinearity, q) -> Moments:
    """Gaussian moments of `phi` at variance `q` (>= 0, any shape), each with an error bound.

    Raises
    ------
    InvalidParameterError
        q is not finite or negative.
    NonlinearityError
        A moment is infinite at this q, or phi^2 grows beyond float64 within the Gaussian's tail.
    """
    lengths = interval("q", q, low=0.0)
    values, errors = evaluate(phi, lengths.ravel())
    refuse_infinite(phi, lengths.ravel(), errors[:2])
    relative = errors[:2] / np.maximum(values[:2], np.finfo(float).tiny)
    if relative.max() > DOCUMENTED_ACCURACY:
        warn(
            f"{phi.name}: Gaussian moments are accurate to {relative.max():.1e} only; their errors say so",
            AccuracyWarning,
        )
    shaped = {name: row.reshape(lengths.shape)[()] for name, row in zip(FIELDS, values, strict=True)}
    bounds = {name: row.reshape(lengths.shape)[()] for name, row in zip(FIELDS, errors, strict=True)}
    return Moments(q=lengths[()], errors=bounds, **shaped)


def refuse_infinite(phi: Nonlinearity, q: np.ndarray, errors: np.ndarray) -> None:
    """Raise NonlinearityError at the first q where a bound is infinite; errors has shape (m, n)."""
    infinite = ~np.isfinite(errors).all(axis=0)
    if infinite.any():
        raise NonlinearityError(
            f"{phi.name}: at q = {q[infinite][0]:.6g} E phi^2 or E phi'^2 is infinite, or phi^2 grows beyond double "
            "precision within the Gaussian's tail"
        )


def evaluate(phi: Nonlinearity, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows FIELDS at variances q (n,): values and absolute error bounds (5, n), inf where a moment is infinite."""
    return _assemble(phi, q, bounded=True)


def scan(phi: Nonlinearity, q: np.ndarray) -> np.ndarray:
    """Rows FIELDS at variances q (n,), at half the cost: for searches whose answer is evaluated again."""
    return _assemble(phi, q, bounded=False)[0]


@functools.lru_cache(maxsize=256)
def germ(phi: Nonlinearity) -> tuple[float, float, float]:
    """phi(0) and the one-sided slopes phi'(0-), phi'(0+)."""
    with np.errstate(all="ignore"):
        value = float(phi.function(np.zeros(1))[0])
        # Far below every scale of phi, far above the denormals that phi' might square.
        below, above = (float(s) for s in phi.derivative(np.array([-1e-150, 1e-150])))
    if not math.isfinite(value + below + above):
        raise NonlinearityError(f"{phi.name}: phi or phi' is not finite at x = 0")
    return value, below, above


@dataclass(frozen=True)
class _Skeleton:
    """h(x) = value + above x for x > 0, value + below x for x < 0: what phi is compared with."""

    value: float
    below: float
    above: float


def _tangent(phi: Nonlinearity) -> _Skeleton:
    value, below, above = germ(phi)
    return _Skeleton(value, (below + above) / 2, (below + above) / 2)


@functools.lru_cache(maxsize=256)
def _asymptotes(phi: Nonlinearity) -> tuple[float, _Skeleton]:
    """The slopes of phi far out, and the q from which they serve better than the tangent; inf where they never do."""
    x = 2.0 ** np.arange(-20, 21)
    with np.errstate(all="ignore"):
        below, above = phi.derivative(-x), phi.derivative(x)
        ends = _Skeleton(0.0, float(below[-1]), float(above[-1]))
        scale = max(abs(ends.below), abs(ends.above))
        away = np.maximum(np.abs(below - ends.below), np.abs(above - ends.above))
        settled = away <= 0.1 * scale
    # Without slopes there is nothing to take off.
    if scale == 0 or not settled[-2:].all():
        return math.inf, ends
    first = np.flatnonzero(~settled)[-1:] + 1
    return float(x[first[0]] ** 2) if first.size else 0.0, ends


@functools.lru_cache(maxsize=512)
def _quadrature(phi: Nonlinearity, skeleton: _Skeleton) -> HalfLineQuadrature:
    value, above, below = skeleton.value, skeleton.above, skeleton.below

    def rows(x: np.ndarray) -> np.ndarray:
        right, left, right_slope, left_slope = phi.function(x), phi.function(-x), phi.derivative(x), phi.derivative(-x)
        bend_right, bend_left = right - value - above * x, left - value + below * x
        return np.array(
            [right, left, right_slope, left_slope, bend_right, bend_left, right_slope - above, left_slope - below]
        )

    def integrands(x: np.ndarray, r: np.ndarray) -> np.ndarray:
        right, left, right_slope, left_slope, bend_right, bend_left, turn_right, turn_left = r
        return np.array(
            [
                right**2 + left**2,
                right_slope**2 + left_slope**2,
                right_slope**4 + left_slope**4,
                # E[phi phi' x] with E[phi(0) phi'(0) x] = 0 left out: it would cancel, and swamp the rest as q -> 0.
                ((right - value) * right_slope - (left - value) * left_slope + value * (turn_right - turn_left)) * x,
                bend_right**2 + bend_left**2,
                bend_right + bend_left,
                turn_right**2 + turn_left**2,
            ]
        )

    def kinks(low: float, high: float) -> np.ndarray:
        return np.unique(np.abs(phi.kinks_between(-high, high)))

    return HalfLineQuadrature(rows, integrands, kinks, resolving=4, finest=finest_scale(phi))


def _assemble(phi: Nonlinearity, q: np.ndarray, *, bounded: bool) -> tuple[np.ndarray, np.ndarray]:
    hooks = phi.closed_forms
    values, errors = np.full((5, q.size), np.nan), np.full((5, q.size), np.inf)
    positive = q > 0
    for row, name in enumerate(FIELDS):
        hook = getattr(hooks, name)
        if hook is None:
            continue
        where = positive & hook.covers(q)
        values[row, where] = hook.formula(q[where])
        errors[row, where] = hook.relative_error * np.abs(values[row, where])
    if not positive.all():
        at_zero, bounds = _at_zero(phi)
        values[:, ~positive], errors[:, ~positive] = at_zero[:, None], bounds[:, None]
    _direct_ratio(q, values, errors)
    missing = ~np.isfinite(errors[:4]).all(axis=0) | (errors[4] > 1e-12 * np.abs(values[4]))
    missing &= positive & (errors[4] > 0)
    if missing.any():
        found, bounds = _by_quadrature(phi, q[missing], bounded=bounded)
        known = errors[:, missing]
        better = (bounds < known) | np.isinf(known)
        values[:, missing] = np.where(better, found, values[:, missing])
        errors[:, missing] = np.where(better, bounds, known)
    return values, errors


def _direct_ratio(q: np.ndarray, values: np.ndarray, errors: np.ndarray) -> None:
    """Fill critical_ratio by q mu_1 - V where that is the more accurate."""
    V, mu_1 = values[0], values[1]
    bound = q * errors[1] + errors[0] + 2 * EPS * (q * np.abs(mu_1) + V)
    better = bound < errors[4]
    values[4, better] = (q * mu_1 - V)[better]
    errors[4, better] = bound[better]


def _by_quadrature(phi: Nonlinearity, q: np.ndarray, *, bounded: bool) -> tuple[np.ndarray, np.ndarray]:
    start, asymptotes = _asymptotes(phi)
    values, errors = np.empty((5, q.size)), np.empty((5, q.size))
    for where, skeleton in ((q < start, _tangent(phi)), (q >= start, asymptotes)):
        if where.any():
            values[:, where], errors[:, where] = _relative_to(phi, skeleton, q[where], bounded=bounded)
    return values, errors


def _relative_to(
    phi: Nonlinearity, skeleton: _Skeleton, q: np.ndarray, *, bounded: bool
) -> tuple[np.ndarray, np.ndarray]:
    rule, value = _quadrature(phi, skeleton), skeleton.value
    try:
        if bounded:
            sums, bounds = rule.expectation(q)
        else:
            sums = rule.values(q)
            bounds = np.where(np.isfinite(sums), 1e-14 * np.abs(sums), np.inf)
    except OverflowError as error:
        raise NonlinearityError(f"{phi.name}: {error}") from None
    V, mu_1, mu_2, V_slope, bend_2, bend, turn_2 = sums
    # Theory: with phi = h + psi and phi' = h' + chi, Stein's identity E[x h' psi] = q E[(h' psi)'] gives q mu_1 - V =
    # q E[chi^2] - E[psi^2] - h(0)^2 - 2 h(0) E[psi] - 2 phi(0) (jump of h') sqrt(q/(2 pi)): nothing of order q is left
    # to cancel, near 0 against the tangent, far out against the asymptotic slopes.
    corner = germ(phi)[0] * (skeleton.above - skeleton.below) * math.sqrt(2 / math.pi) * np.sqrt(q)
    # phi and phi' less their skeletons cannot be told from 0 below a rounding of phi and phi'; all nodes may be lost.
    lost_turn = EPS * max(abs(skeleton.above), abs(skeleton.below))
    lost_bend = EPS * abs(value) + lost_turn * np.sqrt(q)
    with np.errstate(over="ignore", invalid="ignore"):
        ratio = q * turn_2 - bend_2 - value**2 - 2 * value * bend - corner
        size = q * turn_2 + bend_2 + value**2 + 2 * abs(value) * np.abs(bend) + np.abs(corner)
        ratio_bound = q * bounds[6] + bounds[4] + 2 * abs(value) * bounds[5] + 4 * EPS * size
        ratio_bound += q * lost_turn * (np.sqrt(turn_2) + lost_turn)
        ratio_bound += lost_bend * (np.sqrt(bend_2) + lost_bend + abs(value))
        slope_bound = bounds[3] / q + EPS * np.abs(V_slope / q) + 4 * EPS * abs(value) * np.sqrt(mu_1 / q)
        values = np.array([V, mu_1, mu_2, V_slope / q, ratio])
        errors = np.array([bounds[0], bounds[1], bounds[2], slope_bound, ratio_bound])
        _direct_ratio(q, values, errors)
    infinite = np.isnan(values) | np.isinf(errors)
    beyond = np.array([np.inf, np.inf, np.inf, np.nan, np.nan])[:, None]
    return np.where(infinite, beyond, values), np.where(infinite, np.inf, errors)


@functools.lru_cache(maxsize=256)
def _at_zero(phi: Nonlinearity) -> tuple[np.ndarray, np.ndarray]:
    """The limits q -> 0+ of FIELDS and their bounds."""
    value, below, above = germ(phi)
    mu_1, mu_2 = (below**2 + above**2) / 2, (below**4 + above**4) / 2
    V_slope, bound = mu_1, 2 * EPS * mu_1
    if value:
        # phi(0) phi''(0) as an extrapolated limit: no second derivative is asked of the user.
        near, bounds = _by_quadrature(phi, 1e-4 * np.array([1.0, 2.0, 4.0]), bounded=True)
        linear = 2 * near[3, :2] - near[3, 1:]
        V_slope = float((4 * linear[0] - linear[1]) / 3)
        bound = float(8 * bounds[3].max() + 2 * abs(V_slope - linear[0]))
    values = np.array([value**2, mu_1, mu_2, V_slope, -(value**2)])
    return values, np.array([2 * EPS, 4 * EPS, 8 * EPS, 0.0, 2 * EPS]) * np.abs(values) + np.array([0, 0, 0, bound, 0])
