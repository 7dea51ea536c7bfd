"""Measured spectra of Jacobians of many random networks."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from scipy.linalg import svdvals

from meanfield.sweeps import sweep
from verify.networks import network_seed
from verify.spectra.krylov import RevealedJacobian, largest
from verify.spectra.products import JacobianSetting, jacobian, log_spectrum

__all__ = ["largest_eigenvalue", "log_singular_values", "measure_networks", "singular_values"]

Item = tuple[int, np.random.SeedSequence]


def singular_values(setting: JacobianSetting, item: Item) -> np.ndarray:
    """Singular values of one network's explicit product, falling, shape (width,); `item` is its width and seed."""
    return svdvals(jacobian(setting, *item), overwrite_a=True, check_finite=False)


def log_singular_values(setting: JacobianSetting, item: Item) -> np.ndarray:
    """Logarithms of one network's singular values, falling, shape (width,): the small ones are right too."""
    return log_spectrum(setting, *item)


def largest_eigenvalue(tolerance: float, setting: JacobianSetting, item: Item) -> tuple[float, float]:
    """The largest eigenvalue of J J^T of one network and its residual."""
    return largest(RevealedJacobian(setting, *item), tolerance=tolerance)


def measure_networks(
    measure: Callable[[JacobianSetting, Item], np.ndarray],
    setting: JacobianSetting,
    width: int,
    numbers: Sequence[int],
    seed: np.random.SeedSequence,
    *,
    executor=None,
) -> np.ndarray:
    """`measure` on the networks with these numbers, stacked; whoever computes them, the bits are the same."""
    items = [(width, network_seed(seed, width, number)) for number in numbers]
    return np.array(sweep(partial(measure, setting), items, executor=executor))
