"""Expectations of two correlated Gaussians: Mehler's series where it converges, two nested quadratures elsewhere."""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from meanfield.quadrature import EPS, NODES, ORDER, ROUNDING, TO_LEGENDRE, WEIGHTS, of_two_partitions, resolve

__all__ = ["TERMS", "MehlerSeries", "mehler_series", "smoothed_products"]

TERMS = 512
REACH = 14.0  # h_k(z) exp(-z^2/2) is below 1e-21 beyond, for every k
RADIANS = 4.0  # of the last polynomial, at most, on a panel: its ORDER nodes resolve that to 1e-13
RESOLVED = 1e-13  # Gauss quadrature of a panel is far more accurate than the interpolation that this measures
SHIFT = 0.36  # of the second partition, in panels; it gives the error

Rows = Callable[[np.ndarray], np.ndarray]
Kinks = Callable[[float, float], np.ndarray]


def _normal(z: np.ndarray) -> np.ndarray:
    return np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)


def _hermite(z: np.ndarray, terms: int) -> np.ndarray:
    """Orthonormal Hermite polynomials, shape (terms, n)."""
    h = np.empty((terms, z.size))
    h[0], h[1] = 1.0, z
    for k in range(1, terms - 1):
        h[k + 1] = (z * h[k] - math.sqrt(k) * h[k - 1]) / math.sqrt(k + 1)
    return h


def _base_edges(shift: float, terms: int) -> np.ndarray:
    panel = RADIANS / math.sqrt(terms)
    return np.concatenate([[0.0], np.arange((1 - shift) * panel, REACH, panel), [REACH]])


@functools.cache
def _base_hermite(shift: float, terms: int) -> np.ndarray:
    edges = _base_edges(shift, terms)
    half = np.diff(edges)[:, None] / 2
    return _hermite((edges[:-1, None] + half + half * NODES).ravel(), terms)


