"""Regenerate tests/problems_data.json, the digits behind problems.py.

``python -m tests.make_problems`` takes about ten minutes; names of sections after it regenerate only those.

Every number is computed by two methods or two partitions; a disagreement stops the run. Moments carry 25 digits (the
critical ratio of odd functions cancels 16 digits at q = 1e-8, hence 60 working digits), two-dimensional integrals 17.
"""

import functools
import json
import math
import sys
from itertools import pairwise, product
from pathlib import Path

import numpy as np
from mpmath import mp, mpf

from tests import oracles, oracles_plane
from tests.make_expressions import expression_table
from tests.oracles import COARSE, DUAL_CLOSED, FIELDS, FIRST, INNER_MEANS, SECOND, digits

DATA = Path(__file__).with_name("problems_data.json")

Q = (1e-8, 1e-6, 1e-4, 1e-2, 0.25, 1.0, 10.0, 100.0, 2500.0, 1e4, 1e6)
CATALOGUE = tuple(name for name in oracles.PHI if "(" not in name)
DUAL_PHI = (
    "relu",
    "leaky_relu",
    "hard_tanh",
    "elu",
    "gelu",
    "silu",
    "softplus",
    "softsign",
    "tanh",
    "sigmoid",
    "erf",
    "sin",
)
DUAL_Q = ((0.05, 0.05), (1.0, 1.0), (30.0, 30.0), (0.05, 1.0), (1.0, 30.0))
DUAL_C = (-1.0, -0.999, -0.5, 0.0, 0.3, 0.9, 0.999, 1.0 - 1e-6, 1.0)
CUSTOM = "sin(x)/(1+abs(x))"

FIXED_POINTS = (
    ("tanh", 1.5, 0.3),
    ("tanh", 2.5, 0.3),
    ("tanh", 4.0, 0.3),
    ("tanh", 1.0, 0.1),
    ("tanh", 1.5, 0.0),
    ("tanh", 1.4, 0.3),
    ("tanh", 1.39, 0.3),
    ("tanh", 3.0, 3.0),
    ("erf", 2.0, 0.5),
    ("sin", 2.0, 0.1),
    ("cos", 1.5, 0.2),
    ("hard_tanh", 2.0, 0.2),
    ("hard_tanh", 1.0, 0.5),
    ("arctan", 2.0, 0.2),
    ("softsign", 3.0, 0.2),
    ("sigmoid", 4.0, 0.5),
    ("sigmoid", 12.0, 1.0),
    ("elu", 1.2, 0.3),
    ("celu", 1.1, 0.2),
    ("selu", 1.0, 0.0),
    ("silu", 1.9, 0.2),
    ("silu", 1.5, 0.5),
    ("gelu", 1.35, 0.2),
    ("gelu", 1.9, 0.1),
    ("gelu_tanh", 1.5, 0.2),
    ("mish", 1.3, 0.3),
    ("softplus", 0.8, 0.5),
    ("linear", 0.9, 0.3),
    ("relu", 1.2, 0.3),
    ("leaky_relu", 1.3, 0.2),
    ("relu6", 3.0, 0.3),
    ("hardswish", 1.3, 0.4),
    (CUSTOM, 2.0, 0.1),
)
CRITICAL_SIGMA_B = (
    ("tanh", 0.3),
    ("tanh", 0.2),
    ("tanh", math.sqrt(0.05)),
    ("tanh", 1e-3),
    ("tanh", 2.0),
    ("erf", 0.3),
    ("sin", 0.3),
    ("arctan", 0.3),
    ("softsign", 0.3),
    ("elu", 0.2),
    ("selu", 0.2),
    ("silu", 0.2),
    ("silu", 1.0),
    ("gelu", 0.2),
    ("gelu", 0.5),
    ("gelu_tanh", 0.3),
    ("mish", 0.3),
    ("hard_tanh", 0.3),
    ("relu6", 0.5),
    ("hardswish", 0.3),
    ("sigmoid", 1.0),
    (CUSTOM, 0.1),
)
CRITICAL_SIGMA_W = (("tanh", 1.5), ("erf", 2.0), ("sin", 1.2), ("hard_tanh", 1.3), ("sigmoid", 11.0), ("gelu", 1.6))


