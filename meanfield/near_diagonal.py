"""Expectations over two almost equal Gaussians, in their mean and their difference; knows no network."""

import math
from collections.abc import Callable

import numpy as np

from meanfield.quadrature import EPS, NODES, ROUNDING, WEIGHTS, of_two_partitions, resolve

__all__ = ["Kinks", "Pointwise", "chord_and_product", "near_product", "panel_count", "rough_chord_and_product"]

Pointwise = Callable[[np.ndarray], np.ndarray]
Kinks = Callable[[float, float], np.ndarray]
# From the rows of a vector function at u and at v, (r, ...) each, to those of the integrand, (m, ...).
Pairs = Callable[[np.ndarray, np.ndarray], np.ndarray]

# Panels in standard deviations, of the mean and of the difference; the second of each is the shifted partition.
_MEAN = (np.array([-11.0, -6, -3, 0, 3, 6, 11]), np.array([-11.0, -6.7, -4.1, -1.3, 1.7, 4.4, 7.2, 11]))
_DIFFERENCE = (np.array([0.0, 2.5, 5.5, 11]), np.array([0.0, 1.9, 4.3, 7.2, 11]))
# Of the trailing Legendre coefficients of a factor: Gauss quadrature is exact up to twice the degree that interpolation
# resolves, so that the error of an integral goes with their square.
RESOLVED = 1e-9
MOST_KINKS = 64  # beyond it their distances are left to bisection
_BATCH = 500_000


def near_product(f: Pointwise, kinks: Kinks, gap: float, q: float) -> tuple[float, float]:
    """E f(u) f(v) and a bound on its error, for Gaussians of variance `q` and correlation 1 - `gap`, 0 < gap <= 1.

    The mean s = (u + v)/2 of variance q(1 - gap/2) and the difference d = u - v of variance 2 q gap are independent.
    The expectation over s of f(s + d/2) f(s - d/2) is a smooth function of d > 0 between the distances of kinks, on
    the scale of d itself, however small the gap is.

    Raises
    ------
    OverflowError
        f is not finite within reach.
    """
    values, bounds = _bounded(lambda x: f(x)[None], lambda u, v: u * v, kinks, gap, q)
    return float(values[0]), float(bounds[0])


def chord_and_product(
    f: Pointwise, slope: Pointwise, kinks: Kinks, gap: float, q: float
) -> tuple[np.ndarray, np.ndarray]:
    """E (f(u) - f(v))^2 / E (u - v)^2 and E f'(u) f'(v), and bounds on both, (2,); else as `near_product`."""
    values, bounds = _bounded(_both(f, slope), _square_and_product, kinks, gap, q)
    size = float(np.abs(f(math.sqrt(q) * np.linspace(-3, 3, 13))).max())
    bounds[0] += 4 * EPS * size * math.sqrt(max(float(values[0]), 0.0))  # rounding of f(u) - f(v)
    scale = np.array([2 * q * gap, 1.0])
    return values / scale, bounds / scale


def rough_chord_and_product(f: Pointwise, slope: Pointwise, kinks: Kinks, gap: float, q: float) -> np.ndarray:
    """The values of `chord_and_product` at half the cost: for searches whose answer is evaluated again."""
    return _over_both(_both(f, slope), _square_and_product, kinks, gap, q, 0)[0] / np.array([2 * q * gap, 1.0])


def panel_count(f: Pointwise, kinks: Kinks, q: float) -> int:
    """On how many panels f is resolved over a Gaussian of variance q: the work here grows with its square."""
    return _breaks(lambda x: f(x)[None], kinks, math.sqrt(q), 11.0 * math.sqrt(q), 0).size - 1


def _both(f: Pointwise, slope: Pointwise) -> Pointwise:
    return lambda x: np.array([f(x), slope(x)])