@dataclass(frozen=True)
class MehlerSeries:
    """Hermite coefficients of the rows of a function of one standard normal, on two partitions.

    coefficients : (2, rows, terms); rest : (rows,) E f^2 minus the sum of their squares; size : (rows,) E f^2.
    """

    coefficients: np.ndarray
    rest: np.ndarray
    size: np.ndarray

    def product(self, other: "MehlerSeries", row: int, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """E f(u) g(v) = sum_k a_k b_k c^k (Mehler), row f here and g there, with its error bound; c has shape (n,)."""
        terms = self.coefficients.shape[2]
        powers = c[:, None] ** np.arange(terms)
        first, second = (
            (powers * (a * b)).sum(axis=1)
            for a, b in zip(self.coefficients[:, row], other.coefficients[:, row], strict=True)
        )
        size = math.sqrt(self.size[row]) * math.sqrt(other.size[row])
        left_out = np.abs(c) ** terms * math.sqrt(self.rest[row]) * math.sqrt(other.rest[row])
        return first, left_out + 2 * np.abs(first - second) + ROUNDING * size

    def has_decayed(self, row: int) -> bool:
        """Do the coefficients left out add less than rounding to E f^2?

        Both that the last ones are small and that the sum is whole: fast waves begin with coefficients of 0.
        """
        terms = self.coefficients.shape[2]
        small = (self.coefficients[:, row, -16:] ** 2).max() * terms <= 0.1 * EPS * self.size[row]
        return bool(small and self.rest[row] <= 4 * ROUNDING * self.size[row])


def mehler_series(rows: Rows, kinks: Kinks, *, terms: int) -> MehlerSeries:
    """The first `terms` Hermite coefficients of `rows`, from z (n,) to (r, n), with kinks at ``kinks(low, high)`` in z.

    Raises
    ------
    OverflowError
        A row is not finite within reach.
    """

    def both_sides(z: np.ndarray) -> np.ndarray:
        return np.concatenate([rows(z), rows(-z)])

    folds = np.unique(np.abs(kinks(-REACH, REACH)))
    coefficients, sizes = [], []
    for shift in (0.0, SHIFT):
        base = _base_edges(shift, terms)
        with np.errstate(all="ignore"):
            panels = resolve(both_sides, np.unique(np.concatenate([base, folds])), _normal, resolved=RESOLVED)
        if not np.isfinite(panels.values).all():
            raise OverflowError("the function is not finite within 14 standard deviations")
        z = panels.x.ravel()
        density = panels.w.ravel() * _normal(z)
        right, left = np.split(panels.values.reshape(len(panels.values), -1), 2)
        table = _base_hermite(shift, terms)
        coefficients.append(_project((right + left) * density, (right - left) * density, panels.edges, z, base, table))
        sizes.append(((right**2 + left**2) * density).sum(axis=1))
    size = np.maximum(*sizes)
    rest = np.maximum(size - (coefficients[0] ** 2).sum(axis=1), 0.0) + ROUNDING * size
    return MehlerSeries(np.array(coefficients), rest, size)


def _project(
    even: np.ndarray, odd: np.ndarray, edges: np.ndarray, z: np.ndarray, base: np.ndarray, table: np.ndarray
) -> np.ndarray:
    """Weighted values at z > 0 against every h_k, (rows, terms): the even part meets the even k, the odd part the odd.

    The polynomials are tabulated on the base panels, whose nodes resolve them. On panels that had to be split for the
    function's sake the weighted values go to the base nodes by the interpolation that gives h_k from there.
    """
    values = np.concatenate([even, odd])
    if not np.array_equal(edges, base):
        place = np.minimum(np.searchsorted(base, edges[:-1], side="right") - 1, len(base) - 2)
        whole = (base[place] == edges[:-1]) & (base[place + 1] == edges[1:])
        spread = np.zeros((len(values), len(base) - 1, ORDER))
        values = values.reshape(len(values), -1, ORDER)
        spread[:, place[whole]] = values[:, whole]
        if not whole.all():
            parts = place[~whole]
            left, right = base[parts, None], base[parts + 1, None]
            x = (2 * z.reshape(-1, ORDER)[~whole] - left - right) / (right - left)
            lagrange = np.polynomial.legendre.legvander(x, ORDER - 1) @ TO_LEGENDRE
            moved = np.matmul(values[:, ~whole].transpose(1, 0, 2), lagrange).transpose(1, 0, 2)
            first = np.flatnonzero(np.diff(parts, prepend=-1))
            spread[:, parts[first]] += np.add.reduceat(moved, first, axis=1)
        values = spread.reshape(len(spread), -1)
    even, odd = np.split(values, 2)
    return np.stack([even @ table[0::2].T, odd @ table[1::2].T], axis=2).reshape(len(even), -1)


# Inner panels in standard deviations, and outer ones; the second of each is the shifted partition.
_INNER = (
    np.array([-11.0, -8, -5.5, -3.5, -1.75, 0, 1.75, 3.5, 5.5, 8, 11]),
    np.array([-11.0, -7.3, -5.1, -2.9, -1.1, 0.6, 2.3, 4.2, 6.1, 8.4, 11]),
)
_OUTER = (
    np.array([-13.0, -9, -6.5, -4.5, -3, -1.5, 0, 1.5, 3, 4.5, 6.5, 9, 13]),
    np.array([-13.0, -8.6, -6.1, -3.9, -2.3, -0.8, 0.7, 2.2, 3.8, 5.7, 8.3, 10, 13]),
)
OUTER_RESOLVED = 2e-13  # above the inner rule's rounding, which bisection cannot lower
_BATCH = 1_000_000


def smoothed_products(rows: Rows, kinks: Kinks, c: float, q1: float, q2: float) -> tuple[np.ndarray, np.ndarray]:
    """E f(u) f(v) of each row f, and error bounds, shapes (r,), for Gaussians of variances q1, q2 and correlation c.

    With u = sqrt(q1)(sqrt|c| w + sqrt(1-|c|) z1), v likewise with z2 (and -w for c < 0), the expectation is that of
    the product of two smoothed functions of w alone, which stays regular as |c| -> 1.
    """
    results = []
    for partition in range(2):
        smooth = [
            _Smoothed(rows, kinks, math.copysign(s * math.sqrt(abs(c)), sign), s * math.sqrt(1 - abs(c)), partition)
            for s, sign in ((math.sqrt(q1), 1.0), (math.sqrt(q2), c))  # q c itself may fall below double precision
        ]
        same = q1 == q2 and c > 0
        edges = np.concatenate([_OUTER[partition], *(part.outer_breaks() for part in smooth[: 1 if same else 2])])
        edges = np.unique(edges[np.abs(edges) <= _OUTER[partition][-1]])

        with np.errstate(all="ignore"):
            panels = resolve(functools.partial(_factors, smooth, same), edges, _normal, resolved=OUTER_RESOLVED)
        if not np.isfinite(panels.values).all():
            raise OverflowError("the function is not finite within 13 standard deviations")
        r = len(panels.values) // 2
        first, second = panels.values[:r], panels.values[r:]
        density = panels.w * _normal(panels.x)
        values = (first * second * density).sum(axis=(1, 2))
        noise, other_noise = panels.noise[:r, :, None], panels.noise[r:, :, None]
        slack = 2 * ROUNDING if panels.complete else 1e-3
        doubt = slack * np.abs(first * second) + np.abs(first) * other_noise + (np.abs(second) + other_noise) * noise
        results.append((values, (doubt * density).sum(axis=(1, 2))))
    return of_two_partitions(*results)


def _factors(smooth: "list[_Smoothed]", same: bool, w: np.ndarray) -> np.ndarray:
    """The rows of both smoothed functions, or twice those of the first if they are the `same`."""
    first = smooth[0](w)
    return np.concatenate([first, first if same else smooth[1](w)])


class _Smoothed:
    """g(w) = E f(a w + s z) for the rows of f, on Gauss-Legendre panels that follow the mean and split where f asks."""

    def __init__(self, rows: Rows, kinks: Kinks, a: float, s: float, partition: int) -> None:
        self._rows, self._a, self._s = rows, a, s
        self._window = _INNER[partition]
        reach = 13.0 * abs(a) + 11.0 * s
        spread = math.hypot(a, s)
        edges = spread * _OUTER[partition]
        self._kinks = kinks(-reach, reach)
        edges = np.unique(np.concatenate([[-reach], edges[np.abs(edges) < reach], [reach], self._kinks]))
        with np.errstate(all="ignore"):
            self._breaks = resolve(rows, edges, lambda y: np.exp(-((y / spread) ** 2) / 2)).edges

    def outer_breaks(self) -> np.ndarray:
        """Where g may turn sharply: at the scales of f itself, and within a few s of its kinks."""
        ramps = (self._kinks[:, None] + self._s * np.array([-9.0, -4, -1.5, 0, 1.5, 4, 9])).ravel()
        return np.concatenate([self._breaks, ramps]) / self._a

    def __call__(self, w: np.ndarray) -> np.ndarray:
        mean = self._a * w
        reach = self._s * self._window[-1]
        first = np.searchsorted(self._breaks, mean - reach)
        most = int((np.searchsorted(self._breaks, mean + reach) - first).max(initial=0))
        index = np.minimum(first[:, None] + np.arange(most), len(self._breaks) - 1)
        # Panels live in z, where the density is smooth to rounding however small s is.
        breaks = np.clip((self._breaks[index] - mean[:, None]) / self._s, self._window[0], self._window[-1])
        window = np.broadcast_to(self._window, (len(w), len(self._window)))
        edges = np.sort(np.concatenate([window, breaks], axis=1), axis=1)
        batch = max(1, _BATCH // (edges.shape[1] * ORDER))
        parts = [self._integrate(mean[i : i + batch], edges[i : i + batch]) for i in range(0, len(w), batch)]
        return np.concatenate(parts, axis=1)

    def _integrate(self, mean: np.ndarray, edges: np.ndarray) -> np.ndarray:
        half = np.diff(edges, axis=1)[:, :, None] / 2
        z = (edges[:, :-1, None] + half) + half * NODES
        values = self._rows((mean[:, None, None] + self._s * z).ravel())
        return (values.reshape(len(values), *z.shape) * (half * WEIGHTS * _normal(z))).sum(axis=(2, 3))
