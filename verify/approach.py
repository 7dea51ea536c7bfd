"""How the extreme eigenvalue of a random matrix comes to its limit as the width grows: slower than by 1/width."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from meanfield.results import Result
from verify.statistics import Extrapolation, extrapolate

__all__ = ["DIRECT", "TRACY_WIDOM_MEAN", "Approach", "root_scale"]

# The largest eigenvalue of a real matrix at an edge rho = (kappa/pi) sqrt(edge - lambda) is, in units of
# (kappa width)^(-2/3), distributed by Tracy and Widom's law for beta = 1, of this mean (Bornemann, 0904.1581, table 2).
TRACY_WIDOM_MEAN = -1.2065335745820
# An outlier this many times the first correction away from the edge is out of its reach.
FAR = 4.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Approach(Result):
    """The mean of an extreme eigenvalue at a width is its limit plus `shift`, give or take `doubt`, plus b/width.

    Attributes
    ----------
    rate : float
        The shift is rate width^(-2/3) at an edge where the density vanishes as a square root; 0 at other ends.
    gap : float
        How far an outlier is from the edge, or the edge from where an outlier would leave it; inf without one.
    isolated : bool
        Is the extreme eigenvalue an outlier? It has no such shift: near the edge, where both fluctuate together, it is
        within a fifth of it. An edge near where an outlier would leave it has between none and all of its shift.

    References
    ----------
    .. [1] C. A. Tracy, H. Widom, Comm. Math. Phys. 177 (1996) 727. [2] J. Baik, G. Ben Arous, S. Peche, Ann. Probab. 33
       (2005) 1643: an outlier that comes out of the edge.
    """

    rate: float
    gap: float = math.inf
    isolated: bool = False

    def shift(self, width):
        """Of the mean at a width, a number or array."""
        first = self._first(width)
        return np.where(self._is_near(first), first / 2, first) if not self.isolated else 0.0 * first

    def doubt(self, width):
        """Size of what the shift leaves out, beside b/width; at an edge that of the next power, the square."""
        size = np.abs(self._first(width))
        if self.isolated:
            return np.where(self._is_near(size), 0.2 * size, 0.0)
        return np.where(self._is_near(size), size / 2, size**2)

    def extrapolated(self, samples: Mapping[int, np.ndarray]) -> Extrapolation:
        """`extrapolate` of the samples less the shift; its `curvature_bound` has the doubt too."""
        found = extrapolate({width: values - self.shift(width) for width, values in samples.items()})
        doubt = np.abs(found.coefficients) @ self.doubt(found.widths)
        return replace(found, curvature_bound=found.curvature_bound + doubt)

    def _first(self, width) -> np.ndarray:
        return self.rate * np.asarray(width, dtype=np.float64) ** (-2 / 3)

    def _is_near(self, first: np.ndarray) -> np.ndarray:
        return self.gap < FAR * np.abs(first)


# Of quantities whose mean over networks is off by b/width alone.
DIRECT = Approach(rate=0.0)


def root_scale(steps: np.ndarray, density: np.ndarray) -> float:
    """kappa of rho = (kappa/pi) sqrt(step) from two densities (2,), the nearer one last; nan if they are no such."""
    coarse, fine = math.pi * density / np.sqrt(steps)
    if not (fine > 0 and abs(coarse / fine - 1) <= 0.05):
        return math.nan
    return float(fine + (fine - coarse) / 3)
