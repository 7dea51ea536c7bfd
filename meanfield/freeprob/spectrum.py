"""Spectra of free products: edges and atoms at once, the law when it is asked for."""

import functools
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import numpy as np

from meanfield.freeprob.edges import Component, Edge, point_masses_of, support
from meanfield.freeprob.products import FreeProduct
from meanfield.freeprob.real_line import Distribution
from meanfield.freeprob.segments import Segment, segment_of
from meanfield.quadrature import EPS

__all__ = ["NOTHING", "SpectralLaw", "Spectrum"]

BISECTIONS = 62
EDGE_ROUNDING = 16 * EPS
ONSET = np.array([10.0, 12.0])  # below all nodes, where a law that reaches 0 is a power of lambda


class SpectralLaw(ABC):
    """A law of lambda >= 0, kept in t = ln lambda.

    Attributes
    ----------
    atoms : dict
        ln location (-inf for 0) to mass.
    mass : float
        Total mass found, 1 up to the error.
    error : float
        Bound on the error of the cumulative distribution.
    reach : (float, float)
        Interval of t that holds the continuous part.
    """

    atoms: dict[float, float]
    mass: float
    error: float
    reach: tuple[float, float]

    @abstractmethod
    def density_of_log(self, t: np.ndarray) -> np.ndarray:
        """Density of t = ln lambda at t (n,), which is lambda times that of lambda; atoms are left out."""

    @abstractmethod
    def density_error(self, t: np.ndarray) -> np.ndarray:
        """Bound on the error of `density_of_log`."""

    @abstractmethod
    def cdf_of_log(self, t: np.ndarray) -> np.ndarray:
        """P(ln lambda <= t), atoms included."""

    @abstractmethod
    def expectation(self, function) -> float:
        """E function(t) over lambda > 0, `function` vectorised."""

    @abstractmethod
    def scaled(self, factor: float) -> "SpectralLaw":
        """The law with all mass above 0 multiplied by `factor`, and the rest at 0."""

    @property
    def onset(self) -> tuple[float, float]:
        """r and C of P(0 < lambda <= x) ~ C x^r as x falls to 0; (inf, 0) where that is no power of x."""
        t = self.reach[0] - ONSET
        above, below = self.density_of_log(t)
        if not below > 0:
            return math.inf, 0.0
        rate = math.log(above / below) / float(t[0] - t[1])
        return rate, float(above) / rate * math.exp(-rate * float(t[0]))

    def log_quantile(self, p: np.ndarray) -> np.ndarray:
        """Smallest t with P(ln lambda <= t) >= p, -inf where that is lambda = 0; by bisection."""
        places = [place for place in self.atoms if place > -math.inf]
        bottom, top = self.reach
        low, high = np.full(p.shape, min([*places, bottom]) - 1.0), np.full(p.shape, max([*places, top]))
        if not np.isfinite(low).all():
            return np.full(p.shape, -math.inf)
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            enough = self.cdf_of_log(middle) >= p
            low, high = np.where(enough, low, middle), np.where(enough, middle, high)
        return np.where(p <= self.atoms.get(-math.inf, 0.0), -math.inf, high)

    def _atoms_below(self, t: np.ndarray) -> np.ndarray:
        # The logarithm of a location that was rounded to float64 is at the atom.
        reached = {place: t >= place - 4 * EPS * (1 + abs(place)) for place in self.atoms}
        return sum((mass * reached[place] for place, mass in self.atoms.items()), np.zeros(t.shape))

    def _expectation_of_atoms(self, function) -> float:
        places = np.array([place for place in self.atoms if place > -math.inf])
        return float((np.array([self.atoms[place] for place in places]) * function(places)).sum())


def _scaled_atoms(atoms: dict[float, float], factor: float) -> dict[float, float]:
    found = {place: factor * mass for place, mass in atoms.items() if place > -math.inf}
    zero = 1 - factor * (1 - atoms.get(-math.inf, 0.0))
    # What exact fractions leave at 0 is rounding if it is this small.
    return found if zero <= 8 * EPS else {-math.inf: zero, **found}


@dataclass(frozen=True, eq=False)
class CurveLaw(SpectralLaw):
    """The law by its density on each component, from the top down; that of lambda/exp(log_scale) in the segments."""

    segments: tuple[Segment, ...]
    atoms: dict[float, float]
    log_scale: float = 0.0

    @functools.cached_property
    def mass(self) -> float:
        return sum(segment.total for segment in self.segments) + sum(self.atoms.values())

    @property
    def error(self) -> float:
        return abs(self.mass - 1) + sum(segment.error for segment in self.segments)

    def density_of_log(self, t: np.ndarray) -> np.ndarray:
        t, density = t - self.log_scale, np.zeros(t.shape)
        for segment in self.segments:
            inside = (t <= segment.chart.high) & (t >= segment.low) & np.isfinite(t)
            density[inside] = segment.density(t[inside])
        return density

    def density_error(self, t: np.ndarray) -> np.ndarray:
        t, error = t - self.log_scale, np.zeros(t.shape)
        for segment in self.segments:
            inside = (t <= segment.chart.high) & (t >= segment.low) & np.isfinite(t)
            error[inside] = segment.density_error(t[inside])
        return error

    def cdf_of_log(self, t: np.ndarray) -> np.ndarray:
        below, u = np.zeros(t.shape), t - self.log_scale
        for segment in self.segments:
            inside = (u < segment.chart.high) & (u > segment.low)
            below[u >= segment.chart.high] += segment.total
            below[inside] += segment.below(u[inside])
        return (below + self._atoms_below(t)) / self.mass

    @property
    def reach(self) -> tuple[float, float]:
        return (
            self.log_scale + min((s.bottom for s in self.segments), default=math.inf),
            self.log_scale + max((s.chart.high for s in self.segments), default=-math.inf),
        )

    def expectation(self, function) -> float:
        total = sum(float((s.masses * function(s.t + self.log_scale)).sum()) for s in self.segments)
        return total + self._expectation_of_atoms(function)

    def scaled(self, factor: float) -> "CurveLaw":
        segments = tuple(segment.scaled(factor) for segment in self.segments)
        return CurveLaw(segments, _scaled_atoms(self.atoms, factor), self.log_scale)


