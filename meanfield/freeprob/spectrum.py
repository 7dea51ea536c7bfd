"""The spectrum of a free product as a law of t = ln lambda: panels of Legendre series along its curve.

In the charts of `curve` the density is analytic, so that few panels resolve it to rounding, mass and moments are
integrals of series, and any number of points costs a polynomial each.
"""

import functools
import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.polynomial import legendre

from meanfield.freeprob.curve import Chart, Curve, density_of_log, follow
from meanfield.freeprob.edges import Component, Edge, point_masses_of, support
from meanfield.freeprob.products import FreeProduct
from meanfield.quadrature import EPS, NODES, ORDER, TO_LEGENDRE, WEIGHTS

__all__ = ["SpectralLaw", "Spectrum"]

RESOLVED = 1e-12  # unresolved mass of a panel; also its share of the mean and of the second moment
ROUNDING = 30 * EPS  # of m
MAX_BISECTIONS = 40
FIRST_PANELS = 10
BISECTIONS = 90
EDGE_ROUNDING = 16 * EPS


@dataclass(frozen=True, eq=False)
class Segment:
    """The density of v on one component.

    chart; edges (p + 1,) of the panels; series (p, ORDER) Legendre coefficients of the density of v on each;
    mass (p,) of each; v, t, masses : (p, ORDER) nodes, their ln lambda and quadrature masses; rest : mass below the last
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
        panel, u, width = self._located(v)
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


@dataclass(frozen=True, eq=False)
class SpectralLaw:
    """A law of lambda >= 0, kept in t = ln lambda.

    Attributes
    ----------
    segments : tuple of Segment
        Components of the continuous part, from the top down.
    atoms : dict
        ln location (-inf for 0) to mass.
    """

    segments: tuple[Segment, ...]
    atoms: dict[float, float]

    @functools.cached_property
    def mass(self) -> float:
        """Total mass found, 1 up to the error."""
        return sum(segment.total for segment in self.segments) + sum(self.atoms.values())

    @property
    def error(self) -> float:
        """Bound on the error of the cumulative distribution."""
        return abs(self.mass - 1) + sum(segment.error for segment in self.segments)

    def density_of_log(self, t: np.ndarray) -> np.ndarray:
        """Density of t = ln lambda, which is lambda times that of lambda; atoms are left out."""
        density = np.zeros(t.shape)
        for segment in self.segments:
            inside = (t <= segment.chart.high) & (t >= segment.low) & np.isfinite(t)
            density[inside] = segment.density(t[inside])
        return density

    def density_error(self, t: np.ndarray) -> np.ndarray:
        """Bound on the error of `density_of_log`."""
        error = np.zeros(t.shape)
        for segment in self.segments:
            inside = (t <= segment.chart.high) & (t >= segment.low) & np.isfinite(t)
            error[inside] = segment.density_error(t[inside])
        return error

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
        places = [place for place in self.atoms if place > -math.inf]
        bottoms = [float(s.chart.log_z(s.edges[-1])) for s in self.segments]
        if not places and not bottoms:
            return np.full(p.shape, -math.inf)
        low = np.full(p.shape, min(places + bottoms) - 1.0)
        high = np.full(p.shape, max(places + [s.chart.high for s in self.segments]))
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            enough = self.cdf_of_log(middle) >= p
            low, high = np.where(enough, low, middle), np.where(enough, middle, high)
        return np.where(p <= self.atoms.get(-math.inf, 0.0), -math.inf, high)

    def expectation(self, function) -> float:
        """E function(t) over lambda > 0, `function` vectorised."""
        total = sum(float((segment.masses * function(segment.t)).sum()) for segment in self.segments)
        places = np.array([place for place in self.atoms if place > -math.inf])
        masses = np.array([self.atoms[place] for place in places])
        return total + float((masses * function(places)).sum())

    def scaled(self, factor: float) -> "SpectralLaw":
        """The law with all mass above 0 multiplied by `factor`, and the rest at 0."""
        segments = tuple(segment.scaled(factor) for segment in self.segments)
        atoms = {place: factor * mass for place, mass in self.atoms.items() if place > -math.inf}
        zero = 1 - factor * (1 - self.atoms.get(-math.inf, 0.0))
        # What factors with exact rational masses leave at 0 is rounding if it is this small.
        return SpectralLaw(segments, atoms if zero <= 8 * EPS else {-math.inf: zero, **atoms})


@dataclass(frozen=True, eq=False)
class Spectrum:
    """The spectrum of a free product: edges and atoms at once, the law when it is asked for.

    Attributes
    ----------
    product : FreeProduct
    shadow : FreeProduct
        The same product with its laws computed in another way: the differences enter the errors.
    mass_at_zero : float
        Point mass at 0 that the factors have.
    share : float
        Multiplies all mass above 0: the part of the eigenvalues that is kept when a matrix A A^T stands for A^T A.
    """

    product: FreeProduct
    shadow: FreeProduct
    mass_at_zero: float = 0.0
    share: float = 1.0

    @functools.cached_property
    def components(self) -> tuple[Component, ...]:
        return support(self.product)

    @functools.cached_property
    def atoms(self) -> dict[float, float]:
        """ln location (-inf for 0) to mass."""
        return SpectralLaw((), self._own_atoms).scaled(self.share).atoms

    @functools.cached_property
    def law(self) -> SpectralLaw:
        """The law.

        Raises
        ------
        Lost
            The curve of a component could not be followed.
        """
        zero = self._own_atoms.get(-math.inf, 0.0)
        segments = tuple(_segment(self.product, self.shadow, component, zero) for component in self.components)
        return SpectralLaw(segments, self._own_atoms).scaled(self.share)

    @property
    def _own_atoms(self) -> dict[float, float]:
        return point_masses_of(self.product, self.mass_at_zero)

    def edge_error(self, edge: Edge) -> float:
        """Bound on the error of ln z at an edge."""
        rounding = EDGE_ROUNDING * (1 + abs(edge.log_z) + float(self.product.powers.sum()))
        if not edge.square_root:
            return rounding
        # ln z is stationary in w there, so that the difference at fixed w is that of the edge.
        w = edge.w[:, None]
        ours, other = self.product.state(w), self.shadow.state(w)
        difference = other.log_z + other.mismatch - ours.log_z - ours.mismatch
        missed = ours.slope**2 / (2 * self.product.curvature(edge.w))
        return float(np.abs(difference[0]) + np.abs(missed[0])) + rounding


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
    m = np.minimum(np.abs(state.M), np.abs(state.one_plus_M)).reshape(v.shape)
    noise = ROUNDING * (m * slope).max(axis=1) / math.pi
    other = shadow.state(state.w)
    other = shadow.state(other.w + shadow.newton_step(other, curve.chart.log_z(v.ravel())))
    return values, noise, np.abs(density_of_log(other).reshape(v.shape) * slope - values) + noise[:, None]
