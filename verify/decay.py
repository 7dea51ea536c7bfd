"""Depth scales fitted from the decay of measured values over layers, with errors by the jackknife."""

import numpy as np

__all__ = ["depth_scale", "depth_scales_by_network", "log_slope"]


def log_slope(paths: np.ndarray) -> np.ndarray:
    """ln |b| of the least-squares line x^{l+1} = a + b x^l through the layers, from (..., depth) to (...).

    -inf where the next layer does not depend on this one, nan where a path does not change.
    """
    centred = paths[..., :-1] - paths[..., :-1].mean(axis=-1, keepdims=True)
    square = np.sum(centred**2, axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(np.abs(np.sum(centred * paths[..., 1:], axis=-1) / square))


def depth_scale(paths: np.ndarray) -> np.ndarray:
    """xi of the decay x^l - x_star ~ exp(-l/xi), from (..., depth) to (...); negative for growth."""
    with np.errstate(divide="ignore"):
        return -1 / log_slope(paths)


def depth_scales_by_network(paths: np.ndarray) -> np.ndarray:
    """xi of the mean of many networks' paths (networks, ..., depth) as one value (networks, ...) for each.

    Notes
    -----
    The fit is not linear, and noise in one network's layers would bias it; so it is made to the mean over networks,
    theta = ln |b|, and to the means without one of them, theta_(i). The pseudo-values n theta - (n - 1) theta_(i)
    behave as independent values whose mean is theta, its bias of order 1/n removed, and whose spread tells its standard
    error [1]_. They are given as depth scales, -1/theta, of either sign.

    References
    ----------
    .. [1] J. W. Tukey, Ann. Math. Statist. 29 (1958) 614.
    """
    count = len(paths)
    mean = paths.mean(axis=0)
    without = (count * mean - paths) / (count - 1)
    values = count * log_slope(mean) - (count - 1) * log_slope(without)
    with np.errstate(divide="ignore"):
        return -1 / values
