"""The critical line: pairs (sigma_w, sigma_b) at whose fixed point the correlation map has slope one."""

import contextlib
import math
from dataclasses import dataclass

import numpy as np

from meanfield.arguments import interval, scalar
from meanfield.critical_curve import (
    LEAST,
    critical_curve,
    lengths_at_sigma_b,
    lengths_at_sigma_w,
    meets_degenerate_line,
    stability_onset,
    values_far_out,
)
from meanfield.equilibria import LOOSE, is_stable
from meanfield.errors import (
    AccuracyWarning,
    InvalidParameterError,
    NoCriticalPointError,
    NonlinearityError,
    Status,
    UnstableCriticalPointWarning,
    warn,
)
from meanfield.expressions import as_nonlinearity
from meanfield.gaussian_moments import evaluate
from meanfield.length_landscapes import signs_beside
from meanfield.nonlinearity import Nonlinearity
from meanfield.profiles import PROFILE_RANGE, TOP, far_profile, profile
from meanfield.quadrature import EPS
from meanfield.results import Result
from meanfield.slopes import BESIDE, ULPS, is_one

__all__ = ["CriticalLine", "CriticalPoint", "critical_line", "critical_point", "critical_points"]


@dataclass(frozen=True, kw_only=True, eq=False)
class CriticalPoint(Result):
    """A point of the critical line, chi_1 = sigma_w^2 E phi'^2 = 1 at a fixed point q_star of the length map.

    Attributes
    ----------
    sigma_w, sigma_b : float
        Standard deviations of weights and biases.
    q_star : float
        The length that is fixed there.
    alpha : float
        Slope of the length map.
    stable : bool
        Does the length return to q_star? If not, it drifts away and the network is not critical at depth.
    error : float
        Absolute error bound that holds for sigma_w, sigma_b and q_star.
    errors : dict
        The bound of each field.
    status : Status
    """

    sigma_w: float
    sigma_b: float
    q_star: float
    alpha: float
    stable: bool
    error: float
    errors: dict[str, float]
    status: Status


@dataclass(frozen=True, kw_only=True, eq=False)
class CriticalLine(Result):
    """Critical points as arrays of one shape; nan, and a status, where there is none.

    Attributes
    ----------
    sigma_w, sigma_b, q_star, alpha : array of float
    stable : array of bool
    error : array of float
        Bound that holds for sigma_w, sigma_b and q_star.
    errors : dict of arrays
    status : array of Status, dtype object
    """

    sigma_w: np.ndarray
    sigma_b: np.ndarray
    q_star: np.ndarray
    alpha: np.ndarray
    stable: np.ndarray
    error: np.ndarray
    errors: dict[str, np.ndarray]
    status: np.ndarray


def critical_point(phi, *, sigma_b=None, sigma_w=None, q_star=None) -> CriticalPoint:
    """The critical point with the given sigma_b, sigma_w or q_star: the stable one of smallest q_star.

    Parameters
    ----------
    phi : str or Nonlinearity
    sigma_b : float, >= 0, optional
    sigma_w : float, > 0, optional
    q_star : float, >= 0, optional
        Exactly one of the three.

    Returns
    -------
    CriticalPoint
        If only unstable ones exist, the first of them, with a warning.

    Raises
    ------
    InvalidParameterError
        None or several of the three are given, or one is outside its range.
    NoCriticalPointError
        The critical line has no such point; the message says what it reaches.

    Warns
    -----
    UnstableCriticalPointWarning
        The length is repelled from q_star.
    AccuracyWarning
        sigma_w or q_star is known to less than six digits.

    Notes
    -----
    At a given q, sigma_w^2 = 1/mu_1(q) and sigma_b^2 = q - sigma_w^2 V(q).

    References
    ----------
    .. [1] Schoenholz et al., arXiv:1611.01232, eq. 10. [2] Hayou et al., arXiv:1902.06853, algorithm 1.

    Examples
    --------
    >>> point = critical_point("tanh", sigma_b=0.3)
    >>> round(point.sigma_w, 9), round(point.q_star, 9)
    (1.395583975, 0.763474767)
    """
    points = critical_points(phi, sigma_b=sigma_b, sigma_w=sigma_w, q_star=q_star)
    point = next((p for p in points if p.stable), points[0])
    if not point.stable:
        warn(_unstable_message(as_nonlinearity(phi), point), UnstableCriticalPointWarning)
    if point.status == Status.LOW_ACCURACY:
        told = ", ".join(f"{name} to {point.errors[name]:.1e}" for name in ("sigma_w", "q_star"))
        warn(f"{as_nonlinearity(phi).name}: the critical point is known to its errors only: {told}", AccuracyWarning)
    return point


