"""The density on one component of a free product's spectrum: panels of Legendre series along its curve.

In the charts of `curve` the density is analytic, so that few panels resolve it to rounding, mass and moments are
integrals of series, and any number of points costs a polynomial each.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.polynomial import legendre

from meanfield.freeprob.curve import Chart, Curve, LostError, Tail, density_of_log, follow
from meanfield.freeprob.edges import Component
from meanfield.freeprob.products import FreeProduct, State
from meanfield.quadrature import EPS, NODES, ORDER, TO_LEGENDRE, WEIGHTS

__all__ = ["Segment", "segment_of"]

RESOLVED = 1e-12  # unresolved mass of a panel; also its share of the mean and of the second moment
ROUNDING = 30 * EPS  # of m
ROUNDING_OF_LOG = EPS / 2  # of ln z
MAX_BISECTIONS = 40
FIRST_PANELS = 10
HIGHEST_SMOOTH = 4  # degree of a polynomial through noisy values
# From a panel's nodes to those of its halves.
TO_HALVES = np.array([legendre.legvander((NODES + side) / 2, ORDER - 1) @ TO_LEGENDRE for side in (-1, 1)])
_LAGUERRE = np.polynomial.laguerre.laggauss(8)


@dataclass(frozen=True, eq=False)
class Segment:
    """The density of v on one component.

    chart; edges (p + 1,) of the panels; series (p, ORDER) Legendre coefficients of the density of v on each;
    mass (p,) of each; t, masses : (n,) a quadrature for expectations of functions of t = ln lambda; tail : what lies
    below the last edge; error : bound on the mass that is wrong or unresolved; doubt (p,) : bound on the error of the
    density of v.
    """

    chart: Chart
    edges: np.ndarray
    series: np.ndarray
    mass: np.ndarray
    t: np.ndarray
    masses: np.ndarray
    tail: Tail
    error: float
    doubt: np.ndarray

    @property
    def low(self) -> float:
        return -math.inf if self.chart.low is None else self.chart.low

    @property
    def total(self) -> float:
        return float(self.mass.sum()) + self.tail.mass

    @property
    def bottom(self) -> float:
        """t at the last edge."""
        return float(self.chart.log_z(self.edges[-1]))

    def density(self, t: np.ndarray) -> np.ndarray:
        """Of t = ln lambda, for t inside the component."""
        v = self.chart.v(t)
        panel, u, _ = self._located(v)
        density = (legendre.legvander(u, ORDER - 1) * self.series[panel]).sum(axis=1)
        # What is below 0, or at an edge not above its bound, is rounding.
        slope = self.chart.slope(v)
        density = np.where(density > np.where(slope > 0, 0.0, self.doubt[panel]), density, 0.0)
        with np.errstate(divide="ignore"):
            density = density / np.where(density > 0, slope, 1.0)
        return np.where(v > self.edges[-1], self.tail.rate * self._below(t), density)

    def density_error(self, t: np.ndarray) -> np.ndarray:
        v = self.chart.v(t)
        with np.errstate(divide="ignore"):
            return self.doubt[self._located(v)[0]] / self.chart.slope(v)

    def scaled(self, factor: float) -> "Segment":
        names = ("series", "mass", "masses", "error", "doubt")
        tail = Tail(factor * self.tail.mass, self.tail.rate)
        return replace(self, tail=tail, **{name: factor * getattr(self, name) for name in names})

    def below(self, t: np.ndarray) -> np.ndarray:
        """Mass below t."""
        v = self.chart.v(t)
        panel, u, width = self._located(v)
        P = legendre.legvander(u, ORDER)
        k = np.arange(1, ORDER)
        rising = np.concatenate([(u + 1)[:, None], (P[:, 2:] - P[:, :-2]) / (2 * k + 1)], axis=1)
        inside = (rising * self.series[panel]).sum(axis=1) * width / 2
        after = np.append(np.cumsum(self.mass[::-1])[::-1], 0.0)[panel] + self.tail.mass
        return np.where(v > self.edges[-1], self._below(t), after - inside)

    def _below(self, t: np.ndarray) -> np.ndarray:
        return self.tail.mass * np.exp(self.tail.rate * np.minimum(t - self.bottom, 0.0))

    def _located(self, v: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        panel = np.clip(np.searchsorted(self.edges, v, side="right") - 1, 0, len(self.mass) - 1)
        width = self.edges[panel + 1] - self.edges[panel]
        return panel, np.clip(2 * (v - self.edges[panel]) / width - 1, -1.0, 1.0), width


def segment_of(product: FreeProduct, shadow: FreeProduct, component: Component, mass_at_zero: float) -> Segment:
    """Resolve the density on a component by panels, and compare it with that of the `shadow`.

    Raises
    ------
    LostError
        The curve could not be followed.
    """
    curve = follow(product, component, mass_at_zero)
    while True:
        try:
            starts, series, half, values, v, tail, doubt = _resolved(curve, shadow)
            break
        except LostError as lost:
            curve = curve.cut_before(lost.v)
    masses = values * half[:, None] * WEIGHTS
    wrong = float(((np.abs(doubt) * WEIGHTS).sum(axis=1) * half + 2 * tail * half).sum())
    tail_t, tail_masses = _tail_nodes(curve)
    return Segment(
        chart=curve.chart,
        edges=np.append(starts, curve.v[-1]),
        series=series,
        mass=masses.sum(axis=1),
        t=np.concatenate([curve.chart.log_z(v).ravel(), tail_t]),
        masses=np.concatenate([masses.ravel(), tail_masses]),
        tail=curve.tail,
        error=wrong + curve.tail.error,
        doubt=doubt.max(axis=1) + tail,
    )


def _resolved(curve: Curve, shadow: FreeProduct) -> list[np.ndarray]:
    """Panels from the top down: their starts, Legendre series, half widths, values, v, unresolved parts and doubts."""
    reference = curve.product.log_mean + math.log1p(curve.product.relative_variance) / 2
    left, right = _first_edges(curve)
    guess, kept = None, []
    for depth in range(MAX_BISECTIONS + 1):
        half = (right - left) / 2
        v = (left + half)[:, None] + half[:, None] * NODES
        state = curve.at(v.ravel(), curve.guess(v.ravel()) if guess is None else guess)
        values, noise, difference = _density_of_v(curve, shadow, v, state)
        doubt = difference + noise.max(axis=1)[:, None]
        tail = np.abs(values @ TO_LEGENDRE[-3:].T).max(axis=1)
        # The share of the second moment, where that exceeds the mass, has to be right too.
        weight = np.exp(2 * np.maximum(curve.chart.log_z(left) - reference, 0.0))
        resolved = tail * half * weight <= RESOLVED
        done = resolved | (tail <= doubt.max(axis=1)) | (depth == MAX_BISECTIONS)
        for i in np.flatnonzero(done & ~resolved):
            smooth, bound = _smoothed(values[i], noise[i] + difference[i])
            if bound.max() < doubt[i].max() + tail[i]:
                values[i], doubt[i], tail[i] = smooth, bound, 0.0
        kept.append([part[done] for part in (left, values @ TO_LEGENDRE.T, half, values, v, tail, doubt)])
        if done.all():
            break
        middle = (left + half)[~done]
        left, right = np.concatenate([left[~done], middle]), np.concatenate([middle, right[~done]])
        known = np.log(state.w).reshape(-1, *v.shape)[:, ~done]
        guess = np.einsum("lpn,hkn->lhpk", known, TO_HALVES).reshape(len(known), -1)
    parts = [np.concatenate(part) for part in zip(*kept, strict=True)]
    order = np.argsort(parts[0])
    return [part[order] for part in parts]


def _smoothed(values: np.ndarray, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values at the nodes of a panel by a polynomial through them, fitted where their noise is least, and its bound.

    Towards an edge the noise grows as the inverse square of v, and what the density varies by is lost in it.
    """
    best, least = values, np.full(ORDER, np.inf)
    before = np.zeros((ORDER, ORDER))
    for degree in range(HIGHEST_SMOOTH + 1):
        P = legendre.legvander(NODES, degree)
        # Noise of 0 is that of a slope of 0, at the very end of a component.
        size = np.maximum(noise, 1e-3 * np.median(noise))
        fit = P @ np.linalg.pinv(P / size[:, None]) / size
        bound = np.abs(fit) @ noise + np.abs((fit - before) @ values)
        if bound.max() < least.max():
            best, least = fit @ values, bound
        before = fit
    return best, least


