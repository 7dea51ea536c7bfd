"""What the paper claims, each as numbers with intervals over seeds and a verdict by a rule fixed beforehand.

Most claims say that a ratio is above (or below) a limit everywhere: at every q_star, in every group. Such a claim is
"reproduced" if every ratio's 95 % interval lies on the right side, "not reproduced" if one of them lies on the wrong
side at 95 % with Bonferroni's correction for having looked at all of them, and "undecided" otherwise. The number
reported is the one that speaks least for the claim.

Ratios are taken seed by seed, so that networks of one seed, which start alike on every manifold, are compared
with each other. A run that never reaches the goal counts with its length, which bounds the ratio on one side: its
interval is open on the other. Where the bound does not tell the side of the limit, or neither run arrives, the claim
stays undecided.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from types import MappingProxyType
from typing import Any

import numpy as np

from meanfield.results import Result
from verify.intervals import Interval, correlation_over_seeds, over_seeds, pearson, spearman
from verify.training.experiments.evidence import Evidence
from verify.training.experiments.tables import Tables

__all__ = ["CLAIMS", "Claim", "everywhere", "judge"]

CONSTRAINED = ("stiefel", "oblique")
CURVED = ("euclidean", *CONSTRAINED)
LEVEL = 0.05
# Nearly equal: within half as much again. Predictive: a tenth of the variance of ranks.
NEARLY_EQUAL, PREDICTIVE = 1.5, 0.3
EARLY = 5
VERDICTS = {1: "reproduced", 0: "undecided", -1: "not reproduced"}
NOWHERE: Mapping[str, int] = MappingProxyType({})

Cell = tuple[str, float]  # group and q_star


@dataclass(frozen=True, kw_only=True, eq=False)
class Claim(Result):
    """One claim and what the runs say about it.

    Attributes
    ----------
    name, statement : str
    figure : int
        Which of the four figures shows it.
    statistic : str
        What the number is.
    where : str
        The place in the grid that it is of: the one that speaks least for the claim.
    mean, low, high : float
        Mean over seeds and Student's 95 % interval; of ratios, geometric. Where runs that never arrived only bound a
        ratio from below, mean and high are inf; from above, mean and low are 0.
    limit : float
    places, agreeing, contrary : int
        Places looked at, and those whose 95 % interval lies on the claim's side of the limit, or on the other.
    verdict : "reproduced", "not reproduced" or "undecided"
    """

    name: str
    statement: str
    figure: int
    statistic: str
    where: str
    mean: float
    low: float
    high: float
    limit: float
    places: int
    agreeing: int
    contrary: int
    verdict: str


def _side(found: Interval, limit: float = 0.0) -> int:
    """1 for an interval above the limit, -1 below, 0 around it or unknown."""
    return int(found.low > limit) - int(found.high < limit)


def everywhere(
    cells: Mapping[str, np.ndarray],
    *,
    limit: float = 1.0,
    sign: int = 1,
    unbounded: Mapping[str, int] = NOWHERE,
    **words,
) -> Claim:
    """The claim that the ratios of every cell, arrays over seeds, are above the limit (below, if `sign` is -1).

    Cells in `unbounded` hold bounds of some ratios: 1 for lower, -1 for upper ones.
    """
    logs = {where: np.log(ratios / limit) for where, ratios in cells.items()}

    def found(where: str, confidence: float) -> Interval:
        inside, side = over_seeds(logs[where], confidence=confidence), unbounded.get(where, 0)
        if side == 0 or np.isnan(inside.mean):
            return inside
        return replace(inside, mean=np.inf, high=np.inf) if side == 1 else replace(inside, mean=-np.inf, low=-np.inf)

    sides = [sign * _side(found(where, 1 - LEVEL)) for where in logs]
    verdict = "reproduced" if min(sides) == 1 else "undecided"
    if any(sign * _side(found(where, 1 - LEVEL / len(logs))) == -1 for where in logs):
        verdict = "not reproduced"
    # What is unknown keeps a claim from being reproduced, not from being refuted elsewhere.
    known = {each: values for each, values in logs.items() if np.isfinite(values).all()} or logs
    where = min(known, key=lambda each: sign * known[each].mean())
    least = found(where, 1 - LEVEL)
    mean, low, high = (limit * np.exp([least.mean, least.low, least.high])).tolist()
    if len(known) < len(logs):
        where += f" ({len(logs) - len(known)} of {len(logs)} places unknown)"
    numbers = {"mean": mean, "low": low, "high": high, "limit": limit, **_tally(sides)}
    return Claim(where=where, verdict=verdict, **numbers, **words)


def _tally(sides: Sequence[int]) -> dict[str, Any]:
    return {"places": len(sides), "agreeing": sides.count(1), "contrary": sides.count(-1)}


def _by_time(evidence: Evidence, pairs: Mapping[str, tuple[Cell, Cell]], *, limit: float = 1.0, **words) -> Claim:
    """The same of epochs to the goal, one cell's over another's."""
    ratios = {where: evidence.time_ratio(*pair, limit=limit) for where, pair in pairs.items()}
    arrived = {where: [evidence.arrived(*cell).all() for cell in pair] for where, pair in pairs.items()}
    unbounded = {where: int(other) - int(one) for where, (one, other) in arrived.items()}
    return everywhere(ratios, limit=limit, unbounded=unbounded, **words)


def _at(q: float) -> str:
    return f"q_star = {q:g}"


def equal_speed(evidence: Evidence) -> Claim:
    """Fig. 1: any two lengths of a constrained group."""
    return _by_time(
        evidence,
        {
            f"{group}, {_at(p)} over {q:g}": ((group, p), (group, q))
            for group in CONSTRAINED
            for p, q in permutations(evidence.lengths, 2)
        },
        limit=NEARLY_EQUAL,
        sign=-1,
        name="equal speed",
        statement="Networks kept on the Stiefel or oblique manifold learn at nearly equal speed at all q_star.",
        figure=1,
        statistic="ratio of epochs to the goal",
    )


def _faster(group: str) -> Callable[[Evidence], Claim]:
    def claim(evidence: Evidence) -> Claim:
        return _by_time(
            evidence,
            {_at(q): (("euclidean", q), (group, q)) for q in evidence.lengths},
            name=f"{group} is faster",
            statement=f"Networks kept on the {group} manifold learn faster than Euclidean ones at every q_star.",
            figure=1,
            statistic=f"epochs to the goal, Euclidean over {group}",
        )

    return claim


def smallest_is_worst(evidence: Evidence) -> Claim:
    """Fig. 1: the smallest length against every other one, Euclidean."""
    first, *others = evidence.lengths
    return _by_time(
        evidence,
        {f"{first:g} over {q:g}": (("euclidean", first), ("euclidean", q)) for q in others},
        name="smallest q_star is worst",
        statement="Among Euclidean networks the smallest q_star learns most slowly.",
        figure=1,
        statistic="epochs to the goal, smallest q_star over another one",
    )


def _rises(column: str, what: str, figure: int = 2) -> Callable[[Evidence], Claim]:
    def claim(evidence: Evidence) -> Claim:
        values = {q: evidence.start(column, "euclidean", q) for q in evidence.lengths}
        pairs = zip(evidence.lengths[1:], evidence.lengths[:-1], strict=True)
        return everywhere(
            {f"{q:g} over {p:g}": values[q] / values[p] for q, p in pairs},
            name=f"{what} rises with q_star",
            statement=f"At the start, {what} of tanh networks rises with q_star.",
            figure=figure,
            statistic=f"{what}, one q_star over the one before",
        )

    return claim


def correlated(evidence: Evidence) -> Claim:
    """Fig. 2: lambda_max and sigma_max^2 at the start, over lengths and seeds."""
    curvature = np.array([evidence.start("lambda_max_start", "euclidean", q) for q in evidence.lengths])
    jacobian = np.array([evidence.start("sigma_max_jacobian_start", "euclidean", q) for q in evidence.lengths]) ** 2
    found = correlation_over_seeds(pearson, jacobian, curvature)
    return Claim(
        name="curvature follows the Jacobian",
        statement="At the start, lambda_max of the Fisher information correlates with sigma_max^2 of the Jacobian.",
        figure=2,
        statistic="Pearson correlation over all networks (paper: .65)",
        where="tanh networks",
        mean=found.mean,
        low=found.low,
        high=found.high,
        limit=0.0,
        verdict=VERDICTS[_side(found)],
        **_tally([_side(found)]),
    )


def linear_is_larger(evidence: Evidence) -> Claim:
    """Fig. 2: linear orthogonal networks against tanh networks at the same length."""
    column = "lambda_max_start"
    return everywhere(
        {
            _at(q): evidence.start(column, "linear", q) / evidence.start(column, "euclidean", q)
            for q in evidence.lengths
        },
        name="linear networks are more curved",
        statement="At the start, deep linear orthogonal networks have a larger lambda_max than tanh networks.",
        figure=2,
        statistic="lambda_max, linear over tanh",
    )


def rises_early(evidence: Evidence) -> Claim:
    """Fig. 3: every tanh group and length."""
    return everywhere(
        {f"{group}, {_at(q)}": evidence.rise(group, q, EARLY) for group in CURVED for q in evidence.lengths},
        name="curvature rises early",
        statement=f"lambda_max rises within the first {EARLY} epochs in every group and at every q_star.",
        figure=3,
        statistic=f"largest lambda_max of epochs 1 to {EARLY} over its start",
    )


def smallest_rises_most(evidence: Evidence) -> Claim:
    """Fig. 3: the smallest length against every other one, in every group."""
    first, *others = evidence.lengths
    return everywhere(
        {
            f"{group}, {first:g} over {q:g}": evidence.rise(group, first, EARLY) / evidence.rise(group, q, EARLY)
            for group in CURVED
            for q in others
        },
        name="smallest q_star rises most",
        statement="lambda_max rises most at the smallest q_star.",
        figure=3,
        statistic="early rise of lambda_max, smallest q_star over another one",
    )


def _middle(evidence: Evidence) -> float:
    """The q_star nearest to the paper's 1/64."""
    return min(evidence.lengths, key=lambda q: abs(np.log(64 * q)))


