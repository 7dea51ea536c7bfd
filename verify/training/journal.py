"""The growing lists of a run, on their way to a `TrainingRecord` and through a checkpoint."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from verify.training.measurements import COSTS, Measurement
from verify.training.record import SERIES, TrainingRecord

__all__ = ["Journal"]

_COSTS = ("training", *COSTS)


class Journal:
    """One row an epoch: the numbers of `SERIES`, the gradient norms, and the costs."""

    def __init__(self) -> None:
        self.epochs: list[int] = []
        self.series: dict[str, list[float]] = {name: [] for name in SERIES}
        self.norms: list[np.ndarray | None] = []
        self.costs: dict[str, list[float]] = {name: [] for name in _COSTS}

    def add(self, epoch: int, cheap: Mapping[str, float], measured: Measurement | None, seconds: float) -> None:
        """The numbers of one epoch; what is missing becomes nan."""
        self.epochs.append(epoch)
        for name, values in self.series.items():
            values.append(float(cheap.get(name, getattr(measured, name, np.nan))))
        self.norms.append(None if measured is None else measured.gradient_norms)
        for name, values in self.costs.items():
            found = {} if measured is None else measured.costs
            values.append(seconds if name == "training" else found.get(name, np.nan))

    @property
    def diverged(self) -> bool:
        """Did the loss stop being finite?"""
        losses = self.series["train_loss"]
        return bool(losses) and not np.isfinite(losses[-1])

    def record(self, *, config: Mapping[str, Any], data_checksum: str, full_rank: int, layers: int) -> TrainingRecord:
        """The journal as a result; `layers` counts the read-out."""
        blank = np.full(layers, np.nan)
        return TrainingRecord(
            config=config,
            data_checksum=data_checksum,
            status="diverged" if self.diverged else "finished",
            epochs=np.array(self.epochs),
            full_rank=full_rank,
            gradient_norms=np.array([blank if norms is None else norms for norms in self.norms]),
            costs={name: np.array(values) for name, values in self.costs.items()},
            **{name: np.array(values) for name, values in self.series.items()},
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """The journal as named arrays."""
        kept = {number: norms for number, norms in enumerate(self.norms) if norms is not None}
        return {
            "epochs": np.array(self.epochs),
            "norms": np.array(list(kept.values())),
            "norms_at": np.array(list(kept)),
            **{f"series.{name}": np.array(values) for name, values in self.series.items()},
            **{f"costs.{name}": np.array(values) for name, values in self.costs.items()},
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "Journal":
        """The journal that `arrays` was made of."""
        journal = cls()
        journal.epochs = arrays["epochs"].tolist()
        journal.series = {name: arrays[f"series.{name}"].tolist() for name in journal.series}
        journal.costs = {name: arrays[f"costs.{name}"].tolist() for name in journal.costs}
        journal.norms = [None] * len(journal.epochs)
        for number, norms in zip(arrays["norms_at"].tolist(), arrays["norms"], strict=True):
            journal.norms[number] = norms
        return journal
