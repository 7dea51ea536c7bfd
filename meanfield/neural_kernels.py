"""Kernels of infinitely wide networks, layer by layer: the covariance of their outputs and the tangent kernel."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from meanfield.arguments import choice, integer, interval, scalar
from meanfield.dual_kernels import dual_kernel
from meanfield.equilibria import fixed_point
from meanfield.errors import InvalidParameterError, NonlinearityError
from meanfield.expressions import as_nonlinearity
from meanfield.quadrature import EPS
from meanfield.results import Result

__all__ = [
    "LayerKernels",
    "NeuralKernels",
    "NtkLimit",
    "kernels_from",
    "layer_kernels",
    "layer_widths",
    "ntk",
    "ntk_limit",
    "tangent",
]

PARAMETERIZATIONS = ("ntk", "standard")
SHORTEST = float(np.finfo(np.float64).tiny)  # of lengths; below, digits are lost
_STEP = 1e-6  # relative change of all lengths that measures how errors of lengths pass on


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerKernels(Result):
    """What n inputs look like in every layer of an infinitely wide network.

    Attributes
    ----------
    covariances : array (depth + 1, n, n)
        Of the pre-activations h^1, ..., h^depth and of the outputs.
    activations : array (depth + 1, n, n)
        Mean products x_i x_j per unit of the inputs and of the activations x^1, ..., x^depth.
    slopes : array (depth, n, n)
        E phi'(h_i) phi'(h_j) in every hidden layer.
    errors : dict
        Absolute error bounds of the three, to first order.
    """

    covariances: np.ndarray
    activations: np.ndarray
    slopes: np.ndarray
    errors: dict[str, np.ndarray]


@dataclass(frozen=True, kw_only=True, eq=False)
class NeuralKernels(Result):
    """Covariance and tangent kernel of the outputs of an infinitely wide network.

    Attributes
    ----------
    nngp, theta : array (n, n)
        Covariance of one output over random networks, and the tangent kernel of one output.
    nngp_condition, theta_condition : array (depth,)
        Their condition numbers in networks of 1, ..., depth hidden layers; inf where the smallest eigenvalue is not
        above rounding.
    errors : dict
        Absolute error bounds of nngp and theta, arrays (n, n).
    """

    sigma_w: float
    sigma_b: float
    depth: int
    parameterization: str
    nngp: np.ndarray
    theta: np.ndarray
    nngp_condition: np.ndarray
    theta_condition: np.ndarray
    errors: dict[str, np.ndarray]


@dataclass(frozen=True, kw_only=True, eq=False)
class NtkLimit(Result):
    """The tangent kernel of a network of unlimited depth.

    Attributes
    ----------
    phase : "ordered", "chaotic" or "critical"
    ratio : float
        Limit of theta(x, x')/theta(x, x) for two inputs of equal length; nan where it depends on them.
    """

    phase: str
    ratio: float

    def condition_number(self, inputs: int) -> float:
        """Limit of theta's condition number for `inputs` inputs of equal length, none parallel to another."""
        count = integer("inputs", inputs, low=2)
        return math.inf if self.ratio == 1 else (1 + (count - 1) * self.ratio) / (1 - self.ratio)


def ntk(phi, gram, sigma_w, sigma_b, *, depth, parameterization="ntk", width=None) -> NeuralKernels:
    """Covariance and tangent kernel of an infinitely wide network, from the inputs' Gram matrix.

    Parameters
    ----------
    phi : str or Nonlinearity
    gram : array (n, n)
        Scalar products of the inputs divided by their dimension; symmetric, positive semi-definite.
    sigma_w : float, > 0
    sigma_b : float, >= 0
    depth : int, >= 1
        Number of hidden layers; a linear read-out follows.
    parameterization : "ntk" or "standard"
        What the parameters are. "ntk": standard normals omega and beta with W = sigma_w omega/sqrt(fan_in) and
        b = sigma_b beta. "standard": W and b themselves, so that theta grows with the width.
    width : int or sequence of int (depth + 1,), for "standard" only
        Widths of the input and the hidden layers; one number for all.

    Returns
    -------
    NeuralKernels

    Raises
    ------
    InvalidParameterError
        An argument is outside its range, or `gram` is not a Gram matrix.
    NonlinearityError
        An expectation is infinite.

    Notes
    -----
    With K^l the mean products of activations, K^0 = gram, and K'^l = E phi' phi',

        Sigma^{l+1} = sigma_w^2 K^l + sigma_b^2,   Theta^{l+1} = a_l K^l + b + sigma_w^2 K'^l Theta^l,   Theta^0 = 0,

    a_l = sigma_w^2, b = sigma_b^2 for "ntk" and a_l = width of layer l, b = 1 for "standard". The non-zero spectrum of
    the Fisher information for squared error on T inputs and C outputs is that of theta/T in the standard
    parameterization, each eigenvalue C times, up to terms of relative order 1/width.

    References
    ----------
    .. [1] Jacot et al., arXiv:1806.07572, theorem 1. [2] Lee et al., arXiv:1902.06720, appendix A.

    Examples
    --------
    >>> ntk("relu", [[1.0, 0.0], [0.0, 1.0]], 2**0.5, 0.0, depth=1).theta.round(6)
    array([[4.     , 0.63662],
           [0.63662, 4.     ]])
    """
    choice("parameterization", parameterization, PARAMETERIZATIONS)
    layers = integer("depth", depth, low=1)
    if (width is None) != (parameterization == "ntk"):
        raise InvalidParameterError(
            f"width must be given for the standard parameterization alone, got {width!r} with {parameterization!r}"
        )
    kernels = layer_kernels(phi, gram, sigma_w, sigma_b, depth=layers)
    if parameterization == "ntk":
        factors, constants = np.full(layers + 1, float(sigma_w) ** 2), np.full(layers + 1, float(sigma_b) ** 2)
    else:
        factors, constants = layer_widths(width, layers).astype(np.float64), np.ones(layers + 1)
    theta, error = tangent(kernels, float(sigma_w), factors, constants)
    return NeuralKernels(
        sigma_w=float(sigma_w),
        sigma_b=float(sigma_b),
        depth=layers,
        parameterization=parameterization,
        nngp=kernels.covariances[-1],
        theta=theta[-1],
        nngp_condition=_condition_numbers(kernels.covariances[1:]),
        theta_condition=_condition_numbers(theta[1:]),
        errors={"nngp": kernels.errors["covariances"][-1], "theta": error[-1]},
    )


def ntk_limit(phi, sigma_w, sigma_b, *, q0=1.0) -> NtkLimit:
    """What becomes of the tangent kernel as the depth grows without limit.

    Parameters
    ----------
    phi : str or Nonlinearity
    sigma_w : float, > 0
    sigma_b : float, >= 0
    q0 : float, > 0
        Variance of the first pre-activation; the limit belongs to the fixed point that it leads to.

    Returns
    -------
    NtkLimit

    Raises
    ------
    NoFixedPointError
        Lengths grow without bound.
    NonlinearityError
        Lengths shrink to 0, so that correlations are undefined.

    Notes
    -----
    Ordered: gradients die out and all entries become equal, ratio 1. Chaotic: the diagonal outgrows the rest, ratio 0.
    Critical, with E phi'(u) phi'(v) = mu_1 (1 - A (1-c)^a + ...) at correlation c near 1: the c-map gives
    1 - c^l ~ ((1 + a)/(a A l))^{1/a}, so the factor of layer l is 1 - (1 + a)/(a l), products of the last layers from
    k on fall as (k/l)^{1 + 1/a}, and their mean over k is the ratio a/(1 + 2 a): 1/3 where phi' is smooth (a = 1), 1/4
    where it jumps (a = 1/2).

    References
    ----------
    .. [1] Xiao, Pennington, Schoenholz, arXiv:1912.13053, table 1. [2] Hayou et al., arXiv:1905.13654.

    Examples
    --------
    >>> ntk_limit("relu", 2**0.5, 0.0).ratio
    0.25
    """
    nonlinearity = as_nonlinearity(phi)
    point = fixed_point(nonlinearity, sigma_w, sigma_b, q0=scalar("q0", q0, low=0.0, open_low=True))
    if point.q_star == 0:
        raise NonlinearityError(f"{nonlinearity.name}: lengths shrink to 0 with depth, so no correlation is defined")
    if point.phase != "critical":
        return NtkLimit(phase=point.phase, ratio=1.0 if point.phase == "ordered" else 0.0)
    gaps = np.array([1e-4, 1e-6])
    slopes = np.asarray(dual_kernel(nonlinearity, np.append(1 - gaps, 1.0), q1=point.q_star).derivative)
    fall = 1 - slopes[:2] / slopes[2]
    if fall[0] <= 1e-12:
        return NtkLimit(phase="critical", ratio=math.nan)  # phi is linear: correlations stay as they are
    exponent = 1.0 if math.log(fall[0] / fall[1]) / math.log(gaps[0] / gaps[1]) > 0.75 else 0.5
    return NtkLimit(phase="critical", ratio=exponent / (1 + 2 * exponent))


def layer_widths(width, depth: int) -> np.ndarray:
    """Widths of the input and the hidden layers, shape (depth + 1,), from one number for all or one for each.

    Raises
    ------
    InvalidParameterError
        Not positive integers, or not depth + 1 of them.
    """
    if isinstance(width, Sequence | np.ndarray) and not isinstance(width, str):
        sizes = [integer("each of width", each, low=1) for each in width]
        if len(sizes) != depth + 1:
            raise InvalidParameterError(
                f"width must be one integer or one for the input and each of {depth} hidden layers, got {len(sizes)}"
            )
        return np.array(sizes)
    return np.full(depth + 1, integer("width", width, low=1))


def layer_kernels(phi, gram, sigma_w, sigma_b, *, depth) -> LayerKernels:
    """Covariances, mean products and slopes of every layer from the inputs' Gram matrix; the arguments of `ntk`."""
    variance_w = scalar("sigma_w", sigma_w, low=0.0, open_low=True) ** 2
    variance_b = scalar("sigma_b", sigma_b, low=0.0) ** 2
    products = _gram_matrix(gram)
    return kernels_from(phi, variance_w * products + variance_b, sigma_w, sigma_b, depth=depth, products=products)


def kernels_from(phi, covariance: np.ndarray, sigma_w, sigma_b, *, depth, products: ArrayLike = 0.0) -> LayerKernels:
    """The same from the covariance (n, n) of the first pre-activations; `products` are those of the inputs."""
    nonlinearity = as_nonlinearity(phi)
    variance_w, variance_b = float(sigma_w) ** 2, float(sigma_b) ** 2
    layers, n = integer("depth", depth, low=1), len(covariance)
    upper, diagonal = np.triu_indices(n), np.arange(n)
    covariances, activations, slopes = (np.empty((layers + extra, n, n)) for extra in (1, 1, 0))
    covariance_error, activation_error, slope_error = (np.zeros_like(a) for a in (covariances, activations, slopes))
    activations[0] = products
    covariances[0] = covariance
    covariance_error[0] = 2 * EPS * (np.abs(covariance) + 2 * variance_b)
    for layer in range(layers):
        q, q_error = _merged(covariances[layer, diagonal, diagonal], covariance_error[layer, diagonal, diagonal])
        c, c_error = _correlations(covariances[layer], covariance_error[layer], q, q_error)
        found = _kernel_of_pairs(nonlinearity, c[upper], q[upper[0]], q[upper[1]])
        found_error = _passed_on(nonlinearity, found, c[upper], c_error[upper], q, q_error, upper)
        for target, values in ((activations[layer + 1], found[0]), (slopes[layer], found[1])):
            target[upper] = target.T[upper] = values
        for target, bounds in ((activation_error[layer + 1], found_error[0]), (slope_error[layer], found_error[1])):
            target[upper] = target.T[upper] = bounds
        covariances[layer + 1] = variance_w * activations[layer + 1] + variance_b
        covariance_error[layer + 1] = (
            variance_w * activation_error[layer + 1] + 2 * EPS * np.abs(covariances[layer + 1]) + EPS * SHORTEST
        )
    return LayerKernels(
        covariances=covariances,
        activations=activations,
        slopes=slopes,
        errors={"covariances": covariance_error, "activations": activation_error, "slopes": slope_error},
    )


def tangent(
    kernels: LayerKernels, sigma_w: float, factors: np.ndarray, constants: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Theta^{l+1} = factor K^l + constant + sigma_w^2 K'^l Theta^l for l = 0, ..., depth, and its error bounds.

    `factors` and `constants` have shape (depth + 1,), one for each layer of weights.
    """
    theta, error = np.empty_like(kernels.activations), np.empty_like(kernels.activations)
    for layer, (factor, constant) in enumerate(zip(factors, constants, strict=True)):
        theta[layer] = factor * kernels.activations[layer] + constant
        error[layer] = factor * kernels.errors["activations"][layer]
        if layer:
            slope, slope_error = kernels.slopes[layer - 1], kernels.errors["slopes"][layer - 1]
            theta[layer] += sigma_w**2 * slope * theta[layer - 1]
            error[layer] += sigma_w**2 * (np.abs(slope) * error[layer - 1] + slope_error * np.abs(theta[layer - 1]))
        error[layer] += 4 * EPS * np.abs(theta[layer])
    return theta, error


def _gram_matrix(gram) -> np.ndarray:
    matrix = interval("gram", gram)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise InvalidParameterError(f"gram must be a square matrix, got an array of shape {matrix.shape}")
    size = np.abs(matrix).max()
    if np.abs(matrix - matrix.T).max() > 1e-12 * size:
        raise InvalidParameterError("gram must be symmetric, got a matrix that differs from its transpose")
    matrix = (matrix + matrix.T) / 2
    smallest = np.linalg.eigvalsh(matrix)[0]
    if smallest < -1e-12 * len(matrix) * size:
        raise InvalidParameterError(f"gram must be positive semi-definite, got an eigenvalue of {smallest:g}")
    return matrix


def _merged(q: np.ndarray, error: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lengths that differ by rounding made equal, so that their expectations are computed once."""
    order = np.argsort(q)
    ordered = q[order]
    group = np.concatenate([[0], np.cumsum(np.diff(ordered) > 8 * EPS * ordered[1:])])
    common = np.array([ordered[group == k].mean() for k in range(group[-1] + 1)])[group]
    merged = np.empty_like(q)
    merged[order] = common
    return merged, error + np.abs(merged - q)


def _correlations(covariance, error, q, q_error) -> tuple[np.ndarray, np.ndarray]:
    """Correlations and their error bounds; 0 +- 1 where lengths are lost or 0, exactly 1 on the diagonal."""
    with np.errstate(over="ignore"):
        squares = np.outer(q, q)
    kept = (squares >= 1e-290) & (squares < np.inf)  # there equal lengths give their own, without rounding
    scale = np.where(kept, np.sqrt(squares), np.outer(np.sqrt(q), np.sqrt(q)))
    alive = scale >= SHORTEST
    c = np.divide(covariance, scale, out=np.zeros_like(covariance), where=alive)
    relative = np.divide(q_error, q, out=np.zeros_like(q), where=q > 0)
    bound = np.divide(error, scale, out=np.ones_like(error), where=alive)
    bound += np.abs(c) * (relative[:, None] + relative) / 2 + 4 * EPS
    np.fill_diagonal(c, 1.0)
    np.fill_diagonal(bound, 0.0)
    return np.clip(c, -1.0, 1.0), bound


def _kernel_of_pairs(phi, c, q1, q2) -> np.ndarray:
    """E phi phi and E phi' phi' with their own error bounds, rows (4, pairs)."""
    kernel = dual_kernel(phi, c, q1=q1, q2=q2)
    return np.array([kernel.value, kernel.derivative, kernel.errors["value"], kernel.errors["derivative"]])


def _passed_on(phi, found, c, c_error, q, q_error, upper) -> np.ndarray:
    """Error bounds of E phi phi and E phi' phi' with those of c and q passed on to first order, (2, pairs)."""
    first, second = upper
    moved = _kernel_of_pairs(phi, c, (1 + _STEP) * q[first], (1 + _STEP) * q[second])[:2]
    relative = np.divide(q_error, q, out=np.zeros_like(q), where=q > 0)
    by_length = np.abs(moved - found[:2]) / _STEP * np.maximum(relative[first], relative[second])
    # On the diagonal c = 1 is exact. Elsewhere both kernels are power series in c whose absolute coefficients add up
    # to at most sqrt(f(1) g(1)): a convex function, whose slope at |c| is below that of the chord from |c| to 1.
    at_one = found[:2, first == second]
    whole = np.sqrt(at_one[:, first]) * np.sqrt(at_one[:, second])
    rest = np.maximum(whole - np.abs(found[:2]), 0.0) + 4 * EPS * whole
    by_correlation = rest * np.minimum(c_error / np.maximum(1 - np.abs(c), EPS), 1.0)
    return found[2:] + by_length + np.where(c_error > 0, by_correlation, 0.0)


def _condition_numbers(matrices: np.ndarray) -> np.ndarray:
    eigenvalues = np.linalg.eigvalsh(matrices)
    smallest, largest = eigenvalues[:, 0], eigenvalues[:, -1]
    resolved = smallest > matrices.shape[-1] * EPS * largest
    return np.divide(largest, smallest, out=np.full_like(largest, np.inf), where=resolved)