def critical_points(phi, *, sigma_b=None, sigma_w=None, q_star=None) -> tuple[CriticalPoint, ...]:
    """Every critical point with the given sigma_b, sigma_w or q_star, by increasing q_star.

    Parameters
    ----------
    phi : str or Nonlinearity
    sigma_b, sigma_w, q_star : float, optional
        Exactly one of the three, as for `critical_point`.

    Returns
    -------
    tuple of CriticalPoint
        At least one; instability is told by `stable`, without a warning.

    Raises
    ------
    InvalidParameterError, NoCriticalPointError
        As for `critical_point`.

    Examples
    --------
    >>> [point.stable for point in critical_points("silu", sigma_b=0.2)]
    [False]
    """
    nonlinearity = as_nonlinearity(phi)
    name, value = _the_one_given(sigma_b=sigma_b, sigma_w=sigma_w, q_star=q_star)
    target = scalar(name, value, low=0.0, open_low=name == "sigma_w")
    lengths = _lengths(nonlinearity, name, target)
    if not lengths:
        raise NoCriticalPointError(_nowhere_message(nonlinearity, name, target))
    return tuple(_at_length(nonlinearity, q, name, target) for q in lengths)


def _lengths(phi: Nonlinearity, name: str, target: float) -> list[float]:
    """Every q_star at which the argument `name` has the value `target`, increasing."""
    curve = critical_curve(phi)
    if name == "q_star":
        return [target] if curve.defined_at(phi, target) else []
    if curve.degenerate:
        return [1.0] if meets_degenerate_line(phi, name, target) else []
    return lengths_at_sigma_b(phi, target) if name == "sigma_b" else lengths_at_sigma_w(phi, target)


def critical_line(phi, *, q_star=None, sigma_b=None) -> CriticalLine:
    """The critical line at given lengths or at given bias scales.

    Parameters
    ----------
    phi : str or Nonlinearity
    q_star : array, >= 0, optional
        Lengths; the line is explicit in them.
    sigma_b : array, >= 0, optional
        Bias standard deviations; for each the point that `critical_point` chooses. Exactly one of the two.

    Returns
    -------
    CriticalLine
        Of the shape given; nan and Status.NO_CRITICAL_POINT where there is none, Status.MOMENT_NOT_FINITE where the
        Gaussian moments are infinite.

    Raises
    ------
    InvalidParameterError
        None or both are given, or a value is outside its range.

    Examples
    --------
    >>> critical_line("sin", q_star=[0.5, 1.0]).sigma_w.round(6)
    array([1.20918 , 1.327251])
    """
    nonlinearity = as_nonlinearity(phi)
    name, value = _the_one_given(q_star=q_star, sigma_b=sigma_b)
    given = interval(name, value, low=0.0)
    if name == "q_star":
        return _line_at_lengths(nonlinearity, given, name, given)
    groups = [_lengths(nonlinearity, name, target) or [math.nan] for target in given.ravel().tolist()]
    sizes = [len(group) for group in groups]
    line = _line_at_lengths(nonlinearity, np.concatenate(groups), name, np.repeat(given.ravel(), sizes))
    starts = np.cumsum([0, *sizes[:-1]])
    chosen = [
        start + int(np.argmax(line.stable[start : start + size])) for start, size in zip(starts, sizes, strict=True)
    ]
    return _picked(line, np.array(chosen).reshape(given.shape))


def _picked(line: CriticalLine, index: np.ndarray) -> CriticalLine:
    """The points of the line at these indices, in their shape."""
    columns = {name: column[index] for name, column in vars(line).items() if name != "errors"}
    return CriticalLine(**columns, errors={name: bound[index] for name, bound in line.errors.items()})


def _the_one_given(**arguments) -> tuple[str, object]:
    given = [(name, value) for name, value in arguments.items() if value is not None]
    if len(given) != 1:
        names = ", ".join(arguments)
        raise InvalidParameterError(
            f"exactly one of {names} must be given, got {' and '.join(n for n, _ in given) or 'none'}"
        )
    return given[0]


def _at_length(phi: Nonlinearity, q: float, name: str, target: float) -> CriticalPoint:
    line = _line_at_lengths(phi, np.array([q]), name, np.array([target]))
    fields = ("sigma_w", "sigma_b", "q_star", "alpha")
    return CriticalPoint(
        **{name: float(getattr(line, name)[0]) for name in fields},
        stable=bool(line.stable[0]),
        error=float(line.error[0]),
        errors={name: float(bound[0]) for name, bound in line.errors.items()},
        status=line.status[0],
    )


