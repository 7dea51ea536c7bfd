"""The curvature of a softmax output, H = diag(p) - p p^T, averaged over Gaussian logits; knows no network."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import erfcx, log_ndtr, ndtri_exp

from meanfield.arguments import integer, scalar
from meanfield.results import Result

__all__ = ["SoftmaxCurvature", "probabilities", "softmax_curvature", "softmax_lambda_max", "softmax_lambda_min"]

# Korobov's rank-1 lattice: 4093 points n (1, a, a^2, ...)/4093, a from L'Ecuyer and Lemieux, Management Science 46
# (2000) 1214, table 1. Independent random shifts make it unbiased and give its standard error.
_POINTS, _GENERATOR = 4093, 1516
_SHIFTS = 16
_BISECTIONS = 25


@dataclass(frozen=True, kw_only=True, eq=False)
class SoftmaxCurvature(Result):
    """The mean of lambda_max(diag(p) - p p^T) over Gaussian logits.

    Attributes
    ----------
    outputs : int
    variance : float
        Of each logit.
    value : float
    error : float
        Four standard errors of `value`; 0 at variance 0.
    """

    outputs: int
    variance: float
    value: float
    error: float


def softmax_curvature(outputs, variance) -> SoftmaxCurvature:
    """E lambda_max(H) of H = diag(p) - p p^T, p the softmax of independent logits N(0, variance).

    Parameters
    ----------
    outputs : int, >= 2
        Number of classes.
    variance : float, >= 0
        Of each logit.

    Returns
    -------
    SoftmaxCurvature
        The same digits at every call: the sampling has its own fixed seed.

    Raises
    ------
    InvalidParameterError
        An argument is outside its range.

    Notes
    -----
    H is the Hessian of -log p by the logits. Its largest eigenvalue is 1/outputs where all classes are equally likely,
    at most 1/2, and 0 where one class is certain, so its mean first rises and then falls with the variance: what counts
    is how often the two largest logits are closer than about 1. That is sampled directly: the second largest logit
    sigma m, then the largest one sigma x from the density proportional to exp(-x^2/2 - sigma (x - m)) above m, then the
    others below m. What is averaged, lambda_max exp(sigma (x - m)), is bounded and smooth for every variance; the
    average is a randomised lattice rule.

    Examples
    --------
    >>> softmax_curvature(10, 0.0).value
    0.1
    """
    classes = integer("outputs", outputs, low=2)
    spread = math.sqrt(scalar("variance", variance, low=0.0))
    if spread == 0:
        return SoftmaxCurvature(outputs=classes, variance=0.0, value=1 / classes, error=0.0)
    generator = np.array([pow(_GENERATOR, k, _POINTS) for k in range(classes)])
    lattice = np.arange(_POINTS)[:, None] * generator % _POINTS / _POINTS
    quantile, total = _second_largest(classes, spread)
    means = []
    for shift in np.random.default_rng(0).random((_SHIFTS, classes)):
        u = (lattice + shift) % 1.0
        means.append(total * _tilted(spread, quantile(u[:, 0]), u[:, 1], u[:, 2:]).mean())
    error = 4 * float(np.std(means, ddof=1)) / math.sqrt(_SHIFTS)
    return SoftmaxCurvature(outputs=classes, variance=spread**2, value=float(np.mean(means)), error=error)


def _second_largest(classes: int, spread: float) -> tuple[Callable[[np.ndarray], np.ndarray], float]:
    """The quantile function of m and the weight of the whole, from its density on a fine grid.

    The weight at m is K (K-1) phi(m) Phi(m)^{K-2} int_m^inf phi(x) exp(-sigma (x - m)) dx, phi and Phi of N(0, 1).
    """
    m = np.linspace(-12.0, 12.0, 20001)
    density = np.exp(-(m**2) + (classes - 2) * log_ndtr(m)) * erfcx((m + spread) / math.sqrt(2))
    density *= classes * (classes - 1) / (2 * math.sqrt(2 * math.pi))
    cells = (density[1:] + density[:-1]) / 2 * (m[1] - m[0])
    total = float(cells.sum())
    cumulative = np.concatenate([[0.0], np.cumsum(cells) / total])
    return lambda u: np.interp(u, cumulative, m), total


def _tilted(spread: float, m: np.ndarray, u: np.ndarray, others: np.ndarray) -> np.ndarray:
    """lambda_max exp(sigma (x - m)) for points m (n,), u (n,) and others (n, K - 2) of the unit cube."""
    x = -spread - ndtri_exp(np.log(u) + log_ndtr(-(m + spread)))
    gap = spread * (x - m)
    below = spread * (ndtri_exp(np.log(others) + log_ndtr(m)[:, None]) - m[:, None])
    logits = np.concatenate([gap[:, None], np.zeros_like(gap)[:, None], below], axis=1)
    return softmax_lambda_max(probabilities(logits)) * np.exp(gap)


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Softmax along the last axis."""
    p = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return p / p.sum(axis=-1, keepdims=True)


def softmax_lambda_max(p: np.ndarray) -> np.ndarray:
    """The largest eigenvalue of diag(p) - p p^T for each p along the last axis, without the matrices.

    Notes
    -----
    The eigenvalues but 0 lie between neighbouring p and solve sum_i p_i/(p_i - lambda) = 0, here by bisection.

    Examples
    --------
    >>> softmax_lambda_max(np.array([[0.25, 0.75]])).round(6)
    array([0.375])
    """
    second, first = np.moveaxis(np.partition(p, p.shape[-1] - 2, axis=-1)[..., -2:], -1, 0)
    return _root_between(p, second, first)


def softmax_lambda_min(p: np.ndarray) -> np.ndarray:
    """The smallest eigenvalue of diag(p) - p p^T but the 0 of (1, ..., 1), for each p along the last axis."""
    first, second = np.moveaxis(np.partition(p, 1, axis=-1)[..., :2], -1, 0)
    return _root_between(p, first, second)


def _root_between(p: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        with np.errstate(divide="ignore", invalid="ignore"):
            side = (p / (p - middle[..., None])).sum(axis=-1)
        # The sum rises. Where the bracket has closed up to rounding it is inf or nan, and either end will do.
        below = side < 0
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return (low + high) / 2
