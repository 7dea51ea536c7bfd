"""Singular values of random networks' Jacobians, as a user asks for them."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from meanfield.arguments import choice, integer, scalar, seed_sequence
from meanfield.expressions import as_nonlinearity
from meanfield.memory import refuse_memory
from meanfield.results import Result
from meanfield.weights import ENSEMBLES
from verify.networks import NetworkLaw
from verify.predictions import stationary_length
from verify.signals import LENGTHS
from verify.spectra.measured import largest_eigenvalue, log_singular_values, measure_networks, singular_values
from verify.spectra.products import JacobianSetting

__all__ = ["LargestEigenvalues", "jacobian_lambda_max", "jacobian_log_singular_values", "jacobian_singular_values"]

METHODS = ("product", "qr")
# Numbers held for one network: times width^2 for a product and a graded one, times width x depth for Lanczos.
PRODUCT, GRADED, REVEALED = 5, 13, 500
BYTES_OF_A_SEED = 500


@dataclass(frozen=True, kw_only=True, eq=False)
class LargestEigenvalues(Result):
    """The largest eigenvalue of J J^T of random networks.

    Attributes
    ----------
    lambda_max : array (networks,)
    residual : array (networks,)
        Some eigenvalue is that near to `lambda_max`, for certain.
    """

    lambda_max: np.ndarray
    residual: np.ndarray


def jacobian_singular_values(
    phi,
    sigma_w,
    sigma_b,
    *,
    width,
    depth,
    networks,
    weights="gaussian",
    q0=None,
    lengths="free",
    method="product",
    seed=0,
    executor=None,
) -> np.ndarray:
    """Singular values of the Jacobian J = D^L W^L ... D^1 W^1 of random networks.

    Parameters
    ----------
    phi : str or Nonlinearity
    sigma_w : float, > 0
    sigma_b : float, >= 0
    width, depth, networks : int, >= 1
    weights : "gaussian" or "orthogonal"
    q0 : float, >= 0, optional
        |h^1|^2/width, exactly. By default q_star, as for `meanfield.jacobian_spectrum`.
    lengths : "free" or "reset"
        Reset: every h^l is rescaled to |h^l|^2/width = q0, so that lengths cannot leave a fixed point that repels.
    method : "product" or "qr"
        A plain product loses singular values below 1e-16 times the largest. "qr" takes in one factor after the other
        by a QR factorisation and keeps all of them, at about three times the cost; those below 1e-308 still read 0,
        which `jacobian_log_singular_values` avoids.
    seed : int or SeedSequence
        A network's draws follow from it, the width and the network's number alone.
    executor : concurrent.futures.Executor, optional
        It does not change a bit.

    Returns
    -------
    array (networks, width)
        Each row in falling order.

    Raises
    ------
    InvalidParameterError
        An argument is outside its range, the product leaves the range of float64, or the networks do not fit into
        the machine's memory.
    NonlinearityError
        phi cannot be used.
    NoFixedPointError
        Without q0, where lengths grow without bound.

    Notes
    -----
    The direction of h^1 is uniform and W^1 independent of it. Orthogonal weights are multiplied as random reflectors,
    without a factorisation. Memory: about 5 width^2 numbers for each worker, by "qr" 13.

    References
    ----------
    .. [1] Pennington et al., arXiv:1711.04735, eq. 3.

    Examples
    --------
    >>> jacobian_singular_values("tanh", 1.1, 0.1, width=50, depth=8, networks=3, weights="orthogonal").shape
    (3, 50)
    """
    setting = _setting(phi, sigma_w, sigma_b, depth=depth, weights=weights, q0=q0, lengths=lengths)
    if choice("method", method, METHODS) == "product":
        return _measured(singular_values, setting, width, networks, seed, executor, squares=PRODUCT)
    found = _measured(log_singular_values, setting, width, networks, seed, executor, squares=GRADED)
    with np.errstate(under="ignore"):
        return np.exp(found)


def jacobian_log_singular_values(
    phi,
    sigma_w,
    sigma_b,
    *,
    width,
    depth,
    networks,
    weights="gaussian",
    q0=None,
    lengths="free",
    seed=0,
    executor=None,
) -> np.ndarray:
    """Natural logarithms of the Jacobian's singular values, the small ones right too, at any depth.

    Parameters
    ----------
    phi, sigma_w, sigma_b, width, depth, networks, weights, q0, lengths, seed, executor
        As for `jacobian_singular_values`.

    Returns
    -------
    array (networks, width)
        Each row in falling order; -inf where the Jacobian loses rank.

    Raises
    ------
    InvalidParameterError, NonlinearityError, NoFixedPointError
        As for `jacobian_singular_values`.

    References
    ----------
    .. [1] G. W. Stewart, On graded QR decompositions of products of matrices, ETNA 3 (1995) 39.

    Examples
    --------
    >>> logs = jacobian_log_singular_values("linear", 1.0, 0.0, width=20, depth=500, networks=1, q0=1.0)
    >>> bool(logs.min() < -900)
    True
    """
    setting = _setting(phi, sigma_w, sigma_b, depth=depth, weights=weights, q0=q0, lengths=lengths)
    return _measured(log_singular_values, setting, width, networks, seed, executor, squares=GRADED)


def jacobian_lambda_max(
    phi,
    sigma_w,
    sigma_b,
    *,
    width,
    depth,
    networks,
    weights="gaussian",
    q0=None,
    lengths="free",
    tolerance=1e-6,
    seed=0,
    executor=None,
) -> LargestEigenvalues:
    """The largest eigenvalue of J J^T alone, for widths at which no matrix could be held.

    Parameters
    ----------
    phi, sigma_w, sigma_b, width, depth, networks, weights, q0, lengths, seed, executor
        As for `jacobian_singular_values`.
    tolerance : float, > 0
        Wanted residual, relative to the eigenvalue.

    Returns
    -------
    LargestEigenvalues

    Raises
    ------
    InvalidParameterError, NonlinearityError, NoFixedPointError
        As for `jacobian_singular_values`.
    ConvergenceError
        The residual stays above `tolerance`.

    Notes
    -----
    Golub and Kahan's Lanczos process on products J v and J^T u. Of each weight matrix only the directions asked for
    are drawn, given all earlier answers, which is exact in law: k steps take O(width k^2 depth) operations and
    about 64 width k depth bytes; some 60 steps are expected.

    Examples
    --------
    >>> found = jacobian_lambda_max("linear", 1.0, 0.0, width=2000, depth=1, networks=2, q0=1.0)
    >>> found.lambda_max.round(1)
    array([4., 4.])
    """
    setting = _setting(phi, sigma_w, sigma_b, depth=depth, weights=weights, q0=q0, lengths=lengths)
    wanted = scalar("tolerance", tolerance, low=0.0, open_low=True)
    measure = partial(largest_eigenvalue, wanted)
    found = _measured(measure, setting, width, networks, seed, executor, lines=REVEALED)
    return LargestEigenvalues(lambda_max=found[:, 0], residual=found[:, 1])


def _setting(phi, sigma_w, sigma_b, *, depth, weights, q0, lengths) -> JacobianSetting:
    law = NetworkLaw(
        phi=as_nonlinearity(phi),
        sigma_w=scalar("sigma_w", sigma_w, low=0.0, open_low=True),
        sigma_b=scalar("sigma_b", sigma_b, low=0.0),
        depth=integer("depth", depth, low=1),
        weights=choice("weights", weights, ENSEMBLES),
    )
    length = stationary_length(law) if q0 is None else scalar("q0", q0, low=0.0)
    return JacobianSetting(law=law, q0=length, lengths=choice("lengths", lengths, LENGTHS))


def _measured(measure, setting, width, networks, seed, executor, *, squares=0, lines=0) -> np.ndarray:
    size = integer("width", width, low=1)
    count = integer("networks", networks, low=1)
    held = squares * size**2 + lines * size * setting.law.depth
    kept = count * (BYTES_OF_A_SEED + 8 * (size if squares else 2))
    refuse_memory(8.0 * held + kept, None, f"{count} network{'s' * (count > 1)} of width {size}")
    return measure_networks(measure, setting, size, range(count), seed_sequence(seed), executor=executor)
