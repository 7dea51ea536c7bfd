"""What a run will need, in memory and in time, before it starts."""

from dataclasses import replace

import numpy as np

from meanfield.memory import refuse_memory
from verify.machine_speed import seconds_of_product
from verify.training.configuration import TrainingConfig
from verify.training.data import Sizes, load
from verify.training.parameters import Shape

__all__ = ["RUN", "fitted", "measurement_seconds", "memory_needed", "predicted_cost", "seconds_needed"]

RUN = "this run"

# Python with numpy, scipy and numba loaded and compiled.
PROCESS_BYTES = 300_000_000
# Freed memory that the process keeps to use again.
KEPT_BYTES = 40_000_000
# Copies of the parameters in memory: themselves, the layers made of them, gradients, Adam's two memories, and as many
# as there are of parameters and memories in a checkpoint while it is written.
PARAMETER_COPIES = 8
# Measured times of a step over those of its products alone, and of the forward pass over the training set.
STEP_FACTOR, EVALUATION_FACTOR = 1.3, 1.35
# Of small layers, most time goes into calling numpy: calls beside each product, and the time of one.
CALLS, SECONDS_OF_CALL = 3, 5e-6


def fitted(config: TrainingConfig, samples: int) -> TrainingConfig:
    """The settings with batches and probes of no more than all `samples` training inputs."""
    names = ("batch_size", "fisher_samples", "jacobian_samples")
    return replace(config, **{name: min(getattr(config, name), samples) for name in names})


def predicted_cost(
    config: TrainingConfig, max_memory: float | None = None, *, sizes: Sizes | None = None
) -> tuple[int, float]:
    """Bytes and seconds on one core of one run, its measurements included; with the data's `sizes` nothing is loaded.

    Raises
    ------
    InvalidParameterError
        It needs more memory than allowed, or than the machine has.
    """
    data = load(config.data, config.data_path).sizes if sizes is None else sizes
    config = fitted(config, data.train)
    shape = Shape(dim=data.dim, width=config.width, depth=config.depth, outputs=data.classes)
    needed = memory_needed(config, shape, data.train + data.test, data.itemsize)
    refuse_memory(needed, max_memory, RUN)
    measured = min(config.epochs + 1, 3 + config.epochs // config.measure_every)
    seconds = seconds_needed(config, shape, data.train) + measured * measurement_seconds(config, shape)
    return needed, seconds


def memory_needed(config: TrainingConfig, shape: Shape, samples: int, stored: int = 8) -> int:
    """Bytes that a run holds at its peak.

    `samples` training and test inputs included, each entry of `stored` bytes as it was loaded.
    """
    word = np.dtype(config.dtype).itemsize
    hidden = shape.depth * shape.width
    parameters = shape.dim * shape.width + (shape.depth - 1) * shape.width**2 + hidden + shape.outputs * shape.width
    # As they were loaded, as they are tested for being finite, and scaled.
    data = samples * shape.dim * (stored + 1 + word)
    batch = min(config.batch_size, samples)
    training = word * (PARAMETER_COPIES * parameters + 2 * batch * (hidden + shape.dim + shape.width))
    rows = config.fisher_samples * shape.outputs
    fisher = 8 * (4 * rows**2 + 2 * rows * shape.width + 2 * config.fisher_samples * hidden)
    # The tangent kernel at the start stays; a second one is made beside it.
    kernels = 8 * 3 * (config.jacobian_samples * shape.outputs) ** 2
    return int(PROCESS_BYTES + data + training + fisher + kernels + KEPT_BYTES)


def seconds_needed(config: TrainingConfig, shape: Shape, samples: int) -> float:
    """Seconds of one run without its measurements, from the time of one matrix product measured now."""
    batch = min(config.batch_size, samples)
    steps = -(-samples // batch)
    layers = shape.depth - 1 + shape.dim / shape.width
    product = seconds_of_product(batch, shape.width, shape.width, config.dtype) + CALLS * SECONDS_OF_CALL
    return config.epochs * steps * layers * 3 * product * STEP_FACTOR * EVALUATION_FACTOR


def measurement_seconds(config: TrainingConfig, shape: Shape) -> float:
    """Seconds of the costly measurements at one epoch, from the same."""
    rows = config.fisher_samples * shape.outputs
    size = min(rows, 500)
    # The eigenvalues of the Gram matrix take about as long as three products of its size.
    eigenvalues = 3 * seconds_of_product(size, size, size) * (rows / size) ** 3
    kernel_rows = config.jacobian_samples * shape.outputs
    grams = shape.depth * seconds_of_product(size, shape.width, size) * (rows**2 + kernel_rows**2) / size**2
    factors = shape.depth - 1 + max(1.0, shape.dim / shape.width)
    narrow = min(shape.dim, shape.width)
    jacobians = config.jacobian_samples * factors * seconds_of_product(shape.width, shape.width, narrow)
    return eigenvalues + grams + jacobians
