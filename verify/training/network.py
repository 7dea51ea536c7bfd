"""A fully connected network in training: outputs and gradients of a batch, on BLAS, in float64 or float32.

h^l = x^{l-1} W^{l T} + b^l, x^l = phi(h^l) for the hidden layers, and a linear read-out; one input a row.
Layers are a list of (W (fan_out, fan_in), b (fan_out,)), the read-out last.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from meanfield.expressions import as_nonlinearity
from meanfield.nonlinearity import Nonlinearity
from verify.training.compiled import tanh_with_slope

__all__ = ["COMPILED", "Layers", "Pass", "backward", "bend", "forward", "outputs_of"]

Layers = Sequence[tuple[np.ndarray, np.ndarray]]

# The compiled loop that takes the place of phi and phi' in numpy; a test proves it equal to both.
COMPILED: dict[Nonlinearity, Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]] = {
    as_nonlinearity("tanh"): tanh_with_slope
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Pass:
    """What a forward pass leaves for the way back.

    Attributes
    ----------
    activities : list of array (batch, fan_in)
        What each layer was fed: the inputs, then x^1, ..., x^L.
    slopes : list of array (batch, width)
        phi'(h^l) of each hidden layer.
    outputs : array (batch, outputs)
    """

    activities: list[np.ndarray]
    slopes: list[np.ndarray]
    outputs: np.ndarray


def bend(phi: Nonlinearity, h: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """phi(h + bias) and phi'(h + bias), in the type of h; h itself may be overwritten."""
    if phi in COMPILED:
        return COMPILED[phi](h, bias)
    h += bias
    return phi.function(h).astype(h.dtype, copy=False), phi.derivative(h).astype(h.dtype, copy=False)


def forward(layers: Layers, phi: Nonlinearity, inputs: np.ndarray) -> Pass:
    """The outputs for a batch of inputs (batch, dim), with all activities and slopes on the way."""
    activities, slopes = [inputs], []
    *hidden, (W, b) = layers
    for W_l, b_l in hidden:
        x, slope = bend(phi, activities[-1] @ W_l.T, b_l)
        activities.append(x)
        slopes.append(slope)
    return Pass(activities=activities, slopes=slopes, outputs=activities[-1] @ W.T + b)


def outputs_of(layers: Layers, phi: Nonlinearity, inputs: np.ndarray, batch_size: int) -> np.ndarray:
    """The outputs alone, shape (samples, outputs); a batch at a time, so that no more than one is in memory."""
    starts = range(0, len(inputs), batch_size)
    return np.concatenate([forward(layers, phi, inputs[start : start + batch_size]).outputs for start in starts])


def backward(layers: Layers, passed: Pass, gradient: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Gradients (dW, db) of every layer, for a loss whose gradient by the outputs is `gradient`.

    Notes
    -----
    dW^l = d^{l T} x^{l-1} and db^l = sum_batch d^l with d^{l-1} = (d^l W^l) phi'(h^{l-1}).
    """
    ones = np.ones(len(gradient), dtype=gradient.dtype)
    found = []
    d = gradient
    for layer in range(len(layers) - 1, -1, -1):
        # The transpose of x^T d: the layout of a tall point of a manifold, so that nothing is copied later.
        # A product with ones adds up columns several times faster than a sum.
        found.append(((passed.activities[layer].T @ d).T, ones @ d))
        if layer:
            d = d @ layers[layer][0]
            d *= passed.slopes[layer - 1]
    return found[::-1]
