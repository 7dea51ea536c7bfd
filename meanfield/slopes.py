"""Slopes of the length and the correlation map at length fixed points, and depth scales; elementwise, with bounds."""

import numpy as np

from meanfield.quadrature import EPS

__all__ = ["BESIDE", "ULPS", "depth_scale", "depth_scale_bound", "is_lost", "is_one", "slopes_at"]

BESIDE = (1.0, 1 - 1e-4, 1 + 1e-4)  # factors of q
ULPS = 8 * EPS  # rounding that a comparison with 1 forgives, beyond the reported error


def slopes_at(
    q: np.ndarray, sigma_w, sigma_b, values: np.ndarray, bounds: np.ndarray, beside: np.ndarray
) -> tuple[np.ndarray, ...]:
    """The error of the fixed points q (n,), alpha and chi_1 there, and the bounds of both, each (n,).

    Parameters
    ----------
    sigma_w, sigma_b : float or array (n,)
    values, bounds : array (5, n)
        The moments at q and their bounds.
    beside : array (2, 2 m)
        V_slope and mu_1 at the m lengths that are not 0, times BESIDE[1], and then at those times BESIDE[2].

    Notes
    -----
    alpha = sigma_w^2 dV/dq and chi_1 = sigma_w^2 mu_1. What is left of sigma_w^2 V + sigma_b^2 - q moves q by 1/(1 -
    alpha) times as much. At q = 0, where both slopes are the same limit, q is exact.
    """
    weight = sigma_w**2 + np.zeros_like(q)
    V, mu_1, _, V_slope, _ = values
    slopes = weight * np.array([np.where(q > 0, V_slope, mu_1), mu_1])
    slope_bounds = weight * bounds[[3, 1]] + 2 * EPS * np.abs(slopes)
    residual = np.abs(weight * V + sigma_b**2 - q) + weight * bounds[0] + 2 * EPS * q
    # How far the slopes move with q, by difference quotients with a safety factor of 2.
    inner = q > 0
    below, above = np.split(beside, 2, axis=1)
    bends = np.zeros_like(slopes)
    # Where alpha is 1 a residual r moves q by sqrt(2 r / |alpha'|); without a bend it may lie anywhere.
    with np.errstate(all="ignore"):
        bends[:, inner] = 2 * weight[inner] * np.abs(above - below) / (2e-4 * q[inner])
        slack = np.maximum(np.abs(1 - slopes[0]) - slope_bounds[0], np.sqrt(residual * bends[0] / 16))
        error = np.where(inner, residual / slack, 0.0)
        error[np.isnan(error)] = np.inf
        slope_bounds += np.where(bends > 0, bends * error, 0.0)
    slope_bounds[0] = np.where(q > 0, slope_bounds[0], slope_bounds[1])
    return error, *slopes, *slope_bounds


def is_one(slope, bound):
    """Is the slope 1 within its bound and rounding?"""
    return np.abs(slope - 1) <= bound + ULPS


def depth_scale(slope: np.ndarray) -> np.ndarray:
    """-1/ln(slope), layers after which a deviation shrinks e-fold: 0 for slope 0, inf for 1, nan for nan."""
    with np.errstate(divide="ignore"):
        return np.where(slope == 0, 0.0, np.where(slope == 1, np.inf, -1 / np.log(slope)))


def depth_scale_bound(slope: np.ndarray, bound: np.ndarray) -> np.ndarray:
    """How far the depth scale moves at the most within the bound of a slope >= 0; inf where 1 is within, nan for nan.

    Where 0 is within, it may be anything from 0 to that of the largest slope.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        logarithm, step = np.log(slope), np.log1p(np.array([-bound, bound]) / slope)
        moved = np.abs(step / (logarithm * (logarithm + step))).max(axis=0)
        moved = np.where(bound < slope, moved, depth_scale(slope + bound))
    clear = (np.abs(slope - 1) > bound) & ((slope < 1) | (bound < slope))
    return np.where(np.isnan(slope), np.nan, np.where(clear, moved, np.inf))


def is_lost(slope, bound):
    """Is the slope no larger than its bound, so that not a digit of it is known? Not so where both underflow."""
    return (np.abs(slope) <= bound) & (bound > np.finfo(float).tiny)
