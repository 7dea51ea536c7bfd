"""An experiment from start to end: rates are searched, networks trained, tables made, claims judged."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from meanfield.arguments import scalar
from meanfield.errors import InvalidParameterError
from meanfield.results import Result
from meanfield.store import Store, checked_folder, held
from meanfield.sweeps import sweep
from verify.training.data import load as load_data
from verify.training.experiments.claims import Claim, judge
from verify.training.experiments.cost import predict_cost
from verify.training.experiments.evidence import Evidence
from verify.training.experiments.plan import Plan, Run
from verify.training.experiments.summary import summary_rows
from verify.training.experiments.tables import Tables, columns_of, csv_text, read_tables, tables_of
from verify.training.loop import check_progress, train
from verify.training.record import TrainingRecord, from_arrays, to_arrays

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
        Refuse the plan if one worker needs more bytes; without it, more than the machine has.
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
    if not isinstance(plan, Plan):
        raise InvalidParameterError(f"plan must be a Plan, as shipped_plan and read_plan make them, got {plan!r:.80}")
    check_progress(progress)
    place = _checked_folder(folder, resume)
    predict_cost(plan, max_memory)
    trials = plan.trials()
    tried = _records("search", plan, trials, place, resume, executor, progress)
    chosen = _best_rates(trials, tried)
    runs = plan.runs(chosen)
    records = _records("runs", plan, runs, place, resume, executor, progress)
    tables = tables_of(list(zip(trials, tried, strict=True)), list(zip(runs, records, strict=True)), chosen, plan.goal)
    found = judged(tables, plan=plan.to_dict())
    if place is not None:
        write_tables(found, place)
    return found


def _checked_folder(folder, resume: bool) -> Path | None:
    place = checked_folder(folder, resume)
    if place is not None and not resume and (place / "search").exists():
        raise held(place)
    return place


def read_experiment(folder: str | Path, *, goal: float | None = None) -> Experiment:
    """What the tables in a folder say: search.csv, runs.csv and courses.csv, as an experiment leaves them.

    Parameters
    ----------
    folder : path
    goal : float, > 0, optional
        Training loss whose time is taken, in the place of the one that the tables were made with.

    Raises
    ------
    InvalidParameterError
        A table is missing or is none.
    """
    tables = read_tables(folder)
    return judged(tables if goal is None else tables.at_goal(scalar("goal", goal, low=0.0, open_low=True)))


def judged(tables: Tables, *, plan: Mapping[str, Any] | None = None) -> Experiment:
    """The summary and the claims of tables."""
    longest = int(tables.courses["epoch"].max())
    # Numbers that a run does not have, because it diverged, are nan, and leave what is made of them undecided.
    with np.errstate(divide="ignore", invalid="ignore"):
        summary, claims = summary_rows(Evidence(tables, longest)), judge(tables, longest=longest)
    return Experiment(plan=plan or {}, summary=tuple(summary), claims=claims, tables=tables)


def write_tables(found: Experiment, folder: Path) -> None:
    """search.csv, runs.csv, courses.csv, summary.csv and claims.csv, each whole or not at all.

    Raises
    ------
    OSError
        A table cannot be written; one that was there before is still whole.
    """
    tables = {name: getattr(found.tables, name) for name in ("search", "runs", "courses")}
    tables |= {"summary": columns_of(found.summary), "claims": columns_of([claim.to_dict() for claim in found.claims])}
    for name, table in tables.items():
        _write_whole(folder / f"{name}.csv", csv_text(table))


def _write_whole(path: Path, text: str) -> None:
    fresh = path.with_name(f".{path.name}")
    try:
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise type(error)(error.errno, error.strerror, str(path)) from None  # errors of writing do not know the file


def _records(
    stage: str, plan: Plan, runs: Sequence[Run], folder: Path | None, resume: bool, executor, progress
) -> list[TrainingRecord]:
    """The records of the runs of one stage: from the folder where they are finished, else trained."""
    if folder is None:
        return [from_arrays(found) for found in sweep(_trained, runs, executor=executor, progress=progress)]
    checksum = load_data(plan.training.data, plan.training.data_path).checksum
    parameters = {"plan": plan.to_dict(), "data": checksum, "runs": [run.name for run in runs]}
    store = Store(folder / stage, function=f"experiment, {stage}", parameters=parameters, resume=resume)
    work = partial(_trained, checkpoints=folder / "checkpoints")
    return [from_arrays(found) for found in sweep(work, runs, executor=executor, progress=progress, store=store)]


def _trained(run: Run, *, checkpoints: Path | None = None) -> dict[str, Any]:
    """One run, from its checkpoint if it has one, as arrays."""
    if checkpoints is None:
        return to_arrays(train(run.config))
    folder = checkpoints / run.name
    record = train(run.config, folder=folder, resume=True)
    shutil.rmtree(folder)
    return to_arrays(record)


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
