"""Bounds on the largest eigenvalue of the Fisher information through the singular values of the Jacobian."""

import math
from dataclasses import dataclass

import numpy as np

from meanfield.arguments import choice, integer
from meanfield.errors import InvalidParameterError
from meanfield.expressions import as_nonlinearity
from meanfield.fisher import OUTPUTS, FisherStatistics, input_gram
from meanfield.neural_kernels import LayerKernels, layer_kernels, layer_widths
from meanfield.nonlinearity import Nonlinearity
from meanfield.quadrature import EPS
from meanfield.readout_spectra import output_jacobian_norms
from meanfield.results import Result
from meanfield.softmax_curvature import softmax_curvature
from meanfield.weights import ENSEMBLES

__all__ = ["FisherBound", "fisher_bound", "stable_steps"]


@dataclass(frozen=True, kw_only=True, eq=False)
class FisherBound(Result):
    """Bounds on the largest eigenvalue of the Fisher information through the Jacobian, in the mean-field limit.

    Attributes
    ----------
    paper : float
        The theorem of [1]_, whichever of its two branches applies, with the read-out among the layers.
    layerwise : float
        Sum of `terms`, one for the weights and biases of each layer: an estimate of a bound that holds for every
        network and every set of inputs.
    regime : "bias" or "signal"
        What dominates the second moments of the layers' inputs: their constant entry 1 for the bias, or the component
        that all inputs share; `signal` is compared with 1.
    covered : bool
        Is `paper` at least `layerwise`, so that it is a bound too? Its proof neglects the means of activations over the
        inputs of one network.
    odd : bool
        Is phi odd, as the theorem assumes? Where it is not, `paper` is outside its assumptions, covered or not.
        It also takes the first layer's Jacobian for the largest; `scope` names in words what fails.
    mean_input : float
        |E x^0|, which decides the theorem's branch: the first one up to 1.
    jacobian : array (depth + 1,)
        s_l = E sigma_max of the derivative of the outputs by h^l; 1 for the read-out.
    output_curvature : float
        E lambda_max of the outputs' Hessian; 1 for linear outputs.
    signal : array (depth + 1,)
        N q^ c of the inputs of every layer of weights: squared length of the component that they share.
    features, terms : array (depth + 1,)
        lambda_max(E x~ x~^T), x~ = (x, 1), and output_curvature s_l^2 times it.
    errors : dict
        Numerical errors of paper and layerwise, not their distance from a network of finite width.
    """

    sigma_w: float
    sigma_b: float
    depth: int
    samples: int
    outputs: int
    output: str
    weights: str
    paper: float
    layerwise: float
    regime: str
    covered: bool
    odd: bool
    mean_input: float
    jacobian: np.ndarray
    output_curvature: float
    signal: np.ndarray
    features: np.ndarray
    terms: np.ndarray
    errors: dict[str, float]

    @property
    def scope(self) -> str:
        """What `paper` is worth, in words: do the theorem's assumptions hold, and where does its value lie?"""
        return self.scope_beside(0.0)

    def scope_beside(self, measured: float) -> str:
        """The same, with a measured largest eigenvalue."""
        exceeded = self.paper < measured
        place = "at least the layerwise bound" if self.covered else "below the layerwise bound"
        if exceeded:
            place = f"{'' if self.covered else place + ', '}below the measured value"
        if not self.odd:
            failing = "phi is not odd"
        elif self.covered and not exceeded:
            return place
        elif self.jacobian[0] < (1 - 1e-3) * self.jacobian.max():
            failing = "gradients vanish towards the first layer"
        else:
            failing = "activations have means over the inputs"
        return f"{failing}: outside its assumptions; {place}"


