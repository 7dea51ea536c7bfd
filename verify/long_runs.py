"""What simulations that run long share: a folder to go on from, and a bound on the memory that they may take."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from meanfield.errors import InvalidParameterError
from meanfield.memory import refuse_memory
from meanfield.store import Store, checked_folder, identity
from verify.quantities import families
from verify.settings import plain_setting
from verify.signals import SignalSetting

__all__ = ["open_store", "predicted_cost", "refuse_large"]

# Python with numpy, scipy and numba loaded.
BYTES_OF_A_PROCESS = 250_000_000
# What Python keeps of each network beside the numbers: its seed, a dict, and an array for each quantity.
BYTES_OF_A_NETWORK = 700
BYTES_OF_AN_ARRAY = 150
LONGEST = 1e9  # seconds on one core: thirty years


def open_store(
    folder, resume: bool, *, function: str, setting: SignalSetting, seed: np.random.SeedSequence, **parameters: Any
) -> Store | None:
    """The store of a run of this setting; None without a folder."""
    place = checked_folder(folder, resume)
    if place is None:
        return None
    key = {
        **plain_setting(setting),
        "phi": identity(setting.law.phi),
        "method": setting.law.method,
        "dtype": setting.law.dtype,
        "quantities": sorted(setting.quantities),
        **parameters,
    }
    return Store(place, function=function, parameters=key, seed=seed, resume=resume)


def predicted_cost(setting: SignalSetting, widths: Sequence[int], networks: int) -> tuple[int, float]:
    """Bytes that a simulation takes, and seconds on one core; in each worker process as many bytes at most."""
    largest, seconds = 0.0, 0.0
    for family in families(setting.quantities):
        costs = [family.cost(setting, width) for width in widths]
        largest = max(largest, *(needed for needed, _ in costs))
        seconds += networks * sum(each for _, each in costs)
    entries = len(setting.quantities) * setting.law.depth * max(1, len(setting.c0))
    samples = 8 * entries * networks * len(widths)
    objects = (BYTES_OF_A_NETWORK + BYTES_OF_AN_ARRAY * len(setting.quantities)) * networks * len(widths)
    # The list of single networks, the arrays made of it, and those on another scale.
    return int(BYTES_OF_A_PROCESS + largest + 4 * samples + objects), seconds


def refuse_large(
    setting: SignalSetting, widths: Sequence[int], networks: int, max_memory: int | None, *, repeated: int = 1
) -> None:
    """Refuse a simulation that needs more than `max_memory` bytes, or the machine's, or that would never end.

    Raises
    ------
    InvalidParameterError
        With the bytes or seconds it needs.
    """
    needed, seconds = predicted_cost(setting, widths, networks)
    refuse_memory(needed, max_memory, "this simulation")
    if repeated * seconds > LONGEST:
        raise InvalidParameterError(
            "networks, widths, depth and runs must make a run that ends, got one of "
            f"{repeated * seconds:.2g} s on one core"
        )
