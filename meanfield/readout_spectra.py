"""Largest singular values of the derivatives of a network's outputs by its pre-activations, layer by layer.

J_a = W^g D^L W^L ... W^{a+1} D^a ends in a read-out W^g that is outputs x width: the last factor is rectangular.
"""

import functools
import math

import numpy as np

from meanfield.arguments import choice
from meanfield.errors import InvalidParameterError, NonlinearityError
from meanfield.freeprob.laws import Law
from meanfield.freeprob.pushforward import gaussian_pushforward
from meanfield.gaussian_moments import evaluate
from meanfield.neural_kernels import SHORTEST
from meanfield.nonlinearity import Nonlinearity
from meanfield.weights import ENSEMBLES

__all__ = ["output_jacobian_norms"]

_LOG_M_STEP = 0.05
_LOWEST_LOG_M, _HIGHEST_LOG_M = -24.0, 24.0  # the lowest relative to that of the smallest E phi'^2, where that is < 1
_ABOVE = np.arange(-36.0, 60.0, 0.2)  # ln(w/top - 1)
_MOST_LAWS = 12
_LONG, _LOST = 1e12, 1e-8  # from such lengths on slopes may be too rare for the law, which then lacks some of E phi'^2


def output_jacobian_norms(
    phi: Nonlinearity, sigma_w: float, q: np.ndarray, *, aspect: float, weights: str = "gaussian"
) -> tuple[np.ndarray, np.ndarray]:
    """sigma_max of J_1, ..., J_depth for wide layers, and the numerical error of each.

    Parameters
    ----------
    phi : Nonlinearity
    sigma_w : float, > 0
    q : array (depth,)
        Variances of the hidden pre-activations.
    aspect : float, >= 0
        outputs/width; 0 for a number of outputs that stays finite as the width grows.
    weights : "gaussian" or "orthogonal"

    Returns
    -------
    tuple of arrays (depth,)
        More than 12 different lengths are gathered into 12 groups, each with its geometric mean.

    Raises
    ------
    NonlinearityError
        phi' is unbounded, so that the spectrum has no edge.
    InvalidParameterError
        q is so large that the share of slopes which do not vanish is lost in rounding.

    Notes
    -----
    For X with M-transform m at z, and W with W^T W of S-transform S, W X W^T has the non-zero spectrum of z/S(m) at the
    same m. From J_depth = W^g D^depth on,

        ln z_a(m) = ln[1/S_g(m)] + sum_{l>=a} ln w_l(m) + (depth - a) {ln[m/(1 + m)] + ln[1/S_W(m)]},

    where M_{D^2}(w_l) = m. Gaussian weights: 1/S_g = sigma_w^2 (m + aspect), 1/S_W = sigma_w^2 (1 + m). Orthogonal
    ones: 1/S_g = sigma_w^2 (m + aspect)/(1 + m) up to aspect 1, sigma_w^2 aspect beyond, and 1/S_W = sigma_w^2. The
    upper edge is where z, falling as m grows from 0, stops to fall: at a minimum, at the largest m that some w_l
    reaches, or as m goes to infinity, where the top of the spectrum is a point mass.

    References
    ----------
    .. [1] Pennington et al., arXiv:1802.09979, section 3.
    """
    choice("weights", weights, ENSEMBLES)
    groups, members = _groups(np.maximum(np.asarray(q, dtype=np.float64), SHORTEST))  # shorter: the law at 0
    laws = [_law(phi, length) for length in groups]
    smallest = min([law.mean / law.top for law in laws if law.mean > 0 and law.top < math.inf], default=1.0)
    log_m = np.arange(_LOWEST_LOG_M + math.log(smallest), _HIGHEST_LOG_M, _LOG_M_STEP)
    log_w = np.array([_log_w(law, log_m) for law in laws])[members]
    fine, coarse = (_edges(log_w[:, ::step], log_m[::step], sigma_w, aspect, weights) for step in (1, 2))
    return fine, np.abs(fine - coarse) + 1e-9 * fine


