"""The table of reference cases: nonlinearities with their tags, and answers with at least 17 digits from mpmath.

make_problems.py regenerates the digits in problems_data.json; it shares no code with the package.
"""

import json
from dataclasses import dataclass
from decimal import Decimal, localcontext
from pathlib import Path

import numpy as np

_DATA = json.loads(Path(__file__).with_name("problems_data.json").read_text(encoding="ascii"))

# Exactly one of the first three: what theory knows of the moments, and whether phi is smooth.
KINDS = ("closed_form", "smooth", "kinked")
TAGS = {
    "linear": "closed_form odd unbounded",
    "relu": "closed_form unbounded",
    "leaky_relu": "closed_form unbounded",
    "elu": "closed_form unbounded",
    "celu": "closed_form unbounded",
    "selu": "closed_form unbounded",
    "gelu": "closed_form unbounded non_monotone",
    "gelu_tanh": "smooth unbounded non_monotone",
    "silu": "smooth unbounded non_monotone",
    "mish": "smooth unbounded non_monotone",
    "softplus": "smooth unbounded",
    "softsign": "kinked odd saturating",
    "tanh": "smooth odd saturating",
    "sigmoid": "smooth saturating",
    "erf": "closed_form odd saturating",
    "hard_tanh": "closed_form odd saturating",
    "relu6": "kinked saturating",
    "hardswish": "kinked unbounded non_monotone",
    "arctan": "smooth odd saturating",
    "sin": "closed_form odd non_monotone",
    "cos": "closed_form non_monotone",
}
FIELDS = ("V", "mu_1", "mu_2", "V_slope", "critical_ratio")


@dataclass(frozen=True)
class Problem:
    """A nonlinearity of the catalogue and its tags."""

    phi: str
    tags: frozenset[str]


@dataclass(frozen=True)
class MomentProblem:
    """Gaussian moments at variance q; the answers are decimal digits."""

    phi: str
    q: float
    tags: frozenset[str]
    V: str
    mu_1: str
    mu_2: str
    V_slope: str
    critical_ratio: str

    def __str__(self) -> str:
        return f"{self.phi}-{self.q:g}"


@dataclass(frozen=True)
class ExpressionProblem:
    """Moments of a random expression in x; `kinks` are those within 12 standard deviations."""

    phi: str
    q: float
    V: str
    mu_1: str
    mu_2: str
    V_slope: str
    kinks: tuple[float, ...]


@dataclass(frozen=True)
class DualProblem:
    """E phi(u)phi(v) and E phi'(u)phi'(v) at correlation c and variances q1, q2."""

    phi: str
    c: float
    q1: float
    q2: float
    value: str
    derivative: str

    def __str__(self) -> str:
        return f"{self.phi}-{self.c}-{self.q1:g}-{self.q2:g}"


@dataclass(frozen=True)
class FixedPointProblem:
    """One fixed point of the length map, and the correlation it settles at."""

    phi: str
    sigma_w: float
    sigma_b: float
    q_star: str
    alpha: str
    chi_1: str
    c_star: str
    chi_c: str

    def __str__(self) -> str:
        return f"{self.phi}-{self.sigma_w:g}-{self.sigma_b:g}-q{float(self.q_star):.3g}"


@dataclass(frozen=True)
class CriticalProblem:
    """One critical point, found from a given sigma_b or sigma_w."""

    phi: str
    given: str
    value: float
    q_star: str
    sigma_w: str
    sigma_b: str
    alpha: str

    def __str__(self) -> str:
        return f"{self.phi}-{self.given}-{self.value:g}-q{float(self.q_star):.3g}"


def gap(computed: float, digits: str) -> Decimal:
    """|computed - digits| without rounding; nan stays nan and fails every comparison by raising or being False."""
    with localcontext(prec=60):
        return abs(Decimal(float(computed)) - Decimal(digits))


def relative_gap(computed: float, digits: str) -> float:
    """The gap relative to the digits; 0 where both are 0."""
    difference = gap(computed, digits)
    if difference == 0:
        return 0.0
    return float(difference / abs(Decimal(digits))) if Decimal(digits) else float("inf")


def _moment_problem(key: str, digits: list[str]) -> MomentProblem:
    phi, q = key.rsplit(" ", 1)
    return MomentProblem(phi, float(q), frozenset(TAGS[phi].split()), **dict(zip(FIELDS, digits, strict=True)))


def _dual_problem(key: str, digits: list[str]) -> DualProblem:
    phi, c, q1, q2 = key.rsplit(" ", 3)
    return DualProblem(phi, float(c), float(q1), float(q2), *digits)


PROBLEMS = tuple(Problem(phi, frozenset(tags.split())) for phi, tags in TAGS.items())
MOMENT_PROBLEMS = tuple(_moment_problem(key, digits) for key, digits in _DATA["moments"].items())
DUAL_PROBLEMS = tuple(_dual_problem(key, digits) for key, digits in _DATA["dual_kernels"].items())
FIXED_POINT_PROBLEMS = tuple(FixedPointProblem(**row) for row in _DATA["fixed_points"])
CRITICAL_PROBLEMS = tuple(CriticalProblem(**row) for row in _DATA["critical_points"])
EXPRESSION_PROBLEMS = tuple(ExpressionProblem(**{**row, "kinks": tuple(row["kinks"])}) for row in _DATA["expressions"])


def fixed_points_of(phi: str, sigma_w: float, sigma_b: float) -> list[FixedPointProblem]:
    """All reference fixed points at one point of the phase diagram, by increasing q_star."""
    return [p for p in FIXED_POINT_PROBLEMS if (p.phi, p.sigma_w, p.sigma_b) == (phi, sigma_w, sigma_b)]


def critical_points_of(phi: str, given: str, value: float) -> list[CriticalProblem]:
    """All reference critical points at one given sigma_b or sigma_w, by increasing q_star."""
    return [p for p in CRITICAL_PROBLEMS if (p.phi, p.given, p.value) == (phi, given, value)]


def phi_with(*tags: str) -> list[str]:
    """Names of the catalogue entries that carry all of the tags."""
    return [p.phi for p in PROBLEMS if p.tags.issuperset(tags)]


def logarithmic(low: float, high: float, n: int) -> np.ndarray:
    """n variances from low to high, equally spaced in their logarithm."""
    return np.geomspace(low, high, n)