def _line_at_lengths(phi: Nonlinearity, lengths: np.ndarray, name: str, target: np.ndarray) -> CriticalLine:
    """The line at lengths that are known exactly (name "q_star"), or found for the sigma_b or sigma_w of `target`.

    nan lengths, where none was found, stay nan. A sigma_b or sigma_w that was asked for is passed on as it is.
    """
    q = lengths.ravel()
    known = np.isfinite(q)
    around = np.multiply.outer(BESIDE[: 1 if name == "q_star" else 3], q[known])
    values, bounds = np.full((5, len(around), q.size), np.nan), np.full((5, q.size), np.inf)
    if known.any():
        # Where nothing is finite within reach of any q, the bounds stay infinite.
        with contextlib.suppress(NonlinearityError):
            found, found_bounds = (part.reshape(5, *around.shape) for part in evaluate(phi, around.ravel()))
            values[:, :, known], bounds[:, known] = found, found_bounds[:, 0]
    values, beside = values[:, 0], values[:, 1:]
    finite = np.isfinite(bounds[:2]).all(axis=0)
    exists = finite & (values[1] > LEAST) & (values[4] >= -bounds[4])
    degenerate = critical_curve(phi).degenerate
    with np.errstate(all="ignore"):
        rows, row_bounds = _explicit(q, values, bounds)
        q_error = np.zeros_like(q)
        if name != "q_star":
            moved = exists & (q > 0) & (not degenerate)
            q_error = _move_errors(q, rows, row_bounds, name, target.ravel(), moved, beside)
        (sigma_w, variance, alpha), (sigma_w_error, variance_error, alpha_error) = rows, row_bounds
        sigma_b = np.sqrt(variance)
        # sqrt turns an absolute error of sigma_b^2 near 0 into its square root.
        sigma_b_error = np.where(variance > variance_error, variance_error / (2 * sigma_b), np.sqrt(variance_error))
    if name == "sigma_b":
        sigma_b, sigma_b_error = target.ravel(), np.zeros_like(q)
    stable = np.zeros(q.size, dtype=bool)
    for i in np.flatnonzero(exists):
        stable[i] = _is_stable(phi, float(q[i]), float(sigma_w[i]), float(alpha[i]), float(alpha_error[i]))
    status = np.array([Status.NO_CRITICAL_POINT] * q.size, dtype=object)  # np.full would make it an int
    status[known & ~finite] = Status.MOMENT_NOT_FINITE
    loose = ~((sigma_w_error <= LOOSE * sigma_w) & (q_error <= LOOSE * q))
    status[exists] = Status.EVERY_Q_FIXED if degenerate else Status.CONVERGED
    status[exists & loose] = Status.LOW_ACCURACY

    def shaped(**found: np.ndarray) -> dict[str, np.ndarray]:
        return {name: np.where(exists, row, np.nan).reshape(lengths.shape) for name, row in found.items()}

    errors = shaped(sigma_w=sigma_w_error, sigma_b=sigma_b_error, q_star=q_error, alpha=alpha_error)
    return CriticalLine(
        **shaped(sigma_w=sigma_w, sigma_b=sigma_b, q_star=q, alpha=alpha),
        stable=stable.reshape(lengths.shape),
        error=np.max([errors[name] for name in ("sigma_w", "sigma_b", "q_star")], axis=0),
        errors=errors,
        status=status.reshape(lengths.shape),
    )


