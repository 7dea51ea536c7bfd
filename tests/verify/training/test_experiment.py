"""Experiments: plans, intervals, tables, verdicts, and a grid that can be broken off at any point."""

import csv
import errno
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import verify
from meanfield.errors import InvalidParameterError
from verify.training.configuration import TrainingConfig
from verify.training.experiments.claims import CURVED
from verify.training.experiments.cost import predict_cost
from verify.training.experiments.experiment import experiment, judged, write_tables
from verify.training.experiments.plan import GROUPS, Plan, read_plan, shipped_plan
from verify.training.experiments.tables import csv_text, read_tables
from verify.training.record import from_arrays, to_arrays

TINY = Plan(
    groups=("euclidean", "stiefel", "oblique"),
    q_star=(1 / 64, 0.5),
    seeds=2,
    goal=2.0,
    rates=(1e-3, 1e200),
    readout_rates=(0.01,),
    search_epochs=1,
    training=TrainingConfig(
        data="teacher", depth=2, width=12, epochs=2, batch_size=500, measure_every=5, fisher_samples=6,
        jacobian_samples=2, loss="squared", optimiser="sgd",
    ),
)  # fmt: skip


def same(one, other):
    return all(
        np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
        for name in ("search", "runs", "courses")
        for a, b in zip(getattr(one, name).values(), getattr(other, name).values(), strict=True)
    )


@pytest.fixture(scope="module")
def found():
    return experiment(TINY)


def test_every_cell_gets_the_same_budget_and_the_best_of_it(found):
    search = found.tables.search
    assert len(search["rate"]) == 3 * 2 * 2
    assert set(search["seed"].tolist()) == {1000}
    for group in TINY.groups:
        for q in TINY.q_star:
            rows = (search["group"] == group) & (search["q_star"] == q)
            losses = np.nan_to_num(search["train_loss"][rows], nan=np.inf)
            assert search["chosen"][rows].tolist() == [int(k == np.argmin(losses)) for k in range(len(losses))]
            used = (found.tables.runs["group"] == group) & (found.tables.runs["q_star"] == q)
            assert set(found.tables.runs["rate"][used]) == {search["rate"][rows][np.argmin(losses)]}


def test_divergence_is_a_row_and_not_the_end(found):
    assert "diverged" in found.tables.search["status"].tolist()
    assert len(found.tables.runs["seed"]) == 3 * 2 * 2
    assert len(found.tables.courses["epoch"]) == 3 * 2 * 2 * 3


def test_the_tables_survive_their_files(found, tmp_path):
    for name in ("search", "runs", "courses"):
        (tmp_path / f"{name}.csv").write_text(csv_text(getattr(found.tables, name)))
    read = read_tables(tmp_path)
    for name in ("search", "runs", "courses"):
        for column, values in getattr(found.tables, name).items():
            again = getattr(read, name)[column]
            if values.dtype.kind == "f":
                assert np.allclose(values, again, rtol=1e-5, equal_nan=True)
            else:
                assert np.array_equal(values, again)
    assert [claim.verdict for claim in judged(read).claims] == [claim.verdict for claim in found.claims]
    again = verify.read_experiment(tmp_path, goal=TINY.goal)
    assert np.allclose(again.tables.runs["epochs_to_goal"], found.tables.runs["epochs_to_goal"], rtol=1e-4)
    lower = verify.read_experiment(tmp_path, goal=1e-3)
    assert np.isinf(lower.tables.runs["epochs_to_goal"]).all()
    assert lower.tables.runs["goal"][0] == 1e-3


@pytest.mark.parametrize("damage", ["", "group,q_star\neuclidean", "group,q_star\neuclidean,much\n", None])
def test_tables_that_are_none(found, tmp_path, damage):
    for name in ("search", "runs", "courses"):
        (tmp_path / f"{name}.csv").write_text(csv_text(getattr(found.tables, name)))
    if damage is None:
        (tmp_path / "runs.csv").unlink()
    else:
        (tmp_path / "runs.csv").write_text(damage)
    with pytest.raises(InvalidParameterError, match=r"runs\.csv"):
        read_tables(tmp_path)


def test_neither_executor_nor_folder_changes_a_number(found, tmp_path):
    with ThreadPoolExecutor(2) as executor:
        assert same(experiment(TINY, folder=tmp_path, executor=executor).tables, found.tables)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "checkpoints", "claims.csv", "courses.csv", "runs", "runs.csv", "search", "search.csv", "summary.csv",
    ]  # fmt: skip
    assert not list((tmp_path / "checkpoints").iterdir())


