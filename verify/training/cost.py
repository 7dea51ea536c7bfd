"""What a run will need, in memory and in time, before it starts."""

import time

import numpy as np

from meanfield.errors import InvalidParameterError
from verify.training.configuration import TrainingConfig
from verify.training.parameters import Shape

__all__ = ["memory_needed", "refuse_memory", "seconds_needed"]

# Copies of the parameters in memory: themselves, the layers made of them, gradients, Adam's two memories, a step's own.
PARAMETER_COPIES = 8
# Measured times of a step over those of its products alone, and of the forward pass over the training set.
STEP_FACTOR, EVALUATION_FACTOR = 1.3, 1.35


def memory_needed(config: TrainingConfig, shape: Shape, samples: int) -> int:
    """Bytes that a run holds at its peak, `samples` training and test inputs included."""
    word = np.dtype(config.dtype).itemsize
    hidden = shape.depth * shape.width
    parameters = shape.dim * shape.width + (shape.depth - 1) * shape.width**2 + hidden + shape.outputs * shape.width
    # Scaling the inputs takes two float64 copies; afterwards one stays, in the run's own type.
    data = samples * shape.dim * (2 * 8 + word)
    batch = min(config.batch_size, samples)
    training = word * (PARAMETER_COPIES * parameters + 2 * batch * (hidden + shape.dim))
    rows = config.fisher_samples * shape.outputs
    fisher = 8 * (4 * rows**2 + 2 * rows * shape.width + 2 * config.fisher_samples * hidden)
    return int(data + training + fisher)


def refuse_memory(needed: int, most: int | None) -> None:
    """Raise if a run needs more than `most` bytes.

    Raises
    ------
    InvalidParameterError
        With both figures.
    """
    if most is not None and needed > most:
        raise InvalidParameterError(
            f"max_memory must be at least {needed / 1e9:.3g} GB for this run, got {most / 1e9:.3g} GB"
        )


def seconds_needed(config: TrainingConfig, shape: Shape, samples: int) -> float:
    """Seconds of one run without its measurements, from the time of one matrix product measured now."""
    batch = min(config.batch_size, samples)
    x = np.ones((batch, shape.width), dtype=config.dtype)
    W = np.ones((shape.width, shape.width), dtype=config.dtype)
    product = min(_seconds_of_product(x, W) for _ in range(5))
    steps = -(-samples // batch)
    layers = shape.depth - 1 + shape.dim / shape.width
    return config.epochs * steps * layers * 3 * product * STEP_FACTOR * EVALUATION_FACTOR


def _seconds_of_product(x: np.ndarray, W: np.ndarray) -> float:
    start = time.perf_counter()
    _ = x @ W
    return time.perf_counter() - start