def stable_steps(statistics: FisherStatistics, bound: FisherBound | None, measured=None) -> dict[str, float]:
    """Limits 2 (1 + momentum)/lambda_max of gradient steps, from the bound, from theory and from networks.

    Parameters
    ----------
    statistics : FisherStatistics
    bound : FisherBound or None
        None where there is no bound, such as for unbounded slopes.
    measured : verify.FisherOutliers, optional

    Returns
    -------
    dict
        layerwise: stable, as far as mean field estimates the bound; nan without one. karakida: an upper limit at
        infinite width. measured: stable in each of the networks.

    Examples
    --------
    >>> from meanfield import fisher_statistics
    >>> setting = {"depth": 3, "width": 100, "samples": 50, "input_norm": 1e-6}
    >>> statistics = fisher_statistics("linear", 1.0, 0.0, biases=True, **setting)
    >>> bound = fisher_bound("linear", 1.0, 0.0, weights="orthogonal", **setting)
    >>> {name: round(step, 3) for name, step in stable_steps(statistics, bound).items()}
    {'layerwise': 0.5, 'karakida': 0.5}
    """
    size = 2 * (1 + statistics.momentum)
    steps = {
        "layerwise": math.nan if bound is None else size / bound.layerwise,
        "karakida": statistics.max_learning_rate,
    }
    if measured is not None:
        steps["measured"] = size / float(measured.outliers.max())
    return steps


