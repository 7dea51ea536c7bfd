"""Many random networks measured: which, in what order of seeds, and when to stop."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from meanfield.store import Store
from meanfield.sweeps import sweep
from verify.approach import DIRECT, Approach
from verify.networks import network_seed
from verify.quantities import QUANTITIES, families
from verify.signals import SignalSetting
from verify.statistics import Extrapolation

__all__ = ["FIRST_ROUND", "Samples", "estimate", "measure_network", "sample", "sample_until"]

Samples = dict[str, dict[int, np.ndarray]]

# Standard errors of fewer networks say little on when to stop.
FIRST_ROUND = 16


def measure_network(setting: SignalSetting, item: tuple[int, np.random.SeedSequence]) -> dict[str, np.ndarray]:
    """All quantities of the setting on one network; `item` is its width and seed."""
    found: dict[str, np.ndarray] = {}
    for family, names in families(setting.quantities).items():
        found |= family.measure(replace(setting, quantities=names), item)
    return found


def sample(
    setting: SignalSetting,
    widths: Sequence[int],
    numbers: range,
    seed: np.random.SeedSequence,
    *,
    executor=None,
    store: Store | None = None,
) -> Samples:
    """The networks with these numbers of every width: {quantity: {width: array (networks, ...)}}.

    A network's seed follows from the common seed, its width and its number alone. In a store its place does too, so
    that earlier numbers are there already when later ones are asked for.
    """
    return _as_quantities(_measured(setting, widths, numbers, seed, executor, store))


def _measured(setting, widths, numbers, seed, executor, store) -> Samples:
    """What `measure_network` finds, without what quantities make of all networks."""
    first = numbers.start if store is None else 0
    items = [(width, network_seed(seed, width, number)) for number in range(first, numbers.stop) for width in widths]
    found = sweep(partial(measure_network, setting), items, executor=executor, store=store)
    found = found[(numbers.start - first) * len(widths) :]
    return {
        name: {
            width: np.array([each[name] for each in found[place :: len(widths)]]) for place, width in enumerate(widths)
        }
        for name in setting.quantities
    }


def sample_until(
    setting: SignalSetting,
    widths: Sequence[int],
    networks: int,
    seed: np.random.SeedSequence,
    *,
    precision: float | None = None,
    executor=None,
    store: Store | None = None,
) -> Samples:
    """`networks` networks of every width, or fewer if `precision` is reached earlier.

    Rounds double the number of networks. The rule looks at standard errors, never at the estimates, so the tests
    that follow keep their level.
    """
    if precision is None:
        return sample(setting, widths, range(networks), seed, executor=executor, store=store)
    done = min(FIRST_ROUND, networks)
    samples = _measured(setting, widths, range(done), seed, executor, store)
    while done < networks and not _is_precise(_as_quantities(samples), precision):
        more = min(2 * done, networks)
        fresh = _measured(setting, widths, range(done, more), seed, executor, store)
        samples = {
            name: {width: np.concatenate([old, fresh[name][width]]) for width, old in arrays.items()}
            for name, arrays in samples.items()
        }
        done = more
    return _as_quantities(samples)


def estimate(name: str, samples: Mapping[int, np.ndarray], approach: Approach = DIRECT) -> Extrapolation:
    """One quantity's samples extrapolated to infinite width, on its scale, less what is known of finite width."""
    return approach.extrapolated({width: QUANTITIES[name].scale.apply(array) for width, array in samples.items()})


def _as_quantities(samples: Samples) -> Samples:
    found = dict(samples)
    for name, arrays in samples.items():
        across = QUANTITIES[name].across
        if across is not None:
            found[name] = {width: across(array) for width, array in arrays.items()}
    return found


def _is_precise(samples: Samples, precision: float) -> bool:
    return all(bool(np.all(estimate(name, arrays).standard_error <= precision)) for name, arrays in samples.items())
