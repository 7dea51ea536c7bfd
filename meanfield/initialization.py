"""Weights to start training from: the gain of a nonlinearity and whole networks at criticality."""

import itertools

import numpy as np

from meanfield.arguments import integer, scalar, seed_sequence
from meanfield.criticality import critical_point
from meanfield.errors import InvalidParameterError
from meanfield.memory import refuse_memory
from meanfield.weights import ensemble

__all__ = ["gain", "initialize"]


def gain(phi, *, sigma_b=0.0) -> float:
    """The factor of weights at criticality: W ~ N(0, gain^2/fan_in), or gain times an orthogonal matrix.

    Parameters
    ----------
    phi : str or Nonlinearity
    sigma_b : float, >= 0
        Standard deviation of the biases.

    Returns
    -------
    float
        sigma_w of `critical_point`; sqrt(2) for "relu".

    Raises
    ------
    NoCriticalPointError
        No critical point has this sigma_b; the message says which are attainable.

    Warns
    -----
    UnstableCriticalPointWarning
        The critical point repels lengths: they drift away from it with depth.

    Notes
    -----
    sigma_w^2 E phi'(sqrt(q) z)^2 = 1 at the fixed point q of q -> sigma_w^2 E phi(sqrt(q) z)^2 + sigma_b^2, so that
    squared gradients keep their mean size from layer to layer.

    References
    ----------
    .. [1] Schoenholz et al., Deep Information Propagation, arXiv:1611.01232, eq. 5.

    Examples
    --------
    >>> round(gain("relu") ** 2, 12)
    2.0
    """
    return critical_point(phi, sigma_b=scalar("sigma_b", sigma_b, low=0.0)).sigma_w


def initialize(phi, widths, *, sigma_b=0.0, weights="gaussian", rng=0) -> list[tuple[np.ndarray, np.ndarray]]:
    """Weights and biases of a fully connected network at criticality.

    Parameters
    ----------
    phi : str or Nonlinearity
    widths : sequence of int
        Sizes from the input to the output, at least two.
    sigma_b : float, >= 0
        Standard deviation of the biases, which picks the point on the critical line.
    weights : "gaussian" or "orthogonal"
    rng : int, SeedSequence or Generator
        Seed of the draws, or the generator to take them from.

    Returns
    -------
    list of (W, b)
        W of shape (fan_out, fan_in) and b of shape (fan_out,), to be used as ``x @ W.T + b``.

    Raises
    ------
    InvalidParameterError
        A width is not a positive integer, there are fewer than two, or the matrices do not fit into memory.
    NoCriticalPointError
        As for `gain`.

    Notes
    -----
    Gaussian weights are N(0, sigma_w^2/fan_in); orthogonal ones are sigma_w times a Haar matrix, with orthonormal
    rows where the layer contracts and orthonormal columns times sqrt(fan_out/fan_in) where it expands, so that both
    give E h^2 = sigma_w^2 E x^2 + sigma_b^2. Biases are N(0, sigma_b^2).

    Examples
    --------
    >>> layers = initialize("tanh", (784, 400, 10), sigma_b=0.05, weights="orthogonal")
    >>> [(W.shape, b.shape) for W, b in layers]
    [((400, 784), (400,)), ((10, 400), (10,))]
    """
    sizes = _sizes(widths)
    spread = scalar("sigma_b", sigma_b, low=0.0)
    law = ensemble(weights)
    scale = gain(phi, sigma_b=spread)
    refuse_memory(8 * sum(fan_in * fan_out for fan_in, fan_out in itertools.pairwise(sizes)), None, "the network")
    generator = rng if isinstance(rng, np.random.Generator) else np.random.default_rng(seed_sequence(rng))
    layers = []
    for fan_in, fan_out in itertools.pairwise(sizes):
        matrix = law.sample(generator, fan_out, fan_in, scale)
        layers.append((matrix, spread * generator.standard_normal(fan_out)))
    return layers


def _sizes(widths) -> list[int]:
    try:
        sizes = [integer("each of widths", width, low=1) for width in widths]
    except TypeError:
        raise InvalidParameterError(f"widths must be a sequence of integers, got {widths!r}") from None
    if len(sizes) < 2:
        raise InvalidParameterError(f"widths must hold at least the input and the output, got {sizes}")
    return sizes
