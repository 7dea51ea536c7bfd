"""A fully connected network in training: outputs and gradients of a batch, on BLAS, in float64 or float32.

h^l = x^{l-1} W^{l T} + b^l, x^l = phi(h^l) for the hidden layers, and a linear read-out; one input a row.
Layers are a list of (W (fan_out, fan_in), b (fan_out,)), the read-out last.

The arrays of a pass are kept from step to step in a `Workspace`: asking the system for hundreds of megabytes anew at
every step takes as long as the arithmetic.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from meanfield.expressions import as_nonlinearity
from meanfield.nonlinearity import Nonlinearity
from verify.training.compiled import tanh_with_slope

__all__ = ["COMPILED", "Layers", "Pass", "Workspace", "backward", "bend", "forward", "outputs_of"]

Layers = Sequence[tuple[np.ndarray, np.ndarray]]

# The compiled loop that takes the place of phi and phi' in numpy; a test proves it equal to both.
COMPILED: dict[Nonlinearity, Callable[[np.ndarray, np.ndarray, np.ndarray], None]] = {
    as_nonlinearity("tanh"): tanh_with_slope
}


class Workspace:
    """The arrays of a pass through layers of the given widths, for batches of up to `rows` inputs.

    Attributes
    ----------
    activities, slopes : list of array (rows, width)
        Of each hidden layer.
    deltas : list of array (rows, width)
        Gradients on their way back; two, since each is made from the one before.
    """

    def __init__(self, layers: Layers, rows: int, dtype: np.dtype) -> None:
        widths = [len(b) for _, b in layers[:-1]]
        self.activities = [np.empty((rows, width), dtype) for width in widths]
        self.slopes = [np.empty((rows, width), dtype) for width in widths]
        self.deltas = [np.empty(rows * max(widths), dtype) for _ in range(2)]

    def delta(self, number: int, rows: int, width: int) -> np.ndarray:
        """Room for a gradient; the next number uses the other array."""
        return self.deltas[number % 2][: rows * width].reshape(rows, width)


@dataclass(frozen=True, kw_only=True, eq=False)
class Pass:
    """What a forward pass leaves for the way back, in the arrays of its workspace.

    Attributes
    ----------
    activities : list of array (batch, fan_in)
        What each layer was fed: the inputs, then x^1, ..., x^L.
    slopes : list of array (batch, width)
        phi'(h^l) of each hidden layer.
    outputs : array (batch, outputs)
    workspace : Workspace
    """

    activities: list[np.ndarray]
    slopes: list[np.ndarray]
    outputs: np.ndarray
    workspace: Workspace


def bend(phi: Nonlinearity, h: np.ndarray, bias: np.ndarray, slope: np.ndarray) -> None:
    """h <- phi(h + bias) and slope <- phi'(h + bias), in place."""
    if phi in COMPILED:
        COMPILED[phi](h, bias, slope)
        return
    h += bias
    slope[...] = phi.derivative(h)
    h[...] = phi.function(h)


def forward(layers: Layers, phi: Nonlinearity, inputs: np.ndarray, workspace: Workspace | None = None) -> Pass:
    """The outputs for a batch of inputs (batch, dim), with all activities and slopes on the way.

    Without a workspace, a new one is made.
    """
    rows = len(inputs)
    room = workspace if workspace is not None else Workspace(layers, rows, inputs.dtype)
    activities, slopes = [inputs], []
    *hidden, (W, b) = layers
    for (W_l, b_l), x, slope in zip(hidden, room.activities, room.slopes, strict=True):
        h = np.matmul(activities[-1], W_l.T, out=x[:rows])
        bend(phi, h, b_l, slope[:rows])
        activities.append(h)
        slopes.append(slope[:rows])
    return Pass(activities=activities, slopes=slopes, outputs=activities[-1] @ W.T + b, workspace=room)


def outputs_of(layers: Layers, phi: Nonlinearity, inputs: np.ndarray, workspace: Workspace) -> np.ndarray:
    """The outputs alone, shape (samples, outputs), as many inputs at a time as the workspace holds."""
    rows = len(workspace.slopes[0])
    starts = range(0, len(inputs), rows)
    return np.concatenate([forward(layers, phi, inputs[k : k + rows], workspace).outputs for k in starts])


def backward(layers: Layers, passed: Pass, gradient: np.ndarray, into: Layers | None = None) -> Layers:
    """Gradients (dW, db) of every layer, for a loss whose gradient by the outputs is `gradient`.

    They are written into the arrays of `into`, or new ones.

    Notes
    -----
    dW^l = d^{l T} x^{l-1} and db^l = sum_batch d^l with d^{l-1} = (d^l W^l) phi'(h^{l-1}).
    """
    found = into if into is not None else [(np.empty_like(W), np.empty_like(b)) for W, b in layers]
    ones = np.ones(len(gradient), dtype=gradient.dtype)
    d = gradient
    for layer in range(len(layers) - 1, -1, -1):
        by_weight, by_bias = found[layer]
        x = passed.activities[layer]
        # BLAS writes by rows; a weight that is stored as its transpose gets the product transposed.
        if by_weight.flags.c_contiguous:
            np.matmul(d.T, x, out=by_weight)
        else:
            np.matmul(x.T, d, out=by_weight.T)
        # A product with ones adds up columns several times faster than a sum.
        np.matmul(ones, d, out=by_bias)
        if layer:
            W = layers[layer][0]
            d = np.matmul(d, W, out=passed.workspace.delta(layer, len(x), W.shape[1]))
            d *= passed.slopes[layer - 1]
    return found
