"""The Fisher information of one network at real inputs, measured: its spectrum and its largest eigenvalues.

G = (1/T) sum_t J_t^T H_t J_t sums over T inputs; J_t (C, P) is the derivative of the C outputs by all P parameters,
weights and biases of every layer and of the read-out; H_t is the Hessian of -log p by the outputs: 1 for linear outputs
(a Gaussian of unit variance, squared errors summed over outputs), diag(p) - p p^T for softmax. So G is the model's
Fisher information, and the Gauss-Newton matrix, not the outer product of gradients at observed labels. Nothing here is
ever of size P x P: with H_t = R_t R_t^T (`linearization.output_roots`), the non-zero spectrum of G is that of the Gram
matrix (1/T) (R^T J)(R^T J)^T, whose index is t*k + j for column j of the k columns of R_t, k = C, or C - 1 for softmax.
"""

from dataclasses import dataclass

import numpy as np

from meanfield.arguments import choice, integer, scalar
from meanfield.errors import InvalidParameterError
from meanfield.results import Result
from verify.lanczos import largest_eigenvalues
from verify.linearization import (
    Layers,
    Linearization,
    SampleBlocks,
    bordered_products,
    checked_layers,
    gradient_factors,
    linearize,
    output_cotangents,
    output_roots,
    spectral_norm,
)

__all__ = [
    "TopEigenvalues",
    "fisher_condition_number",
    "fisher_eigenvalues",
    "fisher_gram",
    "fisher_product",
    "sigma_max_jacobian",
    "top_eigenvalues",
]

EPS = float(np.finfo(np.float64).eps)
_ROWS = 1024  # of the Gram matrix at a time, to bound what is held beside it


@dataclass(frozen=True, kw_only=True, eq=False)
class TopEigenvalues(Result):
    """The largest eigenvalues of G.

    Attributes
    ----------
    values : array (count,)
        Descending.
    errors : array (count,)
        Norms |G v - value v| of the residuals: an eigenvalue of G lies within that distance.
    products : int
        How often G was applied.
    """

    values: np.ndarray
    errors: np.ndarray
    products: int


def fisher_product(layers: Layers, phi, X, direction: Layers, *, output: str = "linear") -> Layers:
    """G v: the Fisher information applied to a direction v, a list of (dW, db).

    Parameters
    ----------
    layers : list of (W, b)
        W (fan_out, fan_in), used as ``x @ W.T + b``; the last is a linear read-out.
    phi : str or Nonlinearity
    X : array (samples, fan_in)
    direction : list of (dW, db)
    output : "linear" or "softmax"

    Returns
    -------
    list of (dW, db)

    Raises
    ------
    InvalidParameterError
        Shapes do not fit, or a number is not finite.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> layers = [(rng.standard_normal((6, 4)) / 2, np.zeros(6)), (rng.standard_normal((3, 6)) / 2, np.zeros(3))]
    >>> X = rng.standard_normal((5, 4))
    >>> [(dW.shape, db.shape) for dW, db in fisher_product(layers, "tanh", X, layers)]
    [((6, 4), (6,)), ((3, 6), (3,))]
    """
    linear = linearize(layers, phi, X)
    moved = linear.push(direction)
    roots = output_roots(linear.outputs, output)
    if roots is not None:
        moved = np.einsum("tck,tk->tc", roots, np.einsum("tck,tc->tk", roots, moved))
    return linear.pull(moved / len(linear))


