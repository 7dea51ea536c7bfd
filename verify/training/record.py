"""What a training run leaves behind."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from meanfield.results import Result, json_text

__all__ = ["SERIES", "TrainingRecord", "from_arrays", "to_arrays"]

# The lists with one number an epoch; nan where it was not measured.
SERIES = (
    "train_loss",
    "test_accuracy",
    "lambda_max",
    "condition_number",
    "numerical_rank",
    "sigma_max_jacobian",
    "orthogonality_defect",
    "ntk_drift",
)


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingRecord(Result):
    """One run of training; every list has one entry for each of `epochs`, nan where a quantity was not measured.

    Attributes
    ----------
    config : dict
        The settings, sigma_w and sigma_b included.
    data_checksum : str
        SHA-256 of the data as they were loaded.
    status : "finished" or "diverged"
        Diverged: the loss was no longer finite at the last epoch.
    epochs : array of int
        0, before the first step, and every epoch since.
    train_loss : array
        Mean over the whole training set.
    test_accuracy : array
        Share of the test set whose largest output is the label.
    lambda_max : array
        Largest eigenvalue of the model's Fisher information on the probe, by all weights and biases.
    condition_number : array
        lambda_max over the smallest eigenvalue that stands out from rounding: a lower bound where `numerical_rank` is
        below `full_rank`.
    numerical_rank : array
        How many eigenvalues stand out from rounding.
    full_rank : int
        How many can be other than zero: samples x outputs, or samples x (outputs - 1) for softmax.
    sigma_max_jacobian : array
        Largest singular value of dx^L/dx^0, mean over the fixed inputs.
    orthogonality_defect : array
        max |M^T M - I| over the hidden weights, W = |scale| M or its transpose.
    ntk_drift : array
        |K - K_0|/|K_0| in Frobenius norm, K the tangent kernel of the outputs on the fixed inputs, K_0 its start.
    gradient_norms : array (epochs, depth + 1)
        |dLoss/dW| of every layer and the read-out, on the probe.
    costs : dict
        Seconds, of training and of each measurement, by epoch. They are outside the promise of equal bits.
    """

    config: Mapping[str, Any]
    data_checksum: str
    status: str
    epochs: np.ndarray
    train_loss: np.ndarray
    test_accuracy: np.ndarray
    lambda_max: np.ndarray
    condition_number: np.ndarray
    numerical_rank: np.ndarray
    full_rank: int
    sigma_max_jacobian: np.ndarray
    orthogonality_defect: np.ndarray
    ntk_drift: np.ndarray
    gradient_norms: np.ndarray
    costs: Mapping[str, np.ndarray]


def to_arrays(record: TrainingRecord) -> dict[str, np.ndarray]:
    """The record as named arrays that need no pickle."""
    words = {"config": dict(record.config), "data_checksum": record.data_checksum, "status": record.status}
    arrays = {name: getattr(record, name) for name in (*SERIES, "epochs", "gradient_norms")}
    arrays |= {f"costs.{name}": values for name, values in record.costs.items()}
    return {**arrays, "full_rank": np.array(record.full_rank), "words": np.array(json_text(words, indent=None))}


def from_arrays(arrays: Mapping[str, np.ndarray]) -> TrainingRecord:
    """The record that `to_arrays` took apart."""
    prefix = "costs."
    words: dict[str, Any] = json.loads(str(arrays["words"]))
    series: dict[str, Any] = {name: arrays[name] for name in (*SERIES, "epochs", "gradient_norms")}
    costs = {name.removeprefix(prefix): values for name, values in arrays.items() if name.startswith(prefix)}
    return TrainingRecord(**words, **series, full_rank=int(arrays["full_rank"]), costs=costs)
