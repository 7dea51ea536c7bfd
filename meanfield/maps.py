"""The length map, the correlation map and their slopes, layer by layer."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from meanfield import dual_kernels, gaussian_moments
from meanfield.arguments import broadcast, integer, interval, scalar
from meanfield.dual_kernels import DualKernel
from meanfield.errors import NonlinearityError
from meanfield.expressions import as_nonlinearity
from meanfield.gaussian_moments import Moments
from meanfield.nonlinearity import Nonlinearity
from meanfield.quadrature import EPS
from meanfield.results import Result

__all__ = ["Propagation", "c_map", "dual_kernel", "moments", "propagate", "q_map"]

FIRST_ORDER = EPS**0.5  # an error of a correlation whose square is not yet seen


def moments(phi, q) -> Moments:
    """Gaussian moments of `phi` at pre-activation variance `q`, each with an error bound.

    Parameters
    ----------
    phi : str or Nonlinearity
    q : float or array, >= 0
        Variance of the pre-activations.

    Returns
    -------
    Moments
        V = E phi(sqrt(q) z)^2, mu_1 = E phi'^2, mu_2 = E phi'^4, V_slope = dV/dq, critical_ratio = q mu_1 - V, z a
        standard normal; floats for a scalar q, otherwise arrays of q's shape.

    Raises
    ------
    InvalidParameterError
        q is negative or not finite.
    NonlinearityError
        E phi^2 or E phi'^2 is infinite at this q.

    Examples
    --------
    >>> round(moments("relu", 3.0).V, 12)
    1.5
    """
    return gaussian_moments.moments(as_nonlinearity(phi), q)


def dual_kernel(phi, c, *, q1: ArrayLike = 1.0, q2: ArrayLike | None = None) -> DualKernel:
    """E phi(u) phi(v) and E phi'(u) phi'(v) of two correlated Gaussians.

    Parameters
    ----------
    phi : str or Nonlinearity
    c : float or array, in [-1, 1]
        Correlation of u and v; an excess over 1 of a few ulp counts as 1.
    q1, q2 : float or array, >= 0
        Variances of u and v; `q2` is `q1` if not given.

    Returns
    -------
    DualKernel
        value, derivative and their error bounds, of the broadcast shape.

    Raises
    ------
    InvalidParameterError
        An argument is outside its range or the shapes do not broadcast.
    NonlinearityError
        E phi^2 or E phi'^2 is infinite at a variance.

    Examples
    --------
    >>> round(dual_kernel("relu", 0.0).derivative, 12)
    0.25
    """
    return dual_kernels.dual_kernel(as_nonlinearity(phi), c, q1=q1, q2=q2)


def q_map(phi, q, sigma_w, sigma_b):
    """The variance of the next layer's pre-activations, sigma_w^2 V(q) + sigma_b^2.

    Parameters
    ----------
    phi : str or Nonlinearity
    q : float or array, >= 0
        Variance of this layer's pre-activations.
    sigma_w : float or array, > 0
    sigma_b : float or array, >= 0

    Returns
    -------
    float or array of the broadcast shape

    Raises
    ------
    InvalidParameterError
        An argument is outside its range or the shapes do not broadcast.
    NonlinearityError
        E phi^2 is infinite.

    References
    ----------
    .. [1] Poole et al., arXiv:1606.05340, eq. 3.

    Examples
    --------
    >>> round(q_map("relu", 2.0, 1.0, 0.5), 12)
    1.25
    """
    lengths, weights, biases = broadcast(
        q=interval("q", q, low=0.0),
        sigma_w=interval("sigma_w", sigma_w, low=0.0, open_low=True),
        sigma_b=interval("sigma_b", sigma_b, low=0.0),
    )
    return _as_given(weights**2 * moments(phi, lengths).V + biases**2)


def c_map(phi, c, q, sigma_w, sigma_b):
    """The correlation of the next layer's pre-activations for two inputs of equal variance `q`.

    Parameters
    ----------
    phi : str or Nonlinearity
    c : float or array, in [-1, 1]
        Correlation of this layer's pre-activations.
    q : float or array, >= 0
        Their common variance; it need not be a fixed point.
    sigma_w : float or array, > 0
    sigma_b : float or array, >= 0

    Returns
    -------
    float or array of the broadcast shape
        [sigma_w^2 E phi(u)phi(v) + sigma_b^2] / [sigma_w^2 V(q) + sigma_b^2], so that c = 1 is kept at every q.

    Raises
    ------
    InvalidParameterError
        An argument is outside its range or the shapes do not broadcast.
    NonlinearityError
        E phi^2 or E phi'^2 is infinite, or the next layer has no variance (phi(0) = 0 at q = 0, sigma_b = 0).

    References
    ----------
    .. [1] Poole et al., arXiv:1606.05340, eq. 5.

    Examples
    --------
    >>> round(c_map("sin", 1.0, 0.7, 1.3, 0.1), 12)
    1.0
    """
    lengths, weights, biases, correlations = broadcast(
        q=interval("q", q, low=0.0),
        sigma_w=interval("sigma_w", sigma_w, low=0.0, open_low=True),
        sigma_b=interval("sigma_b", sigma_b, low=0.0),
        c=dual_kernels.correlation("c", c),
    )
    nonlinearity = as_nonlinearity(phi)
    V = gaussian_moments.moments(nonlinearity, lengths).V
    kernel = dual_kernels.dual_kernel(nonlinearity, correlations, q1=lengths)
    variance = weights**2 * V + biases**2
    if np.any(variance == 0):
        raise NonlinearityError(
            f"{nonlinearity.name}: the next layer has variance 0 at q = 0, sigma_b = 0, so no correlation is defined"
        )
    return _as_given((weights**2 * kernel.value + biases**2) / variance)


def _as_given(values):
    """A float where every argument was a scalar, an array otherwise."""
    return float(values) if np.ndim(values) == 0 else values


@dataclass(frozen=True, kw_only=True, eq=False)
class Propagation(Result):
    """Lengths, correlations and gradient factors layer by layer; layer 1 is index 0.

    Attributes
    ----------
    q : array (depth,)
        Variance of the pre-activations; q[0] is q0.
    chi : array (depth,)
        sigma_w^2 mu_1(q^l): the factor of E|gradient|^2 across layer l and the weights above it.
    c : array (depth,), (len(c0), depth), or None
        Correlation of the pre-activations of two inputs of equal length.
    errors : dict
        Absolute error bounds of q, chi and c.
    """

    sigma_w: float
    sigma_b: float
    depth: int
    q: np.ndarray
    chi: np.ndarray
    c: np.ndarray | None
    errors: dict[str, np.ndarray]


def propagate(phi, sigma_w, sigma_b, *, depth, q0=1.0, c0=None) -> Propagation:
    """Follow the length and, if `c0` is given, correlations through `depth` layers.

    Parameters
    ----------
    phi : str or Nonlinearity
    sigma_w : float, > 0
    sigma_b : float, >= 0
    depth : int, >= 1
        Number of hidden layers.
    q0 : float, >= 0
        Variance of the first layer's pre-activations.
    c0 : float or array (k,), in [-1, 1], optional
        Correlation of the first layer's pre-activations for two inputs of equal variance `q0`.

    Returns
    -------
    Propagation

    Raises
    ------
    InvalidParameterError
        An argument is outside its range.
    NonlinearityError
        A moment is infinite at a length that is reached, or a layer with `c0` has no variance.

    References
    ----------
    .. [1] Poole et al., arXiv:1606.05340, eqs. 3 and 5. [2] Schoenholz et al., arXiv:1611.01232, eq. 11.

    Examples
    --------
    >>> propagate("relu", 2**0.5, 0.0, depth=3, q0=0.7).q.round(12)
    array([0.7, 0.7, 0.7])
    """
    nonlinearity = as_nonlinearity(phi)
    sigma_w = scalar("sigma_w", sigma_w, low=0.0, open_low=True)
    sigma_b = scalar("sigma_b", sigma_b, low=0.0)
    layers = integer("depth", depth, low=1)
    start = scalar("q0", q0, low=0.0)
    c_start = None if c0 is None else dual_kernels.correlation("c0", c0)
    walk = _lengths(nonlinearity, sigma_w, sigma_b, start, layers)
    c = None
    errors = {"q": walk.q_error, "chi": walk.chi_error}
    if c_start is not None:
        c, c_error = _correlations(nonlinearity, sigma_w, sigma_b, walk, c_start.ravel())
        c, errors["c"] = (rows.reshape(*c_start.shape, layers) for rows in (c, c_error))
    return Propagation(sigma_w=sigma_w, sigma_b=sigma_b, depth=layers, q=walk.q, chi=walk.chi, c=c, errors=errors)


@dataclass(frozen=True)
class _Lengths:
    """Layer by layer, each (depth,): q and chi, their bounds, and the bound of V(q)."""

    q: np.ndarray
    q_error: np.ndarray
    chi: np.ndarray
    chi_error: np.ndarray
    V_bound: np.ndarray


def _lengths(phi: Nonlinearity, sigma_w: float, sigma_b: float, q0: float, depth: int) -> _Lengths:
    q, q_error, chi, chi_error, V_bounds = np.zeros((5, depth))
    q[0] = q0
    known: dict[float, tuple[np.ndarray, np.ndarray]] = {}  # an orbit that has settled costs nothing more
    for layer, here in enumerate(q):
        if here not in known:
            values, bounds = gaussian_moments.evaluate(phi, np.array([here]))
            gaussian_moments.refuse_infinite(phi, np.array([here]), bounds[:2])
            known[here] = values[:, 0], bounds[:, 0]
        (V, mu_1, mu_2, V_slope, _), (V_bounds[layer], mu_1_bound, *_) = known[here]
        chi[layer] = sigma_w**2 * mu_1
        # |d mu_1/dq| = |E phi'^2 (z^2 - 1)|/(2q) <= sqrt(mu_2/2)/q by Cauchy-Schwarz.
        drift = np.sqrt(mu_2 / 2) / here * q_error[layer] if q_error[layer] else 0.0
        chi_error[layer] = sigma_w**2 * (mu_1_bound + drift) + 2 * EPS * chi[layer]
        if layer + 1 < depth:
            moved = V_bounds[layer] + abs(V_slope) * q_error[layer]
            with np.errstate(over="ignore"):
                q[layer + 1] = sigma_w**2 * V + sigma_b**2
                q_error[layer + 1] = sigma_w**2 * moved + 2 * EPS * q[layer + 1]
            # The next length may overflow, and then V as good as does here.
            gaussian_moments.refuse_infinite(phi, np.array([here]), q[layer + 1 : layer + 2, None])
    return _Lengths(q, q_error, chi, chi_error, V_bounds)


def _correlations(
    phi: Nonlinearity, sigma_w: float, sigma_b: float, lengths: _Lengths, c0: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The correlations that c0 (k,) leads to along the lengths, and their bounds, (k, depth)."""
    q = lengths.q
    c, c_error = np.zeros((2, c0.size, q.size))
    c[:, 0] = c0
    for layer in range(q.size - 1):
        here, following = q[layer], q[layer + 1]
        if following == 0:
            raise NonlinearityError(f"{phi.name}: q is 0 from layer {layer + 2} on, so c is undefined")
        kernel = dual_kernels.dual_kernel(phi, c[:, layer], q1=here)
        # Rounding alone leads out of [-1, 1].
        c[:, layer + 1] = np.clip((sigma_w**2 * kernel.value + sigma_b**2) / following, -1.0, 1.0)
        local = sigma_w**2 * (kernel.errors["value"] + lengths.V_bound[layer]) / following + 4 * EPS
        # To first order in the length's error, the map changes by at most twice its relative change.
        moved = 2 * lengths.q_error[layer] / here if here else 0.0
        slope = sigma_w**2 * np.abs(kernel.derivative) * here / following
        # Where the first order says too little: the map's coefficients are not negative, so it is steepest at c = 1.
        slope = np.where(c_error[:, layer] > FIRST_ORDER, lengths.chi[layer] * here / following, slope)
        c_error[:, layer + 1] = np.minimum(local + moved + slope * c_error[:, layer], 2.0)
        # Equal inputs stay equal; where c = 1 repels, rounding would grow until they part.
        equal = c[:, layer] == 1
        c[equal, layer + 1], c_error[equal, layer + 1] = 1.0, 0.0
    return c, c_error
