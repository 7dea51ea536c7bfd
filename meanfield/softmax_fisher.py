"""The Fisher information with softmax outputs, from the kernel of the gradients and the law of the logits."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from meanfield.errors import InvalidParameterError
from meanfield.softmax_curvature import probabilities, softmax_lambda_max, softmax_lambda_min

__all__ = ["WeighedSpectrum", "softmax_fisher"]

DRAWS = 64


@dataclass(frozen=True, kw_only=True)
class WeighedSpectrum:
    """What is known of the non-zero eigenvalues of G: (value, sampling error) each; the error is 0 where none is drawn.

    trace, square : sums of the eigenvalues and of their squares; largest, smallest : of them; bulk : their mean without
    the outliers. The smallest of softmax outputs is a geometric mean.
    """

    trace: tuple[float, float]
    square: tuple[float, float]
    largest: tuple[float, float]
    bulk: tuple[float, float]
    smallest: tuple[float, float]


def softmax_fisher(
    own: float, shared: float, samples: int, outputs: int, *, variance: float, covariance: float
) -> WeighedSpectrum:
    """Mean statistics of G = (1/T) sum_t J_t^T H_t J_t over sets of logits, with four standard errors.

    Parameters
    ----------
    own, shared : float
        Products of the gradients of one output, at the same input and at two; those of different outputs vanish.
    samples, outputs : int
        T and C.
    variance, covariance : float
        Of one logit, and of it at two inputs.

    Raises
    ------
    InvalidParameterError
        The covariance is negative: T equal ones cannot be drawn then.

    Notes
    -----
    With H_t = A_t A_t^T the Gram matrix of G is (1/T)[shared B B^T + (own - shared) diag_t(A_t^T A_t)], B the stack of
    all A_t^T. An eigenvalue lambda above delta = (own - shared)/T times that of every H_t is where

        det[1 - (shared/T) sum_t H_t (lambda - delta H_t)^{-1}] = 0,
        H (lambda - delta H)^{-1} = diag(u) - lambda u u^T/(1 + delta p.u),   u = p/(lambda - delta p),

    a C x C problem. The smallest eigenvalue is taken as delta times the smallest of all H_t, which it is not below.

    References
    ----------
    .. [1] Karakida, Akaho, Amari, arXiv:1910.05992, section 4.
    """
    if covariance < 0:
        raise InvalidParameterError(f"overlap must not make outputs anticorrelated for softmax, got {covariance:g}")
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(DRAWS):
        common = math.sqrt(covariance) * rng.standard_normal(outputs)
        single = math.sqrt(max(variance - covariance, 0.0)) * rng.standard_normal((samples, outputs))
        rows.append(_statistics(probabilities(common + single), own, shared))
    columns = np.array(rows).T
    trace, square, largest, bulk = (_mean(column) for column in columns[:-1])
    return WeighedSpectrum(
        trace=trace, square=square, largest=largest, bulk=bulk, smallest=_geometric_mean(columns[-1])
    )


def _mean(draws: np.ndarray) -> tuple[float, float]:
    """The mean with four standard errors."""
    return float(draws.mean()), 4 * float(draws.std(ddof=1)) / math.sqrt(draws.size)


def _geometric_mean(draws: np.ndarray) -> tuple[float, float]:
    """The same for what varies by factors, with the error downwards; 0 if any is."""
    if not (draws > 0).all():
        return 0.0, 0.0
    center, error = _mean(np.log(draws))
    return math.exp(center), -math.exp(center) * math.expm1(-error)


def _statistics(p: np.ndarray, own: float, shared: float) -> list[float]:
    T, C = p.shape
    delta = (own - shared) / T
    squares, cubes = (p**2).sum(axis=1), (p**3).sum(axis=1)
    trace = own * float(np.mean(1 - squares))
    size = float((squares - 2 * cubes + squares**2).sum())  # sum_t |H_t|^2
    together = np.diag(p.sum(axis=0)) - p.T @ p
    square = (shared**2 * (float((together**2).sum()) - size) + own**2 * size) / T**2
    top = float(softmax_lambda_max(p).max())
    largest = _outlier(p, shared / T, delta, float(np.linalg.eigvalsh(together)[-1]), top)
    return [
        trace,
        square,
        largest,
        delta * float(np.mean(1 - squares)) / (C - 1),
        delta * float(softmax_lambda_min(p).min()),
    ]


def _outlier(p: np.ndarray, kappa: float, delta: float, together: float, top: float) -> float:
    """The largest eigenvalue; `together` and `top` are the largest of sum_t H_t and of any H_t."""
    if kappa <= 0:
        return delta * top

    def excess(eigenvalue: float) -> float:
        u = p / (eigenvalue - delta * p)
        weights = eigenvalue / (1 + delta * (p * u).sum(axis=1))
        return kappa * float(np.linalg.eigvalsh(np.diag(u.sum(axis=0)) - (u.T * weights) @ u)[-1]) - 1

    # Between the eigenvalues of the larger part alone and the sum of both (Weyl).
    low, high = max(kappa * together, delta * top), kappa * together + delta * top
    if delta == 0:
        return high
    low += 1e-12 * high
    return float(brentq(excess, low, high * (1 + 1e-12), rtol=1e-12)) if excess(low) > 0 else low
