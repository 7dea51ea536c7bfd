"""The fixed point of the correlation map in the chaotic phase."""

import math

import numpy as np
from scipy.optimize import brentq

from meanfield.bivariate import MehlerSeries
from meanfield.dual_kernels import series
from meanfield.errors import ConvergenceError
from meanfield.near_diagonal import Kinks, Pointwise, chord_and_product, panel_count, rough_chord_and_product
from meanfield.nonlinearity import Nonlinearity
from meanfield.quadrature import EPS

__all__ = ["correlation_fixed_point", "largest_bend"]

# So many terms of Mehler's series are enough for any phi, down to this angle between the inputs.
REACHES = ((128, math.pi / 4), (512, math.pi / 8), (2048, math.pi / 16))
MANY_PANELS = 100  # where phi turns so often, a long series costs less than integrals close to c = 1
MOST_PANELS = 600  # beyond, one integral takes seconds
LEAST_ANGLE = math.sqrt(EPS)  # its cosine is the last number before 1


def correlation_fixed_point(
    phi: Nonlinearity, sigma_w: float, sigma_b: float, q: float, chi_1: float, chi_bound: float
) -> tuple[float, float, float, float]:
    """The stable correlation c_star < 1 of a chaotic network, the slope chi_c there, and bounds of both.

    Parameters
    ----------
    q : float, > 0
        The length fixed point. At it the correlation map is a power series with non-negative coefficients that sum
        to 1 (Mehler), so it has one fixed point below 1 if its slope at 1, `chi_1`, is above 1.
    chi_1, chi_bound : float
        That slope and its error bound.

    Raises
    ------
    ConvergenceError
        phi has too many turns within the Gaussian's reach for integrals close to c = 1.

    Notes
    -----
    c_star solves chord(c) = 1/sigma_w^2 with chord(c) = E (phi(u) - phi(v))^2 / E (u - v)^2, which increases to mu_1 as
    c -> 1: nothing cancels there.
    """
    theta, chord = math.pi / 2, 0.0
    for count, theta in REACHES:
        terms = series(phi, q, count)
        if terms.has_decayed(1):
            return _by_decayed_series(sigma_w**2 * terms.coefficients[0, 0] ** 2 / q, chi_1, chi_bound)
        kernel = float(terms.product(terms, 0, np.array([math.cos(theta)]))[0][0])
        chord = (terms.size[0] - kernel) / (q * _gap(theta))
        if chord >= sigma_w**-2:
            return _far(terms, sigma_w, sigma_b, q, chi_1)
        if count == REACHES[0][0]:
            continue  # a longer series costs less than integrals that far from c = 1
        panels = panel_count(phi.derivative, phi.breaks_between, q)
        if panels <= MANY_PANELS:
            break
        if panels > MOST_PANELS and count == REACHES[-1][0]:
            raise ConvergenceError(
                f"{phi.name}: phi turns too often within sqrt(q) = {math.sqrt(q):.3g} to tell how far below 1 the "
                f"correlation settles; it is above {math.cos(theta):.3g}",
                q,
            )
    return _near(phi, sigma_w, q, chi_1, chi_bound, theta, chord)


def _by_decayed_series(p: np.ndarray, chi_1: float, chi_bound: float) -> tuple[float, float, float, float]:
    """c_star = 1 - e from sum_k p_k [1 - (1-e)^k] = e, divided by e: free of the cancellation in f(c) - c near 1."""
    k = np.arange(len(p))

    def decay(e: float) -> float:
        return float(p @ -np.expm1(k * math.log1p(-e))) / e - 1 if e < 1 else float(p[1:].sum()) - 1

    # decay(e) falls and is convex, from chi_1 - 1 at 0 with a slope of at most sum_k p_k k (k-1)/2 in size.
    low = (chi_1 - 1) / max(float(p @ (k * (k - 1.0))) / 2, chi_1 - 1)
    if decay(1.0) >= 0:  # an odd phi without bias: f(0) = 0 to rounding
        e = 1.0
    else:
        while decay(low) < 0:
            low /= 2
        e = brentq(decay, low, 1.0, xtol=EPS, rtol=4 * EPS)
    c = 1 - e
    slope = float((p[1:] * k[1:]) @ c ** (k[1:] - 1.0))
    bound = (8 * EPS * chi_1 + chi_bound) * e / max(1 - slope, EPS) + EPS
    return c, slope, bound, chi_bound + 8 * EPS + largest_bend(1 - c, slope, chi_1) * bound


