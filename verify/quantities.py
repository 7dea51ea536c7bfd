"""The quantities that theory and simulation both know: how each is predicted, measured, labelled and compared.

A further one is a line in `QUANTITIES` and, unless it comes with others of its family, the family's two functions.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from verify.approach import Approach
from verify.decay import depth_scales_by_network
from verify.network_costs import signal_cost, spectra_cost
from verify.predictions import predict_signals
from verify.scales import FISHER, LINEAR, LOG, RATE, Scale
from verify.signals import SignalSetting, measure
from verify.spectra.traces import measure as measure_spectra
from verify.spectral_predictions import approaches_of_spectra, predict_spectra
from verify.weight_traces import measure as measure_traces, predict as predict_traces, trace_cost

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
    cost : callable
        From a SignalSetting and a width to the bytes and seconds that one network takes.
    approaches : callable
        From a SignalSetting to {name: Approach}, for those whose mean over networks needs one.
    """

    predict: Callable[[SignalSetting], dict[str, tuple[np.ndarray, np.ndarray]]]
    measure: Callable[[SignalSetting, tuple[int, np.random.SeedSequence]], dict[str, np.ndarray]]
    cost: Callable[[SignalSetting, int], tuple[float, float]]
    approaches: Callable[[SignalSetting], dict[str, Approach]] = lambda setting: {}


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
        entries of theory and simulation with equal ones belong together. Layer 0 is the network as a whole.
    family : Family
    by_default : bool
        Is it among the quantities if none are named?
    across : callable, optional
        What makes one value per network out of all networks' measured values (networks, ...), where a single network
        says too little.
    """

    meaning: str
    scale: Scale
    places: Callable[[tuple[int, ...], tuple[float, ...]], list[Place]]
    family: Family
    by_default: bool = True
    across: Callable[[np.ndarray], np.ndarray] | None = None


def one_by_layer(shape: tuple[int, ...], c0: tuple[float, ...]) -> list[Place]:
    """The places of an array (depth,)."""
    return [("", layer) for layer in range(1, shape[-1] + 1)]


def pairs_by_layer(shape: tuple[int, ...], c0: tuple[float, ...]) -> list[Place]:
    """The places of an array (len(c0), depth)."""
    return [(f"c0 = {start}", layer) for start in c0 for layer in range(1, shape[-1] + 1)]


def whole_network(shape: tuple[int, ...], c0: tuple[float, ...]) -> list[Place]:
    """The place of an array (1,): the network as a whole."""
    return [("", 0)] if shape == (1,) else []


def pairs_of_network(shape: tuple[int, ...], c0: tuple[float, ...]) -> list[Place]:
    """The places of an array (len(c0),): one for each pair of inputs, for the network as a whole."""
    return [(f"c0 = {start}", 0) for start in c0]


def moments_of_network(shape: tuple[int, ...], c0: tuple[float, ...]) -> list[Place]:
    """The places of an array (n,): moments of the network's Jacobian."""
    return [(f"k = {k}", 0) for k in range(1, shape[-1] + 1)]


SIGNALS = Family(predict=predict_signals, measure=measure, cost=signal_cost)
SPECTRA = Family(predict=predict_spectra, measure=measure_spectra, cost=spectra_cost, approaches=approaches_of_spectra)
TRACES = Family(predict=predict_traces, measure=measure_traces, cost=trace_cost)
QUANTITIES: Mapping[str, Quantity] = {
    "q": Quantity(meaning="variance of the pre-activations", scale=LOG, places=one_by_layer, family=SIGNALS),
    "c": Quantity(meaning="correlation of two inputs", scale=FISHER, places=pairs_by_layer, family=SIGNALS),
    "chi": Quantity(meaning="growth of squared gradients per layer", scale=LOG, places=one_by_layer, family=SIGNALS),
    "gradient": Quantity(
        meaning="growth of squared gradients from the top down to a layer",
        scale=LOG,
        places=one_by_layer,
        family=SIGNALS,
        by_default=False,
    ),
    "xi_q": Quantity(
        meaning="depth scale of lengths",
        scale=RATE,
        places=whole_network,
        family=SIGNALS,
        by_default=False,
        across=depth_scales_by_network,
    ),
    "xi_c": Quantity(
        meaning="depth scale of correlations",
        scale=RATE,
        places=pairs_of_network,
        family=SIGNALS,
        by_default=False,
        across=depth_scales_by_network,
    ),
    "ntk": Quantity(
        meaning="neural tangent kernel of the weights at one input, over the width",
        scale=LOG,
        places=whole_network,
        family=SIGNALS,
        by_default=False,
    ),
    "ntk_cosine": Quantity(
        meaning="cosine of the gradients by the weights at two inputs",
        scale=FISHER,
        places=pairs_of_network,
        family=SIGNALS,
        by_default=False,
    ),
    "jacobian_moment": Quantity(
        meaning="moments of J J^T's eigenvalues",
        scale=LOG,
        places=moments_of_network,
        family=SPECTRA,
        by_default=False,
    ),
    "mean_log_sigma": Quantity(
        meaning="mean logarithm of J's singular values",
        scale=LINEAR,
        places=whole_network,
        family=SPECTRA,
        by_default=False,
    ),
    "lambda_max": Quantity(
        meaning="largest eigenvalue of J J^T",
        scale=LOG,
        places=whole_network,
        family=SPECTRA,
        by_default=False,
    ),
    "trace": Quantity(
        meaning="mean diagonal of the weight matrices over sigma_w",
        scale=LINEAR,
        places=whole_network,
        family=TRACES,
        by_default=False,
    ),
}


def families(names: tuple[str, ...]) -> dict[Family, tuple[str, ...]]:
    """The families of some quantities, each with its own of them."""
    found: dict[Family, tuple[str, ...]] = {}
    for name in names:
        family = QUANTITIES[name].family
        found[family] = (*found.get(family, ()), name)
    return found
