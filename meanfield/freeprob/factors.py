"""Factors of a free product that are known by their S-transform: -ln S(m) and its derivatives.

``value(m, one_plus_m)`` takes 1 + m along, which may be known better than from m; ``slope`` and ``curvature`` are
d/dm and d^2/dm^2; ``turns(m, one_plus_m)`` is the argument of 1/S over -pi at real m - i0, which changes at the
``borders``; ``atom()`` is the law's point mass above
0, as (1 - its mass, ln of its place), of a limit of laws as their sum; None if it has none.
"""

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "ComplexArray",
    "CompoundPoisson",
    "Factor",
    "Projection",
    "Semigroup",
    "Wishart",
    "log_from_above",
    "log_from_below",
]


ComplexArray = NDArray[np.complexfloating]


def log_from_above(x: ComplexArray, less_1: ComplexArray) -> ComplexArray:
    """ln x for x in the closed upper half plane, of which rounding may have put those near the axis below it.

    `less_1` is x - 1, which near 0 keeps more digits than x.
    """
    logs = np.log(x) + 2j * math.pi * ((x.imag < 0) & (x.real < 0))
    near = np.abs(less_1.real) + np.abs(less_1.imag) < 0.3
    if near.any():
        a, b = less_1.real[near], less_1.imag[near]
        logs[near] = np.log1p(a * (2 + a) + b * b) / 2 + 1j * logs.imag[near]
    return logs


def log_from_below(x: ComplexArray) -> ComplexArray:
    """ln x for x in the closed lower half plane."""
    return np.log(x) - 2j * math.pi * ((x.imag >= 0) & (x.real < 0))


class Factor(Protocol):
    def value(self, m, one_plus_m) -> Any: ...
    def slope(self, m, one_plus_m) -> Any: ...
    def curvature(self, m, one_plus_m) -> Any: ...
    def turns(self, m, one_plus_m) -> Any: ...
    def atom(self) -> tuple[float, float] | None: ...
    @property
    def borders(self) -> tuple[float, ...]: ...


@dataclass(frozen=True)
class Wishart:
    """W W^T of a Gaussian W with rows of unit variance: S = 1/(1 + aspect m), `count` times.

    References
    ----------
    .. [1] V. Marchenko, L. Pastur, Math. USSR Sbornik 1 (1967) 457.
    """

    count: float = 1.0
    aspect: float = 1.0

    def _sum(self, m, one_plus_m):
        return one_plus_m if self.aspect == 1 else 1 + self.aspect * m

    def value(self, m, one_plus_m):
        return self.count * log_from_below(self._sum(m, one_plus_m))

    def slope(self, m, one_plus_m):
        return self.count * self.aspect / self._sum(m, one_plus_m)

    def curvature(self, m, one_plus_m):
        return -self.count * self.aspect**2 / self._sum(m, one_plus_m) ** 2

    def turns(self, m, one_plus_m):
        return self.count * (self._sum(m, one_plus_m) < 0)

    def atom(self):
        return None

    @property
    def borders(self):
        return (-1 / self.aspect,)


@dataclass(frozen=True)
class Projection:
    """The law with mass p at 1/p and the rest at 0: S = (1 + m)/(1 + m/p)."""

    p: float

    def value(self, m, one_plus_m):
        return log_from_below(1 + m / self.p) - log_from_below(one_plus_m)

    def slope(self, m, one_plus_m):
        return 1 / (self.p + m) - 1 / one_plus_m

    def curvature(self, m, one_plus_m):
        return 1 / one_plus_m**2 - 1 / (self.p + m) ** 2

    def turns(self, m, one_plus_m):
        return 1.0 * (m < -self.p) - (one_plus_m < 0)

    def atom(self):
        return 1 - self.p, -math.log(self.p)

    @property
    def borders(self):
        return (-self.p,)


@dataclass(frozen=True)
class Semigroup:
    """S = exp(-c m): the limit of many laws of small variance, c in all."""

    c: float

    def value(self, m, one_plus_m):
        return self.c * m

    def slope(self, m, one_plus_m):
        return self.c + 0 * m

    def curvature(self, m, one_plus_m):
        return 0 * m

    def turns(self, m, one_plus_m):
        return np.zeros_like(m)

    def atom(self):
        return None

    @property
    def borders(self):
        return ()


@dataclass(frozen=True)
class CompoundPoisson:
    """S = exp(-c m/(1 + m)): the limit of many projections of small defect, c in all, of mean 1 each."""

    c: float

    def value(self, m, one_plus_m):
        return self.c * m / one_plus_m

    def slope(self, m, one_plus_m):
        return self.c / one_plus_m**2

    def curvature(self, m, one_plus_m):
        return -2 * self.c / one_plus_m**3

    def turns(self, m, one_plus_m):
        return np.zeros_like(m)

    def atom(self):
        return self.c, self.c

    @property
    def borders(self):
        return ()