def fisher_bound(
    phi,
    sigma_w,
    sigma_b,
    *,
    depth,
    width,
    samples,
    outputs=1,
    input_norm=1.0,
    overlap=0.0,
    weights="gaussian",
    output="linear",
) -> FisherBound:
    """Bounds on the largest eigenvalue of the Fisher information through the singular values of the Jacobian.

    Parameters
    ----------
    phi : str or Nonlinearity
    sigma_w : float, > 0
    sigma_b : float, >= 0
    depth : int, >= 1
        Hidden layers; a linear read-out of the same law follows.
    width : int or sequence of int (depth + 1,)
        Of the input and the hidden layers, which must be equal; one number for all.
    samples : int, >= 1
        Inputs that the Fisher information is averaged over.
    outputs : int, >= 1
    input_norm : float, in (0, 1e12]
        |x|^2/dimension of every input.
    overlap : float, in [0, 1]
        x.y/(|x||y|) of any two inputs.
    weights : "gaussian" or "orthogonal"
    output : "linear" or "softmax"

    Returns
    -------
    FisherBound
        All parameters count: the weights and biases of every layer and of the read-out.

    Raises
    ------
    InvalidParameterError
        An argument is outside its range, or the hidden widths differ.
    NonlinearityError
        A moment is infinite, or phi' is unbounded.

    Notes
    -----
    The theorem of [1]_ is block Gershgorin with E x x^T and J^T H J averaged apart, for odd phi: with eta the output's
    curvature, s_1, ..., s_depth and 1 for the read-out, and m = |E x^0|,

        m <= 1:  eta s_1 [s_1 (1 + m) + sum_{l>1} s_l],
        m > 1:   eta s_1 [s_1 (lambda_max(E x^0 x^0^T) + m) + m sum_{l>1} s_l].

    It averages over weights; in one network the activations have means over its inputs, and where N q^ c nears 1 the
    largest eigenvalue exceeds it. The layerwise bound is derived without an average: the Fisher information G is
    positive semi-definite, so lambda_max(G) <= sum_l lambda_max(G_ll), and G_ll = E[x~ x~^T (x) J_l^T H J_l] is at most
    v_l E[x~ x~^T] (x) 1 with v_l the largest eigenvalue of J_l^T H J_l at any input. Its mean-field value takes eta
    s_l^2 for v_l and the largest eigenvalue of a spiked covariance for E x~ x~^T: with ell = 1 + N q^ c,
    s = q^ (1 - c), gamma = N/T,

        (ell + s)(1 + gamma s/ell)  if ell > s sqrt(gamma),  else  s (1 + sqrt(gamma))^2.

    `verify.curvature.layerwise_bound` evaluates it on a network. With C outputs the read-out's aspect is taken as
    (C - 1)/N, the same in the limit and exact for one output.

    References
    ----------
    .. [1] Sokol, Park, arXiv:1810.03785, theorem 1 and eq. 16 (which prints |E phi| for |E x^0|).

    Examples
    --------
    >>> bound = fisher_bound("linear", 1.0, 0.0, depth=3, width=100, samples=50, weights="orthogonal", input_norm=1e-6)
    >>> round(bound.layerwise, 3), bound.regime
    (4.0, 'bias')
    """
    layers, T = integer("depth", depth, low=1), integer("samples", samples, low=1)
    C = integer("outputs", outputs, low=1 if choice("output", output, OUTPUTS) == "linear" else 2)
    choice("weights", weights, ENSEMBLES)
    widths = layer_widths(width, layers)
    if len(set(widths[1:])) > 1:
        raise InvalidParameterError(f"width must be the same for all hidden layers, got {widths[1:].tolist()}")
    nonlinearity = as_nonlinearity(phi)
    kernels = layer_kernels(nonlinearity, input_gram(input_norm, overlap, lowest=0.0), sigma_w, sigma_b, depth=layers)
    norms, norm_errors = output_jacobian_norms(
        nonlinearity, float(sigma_w), kernels.covariances[:-1, 0, 0], aspect=(C - 1) / widths[-1], weights=weights
    )
    s, s_error = np.append(norms, 1.0), np.append(norm_errors, 0.0)
    eta, eta_error = _output_curvature(output, C, float(kernels.covariances[-1, 0, 0]))
    features = _feature_curvature(kernels, widths, T, constant=1.0)
    shared = widths * kernels.activations[:, 0, 1]
    norm, mean_square = kernels.activations[0, 0]
    mean_input = math.sqrt(widths[0] * (mean_square + (norm - mean_square) / T))
    raw = _feature_curvature(kernels, widths, T, constant=0.0)[0]
    first = s[0] * ((1.0 if mean_input <= 1 else raw) + mean_input)
    paper = eta * s[0] * (first + max(1.0, mean_input) * s[1:].sum())
    terms = eta * s**2 * features
    relative = eta_error / eta + 2 * float((s_error[s > 0] / s[s > 0]).max())
    return FisherBound(
        sigma_w=float(sigma_w),
        sigma_b=float(sigma_b),
        depth=layers,
        samples=T,
        outputs=C,
        output=output,
        weights=weights,
        paper=float(paper),
        layerwise=float(terms.sum()),
        regime="signal" if shared.max() >= 1 else "bias",
        covered=bool(paper >= terms.sum()),
        odd=_is_odd(nonlinearity),
        mean_input=mean_input,
        jacobian=s,
        output_curvature=eta,
        signal=shared,
        features=features,
        terms=terms,
        errors={"paper": float(paper) * relative, "layerwise": float(terms.sum()) * relative},
    )


def _output_curvature(output: str, outputs: int, variance: float) -> tuple[float, float]:
    if output == "linear":
        return 1.0, 0.0
    found = softmax_curvature(outputs, variance)
    return found.value, found.error


def _feature_curvature(kernels: LayerKernels, widths: np.ndarray, samples: int, *, constant: float) -> np.ndarray:
    """lambda_max(E x x^T) of the inputs x of every layer of weights, with a further entry sqrt(constant)."""
    own, shared = kernels.activations[:, 0, 0], kernels.activations[:, 0, 1]
    spike, bulk, gamma = constant + widths * shared, own - shared, widths / samples
    outlier = spike > bulk * np.sqrt(gamma)
    above = (spike + bulk) * (1 + gamma * np.divide(bulk, spike, out=np.zeros_like(bulk), where=outlier))
    return np.where(outlier, above, bulk * (1 + np.sqrt(gamma)) ** 2)


def _is_odd(phi: Nonlinearity) -> bool:
    x = np.linspace(0.0, 8.0, 257)
    right, left = phi.function(x), phi.function(-x)
    return bool(np.all(np.abs(right + left) <= 8 * EPS * np.abs(right).max()))
