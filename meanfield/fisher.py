"""The eigenvalue statistics of the Fisher information of wide random networks."""

import math
from dataclasses import dataclass

import numpy as np

from meanfield.arguments import choice, integer, scalar
from meanfield.errors import InvalidParameterError
from meanfield.neural_kernels import SHORTEST, layer_kernels, layer_widths, tangent
from meanfield.quadrature import EPS
from meanfield.results import Result
from meanfield.softmax_fisher import WeighedSpectrum, softmax_fisher

__all__ = ["FisherStatistics", "fisher_statistics", "input_gram"]

OUTPUTS = ("linear", "softmax")
LARGEST_PRODUCT = 1e150  # of gradients, that its square is finite
LOST = 1e-10  # error bounds relative to the kernel, beyond which correlations that are lost matter
LARGEST_NORM = 1e12  # of inputs: beyond, the few slopes that do not vanish are lost in rounding


@dataclass(frozen=True, kw_only=True, eq=False)
class FisherStatistics(Result):
    """Eigenvalue statistics of the Fisher information of wide random networks.

    Attributes
    ----------
    kappa_1, kappa_2 : float
        Squared gradient of one output, and product of its gradients at two inputs, divided by alpha M.
    mean, second_moment : float
        Of all eigenvalues, most of which are 0.
    lambda_max : float
        For linear outputs the mean of the `outputs` outliers, which are equal to leading order while those of one
        network spread around it; for softmax outputs the mean of the largest eigenvalue.
    bulk : float
        Mean of the non-zero eigenvalues that are no outliers.
    condition_number : float
        lambda_max over the smallest non-zero eigenvalue; for softmax outputs an estimate, since it varies by factors
        from network to network.
    max_learning_rate : float
        2 (1 + momentum)/lambda_max: gradient steps above it diverge, to leading order in 1/M. It is no safe step: those
        of a network are below 2 (1 + momentum) over its own largest eigenvalue, which may lie well above lambda_max.
    errors : dict
        Absolute error bounds of all of them; four standard errors where softmax outputs are sampled.
    """

    sigma_w: float
    sigma_b: float
    depth: int
    samples: int
    outputs: int
    output: str
    momentum: float
    kappa_1: float
    kappa_2: float
    mean: float
    second_moment: float
    lambda_max: float
    bulk: float
    condition_number: float
    max_learning_rate: float
    errors: dict[str, float]


