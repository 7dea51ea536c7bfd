"""An experiment from start to end: rates are searched, networks trained, tables made, claims judged."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from meanfield.errors import InvalidParameterError
from meanfield.results import Result
from meanfield.sweeps import sweep
from verify.training.cost import refuse_memory
from verify.training.data import load as load_data
from verify.training.experiments.claims import Claim, judge
from verify.training.experiments.cost import predict_cost
from verify.training.experiments.evidence import Evidence
from verify.training.experiments.plan import Plan, Run
from verify.training.experiments.summary import summary_rows
from verify.training.experiments.tables import Tables, columns_of, csv_text, read_tables, tables_of
from verify.training.loop import train
from verify.training.record import TrainingRecord, from_arrays, to_arrays
from verify.training.storage import load, run_key, save, save_text

__all__ = ["Experiment", "experiment", "judged", "read_experiment", "write_tables"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Experiment(Result):
    """What an experiment found.

    Attributes
    ----------
    plan : dict
        Its settings; empty if only its tables are known.
    summary : tuple of dict
        One row for each group and length: see `summary_rows`.
    claims : tuple of Claim
        Empty if the plan leaves out a group that they need.
    tables : Tables
        Every trial, run and epoch.
    """

    plan: Mapping[str, Any]
    summary: tuple[Mapping[str, Any], ...]
    claims: tuple[Claim, ...]
    tables: Tables


def experiment(
    plan: Plan,
    *,
    folder: str | Path | None = None,
    resume: bool = False,
    max_memory: int | None = None,
    executor=None,
    progress: Callable[[int, int], object] | None = None,
) -> Experiment:
    """Search rates for every group and length, train every network of the grid, and judge the claims.

    Parameters
    ----------
    plan : Plan
    folder : path, optional
        Where every finished run is kept, with checkpoints of those under way, and at the end the tables as CSV.
    resume : bool
        Go on with the runs that `folder` lacks, to the same bits as if there had been no break.
    max_memory : int, optional
        Refuse the plan if one worker needs more bytes.
    executor : concurrent.futures.Executor, optional
        Runs are shared out to it; the numbers do not depend on it.
    progress : callable, optional
        Called as ``progress(done, total)``, in runs, in each of the two stages.

    Returns
    -------
    Experiment
        Runs that diverge are rows like all others.

    Raises
    ------
    InvalidParameterError
        `folder` holds another experiment, or this one and `resume` was not asked for; the plan needs too much memory.
    OSError
        A file cannot be written; what was written before is still whole.

    Notes
    -----
    Every group and length is given the same trials: all pairs of rates, on one network that the grid does not use.

    References
    ----------
    .. [1] P. A. Sokol, I. M. Park, arXiv:1810.03785, section 4.
    """
    refuse_memory(predict_cost(plan).bytes_each, max_memory)
    place = None if folder is None else _claimed(Path(folder), plan, resume)
    work = partial(_task, place)
    trials = plan.trials()
    tried = sweep(work, trials, executor=executor, progress=progress)
    chosen = _best_rates(trials, tried)
    runs = plan.runs(chosen)
    records = sweep(work, runs, executor=executor, progress=progress)
    tables = tables_of(list(zip(trials, tried, strict=True)), list(zip(runs, records, strict=True)), chosen, plan.goal)
    found = judged(tables, plan=plan.to_dict())
    if place is not None:
        write_tables(found, place)
    return found


def read_experiment(folder: str | Path) -> Experiment:
    """What the tables in a folder say: search.csv, runs.csv and courses.csv, as an experiment leaves them.

    Raises
    ------
    InvalidParameterError
        A table is missing or is none.
    """
    return judged(read_tables(folder))


def judged(tables: Tables, *, plan: Mapping[str, Any] | None = None) -> Experiment:
    """The summary and the claims of tables."""
    longest = int(tables.courses["epoch"].max())
    # Numbers that a run does not have, because it diverged, are nan, and leave what is made of them undecided.
    with np.errstate(divide="ignore", invalid="ignore"):
        summary, claims = summary_rows(Evidence(tables, longest)), judge(tables, longest=longest)
    return Experiment(plan=plan or {}, summary=tuple(summary), claims=claims, tables=tables)


def write_tables(found: Experiment, folder: Path) -> None:
    """search.csv, runs.csv, courses.csv, summary.csv and claims.csv."""
    tables = {name: getattr(found.tables, name) for name in ("search", "runs", "courses")}
    tables |= {"summary": columns_of(found.summary), "claims": columns_of([claim.to_dict() for claim in found.claims])}
    for name, table in tables.items():
        save_text(folder / f"{name}.csv", csv_text(table))


def _claimed(folder: Path, plan: Plan, resume: bool) -> Path:
    """The folder, marked as that of this plan."""
    (folder / "tasks").mkdir(parents=True, exist_ok=True)
    checksum = load_data(plan.training.data, plan.training.data_path).checksum
    key = run_key(function="experiment", plan=plan.to_dict(), data_checksum=checksum)
    mark = folder / "plan.npz"
    if mark.exists() and not resume:
        raise InvalidParameterError(f"folder must hold no experiment unless it is to be resumed, got {folder.name!r}")
    if load(mark, key) is None:
        save(mark, key, {})
    return folder


def _task(folder: Path | None, run: Run) -> TrainingRecord:
    """One run: read from the folder if it is finished there, else trained, from its checkpoint if it has one."""
    if folder is None:
        return train(run.config)
    path, checkpoint = folder / "tasks" / f"{run.name}.npz", folder / "tasks" / run.name
    key = run_key(function="experiment", config=run.config.to_dict())
    if (arrays := load(path, key)) is not None:
        return from_arrays(arrays)
    record = train(run.config, folder=checkpoint, resume=True)
    save(path, key, to_arrays(record))
    (checkpoint / "checkpoint.npz").unlink(missing_ok=True)
    checkpoint.rmdir()
    return record


def _best_rates(
    trials: Sequence[Run], records: Sequence[TrainingRecord]
) -> dict[tuple[str, float], tuple[float, float]]:
    """For each group and length the rates whose trial ended at the lowest training loss; the first of equals."""
    best: dict[tuple[str, float], tuple[float, tuple[float, float]]] = {}
    for run, record in zip(trials, records, strict=True):
        loss = float(record.train_loss[-1])
        loss = loss if np.isfinite(loss) else np.inf
        place = (run.group, run.q_star)
        if place not in best or loss < best[place][0]:
            best[place] = (loss, (run.config.rate, run.config.readout_rate))
    return {place: rates for place, (_, rates) in best.items()}
