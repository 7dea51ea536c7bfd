"""The laws of squared slopes phi'(h)^2 in the layers of a network, as few as the free product needs."""

import functools
import math
from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh_tridiagonal

from meanfield.freeprob import Law, gaussian_pushforward, point_masses
from meanfield.gaussian_moments import evaluate, germ, refuse_infinite, scan
from meanfield.nonlinearity import Nonlinearity
from meanfield.quadrature import EPS

__all__ = ["LayerLaws", "layer_laws", "slope_law"]

VANISHING = 1e-100
SAME = 1e-13  # lengths, or laws by their moments, closer than this are equal
FEW = 4  # different lengths that are taken one by one
MOST = 16  # representatives of many lengths
REPRESENTED = 2e-13  # what they may be off in the sums of ln mu_1 and of the variances


@functools.lru_cache(maxsize=64)
def slope_law(phi: Nonlinearity, q: float, partition: int = 0) -> Law:
    """The law of phi'(x)^2, x ~ N(0, q), by one of two partitions of the line."""
    if q == 0:
        # Slopes that vanish at 0 are sampled beside it.
        below, above = (slope**2 if abs(slope) > VANISHING else 0.0 for slope in germ(phi)[1:])
        return point_masses({below: 0.5, above: 0.5} if below != above else {above: 1.0})
    with np.errstate(all="ignore"):
        return gaussian_pushforward(phi.derivative, q, kinks=phi.breaks_between, partition=partition)


@dataclass(frozen=True)
class LayerLaws:
    """Representatives of the layers' laws.

    lengths : (depth,) of all layers;
    q, q_errors, powers : (n,) lengths, their error bounds and how many layers each stands for;
    last : length of the last layer; log_mean : sum over all layers of ln mu_1, log_mean_error its bound;
    unrepresented : what the representatives are off in that sum or that of the variances.
    """

    phi: Nonlinearity
    lengths: np.ndarray
    q: np.ndarray
    q_errors: np.ndarray
    powers: np.ndarray
    last: float
    log_mean: float
    log_mean_error: float
    unrepresented: float

    def laws(self, partition: int = 0) -> tuple[Law, ...]:
        return tuple(slope_law(self.phi, float(q), partition) for q in self.q)


def layer_laws(phi: Nonlinearity, q: np.ndarray, q_errors: np.ndarray) -> LayerLaws:
    """Laws for layers of lengths q (depth,).

    Notes
    -----
    ln z of the free product sums a smooth function of the length over the layers. Many different lengths are replaced
    by the Gauss quadrature of their own distribution, in the variable 1/(1 + sqrt(q)): phi'(sqrt(q) z) has a limit for
    sqrt(q) to 0 and mostly one for 1/sqrt(q) to 0, and both may be reached within one network.

    Raises
    ------
    NonlinearityError
        E phi'^2 is infinite at one of the lengths.
    """
    distinct, first, counts = np.unique(q, return_index=True, return_counts=True)
    values, bounds = evaluate(phi, distinct)
    refuse_infinite(phi, distinct, bounds[:2])
    own = _sums(values)
    with np.errstate(divide="ignore", invalid="ignore"):
        # |d mu_1/dq| = |E phi'^2 (z^2 - 1)|/(2q) <= sqrt(mu_2/2)/q by Cauchy-Schwarz.
        drift = np.where(q_errors[first] > 0, np.sqrt(values[2] / 2) / distinct, 0.0)
        log_errors = (bounds[1] + drift * q_errors[first]) / values[1] + 2 * EPS
        relative = float(np.max(q_errors[first] / distinct, where=distinct > 0, initial=0.0))
    nodes, powers, off = _representatives(phi, distinct, counts.astype(float), own)
    return LayerLaws(
        phi,
        q,
        nodes,
        np.where(nodes > 0, relative * nodes, 0.0),
        powers,
        float(q[-1]),
        float(counts @ own[0]),
        float(counts @ log_errors),
        off,
    )


def _sums(values: np.ndarray) -> np.ndarray:
    """ln mu_1 and mu_2/mu_1^2 - 1, rows of what the layers add up."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.array([np.log(values[1]), values[2] / values[1] ** 2 - 1])


def _representatives(phi, q: np.ndarray, counts: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Lengths, their weights, and what they are off in the sums over the layers."""
    if len(q) == 1 or (np.ptp(rows, axis=1) <= SAME * (1 + np.abs(rows).max(axis=1))).all():
        return q[-1:], np.array([counts.sum()]), 0.0
    if len(q) <= FEW:
        return q, counts, 0.0
    zeros = q == 0
    lengths, weights, exact = q[~zeros], counts[~zeros], rows[:, ~zeros] @ counts[~zeros]
    nodes, powers, off = lengths, weights, math.inf
    for n in range(FEW, MOST + 1, 2):
        if n >= len(lengths):
            nodes, powers, off = lengths, weights, 0.0
            break
        y, powers = _gauss(1 / (1 + np.sqrt(lengths)), weights, n)
        nodes = (1 / y - 1) ** 2
        off = float(np.abs(_sums(scan(phi, nodes)) @ powers - exact).max())
        if off <= REPRESENTED * max(1.0, np.abs(exact).max()):
            break
    return np.concatenate([q[zeros], nodes]), np.concatenate([counts[zeros], powers]), off


def _gauss(y: np.ndarray, weights: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """The n-point Gauss rule of the discrete measure with `weights` at y, by the Lanczos process.

    References
    ----------
    .. [1] G. Golub, J. Welsch, Math. Comp. 23 (1969) 221.
    """
    basis = [np.sqrt(weights / weights.sum())]
    diagonal, beside = [], []
    for k in range(n):
        r = y * basis[-1]
        diagonal.append(basis[-1] @ r)
        for _ in range(2):  # twice is enough to keep them orthogonal
            for b in basis:
                r = r - (b @ r) * b
        size = np.linalg.norm(r)
        if k == n - 1 or size <= 1e-14 * np.abs(y).max():
            break
        beside.append(size)
        basis.append(r / size)
    nodes, vectors = eigh_tridiagonal(diagonal, beside)
    return nodes, weights.sum() * vectors[0] ** 2
