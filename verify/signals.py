"""Measured lengths, correlations and gradient factors, layer by layer, of random networks."""

import math
from dataclasses import dataclass

import numpy as np

from verify.networks import NetworkLaw, RandomNetwork, frame

__all__ = ["LENGTHS", "PAIRED", "TANGENT", "SignalSetting", "measure"]

LENGTHS = ("free", "reset")
PAIRED = {"c", "xi_c", "ntk_cosine"}  # quantities of two inputs
TANGENT = {"ntk", "ntk_cosine"}


@dataclass(frozen=True, kw_only=True, eq=False)
class SignalSetting:
    """What is measured on each network.

    Attributes
    ----------
    law : NetworkLaw
    quantities : tuple of str
        Names of `verify.quantities.QUANTITIES`.
    q0 : float
        |h^1|^2/width of every input, exactly.
    c0 : tuple of float
        Cosines, exact in layer 1, between the first input and one further input each.
    lengths : str
        "free", or "reset": every h^l is rescaled to |h^l|^2/width = q0 after it was measured. At a repelling or
        marginal fixed point free lengths drift, the more the deeper; reset ones test one step of the map at a time.
    inputs_of_q : int, optional
        How many inputs, from the first one on, q is averaged over: all if not given.
    """

    law: NetworkLaw
    quantities: tuple[str, ...]
    q0: float
    c0: tuple[float, ...]
    lengths: str = "free"
    inputs_of_q: int | None = None


def measure(setting: SignalSetting, item: tuple[int, np.random.SeedSequence]) -> dict[str, np.ndarray]:
    """The quantities of one network; `item` is its width and seed.

    Returns
    -------
    dict
        "q" (depth,): |h^l|^2/width, the mean over the setting's inputs of q. "c" (len(c0), depth): cosines between
        the first input's h^l and the others'. "chi" (depth,): |d^l|^2/|d^{l+1}|^2 of the gradient d^l = phi'(h^l)
        W^{l+1 T} d^{l+1} at the first input, started from a uniform random direction at h^{depth+1}. "gradient"
        (depth,): |d^l|^2/|d^{depth+1}|^2, their product from the top down to layer l. "xi_q" (1, depth) and "xi_c"
        (len(c0), depth): q and c once more, of which depth scales are fitted to many networks. "ntk" (1,): |g|^2/width
        of the gradient g, by all of W^2, ..., W^{depth+1}, of the component of h^{depth+1} along that direction, at the
        first input. "ntk_cosine" (len(c0),): the cosines between it and the gradients at the other inputs.
    """
    width, seed = item
    network = RandomNetwork(setting.law, width, seed)
    H = _first_layer(network, setting.q0, setting.c0).astype(setting.law.dtype, copy=False)
    states, squares, cosines = [], [], []
    for layer in range(1, setting.law.depth + 1):
        signals = H.astype(np.float64, copy=False)  # what is measured is not rounded once more
        square = np.einsum("nk,nk->k", signals, signals)
        squares.append(square[: setting.inputs_of_q].mean() / width)
        with np.errstate(divide="ignore", invalid="ignore"):  # a network that has died: 0/0 is nan, and reported
            cosines.append(signals[:, 0] @ signals[:, 1:] / np.sqrt(square[0]) / np.sqrt(square[1:]))
            if setting.lengths == "reset":
                H = (signals * np.sqrt(width * setting.q0 / square)).astype(H.dtype, copy=False)
        states.append(H)
        if layer < setting.law.depth:
            H = network.next_layer(layer, H)
    found = {"q": np.array(squares), "c": np.array(cosines).T}
    found |= {"xi_q": found["q"][None, :], "xi_c": found["c"]}
    tangent = bool(TANGENT & set(setting.quantities))
    if tangent or {"chi", "gradient"} & set(setting.quantities):
        found |= _backward(network, states, tangent)
    return {name: found[name] for name in setting.quantities}


def _first_layer(network: RandomNetwork, q0: float, c0: tuple[float, ...]) -> np.ndarray:
    """h^1 of 1 + len(c0) inputs, shape (width, inputs): exact lengths and cosines, uniform directions."""
    directions = frame(network.normals, network.width, 1 + len(c0))
    cosines = np.array(c0)
    directions[:, 1:] *= np.sqrt((1 - cosines) * (1 + cosines))
    directions[:, 1:] += directions[:, :1] * cosines
    return math.sqrt(network.width * q0) * directions


def _backward(network: RandomNetwork, states: list[np.ndarray], tangent: bool) -> dict[str, np.ndarray]:
    """chi and gradient; and ntk and ntk_cosine, from the gradients at all inputs: by W^{l+1}, d^{l+1} phi(h^l)^T."""
    if not tangent:
        states = [H[:, :1] for H in states]
    width, inputs = states[-1].shape
    D = np.repeat(frame(network.normals, width, 1).astype(network.law.dtype), inputs, axis=1)
    factors, products = np.empty(len(states)), np.empty((len(states), inputs, inputs))
    for layer in range(len(states), 0, -1):
        H = states[layer - 1]
        if tangent:
            X = network.law.phi.function(H)
            products[layer - 1] = (D.T @ D) * (X.T @ X / width)
        D = network.gradients_below(layer, H, D)
        square = np.vdot(D[:, 0].astype(np.float64, copy=False), D[:, 0])
        factors[layer - 1] = square
        # Back to a unit vector: the product over many layers would under- or overflow.
        D = D / D.dtype.type(math.sqrt(square)) if square > 0 else np.full_like(D, np.nan)
    with np.errstate(over="ignore", invalid="ignore"):  # too large for float64, or dead: reported as not finite
        gradient = np.cumprod(factors[::-1])[::-1]
        found = {"chi": factors, "gradient": gradient}
        if tangent:
            kernel = np.einsum("l,lij->ij", np.append(gradient[1:], 1.0), products)
            found["ntk"] = kernel[0, :1]
            found["ntk_cosine"] = kernel[0, 1:] / np.sqrt(kernel[0, 0] * np.diagonal(kernel)[1:])
    return found
