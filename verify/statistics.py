"""Estimates with honest errors: means over networks, extrapolation in 1/width, tests, and many tests at once."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit

__all__ = ["CURVATURE", "Extrapolation", "extrapolate", "holm", "p_values", "t_quantile"]

# The term of order 1/width^2 is taken to be at most CURVATURE (|b| + v)^2/width^2. In simulations of tanh, ReLU and
# GELU, ordered to chaotic, it was 0.0 to 0.4 times (|b| + v)^2/width^2.
CURVATURE = 0.5


@dataclass(frozen=True, kw_only=True, eq=False)
class Extrapolation:
    """Means over independent networks, continued to infinite width; every array has the shape of one network's values.

    Attributes
    ----------
    value : array
        The estimate at infinite width; at the one width there is, if there is only one.
    standard_error : array
        Of `value`, from the spread between networks.
    degrees_of_freedom : array
        Of that standard error (Welch-Satterthwaite).
    slope : array
        b of the mean a + b/width; nan with one width.
    spread : array
        v of the variance v/width between networks.
    curvature_bound : array
        How far the term of order 1/width^2, which the fit leaves out, may have moved `value`; 0 with one width,
        where the bias as a whole is not covered.
    coefficients : array (widths,)
        Of the means in `value`.
    widths : array of float
        In increasing order.
    """

    value: np.ndarray
    standard_error: np.ndarray
    degrees_of_freedom: np.ndarray
    slope: np.ndarray
    spread: np.ndarray
    curvature_bound: np.ndarray
    coefficients: np.ndarray
    widths: np.ndarray

    @property
    def leverage(self) -> float:
        """By how much at most the fit enlarges an error that the means share, such as rounding; 1 with one width."""
        return float(np.abs(self.coefficients).sum())


def extrapolate(samples: Mapping[int, np.ndarray], *, power: float = 1.0) -> Extrapolation:
    """Fit mean = a + b/width by weighted least squares and return a.

    Parameters
    ----------
    samples : mapping of width to array (networks, ...)
        Independent networks along the first axis, at least two of each width; values on a dimensionless scale where
        1 is large. Where one is not finite, the result is nan.
    power : float, > 0
        Fit a + b/width^power instead, for a bias that falls more slowly.

    Notes
    -----
    The weights networks x width are those of a variance proportional to 1/width, fixed beforehand: weights taken
    from the measured variances would correlate with the means of skewed data. The standard error does come from the
    measured variances, so it holds for any weights; its degrees of freedom are Welch's [1]_.

    The bias is an expansion in the strength of the fluctuations, whose first terms b/width and v/width are measured.
    Its second term is bounded by CURVATURE times the square of their sum. A layer of a linear network, for example,
    adds E ln(chi^2_N/N) = -1/N - 1/(3 N^2) + ... to ln q and 2/N to its variance: the bound is 13 times what one layer
    needs, and more for more of them.

    References
    ----------
    .. [1] B. L. Welch, Biometrika 34 (1947) 28.
    """
    widths = np.array(sorted(samples), dtype=np.float64)
    arrays = [_finite_or_nan(samples[int(width)]) for width in widths]
    counts = np.array([len(array) for array in arrays], dtype=np.float64)
    means = np.array([array.mean(axis=0) for array in arrays])
    variances = np.array([array.var(axis=0, ddof=1) for array in arrays])
    x = widths**-power
    intercept, slope = _fit_coefficients(x, counts * widths)
    parts = np.array([c**2 * v / n for c, v, n in zip(intercept, variances, counts, strict=True)])
    total = parts.sum(axis=0)
    # With no spread at all every number of degrees of freedom gives the same verdict.
    scaled = np.divide(parts, total, out=np.zeros_like(parts), where=total > 0)
    inverse = np.tensordot(1 / (counts - 1), scaled**2, 1)
    freedom = np.divide(1.0, inverse, out=np.full_like(total, counts.min() - 1), where=inverse > 0)
    b = np.tensordot(slope, means, 1)
    spread = np.tensordot((counts - 1) * widths, variances, 1) / (counts - 1).sum()
    left_out = abs(float(intercept @ x**2)) if len(widths) > 1 else 0.0
    return Extrapolation(
        value=np.tensordot(intercept, means, 1),
        standard_error=np.sqrt(total),
        degrees_of_freedom=freedom,
        slope=b,
        spread=spread,
        curvature_bound=left_out * CURVATURE * (np.abs(b) + spread) ** 2 if left_out else np.zeros_like(total),
        coefficients=intercept,
        widths=widths,
    )


def _finite_or_nan(values: np.ndarray) -> np.ndarray:
    array = np.asarray(values, dtype=np.float64)
    return np.where(np.isfinite(array), array, np.nan)


def _fit_coefficients(x: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients of the means in the fitted intercept and slope."""
    if len(x) == 1:
        return np.ones(1), np.full(1, np.nan)
    share = weights / weights.sum()
    centre = share @ x
    slope = share * (x - centre) / (share @ (x - centre) ** 2)
    return share - centre * slope, slope


def p_values(excess, standard_error, degrees_of_freedom) -> np.ndarray:
    """Two-sided p-values of Student's t for estimates that lie `excess` >= 0 outside what is allowed.

    Where there is no spread between networks the answer is 1 without excess and 0 with one. nan stays nan.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(np.equal(excess, 0), 0.0, np.divide(excess, standard_error))
    t = np.where(np.isnan(standard_error), np.nan, t)
    return 2 * stdtr(degrees_of_freedom, -t)


def t_quantile(level: float, degrees_of_freedom) -> np.ndarray:
    """The t that Student's |t| exceeds with probability `level`."""
    return np.abs(stdtrit(degrees_of_freedom, level / 2))  # of levels too small for it, scipy gives the wrong infinity


def holm(p: np.ndarray) -> np.ndarray:
    """Holm's adjusted p-values: rejecting those below a level keeps the chance of any false rejection under that level.

    It holds for any dependence between the tests. nan counts as a test that is rejected, and stays nan.

    References
    ----------
    .. [1] S. Holm, Scandinavian Journal of Statistics 6 (1979) 65.

    Examples
    --------
    >>> holm(np.array([0.04, 0.01, 0.03])).round(12).tolist()
    [0.06, 0.03, 0.06]
    """
    flat = np.asarray(p, dtype=np.float64).ravel()
    order = np.argsort(np.where(np.isnan(flat), -1.0, flat), kind="stable")
    steps = np.arange(len(flat), 0, -1) * flat[order]
    adjusted = np.empty_like(flat)
    adjusted[order] = np.fmax.accumulate(np.minimum(steps, 1.0))
    return np.where(np.isnan(flat), np.nan, adjusted).reshape(np.shape(p))