def euclidean_is_flatter(evidence: Evidence) -> Claim:
    """Fig. 3: q_star = 1/64, after the first epochs."""
    q = _middle(evidence)
    late = {group: evidence.late_mean("lambda_max", group, q, EARLY) for group in CURVED}
    return everywhere(
        {f"{group}, {_at(q)}": late[group] / late["euclidean"] for group in CONSTRAINED},
        name="Euclidean is flatter",
        statement="At q_star = 1/64, Euclidean networks have a smaller lambda_max in training than constrained ones.",
        figure=3,
        statistic=f"lambda_max from epoch {EARLY} on, constrained over Euclidean (paper: about 10)",
    )


def euclidean_is_slower(evidence: Evidence) -> Claim:
    """Fig. 3: the same networks, by speed."""
    q = _middle(evidence)
    return _by_time(
        evidence,
        {f"{group}, {_at(q)}": (("euclidean", q), (group, q)) for group in CONSTRAINED},
        name="flatter yet slower",
        statement="At q_star = 1/64, Euclidean networks nevertheless learn more slowly than constrained ones.",
        figure=3,
        statistic="epochs to the goal, Euclidean over constrained",
    )


def conditioning_does_not_predict(evidence: Evidence) -> Claim:
    """Fig. 4: rank correlation over all tanh networks."""
    cells = [(group, q) for group in CURVED for q in evidence.lengths]
    conditions = np.array([evidence.start("condition_number_start", *cell) for cell in cells])
    times = np.array([evidence.time(*cell) for cell in cells])
    found = correlation_over_seeds(spearman, conditions, times)
    side = -_side(found, PREDICTIVE)
    return Claim(
        name="conditioning does not predict speed",
        statement="A low condition number of the Fisher information at the start does not predict faster learning.",
        figure=4,
        statistic="rank correlation of condition number and epochs to the goal",
        where="tanh networks, all groups and q_star",
        mean=found.mean,
        low=found.low,
        high=found.high,
        limit=PREDICTIVE,
        verdict=VERDICTS[side],
        **_tally([side]),
    )


CLAIMS: tuple[Callable[[Evidence], Claim], ...] = (
    equal_speed,
    _faster("stiefel"),
    _faster("oblique"),
    smallest_is_worst,
    _rises("lambda_max_start", "lambda_max"),
    _rises("sigma_max_jacobian_start", "sigma_max of the Jacobian"),
    correlated,
    linear_is_larger,
    rises_early,
    smallest_rises_most,
    euclidean_is_flatter,
    euclidean_is_slower,
    _rises("condition_number_start", "the condition number", figure=4),
    conditioning_does_not_predict,
)


def judge(tables: Tables, *, longest: int) -> tuple[Claim, ...]:
    """Every claim that the groups in the tables can speak to; `longest` is the number of epochs of a run."""
    evidence = Evidence(tables, longest)
    if len(evidence.lengths) < 2 or not set(CURVED) <= evidence.groups:
        return ()
    return tuple(claim(evidence) for claim in CLAIMS if claim is not linear_is_larger or "linear" in evidence.groups)
