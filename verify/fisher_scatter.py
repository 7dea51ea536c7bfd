"""lambda_max of the Fisher information against the Jacobian's largest singular value, network by network."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from meanfield.arguments import integer, seed_sequence
from meanfield.memory import refuse_memory
from meanfield.results import Result
from meanfield.store import Store, checked_folder
from meanfield.sweeps import sweep
from verify.curvature import sigma_max_jacobian, top_eigenvalues
from verify.curvature_blocks import layerwise_bound
from verify.fisher_networks import MEASURED, FisherSetting, children, draw_network, predicted_memory
from verify.intervals import correlation_over_seeds, pearson
from verify.machine_speed import seconds_of_product

__all__ = ["CurvatureScatter", "curvature_scatter", "predicted_seconds"]

JACOBIAN_INPUTS = 30
FEWEST_SEEDS, FEWEST_PAIRS = 3, 4  # of a correlation and its interval
# Lanczos iterations take about that many products; each is a backward and a forward pass with its weight gradients.
_PRODUCTS = 24
_FIELDS = ("lambda_max", "error", "sigma_max_squared", "layerwise")


@dataclass(frozen=True, kw_only=True, eq=False)
class CurvatureScatter(Result):
    """One entry for each network, in the order of the settings and then of the networks.

    Attributes
    ----------
    setting : array (n,)
        Which of the settings it was drawn from.
    lambda_max : array (n,)
        Of the Fisher information.
    error : array (n,)
        Bound on the numerical error of lambda_max.
    sigma_max_squared : array (n,)
        Square of the largest singular value of the Jacobian of the outputs by the input, its mean over at most 30
        inputs.
    layerwise : array (n,)
        The layerwise bound on lambda_max, evaluated on the network.
    """

    setting: np.ndarray
    lambda_max: np.ndarray
    error: np.ndarray
    sigma_max_squared: np.ndarray
    layerwise: np.ndarray

    def pearson(self, settings: Sequence[int]) -> tuple[float, float, float]:
        """Correlation of lambda_max and sigma_max_squared over the networks of these settings, with its 95 % interval.

        The interval is for other seeds in the same settings: the delete-one jackknife over seeds, since networks of one
        setting form a cluster. All nan with fewer than three networks of a setting, or four in all.
        """
        chosen = np.isin(self.setting, list(settings))
        x, y = (values[chosen].reshape(len(settings), -1) for values in (self.sigma_max_squared, self.lambda_max))
        if x.shape[1] < FEWEST_SEEDS or x.size < FEWEST_PAIRS:
            return math.nan, math.nan, math.nan
        found = correlation_over_seeds(pearson, x, y)
        return found.mean, found.low, found.high


def curvature_scatter(
    settings: Sequence[FisherSetting], *, networks, seed=0, folder=None, resume=False, executor=None
) -> CurvatureScatter:
    """Measure `networks` random networks of each setting.

    Parameters
    ----------
    settings : sequence of FisherSetting
        From `fisher_setting`.
    networks : int, >= 1
        Of each setting. Network i has the same seed in every setting.
    seed : int or SeedSequence
    folder : path, optional
        Where each network's numbers are kept.
    resume : bool
        Go on with what is in the folder.
    executor : concurrent.futures.Executor, optional
        It does not change a bit.

    Returns
    -------
    CurvatureScatter

    Raises
    ------
    InvalidParameterError
        The folder holds something else, or another run; a network does not fit into the machine's memory.

    Examples
    --------
    >>> from verify import fisher_setting
    >>> settings = [
    ...     fisher_setting("tanh", 1.0 + sigma_b, sigma_b, width=20, depth=2, samples=10, outputs=2)
    ...     for sigma_b in (0.1, 0.5)
    ... ]
    >>> found = curvature_scatter(settings, networks=4)
    >>> bool((found.lambda_max <= found.layerwise).all())
    True
    """
    count = integer("networks", networks, low=1)
    for setting in settings:
        refuse_memory(predicted_memory(setting, count * len(settings)), None, MEASURED)
    root = seed_sequence(seed)
    seeds = children(root, count)
    items = [(setting, child) for setting in settings for child in seeds]
    store, place = None, checked_folder(folder, resume)
    if place is not None:
        parameters = {"networks": len(seeds), "settings": [_described(setting) for setting in settings]}
        store = Store(place, function="curvature_scatter", parameters=parameters, seed=root, resume=resume)
    rows = np.array(sweep(_measure, items, executor=executor, store=store))
    return CurvatureScatter(
        setting=np.repeat(np.arange(len(settings)), len(seeds)), **dict(zip(_FIELDS, rows.T, strict=True))
    )


def predicted_seconds(settings: Sequence[FisherSetting], networks: int) -> float:
    """Rough time of `curvature_scatter` on one core, from the number of operations and the speed of this machine."""
    rate = 2 * 1000 * 400 * 400 / seconds_of_product(1000, 400, 400)
    return networks * sum(map(_operations, settings)) / rate


def _operations(setting: FisherSetting) -> float:
    weights = sum(a * b for a, b in zip(setting.widths[:-1], setting.widths[1:], strict=True))
    per_sample = 2.0 * weights
    products = 4 * _PRODUCTS * setting.samples * per_sample
    backward = setting.widths[-1] * (setting.samples + JACOBIAN_INPUTS) * per_sample
    return products + backward


def _described(setting: FisherSetting) -> dict[str, Any]:
    """The setting for the key of a run."""
    fields = {field.name: getattr(setting, field.name) for field in dataclasses.fields(setting)}
    return {**fields, "phi": setting.phi.name}


def _measure(item: tuple[FisherSetting, np.random.SeedSequence]) -> list[float]:
    setting, seed = item
    layers, X = draw_network(setting, seed)
    top = top_eigenvalues(layers, setting.phi, X, output=setting.output)
    norms = sigma_max_jacobian(layers, setting.phi, X[:JACOBIAN_INPUTS], of="outputs")
    bound = layerwise_bound(layers, setting.phi, X, output=setting.output)
    return [float(top.values[0]), float(top.errors[0]), float(np.mean(norms**2)), bound.value]
