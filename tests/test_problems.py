"""The table of reference cases is itself tested: tags, digits by other methods, closed forms of the literature."""

from decimal import Decimal

import numpy as np
import pytest
from mpmath import mp, mpf

from tests import oracles
from tests.problems import (
    CRITICAL_PROBLEMS,
    DUAL_PROBLEMS,
    EXPRESSION_PROBLEMS,
    FIELDS,
    FIXED_POINT_PROBLEMS,
    KINDS,
    MOMENT_PROBLEMS,
    PROBLEMS,
    critical_points_of,
    fixed_points_of,
    gap,
    relative_gap,
)

SAMPLES = [mpf(x) for x in np.linspace(-8.0, 8.0, 161)]


def _subset(problems, count, seed=0):
    chosen = np.random.default_rng(seed).choice(len(problems), count, replace=False)
    return [problems[i] for i in sorted(chosen)]


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda p: p.phi)
def test_tags_are_true(problem):
    phi = oracles.PHI[problem.phi]
    assert sum(kind in problem.tags for kind in KINDS) == 1
    odd = all(abs(phi(x)[0] + phi(-x)[0]) < 1e-14 for x in SAMPLES)
    assert odd == ("odd" in problem.tags)
    assert (max(abs(phi(mpf(x))[0]) for x in (-1e6, 1e6)) > 1e3) == ("unbounded" in problem.tags)
    settled = max(abs(phi(mpf(x))[0] - phi(10 * mpf(x))[0]) for x in (-1e8, 1e8)) < 1e-6
    assert settled == ("saturating" in problem.tags)
    slopes = [phi(x)[1] for x in SAMPLES]
    assert (min(slopes) < 0 < max(slopes)) == ("non_monotone" in problem.tags)
    if problem.phi in oracles.KINKS:
        assert "smooth" not in problem.tags


@pytest.mark.parametrize("phi", oracles.PHI)
def test_slopes_are_derivatives(phi):
    with mp.workdps(30):
        for x in (-7.3, -2.2, -0.4, 0.3, 1.7, 6.9):
            difference = mp.diff(lambda t: oracles.PHI[phi](t)[0], mpf(x))
            assert abs(difference - oracles.PHI[phi](mpf(x))[1]) < 1e-14


@pytest.mark.parametrize("problem", _subset([p for p in MOMENT_PROBLEMS if p.q <= 100], 12), ids=str)
def test_moments_by_tanh_sinh(problem):
    """mpmath's own quadrature at another precision, split at kinks and at the scales of the Gaussian."""
    with mp.workdps(24):
        q = mpf(problem.q)
        root = mp.sqrt(q)
        scales = [sign * z * root for sign in (-1, 1) for z in (mpf(1) / 8, 1, 2, 4, 8, 11)]
        places = [mpf(k) for k in oracles.KINKS.get(problem.phi, ()) if abs(k) < 11 * root] + [mpf(0)]
        density = lambda x: mp.exp(-x * x / (2 * q)) / (root * mp.sqrt(2 * mp.pi))  # noqa: E731
        phi = oracles.PHI[problem.phi]
        integrands = {
            "V": lambda x: phi(x)[0] ** 2 * density(x),
            "mu_1": lambda x: phi(x)[1] ** 2 * density(x),
            "mu_2": lambda x: phi(x)[1] ** 4 * density(x),
        }
        for field, integrand in integrands.items():
            value = mp.quad(integrand, sorted({*scales, *places}))
            assert abs(value / mpf(getattr(problem, field)) - 1) < 1e-13


@pytest.mark.parametrize("problem", _subset(MOMENT_PROBLEMS, 12, seed=1), ids=str)
def test_moments_at_another_precision(problem):
    with mp.workdps(45):
        again = oracles.moments(problem.phi, problem.q, oracles.SECOND)
        for field in ("V", "mu_1", "mu_2", "V_slope"):
            assert abs(again[field] - mpf(getattr(problem, field))) <= mpf(1e-23) * abs(again[field])


@pytest.mark.parametrize(("phi", "q"), [("tanh", 0.01), ("softplus", 30.0), ("selu", 0.01), ("hardswish", 30.0)])
def test_V_slope_is_the_slope_of_V(phi, q):
    with mp.workdps(30):
        slope = mp.diff(lambda s: oracles.moments(phi, s)["V"], mpf(q), h=q * mpf(10) ** -12)
        assert abs(slope / oracles.moments(phi, mpf(q))["V_slope"] - 1) < 1e-11


def _gelu(q):
    angle = mp.asin(q / (1 + q))
    shared = angle + 2 * q / ((1 + q) * mp.sqrt(1 + 2 * q))
    return q / 4 + q / (2 * mp.pi) * shared, mpf(1) / 4 + (shared + q / (1 + 2 * q) ** mpf(1.5)) / (2 * mp.pi)


def _elu(q):
    cdf = lambda x: mp.erfc(-x / mp.sqrt(2)) / 2  # noqa: E731
    root, half = mp.sqrt(q), mpf(1) / 2
    V = q / 2 + mp.exp(2 * q) * cdf(-2 * root) - 2 * mp.exp(q / 2) * cdf(-root) + half
    return V, half + mp.exp(2 * q) * cdf(-2 * root)


