"""What results that describe a law of eigenvalues have in common: density, distribution, quantiles, moments."""

import math

import numpy as np

from meanfield.arguments import integer, interval
from meanfield.errors import ConvergenceError
from meanfield.freeprob import NOTHING, LostError, SpectralLaw, Spectrum
from meanfield.results import Result

__all__ = ["SpectralResult"]

SAME_POWER = 1e-4  # powers differ by more: they are 1/2, 1/3, ... for square matrices


class SpectralResult(Result):
    """A law of lambda >= 0. Subclasses are dataclasses with a field ``spectrum``, which `to_dict` leaves out.

    Densities do not show atoms; distribution and quantiles do. Deep Gaussian networks hold most of their mass at
    lambda too small for float64: the methods in the logarithm t = ln(lambda) reach it.
    """

    spectrum: Spectrum | None

    def to_dict(self):
        return {name: value for name, value in super().to_dict().items() if name != "spectrum"}

    @property
    def _law(self) -> SpectralLaw:
        if self.spectrum is None:
            return NOTHING
        try:
            return self.spectrum.law
        except LostError as lost:
            raise ConvergenceError(f"{lost}; the edges, atoms, mean and variance hold all the same", self) from lost

    @property
    def log_atoms(self) -> tuple[tuple[float, float], ...]:
        """Point masses (ln of the location, mass), by increasing location; -inf for 0."""
        return ((-math.inf, 1.0),) if self.spectrum is None else tuple(sorted(self.spectrum.atoms.items()))

    @property
    def log_outliers(self) -> tuple[float, ...]:
        """ln of single eigenvalues beyond the law, of which most laws know none."""
        return ()

    @property
    def log_gap_to_outlier(self) -> float:
        """How far such an eigenvalue is from leaving the law, in ln lambda."""
        return math.inf

    def density(self, lam):
        """Density of the eigenvalue at `lam`, a float or array; 0 outside the support, inf at a hard edge."""
        lam = interval("lam", lam)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            values = self._law.density_of_log(np.log(lam).ravel()).reshape(lam.shape) / lam
        return np.where(lam > 0, values, np.where(lam == 0, self._density_at_zero(1.0), 0.0))[()]

    def density_of_log(self, t):
        """Density of t = ln(lambda), which is lambda times that of lambda."""
        t = interval("t", t)
        return self._law.density_of_log(t.ravel()).reshape(t.shape)[()]

    def density_of_log_error(self, t):
        """Bound on the error of `density_of_log`."""
        t = interval("t", t)
        return self._law.density_error(t.ravel()).reshape(t.shape)[()]

    def singular_value_density(self, s):
        """Density of the singular value s = sqrt(lambda), 2 s rho(s^2), at 0 its limit."""
        s = interval("s", s)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            values = self._law.density_of_log(2 * np.log(s).ravel()).reshape(s.shape) * 2 / s
        return np.where(s > 0, values, np.where(s == 0, self._density_at_zero(0.5), 0.0))[()]

    def _density_at_zero(self, power: float) -> float:
        """Limit at 0 of the density of lambda^power: finite where the mass goes to 0 like lambda^power."""
        rate, coefficient = self._law.onset
        if abs(rate - power) <= SAME_POWER:
            return coefficient
        return math.inf if rate < power else 0.0

    def cdf(self, lam):
        """P(lambda <= lam), a float or array."""
        lam = interval("lam", lam)
        with np.errstate(divide="ignore", invalid="ignore"):
            values = self._law.cdf_of_log(np.log(lam).ravel()).reshape(lam.shape)
        return np.where(lam >= 0, values, 0.0)[()]

    def cdf_of_log(self, t):
        """P(ln lambda <= t), at -inf the point mass at 0."""
        t = interval("t", t, infinite=True)
        return self._law.cdf_of_log(t.ravel()).reshape(t.shape)[()]

    @property
    def cdf_error(self) -> float:
        """Bound on the error of `cdf` and `cdf_of_log`."""
        return self._law.error

    def quantile(self, p):
        """Smallest lambda with cdf(lambda) >= p, for p in [0, 1]; 0 where it is below float64."""
        with np.errstate(over="ignore"):
            return np.exp(self.log_quantile(p))[()]

    def log_quantile(self, p):
        """ln of `quantile`, -inf where that is exactly 0."""
        p = interval("p", p, low=0.0, high=1.0)
        return self._law.log_quantile(p.ravel()).reshape(p.shape)[()]

    def moment(self, k) -> float:
        """E lambda^k for an integer k >= 0, by integration of the density.

        Raises
        ------
        InvalidParameterError
            k is not an integer >= 0.
        """
        order = integer("k", k, low=0)
        if order == 0:
            return self._law.mass
        with np.errstate(over="ignore"):
            return self._law.expectation(lambda t: np.exp(order * t))

    @property
    def mean_log(self) -> float:
        """E ln(lambda) over lambda > 0, twice the mean of ln s; by integration."""
        zero = self._law.atoms.get(-math.inf, 0.0)
        return self._law.expectation(lambda t: t) / (1 - zero) if zero < 1 else math.nan
