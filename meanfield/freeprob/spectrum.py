"""The spectrum of a free product as a law of t = ln lambda: panels of Legendre series along its curve.

In the charts of `curve` the density is analytic, so that few panels resolve it to rounding, mass and moments are
integrals of series, and any number of points costs a polynomial each.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import legendre

from meanfield.freeprob.curve import Chart, Curve, density_of_log, follow
from meanfield.freeprob.edges import Component, point_masses_of, support
from meanfield.freeprob.products import FreeProduct
from meanfield.quadrature import EPS, NODES, ORDER, TO_LEGENDRE, WEIGHTS

__all__ = ["SpectralLaw", "spectral_law"]

RESOLVED = 1e-12  # unresolved mass of a panel; also its share of the mean and of the second moment
ROUNDING = 30 * EPS  # of m
MAX_BISECTIONS = 40
FIRST_PANELS = 10


@dataclass(frozen=True, eq=False)
class Segment:
    """The density of v on one component.

    chart; edges (p + 1,) of the panels; series (p, ORDER) Legendre coefficients of the density of v on each;
    mass (p,) of each; v, t, masses : (p, ORDER) nodes, their ln lambda and quadrature masses; rest : mass below the last
    edge; error : bound on the mass that is wrong or unresolved; mean_error : the same weighted by lambda/mean.
    """

    chart: Chart
    edges: np.ndarray
    series: np.ndarray
    mass: np.ndarray
    t: np.ndarray
    masses: np.ndarray
    rest: float
    error: float
    density_error: float

    @property
    def low(self) -> float:
        return -math.inf if self.chart.low is None else self.chart.low

    @property
    def total(self) -> float:
        return float(self.mass.sum()) + self.rest

    def density(self, t: np.ndarray) -> np.ndarray:
        """Of t = ln lambda, for t inside the component."""
        v = self.chart.v(t)
        panel, u, width = self._located(v)
        density = (legendre.legvander(u, ORDER - 1) * self.series[panel]).sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            density = density / self.chart.slope(v)
        # At a square root edge 0/0, at a harder one finite/0.
        density = np.where(np.isnan(density), 0.0, density)
        return np.where(v > self.edges[-1], 0.0, density)

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


@dataclass(frozen=True, eq=False)
class SpectralLaw:
    """A law of lambda >= 0, kept in t = ln lambda.

    Attributes
    ----------
    log_mean : float
        ln E lambda.
    relative_variance : float
        Var lambda/(E lambda)^2.
    segments : tuple of Segment
        Components of the continuous part, from the top down.
    atoms : dict
        ln location (-inf for 0) to mass.
    error : float
        Bound on the error of the cumulative distribution.
    """

    product: FreeProduct
    log_mean: float
    relative_variance: float
    segments: tuple[Segment, ...]
    atoms: dict[float, float]
    error: float

    @property
    def mass(self) -> float:
        """Total mass found, 1 up to the error."""
        return sum(segment.total for segment in self.segments) + sum(self.atoms.values())

    @property
    def log_max(self) -> float:
        """ln of the largest point that carries mass."""
        return max([*(segment.chart.high for segment in self.segments), *self.atoms])

    @property
    def log_min(self) -> float:
        return min([*(segment.low for segment in self.segments), *self.atoms])

    def density_of_log(self, t: np.ndarray) -> np.ndarray:
        """Density of t = ln lambda, which is lambda times that of lambda; atoms are left out."""
        density = np.zeros(t.shape)
        for segment in self.segments:
            inside = (t <= segment.chart.high) & (t >= segment.low) & np.isfinite(t)
            density[inside] = segment.density(t[inside])
        return density

    def cdf_of_log(self, t: np.ndarray) -> np.ndarray:
        """P(ln lambda <= t), atoms included."""
        below = np.zeros(t.shape)
        for segment in self.segments:
            inside = (t < segment.chart.high) & (t > segment.low)
            below[t >= segment.chart.high] += segment.total
            below[inside] += segment.total - segment.above(t[inside])
        for place, mass in self.atoms.items():
            below[t >= place] += mass
        return below / self.mass

    def log_quantile(self, p: np.ndarray) -> np.ndarray:
        """Smallest t with P(ln lambda <= t) >= p, -inf where that is lambda = 0; by bisection."""
        bottom = min([s.chart.log_z(s.edges[-1]) for s in self.segments] + [a for a in self.atoms if a > -math.inf])
        low, high = np.full(p.shape, bottom - 1.0), np.full(p.shape, self.log_max)
        for _ in range(80):
            middle = (low + high) / 2
            enough = self.cdf_of_log(middle) >= p
            low, high = np.where(enough, low, middle), np.where(enough, middle, high)
        return np.where(p <= self.atoms.get(-math.inf, 0.0), -math.inf, high)

    def expectation(self, function) -> float:
        """E function(t) over lambda > 0, `function` vectorised."""
        total = sum(float((segment.masses * function(segment.t)).sum()) for segment in self.segments)
        places = [place for place in self.atoms if place > -math.inf]
        return total + sum(self.atoms[place] * float(function(np.array([place]))[0]) for place in places)


def spectral_law(product: FreeProduct, *, shadow: FreeProduct | None = None, mass_at_zero: float = 0.0) -> SpectralLaw:
    """The spectrum of a free product.

    Parameters
    ----------
    product : FreeProduct
    shadow : FreeProduct, optional
        The same product of laws computed in another way: the differences enter the errors.
    mass_at_zero : float
        Point mass at 0 that the factors given by `product.terms` have.

    Raises
    ------
    Lost
        The curve of a component could not be followed.
    """
    atoms = point_masses_of(product, mass_at_zero)
    zero = atoms.get(-math.inf, 0.0)
    segments = tuple(
        _segment(product, shadow or product, component, zero) for component in support(product)
    )
    law = SpectralLaw(product, product.log_mean, product.relative_variance, segments, atoms, 0.0)
    error = abs(law.mass - 1) + sum(segment.error for segment in segments)
    return SpectralLaw(product, law.log_mean, law.relative_variance, segments, atoms, error)


def _segment(product: FreeProduct, shadow: FreeProduct, component: Component, mass_at_zero: float) -> Segment:
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
        done = (tail * half * weight <= RESOLVED) | (tail <= np.maximum(noise, doubt.max(axis=1))) | (depth == MAX_BISECTIONS)
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
    slope = np.maximum(curve.chart.slope(v), 1e-300)
    return Segment(
        chart=curve.chart,
        edges=np.append(starts, curve.v[-1]),
        series=series,
        mass=masses.sum(axis=1),
        t=curve.chart.log_z(v),
        masses=masses,
        rest=curve.rest,
        error=wrong,
        density_error=float((np.abs(doubt) / slope).max() + (tail[:, None] / slope).max()),
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
    m = np.minimum(np.abs(state.M), np.abs(state.one_plus_M)).reshape(v.shape)
    noise = ROUNDING * (m * slope).max(axis=1) / math.pi
    if shadow is curve.product:
        return values, noise, np.broadcast_to(noise[:, None], v.shape)
    other = shadow.state(state.w)
    other = shadow.state(other.w + shadow.newton_step(other, curve.chart.log_z(v.ravel())))
    return values, noise, np.abs(density_of_log(other).reshape(v.shape) * slope - values) + noise[:, None]