def _selu(q):
    scale, factor = oracles.SELU_SCALE, oracles.SELU_ALPHA
    V, mu_1 = _elu(q)
    half = mpf(1) / 2
    return scale**2 * (q / 2 + factor**2 * (V - q / 2)), scale**2 * (half + factor**2 * (mu_1 - half))


@pytest.mark.parametrize(("phi", "exact"), [("gelu", _gelu), ("elu", _elu), ("celu", _elu), ("selu", _selu)])
def test_quadrature_meets_closed_forms(phi, exact):
    with mp.workdps(60):
        for problem in MOMENT_PROBLEMS:
            if problem.phi == phi and problem.q <= 100:
                for value, digits in zip(exact(mpf(problem.q)), (problem.V, problem.mu_1), strict=True):
                    assert abs(value / mpf(digits) - 1) < 1e-24


@pytest.mark.parametrize("phi", ["linear", "relu", "leaky_relu", "erf", "sin", "cos", "hard_tanh", "relu6"])
def test_closed_forms_meet_quadrature(phi):
    with mp.workdps(40):
        for q in (0.3, 6.0 if phi in ("sin", "cos") else 60.0):  # sine's moments are constant beyond
            exact, quadrature = oracles.closed_moments(phi, q), oracles.quadrature_moments(phi, q)
            for field in FIELDS:
                assert abs(exact[field] - quadrature[field]) <= mpf(1e-36) * max(1, q)


def test_homogeneous_entries_are_critical_at_every_q():
    for problem in MOMENT_PROBLEMS:
        if problem.phi in ("linear", "relu", "leaky_relu"):
            assert Decimal(problem.critical_ratio) == 0


@pytest.mark.parametrize(
    ("given", "field", "value", "literature"),
    [
        (("tanh", "sigma_b", 0.3), "sigma_w", 1.3955839751, 1e-10),
        (("tanh", "sigma_b", 0.3), "q_star", 0.7634747669, 1e-10),
        (("tanh", "sigma_b", 0.2), "sigma_w", 1.304146, 1e-6),
        (("elu", "sigma_b", 0.2), "sigma_w", 1.229251, 1e-6),
        (("silu", "sigma_b", 0.2), "q_star", 0.689453, 1e-6),
        (("silu", "sigma_b", 0.2), "alpha", 1.09873, 1e-5),
    ],
)
def test_critical_points_meet_the_literature(given, field, value, literature):
    """theory: Schoenholz17, Hayou19 (whose Monte Carlo digits are corrected there), and the SiLU example."""
    assert abs(float(getattr(critical_points_of(*given)[0], field)) - value) <= literature


def test_sin_and_erf_lie_on_their_exact_lines():
    with mp.workdps(30):
        for problem in CRITICAL_PROBLEMS:
            q, sigma_w, sigma_b = mpf(problem.q_star), mpf(problem.sigma_w), mpf(problem.sigma_b)
            if problem.phi == "sin":
                assert abs(sigma_w**2 - 1 - mp.tanh(q)) < 1e-23
                assert abs(sigma_b**2 - q + mp.tanh(q)) < 1e-23
            if problem.phi == "erf":
                assert abs(sigma_w**2 - mp.pi / 4 * mp.sqrt(1 + 4 * q)) < 1e-23


@pytest.mark.parametrize(
    ("point", "q_star", "chi_1", "c_star"),
    [(("tanh", 2.5, 0.3), 4.0791, 1.5852, 0.1221), (("tanh", 4.0, 0.3), 12.604, 2.3673, 0.0297)],
)
def test_fixed_points_meet_poole16(point, q_star, chi_1, c_star):
    (problem,) = fixed_points_of(*point)
    assert abs(float(problem.q_star) - q_star) <= 5e-4
    assert abs(float(problem.chi_1) - chi_1) <= 5e-5
    assert abs(float(problem.c_star) - c_star) <= 5e-5


def test_selu_fixed_point():
    (problem,) = fixed_points_of("selu", 1.0, 0.0)
    assert relative_gap(1.0, problem.q_star) <= 1e-15
    assert abs(float(problem.chi_1) - 1.071575) <= 5e-7


def test_dual_kernels_at_c_1_are_moments():
    table = {(p.phi, p.q): p for p in MOMENT_PROBLEMS}
    checked = 0
    for problem in DUAL_PROBLEMS:
        if problem.c == 1 and problem.q1 == problem.q2 == 1.0:
            moments = table[problem.phi, 1.0]
            assert relative_gap(float(moments.V), problem.value) <= 1e-15
            assert relative_gap(float(moments.mu_1), problem.derivative) <= 1e-15
            checked += 1
    assert checked == 12


def test_the_table_is_complete():
    assert len(MOMENT_PROBLEMS) == 21 * 11
    assert len(DUAL_PROBLEMS) == 12 * 5 * 9
    assert len(EXPRESSION_PROBLEMS) >= 60
    assert len({(p.phi, p.sigma_w, p.sigma_b) for p in FIXED_POINT_PROBLEMS}) >= 30
    assert gap(0.5, "0.25") == Decimal("0.25")