def _far(
    terms: MehlerSeries, sigma_w: float, sigma_b: float, q: float, chi_1: float
) -> tuple[float, float, float, float]:
    """Newton's method for f(c) = c from c = 0 rises monotonically to c_star."""
    c = 0.0
    for _ in range(100):
        (value, value_bound), (derivative, derivative_bound) = (
            (float(part[0]) for part in terms.product(terms, row, np.array([c]))) for row in (0, 1)
        )
        image, slope = (sigma_w**2 * value + sigma_b**2) / q, sigma_w**2 * derivative
        step = (image - c) / (1 - slope)
        if step <= 2 * EPS:
            break
        c += step
    local = sigma_w**2 * value_bound / q + 4 * EPS
    bound = (abs(image - c) + local) / (1 - slope)
    slope_bound = sigma_w**2 * derivative_bound + 2 * EPS * slope + largest_bend(1 - c, slope, chi_1) * bound
    return c, slope, bound, slope_bound


def _near(
    phi: Nonlinearity, sigma_w: float, q: float, chi_1: float, chi_bound: float, far: float, far_chord: float
) -> tuple[float, float, float, float]:
    """Newton's method in the angle theta, c = cos(theta), with d chord/d theta = -(chord - E phi'phi')/tan(theta/2).

    theta is below `far`, where the chord is `far_chord`.
    """
    target = sigma_w**-2
    low, high = 0.0, far
    # A kink makes the chord linear in theta near 0, where it is mu_1.
    theta = min(far * (chi_1 - 1) * target / max(chi_1 * target - far_chord, EPS * target), far * (1 - EPS))
    given = phi.function, phi.derivative, phi.breaks_between
    for _ in range(60):
        chord, derivative = rough_chord_and_product(*given, _gap(theta), q)
        low, high = (theta, high) if chord > target else (low, theta)
        if high <= LEAST_ANGLE:
            slope, slope_bound = _slope_between(chi_1, chi_bound)
            return 1.0, slope, _gap_above(LEAST_ANGLE, far, given, q, target) + EPS, slope_bound
        rise = chord - derivative
        moved = theta + (chord - target) * math.tan(theta / 2) / rise if rise > 0 else math.nan
        if not low <= moved <= high:  # where the chord falls steeply is unknown by orders of magnitude
            moved = math.sqrt(low * high) if low else LEAST_ANGLE
        done = abs(moved - theta) <= 1e-6 * theta
        theta = moved
        if done:  # the next step would be of rounding size
            break
    gap = _gap(theta)
    (chord, derivative), (chord_bound, derivative_bound) = chord_and_product(*given, gap, q)
    missed, rise = abs(chord - target) + chord_bound + 4 * EPS * target, chord - derivative
    slope = sigma_w**2 * float(derivative)
    gap_bound = float(missed / (rise - missed) * gap) if missed < rise / 2 else _gap_above(theta, far, given, q, target)
    slope_bound = sigma_w**2 * float(derivative_bound) + 2 * EPS * slope + largest_bend(gap, slope, chi_1) * gap_bound
    between, between_bound = _slope_between(chi_1, chi_bound)
    if between_bound < slope_bound:
        slope, slope_bound = between, between_bound
    return 1 - gap, slope, gap_bound + EPS, float(slope_bound)


def _gap_above(theta: float, far: float, given: tuple[Pointwise, Pointwise, Kinks], q: float, target: float) -> float:
    """A gap, from that of `theta` on, at which the chord is below the target in spite of its error."""
    while theta < far:
        (chord, _), (bound, _) = chord_and_product(*given, _gap(theta), q)
        if chord + bound <= target:
            return _gap(theta)
        theta *= 16  # the error falls as 1/theta
    return _gap(far)


def _slope_between(chi_1: float, chi_bound: float) -> tuple[float, float]:
    """chi_c and its bound from chi_1 alone.

    f' is convex and its mean over [c_star, 1] is 1, at most that of both ends: 2 - chi_1 <= chi_c <= 1.
    """
    lowest = max(2 - chi_1 - chi_bound, 0.0)
    return (lowest + 1) / 2, (1 - lowest) / 2 + EPS


def _gap(theta: float) -> float:
    """1 - cos(theta)"""
    return 2 * math.sin(theta / 2) ** 2


def largest_bend(gap, slope, chi_1):
    """A bound on f'' at 1 - gap, elementwise: f' is convex, so its slope is at most that of the chord to 1."""
    return (chi_1 - slope) / np.maximum(gap, EPS)
