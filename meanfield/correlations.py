"""The fixed point of the correlation map in the chaotic phase."""

import math

import numpy as np
from scipy.optimize import brentq

from meanfield.dual_kernels import evaluate_kernel, series
from meanfield.nonlinearity import Nonlinearity
from meanfield.quadrature import EPS

__all__ = ["correlation_fixed_point"]


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
    """
    terms = series(phi, q)
    if terms.has_decayed(1):
        return _correlation_by_series(sigma_w**2 * terms.coefficients[0, 0] ** 2 / q, chi_1, chi_bound)
    # Newton's method from c = 0 rises monotonically to it.
    c = 0.0
    for _ in range(200):
        (value, derivative), (value_bound, derivative_bound) = evaluate_kernel(phi, np.array([c]), q, q)
        image = (sigma_w**2 * float(value[0]) + sigma_b**2) / q
        slope = sigma_w**2 * float(derivative[0])
        if slope >= 1:  # rounding has carried the iterate past the minimum of f(c) - c
            return 1.0, chi_1, 1 - c + math.sqrt(EPS), chi_bound
        step = (image - c) / (1 - slope)
        if step <= 2 * EPS:
            break
        c = min(c + step, 1.0)
    local = sigma_w**2 * float(value_bound[0]) / q + 4 * EPS
    bound = (abs(image - c) + local) / max(1 - slope, math.sqrt(local))
    return c, slope, bound, sigma_w**2 * float(derivative_bound[0]) + 2 * EPS * slope + _bend(c, slope, chi_1) * bound


def _correlation_by_series(p: np.ndarray, chi_1: float, chi_bound: float) -> tuple[float, float, float, float]:
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
    return c, slope, bound, chi_bound + 8 * EPS + _bend(c, slope, chi_1) * bound


def _bend(c: float, slope: float, chi_1: float) -> float:
    """A bound on f'' at c: f' is convex, so its slope is at most that of the chord to 1."""
    return (chi_1 - slope) / max(1 - c, EPS)
