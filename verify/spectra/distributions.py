"""Measured spectra against a law: distances, and a test of level, atoms and edges with the spread between networks."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from meanfield.arguments import scalar
from meanfield.errors import InvalidParameterError
from meanfield.results import Result
from verify.approach import TRACY_WIDOM_MEAN, Approach, root_scale
from verify.spectra.levels import SAME, SpectralLaw, levels_of, shares_at
from verify.statistics import Extrapolation, extrapolate, holm, p_values, t_quantile

__all__ = [
    "PointTest",
    "SpectralLaw",
    "SpectrumComparison",
    "compare_spectrum",
    "edge_scale",
    "kolmogorov_distance",
    "wasserstein_distance",
]

# What n eigenvalues never show has, at 95 %, a mass below 3/n: as a standard error, of which a normal law needs 1.645.
RULE_OF_THREE = 3 / 1.645


@dataclass(frozen=True, kw_only=True, eq=False)
class PointTest(Result):
    """One number of a law against its measured value.

    Attributes
    ----------
    name : str
    theory, estimate, standard_error : float
        The estimate is continued to infinite width. The standard error of an atom's mass that is the same in all
        networks, such as none, is that of the rule of three.
    p_value : float
        Adjusted for all tests of the comparison.
    passed : bool
    """

    name: str
    theory: float
    estimate: float
    standard_error: float
    p_value: float
    passed: bool

    @property
    def description(self) -> str:
        return f"{self.name} ({self.theory:.4g}, measured {self.estimate:.4g} +- {self.standard_error:.2g})"


@dataclass(frozen=True, kw_only=True, eq=False)
class SpectrumComparison(Result):
    """Measured eigenvalues of J J^T against a law.

    Attributes
    ----------
    passed : bool
    verdict : str
        What agrees, or what does not, in a sentence.
    level : float
        Probability, at most, that the right law is rejected.
    levels : array (k,)
        Eigenvalues where the distribution functions are compared.
    theory, estimate, standard_error : array (k,)
        Distribution functions there: the law's, and the measured one continued to infinite width.
    p_values : array (k,)
        Of Student's t, adjusted for all tests.
    kolmogorov, kolmogorov_band : float
        Largest difference over `levels`, and what it stays below for the right law with probability 1 - level.
    wasserstein, wasserstein_band : float
        Area between the two functions from the first level to the last, in units of the eigenvalue, and its band.
    atoms, edges : tuple of PointTest
        Masses of the law's atoms; ends of its support, or the outlier beyond the upper one.
    widths : tuple of int
    networks : int
        Of each width; the smallest number if they differ.
    """

    passed: bool
    verdict: str
    level: float
    levels: np.ndarray
    theory: np.ndarray
    estimate: np.ndarray
    standard_error: np.ndarray
    p_values: np.ndarray
    kolmogorov: float
    kolmogorov_band: float
    wasserstein: float
    wasserstein_band: float
    atoms: tuple[PointTest, ...]
    edges: tuple[PointTest, ...]
    widths: tuple[int, ...]
    networks: int


def compare_spectrum(
    samples: Mapping[int, np.ndarray], law: SpectralLaw, *, level: float = 0.01, rounding: float | None = None
) -> SpectrumComparison:
    """Hold measured spectra against a law.

    Parameters
    ----------
    samples : mapping of width to array (networks, width)
        Eigenvalues of J J^T, that is squared singular values, of at least two networks of each width.
    law : SpectralLaw
        Such as `meanfield.jacobian_spectrum(...)`.
    level : float, in (0, 1)
        Probability, at most, that the right law is rejected.
    rounding : float, >= 0, optional
        Eigenvalues up to this share of the network's largest count as 0. By default 2e-28, what is left of a 0 by an
        explicit product; 0 suits singular values from `verify.jacobian_log_singular_values`.

    Returns
    -------
    SpectrumComparison

    Raises
    ------
    InvalidParameterError
        Arrays of another shape, fewer than two networks, level outside its range.

    Notes
    -----
    Eigenvalues of one network repel each other, so networks, not eigenvalues, are the independent samples. The share
    of eigenvalues below a level is averaged over networks and extrapolated by a + b/width; bands hold for all levels
    at once (Student's t, Bonferroni) and allow for the steps of whole eigenvalues where networks hardly differ. The
    mean of the largest eigenvalue is edge - 1.2065 (kappa width)^(-2/3) + O(1/width): the first correction is known
    from the law's density rho = (kappa/pi) sqrt(edge - lambda), the second is extrapolated, and the first one's square
    is allowed for. Where the law names `outliers` beyond its edge, the largest one is tested instead. Where the density
    ends as an inverse square root, the largest eigenvalue is extrapolated with powers 1 and 2 of 1/width, whose
    difference is allowed for. Atoms are compared apart, since finite networks have them exactly; the mass of that at 0,
    one less the rank of the narrowest layer, by a + b/sqrt(width).

    References
    ----------
    .. [1] C. A. Tracy, H. Widom, Comm. Math. Phys. 177 (1996) 727.
    """
    chance = scalar("level", level, low=0.0, high=1.0, open_low=True, open_high=True)
    floor = 2e-28 if rounding is None else scalar("rounding", rounding, low=0.0)
    sorted_samples = {width: _checked(width, array, floor) for width, array in samples.items()}
    if not sorted_samples:
        raise InvalidParameterError("samples must hold at least one width, got none")
    masses = [(float(place), float(mass)) for place, mass in law.atoms]
    levels = levels_of(law, masses, min(sorted_samples))
    function = shares_at(sorted_samples, levels)
    theory = np.asarray(law.cdf(levels), dtype=np.float64) if levels.size else levels
    distance = np.abs(function.value - theory)
    points = [*_atom_points(sorted_samples, masses), *_edge_points(sorted_samples, law, masses)]
    raw = np.concatenate(
        [
            p_values(np.maximum(distance - function.curvature_bound, 0.0), *_spread(function)),
            np.array([point.p for point in points]),
        ]
    )
    adjusted = holm(raw)
    band = function.curvature_bound + t_quantile(chance / raw.size, function.degrees_of_freedom) * (
        function.standard_error
    )
    tests = [point.test(float(p), chance) for point, p in zip(points, adjusted[levels.size :], strict=True)]
    kolmogorov, kolmogorov_band = (float(each.max(initial=0.0)) for each in (distance, band))
    failed = [test.description for test in tests if not test.passed]
    if not np.all(adjusted[: levels.size] >= chance):
        worst = int(np.argmin(adjusted[: levels.size]))
        failed.append(
            f"distribution function at {levels[worst]:.4g} ({theory[worst]:.4g}, measured "
            f"{function.value[worst]:.4g} +- {function.standard_error[worst]:.2g})"
        )
    held = (
        f"Kolmogorov distance {kolmogorov:.2g}, band {kolmogorov_band:.2g}"
        if levels.size
        else f"tested are its point masses only, {', '.join(test.description for test in tests)}"
    )
    return SpectrumComparison(
        passed=not failed,
        verdict=f"The law fails in its {' and '.join(failed)}." if failed else f"The law holds: {held}.",
        level=chance,
        levels=levels,
        theory=theory,
        estimate=function.value,
        standard_error=function.standard_error,
        p_values=adjusted[: levels.size],
        kolmogorov=kolmogorov,
        kolmogorov_band=kolmogorov_band,
        wasserstein=float(np.trapezoid(distance, levels)),
        wasserstein_band=float(np.trapezoid(band, levels)),
        atoms=tuple(test for test in tests if test.name.startswith("atom")),
        edges=tuple(test for test in tests if not test.name.startswith("atom")),
        widths=tuple(sorted(sorted_samples)),
        networks=min(len(array) for array in sorted_samples.values()),
    )


def kolmogorov_distance(eigenvalues, law: SpectralLaw) -> float:
    """The largest difference of the distribution functions of `eigenvalues`, pooled, and of the law.

    Values within rounding of an atom of the law count as being there.
    """
    values = _snapped(np.sort(np.ravel(eigenvalues)), law)
    found, first, counts = np.unique(values, return_index=True, return_counts=True)
    above = np.asarray(law.cdf(found), dtype=np.float64)
    below = above.copy()
    for place, mass in law.atoms:
        below[found == place] -= mass
    return float(max(np.abs(above - (first + counts) / values.size).max(), np.abs(below - first / values.size).max()))


def wasserstein_distance(eigenvalues, law: SpectralLaw) -> float:
    """The area between the distribution functions of `eigenvalues`, pooled, and of the law, in their unit.

    Each of the n values is held against the law's quantile in the middle of its step, so that a sample of the law
    itself can come out too near by up to 1/n of the law's spread.
    """
    values = np.sort(np.ravel(eigenvalues))
    middles = (np.arange(values.size) + 0.5) / values.size
    return float(np.abs(values - np.asarray(law.quantile(middles), dtype=np.float64)).mean())


def edge_scale(law: SpectralLaw, *, upper: bool = True) -> float:
    """kappa of the law's edge, rho = (kappa/pi) sqrt(distance from it); nan where the density does not start so."""
    return root_scale(*_densities_at(law, upper))


def _is_hard(law: SpectralLaw, *, upper: bool) -> bool:
    """Is the density infinite at the edge, as an inverse square root?"""
    steps, density = _densities_at(law, upper)
    coarse, fine = density * np.sqrt(steps)
    return bool(fine > 0 and abs(coarse / fine - 1) <= 0.05)


def _densities_at(law: SpectralLaw, upper: bool) -> tuple[np.ndarray, np.ndarray]:
    """Two distances from an edge, and the densities there."""
    edge, sign = (law.lambda_max, -1.0) if upper else (law.lambda_min, 1.0)
    steps = edge * np.array([4e-5, 1e-5])
    return steps, np.asarray(law.density(edge + sign * steps), dtype=np.float64)


@dataclass(frozen=True)
class _Point:
    """A number of the law and its samples, extrapolated."""

    name: str
    theory: float
    unit: float
    found: Extrapolation

    @property
    def p(self) -> float:
        excess = np.maximum(np.abs(self.found.value - self.theory / self.unit) - self._allowance, 0.0)
        return float(p_values(excess, *_spread(self.found)))

    @property
    def _allowance(self) -> np.ndarray:
        return self.found.curvature_bound + SAME

    def test(self, adjusted: float, level: float) -> PointTest:
        return PointTest(
            name=self.name,
            theory=self.theory,
            estimate=float(self.found.value * self.unit),
            standard_error=float(self.found.standard_error * self.unit),
            p_value=adjusted,
            passed=adjusted >= level,
        )


def _spread(found: Extrapolation) -> tuple[np.ndarray, np.ndarray]:
    return found.standard_error, found.degrees_of_freedom


def _checked(width: int, array, floor: float) -> np.ndarray:
    values = np.asarray(array, dtype=np.float64)
    if values.ndim != 2 or values.shape[0] < 2 or values.shape[1] != width:
        raise InvalidParameterError(
            f"samples must hold arrays (networks >= 2, width), got shape {values.shape} at width {width}"
        )
    if not (np.isfinite(values).all() and (values >= 0).all()):
        raise InvalidParameterError(f"samples must be finite and >= 0, those of width {width} are not")
    ordered = np.sort(values, axis=1)
    return np.where(ordered <= floor * ordered[:, -1:], 0.0, ordered)


def _atom_points(samples: Mapping[int, np.ndarray], atoms: Sequence[tuple[float, float]]) -> list[_Point]:
    points = []
    for place, mass in atoms:
        shares = {width: (np.abs(rows - place) <= SAME * place).mean(axis=1) for width, rows in samples.items()}
        # The rank of J is the number of neurons with a slope in its narrowest layer, whose mean misses the common one
        # by order width^(-1/2); other atoms count what all layers have in common.
        found = extrapolate(shares, power=0.5 if place == 0 else 1.0)
        if not found.standard_error > 0:
            counted = min(rows.size for rows in samples.values())
            found = replace(found, standard_error=np.asarray(RULE_OF_THREE / counted))
        points.append(_Point(f"atom at {place:.6g}", mass, 1.0, found))
    return points


def _edge_points(samples: Mapping[int, np.ndarray], law: SpectralLaw, atoms: Sequence[tuple[float, float]]):
    points = []
    outlier = math.exp(max(getattr(law, "log_outliers", ()), default=-math.inf))
    for name, edge, column, sign in (("upper edge", law.lambda_max, -1, 1.0), ("lower edge", law.lambda_min, 0, -1.0)):
        isolated = sign > 0 and outlier > 0
        place, name = (outlier, "outlier") if isolated else (edge, name)
        if edge <= 0 or any(abs(at - place) <= SAME * place for at, _ in atoms):
            continue
        # Far tails of a law may have no end, and no density near it.
        ended = edge < math.inf
        kappa = edge_scale(law, upper=sign > 0) if ended else math.nan
        ends = {width: rows[:, column] / place for width, rows in samples.items()}
        if not math.isnan(kappa):
            gap = math.log(place / edge) if isolated else getattr(law, "log_gap_to_outlier", math.inf)
            rate = sign * TRACY_WIDOM_MEAN / edge * kappa ** (-2 / 3)
            approach = Approach(rate=rate, gap=gap if sign > 0 else math.inf, isolated=isolated)
            points.append(_Point(name, place, place, approach.extrapolated(ends)))
        elif isolated:
            points.append(_Point(name, place, place, extrapolate(ends)))
        elif ended and _is_hard(law, upper=sign > 0):
            points.append(_Point(name, place, place, _between_powers(ends)))
    return points


def _between_powers(ends: Mapping[int, np.ndarray]) -> Extrapolation:
    """a of a + b/width; what a + b/width^2 says instead is not ruled out."""
    found, faster = extrapolate(ends), extrapolate(ends, power=2.0)
    return replace(found, curvature_bound=found.curvature_bound + np.abs(found.value - faster.value))


def _snapped(values: np.ndarray, law: SpectralLaw) -> np.ndarray:
    for place, _ in law.atoms:
        reach = SAME * place if place else 2e-28 * values[-1]
        values = np.where(np.abs(values - place) <= reach, place, values)
    return values
