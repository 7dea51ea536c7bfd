"""The parameters of a network in training: a hidden weight matrix is a learned scale times a point of a manifold."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from meanfield.weights import ensemble

__all__ = ["MANIFOLD", "READOUT", "SCALES", "Blocks", "Shape", "draw", "gradients", "layers_of"]

# The groups of parameters with rates of their own, and the blocks in each.
MANIFOLD = ("first", "hidden")
SCALES = ("scales",)
READOUT = ("biases", "readout", "readout_bias")

Blocks = Mapping[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Sizes of a network: `depth` hidden layers of `width` on inputs of length `dim`, then `outputs`."""

    dim: int
    width: int
    depth: int
    outputs: int

    @property
    def expands(self) -> bool:
        """Is the first layer wider than the inputs?"""
        return self.width > self.dim


def draw(
    shape: Shape, *, sigma_w: float, sigma_b: float, weights: str, rng: np.random.Generator, dtype: str = "float64"
) -> dict[str, np.ndarray]:
    """The parameters at initialisation.

    Returns
    -------
    dict of arrays
        first : (n, p), n >= p, the point M^1 of the first layer; W^1 = |scale| M^T, or |scale| M if it expands.
        hidden : (depth - 1, width, width), M^l with W^l = |scale| M^T.
        scales : (depth,). At the start sigma_w, and in an expanding first layer sigma_w sqrt(width/dim), so that
        an orthogonal M has orthonormal columns and the length map holds.
        biases : (depth, width). readout : (outputs, width). readout_bias : (outputs,).
    """
    law = ensemble(weights)
    scales = np.full(shape.depth, sigma_w)
    # Of W^1 or its transpose, whichever is tall; its scale is that of the law at sigma_w = 1.
    first = law.sample(rng, shape.width, shape.dim, 1.0)
    if shape.expands:
        first = first / math.sqrt(shape.width / shape.dim)
        scales[0] *= math.sqrt(shape.width / shape.dim)
    hidden = np.empty((shape.depth - 1, shape.width, shape.width))
    for point in hidden:
        point[...] = law.sample(rng, shape.width, shape.width, 1.0).T
    blocks = {
        "first": first if shape.expands else first.T,
        "hidden": hidden,
        "scales": scales,
        "biases": sigma_b * rng.standard_normal((shape.depth, shape.width)),
        "readout": law.sample(rng, shape.outputs, shape.width, sigma_w),
        "readout_bias": sigma_b * rng.standard_normal(shape.outputs),
    }
    return {name: np.ascontiguousarray(block, dtype=dtype) for name, block in blocks.items()}


def layers_of(shape: Shape, blocks: Blocks) -> list[tuple[np.ndarray, np.ndarray]]:
    """The network as a list of (W (fan_out, fan_in), b (fan_out,)), the read-out last."""
    scales = np.abs(blocks["scales"])
    first = scales[0] * blocks["first"]
    weights = [first if shape.expands else first.T]
    weights += [W.T for W in scales[1:, None, None] * blocks["hidden"]]
    return [*zip(weights, blocks["biases"], strict=True), (blocks["readout"], blocks["readout_bias"])]


def gradients(shape: Shape, blocks: Blocks, by_layer: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, np.ndarray]:
    """Gradients by the blocks from those by (W, b): dM = |scale| dW, dscale = sign(scale) <M, dW>."""
    *hidden, (readout, readout_bias) = by_layer
    first = hidden[0][0] if shape.expands else hidden[0][0].T
    stack = np.empty_like(blocks["hidden"])
    for into, (weight, _) in zip(stack, hidden[1:], strict=True):
        into[...] = weight.T
    by_scale = np.empty_like(blocks["scales"])
    by_scale[0] = np.vdot(blocks["first"], first)
    by_scale[1:] = np.einsum("lij,lij->l", blocks["hidden"], stack)
    sizes = np.abs(blocks["scales"])
    stack *= sizes[1:, None, None]
    return {
        "first": sizes[0] * first,
        "hidden": stack,
        "scales": np.sign(blocks["scales"]) * by_scale,
        "biases": np.stack([bias for _, bias in hidden]),
        "readout": readout,
        "readout_bias": readout_bias,
    }
