"""Dynamical isometry: critical points whose Jacobian spectrum is narrow at a given depth."""

import functools
import math
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from meanfield.activations import CATALOGUE
from meanfield.arguments import integer, scalar, sequence
from meanfield.critical_curve import critical_curve
from meanfield.criticality import CriticalPoint, critical_point, critical_points
from meanfield.errors import NoCriticalPointError, Status, UnstableCriticalPointWarning, warn
from meanfield.expressions import as_nonlinearity
from meanfield.jacobian import jacobian_spectrum
from meanfield.layer_laws import slope_law
from meanfield.nonlinearity import Nonlinearity
from meanfield.profiles import profile
from meanfield.results import Result
from meanfield.universality import universality_class

__all__ = ["IsometryTable", "isometric_point", "isometry_table"]

KNOWN = 1e-9  # of what the moments on a grid tell about variances; smaller ones are taken from the laws
DECADES = 10.0 ** np.arange(-12.0, 0.0)


def isometric_point(phi, *, depth, variance=None) -> CriticalPoint:
    """The critical point at which an orthogonal network of a given depth is close to an isometry.

    Parameters
    ----------
    phi : str or Nonlinearity
    depth : int, >= 1
    variance : float, > 0, optional
        Variance wanted of the eigenvalues of J J^T, depth (mu_2/mu_1^2 - 1). None: the length at which a two-valued
        phi' with the same mu_1 would have lambda_max = 1.

    Returns
    -------
    CriticalPoint
        The stable one of smallest q_star. If only unstable ones exist, the first of them, with a warning.

    Raises
    ------
    InvalidParameterError
        An argument is outside its range.
    NoCriticalPointError
        No critical point of the lengths that are searched, q_star from 1e-12 to at most 1e8, has this variance or is at
        that length; the message says what is attainable.

    Warns
    -----
    UnstableCriticalPointWarning
        The length is repelled from q_star.

    Notes
    -----
    The rule behind the q_star = 9e-4 of [1]_ for 200 layers is mu_1/max phi'^2 = C/(1 + C) with
    C = L^L/(L - 1)^(L - 1), for (1 - p)/p C is the edge of a spectrum with phi' in {0, 1} and mu_1 = p.

    References
    ----------
    .. [1] Sokol, Park, arXiv:1810.03785, section 4. [2] Pennington et al., arXiv:1711.04735, section 3.

    Examples
    --------
    >>> round(isometric_point("tanh", depth=200).q_star, 8)
    0.00092328
    """
    nonlinearity = as_nonlinearity(phi)
    layers = integer("depth", depth, low=1)
    if variance is None:
        return _point_where(nonlinearity, _deficit, _two_valued_deficit(layers), _in_words_of_mu_1)
    wanted = scalar("variance", variance, low=0.0, open_low=True)
    return _point_where(nonlinearity, _spread, wanted / layers, functools.partial(_in_words_of_variance, depth=layers))


def _two_valued_deficit(depth: int) -> float:
    """1 - C/(1 + C) = 1/(1 + C)."""
    log_C = depth * math.log(depth) - ((depth - 1) * math.log(depth - 1) if depth > 1 else 0.0)
    return 1 / (1 + math.exp(log_C))


def _spread(phi: Nonlinearity, q: float) -> float:
    """mu_2/mu_1^2 - 1 without cancellation."""
    return slope_law(phi, q).relative_variance


def _deficit(phi: Nonlinearity, q: float) -> float:
    """1 - mu_1/max phi'^2 without cancellation; 1 where phi' is unbounded."""
    law = slope_law(phi, q)
    if math.isinf(law.top):
        return 1.0
    missing = (law.weights @ (law.top - law.nodes)).real + law.masses @ (law.top - law.locations)
    return float(missing) / law.top


def _in_words_of_mu_1(deficit: float) -> str:
    return f"mu_1/max phi'^2 = {1 - deficit:.6g}"


def _in_words_of_variance(spread: float, depth: int) -> str:
    return f"variance = {depth * spread:.6g} at depth {depth}"


def _point_where(
    phi: Nonlinearity, quantity: Callable[[Nonlinearity, float], float], wanted: float, words: Callable[[float], str]
) -> CriticalPoint:
    """The critical point at whose length a quantity takes the value wanted."""
    if critical_curve(phi).degenerate:
        only = quantity(phi, 1.0)
        if abs(only - wanted) <= 1e-12 * max(only, wanted):
            return critical_point(phi, sigma_b=0.0)
        raise NoCriticalPointError(f"{phi.name}: no critical point has {words(wanted)}; all of them have {words(only)}")
    q, values = _along_the_line(phi, quantity)
    found: list[CriticalPoint] = []
    for i in np.flatnonzero((values[:-1] - wanted) * (values[1:] - wanted) < 0):
        t = brentq(lambda t: quantity(phi, math.exp(t)) - wanted, math.log(q[i]), math.log(q[i + 1]), rtol=1e-14)
        try:
            found.extend(critical_points(phi, q_star=math.exp(t)))
        except NoCriticalPointError:
            continue
    if not found:
        raise NoCriticalPointError(_nowhere_message(phi, q, values, wanted, words))
    point = next((p for p in found if p.stable), found[0])
    if not point.stable:
        warn(
            f"{phi.name}: the critical point sigma_w = {point.sigma_w:.6g}, sigma_b = {point.sigma_b:.6g} with "
            f"{words(wanted)} is an unstable fixed point of the length map (q_star = {point.q_star:.6g}, "
            f"alpha = {point.alpha:.6g})",
            UnstableCriticalPointWarning,
        )
    return point


