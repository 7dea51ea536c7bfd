"""Learning of a deep linear network in closed form: how the strength of each mode grows."""

import numpy as np
from scipy.optimize import elementwise
from scipy.special import hyp2f1

from meanfield.arguments import integer, interval
from meanfield.errors import InvalidParameterError

__all__ = ["mode_strength", "mode_time"]

_NEAREST = 1 - 1e-12


def mode_time(u, *, start, target, layers) -> np.ndarray:
    """When gradient flow has brought a mode from strength `start` to `u`, on its way to `target`.

    Parameters
    ----------
    u : float or array
        Singular value of the product of all weight matrices, start <= u < target.
    start, target : float or array
        Strengths at time 0 and in the data, 0 < start < target.
    layers : int, >= 1
        Weight matrices, the read-out included.

    Returns
    -------
    float or array
        Time in units of 1/rate, for the loss |g - y|^2/2, mean over inputs with E x x^T = 1.

    Raises
    ------
    InvalidParameterError
        The strengths are not in that order.

    Notes
    -----
    With balanced, aligned weights each mode moves alone, du/dt = D u^{2 - 2/D} (s - u) for D layers, and so

        t = (1/D) int du / (u^{2 - 2/D} (s - u)),

    a hypergeometric function of u/s; for D = 2 the logistic t = log[u (s - u_0)/(u_0 (s - u))]/(2 s).

    References
    ----------
    .. [1] A. M. Saxe, J. L. McClelland, S. Ganguli, arXiv:1312.6120, section 3 and eq. 16.

    Examples
    --------
    >>> round(float(mode_time(0.5, start=0.01, target=1.0, layers=2)), 6)
    2.29756
    """
    D = integer("layers", layers, low=1)
    u, u0, s = interval("u", u), interval("start", start, low=0.0, open_low=True), interval("target", target)
    if not ((u0 <= u) & (u < s)).all():
        raise InvalidParameterError(f"u must be in [start, target), got {u} with start {u0} and target {s}")
    return _time(u, u0, s, D)[()]


def _time(u, u0, s, D):
    return (_antiderivative(u / s, D) - _antiderivative(u0 / s, D)) * s ** (2 / D - 2) / D


def _antiderivative(x, D):
    """Of x^{2/D - 2}/(1 - x)."""
    a = 2 / D - 1
    if D == 2:
        return np.log(x) - np.log1p(-x)
    # hyp2f1 fails closer to 1 than 1e-13; there the integrand is 1/(1 - x) to rounding.
    y = np.minimum(x, _NEAREST)
    return y**a / a * hyp2f1(1.0, a, a + 1, y) + np.log((1 - y) / (1 - x))


def mode_strength(t, *, start, target, layers) -> np.ndarray:
    """The strength of a mode at time `t`: the inverse of `mode_time`, which see.

    Examples
    --------
    >>> round(float(mode_strength(2.29756, start=0.01, target=1.0, layers=2)), 6)
    0.5
    """
    D = integer("layers", layers, low=1)
    t, u0, s = np.broadcast_arrays(interval("t", t, low=0.0), np.asarray(start, float), np.asarray(target, float))
    mode_time(u0, start=u0, target=s, layers=D)  # checks the strengths
    last = s * (1 - 4e-16)
    # Beyond that time the mode has arrived to rounding.
    arrived = t >= _time(last, u0, s, D)
    ends = (u0, np.where(arrived, s * (1 - 1e-3), last))
    goal = np.where(arrived, 0.5 * _time(ends[1], u0, s, D), t)
    found = elementwise.find_root(lambda u, t, u0, s: _time(u, u0, s, D) - t, ends, args=(goal, u0, s))
    return np.where(arrived, s, found.x)[()]
