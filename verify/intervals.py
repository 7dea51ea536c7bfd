"""Intervals over seeds: Student's, of a statistic that is computed seed by seed or jackknifed over them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from meanfield.arguments import scalar
from meanfield.errors import InvalidParameterError

__all__ = ["Interval", "correlation_over_seeds", "over_seeds", "pearson", "spearman"]


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A mean over seeds between `low` and `high`; all nan if a seed has no value."""

    mean: float
    low: float
    high: float


def over_seeds(values, *, confidence: float = 0.95) -> Interval:
    """The mean of independent values with its Student interval.

    Parameters
    ----------
    values : array (seeds,), at least two
    confidence : float in (0, 1)

    Examples
    --------
    >>> found = over_seeds([1.0, 2.0, 3.0])
    >>> round(found.low, 4), found.mean, round(found.high, 4)
    (-0.4841, 2.0, 4.4841)
    """
    array = np.asarray(values, dtype=np.float64)
    level = scalar("confidence", confidence, low=0.0, high=1.0, open_low=True, open_high=True)
    if array.ndim != 1 or len(array) < 2:
        raise InvalidParameterError(f"values must be at least two numbers, got an array of shape {array.shape}")
    mean = float(array.mean())
    half = float(stdtrit(len(array) - 1, (1 + level) / 2) * array.std(ddof=1) / np.sqrt(len(array)))
    return Interval(mean=mean, low=mean - half, high=mean + half)


def correlation_over_seeds(correlation: Callable[..., float], x: np.ndarray, y: np.ndarray) -> Interval:
    """A correlation over all networks, shape (cells, seeds), with an interval for other seeds.

    Notes
    -----
    The delete-one jackknife over seeds, on Fisher's scale z = atanh r: Student's interval of the pseudo-values
    n z - (n - 1) z_(without one seed). It stays within [-1, 1].

    References
    ----------
    .. [1] R. G. Miller, The jackknife - a review, Biometrika 61 (1974) 1.
    """
    seeds = np.arange(x.shape[1])

    def z(kept: np.ndarray) -> float:
        return float(np.arctanh(correlation(x[:, kept].ravel(), y[:, kept].ravel())))

    whole = z(seeds)
    pseudo = [len(seeds) * whole - (len(seeds) - 1) * z(seeds[seeds != one]) for one in seeds]
    found = over_seeds(pseudo)
    low, high = np.tanh([found.low, found.high]).tolist()
    return Interval(mean=float(np.tanh(whole)), low=low, high=high)


def pearson(x, y) -> float:
    """Linear correlation of two samples; nan if one of them does not vary.

    Examples
    --------
    >>> round(pearson([1, 2, 3], [2, 4, 6]), 12)
    1.0
    """
    a, b = (np.asarray(each, dtype=np.float64) - np.mean(each) for each in (x, y))
    size = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / size) if size > 0 else np.nan


def spearman(x, y) -> float:
    """Correlation of ranks, ties at their mean rank; infinities are legal and tie.

    Examples
    --------
    >>> spearman([1, 2, 3, 4], [1, 10, 100, np.inf])
    1.0
    """
    return pearson(_ranks(x), _ranks(y))


def _ranks(values) -> np.ndarray:
    _, inverse, counts = np.unique(np.asarray(values, dtype=np.float64), return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]