@functools.lru_cache(maxsize=256)
def _along_the_line(phi: Nonlinearity, quantity: Callable) -> tuple[np.ndarray, np.ndarray]:
    """Lengths in increasing order and the quantity there."""
    table = profile(phi)
    q = table.q[::4]
    mu_1, mu_2 = table.row("mu_1")[::4], table.row("mu_2")[::4]
    with np.errstate(all="ignore"):
        if quantity is _spread:
            values = mu_2 / mu_1**2 - 1
        else:
            values = 1 - mu_1 / slope_law(phi, 1.0).top
    # Beyond the range of networks the laws cost much and say nothing new.
    known = np.isfinite(values) & (values > KNOWN)
    below = DECADES[q[known].min() > DECADES] if known.any() else DECADES
    small = np.array([quantity(phi, float(x)) for x in below])
    q, values = np.concatenate([below, q[known]]), np.concatenate([small, values[known]])
    return q[np.isfinite(values)], values[np.isfinite(values)]


def _nowhere_message(phi: Nonlinearity, q: np.ndarray, values: np.ndarray, wanted: float, words) -> str:
    low, high = float(np.min(values)), float(np.max(values))
    sought = f"q_star in [{q[0]:.3g}, {q[-1]:.3g}]"
    if low < wanted < high:
        return (
            f"{phi.name}: {words(wanted)} is reached only at lengths where sigma_b^2 = q - V/mu_1 would be negative, "
            f"of those searched, {sought}"
        )
    return (
        f"{phi.name}: no critical point has {words(wanted)} of those searched, {sought}; "
        f"they reach from {words(low)} to {words(high)}"
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class IsometryTable(Result):
    """Which nonlinearities can be isometric at a depth, and what their spectra then are.

    Attributes
    ----------
    depth : int
    variance : float
        Wanted of the eigenvalues of J J^T with orthogonal weights.
    phi : tuple of str, length n
    universality : tuple of str
        As in `universality_class`.
    q_star, sigma_w, sigma_b : array (n,)
        The isometric point; nan where there is none.
    stable : array (n,) of bool
    lambda_max, bulk_max : array (n,)
        Largest eigenvalue with orthogonal weights, and the end of the bulk.
    gaussian_lambda_max, gaussian_variance : array (n,)
        The same network with Gaussian weights, which are never isometric.
    reason : tuple of str
        Why there is no isometric point; "" where there is one.
    status : array (n,) of Status, dtype object
    """

    depth: int
    variance: float
    phi: tuple[str, ...]
    universality: tuple[str, ...]
    q_star: np.ndarray
    sigma_w: np.ndarray
    sigma_b: np.ndarray
    stable: np.ndarray
    lambda_max: np.ndarray
    bulk_max: np.ndarray
    gaussian_lambda_max: np.ndarray
    gaussian_variance: np.ndarray
    reason: tuple[str, ...]
    status: np.ndarray


def isometry_table(phis: Iterable | None = None, *, depth=64, variance=0.25) -> IsometryTable:
    """Isometric points and spectra of many nonlinearities, by default of the whole catalogue.

    Parameters
    ----------
    phis : iterable of str or Nonlinearity, optional
    depth : int, >= 1
    variance : float, > 0
        Variance wanted of the eigenvalues of J J^T with orthogonal weights.

    Returns
    -------
    IsometryTable

    Raises
    ------
    InvalidParameterError
        An argument is outside its range.

    Notes
    -----
    With Gaussian weights the variance is larger by `depth`, whatever the nonlinearity [1]_.

    References
    ----------
    .. [1] Pennington, Schoenholz, Ganguli, arXiv:1802.09979, sections 3 and 4.

    Examples
    --------
    >>> table = isometry_table(["tanh", "relu"], depth=16)
    >>> table.universality, table.reason[0]
    (('smooth', 'none'), '')
    """
    layers = integer("depth", depth, low=1)
    wanted = scalar("variance", variance, low=0.0, open_low=True)
    given = CATALOGUE if phis is None else sequence("phis", phis, "nonlinearities")
    names = [as_nonlinearity(phi) for phi in given]
    columns = ("q_star", "sigma_w", "sigma_b", "lambda_max", "bulk_max", "gaussian_lambda_max", "gaussian_variance")
    rows = np.full((len(columns), len(names)), np.nan)
    stable = np.zeros(len(names), dtype=bool)
    reasons = [""] * len(names)
    status = np.array([Status.CONVERGED] * len(names), dtype=object)
    for i, phi in enumerate(names):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UnstableCriticalPointWarning)
                point = isometric_point(phi, depth=layers, variance=wanted)
        except NoCriticalPointError as nowhere:
            reasons[i], status[i] = str(nowhere), Status.NO_CRITICAL_POINT
            continue
        orthogonal, gaussian = (
            jacobian_spectrum(phi, point.sigma_w, point.sigma_b, depth=layers, weights=weights, q0=point.q_star)
            for weights in ("orthogonal", "gaussian")
        )
        stable[i] = point.stable
        rows[:, i] = (
            point.q_star,
            point.sigma_w,
            point.sigma_b,
            orthogonal.lambda_max,
            orthogonal.bulk_max,
            gaussian.lambda_max,
            gaussian.variance,
        )
    return IsometryTable(
        depth=layers,
        variance=wanted,
        phi=tuple(phi.name for phi in names),
        universality=tuple(universality_class(phi).name for phi in names),
        stable=stable,
        reason=tuple(reasons),
        status=status,
        **dict(zip(columns, rows, strict=True)),
    )