def fisher_statistics(
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
    biases=False,
    output="linear",
    momentum=0.0,
) -> FisherStatistics:
    """Eigenvalue statistics of the Fisher information of wide random networks with Gaussian weights.

    Parameters
    ----------
    phi : str or Nonlinearity
    sigma_w : float, > 0
    sigma_b : float, >= 0
    depth : int, >= 1
        Hidden layers; [1]_'s L is depth + 1.
    width : int or sequence of int (depth + 1,)
        Of the input and the hidden layers; one number for all.
    samples : int, >= 1
        Inputs that the Fisher information is averaged over.
    outputs : int, >= 1
        Linear read-outs of weights N(0, sigma_w^2/width).
    input_norm : float, in (0, 1e12]
        |x|^2/dimension of every input.
    overlap : float, in [-1/(samples - 1), 1]
        x.y/(|x||y|) of any two inputs.
    biases : bool
        Are the biases among the parameters?
    output : "linear" or "softmax"
        What the read-outs mean: the mean of a Gaussian of unit variance, or the logits of a class.
    momentum : float, in [0, 1)
        Of the gradient steps that `max_learning_rate` is about.

    Returns
    -------
    FisherStatistics

    Raises
    ------
    InvalidParameterError
        An argument is outside its range, or gradients grow beyond double precision.
    NonlinearityError
        A moment is infinite.

    Notes
    -----
    With M the width of the last hidden layer, M_l = alpha_l M, alpha = sum_{l=1}^{depth} alpha_l alpha_{l-1}, forward
    q^_l = V(q^l) and overlaps of it, backward q~_{depth+1} = 1, q~_l = sigma_w^2 mu_1 q~_{l+1},

        kappa_1 = sum_{l=1}^{depth+1} (alpha_{l-1}/alpha) q~_l (q^_{l-1} + biases/M_{l-1}),   kappa_2 with overlaps,

    and for T inputs and C linear outputs

        mean kappa_1 C/M,   second moment alpha ((T-1)/T kappa_2^2 + kappa_1^2/T) C,
        C outliers at alpha ((T-1)/T kappa_2 + kappa_1/T) M,   C (T-1) eigenvalues at alpha (kappa_1 - kappa_2) M/T.

    Softmax outputs weigh the same kernel with their Hessians diag(p) - p p^T, here of logits drawn from their own law
    (`meanfield.softmax_fisher`). All of it is leading order in 1/M.

    References
    ----------
    .. [1] Karakida, Akaho, Amari, arXiv:1806.01316, theorems 1 to 4 and section 3.4.
       [2] Karakida, Akaho, Amari, arXiv:1910.05992, section 4, for softmax outputs.

    Examples
    --------
    >>> round(fisher_statistics("linear", 1.0, 0.1**0.5, depth=2, width=400, samples=100, outputs=2).lambda_max, 6)
    132.0
    """
    layers, T = integer("depth", depth, low=1), integer("samples", samples, low=1)
    C = integer("outputs", outputs, low=1 if choice("output", output, OUTPUTS) == "linear" else 2)
    widths = layer_widths(width, layers)
    beta = scalar("momentum", momentum, low=0.0, high=1.0)
    if beta == 1:
        raise InvalidParameterError(f"momentum must be < 1, got {beta:g}")
    gram = input_gram(input_norm, overlap, lowest=-1 / max(T - 1, 1))
    if not isinstance(biases, bool | np.bool_):
        raise InvalidParameterError(f"biases must be True or False, got {biases!r}")
    constants = np.full(layers + 1, 1.0 if biases else 0.0)
    with np.errstate(over="ignore", invalid="ignore"):  # refused below
        kernels = layer_kernels(phi, gram, sigma_w, sigma_b, depth=layers)
        theta, theta_error = tangent(kernels, float(sigma_w), widths.astype(np.float64), constants)
    own, shared, doubt = float(theta[-1, 0, 0]), float(theta[-1, 0, 1]), float(theta_error[-1].max())
    if not own + doubt <= LARGEST_PRODUCT:
        raise InvalidParameterError(
            f"sigma_w and depth must keep squared gradients below {LARGEST_PRODUCT:g}, got {own:.3g} "
            f"at sigma_w = {float(sigma_w):.6g}, depth = {layers}"
        )
    if doubt > LOST * own and kernels.covariances[-1, 0, 0] < SHORTEST:
        layer = 1 + int(np.argmax(kernels.covariances[:, 0, 0] < SHORTEST))
        raise InvalidParameterError(
            f"depth must be smaller at sigma_w = {float(sigma_w):.6g}, where lengths fall below double precision and "
            f"correlations of inputs are lost from layer {layer} on, got {layers}"
        )
    if output == "linear":
        found = _linear(own, shared, T, C)
    else:
        variance, covariance = (float(kernels.covariances[-1, 0, j]) for j in range(2))
        found = softmax_fisher(own, shared, T, C, variance=variance, covariance=covariance)
    M = float(widths[-1])
    size = float(widths[1:] @ widths[:-1]) / M  # alpha M
    top, top_error = found.largest[0], found.largest[1] + doubt
    smallest, smallest_error = found.smallest[0], found.smallest[1] + 2 * doubt / T
    numbers = {
        "kappa_1": (own / size, doubt / size),
        "kappa_2": (shared / size, doubt / size),
        "mean": (found.trace[0] / (size * M), (found.trace[1] + C * doubt) / (size * M)),
        "second_moment": (found.square[0] / (size * M), (found.square[1] + 4 * C * own * doubt) / (size * M)),
        "lambda_max": (top, top_error),
        "bulk": (found.bulk[0], found.bulk[1] + 2 * doubt / T),
        "condition_number": _ratio(top, top_error, smallest, smallest_error),
        "max_learning_rate": _ratio(2 * (1 + beta), 0.0, top, top_error),
    }
    return FisherStatistics(
        sigma_w=float(sigma_w),
        sigma_b=float(sigma_b),
        depth=layers,
        samples=T,
        outputs=C,
        output=output,
        momentum=beta,
        **{name: value for name, (value, _) in numbers.items()},
        errors={name: error + 8 * EPS * abs(value) for name, (value, error) in numbers.items()},
    )


def input_gram(input_norm, overlap, *, lowest: float) -> np.ndarray:
    """Mean products per unit of two inputs of one length, with their overlap between `lowest` and 1."""
    norm = scalar("input_norm", input_norm, low=0.0, open_low=True)
    if norm > LARGEST_NORM:
        raise InvalidParameterError(f"input_norm must be <= {LARGEST_NORM:g}, got {norm:g}")
    c = scalar("overlap", overlap, low=lowest, high=1.0)
    return norm * np.array([[1.0, c], [c, 1.0]])


def _linear(own: float, shared: float, T: int, C: int) -> WeighedSpectrum:
    """C equal blocks of (1/T)[(own - shared) 1 + shared 11^T]."""
    common, bulk = (own + (T - 1) * shared) / T, (own - shared) / T
    if T == 1:
        common, bulk = own, math.nan
    return WeighedSpectrum(
        trace=(C * own, 0.0),
        square=(C * (own**2 + (T - 1) * shared**2) / T, 0.0),
        largest=(float(np.fmax(common, bulk)), 0.0),
        bulk=(bulk, 0.0),
        smallest=(float(np.fmin(common, bulk)), 0.0),
    )


def _ratio(above: float, above_error: float, below: float, below_error: float) -> tuple[float, float]:
    """above/below and its error bound; inf where `below` is not above its own error."""
    if not below > below_error:
        return math.inf, math.inf
    value = above / below
    return value, (above_error + value * below_error) / (below - below_error)