def _square_and_product(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.array([(u[0] - v[0]) ** 2, u[1] * v[1]])


def _bounded(rows: Pointwise, pairs: Pairs, kinks: Kinks, gap: float, q: float) -> tuple[np.ndarray, np.ndarray]:
    return of_two_partitions(*(_over_both(rows, pairs, kinks, gap, q, partition) for partition in (0, 1)))


def _over_both(rows, pairs: Pairs, kinks: Kinks, gap: float, q: float, partition: int) -> tuple[np.ndarray, np.ndarray]:
    """E pairs(rows(u), rows(v)) on one partition, and what is known of its error, shapes (m,)."""
    mean, difference = math.sqrt(q * (1 - gap / 2)), math.sqrt(2 * q * gap)
    reach = 11.0 * mean + 5.5 * difference
    places = kinks(-reach, reach)
    outer = _DIFFERENCE[partition]
    if places.size <= MOST_KINKS:
        apart = np.unique(np.abs(places[:, None] - places)) / difference
        outer = np.union1d(outer, apart[apart < outer[-1]])
    with np.errstate(all="ignore"):
        breaks = _breaks(rows, kinks, mean, reach, partition)
        over_mean = _OverMean(rows, pairs, breaks / mean, mean, difference / mean, _MEAN[partition])
        # u and v are known to a rounding of their mean, which their difference cannot be resolved beyond.
        panels = resolve(over_mean, outer, _half_normal, resolved=max(RESOLVED, 16 * EPS * mean / difference))
    if not np.isfinite(panels.values).all():
        raise OverflowError("the function is not finite within 11 standard deviations")
    density = panels.w * _half_normal(panels.x)
    size = np.abs(panels.values)
    scale = np.maximum(size.max(axis=2, keepdims=True), np.finfo(float).tiny)
    slack = ROUNDING if panels.complete else 1e-3
    doubt = ((slack * size + panels.noise[:, :, None] ** 2 / scale) * density).sum(axis=(1, 2))
    return (panels.values * density).sum(axis=(1, 2)), doubt


def _breaks(rows, kinks: Kinks, mean: float, reach: float, partition: int) -> np.ndarray:
    """Edges of the panels from -reach to reach on which `rows` is resolved."""
    edges = mean * _MEAN[partition]
    edges = np.concatenate([[-reach], edges[np.abs(edges) < reach], [reach], kinks(-reach, reach)])
    with np.errstate(all="ignore"):
        return resolve(rows, np.unique(edges), lambda x: np.exp(-((x / mean) ** 2) / 2), resolved=RESOLVED).edges


def _half_normal(y: np.ndarray) -> np.ndarray:
    return np.exp(-(y**2) / 2) * math.sqrt(2 / math.pi)


class _OverMean:
    """E pairs(rows(s + d/2), rows(s - d/2)) over s, of d in its standard deviations; the lengths in those of s."""

    def __init__(self, rows, pairs: Pairs, breaks: np.ndarray, mean: float, difference: float, window) -> None:
        self._rows, self._pairs, self._breaks = rows, pairs, breaks
        self._mean, self._difference, self._window = mean, difference, window

    def __call__(self, y: np.ndarray) -> np.ndarray:
        half_way = self._difference * y[:, None] / 2
        breaks = np.concatenate([self._breaks - half_way, self._breaks + half_way], axis=1)
        window = np.broadcast_to(self._window, (len(y), len(self._window)))
        edges = np.concatenate([window, np.clip(breaks, self._window[0], self._window[-1])], axis=1)
        edges.sort(axis=1)
        batch = max(1, _BATCH // (edges.shape[1] * len(NODES)))
        parts = [self._integrate(half_way[i : i + batch], edges[i : i + batch]) for i in range(0, len(y), batch)]
        return np.concatenate(parts, axis=1)

    def _integrate(self, half_way: np.ndarray, edges: np.ndarray) -> np.ndarray:
        half = np.diff(edges, axis=1)[:, :, None] / 2
        s = ((edges[:, :-1, None] + half) + half * NODES).reshape(len(edges), -1)
        density = (half * WEIGHTS).reshape(s.shape) * np.exp(-(s**2) / 2) / math.sqrt(2 * math.pi)
        u, v = (self._rows((self._mean * (s + side)).ravel()).reshape(-1, *s.shape) for side in (half_way, -half_way))
        return (self._pairs(u, v) * density).sum(axis=2)