def fisher_gram(layers: Layers, phi, X, *, output: str = "linear") -> np.ndarray:
    """The Gram matrix with the non-zero spectrum of G, shape (T k, T k), 1/T included.

    The arguments are those of `fisher_product`. Memory: 8 (T k)^2 bytes and the activations.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> layers = [(rng.standard_normal((6, 4)) / 2, np.zeros(6)), (rng.standard_normal((3, 6)) / 2, np.zeros(3))]
    >>> X = rng.standard_normal((5, 4))
    >>> fisher_gram(layers, "tanh", X).shape, fisher_gram(layers, "tanh", X, output="softmax").shape
    ((15, 15), (10, 10))
    """
    linear = linearize(layers, phi, X)
    start = output_cotangents(linear.outputs, output)
    T, k = start.shape[:2]
    gram = np.zeros((T * k, T * k))
    step = max(1, _ROWS // k)
    strips = [(first, min(first + step, T)) for first in range(0, T, step)]
    for features, delta in gradient_factors(linear, start):
        flat = delta.reshape(T * k, -1)
        for first, last in strips:
            # The lower triangle alone, in strips of whole inputs.
            strip = (flat[first * k : last * k] @ flat[: last * k].T).reshape(last - first, k, last, k)
            strip *= bordered_products(features[first:last], features[:last])[:, None, :, None]
            gram[first * k : last * k, : last * k] += strip.reshape((last - first) * k, last * k)
    gram /= T
    for first, last in strips:
        gram[: first * k, first * k : last * k] = gram[first * k : last * k, : first * k].T
    return gram


def fisher_eigenvalues(layers: Layers, phi, X, *, output: str = "linear") -> np.ndarray:
    """The non-zero spectrum of G, descending, shape (T k,); eigenvalues at rounding are zeros of G.

    The arguments are those of `fisher_product`. k = C, or C - 1 for softmax.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> layers = [(rng.standard_normal((6, 4)) / 2, np.zeros(6)), (rng.standard_normal((3, 6)) / 2, np.zeros(3))]
    >>> X = rng.standard_normal((5, 4))
    >>> bool((np.diff(fisher_eigenvalues(layers, "tanh", X)) <= 0).all())
    True
    """
    return np.linalg.eigvalsh(fisher_gram(layers, phi, X, output=output))[::-1]


def fisher_condition_number(layers: Layers, phi, X, *, output: str = "linear") -> float:
    """Largest over smallest eigenvalue of G among those above rounding.

    The arguments are those of `fisher_product`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> layers = [(rng.standard_normal((6, 4)) / 2, np.zeros(6)), (rng.standard_normal((3, 6)) / 2, np.zeros(3))]
    >>> X = rng.standard_normal((5, 4))
    >>> fisher_condition_number(layers, "tanh", X) > 1
    True
    """
    eigenvalues = fisher_eigenvalues(layers, phi, X, output=output)
    resolved = eigenvalues[eigenvalues > len(eigenvalues) * EPS * eigenvalues[0]]
    return float(resolved[0] / resolved[-1])


def top_eigenvalues(
    layers: Layers, phi, X, *, output: str = "linear", count: int = 1, tolerance: float = 1e-8
) -> TopEigenvalues:
    """The `count` largest eigenvalues of G by Lanczos iterations on products alone.

    Parameters
    ----------
    layers, phi, X, output
        As for `fisher_product`.
    count : int, >= 1
    tolerance : float, > 0
        Largest residual relative to the eigenvalue; the eigenvalue's own error is of its square.

    Returns
    -------
    TopEigenvalues

    Raises
    ------
    InvalidParameterError
        `count` is not below the number of non-zero eigenvalues.
    ConvergenceError
        The tolerance was not reached; `partial` holds what was.

    Notes
    -----
    The iteration runs in the space of the T k outputs, not in that of the P parameters: it applies
    (1/T) (R^T J)(R^T J)^T by one backward pass, which makes a direction, and one forward pass, which applies it. Its
    vectors are short, so keeping them orthogonal costs nothing; several eigenvalues are sought with a block of as many
    vectors, since outliers may be equal. Blocks of inputs whose activations do not fit into
    1 GiB are linearised again at every product.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> layers = [(rng.standard_normal((6, 4)) / 2, np.zeros(6)), (rng.standard_normal((3, 6)) / 2, np.zeros(3))]
    >>> X = rng.standard_normal((5, 4))
    >>> found = top_eigenvalues(layers, "tanh", X)
    >>> bool(abs(found.values[0] - fisher_eigenvalues(layers, "tanh", X)[0]) <= found.errors[0] + 1e-12)
    True
    """
    top = integer("count", count, low=1)
    scalar("tolerance", tolerance, low=0.0, open_low=True)
    operator = _GramOperator(*checked_layers(layers, phi, X), output)
    size = operator.samples * operator.columns
    if top >= size:
        raise InvalidParameterError(f"count must be < {size}, the number of non-zero eigenvalues, got {top}")
    start = _nearly_constant(operator.samples, operator.columns, top)
    values, errors, products = largest_eigenvalues(operator, start, tolerance=tolerance)
    return TopEigenvalues(values=values, errors=errors, products=products)


def _nearly_constant(samples: int, columns: int, count: int) -> np.ndarray:
    """Vectors to start from, (samples*columns, count): outliers change little from input to input."""
    if count == 1:
        return np.tile(np.linspace(1.0, 2.0, columns), samples)[:, None]
    start = np.random.default_rng(0).standard_normal((samples * columns, count))
    constant = np.tile(np.eye(columns), (samples, 1))[:, :count]
    start[:, : constant.shape[1]] = constant
    return start


class _GramOperator:
    """(1/T) (R^T J)(R^T J)^T as a product."""

    def __init__(self, layers: Layers, phi, X: np.ndarray, output: str) -> None:
        self._blocks = SampleBlocks(layers, phi, X)
        self._roots = [output_roots(block.outputs, output) for block in self._blocks]
        self._ends = np.cumsum([len(block) for block in self._blocks])
        first = self._roots[0]
        self.columns = layers[-1][0].shape[0] if first is None else first.shape[2]
        self.samples = len(X)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        vectors = np.split(x.reshape(self.samples, self.columns), self._ends[:-1])
        direction: list[tuple[np.ndarray, np.ndarray]] = []
        for block, roots, u in zip(self._blocks, self._roots, vectors, strict=True):
            lifted = u if roots is None else np.einsum("tck,tk->tc", roots, u)
            parts = block.pull(lifted)
            for (dW, db), (gradient, bias_gradient) in zip(direction, parts, strict=False):
                dW += gradient
                db += bias_gradient
            direction = direction or parts
        images = []
        for block, roots in zip(self._blocks, self._roots, strict=True):
            moved = block.push(direction)
            images.append(moved if roots is None else np.einsum("tck,tc->tk", roots, moved))
        return np.concatenate(images).reshape(x.shape) / self.samples


def sigma_max_jacobian(layers: Layers, phi, X, *, of: str = "features") -> np.ndarray:
    """The largest singular value of the input-output Jacobian at every input, shape (samples,).

    Parameters
    ----------
    layers, phi, X
        As for `fisher_product`.
    of : "features" or "outputs"
        The Jacobian of the last hidden layer's activations x^depth by the input, or that of the read-out's outputs.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> layers = [(rng.standard_normal((6, 4)) / 2, np.zeros(6)), (rng.standard_normal((3, 6)) / 2, np.zeros(3))]
    >>> X = rng.standard_normal((5, 4))
    >>> sigma_max_jacobian(layers, "tanh", X, of="outputs").shape
    (5,)
    """
    linear = linearize(layers, phi, X)
    if choice("of", of, ("features", "outputs")) == "outputs":
        T, C = linear.outputs.shape
        *_, (_, delta) = linear.backward(np.broadcast_to(np.eye(C), (T, C, C)))
        return np.linalg.norm(delta @ linear.weights[0], 2, axis=(1, 2))
    return np.array([spectral_norm(_features_jacobian(linear, t)) for t in range(len(linear))])


def _features_jacobian(linear: Linearization, t: int) -> np.ndarray:
    """D^L W^L ... D^1 W^1 at input t, multiplied from its narrower end."""
    hidden = linear.weights[:-1]
    if hidden[0].shape[1] <= hidden[-1].shape[0]:
        J = linear.slope(0)[t, :, None] * hidden[0]
        for layer, W in enumerate(hidden[1:], start=1):
            J = linear.slope(layer)[t, :, None] * (W @ J)
        return J
    J = linear.slope(len(hidden) - 1)[t, :, None] * hidden[-1]
    for layer in range(len(hidden) - 2, -1, -1):
        J = (J * linear.slope(layer)[t]) @ hidden[layer]
    return J
