"""What single precision does to measured values: the same networks, with the same draws, in both."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from verify.quantities import QUANTITIES
from verify.sampling import Samples, sample
from verify.signals import SignalSetting

__all__ = ["NETWORKS", "drift"]

NETWORKS = 4  # of each width, that are simulated twice


def drift(
    setting: SignalSetting, widths: Sequence[int], samples: Samples, seed: np.random.SeedSequence
) -> dict[str, np.ndarray]:
    """How far the first networks of `samples` are from themselves in float64 at most, on each quantity's scale.

    Nothing for networks that are in float64. Draws are the same, rounded; what differs is the rounding of weights,
    signals and products.
    """
    if setting.law.dtype == "float64":
        return {}
    exact = replace(setting, law=replace(setting.law, dtype="float64"))
    found = {}
    for name, arrays in sample(exact, widths, range(NETWORKS), seed).items():
        apply = QUANTITIES[name].scale.apply
        pairs = [(samples[name][width][:NETWORKS], arrays[width]) for width in widths]
        apart = [np.abs(apply(single) - apply(double[: len(single)])) for single, double in pairs]
        found[name] = np.concatenate(apart).max(axis=0)
    return found
