"""Experiments: plans, intervals, tables, verdicts, and a grid that can be broken off at any point."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import verify
from meanfield.errors import InvalidParameterError
from verify.training.configuration import TrainingConfig
from verify.training.experiments.claims import CLAIMS, CONSTRAINED, CURVED, judge
from verify.training.experiments.cost import predict_cost
from verify.training.experiments.evidence import Evidence
from verify.training.experiments.experiment import experiment, judged, write_tables
from verify.training.experiments.intervals import correlation_over_seeds, over_seeds, pearson, spearman
from verify.training.experiments.plan import GROUPS, Plan, read_plan, shipped_plan
from verify.training.experiments.tables import Tables, csv_text, epochs_to, read_tables
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


def test_records_survive_their_arrays():
    record = verify.train(replace(TINY.training, epochs=1))
    again = from_arrays(to_arrays(record))
    assert again.to_dict() == record.to_dict() or again.to_json() == record.to_json()


# Intervals


def test_intervals_are_students():
    values = np.random.default_rng(0).standard_normal(7)
    exact = stats.t.interval(0.95, 6, loc=values.mean(), scale=stats.sem(values))
    found = over_seeds(values)
    assert np.allclose([found.low, found.high], exact, rtol=1e-12)


def test_intervals_cover_as_often_as_they_say():
    rng = np.random.default_rng(1)
    covered = [found.low <= 2 <= found.high for found in (over_seeds(2 + rng.standard_normal(5)) for _ in range(2000))]
    assert abs(np.mean(covered) - 0.95) <= 4 * np.sqrt(0.95 * 0.05 / 2000)


def test_correlations_are_scipys():
    rng = np.random.default_rng(2)
    x = rng.integers(0, 6, 40).astype(float)
    y = x + rng.integers(0, 5, 40)
    assert abs(pearson(x, y) - stats.pearsonr(x, y)[0]) <= 1e-13
    assert abs(spearman(x, y) - stats.spearmanr(x, y)[0]) <= 1e-13
    y[y > 7] = np.inf
    assert abs(spearman(x, y) - stats.spearmanr(x, np.minimum(y, 100))[0]) <= 1e-13
    assert np.isnan(pearson([1, 1], [1, 2]))


def test_intervals_of_correlations_cover_nearly_as_often_as_they_say():
    """Normal data with correlation .6, 4 cells of 5 seeds: the jackknife is a little short with so few."""
    rng = np.random.default_rng(4)
    covered = []
    for _ in range(1000):
        x = rng.standard_normal((4, 5))
        y = 0.6 * x + 0.8 * rng.standard_normal((4, 5))
        found = correlation_over_seeds(pearson, x, y)
        assert -1 <= found.low <= found.high <= 1
        covered.append(found.low <= 0.6 <= found.high)
    assert 0.9 <= np.mean(covered) <= 0.98


@pytest.mark.parametrize(
    ("losses", "expected"),
    [([1, 0.1, 0.01], 1.0), ([1, 0.5, 0.02], 1.5), ([1, 0.5, 0.2], np.inf), ([0.05, 1, 1], 0.0), ([1, np.nan], np.inf)],
)
def test_the_time_to_a_loss(losses, expected):
    assert epochs_to(0.1, np.arange(len(losses)), np.array(losses)) == pytest.approx(expected, abs=1e-12)


# Verdicts, on tables made up so that the answer is known


LENGTHS = (9.2e-4, 1 / 64, 0.5, 8.0)


def made_up(time, curvature, seeds=5, spread=0.01, condition=lambda group, k: 10.0 ** (4 + k), seed=3):
    """Tables in which `time(group, k)` and `curvature(group, k)(epoch)` hold up to a small spread between seeds."""
    rng = np.random.default_rng(seed)
    runs, courses = [], []
    for group in GROUPS:
        for k, q in enumerate(LENGTHS):
            for number in range(seeds):
                noise = np.exp(spread * rng.standard_normal(4))
                at = curvature(group, k)
                runs.append(
                    {
                        "group": group, "q_star": q, "seed": number, "rate": 1e-3, "readout_rate": 0.01, "goal": 0.1,
                        "epochs_to_goal": time(group, k) * noise[0], "test_accuracy": 0.9,
                        "lambda_max_start": at(0) * noise[1], "condition_number_start": condition(group, k) * noise[2],
                        "sigma_max_jacobian_start": 2.0**k * noise[3],
                    }
                )  # fmt: skip
                courses += [
                    {"group": group, "q_star": q, "seed": number, "epoch": e, "lambda_max": at(e) * noise[1]}
                    for e in (0, 1, 5, 10, 30)
                ]

    def table(rows):
        return {name: np.array([row[name] for row in rows]) for name in rows[0]}

    return Tables(search={}, runs=table(runs), courses=table(courses))


def paper_time(group, k):
    return {"euclidean": 12.0 - 2 * k}.get(group, 3.0)


def paper_curvature(group, k):
    height = {"stiefel": 10.0, "oblique": 10.0}.get(group, 1.0)
    start = 4.0**k * (2.0 if group == "linear" else 1.0)
    return lambda epoch: start if epoch == 0 else 4.0**4 * height


def verdicts(tables):
    return {claim.name: claim.verdict for claim in judge(tables, longest=30)}


def test_a_world_as_in_the_paper_is_reproduced():
    tables = made_up(paper_time, paper_curvature, condition=lambda group, k: 10.0 ** (4 + k))
    assert set(verdicts(tables).values()) == {"reproduced"}
    assert len(verdicts(tables)) == len(CLAIMS) == 14


def test_the_opposite_world_is_not():
    def time(group, k):
        return {"euclidean": 1.0 + k}.get(group, 10.0 * (1 + k))

    def curvature(group, k):
        start = 4.0**-k * (0.5 if group == "linear" else 1.0)
        return lambda epoch: start if epoch == 0 else 0.1 * start * (10.0 if group == "euclidean" else 1.0) * (1 + k)

    def condition(group, k):
        return 10.0 ** (9 - k if group == "euclidean" else 20 + k)

    found = verdicts(made_up(time, curvature, condition=condition))
    found.pop("sigma_max of the Jacobian rises with q_star")  # made to rise in every such world
    assert set(found.values()) == {"not reproduced"}


def test_worlds_of_noise_are_mostly_undecided():
    """No difference between groups or lengths: no claim about one is decided more often than its level allows."""
    decided = dict.fromkeys(verdicts(made_up(paper_time, paper_curvature)), 0)
    for seed in range(40):
        tables = made_up(lambda group, k: 5.0, lambda group, k: lambda epoch: 1.0, spread=0.5, seed=seed)
        for name, verdict in verdicts(tables).items():
            decided[name] += verdict != "undecided"
    decided.pop("sigma_max of the Jacobian rises with q_star")  # made to rise in every such world
    decided.pop("the condition number rises with q_star")  # this one too
    decided.pop("conditioning does not predict speed")  # true in such a world
    # 5 % of 40 is 2; a binomial count exceeds 7 once in a thousand.
    assert max(decided.values()) <= 7


def test_runs_that_never_arrive_decide_only_what_their_bound_tells():
    def never(slow):
        tables = made_up(paper_time, paper_curvature)
        for group, q in slow:
            rows = (tables.runs["group"] == group) & (tables.runs["q_star"] == q)
            tables.runs["epochs_to_goal"][rows] = np.inf
        return tables

    both = [("euclidean", 8.0), ("stiefel", 8.0)]
    assert verdicts(never(both))["stiefel is faster"] == "undecided"
    assert verdicts(never(both[:1]))["stiefel is faster"] == "reproduced"
    assert verdicts(never(both[1:]))["stiefel is faster"] == "not reproduced"
    assert verdicts(never([("stiefel", 8.0)]))["equal speed"] == "not reproduced"
    all_slow = [(group, q) for group in CONSTRAINED for q in LENGTHS]
    assert verdicts(never(all_slow))["equal speed"] == "undecided"


def test_a_ratio_is_seed_by_seed():
    evidence = Evidence(made_up(paper_time, paper_curvature), 30)
    ratio = evidence.time_ratio(("euclidean", 0.5), ("stiefel", 0.5))
    assert np.array_equal(ratio, evidence.time("euclidean", 0.5) / evidence.time("stiefel", 0.5))


def test_without_the_groups_there_are_no_claims():
    plan = replace(TINY, groups=("linear",), rates=(1e-3,), seeds=2)
    found = experiment(plan)
    assert found.claims == ()
    assert [row["group"] for row in found.summary] == ["linear", "linear"]
    assert set(CURVED) <= set(GROUPS)


RESULTS = Path(__file__).parents[3] / "notebooks" / "training_on_manifolds"


def test_the_committed_results_are_those_of_their_tables(tmp_path):
    """Summary and claims beside the notebook follow from the tables beside it, which are of the laptop's plan."""
    found = verify.read_experiment(RESULTS)
    write_tables(found, tmp_path)
    for name in ("summary", "claims"):
        assert (tmp_path / f"{name}.csv").read_text() == (RESULTS / f"{name}.csv").read_text()
    plan = shipped_plan("laptop")
    assert len(found.tables.runs["seed"]) == len(plan.groups) * len(plan.q_star) * plan.seeds
    assert len(found.tables.search["seed"]) == len(plan.trials())
    assert found.tables.courses["epoch"].max() == plan.training.epochs
    assert set(found.tables.runs["goal"]) == {plan.goal}


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
