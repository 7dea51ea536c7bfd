"""Fixed points of the length map, their stability, the correlation they lead to, depth scales and phase."""

import functools
import math
from dataclasses import dataclass

import numpy as np

from meanfield.arguments import scalar
from meanfield.correlations import correlation_fixed_point
from meanfield.errors import AccuracyWarning, ConvergenceError, MeanFieldError, NoFixedPointError, Status, warn
from meanfield.expressions import as_nonlinearity
from meanfield.gaussian_moments import evaluate, refuse_infinite
from meanfield.length_landscapes import Landscape, landscape_of
from meanfield.nonlinearity import Nonlinearity
from meanfield.profiles import FAR, UNRESOLVED
from meanfield.results import Result
from meanfield.slopes import BESIDE, ULPS, depth_scale, depth_scale_bound, is_lost, is_one, slopes_at

__all__ = ["LOOSE", "FixedPoint", "every_point", "fixed_point", "fixed_points", "is_stable", "reached_point"]

LOOSE = 1e-6  # relative error of a length beyond which its status is LOW_ACCURACY


@dataclass(frozen=True, kw_only=True, eq=False)
class FixedPoint(Result):
    """A fixed point of the length map q -> sigma_w^2 V(q) + sigma_b^2 and what holds there.

    Attributes
    ----------
    sigma_w, sigma_b : float
        Standard deviations of weights and biases.
    q_star : float
        The length: variance of the pre-activations.
    alpha : float
        Slope of the length map.
    stable : bool
        alpha < 1, or alpha = 1 and nothing nearby moves away.
    chi_1 : float
        sigma_w^2 E phi'^2: slope of the correlation map at 1, and growth of squared gradients per layer.
    c_star, chi_c : float
        The stable correlation and the slope there; nan at q_star = 0.
    xi_q, xi_c, xi_gradient : float
        Depth scales in layers, -1/ln of |alpha|, chi_c and chi_1; xi_gradient is negative where gradients grow; xi_q
        is nan where the length is unstable.
    phase : str
        "ordered" (chi_1 < 1), "chaotic" (chi_1 > 1) or "critical".
    error : float
        Absolute error bound of q_star.
    errors : dict
        Bounds of every numeric field.
    status : Status

    References
    ----------
    .. [1] Poole et al., arXiv:1606.05340. [2] Schoenholz et al., arXiv:1611.01232, eqs. 6-12.
    """

    sigma_w: float
    sigma_b: float
    q_star: float
    alpha: float
    stable: bool
    chi_1: float
    c_star: float
    chi_c: float
    xi_q: float
    xi_c: float
    xi_gradient: float
    phase: str
    error: float
    errors: dict[str, float]
    status: Status


def fixed_points(phi, sigma_w, sigma_b) -> tuple[FixedPoint, ...]:
    """All fixed points of the length map, by increasing q_star; () if the length grows without bound from every start.

    Parameters
    ----------
    phi : str or Nonlinearity
    sigma_w : float, > 0
    sigma_b : float, >= 0

    Returns
    -------
    tuple of FixedPoint
        Where every q is fixed (critical ReLU), the one at q = 1, with a status that says so.

    Raises
    ------
    InvalidParameterError
        A parameter is outside its range.
    ConvergenceError
        None is found, but the search had to end where q still grows.
    NonlinearityError
        E phi^2 or E phi'^2 is infinite for every q.

    Warns
    -----
    AccuracyWarning
        q_star is known to less than six digits, or a slope to none.

    Examples
    --------
    >>> [round(point.q_star, 6) for point in fixed_points("relu", 1.0, 0.5)]
    [0.5]
    """
    nonlinearity, sigma_w, sigma_b = _checked(phi, sigma_w, sigma_b)
    points = every_point(nonlinearity, sigma_w, sigma_b)
    for point in points:
        _warn_of_errors(nonlinearity, point)
    return points


