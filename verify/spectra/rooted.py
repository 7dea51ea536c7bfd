"""A law over more orders of magnitude than float64 has, seen through a small power of the eigenvalue."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from verify.spectra.distributions import SpectralLaw

__all__ = ["RootedLaw", "is_graded"]

# Eigenvalues below exp(-LOST) times the largest come near to the rounding of a plain product.
LOST = 30.0
# ln of the ratio between the ends of all but LOWEST of the mass, after the power.
SPAN = 20.0
LOWEST = 1e-3


class LogarithmicLaw(Protocol):
    """What a law such as `meanfield.jacobian_spectrum` offers in t = ln lambda; atoms are at places of lambda."""

    @property
    def log_lambda_min(self) -> float: ...
    @property
    def atoms(self) -> Sequence: ...
    @property
    def log_outliers(self) -> Sequence[float]: ...
    @property
    def log_gap_to_outlier(self) -> float: ...
    def density_of_log(self, t, /) -> np.ndarray: ...
    def cdf_of_log(self, t, /) -> np.ndarray: ...
    def log_quantile(self, p, /) -> np.ndarray: ...


def is_graded(law: LogarithmicLaw) -> bool:
    """Does a law hold eigenvalues so small that a plain product would lose them?"""
    low, high = _ends(law, 0.01)
    return bool(low < high - LOST)


@dataclass(frozen=True, eq=False)
class RootedLaw(SpectralLaw):
    """The law of x = (lambda/lambda_max)^exponent, lambda_max the upper end of the bulk.

    Attributes
    ----------
    law : LogarithmicLaw
    log_top : float
        ln lambda_max.
    exponent : float
    """

    law: LogarithmicLaw
    log_top: float
    exponent: float

    @classmethod
    def of(cls, law: LogarithmicLaw) -> "RootedLaw":
        """With the exponent that brings all but a thousandth of the mass above 0 into (exp(-20), 1)."""
        low, high = _ends(law, LOWEST)
        return cls(law, float(high), min(1.0, SPAN / float(high - low)))

    def x(self, log_lambda) -> np.ndarray:
        """x of ln lambda, -inf for 0."""
        with np.errstate(under="ignore"):
            return np.exp(self.exponent * (np.asarray(log_lambda, dtype=np.float64) - self.log_top))

    def _log_lambda(self, x) -> np.ndarray:
        with np.errstate(divide="ignore"):
            return self.log_top + np.log(np.asarray(x, dtype=np.float64)) / self.exponent

    @property
    def lambda_max(self) -> float:
        return 1.0

    @property
    def lambda_min(self) -> float:
        return float(self.x(self.law.log_lambda_min))

    @property
    def atoms(self) -> tuple[tuple[float, float], ...]:
        with np.errstate(divide="ignore"):
            return tuple((float(self.x(np.log(place))), mass) for place, mass in self.law.atoms)

    @property
    def log_outliers(self) -> tuple[float, ...]:
        return tuple(self.exponent * (t - self.log_top) for t in self.law.log_outliers)

    @property
    def log_gap_to_outlier(self) -> float:
        return self.exponent * self.law.log_gap_to_outlier

    def density(self, lam, /):
        return self.law.density_of_log(self._log_lambda(lam)) / (self.exponent * np.asarray(lam))

    def cdf(self, lam, /):
        return self.law.cdf_of_log(self._log_lambda(lam))

    def quantile(self, p, /):
        return self.x(self.law.log_quantile(p))


def _ends(law: LogarithmicLaw, share: float) -> np.ndarray:
    """ln of the quantile at a share of the mass above 0, and of the upper end."""
    zero = sum(mass for place, mass in law.atoms if place == 0)
    return law.log_quantile(np.array([zero + share * (1 - zero), 1.0]))
