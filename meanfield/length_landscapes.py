"""The drift of the length map along the profile of phi, its signs and its zeros."""

import functools
import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from meanfield.gaussian_moments import germ, scan
from meanfield.length_interpolants import length_moments
from meanfield.nonlinearity import Nonlinearity
from meanfield.profiles import TOP, Profile, far_profile, growth, profile
from meanfield.quadrature import EPS
from meanfield.slopes import ULPS

__all__ = ["Landscape", "escapes", "heads_for_zero", "increasing", "landscape_of", "signs_beside"]


@dataclass(frozen=True)
class Landscape:
    """The drift F(q) = sigma_w^2 V(q) + sigma_b^2 - q along the profile of phi, and its zeros.

    sign : (n,) sign of F, 0 within its error; rising : (n,) is the length map increasing there;
    roots : zeros of F, increasing; neutral : F is 0 everywhere; escapes : what grows beyond the last root and the
    profile grows without bound.
    """

    profile: Profile
    sign: np.ndarray
    rising: np.ndarray
    roots: tuple[float, ...]
    neutral: bool
    escapes: bool

    def signs_beside(self, q: float) -> tuple[int, int]:
        return signs_beside(self.profile.q, self.sign, q)


def signs_beside(grid: np.ndarray, sign: np.ndarray, q: float) -> tuple[int, int]:
    """The signs (n,) nearest below and above q that are not 0; 0 where there is none."""
    told = np.flatnonzero(sign)
    below, above = told[grid[told] < q * (1 - 1e-6)], told[grid[told] > q * (1 + 1e-6)]
    return int(sign[below[-1]]) if below.size else 0, int(sign[above[0]]) if above.size else 0


def increasing(q: np.ndarray, V: np.ndarray, V_slope: np.ndarray) -> np.ndarray:
    """Where V increases with q, as far as rounding lets see."""
    return q * V_slope >= -1e-12 * V


def escapes(phi: Nonlinearity, sigma_w):
    """Does a length that still grows where the profile ends grow without bound? Elementwise.

    It does if E phi^2 grows at least as q/sigma_w^2, or beyond double precision.
    """
    return (sigma_w**2 * growth(phi) >= 1 - ULPS) | profile(phi).explodes


def heads_for_zero(phi: Nonlinearity, sigma_w, sign, steepness):
    """Does the drift, of this sign and slope where the profile ends, turn to zero beyond? Elementwise."""
    limit = sigma_w**2 * growth(phi) - 1
    return (sign * steepness < 0) | ((sign > 0) & (limit < -ULPS)) | ((sign < 0) & (limit > ULPS))


