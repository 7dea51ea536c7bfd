"""Gaussian inputs labelled by a random network: a task that needs no data at all."""

import numpy as np

from verify.training.data.dataset import Dataset, classification

__all__ = ["load_teacher"]

DIM, CLASSES, WIDTH, TRAIN, TEST = 64, 10, 64, 2000, 500
TEACHER_SEED = 0


def load_teacher() -> Dataset:
    """x ~ N(0, I), the label is the largest output of a random network tanh(x W_1^T) W_2^T, the same every time."""
    rng = np.random.default_rng(TEACHER_SEED)
    inner = rng.standard_normal((DIM, WIDTH)) / np.sqrt(DIM)
    outer = rng.standard_normal((WIDTH, CLASSES)) / np.sqrt(WIDTH)
    inputs = rng.standard_normal((TRAIN + TEST, DIM))
    labels = np.argmax(np.tanh(inputs @ inner) @ outer, axis=1)
    return classification("teacher", (inputs[:TRAIN], labels[:TRAIN]), (inputs[TRAIN:], labels[TRAIN:]))