def test_a_folder_is_of_one_plan(found, tmp_path):
    experiment(TINY, folder=tmp_path)
    with pytest.raises(InvalidParameterError, match="must hold no run unless"):
        experiment(TINY, folder=tmp_path)
    with pytest.raises(InvalidParameterError, match=r"its parameters\.plan\.goal is 2\.0, now 1\.5"):
        experiment(replace(TINY, goal=1.5), folder=tmp_path, resume=True)
    for stage in ("search", "runs"):
        tasks = sorted((tmp_path / stage).glob("*.cell"))
        tasks[0].unlink()
        tasks[3].write_bytes(tasks[3].read_bytes()[:-200])
    assert same(experiment(TINY, folder=tmp_path, resume=True).tables, found.tables)


SCRIPT = """
import sys
from verify.training.experiments.experiment import experiment
from tests.verify.training.test_experiment import TINY
if __name__ == "__main__":
    experiment(TINY, folder=sys.argv[1], progress=lambda done, total: print(total, done, flush=True))
"""


def test_an_experiment_that_was_broken_off_names_its_folder_and_the_way_on(tmp_path):
    (tmp_path / "mine" / "search").mkdir(parents=True)
    with pytest.raises(InvalidParameterError, match=r"'mine', which holds one; resume \(--resume\)"):
        experiment(TINY, folder=tmp_path / "mine")


