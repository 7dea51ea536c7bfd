"""Pearson's correlation with a confidence interval."""

import math

import numpy as np
from scipy.special import ndtri

from meanfield.arguments import scalar
from meanfield.errors import InvalidParameterError

__all__ = ["pearson"]


def pearson(x, y, *, level=0.95) -> tuple[float, float, float]:
    """Pearson's correlation of two samples and the ends of its confidence interval.

    Parameters
    ----------
    x, y : array (n,)
        At least four pairs.
    level : float, in (0, 1)
        Of confidence.

    Returns
    -------
    tuple of float
        rho, low, high; nan where a sample does not vary.

    Raises
    ------
    InvalidParameterError
        Fewer than four pairs, or shapes that differ.

    Notes
    -----
    artanh(rho) is nearly normal with variance 1/(n - 3) for jointly normal samples [1]_.

    References
    ----------
    .. [1] R. A. Fisher, Metron 1 (1921) 3.

    Examples
    --------
    >>> rho, low, high = pearson([1.0, 2.0, 3.0, 4.0, 5.0], [1.0, 2.0, 3.0, 5.0, 4.0])
    >>> low < rho < high
    True
    """
    first, second = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if first.ndim != 1 or first.shape != second.shape or first.size < 4:
        raise InvalidParameterError(
            f"x and y must be samples of the same size, at least 4, got shapes {first.shape} and {second.shape}"
        )
    share = scalar("level", level, low=0.0, high=1.0, open_low=True, open_high=True)
    a, b = first - first.mean(), second - second.mean()
    scale = math.sqrt((a @ a) * (b @ b))
    if scale == 0:
        return math.nan, math.nan, math.nan
    rho = min(1.0, max(-1.0, float(a @ b) / scale))
    if abs(rho) == 1:
        return rho, rho, rho
    half = float(ndtri((1 + share) / 2)) / math.sqrt(first.size - 3)
    return rho, math.tanh(math.atanh(rho) - half), math.tanh(math.atanh(rho) + half)
