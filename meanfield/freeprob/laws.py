"""Laws on the half line through their transform M(w) = E X/(w - X)."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from meanfield.errors import InvalidParameterError
from meanfield.freeprob.factors import ComplexArray
from meanfield.freeprob.real_line import Distribution

__all__ = ["Law", "Transform", "point_masses"]

# Numbers in a block of the kernel matrix, 96 kB: it stays in the cache, and malloc does not map it afresh every time.
_BLOCK = 12_288


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
        rows = max(1, _BLOCK // max(1, self.nodes.size))
        # At a point mass all of them are infinite.
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            for start in range(0, flat.size, rows):
                part = slice(start, start + rows)
                M[part], one_plus_m[part], slope[part] = self._chunk(flat[part])
        near = np.abs(M) < 0.5
        one_plus_m[near] = 1 + M[near]
        return Transform(M.reshape(w.shape), one_plus_m.reshape(w.shape), slope.reshape(w.shape))

    def _chunk(self, w: ComplexArray) -> tuple[ComplexArray, ComplexArray, ComplexArray]:
        M, resolvent, slope = self._of_atoms(w)
        if self.nodes.size:
            re, im = self._reciprocals(w)
            both = _product(re, im, self._columns)
            M, resolvent = M + both[:, 0], resolvent + both[:, 1]
            squares = re * im
            squares *= 2
            re *= re
            im *= im
            re -= im
            slope = slope - _product(re, squares, self._column)[:, 0]
        return M, w * resolvent, slope

    def _of_atoms(self, w: ComplexArray) -> tuple[Any, Any, Any]:
        if not self.locations.size:
            return 0.0, 0.0, 0.0
        atoms = 1 / (w[:, None] - self.locations)
        weights = self.masses * self.locations
        return atoms @ weights, atoms @ self.masses, -(atoms**2) @ weights

    @functools.cached_property
    def _columns(self) -> np.ndarray:
        """What the kernel 1/(w - node) is summed with for E X/(w - X) and E 1/(w - X)."""
        return _real_and_imaginary(np.array([self.weights * self.nodes, self.weights]).T)

    @functools.cached_property
    def _column(self) -> np.ndarray:
        """What its square is summed with for E X/(w - X)^2."""
        return _real_and_imaginary((self.weights * self.nodes)[:, None])

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
        column = _real_and_imaginary((self.sensitivity * self.nodes)[:, None])
        return _product(*self._reciprocals(w), column)[:, 0]


def _real_and_imaginary(columns: ComplexArray) -> np.ndarray:
    return np.concatenate([columns.real, columns.imag], axis=1)


def _product(re: np.ndarray, im: np.ndarray, columns: np.ndarray) -> ComplexArray:
    """(re + i im) @ (the first half of the columns + i the second), in real products."""
    of_re, of_im = re @ columns, im @ columns
    n = columns.shape[1] // 2
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
