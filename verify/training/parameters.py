"""The parameters of a network in training: a hidden weight matrix is a learned scale times a point of a manifold."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from meanfield.weights import ensemble

__all__ = ["MANIFOLD", "READOUT", "SCALES", "Blocks", "Shape", "as_layers", "draw", "layers_of", "through_scales"]

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


def layers_of(shape: Shape, blocks: Blocks, into: Blocks | None = None) -> list[tuple[np.ndarray, np.ndarray]]:
    """The network as a list of (W (fan_out, fan_in), b (fan_out,)), the read-out last.

    W = |scale| M is written into the arrays "first" and "hidden" of `into`, or new ones.
    """
    scales = np.abs(blocks["scales"])
    room = into if into is not None else {name: np.empty_like(blocks[name]) for name in MANIFOLD}
    weights = {
        "first": np.multiply(scales[0], blocks["first"], out=room["first"]),
        "hidden": np.multiply(scales[1:, None, None], blocks["hidden"], out=room["hidden"]),
    }
    return as_layers(shape, {**blocks, **weights})


def as_layers(shape: Shape, blocks: Blocks) -> list[tuple[np.ndarray, np.ndarray]]:
    """Views of the blocks as (W, b) of every layer, the scales left out."""
    first = blocks["first"] if shape.expands else blocks["first"].T
    weights = [first, *(M.T for M in blocks["hidden"])]
    return [*zip(weights, blocks["biases"], strict=True), (blocks["readout"], blocks["readout_bias"])]


def through_scales(blocks: Blocks, gradients: Blocks) -> None:
    """In place: from gradients by W = |scale| M to those by M and scale.

    dM = |scale| dW, dscale = sign(scale) <M, dW>.
    """
    scales, by_scale = blocks["scales"], gradients["scales"]
    by_scale[0] = np.vdot(blocks["first"], gradients["first"])
    np.einsum("lij,lij->l", blocks["hidden"], gradients["hidden"], out=by_scale[1:])
    by_scale *= np.sign(scales)
    sizes = np.abs(scales)
    np.multiply(sizes[0], gradients["first"], out=gradients["first"])
    np.multiply(sizes[1:, None, None], gradients["hidden"], out=gradients["hidden"])
