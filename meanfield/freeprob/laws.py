"""Laws on the half line through their transform M(w) = E X/(w - X)."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from meanfield.errors import InvalidParameterError
from meanfield.freeprob.factors import ComplexArray
from meanfield.freeprob.real_line import Distribution

__all__ = ["Law", "Transform", "point_masses"]

_CHUNK = 64  # rows at a time, so that a block of the kernel matrix stays in the cache


@dataclass(frozen=True)
class Transform:
    """M(w) = E X/(w - X), 1 + M(w) = E w/(w - X) without cancellation at small w, and the derivative M'(w); complex."""

    M: ComplexArray
    one_plus_m: ComplexArray
    slope: ComplexArray


@dataclass(frozen=True, eq=False)
class Law:
    """A probability law on [0, inf): point masses and a continuous part.

    Attributes
    ----------
    nodes, weights : complex arrays (k,)
        E g(X) over the continuous part is ``sum(weights * g(nodes))`` for analytic g. The nodes lie below the real
        axis, on a path that is the support pushed down: M is then the analytic continuation from the upper half plane,
        right up to the support and on it.
    locations, masses : arrays (a,)
        Point masses, by increasing location.
    intervals : tuple of (low, high)
        Where the continuous part holds all but about 1e-16 of its mass, by increasing low.
    bottom, top : float
        Infimum and supremum of the whole support, far tails included; `top` may be inf.
    sensitivity : complex array (k,), optional
        Derivative of the weights by the law's parameter.
    distribution : Distribution, optional
        The continuous part on the real line itself.
    """

    nodes: ComplexArray
    weights: ComplexArray
    locations: np.ndarray
    masses: np.ndarray
    intervals: tuple[tuple[float, float], ...]
    bottom: float
    top: float
    sensitivity: ComplexArray | None = None
    distribution: Distribution | None = None

    @property
    def mass_at_zero(self) -> float:
        return float(self.masses[self.locations == 0].sum())

    @property
    def mean(self) -> float:
        return float((self.weights @ self.nodes).real + self.masses @ self.locations)

    @property
    def relative_variance(self) -> float:
        """E (X - E X)^2/(E X)^2, from centred values: no cancellation for narrow laws; inf if the mean underflows."""
        mean = self.mean
        if mean == 0:
            return np.inf
        spread = (self.weights @ (self.nodes - mean) ** 2).real + self.masses @ (self.locations - mean) ** 2
        return float(spread) / mean**2

    @property
    def mean_log(self) -> float:
        """E ln X over X > 0."""
        positive = self.locations > 0
        atoms = self.masses[positive] @ np.log(self.locations[positive])
        return float((self.weights @ np.log(self.nodes)).real + atoms)

    def transform(self, w: ComplexArray) -> Transform:
        """M and its relatives at complex w of any shape, Im w >= 0."""
        flat = np.ascontiguousarray(w, dtype=np.complex128).ravel()
        M, one_plus_m, slope = (np.empty_like(flat) for _ in range(3))
        for start in range(0, flat.size, _CHUNK):
            part = slice(start, start + _CHUNK)
            M[part], one_plus_m[part], slope[part] = self._chunk(flat[part])
        near = np.abs(M) < 0.5
        one_plus_m[near] = 1 + M[near]
        return Transform(M.reshape(w.shape), one_plus_m.reshape(w.shape), slope.reshape(w.shape))

    def _chunk(self, w: ComplexArray) -> tuple[ComplexArray, ComplexArray, ComplexArray]:
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            atoms = 1 / (w[:, None] - self.locations)
            M = atoms @ (self.masses * self.locations)
            resolvent = atoms @ self.masses
            slope = -(atoms**2) @ (self.masses * self.locations)
        if self.nodes.size:
            re, im = self._reciprocals(w)
            both = _product(re, im, self._columns)
            M += both[:, 0]
            resolvent += both[:, 1]
            squares = re * im
            squares *= 2
            re *= re
            im *= im
            re -= im
            slope -= _product(re, squares, self._columns[:, :1])[:, 0]
        return M, w * resolvent, slope

    @functools.cached_property
    def _columns(self) -> ComplexArray:
        """What the kernel 1/(w - node) is summed with: (k, 2) for E X/(w - X) and E 1/(w - X)."""
        return np.array([self.weights * self.nodes, self.weights]).T.copy()

    @functools.cached_property
    def _parts(self) -> tuple[np.ndarray, np.ndarray]:
        return self.nodes.real.copy(), self.nodes.imag.copy()

    def _reciprocals(self, w: ComplexArray) -> tuple[np.ndarray, np.ndarray]:
        """Real and imaginary part of 1/(w_i - node_k): several times faster than complex division."""
        x, y = (part[:, None] - nodes for part, nodes in zip((w.real, w.imag), self._parts, strict=True))
        scale = x * x
        scale += y * y
        np.reciprocal(scale, out=scale)
        x *= scale
        y *= scale
        return x, np.negative(y, out=y)

    def second_derivative(self, w: complex) -> complex:
        """M''(w)."""
        cubes = (w - self.nodes) ** -3
        atoms = (w - self.locations) ** -3
        return complex(2 * (cubes @ (self.weights * self.nodes) + atoms @ (self.masses * self.locations)))

    def derivative_by_parameter(self, w: ComplexArray) -> ComplexArray:
        """dM/d(parameter) at w (n,), where `sensitivity` is known."""
        assert self.sensitivity is not None
        return _product(*self._reciprocals(w), (self.sensitivity * self.nodes)[:, None])[:, 0]


def _product(re: np.ndarray, im: np.ndarray, columns: ComplexArray) -> ComplexArray:
    """(re + i im) @ columns, in real products."""
    wide = np.concatenate([columns.real, columns.imag], axis=1)
    of_re, of_im = re @ wide, im @ wide
    n = columns.shape[1]
    return (of_re[:, :n] - of_im[:, n:]) + 1j * (of_re[:, n:] + of_im[:, :n])


def point_masses(masses: Mapping[float, float]) -> Law:
    """The law of finitely many atoms.

    Parameters
    ----------
    masses : mapping
        Location (>= 0) to mass (> 0); the masses sum to 1.

    Raises
    ------
    InvalidParameterError
        A location is negative, a mass is not positive, or they do not sum to 1.

    Examples
    --------
    >>> point_masses({0.0: 0.25, 2.0: 0.75}).mean
    1.5
    """
    locations = np.array(sorted(masses), dtype=np.float64)
    weights = np.array([masses[a] for a in sorted(masses)], dtype=np.float64)
    if not (locations.size and (locations >= 0).all() and (weights > 0).all() and abs(weights.sum() - 1) <= 1e-12):
        raise InvalidParameterError(f"masses must be positive, at locations >= 0, and sum to 1, got {dict(masses)}")
    nothing = np.empty(0, dtype=np.complex128)
    return Law(nothing, nothing, locations, weights, (), float(locations[0]), float(locations[-1]))
