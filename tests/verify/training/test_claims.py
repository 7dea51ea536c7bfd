"""Intervals over seeds, and verdicts on tables made up so that the answer is known."""

import numpy as np
import pytest
from scipy import stats

from verify.intervals import correlation_over_seeds, over_seeds, pearson, spearman
from verify.training.experiments.claims import CLAIMS, CONSTRAINED, everywhere, judge
from verify.training.experiments.evidence import Evidence
from verify.training.experiments.plan import GROUPS
from verify.training.experiments.summary import summary_rows
from verify.training.experiments.tables import Tables, epochs_to


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


def test_a_time_that_was_not_reached_is_only_a_bound():
    tables = made_up(paper_time, paper_curvature)
    rows = (tables.runs["group"] == "stiefel") & (tables.runs["q_star"] == 8.0)
    tables.runs["epochs_to_goal"][rows] = np.inf
    claims = {claim.name: claim for claim in judge(tables, longest=30)}
    slow = claims["equal speed"]
    assert slow.where.startswith("stiefel, q_star = 8 over")
    assert slow.mean == slow.high == np.inf
    assert 9.5 <= slow.low <= 30 / 3
    fast = claims["stiefel is faster"]
    assert fast.mean == fast.low == 0
    assert 0 < fast.high < 1
    assert (fast.places, fast.agreeing, fast.contrary) == (4, 3, 1)
    rows = summary_rows(Evidence(tables, 30))
    (row,) = [row for row in rows if row["group"] == "stiefel" and row["q_star"] == 8.0]
    assert (row["reached"], row["epochs_to_goal"], row["epochs_to_goal_high"]) == (0, np.inf, np.inf)
    assert row["epochs_to_goal_low"] == pytest.approx(30, rel=1e-12)
    other = next(row for row in rows if row["group"] == "stiefel" and row["q_star"] == 0.5)
    assert other["epochs_to_goal_low"] < other["epochs_to_goal"] < other["epochs_to_goal_high"] < np.inf


def test_an_open_side_never_speaks():
    """One late run whose bound lies above the limit: what the others say below it is no interval."""
    ratios = np.array([0.3, 0.3, 0.31, 0.3, 1.01])
    words = {"name": "", "statement": "", "figure": 1, "statistic": ""}
    assert everywhere({"here": ratios}, **words).verdict == "not reproduced"
    assert everywhere({"here": ratios}, unbounded={"here": 1}, **words).verdict == "undecided"


def test_a_ratio_is_seed_by_seed():
    evidence = Evidence(made_up(paper_time, paper_curvature), 30)
    ratio = evidence.time_ratio(("euclidean", 0.5), ("stiefel", 0.5))
    assert np.array_equal(ratio, evidence.time("euclidean", 0.5) / evidence.time("stiefel", 0.5))
