"""A network at its inputs: outputs, and products of the derivative of the outputs by the parameters, on BLAS.

Layers are a list of (W, b), W of shape (fan_out, fan_in), used as ``x @ W.T + b``; the last one is a linear read-out.
A direction in parameter space is a list of (dW, db) of the same shapes.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from scipy.sparse.linalg import eigsh

from meanfield.arguments import choice, interval
from meanfield.errors import InvalidParameterError
from meanfield.expressions import as_nonlinearity
from meanfield.nonlinearity import Nonlinearity

__all__ = [
    "KEEP_BOTH",
    "KEEP_STATES",
    "OUTPUTS",
    "Layers",
    "Linearization",
    "SampleBlocks",
    "bordered_products",
    "checked_layers",
    "gradient_factors",
    "linearize",
    "output_cotangents",
    "output_roots",
    "spectral_norm",
]

OUTPUTS = ("linear", "softmax")
Layers = Sequence[tuple[np.ndarray, np.ndarray]]

# Bytes up to which activations and slopes are kept; beyond, only the pre-activations that give both.
KEEP_BOTH = 1 << 29
# Bytes up to which those are kept; beyond, a block of inputs is linearised again whenever it is needed.
KEEP_STATES = 1 << 30
_BLOCK = 1 << 23  # bytes of the widest layer's activations in a block


class Linearization:
    """The first-order behaviour of a network at T inputs.

    Attributes
    ----------
    weights : list of array
    inputs : array (T, fan_in)
    outputs : array (T, C)
    """

    def __init__(self, layers: Layers, phi: Nonlinearity, X: np.ndarray, *, budget: float = KEEP_BOTH) -> None:
        self.weights = [W for W, _ in layers]
        self.inputs = X
        self._phi = phi
        self._states: list[np.ndarray] = []  # pre-activations h^1, ..., h^depth
        self._both: list[tuple[np.ndarray, np.ndarray]] | None = []
        if 2 * _stored(layers, len(X)) > budget:
            self._both = None
        x = X
        for W, b in layers[:-1]:
            h = x @ W.T
            h += b
            x = phi.function(h)
            if self._both is None:
                self._states.append(h)
            else:
                self._both.append((x, phi.derivative(h)))
        W, b = layers[-1]
        self.outputs = x @ W.T + b

    def __len__(self) -> int:
        return len(self.inputs)

    def below(self, layer: int) -> np.ndarray:
        """What the weights of `layer` (0 is the first) are applied to, shape (T, fan_in)."""
        if layer == 0:
            return self.inputs
        if self._both is None:
            return self._phi.function(self._states[layer - 1])
        return self._both[layer - 1][0]

    def slope(self, layer: int) -> np.ndarray:
        """phi' of the pre-activations that the weights of `layer` make, shape (T, fan_out)."""
        return self._phi.derivative(self._states[layer]) if self._both is None else self._both[layer][1]

    def backward(self, cotangents: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """From the read-out down: (layer, gradients of ``sum(cotangents * outputs)`` by that layer's pre-activations).

        `cotangents` has shape (T, C), or (T, k, C) for k of them at each input; the gradients (T, N) or (T, k, N).
        """
        delta = cotangents
        for layer in range(len(self.weights) - 1, -1, -1):
            yield layer, delta
            if layer:
                delta = delta @ self.weights[layer]
                slope = self.slope(layer - 1)
                delta *= slope if delta.ndim == 2 else slope[:, None, :]

    def pull(self, cotangents: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """J^T u, a direction, of cotangents u (T, C)."""
        gradients = [(delta.T @ self.below(layer), delta.sum(axis=0)) for layer, delta in self.backward(cotangents)]
        return gradients[::-1]

    def push(self, direction: Layers) -> np.ndarray:
        """J v, shape (T, C), of a direction v."""
        moved = np.zeros_like(self.outputs)
        for layer, (dW, db) in enumerate(direction):
            change = self.below(layer) @ dW.T
            change += db
            if layer:
                change += moved @ self.weights[layer].T
            if layer < len(self.weights) - 1:
                change *= self.slope(layer)
            moved = change
        return moved


def linearize(layers: Layers, phi, X) -> Linearization:
    """The linearisation of a network of nonlinearity `phi` (str or Nonlinearity) at inputs `X` (samples, fan_in).

    Raises
    ------
    InvalidParameterError
        Shapes do not fit, or a number is not finite.
    """
    return Linearization(*checked_layers(layers, phi, X))


def checked_layers(layers: Layers, phi, X) -> tuple[Layers, Nonlinearity, np.ndarray]:
    """The arguments of a network in float64, with shapes that fit.

    Raises
    ------
    InvalidParameterError
        Fewer than two layers, shapes that do not fit, or a number that is not finite.
    """
    inputs = interval("X", X)
    if inputs.ndim != 2:
        raise InvalidParameterError(f"X must have shape (samples, fan_in), got {inputs.shape}")
    if len(layers) < 2:
        raise InvalidParameterError(f"layers must hold a hidden layer and a read-out, got {len(layers)}")
    checked, fan_in = [], inputs.shape[1]
    for number, (W, b) in enumerate(layers, start=1):
        matrix, bias = interval(f"W{number}", W), interval(f"b{number}", b)
        if matrix.ndim != 2 or matrix.shape[1] != fan_in or bias.shape != matrix.shape[:1]:
            raise InvalidParameterError(
                f"W{number} and b{number} must have shapes (fan_out, {fan_in}) and (fan_out,), "
                f"got {matrix.shape} and {bias.shape}"
            )
        checked.append((matrix, bias))
        fan_in = matrix.shape[0]
    return checked, as_nonlinearity(phi), inputs


class SampleBlocks:
    """Linearisations at consecutive blocks of inputs: kept where they fit into 1 GiB, else made anew at every pass."""

    def __init__(self, layers: Layers, phi: Nonlinearity, X: np.ndarray) -> None:
        size = max(64, _BLOCK // (8 * max(W.shape[0] for W, _ in layers)))
        self._layers, self._phi = layers, phi
        self._parts = [X[start : start + size] for start in range(0, len(X), size)]
        fits = _stored(layers, len(X)) <= KEEP_STATES
        self._kept = list(self._made(KEEP_BOTH / len(self._parts))) if fits else None

    def __len__(self) -> int:
        return len(self._parts)

    def __iter__(self) -> Iterator[Linearization]:
        return self._made(KEEP_BOTH) if self._kept is None else iter(self._kept)

    def _made(self, budget: float) -> Iterator[Linearization]:
        return (Linearization(self._layers, self._phi, X, budget=budget) for X in self._parts)


def _stored(layers: Layers, samples: int) -> int:
    """Bytes of the pre-activations of all hidden layers."""
    return 8 * samples * sum(W.shape[0] for W, _ in layers[:-1])


def output_roots(outputs: np.ndarray, output: str) -> np.ndarray | None:
    """R_t (T, C, k) with H_t = R_t R_t^T, the Hessian of -log p by the outputs; None for H_t = 1.

    Linear outputs mean a Gaussian of unit variance, H = 1. For softmax, H = diag(p) - p p^T = A A^T with
    A = diag(sqrt p) - p sqrt(p)^T. A has the null vector sqrt(p); R = diag(sqrt p) B, B an orthonormal basis of what
    is orthogonal to it, leaves that structural zero out: k = C - 1.

    Raises
    ------
    InvalidParameterError
        Unknown `output`, or softmax of a single output, which has no information.
    """
    if choice("output", output, OUTPUTS) == "linear":
        return None
    C = outputs.shape[1]
    if C < 2:
        raise InvalidParameterError(f"softmax needs at least 2 outputs, got {C}")
    roots = np.exp((outputs - outputs.max(axis=1, keepdims=True)) / 2)
    roots /= np.linalg.norm(roots, axis=1, keepdims=True)
    # The Householder reflector that maps sqrt(p) to the first axis: its other columns span the rest.
    axis = roots.copy()
    axis[:, 0] += 1.0
    basis = -axis[:, :, None] * (axis[:, None, 1:] / (1 + roots[:, :1])[:, :, None])
    basis[:, 1:] += np.eye(C - 1)
    return roots[:, :, None] * basis


def output_cotangents(outputs: np.ndarray, output: str) -> np.ndarray:
    """R_t^T at every input, shape (T, k, C), from the outputs (T, C)."""
    roots = output_roots(outputs, output)
    if roots is None:
        T, C = outputs.shape
        return np.broadcast_to(np.eye(C), (T, C, C))
    return roots.transpose(0, 2, 1)


def gradient_factors(linear: Linearization, start: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """From the read-out down: (x^{l-1} (T, N), R^T dh^g/dh^l (T, k, N_l)); a row of R^T J_l is their outer product."""
    for layer, delta in linear.backward(start):
        yield linear.below(layer), delta


def bordered_products(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Scalar products of (x, 1) and (y, 1): the 1 stands for the bias."""
    products = x @ y.T
    products += 1.0
    return products


def spectral_norm(matrix: np.ndarray) -> float:
    """Spectral norm, through the smaller Gram matrix: half the digits, for the largest one enough."""
    gram = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    if len(gram) < 64:
        return float(np.sqrt(np.linalg.eigvalsh(gram)[-1]))
    top = eigsh(gram, k=1, which="LA", v0=np.ones(len(gram)), return_eigenvectors=False)
    return float(np.sqrt(top[0]))