def fixed_point(phi, sigma_w, sigma_b, *, q0=1.0) -> FixedPoint:
    """The fixed point that the length reaches from `q0`.

    Parameters
    ----------
    phi : str or Nonlinearity
    sigma_w : float, > 0
    sigma_b : float, >= 0
    q0 : float, >= 0
        Variance of the first layer's pre-activations.

    Returns
    -------
    FixedPoint

    Raises
    ------
    InvalidParameterError
        A parameter is outside its range.
    NoFixedPointError
        The length grows without bound from `q0`; the message names the attractors that other starts reach.
    NonlinearityError
        E phi^2 or E phi'^2 is infinite at a length that is reached.
    ConvergenceError
        The length has not settled within 1000 layers, or still grows where the search ends; `partial` is the last one.

    Warns
    -----
    AccuracyWarning
        q_star is known to less than six digits, or a slope to none.

    Examples
    --------
    >>> point = fixed_point("tanh", 2.5, 0.3)
    >>> round(point.q_star, 4), point.phase
    (4.0791, 'chaotic')
    """
    nonlinearity, sigma_w, sigma_b = _checked(phi, sigma_w, sigma_b)
    point = reached_point(nonlinearity, sigma_w, sigma_b, scalar("q0", q0, low=0.0))
    _warn_of_errors(nonlinearity, point)
    return point


def every_point(phi: Nonlinearity, sigma_w: float, sigma_b: float) -> tuple[FixedPoint, ...]:
    """What `fixed_points` returns, for arguments that are checked; no warnings."""
    landscape = landscape_of(phi, sigma_w, sigma_b)
    if landscape.neutral:
        return (_describe(phi, sigma_w, sigma_b, 1.0, landscape),)
    if not landscape.roots and not landscape.escapes:
        raise ConvergenceError(_unended_message(phi, sigma_w, sigma_b, landscape), landscape.profile.searched)
    return tuple(_describe(phi, sigma_w, sigma_b, q, landscape) for q in landscape.roots)


def reached_point(phi: Nonlinearity, sigma_w: float, sigma_b: float, q0: float) -> FixedPoint:
    """What `fixed_point` returns, for arguments that are checked; no warnings."""
    landscape = landscape_of(phi, sigma_w, sigma_b)
    q = q0 if landscape.neutral else _attractor(phi, sigma_w, sigma_b, q0, landscape)
    return _describe(phi, sigma_w, sigma_b, q, landscape)


def _warn_of_errors(phi: Nonlinearity, point: FixedPoint) -> None:
    if point.status != Status.LOW_ACCURACY:
        return
    known = [("q_star", point.error > LOOSE * point.q_star)]
    known += [(name, bool(is_lost(getattr(point, name), point.errors[name]))) for name in ("alpha", "chi_1", "chi_c")]
    told = " and ".join(f"{name} to {point.errors[name]:.1e}" for name, loose in known if loose)
    warn(
        f"{phi.name}: at sigma_w = {point.sigma_w:.10g}, sigma_b = {point.sigma_b:.10g}, q_star = {point.q_star:.6g} "
        f"the integrals give {told} only, absolute; errors says what follows for the rest",
        AccuracyWarning,
    )


def _checked(phi, sigma_w, sigma_b) -> tuple[Nonlinearity, float, float]:
    return (
        as_nonlinearity(phi),
        scalar("sigma_w", sigma_w, low=0.0, open_low=True),
        scalar("sigma_b", sigma_b, low=0.0),
    )


@functools.lru_cache(maxsize=4096)
def _length_map(phi: Nonlinearity, q: float) -> tuple[float, float]:
    """V and its slope, refused where they are infinite."""
    lengths = np.array([q])
    values, bounds = evaluate(phi, lengths)
    refuse_infinite(phi, lengths, bounds[:2])
    return float(values[0, 0]), float(values[3, 0])


def _attractor(phi: Nonlinearity, sigma_w: float, sigma_b: float, start: float, landscape: Landscape) -> float:
    """Where the orbit of `start` ends: followed until the map is increasing all the way to the next root."""
    roots, q = np.array(landscape.roots), start
    grid = landscape.profile.q
    for _ in range(1000):
        near = roots[np.abs(roots - q) <= ULPS * q] if roots.size else roots
        if near.size:
            return float(near[0])
        V, V_slope = _length_map(phi, q)
        image = sigma_w**2 * V + sigma_b**2
        ahead = roots[roots > q] if image > q else roots[roots < q]
        target = (ahead[0] if image > q else ahead[-1]) if ahead.size else math.inf
        between = (grid >= min(q, target)) & (grid <= max(q, target))
        if V_slope >= 0 and landscape.rising[between].all():
            if math.isfinite(target):
                return float(target)
            raise _no_limit(phi, sigma_w, sigma_b, start, landscape)
        if math.isfinite(target) and abs(image - target) <= 1e-6 * target and abs(image - q) <= 1e-6 * target:
            return float(target)
        if not image <= FAR[-1] or (landscape.profile.end == UNRESOLVED and image > grid[-1]):
            raise _no_limit(phi, sigma_w, sigma_b, start, landscape)
        q = image
    raise ConvergenceError(f"{phi.name}: the length has not settled within 1000 layers from q0 = {start:g}", q)


