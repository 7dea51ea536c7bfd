"""The scales on which measured quantities are averaged, extrapolated and compared.

On a good scale one network's value is close to normal, with a variance and a bias of order 1/width: logarithms for
products over layers, Fisher's z for correlations. Values on a scale are dimensionless, and 1 is a large difference.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

__all__ = ["FISHER", "LINEAR", "LOG", "RATE", "ROUNDING", "Scale"]

Pointwise = Callable[[np.ndarray], np.ndarray]

# What rounding leaves unknown of a measured value: sums over neurons are good to a few dozen ulp.
ROUNDING = 2.0**-46


@dataclass(frozen=True)
class Scale:
    """A monotone map of a quantity's values.

    Attributes
    ----------
    name : str
    unit : str
        That of a small difference on the scale, in words.
    apply, invert : callable
        From values to the scale and back; nan or infinite outside the scale's domain.
    stretch : callable
        Slope of `apply` at a value.
    rounding : callable
        How far a measured value may be off by rounding alone.
    """

    name: str
    unit: str
    apply: Pointwise
    invert: Pointwise
    stretch: Pointwise
    rounding: Pointwise


def _identity(values: np.ndarray) -> np.ndarray:
    return np.asarray(values, dtype=np.float64)


def _logarithm(values: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(values)


def _fisher(values: np.ndarray) -> np.ndarray:
    # Beyond 1 - ROUNDING a correlation cannot be told from 1; there arctanh would turn rounding into differences.
    return np.arctanh(np.clip(values, ROUNDING - 1, 1 - ROUNDING))


def _exponential(values: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return np.exp(values)


def _reciprocal(values: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return 1 / np.asarray(values, dtype=np.float64)


def _fisher_stretch(values: np.ndarray) -> np.ndarray:
    inside = np.clip(values, ROUNDING - 1, 1 - ROUNDING)
    return 1 / ((1 - inside) * (1 + inside))


def _absolute_rounding(values: np.ndarray) -> np.ndarray:
    return np.full(np.shape(values), ROUNDING)


def _relative_rounding(values: np.ndarray) -> np.ndarray:
    return ROUNDING * np.abs(values)


def _negative_rate(values: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return -1 / np.asarray(values, dtype=np.float64)


def _depth_of_rate(rates: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.where(rates < 0, -1 / np.asarray(rates, dtype=np.float64), np.inf)


def _squared_reciprocal(values: np.ndarray) -> np.ndarray:
    return np.asarray(values, dtype=np.float64) ** -2.0


LINEAR = Scale("linear", "absolute", _identity, _identity, np.ones_like, _absolute_rounding)
LOG = Scale("log", "relative", _logarithm, _exponential, _reciprocal, _relative_rounding)
FISHER = Scale("fisher", "in units of 1 - c^2", _fisher, np.tanh, _fisher_stretch, _absolute_rounding)
# Of depth scales: the logarithm of the factor per layer. Where nothing decays the depth is infinite.
RATE = Scale("rate", "as a difference of 1/xi", _negative_rate, _depth_of_rate, _squared_reciprocal, _relative_rounding)
