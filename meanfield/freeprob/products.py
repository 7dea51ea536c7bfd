"""Free products of laws: ln z on the spectrum as a function of w, with N = 1/M(w) as the common variable.

With m = M_product(z) and S-transforms multiplied, z = (1 + m)/m prod_l [m w_l/(1 + m)] / prod S, where M_l(w_l) = m for
every law. In N = 1/m all of it is regular at point masses (N = 0):

    ln z = ln c + ln(1 + N) + sum_l [ln w_l - ln(1 + N)] + sum of -ln S over the factors.

In the upper half plane of z, every w_l and N lie in the upper half plane, and so each logarithm is the principal one.
"""

from dataclasses import dataclass, fields

import numpy as np

from meanfield.freeprob.factors import ComplexArray, Factor, log_from_above
from meanfield.freeprob.laws import Law

__all__ = ["FreeProduct", "State"]


@dataclass(frozen=True)
class State:
    """Where points w lead.

    w : (laws, n); N, N_slope : (laws, n) and dN/dw, N equal for all laws once they are solved for; M, one_plus_m,
    one_plus_n : (n,) of the first law, and so of the product, the latter 1 + M and 1 + N; log_z, log_size : (n,) and
    the sum of the sizes of its terms; slope, slope_size : (n,) d ln z/dN along M_l(w_l) = 1/N, and the same of it;
    gaps : (laws, n) N of the first law less that of each; mismatch : (n,) what ln z lacks for them, to first order.
    """

    w: ComplexArray
    N: ComplexArray
    N_slope: ComplexArray
    M: ComplexArray
    one_plus_m: ComplexArray
    one_plus_n: ComplexArray
    log_z: ComplexArray
    log_size: np.ndarray
    slope: ComplexArray
    slope_size: np.ndarray
    gaps: ComplexArray
    mismatch: ComplexArray

    def at(self, columns: np.ndarray) -> "State":
        """The state of some of the points."""
        return State(*(getattr(self, each.name)[..., columns] for each in fields(self)))

    def put(self, columns: np.ndarray, state: "State") -> None:
        """Replace the state of some of the points."""
        for each in fields(self):
            getattr(self, each.name)[..., columns] = getattr(state, each.name)


@dataclass(frozen=True, eq=False)
class FreeProduct:
    """The free multiplicative product of laws, each to a power, and of factors known by their S-transform.

    Attributes
    ----------
    laws : tuple of Law
    powers : array (laws,)
        How often each occurs; the law of power 0 only carries the variable N.
    factors : tuple of Factor
    log_scale : float
        ln of a constant factor.
    """

    laws: tuple[Law, ...]
    powers: np.ndarray
    factors: tuple[Factor, ...] = ()
    log_scale: float = 0.0

    @property
    def log_mean(self) -> float:
        """ln of the product's mean; the factors have mean 1."""
        laws = sum(float(p * np.log(law.mean)) for law, p in zip(self.laws, self.powers, strict=True) if p)
        return self.log_scale + laws

    @property
    def relative_variance(self) -> float:
        """The product's variance over its squared mean: variances add up, S = (1 - variance m + ...)/mean."""
        laws = sum(float(p) * law.relative_variance for law, p in zip(self.laws, self.powers, strict=True))
        return laws + sum(float(factor.slope(0.0, 1.0)) for factor in self.factors)

    @property
    def is_scaled_law(self) -> bool:
        """Is it one law alone, times a constant?"""
        return len(self.laws) == 1 and self.powers[0] == 1 and not self.factors

    def state(self, w: np.ndarray) -> State:
        """Everything at w, shape (laws, n), real or complex."""
        w = w.astype(np.complex128)
        found = [law.transform(points) for law, points in zip(self.laws, w, strict=True)]
        all_M: ComplexArray = np.array([t.M for t in found])
        all_one_plus_m: ComplexArray = np.array([t.one_plus_m for t in found])
        M_slope: ComplexArray = np.array([t.slope for t in found])
        M, one_plus_m = all_M[0], all_one_plus_m[0]
        with np.errstate(all="ignore"):
            N = 1 / all_M
            N_slope = -M_slope * N**2
            # At a point mass M is infinite and N = 0.
            one_plus = np.where(np.abs(N) < 1e-3, 1 + N, all_one_plus_m * N)
            # Far down all N are close to -1, and only 1 + N has digits.
            gaps = np.where(np.abs(one_plus) < 0.5, one_plus[0] - one_plus, N[0] - N)
            one_plus_n = one_plus[0]
            power = 1 - self.powers.sum()
            logs = log_from_above(w, w - 1)
            log_z = self.log_scale + self.powers @ logs
            rounding = abs(self.log_scale) + self.powers @ np.abs(logs)
            if power:
                log_n = power * log_from_above(one_plus_n, N[0])
                log_z, rounding = log_z + log_n, rounding + np.abs(log_n)
            slope = power / one_plus_n
            size = np.abs(slope)
            for factor in self.factors:
                value = factor.value(M, one_plus_m)
                log_z, rounding = log_z + value, rounding + np.abs(value)
                part = M**2 * factor.slope(M, one_plus_m)
                slope, size = slope - part, size + np.abs(part)
            per_N = self.powers[:, None] / (w * N_slope)
            slope, size = slope + per_N.sum(axis=0), size + np.abs(per_N).sum(axis=0)
            mismatch = (per_N * gaps).sum(axis=0)
        return State(w, N, N_slope, M, one_plus_m, one_plus_n, log_z, rounding, slope, size, gaps, mismatch)

    def newton_step(self, state: State, log_z: np.ndarray) -> ComplexArray:
        """Change of w, shape (laws, n), towards the given ln z and one N for all laws."""
        with np.errstate(all="ignore"):
            dN = (log_z - state.log_z - state.mismatch) / state.slope
            return (dN + state.gaps) / state.N_slope

    def curvature(self, w: np.ndarray) -> float:
        """d^2 ln z/dN^2 at one solved point, real w (laws,)."""
        state = self.state(w[:, None])
        m, one_plus_m = state.M[0].real, state.one_plus_m[0].real
        total = (self.powers.sum() - 1) / state.one_plus_n[0].real ** 2
        for factor in self.factors:
            total += m**4 * factor.curvature(m, one_plus_m) + 2 * m**3 * factor.slope(m, one_plus_m)
        for law, power, place, N_slope in zip(self.laws, self.powers, w, state.N_slope[:, 0].real, strict=True):
            t = law.transform(np.array([place]))
            M, slope = t.M[0].real, t.slope[0].real
            second = -law.second_derivative(place).real / M**2 + 2 * slope**2 / M**3
            total -= power * (1 / (place * N_slope) ** 2 + second / (place * N_slope**3))
        return float(total)

    def sensitivity(self, w: np.ndarray, changes: np.ndarray) -> np.ndarray:
        """Change of ln z at fixed N, shape (n,), when the parameter of each law changes by `changes` (laws,)."""
        total = np.zeros(w.shape[1], dtype=np.complex128)
        for law, power, points, change in zip(self.laws, self.powers, w.astype(np.complex128), changes, strict=True):
            if change and law.sensitivity is not None:
                with np.errstate(invalid="ignore"):
                    moved = -change * law.derivative_by_parameter(points) / law.transform(points).slope
                # At the end of a law M may be infinite, whatever the parameter.
                total += power * np.where(np.isfinite(moved), moved, 0.0) / points
        return total
