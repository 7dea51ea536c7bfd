"""Where distribution functions of eigenvalues are compared, and what networks have there at infinite width."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from meanfield.errors import InvalidParameterError
from verify.statistics import Extrapolation, extrapolate

__all__ = ["SAME", "SpectralLaw", "levels_of", "shares_at"]

# Eigenvalues beyond a level that is compared, at the smallest width: fewer belong to the edge.
BEYOND = 5.0
LEVELS = 31
FEWEST_LEVELS = 3
QUARTILES = np.array([0.25, 0.5, 0.75])
SAME = 1e-8


class SpectralLaw(Protocol):
    """What a law on [0, inf) has to offer; `meanfield.jacobian_spectrum` and others do.

    Attributes
    ----------
    lambda_max, lambda_min : float
        The ends of its support.
    atoms : sequence of (location, mass)
    log_outliers : sequence of float, optional
        ln of single eigenvalues above its upper end, by increasing lambda; none if the law has no such attribute.
    log_gap_to_outlier : float, optional
        Without one, how far the edge is from where one would leave it, in ln lambda; by default inf, none is near.
    """

    @property
    def lambda_max(self) -> float: ...
    @property
    def lambda_min(self) -> float: ...
    @property
    def atoms(self) -> Sequence: ...
    def density(self, lam, /): ...
    def cdf(self, lam, /): ...
    def quantile(self, p, /): ...


def levels_of(law: SpectralLaw, atoms: Sequence[tuple[float, float]], width: int) -> np.ndarray:
    """Eigenvalues at shares that are denser towards both ends, away from atoms."""
    shares = np.sin(0.5 * math.pi * np.arange(1, LEVELS + 1) / (LEVELS + 1)) ** 2
    margin = BEYOND / width
    zero = sum(mass for place, mass in atoms if place == 0)
    # The narrowest layer of a network takes a share of order width^(-1/2) more to 0, from just above.
    bottom = zero + max(margin, 3 * math.sqrt(zero * (1 - zero) / width))
    shares = shares[(shares >= bottom) & (shares <= 1 - margin)]
    if 2 * margin >= 1:
        raise InvalidParameterError(f"widths must be > {2 * BEYOND:g}, the smallest is {width}")
    levels = _quantiles(law, shares, atoms)
    if levels.size < FEWEST_LEVELS:
        # In the midst of the continuous part what the layers gain and lose at 0 hardly shows.
        levels = _quantiles(law, _continuous_shares(law, atoms, QUARTILES), atoms)
    return levels


def _quantiles(law: SpectralLaw, shares: np.ndarray, atoms: Sequence[tuple[float, float]]) -> np.ndarray:
    """Those of the law that are not at an atom."""
    levels = np.unique(np.asarray(law.quantile(shares), dtype=np.float64)) if shares.size else shares
    for place, _ in atoms:
        levels = levels[np.abs(levels - place) > SAME * place]
    return levels


def _continuous_shares(law: SpectralLaw, atoms: Sequence[tuple[float, float]], parts: np.ndarray) -> np.ndarray:
    """P(lambda <= x) at the quantiles x of the continuous part; none without one."""
    continuous = 1 - sum(mass for _, mass in atoms)
    if continuous <= SAME:
        return np.empty(0)
    shares = continuous * parts
    for place, mass in sorted(atoms):
        shares = np.where(shares >= np.asarray(law.cdf(place)) - mass, shares + mass, shares)
    return shares


def shares_at(samples: Mapping[int, np.ndarray], levels: np.ndarray) -> Extrapolation:
    """The share of eigenvalues up to each level (k,), of sorted samples, continued to infinite width.

    A count of standard deviation s misses its smooth mean by up to exp(-2 pi^2 s^2)/2, the first harmonic of the
    steps, which no power of 1/width describes: it is allowed for.
    """
    counts = {
        width: np.array([np.searchsorted(row, levels, side="right") for row in rows]) for width, rows in samples.items()
    }
    found = extrapolate({width: count / width for width, count in counts.items()})
    steps = np.array(
        [np.exp(-2 * math.pi**2 * counts[width].var(axis=0, ddof=1)) / (2 * width) for width in sorted(counts)]
    )
    return replace(found, curvature_bound=found.curvature_bound + np.abs(found.coefficients) @ steps)