def _no_limit(phi: Nonlinearity, sigma_w: float, sigma_b: float, start: float, landscape: Landscape) -> MeanFieldError:
    """The error that says how far the length was seen to grow from `start`."""
    if not landscape.escapes:
        return ConvergenceError(_unended_message(phi, sigma_w, sigma_b, landscape), landscape.profile.searched)
    message = (
        f"{phi.name}: q grows without bound from q0 = {start:g} at sigma_w = {sigma_w:.10g}, sigma_b = {sigma_b:.10g}, "
        "so no fixed point is reached"
    )
    attractors = [q for q in landscape.roots if is_stable(1.0, 0.0, *landscape.signs_beside(q))]
    if not attractors:
        return NoFixedPointError(f"{message}; lower sigma_w")
    return NoFixedPointError(f"{message}; a smaller q0 reaches q_star = {', '.join(f'{q:.6g}' for q in attractors)}")


def _unended_message(phi: Nonlinearity, sigma_w: float, sigma_b: float, landscape: Landscape) -> str:
    table = landscape.profile
    return (
        f"{phi.name}: at sigma_w = {sigma_w:.10g}, sigma_b = {sigma_b:.10g} the length leaves the range of the search, "
        f"q up to {table.searched:.3g}; {table.end}"
    )


def is_stable(alpha: float, bound: float, below: int, above: int) -> bool:
    """alpha < 1, or alpha = 1 within `bound` and the drift on neither side (signs, 0: none) leads away.

    alpha never falls below -1/2, since q V'(q) = E phi^2 (z^2 - 1)/2 >= -V/2: no orbit oscillates away.
    """
    return below >= 0 and above <= 0 if is_one(alpha, bound) else alpha < 1


def _describe(phi: Nonlinearity, sigma_w: float, sigma_b: float, q: float, landscape: Landscape) -> FixedPoint:
    lengths = q * np.array(BESIDE if q > 0 else (1.0,))
    values, bounds = evaluate(phi, lengths)
    refuse_infinite(phi, lengths[:1], bounds[:2, :1])
    found = slopes_at(lengths[:1], sigma_w, sigma_b, values[:, :1], bounds[:, :1], values[[3, 1], 1:])
    error, alpha, chi_1, alpha_bound, chi_bound = (float(each[0]) for each in found)
    if landscape.neutral:
        error, alpha = 0.0, 1.0
    critical = bool(is_one(chi_1, chi_bound))
    phase = "critical" if critical else "ordered" if chi_1 < 1 else "chaotic"
    if q == 0:
        c_star = chi_c = c_bound = chi_c_bound = math.nan
    elif phase == "chaotic":
        c_star, chi_c, c_bound, chi_c_bound = correlation_fixed_point(phi, sigma_w, sigma_b, q, chi_1, chi_bound)
    else:
        c_star, chi_c, c_bound, chi_c_bound = 1.0, chi_1, 0.0, chi_bound
    slopes = np.array([abs(alpha), chi_c, chi_1])
    # A slope that is 1 within its bound has no finite depth scale.
    exact = np.where([is_one(alpha, alpha_bound), critical and q > 0, critical], 1.0, slopes)
    xi_q, xi_c, xi_gradient = depth_scale(exact).tolist()
    scale_bounds = depth_scale_bound(slopes, np.array([alpha_bound, chi_c_bound, chi_bound]))
    if landscape.neutral:
        status = Status.EVERY_Q_FIXED
    else:
        lost = is_lost(slopes, np.array([alpha_bound, chi_c_bound, chi_bound])).any()
        status = Status.LOW_ACCURACY if lost or error > LOOSE * q else Status.CONVERGED
    errors = {"q_star": error, "alpha": alpha_bound, "chi_1": chi_bound, "c_star": c_bound, "chi_c": chi_c_bound}
    return FixedPoint(
        sigma_w=sigma_w,
        sigma_b=sigma_b,
        q_star=q,
        alpha=alpha,
        stable=is_stable(alpha, alpha_bound, *landscape.signs_beside(q)),
        chi_1=chi_1,
        c_star=c_star,
        chi_c=chi_c,
        xi_q=math.nan if exact[0] > 1 else xi_q,
        xi_c=xi_c,
        xi_gradient=xi_gradient,
        phase=phase,
        error=error,
        errors=errors | dict(zip(("xi_q", "xi_c", "xi_gradient"), scale_bounds.tolist(), strict=True)),
        status=status,
    )
