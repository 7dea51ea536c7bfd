"""The tables of an experiment: trials of the search, runs, and their courses; as CSV files and back."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from meanfield.errors import InvalidParameterError
from meanfield.results import Result
from verify.training.experiments.plan import Run
from verify.training.record import SERIES, TrainingRecord

__all__ = ["Tables", "columns_of", "csv_text", "epochs_to", "read_tables", "tables_of"]

Table = Mapping[str, np.ndarray]

WORDS = ("group", "status")
# What stands in the row of a run as it was before the first step.
STARTING = ("lambda_max", "condition_number", "numerical_rank", "sigma_max_jacobian")


@dataclass(frozen=True, kw_only=True, eq=False)
class Tables(Result):
    """Columns by name.

    Attributes
    ----------
    search : mapping
        One row a trial: group, q_star, rate, readout_rate, status, train_loss, chosen (0 or 1).
    runs : mapping
        One row a run: group, q_star, seed, its rates, status, the goal and epochs_to_goal (inf if never), the last
        train_loss and the best test_accuracy, and the measurements at the start, full_rank included.
    courses : mapping
        One row an epoch of a run: group, q_star, seed, epoch, and what was measured.
    """

    search: Table
    runs: Table
    courses: Table

    def at_goal(self, goal: float) -> "Tables":
        """The same runs with another goal."""
        places = zip(*(self.runs[name].tolist() for name in ("group", "q_star", "seed")), strict=True)
        times = np.array([epochs_to(goal, *self._losses(*place)) for place in places])
        runs = {**self.runs, "goal": np.full(len(times), goal), "epochs_to_goal": times}
        return Tables(search=self.search, runs=runs, courses=self.courses)

    def _losses(self, group: str, q_star: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
        table = self.courses
        rows = (table["group"] == group) & (table["q_star"] == q_star) & (table["seed"] == seed)
        return table["epoch"][rows], table["train_loss"][rows]


def epochs_to(goal: float, epochs: np.ndarray, losses: np.ndarray) -> float:
    """When the loss first falls to `goal`, its logarithm taken as straight between epochs; inf if it never does.

    Examples
    --------
    >>> epochs_to(0.1, np.array([0, 1, 2]), np.array([1.0, 0.5, 0.02]))
    1.5
    """
    below = np.flatnonzero(losses <= goal)
    if not len(below):
        return np.inf
    n = int(below[0])
    if n == 0 or losses[n] <= 0:
        return float(epochs[n])
    before, after = np.log(losses[n - 1] / goal), np.log(losses[n] / goal)
    return float(epochs[n - 1] + before / (before - after) * (epochs[n] - epochs[n - 1]))


def tables_of(
    trials: Sequence[tuple[Run, TrainingRecord]],
    runs: Sequence[tuple[Run, TrainingRecord]],
    chosen: Mapping[tuple[str, float], tuple[float, float]],
    goal: float,
) -> Tables:
    """The tables of all trials and runs."""
    return Tables(
        search=columns_of([_trial_row(run, record, chosen) for run, record in trials]),
        runs=columns_of([_run_row(run, record, goal) for run, record in runs]),
        courses=columns_of([row for run, record in runs for row in _course_rows(run, record)]),
    )


def _place(run: Run) -> dict[str, Any]:
    return {"group": run.group, "q_star": run.q_star, "seed": run.seed}


def _trial_row(run: Run, record: TrainingRecord, chosen) -> dict[str, Any]:
    rates = (run.config.rate, run.config.readout_rate)
    return {
        **_place(run),
        "rate": rates[0],
        "readout_rate": rates[1],
        "status": record.status,
        "train_loss": record.train_loss[-1],
        "chosen": int(chosen[run.group, run.q_star] == rates),
    }


def _run_row(run: Run, record: TrainingRecord, goal: float) -> dict[str, Any]:
    start = {f"{name}_start": getattr(record, name)[0] for name in STARTING}
    return {
        **_place(run),
        "rate": run.config.rate,
        "readout_rate": run.config.readout_rate,
        "status": record.status,
        "goal": goal,
        "epochs_to_goal": epochs_to(goal, record.epochs, record.train_loss),
        "train_loss": record.train_loss[-1],
        "test_accuracy": np.nanmax(record.test_accuracy),
        **start,
        "full_rank": record.full_rank,
    }


def _course_rows(run: Run, record: TrainingRecord) -> list[dict[str, Any]]:
    series = {name: getattr(record, name) for name in SERIES}
    return [
        {**_place(run), "epoch": epoch, **{name: values[number] for name, values in series.items()}}
        for number, epoch in enumerate(record.epochs.tolist())
    ]


def columns_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """Rows turned into columns; none if there are no rows."""
    return {name: np.array([row[name] for row in rows]) for name in (rows[0] if rows else {})}


def csv_text(table: Table) -> str:
    """A table as CSV, numbers to six digits; nan is an empty cell, inf reads inf."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(table)
    for row in zip(*(column.tolist() for column in table.values()), strict=True):
        writer.writerow([_cell(value) for value in row])
    return buffer.getvalue()


def _cell(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    return "" if np.isnan(value) else f"{value:.6g}"


def read_tables(folder: str | Path) -> Tables:
    """The tables in search.csv, runs.csv and courses.csv of a folder.

    Raises
    ------
    InvalidParameterError
        A file is missing, or a cell is no number where one must be.
    """
    return Tables(**{name: _read(Path(folder) / f"{name}.csv") for name in ("search", "runs", "courses")})


def _read(path: Path) -> dict[str, np.ndarray]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            header, *rows = list(csv.reader(file))
        columns = dict(zip(header, zip(*rows, strict=True), strict=True))
        return {
            name: np.array(cells) if name in WORDS else np.array([float(cell or "nan") for cell in cells])
            for name, cells in columns.items()
        }
    except OSError as error:
        raise InvalidParameterError(f"the folder must hold {path.name}: {error.strerror}") from None
    except (ValueError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidParameterError(f"{path.name} must be a table of an experiment: {error}") from None