def _drift_along(table: Profile, sigma_w: float, sigma_b: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """F along the profile, its sign, and its slope, both 0 within their errors."""
    q, V, slope = table.q, table.row("V"), sigma_w**2 * table.row("V_slope")
    drift = sigma_w**2 * V + sigma_b**2 - q
    noise = sigma_w**2 * table.bound("V") + 4 * EPS * (q + sigma_b**2 + sigma_w**2 * V)
    sign = np.where(np.abs(drift) <= noise, 0, np.sign(drift)).astype(int)
    steepness = slope - 1
    # Slopes of 1 to rounding (flat starts, ReLU at sqrt(2)) turn nowhere.
    steepness[np.abs(steepness) <= sigma_w**2 * table.bound("V_slope") + 4 * EPS * (1 + np.abs(slope))] = 0.0
    return drift, sign, steepness


def _drift(phi: Nonlinearity, sigma_w: float, sigma_b: float, q: float) -> tuple[float, float]:
    """F(q) and F'(q)."""
    rows = scan(phi, np.array([q]))
    return sigma_w**2 * float(rows[0, 0]) + sigma_b**2 - q, sigma_w**2 * float(rows[3, 0]) - 1


def _rough_drift(phi: Nonlinearity, sigma_w: float, sigma_b: float, q: float) -> tuple[float, float]:
    """The same by interpolation, a few digits short and many times faster."""
    V, _, V_slope = length_moments(phi, np.array([q]))[:, 0].tolist()
    return sigma_w**2 * V + sigma_b**2 - q, sigma_w**2 * V_slope - 1


def _root(phi: Nonlinearity, sigma_w: float, sigma_b: float, low: float, high: float, start: float) -> float:
    """The zero of F between two lengths where it has opposite signs, to rounding of q.

    Newton's method from `start`, the last step with integrals; Brent's in ln q when it leaves the bracket or is slow.
    """
    if low == high:
        return low
    q, drift = start, _rough_drift
    for _ in range(8):
        value, slope = drift(phi, sigma_w, sigma_b, q)
        step = value / slope if slope else math.inf
        if not low <= q - step <= high:
            break
        q -= step
        if abs(step) <= 1e-9 * q:
            if drift is _drift:
                return q
            drift = _drift

    def exact(t: float) -> float:
        return _drift(phi, sigma_w, sigma_b, math.exp(t))[0]

    return math.exp(brentq(exact, math.log(low), math.log(high), xtol=EPS, rtol=4 * EPS))


@functools.lru_cache(maxsize=4096)
def landscape_of(phi: Nonlinearity, sigma_w: float, sigma_b: float) -> Landscape:
    table = profile(phi)
    drift, sign, steepness = _drift_along(table, sigma_w, sigma_b)
    known = np.flatnonzero(sign)[-1:]
    if table.end == TOP and heads_for_zero(phi, sigma_w, sign[known], steepness[known]).any():
        table = far_profile(phi)
        drift, sign, steepness = _drift_along(table, sigma_w, sigma_b)
    q, rising = table.q, increasing(table.q, table.row("V"), table.row("V_slope"))
    at_origin = sigma_b**2 == 0 and germ(phi)[0] == 0
    unbounded = bool(escapes(phi, sigma_w))
    if at_origin and not sign.any():
        return Landscape(table, sign, rising, (), True, unbounded)

    brackets = []
    known = np.flatnonzero(sign)
    first, second = known[:-1], known[1:]
    crosses = sign[first] != sign[second]
    turns = ~crosses & (sign[first] * steepness[first] < 0) & (sign[second] * steepness[second] > 0)
    for k in np.flatnonzero(crosses | turns):
        i, j = int(first[k]), int(second[k])
        if crosses[k]:
            brackets.append((q[i], q[j], q[i] - drift[i] * (q[j] - q[i]) / (drift[j] - drift[i])))
        else:
            brackets.extend(_around_extremum(phi, sigma_w, sigma_b, q[i], q[j], int(sign[i])))
    if known.size and sign[known[0]] < 0 and not at_origin:
        # F(q) >= sigma_w^2 V(0+) + sigma_b^2 - q up to rounding, so a root lies above half of that.
        floor = (sigma_w**2 * germ(phi)[0] ** 2 + sigma_b**2) / 2
        while floor > 0 and _drift(phi, sigma_w, sigma_b, floor)[0] <= 0:
            floor /= 1024
        if floor > 0:
            brackets.insert(0, (floor, q[known[0]], math.sqrt(floor * q[known[0]])))
    roots = [0.0] if at_origin else []
    roots += [_root(phi, sigma_w, sigma_b, *bracket) for bracket in brackets]
    return Landscape(table, sign, rising, tuple(roots), False, unbounded)


def _around_extremum(phi, sigma_w: float, sigma_b: float, low: float, high: float, sign: int) -> list:
    """Brackets of two near roots between grid points of equal sign, where F turns towards zero in between."""

    def slope(t: float) -> float:
        return _drift(phi, sigma_w, sigma_b, math.exp(t))[1]

    turn = math.exp(brentq(slope, math.log(low), math.log(high), xtol=1e-12))
    depth = _drift(phi, sigma_w, sigma_b, turn)[0]
    if abs(depth) <= 1e-14 * turn:
        return [(turn, turn, turn)]
    if depth * sign > 0:
        return []
    return [(low, turn, math.sqrt(low * turn)), (turn, high, math.sqrt(turn * high))]
