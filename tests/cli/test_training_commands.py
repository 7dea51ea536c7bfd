"""`meanfield train` and `meanfield experiment`: records, files, refusals, and the folder of an experiment."""

import csv
import json
import re
import shutil
from dataclasses import fields
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

import verify

TRAIN = ("train", "tanh", "--data", "teacher", "--depth", 2, "--width", 12, "--epochs", 2, "--fisher-samples", 8)

HELD = "got '{}', which holds one; resume (--resume) goes on with it"
RESULTS = Path(__file__).parents[2] / "notebooks" / "training_on_manifolds"

PLAN = """
[experiment]
groups = ["euclidean", "stiefel", "oblique"]
q_star = [0.015625, 0.5]
seeds = 2
goal = 2.0
[search]
rates = [1e-3]
readout_rates = [1e-2]
epochs = 1
[training]
data = "teacher"
depth = 2
width = 10
epochs = 2
batch_size = 500
fisher_samples = 6
jacobian_samples = 2
"""


@pytest.fixture
def plan(tmp_path):
    path = tmp_path / "plan.toml"
    path.write_text(PLAN)
    return path


@pytest.mark.parametrize("manifold", ["euclidean", "stiefel", "oblique"])
def test_train(terminal, manifold):
    record = terminal.json(*TRAIN, "--manifold", manifold, "--q-star", 0.0156, "--seed", 1)
    assert record["epochs"] == [0, 1, 2]
    assert record["status"] == "finished"
    for name in ("train_loss", "test_accuracy", "lambda_max", "condition_number", "sigma_max_jacobian"):
        assert len(record[name]) == 3
    assert record["config"]["manifold"] == manifold
    assert record["provenance"]["seed"] == 1
    assert (max(record["orthogonality_defect"]) <= 1e-12) == (manifold == "stiefel")


def test_the_same_seed_gives_the_same_record(terminal):
    first, again = (terminal.json(*TRAIN, "--seed", 4) for _ in range(2))
    for name in ("train_loss", "lambda_max", "gradient_norms"):
        assert first[name] == again[name]


def test_train_on_the_screen_and_in_files(terminal, tmp_path):
    text = terminal.ok(*TRAIN).stdout
    assert "lambda_max" in text
    for suffix in ("png", "csv", "npz", "json"):
        terminal.ok(*TRAIN, "--output", tmp_path / f"run.{suffix}")
    assert (tmp_path / "run.png").read_bytes().startswith(b"\x89PNG")
    with np.load(tmp_path / "run.npz", allow_pickle=False) as arrays:
        assert arrays["gradient_norms"].shape == (3, 3)
    rows = list(csv.DictReader((tmp_path / "run.csv").read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["0", "1", "2"]


def test_train_resumes_and_keeps_no_path(terminal, tmp_path):
    whole = terminal.json(*TRAIN, "--folder", tmp_path)
    again = terminal.json(*TRAIN, "--folder", tmp_path, "--resume")
    assert whole["train_loss"] == again["train_loss"]
    assert str(tmp_path) not in json.dumps(again)
    assert HELD.format(tmp_path.name) in terminal.refused(*TRAIN, "--folder", tmp_path)["message"]
    message = terminal.refused(*TRAIN, "--folder", tmp_path, "--resume", "--seed", 9)["message"]
    assert "config.seed" in message


def test_divergence_is_exit_code_3_with_the_record(terminal, tmp_path):
    words = (*TRAIN, "--optimiser", "sgd", "--loss", "squared", "--readout-rate", 1e200)
    record = terminal.json(*words, code=3)
    assert record["status"] == "diverged"
    assert record["train_loss"][-1] is None
    for more in ((), ("--output", tmp_path / "diverged.png")):
        assert "The loss stopped being finite in epoch 1: lower" in terminal.ok(*words, *more, code=3).stderr


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--q-star", "0"], "q_star must be > 0"),
        (["--depth", "0"], "depth must be >= 1"),
        (["--manifold", "sphere"], "'sphere' is not one of"),
        (["--data", "cifar10"], "data_path must be given"),
        (["--data", "cifar10", "--data-path", "/no/such/place"], "data_path must be a folder"),
        (["--sigma-w", "1.0"], "given together"),
        (["--max-memory", "10kB"], "max_memory must be at least"),
        (["--max-memory", "much"], "must be a size such as 500MB"),
        (["--weights", "gaussian"], "weights must be 'orthogonal'"),
    ],
)
def test_what_train_refuses(terminal, words, part):
    assert part in terminal.refused(*TRAIN, *words)["message"]


