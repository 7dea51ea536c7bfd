"""The Fisher information of many random networks at random or given inputs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from meanfield.arguments import choice, integer, interval, scalar, seed_sequence
from meanfield.errors import InvalidParameterError
from meanfield.expressions import as_nonlinearity
from meanfield.memory import refuse_memory
from meanfield.nonlinearity import Nonlinearity
from meanfield.results import Result
from meanfield.sweeps import sweep
from meanfield.weights import ENSEMBLES, ensemble
from verify.curvature import fisher_eigenvalues, top_eigenvalues
from verify.curvature_blocks import layerwise_bound
from verify.linearization import KEEP_BOTH, KEEP_STATES, OUTPUTS, Layers

__all__ = [
    "MEASURED",
    "FisherOutliers",
    "FisherSetting",
    "children",
    "draw_inputs",
    "draw_layers",
    "draw_network",
    "fisher_outliers",
    "fisher_setting",
    "fisher_spectrum",
    "predicted_memory",
]

MEASURED = "the Fisher information of such networks"
BYTES_OF_A_SEED = 500
LANCZOS_BLOCKS = 30  # the basis and its images, in blocks of as many vectors as there are outliers


@dataclass(frozen=True, kw_only=True, eq=False)
class FisherSetting:
    """What a random network and its inputs are drawn from; `fisher_setting` checks it.

    Attributes
    ----------
    widths : tuple of int
        Of the input, the hidden layers and the output.
    inputs : array (samples, widths[0]), optional
        The same for all networks; without them every network has its own, of |x|^2/dimension = input_norm and mean
        overlap `overlap`.
    """

    phi: Nonlinearity
    sigma_w: float
    sigma_b: float
    widths: tuple[int, ...]
    samples: int
    input_norm: float = 1.0
    overlap: float = 0.0
    weights: str = "gaussian"
    output: str = "linear"
    inputs: np.ndarray | None = None

    @property
    def columns(self) -> int:
        """Rows of the Gram matrix of each input: the outputs, or one less for softmax."""
        return self.widths[-1] - (self.output == "softmax")


def fisher_setting(
    phi,
    sigma_w,
    sigma_b,
    *,
    width,
    depth,
    samples,
    outputs=1,
    input_norm=1.0,
    overlap=0.0,
    weights="gaussian",
    output="linear",
    inputs=None,
) -> FisherSetting:
    """A FisherSetting from the arguments of `fisher_spectrum`; `inputs` decide samples and the input's width.

    Raises
    ------
    InvalidParameterError
        An argument is outside its range.
    """
    layers = integer("depth", depth, low=1)
    if isinstance(width, Sequence | np.ndarray) and not isinstance(width, str):
        sizes = [integer("each of width", each, low=1) for each in width]
        if len(sizes) != layers + 1:
            raise InvalidParameterError(
                f"width must be one integer or one for the input and each of {layers} hidden layers, got {len(sizes)}"
            )
    else:
        sizes = [integer("width", width, low=1)] * (layers + 1)
    lowest = 1 if choice("output", output, OUTPUTS) == "linear" else 2
    X = None
    if inputs is not None:
        X = interval("inputs", inputs)
        if X.ndim != 2:
            raise InvalidParameterError(f"inputs must have shape (samples, dimension), got {X.shape}")
        samples, sizes[0] = X.shape
    return FisherSetting(
        phi=as_nonlinearity(phi),
        sigma_w=scalar("sigma_w", sigma_w, low=0.0, open_low=True),
        sigma_b=scalar("sigma_b", sigma_b, low=0.0),
        widths=(*sizes, integer("outputs", outputs, low=lowest)),
        samples=integer("samples", samples, low=1),
        input_norm=scalar("input_norm", input_norm, low=0.0, open_low=True),
        overlap=scalar("overlap", overlap, low=0.0, high=1.0),
        weights=choice("weights", weights, ENSEMBLES),
        output=output,
        inputs=X,
    )


def fisher_spectrum(
    phi,
    sigma_w,
    sigma_b,
    *,
    width,
    depth,
    samples,
    networks,
    outputs=1,
    input_norm=1.0,
    overlap=0.0,
    weights="gaussian",
    output="linear",
    seed=0,
    executor=None,
) -> np.ndarray:
    """Non-zero spectra of the Fisher information of random networks, all parameters counted, biases included.

    Parameters
    ----------
    phi : str or Nonlinearity
    sigma_w : float, > 0
    sigma_b : float, >= 0
    width : int or sequence of int (depth + 1,)
        Of the input and the hidden layers; one number for all.
    depth : int, >= 1
        Hidden layers; a linear read-out of the same law follows.
    samples, networks, outputs : int, >= 1
    input_norm : float, > 0
        |x|^2/dimension of every input, exactly.
    overlap : float, in [0, 1]
        x.y/(|x||y|) of two inputs: of its mean, with a spread of (1 - overlap)/sqrt(dimension).
    weights : "gaussian" or "orthogonal"
    output : "linear" or "softmax"
    seed : int or SeedSequence
    executor : concurrent.futures.Executor, optional
        It does not change a bit.

    Returns
    -------
    array (networks, samples*k)
        Each row in falling order; k = outputs, or outputs - 1 for softmax.

    Raises
    ------
    InvalidParameterError
        An argument is outside its range.
        Or a network does not fit into the machine's memory.
    NonlinearityError
        phi cannot be used.

    Notes
    -----
    G = (1/samples) sum_t J_t^T H_t J_t through its Gram matrix of size samples*k (`verify.curvature`).

    Examples
    --------
    >>> spectra = fisher_spectrum("tanh", 1.2, 0.1, width=30, depth=3, samples=8, outputs=2, networks=4)
    >>> spectra.shape
    (4, 16)
    """
    setting = fisher_setting(
        phi,
        sigma_w,
        sigma_b,
        width=width,
        depth=depth,
        samples=samples,
        outputs=outputs,
        input_norm=input_norm,
        overlap=overlap,
        weights=weights,
        output=output,
    )
    count = integer("networks", networks, low=1)
    gram = 24.0 * (setting.samples * setting.columns) ** 2
    refuse_memory(predicted_memory(setting, count) + gram, None, MEASURED)
    seeds = children(seed_sequence(seed), count)
    return np.array(sweep(partial(_spectrum, setting), seeds, executor=executor))


@dataclass(frozen=True, kw_only=True, eq=False)
class FisherOutliers(Result):
    """The largest eigenvalues of the Fisher information of random networks, and bounds on each network's largest.

    Attributes
    ----------
    outliers : array (networks, k)
        k = outputs, or outputs - 1 for softmax, or one less than all non-zero ones; descending.
    layerwise, product_form : array (networks,)
        Of `layerwise_bound`.
    """

    outliers: np.ndarray
    layerwise: np.ndarray
    product_form: np.ndarray


def fisher_outliers(setting: FisherSetting, *, networks, seed=0, executor=None) -> FisherOutliers:
    """The k largest eigenvalues of each of `networks` random networks, by Lanczos iterations; and the bounds.

    Raises
    ------
    InvalidParameterError
        Fewer than two non-zero eigenvalues; a network does not fit into the machine's memory.

    Examples
    --------
    >>> setting = fisher_setting("tanh", 1.2, 0.1, width=30, depth=3, samples=8, outputs=2)
    >>> found = fisher_outliers(setting, networks=3)
    >>> bool((found.outliers[:, 0] <= found.layerwise).all())
    True
    """
    count = integer("networks", networks, low=1)
    basis = 8.0 * LANCZOS_BLOCKS * setting.samples * setting.columns**2
    refuse_memory(predicted_memory(setting, count) + basis, None, MEASURED)
    seeds = children(seed_sequence(seed), count)
    found = sweep(partial(_outliers, setting), seeds, executor=executor)
    outliers, bounds = zip(*found, strict=True)
    layerwise, product_form = np.array(bounds).T
    return FisherOutliers(outliers=np.array(outliers), layerwise=layerwise, product_form=product_form)


def _outliers(setting: FisherSetting, seed: np.random.SeedSequence) -> tuple[np.ndarray, tuple[float, float]]:
    layers, X = draw_network(setting, seed)
    columns = setting.columns
    if columns * setting.samples < 2:
        raise InvalidParameterError(f"samples must be >= 2 for a single output, got {setting.samples}")
    count = min(columns, columns * setting.samples - 1)
    top = top_eigenvalues(layers, setting.phi, X, output=setting.output, count=count)
    bound = layerwise_bound(layers, setting.phi, X, output=setting.output)
    return top.values, (bound.value, bound.product_form)


def _spectrum(setting: FisherSetting, seed: np.random.SeedSequence) -> np.ndarray:
    layers, X = draw_network(setting, seed)
    return fisher_eigenvalues(layers, setting.phi, X, output=setting.output)


def predicted_memory(setting: FisherSetting, networks: int) -> float:
    """Bytes that networks take, measured one after the other by Lanczos iterations.

    Weights, a direction and its gradients; activations as far as they are kept; the gradients of all outputs at one
    layer; roots of the output Hessians; second moments of a layer's activations; and the process itself. Of the other
    networks, seeds and numbers.
    """
    T, k, widest = setting.samples, setting.columns, max(setting.widths[:-1])
    weights = sum(a * b for a, b in zip(setting.widths[:-1], setting.widths[1:], strict=True))
    states = 8.0 * T * sum(setting.widths[1:-1])
    kept = 2 * states if 2 * states <= KEEP_BOTH else min(states, KEEP_STATES)
    layer = 2 * T * k * (widest + setting.widths[-1]) + min(T, widest) ** 2 + 2 * T * widest
    return 8.0 * (3 * weights + layer) + kept + 2e8 + networks * (BYTES_OF_A_SEED + 8.0 * setting.columns)


def children(seed: np.random.SeedSequence, count: int) -> list[np.random.SeedSequence]:
    """The first `count` children of a seed, the same ones at every call."""
    return np.random.SeedSequence(seed.entropy, spawn_key=seed.spawn_key, pool_size=seed.pool_size).spawn(count)


def draw_network(setting: FisherSetting, seed: np.random.SeedSequence) -> tuple[Layers, np.ndarray]:
    """One network and its inputs (samples, dimension)."""
    own, data = children(seed, 2)
    layers = draw_layers(setting, np.random.default_rng(own))
    if setting.inputs is not None:
        return layers, setting.inputs
    rng = np.random.default_rng(data)
    return layers, draw_inputs(rng, setting.samples, setting.widths[0], setting.input_norm, setting.overlap)


def draw_layers(setting: FisherSetting, rng: np.random.Generator) -> Layers:
    """Weights and biases of one network, the read-out included."""
    law = ensemble(setting.weights)
    return [
        (law.sample(rng, fan_out, fan_in, setting.sigma_w), setting.sigma_b * rng.standard_normal(fan_out))
        for fan_in, fan_out in zip(setting.widths[:-1], setting.widths[1:], strict=True)
    ]


def draw_inputs(
    rng: np.random.Generator, samples: int, dimension: int, input_norm: float, overlap: float
) -> np.ndarray:
    """Inputs (samples, dimension) with exact lengths, a common component of weight `overlap`, the rest uniform."""
    if dimension == 1:
        return np.full((samples, 1), math.sqrt(input_norm))
    draws = rng.standard_normal((samples + 1, dimension))
    common = draws[0] / np.linalg.norm(draws[0])
    own = draws[1:] - np.outer(draws[1:] @ common, common)
    own /= np.linalg.norm(own, axis=1, keepdims=True)
    return math.sqrt(dimension * input_norm) * (math.sqrt(overlap) * common + math.sqrt(1 - overlap) * own)
