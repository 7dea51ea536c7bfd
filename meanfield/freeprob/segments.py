"""The density on one component of a free product's spectrum: panels of Legendre series along its curve.

In the charts of `curve` the density is analytic, so that few panels resolve it to rounding, mass and moments are
integrals of series, and any number of points costs a polynomial each.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.polynomial import legendre

from meanfield.freeprob.curve import Chart, Curve, density_of_log, follow
from meanfield.freeprob.edges import Component
from meanfield.freeprob.products import FreeProduct
from meanfield.quadrature import EPS, NODES, ORDER, TO_LEGENDRE, WEIGHTS

__all__ = ["Segment", "segment_of"]

RESOLVED = 1e-12  # unresolved mass of a panel; also its share of the mean and of the second moment
ROUNDING = 30 * EPS  # of m
MAX_BISECTIONS = 40
FIRST_PANELS = 10


@dataclass(frozen=True, eq=False)
class Segment:
    """The density of v on one component.

    chart; edges (p + 1,) of the panels; series (p, ORDER) Legendre coefficients of the density of v on each;
    mass (p,) of each; t, masses : (p, ORDER) ln lambda of the nodes and quadrature masses; rest : mass below the last
    edge; error : bound on the mass that is wrong or unresolved; doubt (p,) : bound on the error of the density of v.
    """

    chart: Chart
    edges: np.ndarray
    series: np.ndarray
    mass: np.ndarray
    t: np.ndarray
    masses: np.ndarray
    rest: float
    error: float
    doubt: np.ndarray

    @property
    def low(self) -> float:
        return -math.inf if self.chart.low is None else self.chart.low

    @property
    def total(self) -> float:
        return float(self.mass.sum()) + self.rest

    def density(self, t: np.ndarray) -> np.ndarray:
        """Of t = ln lambda, for t inside the component."""
        v = self.chart.v(t)
        panel, u, _ = self._located(v)
        density = (legendre.legvander(u, ORDER - 1) * self.series[panel]).sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            density = density / self.chart.slope(v)
        # At a square root edge 0/0, at a harder one finite/0.
        density = np.where(np.isnan(density), 0.0, density)
        return np.where(v > self.edges[-1], 0.0, density)

    def density_error(self, t: np.ndarray) -> np.ndarray:
        v = self.chart.v(t)
        with np.errstate(divide="ignore"):
            return self.doubt[self._located(v)[0]] / self.chart.slope(v)

    def scaled(self, factor: float) -> "Segment":
        names = ("series", "mass", "masses", "rest", "error", "doubt")
        return replace(self, **{name: factor * getattr(self, name) for name in names})

    def above(self, t: np.ndarray) -> np.ndarray:
        """Mass above t."""
        v = self.chart.v(t)
        panel, u, width = self._located(v)
        P = legendre.legvander(u, ORDER)
        k = np.arange(1, ORDER)
        rising = np.concatenate([(u + 1)[:, None], (P[:, 2:] - P[:, :-2]) / (2 * k + 1)], axis=1)
        inside = (rising * self.series[panel]).sum(axis=1) * width / 2
        before = np.concatenate([[0.0], np.cumsum(self.mass)])[panel]
        return np.where(v > self.edges[-1], self.total, before + inside)

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
    reference = product.log_mean + math.log1p(product.relative_variance) / 2
    left, right = _first_edges(curve)
    kept = []
    for depth in range(MAX_BISECTIONS + 1):
        half = (right - left) / 2
        v = (left + half)[:, None] + half[:, None] * NODES
        values, noise, doubt = _density_of_v(curve, shadow, v)
        coefficients = values @ TO_LEGENDRE.T
        tail = np.abs(coefficients[:, -3:]).max(axis=1)
        # The share of the second moment, where that exceeds the mass, has to be right too.
        weight = np.exp(2 * np.maximum(curve.chart.log_z(left) - reference, 0.0))
        done = (tail * half * weight <= RESOLVED) | (tail <= np.maximum(noise, doubt.max(axis=1)))
        done |= depth == MAX_BISECTIONS
        kept.append([part[done] for part in (left, coefficients, half, values, v, tail, doubt)])
        if done.all():
            break
        middle = (left + half)[~done]
        left, right = np.concatenate([left[~done], middle]), np.concatenate([middle, right[~done]])
    starts, series, half, values, v, tail, doubt = (np.concatenate(parts) for parts in zip(*kept, strict=True))
    order = np.argsort(starts)
    starts, series, half, values, v, tail, doubt = (
        part[order] for part in (starts, series, half, values, v, tail, doubt)
    )
    masses = values * half[:, None] * WEIGHTS
    wrong = float(((np.abs(doubt) * WEIGHTS).sum(axis=1) * half + 2 * tail * half).sum())
    return Segment(
        chart=curve.chart,
        edges=np.append(starts, curve.v[-1]),
        series=series,
        mass=masses.sum(axis=1),
        t=curve.chart.log_z(v),
        masses=masses,
        rest=curve.rest,
        error=wrong,
        doubt=doubt.max(axis=1) + tail,
    )


def _first_edges(curve: Curve) -> tuple[np.ndarray, np.ndarray]:
    chosen = np.unique(np.linspace(0, len(curve.v) - 1, FIRST_PANELS + 1).round().astype(int))
    edges = curve.v[chosen]
    return edges[:-1], edges[1:]


def _density_of_v(curve: Curve, shadow: FreeProduct, v: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Density of v at v (p, ORDER), the rounding noise of each panel, and what another computation of it differs by."""
    state = curve.at(v.ravel())
    slope = curve.chart.slope(v)
    values = density_of_log(state).reshape(v.shape) * slope
    m = np.minimum(np.abs(state.M), np.abs(state.one_plus_m)).reshape(v.shape)
    noise = ROUNDING * (m * slope).max(axis=1) / math.pi
    other = shadow.state(state.w)
    other = shadow.state(other.w + shadow.newton_step(other, curve.chart.log_z(v.ravel())))
    return values, noise, np.abs(density_of_log(other).reshape(v.shape) * slope - values) + noise[:, None]