def test_an_unwritable_folder_is_one_line(terminal, tmp_path):
    (tmp_path / "file").write_text("")
    assert "cannot use" in terminal.refused(*TRAIN, "--folder", tmp_path / "file" / "runs")["message"]


def test_train_of_a_phi_without_critical_point(terminal):
    error = terminal.refused("train", "softplus", *TRAIN[2:], code=3)
    assert error["type"] == "NoCriticalPointError"


def test_experiment(terminal, tmp_path, plan, pickled, request):
    folder, summary = tmp_path / "found", tmp_path / "summary.csv"
    words = ("experiment", "sokol-park", "--config", plan, "--folder", folder)
    record = terminal.json(*words, "--workers", 2, "--output", summary)
    assert pickled == [2]
    assert len(record["summary"]) == 6
    assert len(record["claims"]) == 13
    assert str(tmp_path) not in json.dumps(record)
    assert len(summary.read_text().splitlines()) == 7
    for name in ("learning", "start", "curvature", "conditioning"):
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    tables = ("search", "runs", "courses", "summary", "claims")
    assert {path.name for path in folder.glob("*.csv")} == {f"{name}.csv" for name in tables}
    assert HELD.format("found") in terminal.refused(*words)["message"]
    undrawn = request.getfixturevalue("undrawn")
    courses = (folder / "courses.csv").read_bytes()
    drawn = terminal.ok("experiment", "sokol-park", "--redraw", "--folder", folder).stdout
    assert (folder / "learning.png").read_bytes() == undrawn
    for claim in record["claims"]:
        assert re.search(rf"^{re.escape(claim['name'])} +{claim['verdict']} ", drawn, flags=re.MULTILINE)
    # No worker gives the numbers that two gave.
    verify.experiment(verify.read_plan(plan), folder=tmp_path / "alone")
    assert (tmp_path / "alone" / "courses.csv").read_bytes() == courses


@pytest.mark.parametrize("columns", ["80", "60"])
def test_the_tables_have_intervals_and_fit_the_screen(terminal, undrawn, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    with TemporaryDirectory() as folder:
        for name in ("search", "runs", "courses"):
            shutil.copy(RESULTS / f"{name}.csv", folder)
        shown = terminal.ok("experiment", "sokol-park", "--redraw", "--folder", folder).stdout
    lines = [line for line in shown.splitlines() if not line.startswith("Figures and tables")]
    assert max(map(len, lines)) <= int(columns)
    assert re.search(r"^stiefel +8 +0 +> 30\b", shown, flags=re.MULTILINE)
    assert "6.93 (5.4 to 8.9)" in shown
    assert "> 8.9 " in shown
    assert "nan" not in shown


def test_what_it_will_take_is_told_first(terminal, plan, tmp_path):
    result = terminal.ok("experiment", "sokol-park", "--config", plan, "--predict", "--folder", tmp_path / "x")
    assert "18 runs, about" in result.stderr
    assert not (tmp_path / "x").exists()
    words = ("experiment", "sokol-park", "--config", plan, "--predict")
    assert terminal.json(*words, "--workers", 2)["prediction"].items() >= {"tasks": 18, "workers": 2}.items()
    assert "--predict without --output" in terminal.refused(*words, "--output", "x.json")["message"]


def test_the_papers_cost_needs_no_data(terminal):
    assert "runs, about" in terminal.ok("experiment", "sokol-park", "--paper", "--predict").stderr


def test_every_key_of_a_plan_is_in_the_help(terminal):
    shown = terminal.ok("experiment", "--help").stdout
    left_out = {"phi", "manifold", "q_star", "seed", "sigma_w", "sigma_b", "rate", "scale_rate", "readout_rate"}
    keys = {each.name for each in fields(verify.TrainingConfig)} - left_out
    assert keys | {"groups", "q_star", "seeds", "goal", "rates", "readout_rates"} <= set(re.findall(r"\w+", shown))
    verify.read_plan(RESULTS / "small_plan.toml")


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["other"], "is not 'sokol-park'"),
        (["sokol-park", "--laptop", "--paper"], "at most one of"),
        (["sokol-park", "--paper"], "data_path must be given"),
        (["sokol-park", "--config", "/no/such/plan.toml"], "TOML"),
        (["sokol-park", "--redraw", "--folder", "/no/such/place"], "must hold search.csv"),
    ],
)
def test_what_experiment_refuses(terminal, words, part):
    assert part in terminal.refused("experiment", *words)["message"]