def agreed(first, second, tolerance: float, what: str, scale=None) -> None:
    gap = abs(first - second)
    if not gap <= tolerance * (abs(first) if scale is None else scale):
        raise ArithmeticError(f"{what}: {mp.nstr(mpf(first), 30)} against {mp.nstr(mpf(second), 30)}")


def moment_table() -> dict:
    table = {}
    for phi, q in product(CATALOGUE, Q):
        value = oracles.moments(phi, q)
        oscillates = phi in ("sin", "cos") and q > 100
        # Kinks in the far tail leave terms of order exp(-1/2q) that only the closed form can hold.
        if not oscillates:
            check = oracles.quadrature_moments(phi, q, SECOND)
            for field in FIELDS:
                scale = value["V"] + q * value["mu_1"] if field == "critical_ratio" else abs(value[field])
                tiny = phi in ("sin", "cos") and field == "V_slope"
                agreed(value[field], check[field], 1e-45, f"{phi} {q} {field}", value["mu_1"] if tiny else scale)
        table[f"{phi} {q:g}"] = [digits(value[field]) for field in FIELDS]
        print(phi, q, file=sys.stderr)
    return table


def dual(phi: str, c, q1, q2, rule=FIRST) -> list:
    """[E phi(u)phi(v), E phi'(u)phi'(v)] by the most accurate method at hand."""
    if abs(c) == 1:
        return oracles.dual_diagonal(phi, int(c), q1, q2, rule)
    if phi in DUAL_CLOSED:
        return list(DUAL_CLOSED[phi](mpf(c), mpf(q1), mpf(q2)))
    if phi in INNER_MEANS:
        return oracles.dual_inner_mean(phi, c, q1, q2, rule)
    return [_mpf(x) for x in oracles_plane.nested(phi, c, q1, q2)]


def _mpf(x: np.longdouble):
    high = float(x)
    return mpf(high) + mpf(float(x - high))


def dual_check(phi: str, c, q1, q2) -> list:
    """The same by another method: other panels, the variables swapped, or the other plane rule."""
    if abs(c) == 1:
        return oracles.dual_diagonal(phi, int(c), q2, q1, SECOND)
    if phi in INNER_MEANS:
        return oracles.dual_inner_mean(phi, c, q2, q1, SECOND)
    if phi in oracles_plane.STRIP:
        return [_mpf(x) for x in oracles_plane.trapezoid(phi, c, q1, q2)]
    if phi in oracles_plane.PLANE:
        return [_mpf(x) for x in oracles_plane.nested(phi, c, q2, q1, n=30)]
    return dual(phi, c, q2, q1)


def dual_table() -> dict:
    table = {}
    for phi, (q1, q2), c in product(DUAL_PHI, DUAL_Q, DUAL_C):
        pair, check = dual(phi, c, q1, q2), dual_check(phi, c, q1, q2)
        one, two = oracles.moments(phi, q1, COARSE), oracles.moments(phi, q2, COARSE)
        for field, first, second in zip(("V", "mu_1"), pair, check, strict=True):
            agreed(first, second, 3e-18, f"dual {phi} {c} {q1} {q2}", mp.sqrt(one[field] * two[field]))
        table[f"{phi} {c!r} {q1:g} {q2:g}"] = [digits(x, 18) for x in pair]
    print("dual kernels", file=sys.stderr)
    return table


@functools.cache
def scan(phi: str) -> list:
    """Moments on a coarse grid of q, to bracket roots."""
    with mp.workdps(15):
        return [(float(q), oracles.moments(phi, float(q), COARSE, 8.5)) for q in np.geomspace(1e-7, 1e6, 196)]


def roots(phi: str, function) -> list:
    """All q in [1e-7, 1e6] where function(q, moments at q) changes sign, to 30 digits."""
    found = []
    with mp.workdps(40):
        for (low, at_low), (high, at_high) in pairwise(scan(phi)):
            if function(mpf(low), at_low) * function(mpf(high), at_high) < 0:
                solve = lambda x: function(mp.exp(x), oracles.moments(phi, mp.exp(x), FIRST, 14))  # noqa: E731
                ends = (mp.log(mpf(low)), mp.log(mpf(high)))
                found.append(mp.exp(mp.findroot(solve, ends, solver="anderson", tol=1e-66)))
        for q in found:
            here = function(q, oracles.moments(phi, q, SECOND, 14))
            there = function(q * (1 + mpf(1e-6)), oracles.moments(phi, q * (1 + mpf(1e-6)), SECOND, 14))
            agreed(here / (there - here) * 1e-6, mpf(0), 1e-27, f"root of {phi} at {q}", 1)
    return found


