"""Losses of a network's outputs, as means over a batch: value, gradient, and what they call a hit."""

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

from meanfield.arguments import choice

__all__ = ["LOSSES", "CrossEntropy", "Loss", "SquaredError", "loss_named"]


class Loss(ABC):
    """A loss of outputs (batch, classes) against targets (batch, classes), such as one-hot rows.

    Attributes
    ----------
    name : str
        What users call it.
    output : str
        The output law it is the -log p of, as the Fisher information calls it: "softmax" or "linear".
    """

    name: ClassVar[str]
    output: ClassVar[str]

    @abstractmethod
    def value(self, outputs: np.ndarray, targets: np.ndarray) -> float:
        """The mean loss over the batch."""

    @abstractmethod
    def gradient(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Its derivative by the outputs, shape (batch, classes)."""


class CrossEntropy(Loss):
    """-sum_k y_k log softmax(g)_k for targets y that sum to one; the gradient of the mean is (softmax(g) - y)/batch.

    Examples
    --------
    >>> round(CrossEntropy().value(np.zeros((1, 2)), np.array([[1.0, 0.0]])), 12)
    0.69314718056
    """

    name = "cross_entropy"
    output = "softmax"

    def value(self, outputs, targets):
        shifted = outputs - outputs.max(axis=1, keepdims=True)
        likelihood = (targets * shifted).sum(axis=1) - np.log(np.exp(shifted).sum(axis=1))
        return -float(likelihood.mean(dtype=np.float64))

    def gradient(self, outputs, targets):
        # Shifted by the largest output, so that exp cannot overflow.
        weights = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        weights /= weights.sum(axis=1, keepdims=True)
        weights -= targets
        weights /= len(outputs)
        return weights


class SquaredError(Loss):
    """|g - y|^2/2; the gradient of the mean is (g - y)/batch.

    Examples
    --------
    >>> SquaredError().value(np.array([[1.0, 2.0]]), np.array([[0.0, 0.0]]))
    2.5
    """

    name = "squared"
    output = "linear"

    def value(self, outputs, targets):
        return 0.5 * float(np.square(outputs - targets).sum(axis=1).mean(dtype=np.float64))

    def gradient(self, outputs, targets):
        return (outputs - targets) / len(outputs)


LOSSES: dict[str, Loss] = {loss.name: loss for loss in (CrossEntropy(), SquaredError())}


def loss_named(name: str) -> Loss:
    """The loss named "cross_entropy" or "squared".

    Raises
    ------
    InvalidParameterError
        Another name.
    """
    return LOSSES[choice("loss", name, LOSSES)]