def _explicit(q: np.ndarray, values: np.ndarray, bounds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """sigma_w, sigma_b^2 and alpha of the critical points of lengths q, and bounds, (3, n), from the moments (5, n)."""
    _, mu_1, _, V_slope, ratio = values
    _, mu_1_bound, _, V_slope_bound, ratio_bound = bounds
    relative = mu_1_bound / mu_1
    sigma_w = mu_1**-0.5
    variance = np.where(np.abs(ratio) <= ratio_bound, 0.0, ratio) / mu_1
    alpha = np.where(q > 0, V_slope / mu_1, 1.0)
    alpha_bound = np.where(q > 0, V_slope_bound / mu_1 + np.abs(alpha) * (relative + 2 * EPS), 2 * EPS)
    variance_bound = ratio_bound / mu_1 + np.abs(variance) * (relative + 2 * EPS)
    row_bounds = np.array([sigma_w * (relative / 2 + EPS), variance_bound, alpha_bound])
    return np.array([sigma_w, variance, alpha]), row_bounds


def _move_errors(
    q: np.ndarray, rows: np.ndarray, row_bounds: np.ndarray, name: str, target: np.ndarray, moved, beside: np.ndarray
) -> np.ndarray:
    """The error of the lengths q found for a sigma_w or sigma_b; `rows` and `row_bounds` of `_explicit` follow it.

    By difference quotients of the moments `beside` q (5, 2, n) with a safety factor of 2 where q is `moved`; elsewhere
    it is exact.
    """
    changes = np.zeros_like(rows)  # over a step of 2e-4 q
    _, mu_1, _, V_slope, ratio = beside[:, :, moved]
    changes[:, moved] = np.abs(np.diff([mu_1**-0.5, ratio / mu_1, V_slope / mu_1], axis=1))[:, 0]
    row, aim = (0, target) if name == "sigma_w" else (1, target**2)
    missed = np.abs(rows[row] - aim) + row_bounds[row]
    steps = np.where(moved, missed / changes[row] + EPS / 1e-4, 0.0)
    with_it = 2 * steps * changes
    row_bounds += np.where(np.isnan(with_it), np.inf, with_it)  # 0 x inf: nothing is known of q, so neither of these
    rows[row], row_bounds[row] = aim, np.where(moved, 0.0, missed)
    return 2e-4 * q * steps


def _is_stable(phi: Nonlinearity, q: float, sigma_w: float, alpha: float, bound: float) -> bool:
    if q > 0 and not is_one(alpha, bound):
        return alpha < 1
    if critical_curve(phi).degenerate:
        return True
    # alpha = 1: the sign of the drift sigma_w^2 V(x) + sigma_b^2 - x at the nearest lengths where it is not 0. It is
    # divided by sigma_w^2, which is huge where phi' vanishes near 0.
    near = profile(phi)
    table = near if q < near.q[-2] else far_profile(phi)
    here = float(evaluate(phi, np.array([q]))[0][0, 0]) if q else 0.0
    drift = table.row("V") - here - (table.q - q) / sigma_w**2
    noise = table.bound("V") + ULPS * (table.q + q) / sigma_w**2
    sign = np.where(np.abs(drift) <= noise, 0, np.sign(drift))
    return is_stable(1.0, 0.0, *signs_beside(table.q, sign, q))


def _unstable_message(phi: Nonlinearity, point: CriticalPoint) -> str:
    message = (
        f"{phi.name}: the critical point sigma_w = {point.sigma_w:.6g}, sigma_b = {point.sigma_b:.6g} is an unstable "
        f"fixed point of the length map (q_star = {point.q_star:.6g}, alpha = {point.alpha:.6g}): lengths drift away"
    )
    onset = stability_onset(phi)
    if onset is None:
        return message
    return f"{message}; critical points attract from sigma_b = {onset[0]:.4g} on"


def _nowhere_message(phi: Nonlinearity, name: str, target: float) -> str:
    curve = critical_curve(phi)
    start = f"{phi.name}: no critical point has {name} = {target:g}"
    if curve.degenerate:
        return f"{start}; the only one is sigma_w = {curve.sigma_w[0]:.6g}, sigma_b = 0, at every q_star"
    table = profile(phi)
    present = curve.variance >= 0
    if not present.any():
        reason = "phi' vanishes" if not curve.q.size else "chi_1 = 1 would need sigma_b^2 = q - V/mu_1 < 0"
        return f"{start}, nor any other up to q_star = {table.q[-1]:.3g}: {reason} at every q searched; {table.end}"
    q, sigma_b, sigma_w = curve.q[present], np.sqrt(curve.variance[present]), curve.sigma_w[present]
    values = {"sigma_b": sigma_b, "sigma_w": sigma_w, "q_star": q}[name]
    low, high = float(values.min()), float(values.max())
    bottom = f"from {low:.6g}"
    if table.end == TOP:
        far = values_far_out(phi, name)
        high = float(np.fmax.reduce(far, initial=high))
        if (far < low).any():  # it falls to a limit
            bottom = f"above {float(np.fmin.reduce(far)):.6g}"
    if q[0] <= 1.01 * PROFILE_RANGE[0] and name in ("sigma_b", "q_star"):
        bottom = "from 0" if curve.from_origin else "above 0"
    end = f"{table.searched:.3g}" if table.end == TOP else f"{curve.q[-1]:.3g}; {table.end}"
    return f"{start}; attainable is {name} {bottom} to {high:.6g} (q_star is searched up to {end})"
