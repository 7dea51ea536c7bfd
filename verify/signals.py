"""Measured lengths, correlations and gradient factors, layer by layer, of random networks."""

import math
from dataclasses import dataclass

import numpy as np

from verify.networks import NetworkLaw, RandomNetwork, frame

__all__ = ["LENGTHS", "SignalSetting", "measure"]

LENGTHS = ("free", "reset")


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
    """

    law: NetworkLaw
    quantities: tuple[str, ...]
    q0: float
    c0: tuple[float, ...]
    lengths: str = "free"


def measure(setting: SignalSetting, item: tuple[int, np.random.SeedSequence]) -> dict[str, np.ndarray]:
    """The quantities of one network; `item` is its width and seed.

    Returns
    -------
    dict
        "q" (depth,): |h^l|^2/width, the mean over the inputs. "c" (len(c0), depth): cosines between the first
        input's h^l and the others'. "chi" (depth,): |d^l|^2/|d^{l+1}|^2 of the gradient d^l = phi'(h^l) W^{l+1 T}
        d^{l+1} at the first input, started from a uniform random direction at h^{depth+1}. "gradient" (depth,):
        |d^l|^2/|d^{depth+1}|^2, their product from the top down to layer l. "xi_q" (1, depth) and "xi_c"
        (len(c0), depth): q and c once more, of which depth scales are fitted to many networks.
    """
    width, seed = item
    network = RandomNetwork(setting.law, width, seed)
    pairs = setting.c0 if {"c", "xi_c"} & set(setting.quantities) else ()
    H = _first_layer(network, setting.q0, pairs).astype(setting.law.dtype, copy=False)
    states, squares, cosines = [], [], []
    for layer in range(1, setting.law.depth + 1):
        signals = H.astype(np.float64, copy=False)  # what is measured is not rounded once more
        square = np.einsum("nk,nk->k", signals, signals)
        squares.append(square.mean() / width)
        with np.errstate(divide="ignore", invalid="ignore"):  # a network that has died: 0/0 is nan, and reported
            cosines.append(signals[:, 0] @ signals[:, 1:] / np.sqrt(square[0]) / np.sqrt(square[1:]))
            if setting.lengths == "reset":
                H = (signals * np.sqrt(width * setting.q0 / square)).astype(H.dtype, copy=False)
        states.append(H[:, 0])
        if layer < setting.law.depth:
            H = network.next_layer(layer, H)
    found = {"q": np.array(squares), "c": np.array(cosines).T}
    found |= {"xi_q": found["q"][None, :], "xi_c": found["c"]}
    if {"chi", "gradient"} & set(setting.quantities):
        found["chi"] = _gradient_factors(network, states)
        with np.errstate(over="ignore"):  # a product too large for float64 is reported as not finite
            found["gradient"] = np.cumprod(found["chi"][::-1])[::-1]
    return {name: found[name] for name in setting.quantities}


def _first_layer(network: RandomNetwork, q0: float, c0: tuple[float, ...]) -> np.ndarray:
    """h^1 of 1 + len(c0) inputs, shape (width, inputs): exact lengths and cosines, uniform directions."""
    directions = frame(network.normals, network.width, 1 + len(c0))
    cosines = np.array(c0)
    directions[:, 1:] *= np.sqrt((1 - cosines) * (1 + cosines))
    directions[:, 1:] += directions[:, :1] * cosines
    return math.sqrt(network.width * q0) * directions


def _gradient_factors(network: RandomNetwork, states: list[np.ndarray]) -> np.ndarray:
    gradient = frame(network.normals, network.width, 1)[:, 0].astype(network.law.dtype)
    factors = np.empty(len(states))
    for layer in range(len(states), 0, -1):
        gradient = network.gradient_below(layer, states[layer - 1], gradient)
        square = np.vdot(gradient.astype(np.float64, copy=False), gradient)
        factors[layer - 1] = square
        # Back to a unit vector: the product over many layers would under- or overflow.
        gradient = gradient / gradient.dtype.type(math.sqrt(square)) if square > 0 else np.full_like(gradient, np.nan)
    return factors
