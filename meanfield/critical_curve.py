"""The critical line as a curve in q, sigma_w^2 = 1/mu_1 and sigma_b^2 = q - V/mu_1, and where it meets a value."""

import functools
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq, minimize_scalar

from meanfield.gaussian_moments import evaluate, germ, refuse_infinite, scan
from meanfield.nonlinearity import Nonlinearity
from meanfield.profiles import FAR, TOP, profile
from meanfield.quadrature import EPS

__all__ = [
    "LEAST",
    "critical_curve",
    "lengths_at_sigma_b",
    "lengths_at_sigma_w",
    "meets_degenerate_line",
    "stability_onset",
    "values_far_out",
]

LEAST = 1e-300  # of mu_1: sigma_w^2 = 1/mu_1 is within double precision
UNKNOWN = 1e-4  # of q: the error of sigma_b^2 beyond which it is no part of the line
Curve = Callable[[np.ndarray], np.ndarray]
Line = Callable[[Nonlinearity, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class CriticalCurve:
    """sigma_w and sigma_b^2 along the profile of phi, extrema of both added as nodes: monotone between neighbours.

    q : (n,); sigma_w : (n,); variance : (n,) sigma_b^2, 0 within its error, negative where there is no point;
    degenerate : sigma_b = 0 and sigma_w the same at every q (linear and ReLU-like phi); from_origin : the line starts
    at q = 0.
    """

    q: np.ndarray
    sigma_w: np.ndarray
    variance: np.ndarray
    degenerate: bool
    from_origin: bool

    def defined_at(self, phi: Nonlinearity, q: float) -> bool:
        values, bounds = evaluate(phi, np.array([q]))
        refuse_infinite(phi, np.array([q]), bounds[:2])
        return bool(values[1, 0] > LEAST and values[4, 0] >= -bounds[4, 0])


@functools.lru_cache(maxsize=256)
def critical_curve(phi: Nonlinearity) -> CriticalCurve:
    table = profile(phi)
    # phi' vanishes at the scale of a small q (a dead zone), or integrals are lost at the end of the profile.
    usable = (table.row("mu_1") > LEAST) & (table.bound("critical_ratio") <= UNKNOWN * table.q * table.row("mu_1"))
    q, mu_1 = table.q[usable], table.row("mu_1")[usable]
    ratio, bound = table.row("critical_ratio")[usable], table.bound("critical_ratio")[usable]
    sigma_w, variance = mu_1**-0.5, np.where(np.abs(ratio) <= bound, 0.0, ratio) / mu_1
    from_origin = bool(germ(phi)[0] == 0 and evaluate(phi, np.zeros(1))[0][1, 0] > 0)
    if q.size and not variance.any():
        return CriticalCurve(q, sigma_w, variance, True, from_origin)
    variance_at = functools.partial(_variance, phi)
    extra = _turning_points(functools.partial(_sigma_w, phi), q, sigma_w) + _turning_points(variance_at, q, variance)
    told = variance != 0
    extra += _crossings(phi, _variance, q[told], variance[told], 0.0)  # where the line begins and ends
    if extra:
        new = np.array(extra)
        rows = scan(phi, new)
        q = np.concatenate([q, new])
        order = np.argsort(q)
        q = q[order]
        sigma_w = np.concatenate([sigma_w, rows[1] ** -0.5])[order]
        ends = rows[4] / rows[1]
        ends[np.abs(ends) <= 1e-12 * new] = 0.0
        variance = np.concatenate([variance, ends])[order]
    return CriticalCurve(q, sigma_w, variance, False, from_origin)


def _turning_points(function: Curve, q: np.ndarray, values: np.ndarray) -> list[float]:
    """Local extrema between grid points, refined; those within rounding of a flat stretch are left out."""
    steps = np.diff(values)
    steps[np.abs(steps) <= 1e-11 * np.abs(values[1:])] = 0.0
    found = []
    for i in np.flatnonzero(np.sign(steps[:-1]) * np.sign(steps[1:]) < 0):
        sign = -1.0 if steps[i] > 0 else 1.0
        result = minimize_scalar(
            lambda t, sign=sign: sign * float(function(np.exp([t]))[0]),
            bounds=(math.log(q[i]), math.log(q[i + 2])),
            method="bounded",
            options={"xatol": 1e-9},
        )
        found.append(math.exp(result.x))
    return found


def _sigma_w(phi: Nonlinearity, q: np.ndarray) -> np.ndarray:
    return scan(phi, q)[1] ** -0.5


def _variance(phi: Nonlinearity, q: np.ndarray) -> np.ndarray:
    rows = scan(phi, q)
    return rows[4] / rows[1]


def _crossings(phi: Nonlinearity, line: Line, q: np.ndarray, values: np.ndarray, target: float) -> list[float]:
    """Lengths at which line(phi, q) = target, one for each pair of neighbouring grid points on both sides of it."""
    above = values > target
    found = []
    for i in np.flatnonzero(above[:-1] != above[1:]):
        if values[i] == target:
            found.append(float(q[i]))
            continue
        root = _root_between(phi, line, float(q[i]), float(q[i + 1]), target)
        if not found or root > found[-1] * (1 + 1e-9):  # an extremum that touches the target is one root
            found.append(root)
    return found


def _lengths_far_out(phi: Nonlinearity) -> np.ndarray:
    return np.array([profile(phi).q[-1], *FAR])


@functools.lru_cache(maxsize=256)
def _far_values(phi: Nonlinearity, function: Line) -> np.ndarray:
    """The function at the end of the profile and at the lengths FAR beyond; nan where it is not defined there."""
    with np.errstate(all="ignore"):
        return function(phi, _lengths_far_out(phi))


def values_far_out(phi: Nonlinearity, name: str) -> np.ndarray:
    """sigma_b, sigma_w or q_star at those lengths; nan where there is no critical point."""
    variance = _far_values(phi, _variance)
    with np.errstate(invalid="ignore"):
        sigma_b = np.sqrt(variance)
    values = {"sigma_b": sigma_b, "sigma_w": _far_values(phi, _sigma_w), "q_star": _lengths_far_out(phi)}
    return np.where(np.isfinite(sigma_b), values[name], np.nan)


def _far_crossings(phi: Nonlinearity, function: Line, target: float) -> list[float]:
    """The first length beyond the profile at which function(phi, q) = target, if there is one."""
    if profile(phi).end != TOP:
        return []

    def excess(t: float) -> float:
        return float(function(phi, np.exp([t]))[0] / target) - 1

    values, lengths = _far_values(phi, function), _lengths_far_out(phi)
    above, known = values > target, np.isfinite(values)
    for i in np.flatnonzero((above[:-1] != above[1:]) & known[:-1] & known[1:])[:1]:
        low, high = math.log(lengths[i]), math.log(lengths[i + 1])
        if excess(low) * excess(high) >= 0:  # the root is at an end, to rounding
            return [math.exp(min(low, high, key=lambda t: abs(excess(t))))]
        return [math.exp(brentq(excess, low, high, xtol=EPS, rtol=4 * EPS))]
    return []


# Chebyshev points of [-1, 1], both ends among them, and the matrix from values there to powers of s in [-1, 1].
_POINTS = -np.cos(np.pi * np.arange(13) / 12)
_POWERS = np.linalg.inv(np.vander(_POINTS))


@functools.lru_cache(maxsize=4096)
def _powers_between(phi: Nonlinearity, line: Line, low: float, high: float) -> tuple[float, ...]:
    """line(phi, q) as a polynomial in s, the place of ln q between the lengths, from -1 to 1."""
    middle, half = math.log(low * high) / 2, math.log(high / low) / 2
    return tuple((_POWERS @ line(phi, np.exp(middle + half * _POINTS))).tolist())


def _root_between(phi: Nonlinearity, line: Line, low: float, high: float, target: float) -> float:
    """Where line(phi, q) = target between two lengths, for a line that is analytic in ln q.

    One call on Chebyshev points gives a polynomial whose zero is right to its rounding, a second call corrects that:
    calls cost more than points.
    """
    *powers, constant = _powers_between(phi, line, low, high)
    powers.append(constant - target)

    def polynomial(s: float) -> float:
        return functools.reduce(lambda total, power: total * s + power, powers)

    def excess(t: float) -> float:
        return float(line(phi, np.exp([t]))[0]) - target

    left, right = polynomial(-1.0), polynomial(1.0)
    if left * right > 0:  # the root is at an end, to rounding
        return low if abs(left) < abs(right) else high
    s = brentq(polynomial, -1.0, 1.0, xtol=EPS, rtol=4 * EPS)
    middle, half = math.log(low * high) / 2, math.log(high / low) / 2
    slope = np.polyval(np.polyder(powers), s) / half
    step = excess(middle + half * s) / slope if slope else math.inf
    if abs(step) <= 1e-9:
        return math.exp(middle + half * s - step)
    return math.exp(brentq(excess, math.log(low), math.log(high), xtol=EPS, rtol=4 * EPS))


def lengths_at_sigma_b(phi: Nonlinearity, sigma_b: float) -> list[float]:
    curve = critical_curve(phi)
    lengths = []
    if sigma_b**2 == 0:
        if curve.from_origin:
            lengths.append(0.0)
        # Crossings between points of either sign; where the line leaves 0 it has q = 0, found above.
        known = curve.variance != 0
        return lengths + _crossings(phi, _variance, curve.q[known], curve.variance[known], 0.0)
    if curve.from_origin and curve.q.size and curve.variance[0] > sigma_b**2:
        return [_below_profile(phi, sigma_b)]
    found = _crossings(phi, _variance, curve.q, curve.variance, sigma_b**2)
    return found + _far_crossings(phi, _variance, sigma_b**2)


def _below_profile(phi: Nonlinearity, sigma_b: float) -> float:
    """A length below the profile's first, where sigma_b^2 grows as a power of q, all but for a factor 1 + O(q)."""
    curve = critical_curve(phi)
    power = math.log(curve.variance[40] / curve.variance[20]) / math.log(curve.q[40] / curve.q[20])
    q = curve.q[20] * (sigma_b**2 / curve.variance[20]) ** (1 / power)
    variance = float(_variance(phi, np.array([q]))[0])
    return float(q * (sigma_b**2 / variance) ** (1 / power) if variance > 0 else q)


def lengths_at_sigma_w(phi: Nonlinearity, sigma_w: float) -> list[float]:
    curve = critical_curve(phi)
    lengths = []
    at_zero, bounds = evaluate(phi, np.zeros(1))
    if germ(phi)[0] == 0 and abs(sigma_w**2 * at_zero[1, 0] - 1) <= sigma_w**2 * bounds[1, 0] + 8 * EPS:
        lengths.append(0.0)
    found = _crossings(phi, _sigma_w, curve.q, curve.sigma_w, sigma_w)
    found += _far_crossings(phi, _sigma_w, sigma_w)
    return lengths + [q for q in found if curve.defined_at(phi, q) and not (lengths and q < 1e-10)]


def meets_degenerate_line(phi: Nonlinearity, name: str, target: float) -> bool:
    if name == "sigma_b":
        return target == 0
    values, bounds = evaluate(phi, np.ones(1))
    return abs(target**2 * values[1, 0] - 1) <= target**2 * bounds[1, 0] + 8 * EPS


def stability_onset(phi: Nonlinearity) -> tuple[float, float] | None:
    """(sigma_b, q) of the stable critical point of smallest sigma_b, None if there is none or all are stable."""
    curve = critical_curve(phi)
    if curve.degenerate or not curve.q.size:
        return None

    def excess(t: float) -> float:
        rows = scan(phi, np.array([math.exp(t)]))
        return float(rows[3, 0] / rows[1, 0]) - 1

    rows = scan(phi, curve.q)
    alpha = rows[3] / rows[1]
    told = np.flatnonzero((np.abs(alpha - 1) > 1e-9) & (curve.variance >= 0))
    candidates = []
    for i, j in itertools.pairwise(told):
        if (alpha[i] > 1) != (alpha[j] > 1):
            q = math.exp(brentq(excess, math.log(curve.q[i]), math.log(curve.q[j]), xtol=1e-14))
            if (variance := float(_variance(phi, np.array([q]))[0])) >= 0:
                candidates.append((math.sqrt(variance), q))
    return min(candidates, default=None)