def _edges(log_w: np.ndarray, log_m: np.ndarray, sigma_w: float, aspect: float, weights: str) -> np.ndarray:
    m = np.exp(log_m)
    log_one_plus_m = np.log1p(m)
    scale = 2 * math.log(sigma_w)
    log_hidden = log_one_plus_m if weights == "gaussian" else 0.0
    if weights == "gaussian":
        log_readout = np.log(m + aspect)
    else:
        log_readout = np.log(m + aspect) - log_one_plus_m if aspect <= 1 else math.log(aspect)
    between = scale + log_hidden + log_m - log_one_plus_m
    edges = np.empty(len(log_w))
    log_z = scale + log_readout - between
    for layer in range(len(log_w) - 1, -1, -1):
        log_z = log_z + log_w[layer] + between
        edges[layer] = math.exp(_first_minimum(log_z) / 2)
    return edges


def _first_minimum(values: np.ndarray) -> float:
    """The minimum where the sequence first stops to fall, by a parabola through three points; nan ends it."""
    falls = values[1:] < values[:-1]
    stop = len(falls) if falls.all() else int(np.argmin(falls))
    if stop in (0, len(values) - 1) or not math.isfinite(values[stop + 1]):
        return float(values[stop])
    left, middle, right = values[stop - 1 : stop + 2]
    curvature = left - 2 * middle + right
    return float(middle - (right - left) ** 2 / (8 * curvature)) if curvature > 0 else float(middle)


def _groups(q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At most `_MOST_LAWS` different lengths that stand for all, and which of them stands for each layer."""
    low, high = np.log(q.min()), np.log(q.max())
    if high - low <= 1e-9:
        return np.array([q.mean()]), np.zeros(len(q), dtype=int)
    width = max((high - low) / _MOST_LAWS, 1e-9)
    cells, members = np.unique(np.floor((np.log(q) - low) / width).astype(int), return_inverse=True)
    means = np.array([math.exp(np.log(q[members == k]).mean()) for k in range(len(cells))])
    return means, members


@functools.lru_cache(maxsize=256)
def _law(phi: Nonlinearity, q: float) -> Law:
    law = gaussian_pushforward(phi.derivative, float(q), kinks=phi.breaks_between)
    if q > _LONG:
        mu_1 = float(evaluate(phi, np.array([q]))[0][1, 0])
        if not abs(law.mean - mu_1) <= _LOST * mu_1:
            raise InvalidParameterError(
                f"q must be smaller for the Jacobian of {phi.name}, whose slopes that do not vanish are too rare for "
                f"double precision, got {q:.6g}"
            )
    return law


def _log_w(law: Law, log_m: np.ndarray) -> np.ndarray:
    """ln w with M(w) = m for w above the law; nan beyond the largest M, -inf for the law of 0."""
    tops = [high for _, high in law.intervals] + [float(a) for a in law.locations]
    top = max(tops)
    if not math.isfinite(law.top):
        raise NonlinearityError("phi' is unbounded, so that the spectrum of the Jacobian has no edge")
    if top == 0:  # all slopes vanish, and so do the matrices
        return np.full_like(log_m, -math.inf)
    M, _ = _real_transform(law, top * (1 + np.exp(_ABOVE)))
    above = np.interp(log_m, np.log(M[::-1]), _ABOVE[::-1], left=math.nan, right=math.nan)
    inside = np.isfinite(above)
    # Interpolation between points 0.2 apart leaves an error of 5e-3, a Newton step squares it.
    for _ in range(2):
        excess = np.exp(above[inside])
        M, slope = _real_transform(law, top * (1 + excess))
        above[inside] -= (np.log(M) - log_m[inside]) * M / (slope * top * excess)
    return math.log(top) + np.log1p(np.exp(above))


def _real_transform(law: Law, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """M and M' at real w above the law."""
    found = law.transform(w.astype(np.complex128))
    return np.real(found.M), np.real(found.slope)
