"""The quantities that theory and simulation both know: how each is predicted, measured, labelled and compared.

A further one is a line in `QUANTITIES` and, unless it comes with others of its family, the family's two functions.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from verify.predictions import predict_signals
from verify.scales import FISHER, LOG, Scale
from verify.signals import SignalSetting, measure

__all__ = ["QUANTITIES", "Family", "Place", "Quantity", "families", "one_by_layer", "pairs_by_layer"]

Place = tuple[str, int]


@dataclass(frozen=True, kw_only=True)
class Family:
    """Quantities that are predicted together and measured on the same networks.

    Attributes
    ----------
    predict : callable
        From a SignalSetting to {name: (value, error bound)}.
    measure : callable
        From a SignalSetting and a pair (width, seed) to {name: value}, for one network.
    """

    predict: Callable[[SignalSetting], dict[str, tuple[np.ndarray, np.ndarray]]]
    measure: Callable[[SignalSetting, tuple[int, np.random.SeedSequence]], dict[str, np.ndarray]]


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """One quantity: an array per network, of which every entry is checked.

    Attributes
    ----------
    meaning : str
        What it is, in a few words.
    scale : Scale
        Where it is averaged, extrapolated and compared.
    places : callable
        From the shape of one network's array, and c0, to a (label, layer) for every entry, in the array's order;
        entries of theory and simulation with equal ones belong together.
    family : Family
    """

    meaning: str
    scale: Scale
    places: Callable[[tuple[int, ...], tuple[float, ...]], list[Place]]
    family: Family


def one_by_layer(shape: tuple[int, ...], c0: tuple[float, ...]) -> list[Place]:
    """The places of an array (depth,)."""
    return [("", layer) for layer in range(1, shape[-1] + 1)]


def pairs_by_layer(shape: tuple[int, ...], c0: tuple[float, ...]) -> list[Place]:
    """The places of an array (len(c0), depth)."""
    return [(f"c0 = {start}", layer) for start in c0 for layer in range(1, shape[-1] + 1)]


SIGNALS = Family(predict=predict_signals, measure=measure)
QUANTITIES: Mapping[str, Quantity] = {
    "q": Quantity(meaning="variance of the pre-activations", scale=LOG, places=one_by_layer, family=SIGNALS),
    "c": Quantity(meaning="correlation of two inputs", scale=FISHER, places=pairs_by_layer, family=SIGNALS),
    "chi": Quantity(meaning="growth of squared gradients per layer", scale=LOG, places=one_by_layer, family=SIGNALS),
}


def families(names: tuple[str, ...]) -> dict[Family, tuple[str, ...]]:
    """The families of some quantities, each with its own of them."""
    found: dict[Family, tuple[str, ...]] = {}
    for name in names:
        family = QUANTITIES[name].family
        found[family] = (*found.get(family, ()), name)
    return found