def correlation(phi: str, sigma_w, sigma_b, q) -> tuple:
    """The stable c_star < 1 of a chaotic point and the slope of the c-map there, by bracketing on [0, 1)."""
    length = sigma_w**2 * oracles.moments(phi, q, FIRST, 14)["V"] + sigma_b**2
    with mp.workdps(25):
        gap = lambda c: (sigma_w**2 * dual(phi, c, q, q)[0] + sigma_b**2) / length - c  # noqa: E731
        high = mpf(1) - mpf(1) / 64
        while gap(high) > 0:
            high = 1 - (1 - high) / 4
        if abs(gap(mpf(0))) < 1e-19:
            c = mpf(0)
        else:
            c = mp.findroot(gap, (mpf(0), high), solver="anderson", tol=1e-40, verify=False)
            agreed(gap(c), mpf(0), 2e-18, f"c_star of {phi}", 1)
        return c, sigma_w**2 * dual(phi, c, q, q)[1]


def fixed_point_table() -> list:
    table = []
    for phi, w, b in FIXED_POINTS:
        sigma_w, sigma_b = mpf(w), mpf(b)
        for q in roots(phi, lambda q, m: sigma_w**2 * m["V"] + sigma_b**2 - q):  # noqa: B023
            m = oracles.moments(phi, q, FIRST, 14)
            row = {
                "phi": phi,
                "sigma_w": w,
                "sigma_b": b,
                "q_star": digits(q),
                "alpha": digits(sigma_w**2 * m["V_slope"]),
            }
            chi_1 = sigma_w**2 * m["mu_1"]
            chaotic = chi_1 > 1
            c, chi_c = correlation(phi, sigma_w, sigma_b, q) if chaotic else (mpf(1), chi_1)
            row |= {"chi_1": digits(chi_1), "c_star": digits(c, 17), "chi_c": digits(chi_c, 17)}
            table.append(row)
            print(row, file=sys.stderr)
    return table


def _critical_row(phi: str, given: str, value: float, q, m: dict) -> dict:
    row = {"phi": phi, "given": given, "value": value, "q_star": digits(q), "sigma_w": digits(1 / mp.sqrt(m["mu_1"]))}
    return row | {
        "sigma_b": digits(mp.sqrt(m["critical_ratio"] / m["mu_1"])),
        "alpha": digits(m["V_slope"] / m["mu_1"]),
    }


def critical_table() -> list:
    table = []
    for given, points in (("sigma_b", CRITICAL_SIGMA_B), ("sigma_w", CRITICAL_SIGMA_W)):
        for phi, value in points:
            if given == "sigma_b":
                found = roots(phi, lambda q, m: m["critical_ratio"] - mpf(value) ** 2 * m["mu_1"])  # noqa: B023
            else:
                found = roots(phi, lambda q, m: mpf(value) ** 2 * m["mu_1"] - 1)  # noqa: B023
            for q in found:
                m = oracles.moments(phi, q, FIRST, 14)
                if m["critical_ratio"] < 0:
                    continue  # no real sigma_b there
                table.append(_critical_row(phi, given, value, q, m))
                print(table[-1], file=sys.stderr)
    return table


SECTIONS = {
    "moments": (60, moment_table),
    "dual_kernels": (40, dual_table),
    "fixed_points": (40, fixed_point_table),
    "critical_points": (40, critical_table),
    "expressions": (30, expression_table),
}


def _section_text(name: str, rows: dict | list) -> str:
    if isinstance(rows, dict):
        return f'"{name}": {{\n' + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in rows.items()) + "\n}"
    return f'"{name}": [\n' + ",\n".join(json.dumps(row) for row in rows) + "\n]"


def main(names: list[str]) -> None:
    data = json.loads(DATA.read_text(encoding="ascii")) if DATA.exists() else {}
    for name in names or SECTIONS:
        mp.dps, build = SECTIONS[name]
        data[name] = build()
        text = ",\n".join(_section_text(k, data[k]) for k in SECTIONS if k in data)
        DATA.write_text("{\n" + text + "\n}\n", encoding="ascii")


if __name__ == "__main__":
    main(sys.argv[1:])