def _tail_nodes(curve: Curve) -> tuple[np.ndarray, np.ndarray]:
    """A quadrature for the tail, t and masses: Gauss-Laguerre for an exponential."""
    mass, rate = curve.tail.mass, curve.tail.rate
    if not mass or not rate:
        return np.empty(0), np.empty(0)
    return curve.chart.log_z(curve.v[-1]) - _LAGUERRE[0] / rate, mass * _LAGUERRE[1]


def _first_edges(curve: Curve) -> tuple[np.ndarray, np.ndarray]:
    chosen = np.unique(np.linspace(0, len(curve.v) - 1, FIRST_PANELS + 1).round().astype(int))
    edges = curve.v[chosen]
    return edges[:-1], edges[1:]


def _density_of_v(
    curve: Curve, shadow: FreeProduct, v: np.ndarray, state: State
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Density of v at v (p, ORDER), its rounding noise, and what another computation of it differs by."""
    slope = curve.chart.slope(v)
    values = density_of_log(state).reshape(v.shape) * slope
    m = np.minimum(np.abs(state.M), np.abs(state.one_plus_m)).reshape(v.shape)
    chart, t = curve.chart, curve.chart.log_z(v)
    distance = chart.high - t if chart.low is None else np.minimum(chart.high - t, t - chart.low)
    # ln z is known to rounding only, and towards an edge the density varies with its distance in ln z.
    shift = ROUNDING_OF_LOG * (np.abs(t) + state.log_size.reshape(v.shape)) / np.maximum(distance, 1e-300)
    # And w only to rounding, which counts beside the distance from a point mass, where N = 0.
    shift += EPS * np.abs(state.w * state.N_slope / state.N).max(axis=0).reshape(v.shape)
    noise = ROUNDING * m * slope / math.pi + np.abs(values) * np.minimum(shift, 1.0)
    # To first order in the difference: one Newton step of the other product from our w.
    other = shadow.state(state.w)
    slope_of_M = -other.N_slope[0] * other.M**2
    moved = slope_of_M * shadow.newton_step(other, curve.chart.log_z(v.ravel()))[0]
    difference = np.where(np.abs(state.one_plus_m) < np.abs(state.M), other.one_plus_m, other.M) + moved
    return values, noise, np.abs(-difference.imag.reshape(v.shape) / math.pi * slope - values)
