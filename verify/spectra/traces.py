"""Moments of J J^T, its largest eigenvalue and E ln sigma of one random network, exact in law, without a matrix."""

import math

import numpy as np
from scipy.linalg import svdvals

from verify.kernels import Normals
from verify.networks import children
from verify.signals import SignalSetting
from verify.spectra.krylov import RevealedJacobian, largest, moments
from verify.spectra.products import JacobianSetting, jacobian, log_spectrum
from verify.spectra.revealed import REVEALED

__all__ = ["MOMENTS", "mean_log_sigma", "measure"]

# How many moments of J J^T are measured.
MOMENTS = 2
TOLERANCE = 1e-8  # residual of lambda_max, which bounds its relative error


def measure(setting: SignalSetting, item: tuple[int, np.random.SeedSequence]) -> dict[str, np.ndarray]:
    """The quantities of one network; `item` is its width and seed.

    Returns
    -------
    dict
        "jacobian_moment" (2,): tr (J J^T)^k/width for k = 1, 2, from one random vector. "mean_log_sigma" (1,): the mean
        of the logarithms of the singular values of J. "lambda_max" (1,): the largest eigenvalue of J J^T. With whole
        matrices all come from all singular values.
    """
    width, seed = item
    given = JacobianSetting(law=setting.law, q0=setting.q0, lengths=setting.lengths)
    first, second, third = children(seed, 3)
    whole = setting.law.method == "matrices"
    found = {}
    if "jacobian_moment" in setting.quantities:
        if whole:
            eigenvalues = svdvals(jacobian(given, width, first)) ** 2
            found["jacobian_moment"] = np.array([np.mean(eigenvalues**k) for k in range(1, MOMENTS + 1)])
        else:
            found["jacobian_moment"] = moments(RevealedJacobian(given, width, first), MOMENTS)
    if "mean_log_sigma" in setting.quantities:
        mean = log_spectrum(given, width, second).mean() if whole else mean_log_sigma(given, width, second)
        found["mean_log_sigma"] = np.array([mean])
    if "lambda_max" in setting.quantities:
        if whole:
            top = svdvals(jacobian(given, width, third))[0] ** 2
        else:
            top, _ = largest(RevealedJacobian(given, width, third), tolerance=TOLERANCE)
        found["lambda_max"] = np.array([top])
    return found


def mean_log_sigma(setting: JacobianSetting, width: int, seed: np.random.SeedSequence) -> float:
    """ln |det J|/width = sum_l (ln |det D^l| + ln |det W^l|)/width; -inf where a slope is 0.

    Notes
    -----
    |det W| of an orthogonal W is sigma_w^width. A Gaussian W seen along one direction x has |det W| = |W x|/|x| times
    the volume of what W does to the rest, which is independent of W x: a product of chi variables with width - 1,
    ..., 1 degrees of freedom, each times sigma_w/sqrt(width).

    References
    ----------
    .. [1] N. R. Goodman, Ann. Math. Statist. 34 (1963) 178: determinants of Wishart matrices.
    """
    law = setting.law
    own, bias_seed, *layers = children(seed, 2 + law.depth)
    biases = Normals(bias_seed)
    h = setting.first(width, own)
    total = 0.0
    for number, layer in enumerate(layers):
        image_seed, volume_seed = children(layer, 2)
        W = REVEALED[law.weights](image_seed, width, law.sigma_w)
        x = law.phi.function(h) if number else np.ones(width)
        image = W.forward(x)
        total += _log_volume(law.weights, width, law.sigma_w, volume_seed)
        if law.weights == "gaussian":
            total += math.log(np.linalg.norm(image) / np.linalg.norm(x))
        if number:
            h = setting.settled(image + law.sigma_b * biases.standard_normal(width))
        with np.errstate(divide="ignore"):
            total += float(np.log(np.abs(law.phi.derivative(h))).sum())
    return total / width


def _log_volume(weights: str, width: int, sigma_w: float, seed: np.random.SeedSequence) -> float:
    """ln |det W|, for Gaussian weights without the factor along the direction that was asked for."""
    if weights == "orthogonal":
        return width * math.log(sigma_w)
    chi_squared = np.random.default_rng(seed).chisquare(np.arange(1, width))
    return 0.5 * float(np.log(chi_squared).sum()) + (width - 1) * math.log(sigma_w / math.sqrt(width))