@dataclass(frozen=True, eq=False)
class DirectLaw(SpectralLaw):
    """The law of a multiple of one random variable, from its distribution on the real line."""

    distribution: Distribution | None
    other: Distribution | None
    log_scale: float
    atoms: dict[float, float]
    factor: float = 1.0

    @functools.cached_property
    def _nodes(self) -> tuple[np.ndarray, np.ndarray]:
        if self.distribution is None:
            return np.empty(0), np.empty(0)
        t, masses = self.distribution.nodes()
        return t + self.log_scale, self.factor * masses

    @functools.cached_property
    def mass(self) -> float:
        return float(self._nodes[1].sum()) + sum(self.atoms.values())

    @functools.cached_property
    def error(self) -> float:
        t = self._nodes[0]
        if self.distribution is None or self.other is None or not t.size:
            return abs(self.mass - 1)
        difference = self.distribution.cdf_of_log(t - self.log_scale) - self.other.cdf_of_log(t - self.log_scale)
        return float(np.abs(difference).max()) + abs(self.mass - 1)

    @property
    def reach(self) -> tuple[float, float]:
        t = self._nodes[0]
        return (float(t.min()), float(t.max())) if t.size else (math.inf, -math.inf)

    def density_of_log(self, t):
        if self.distribution is None:
            return np.zeros(t.shape)
        return self.factor * self.distribution.density_of_log(t - self.log_scale)

    def density_error(self, t):
        if self.distribution is None or self.other is None:
            return np.zeros(t.shape)
        own, other = (part.density_of_log(t - self.log_scale) for part in (self.distribution, self.other))
        return self.factor * (np.abs(own - other) + 64 * EPS * own)

    def cdf_of_log(self, t):
        below = self._atoms_below(t)
        if self.distribution is None:
            return below
        return below + self.factor * self.distribution.cdf_of_log(t - self.log_scale)

    def expectation(self, function):
        t, masses = self._nodes
        return float((masses * function(t)).sum()) + self._expectation_of_atoms(function)

    def scaled(self, factor: float) -> "DirectLaw":
        atoms = _scaled_atoms(self.atoms, factor)
        return DirectLaw(self.distribution, self.other, self.log_scale, atoms, factor * self.factor)


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
        return tuple(part.shifted(self.product.log_scale) for part in self._own_components)

    @functools.cached_property
    def _own_components(self) -> tuple[Component, ...]:
        return support(self._own_product)

    @functools.cached_property
    def _own_product(self) -> FreeProduct:
        """Without the scale, for ln z to keep its digits where it is near 0."""
        return replace(self.product, log_scale=0.0)

    @functools.cached_property
    def atoms(self) -> dict[float, float]:
        """ln location (-inf for 0) to mass."""
        return _scaled_atoms(self._own_atoms, self.share)

    @property
    def log_max(self) -> float:
        """ln of the upper end, of components and point masses; far tails of a law may reach higher."""
        return max([*self.atoms, *(component.upper.log_z for component in self.components)])

    @functools.cached_property
    def law(self) -> SpectralLaw:
        """The law.

        Raises
        ------
        LostError
            The curve of a component could not be followed.
        """
        if self.product.is_scaled_law:
            own, other = (product.laws[0].distribution for product in (self.product, self.shadow))
            return DirectLaw(own, other, self.product.log_scale, self._own_atoms).scaled(self.share)
        zero = self._own_atoms.get(-math.inf, 0.0)
        shadow = replace(self.shadow, log_scale=self.shadow.log_scale - self.product.log_scale)
        segments = tuple(segment_of(self._own_product, shadow, part, zero) for part in self._own_components)
        return CurveLaw(segments, self._own_atoms, self.product.log_scale).scaled(self.share)

    @property
    def _own_atoms(self) -> dict[float, float]:
        return point_masses_of(self.product, self.mass_at_zero)

    def edge_error(self, edge: Edge) -> float:
        """Bound on the error of ln z at an edge."""
        rounding = EDGE_ROUNDING * (1 + abs(edge.log_z) + float(self.product.powers.sum()))
        if edge.kind != "root":
            return rounding
        # ln z is stationary in w there, so that the difference at fixed w is that of the edge.
        w = edge.w[:, None]
        ours, other = self.product.state(w), self.shadow.state(w)
        difference = other.log_z + other.mismatch - ours.log_z - ours.mismatch
        missed = ours.slope**2 / (2 * self.product.curvature(edge.w))
        return float(np.abs(difference[0]) + np.abs(missed[0])) + rounding


NOTHING = CurveLaw((), {-math.inf: 1.0})
"""All mass at 0."""