def test_kill_9_and_resume_end_in_the_same_bits(found, tmp_path):
    worker = subprocess.Popen([sys.executable, "-c", SCRIPT, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert worker.stdout is not None
    # In the middle of the second stage, that of the runs.
    for last in ("12 12", "12 3"):
        while (line := worker.stdout.readline().strip()) != last:
            assert line, "the experiment ended early"
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    worker.stdout.close()
    assert 0 < len(list((tmp_path / "runs").glob("*.cell"))) < 12
    assert same(experiment(TINY, folder=tmp_path, resume=True).tables, found.tables)


@pytest.mark.parametrize("last", [5, 40])
def test_a_full_disk_loses_nothing_that_was_written(found, tmp_path, monkeypatch, last):
    """It is full after some files: in the search, and in the runs with checkpoints under way."""
    left, replace_file = [last], os.replace

    def replace_if_there_is_room(source, target):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace_file(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", replace_if_there_is_room)
        with pytest.raises(OSError, match="No space left on device") as caught:
            experiment(TINY, folder=tmp_path)
    assert Path(caught.value.filename).is_relative_to(tmp_path)
    assert not [path for path in tmp_path.rglob(".*") if path.is_file()]
    kept = {path: path.read_bytes() for path in tmp_path.rglob("*.cell")}
    assert kept
    assert same(experiment(TINY, folder=tmp_path, resume=True).tables, found.tables)
    for path, content in kept.items():
        assert "checkpoints" in path.parts or path.read_bytes() == content


def test_a_full_disk_leaves_the_tables_that_were_there(found, tmp_path, monkeypatch):
    write_tables(found, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space left on device") as caught:
        write_tables(found, tmp_path)
    assert caught.value.filename == str(tmp_path / "search.csv")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def full(path, text, **_):
    """Half of it still fits."""
    path.write_bytes(text[: len(text) // 2].encode())
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_records_survive_their_arrays():
    record = verify.train(replace(TINY.training, epochs=1))
    again = from_arrays(to_arrays(record))
    assert again.to_dict() == record.to_dict() or again.to_json() == record.to_json()


def test_without_the_groups_there_are_no_claims():
    plan = replace(TINY, groups=("linear",), rates=(1e-3,), seeds=2)
    found = experiment(plan)
    assert found.claims == ()
    assert [row["group"] for row in found.summary] == ["linear", "linear"]
    assert set(CURVED) <= set(GROUPS)


RESULTS = Path(__file__).parents[3] / "notebooks" / "training_on_manifolds"


def cells(path):
    """A table's cells, row by row, numbers as numbers."""

    def parsed(cell):
        try:
            return pytest.approx(float(cell), rel=1e-4, nan_ok=True)
        except ValueError:
            return cell

    with path.open(newline="") as file:
        return [[parsed(cell) for cell in row] for row in csv.reader(file)]


def test_the_committed_results_are_those_of_their_tables(tmp_path):
    """Summary and claims beside the notebook follow from the tables beside it, which are of the laptop's plan."""
    found = verify.read_experiment(RESULTS)
    write_tables(found, tmp_path)
    for name in ("summary", "claims"):
        again = [[getattr(cell, "expected", cell) for cell in row] for row in cells(tmp_path / f"{name}.csv")]
        assert again == cells(RESULTS / f"{name}.csv")
    plan = shipped_plan("laptop")
    assert len(found.tables.runs["seed"]) == len(plan.groups) * len(plan.q_star) * plan.seeds
    assert len(found.tables.search["seed"]) == len(plan.trials())
    assert found.tables.courses["epoch"].max() == plan.training.epochs
    assert set(found.tables.runs["goal"]) == {plan.goal}


@pytest.mark.parametrize("plan", [None, "laptop", {}])
def test_what_is_no_plan(plan):
    with pytest.raises(InvalidParameterError, match="plan must be a Plan"):
        verify.experiment(plan)


def test_progress_must_be_callable():
    with pytest.raises(InvalidParameterError, match="progress must be callable, got 3"):
        experiment(TINY, progress=3)
    with pytest.raises(InvalidParameterError, match="progress must be callable, got 3"):
        verify.train(TINY.training, progress=3)


@pytest.mark.parametrize("config", [None, {}, "tanh"])
def test_what_is_no_configuration(config):
    with pytest.raises(InvalidParameterError, match="config must be a TrainingConfig"):
        verify.train(config)


# Plans


def test_the_shipped_plans():
    laptop = shipped_plan("laptop")
    assert (laptop.training.depth, laptop.training.width, laptop.training.data) == (32, 64, "digits")
    assert laptop.seeds >= 5
    paper = shipped_plan("paper", data_path="/data/cifar-10-batches-bin")
    assert (paper.training.depth, paper.training.width, paper.training.batch_size) == (200, 400, 1000)
    assert (paper.training.epochs, paper.training.data, paper.training.dtype) == (200, "cifar10", "float32")
    for plan in (laptop, paper):
        assert plan.q_star == (9.2e-4, 1 / 64, 0.5, 8.0)
        assert plan.groups == tuple(GROUPS)
        assert "data_path" not in plan.to_dict()["training"]
    with pytest.raises(InvalidParameterError, match="data_path must be given"):
        shipped_plan("paper")


def test_the_cost_is_told_and_bounded(tmp_path):
    cost = predict_cost(TINY)
    assert cost.tasks == 24
    assert 0 < cost.core_seconds < 600
    with pytest.raises(InvalidParameterError, match="max_memory must be at least"):
        experiment(TINY, folder=tmp_path, max_memory=cost.bytes_each - 1)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("[experiment", "TOML"),
        ("\xff\xfe".encode("utf-16").decode("latin1"), "TOML"),
        ("[grid]\nseeds = 3", "must hold the tables"),
        ("experiment = 3", "must hold the tables"),
        ("[experiment]\nseed = 3", "each key of .experiment. must be one of"),
        ("[training]\nrate = 3.0", "each key of .training. must be one of"),
        ("[training]\nphi = 'relu'", "each key of .training. must be one of"),
        ("[experiment]\nseeds = 1", "seeds must be >= 2"),
        ("[experiment]\nseeds = 'five'", "seeds must be an integer"),
        ("[experiment]\ngroups = 'euclidean'", "groups must be a list"),
        ("[experiment]\ngroups = ['sphere']", "each of groups must be one of"),
        ("[experiment]\ngroups = [['stiefel']]", "each of groups must be one of"),
        ("[experiment]\nq_star = [1.0, 1.0]", "without repetitions"),
        ("[experiment]\nq_star = []", "without repetitions"),
        ("[experiment]\nq_star = ['a']", "q_star must be real numbers"),
        ("[experiment]\nq_star = [0.0]", "q_star must be > 0"),
        ("[search]\nepochs = 0", "search_epochs must be >= 1"),
        ("[training]\nwidth = 'wide'", "width must be an integer"),
        ("[training]\ndata = 'cifar10'", "data_path must be given"),
    ],
)
def test_plans_that_make_no_sense(tmp_path, text, match):
    path = tmp_path / "plan.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidParameterError, match=match):
        read_plan(path)


def test_a_plan_that_is_not_there(tmp_path):
    with pytest.raises(InvalidParameterError, match="TOML"):
        read_plan(tmp_path / "none.toml")
