"""Fixed points: the table, the answers substituted back, and the semantics of limiting and degenerate cases."""

import math
import pickle
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import assume, given, settings, strategies as st

import meanfield as mf
from meanfield.errors import (
    AccuracyWarning,
    ConvergenceError,
    InvalidParameterError,
    NoFixedPointError,
    NonlinearityError,
    Status,
)
from tests.problems import (
    CRITICAL_PROBLEMS,
    FIXED_POINT_PROBLEMS,
    PROBLEMS,
    critical_points_of,
    fixed_points_of,
    gap,
)

POINTS = sorted({(p.phi, p.sigma_w, p.sigma_b) for p in FIXED_POINT_PROBLEMS})
BOUNDED = st.sampled_from([p.phi for p in PROBLEMS if "unbounded" not in p.tags])
ROUNDING = 4e-16  # of the digits of c_star and chi_c, which the table holds to 17

# Known limits, strict: the day one is lifted the test fails and the entry goes.
KNOWN_LIMITS: dict[tuple[str, float, float, str], str] = {}


def _cases(*claims):
    for point in POINTS:
        for claim in claims:
            reason = KNOWN_LIMITS.get((*point, claim))
            marks = [pytest.mark.xfail(reason=reason, strict=True)] if reason else []
            yield pytest.param(point, claim, id="-".join(map(str, (*point, claim))), marks=marks)


def _away_from_zero(points):
    """The table lists q_star > 0 only: at sigma_b = 0, phi(0) = 0 there is always q_star = 0 as well."""
    return [point for point in points if point.q_star > 0]


@pytest.mark.parametrize(("point", "claim"), list(_cases("accurate", "honest")))
def test_all_fixed_points(point, claim):
    found, expected = _away_from_zero(mf.fixed_points(*point)), fixed_points_of(*point)
    assert len(found) == len(expected)
    for result, problem in zip(found, expected, strict=True):
        errors = {
            field: gap(getattr(result, field), getattr(problem, field))
            for field in ("q_star", "alpha", "chi_1", "c_star", "chi_c")
        }
        if claim == "honest":
            slack = {"c_star": ROUNDING, "chi_c": ROUNDING * max(1, result.chi_c)}
            exceeded = {
                f: (float(e), result.errors[f])
                for f, e in errors.items()
                if not e <= result.errors[f] + slack.get(f, 0)
            }
            assert exceeded == {}
            assert result.error == result.errors["q_star"]
            continue
        condition = 1 / abs(1 - result.alpha)
        assert errors["q_star"] <= 1e-12 * condition * float(problem.q_star)
        assert errors["alpha"] <= 1e-12 * condition * max(1, abs(result.alpha))
        assert errors["chi_1"] <= 1e-12 * condition * result.chi_1
        correlation = max(1e-10, 4 * np.finfo(float).eps / abs(1 - result.chi_c))
        assert errors["c_star"] <= correlation
        assert errors["chi_c"] <= 10 * correlation


@pytest.mark.parametrize("point", POINTS, ids=lambda p: f"{p[0]}-{p[1]}-{p[2]}")
def test_bounds_are_useful(point):
    for result in _away_from_zero(mf.fixed_points(*point)):
        assert result.error <= 1e-11 * result.q_star / abs(1 - result.alpha)
        assert result.errors["chi_1"] <= 1e-11 * max(1, result.chi_1) / abs(1 - result.alpha)
        assert result.errors["c_star"] <= 1e-10 / abs(1 - result.chi_c)


@pytest.mark.parametrize("point", POINTS, ids=lambda p: f"{p[0]}-{p[1]}-{p[2]}")
def test_answers_substituted_back(point):
    phi, sigma_w, sigma_b = point
    for result in _away_from_zero(mf.fixed_points(*point)):
        image = mf.q_map(phi, result.q_star, sigma_w, sigma_b)
        assert abs(image - result.q_star) <= abs(1 - result.alpha) * result.error + 1e-13 * result.q_star
        m = mf.moments(phi, result.q_star)
        assert abs(result.chi_1 - sigma_w**2 * m.mu_1) <= 1e-14 * result.chi_1
        assert abs(result.alpha - sigma_w**2 * m.V_slope) <= 1e-13 * max(1, abs(result.alpha))
        correlated = mf.c_map(phi, result.c_star, result.q_star, sigma_w, sigma_b)
        assert abs(correlated - result.c_star) <= result.errors["c_star"] + 1e-12
        kernel = mf.dual_kernel(phi, result.c_star, q1=result.q_star)
        assert abs(result.chi_c - sigma_w**2 * kernel.derivative) <= 1e-11 * max(1, result.chi_c)


@pytest.mark.parametrize("point", POINTS, ids=lambda p: f"{p[0]}-{p[1]}-{p[2]}")
def test_scales_and_phase_follow_from_the_slopes(point):
    for result in _away_from_zero(mf.fixed_points(*point)):
        assert result.stable == (result.alpha < 1)
        assert result.phase == ("ordered" if result.chi_1 < 1 else "chaotic")
        assert result.c_star == 1.0 or result.phase == "chaotic"
        assert abs(-1 / result.xi_gradient - math.log(result.chi_1)) <= 1e-10
        assert abs(-1 / result.xi_c - math.log(result.chi_c)) <= 1e-10
        if abs(result.alpha) < 1 and result.alpha != 0:
            assert abs(-1 / result.xi_q - math.log(abs(result.alpha))) <= 1e-10
        assert result.status is Status.CONVERGED


@pytest.mark.parametrize("problem", [p for p in FIXED_POINT_PROBLEMS if abs(float(p.alpha)) < 1], ids=str)
def test_depth_scales_against_the_table(problem):
    result = min(
        mf.fixed_points(problem.phi, problem.sigma_w, problem.sigma_b),
        key=lambda r: abs(r.q_star - float(problem.q_star)),
    )
    for field, slope in (("xi_gradient", problem.chi_1), ("xi_c", problem.chi_c), ("xi_q", problem.alpha)):
        exact = -1 / math.log(abs(float(slope)))
        # ln of a slope near 1 amplifies the digits' own rounding.
        digits = 4e-16 * exact**2 / abs(float(slope))
        assert abs(getattr(result, field) - exact) <= result.errors[field] + digits
        assert abs(-1 / getattr(result, field) - math.log(abs(float(slope)))) <= 1e-10


# The attractor


def test_default_start_is_q0_1():
    for point in POINTS:
        if len(fixed_points_of(*point)) == 1:
            try:
                result = mf.fixed_point(*point)
            except NoFixedPointError:
                continue
            assert result.q_star == pytest.approx(float(fixed_points_of(*point)[0].q_star), rel=1e-11)


def test_silu_attractor_and_repeller():
    """theory, section 3: at sigma_b = .2 the critical point repels; below it q falls to .194038, above it grows."""
    (critical,) = critical_points_of("silu", "sigma_b", 0.2)
    sigma_w = float(critical.sigma_w)
    low, high = mf.fixed_points("silu", sigma_w, 0.2)
    assert abs(low.q_star - 0.194038) <= 5e-7
    assert abs(low.chi_1 - 0.82028) <= 5e-6
    assert (low.stable, low.phase) == (True, "ordered")
    assert abs(high.q_star - 0.689453) <= 5e-7
    assert abs(high.alpha - 1.09873) <= 5e-6
    assert abs(high.chi_1 - 1) <= high.errors["chi_1"] + 1e-13
    assert (high.stable, high.phase) == (False, "critical")
    assert mf.fixed_point("silu", sigma_w, 0.2, q0=0.5).q_star == pytest.approx(low.q_star, rel=1e-12)
    with pytest.raises(NoFixedPointError, match=r"0\.19403"):
        mf.fixed_point("silu", sigma_w, 0.2, q0=1.0)


@settings(deadline=None, max_examples=25)
@given(phi=BOUNDED, sigma_w=st.floats(0.2, 6), sigma_b=st.floats(0.05, 2), q0=st.floats(0.01, 50))
def test_the_orbit_ends_at_the_fixed_point(phi, sigma_w, sigma_b, q0):
    result = mf.fixed_point(phi, sigma_w, sigma_b, q0=q0)
    assume(abs(result.alpha) < 0.9)
    run = mf.propagate(phi, sigma_w, sigma_b, depth=400, q0=q0)
    assert abs(run.q[-1] - result.q_star) <= 1e-9 * result.q_star


@settings(deadline=None, max_examples=25)
@given(phi=BOUNDED, sigma_w=st.floats(0.2, 6), sigma_b=st.floats(0.05, 2))
def test_bounded_phi_always_has_a_stable_fixed_point(phi, sigma_w, sigma_b):
    """Stable and unstable fixed points alternate, the first and the last being stable."""
    points = mf.fixed_points(phi, sigma_w, sigma_b)
    assert len(points) % 2 == 1
    assert [p.stable for p in points] == [k % 2 == 0 for k in range(len(points))]
    assert [p.q_star for p in points] == sorted(p.q_star for p in points)


@settings(deadline=None, max_examples=25)
@given(phi=BOUNDED, sigma_w=st.floats(0.2, 6), sigma_b=st.floats(0.05, 2))
def test_phase_is_the_sign_of_chi_1_minus_1(phi, sigma_w, sigma_b):
    result = mf.fixed_point(phi, sigma_w, sigma_b)
    if abs(result.chi_1 - 1) > result.errors["chi_1"] + 1e-14:
        assert result.phase == ("chaotic" if result.chi_1 > 1 else "ordered")
    if result.phase == "chaotic":
        assert result.c_star < 1
        assert result.chi_c < 1
        assert result.xi_gradient < 0


@settings(deadline=None, max_examples=10)
@given(phi=BOUNDED, sigma_w=st.floats(0.5, 6), sigma_b=st.floats(0.05, 1), c0=st.floats(0, 0.99))
def test_correlations_end_at_c_star(phi, sigma_w, sigma_b, c0):
    result = mf.fixed_point(phi, sigma_w, sigma_b)
    assume(result.chi_c < 0.8)
    run = mf.propagate(phi, sigma_w, sigma_b, depth=120, q0=result.q_star, c0=c0)
    assert abs(run.c[-1] - result.c_star) <= 1e-8


# Homogeneous phi


@settings(deadline=None, max_examples=20)
@given(slope=st.floats(-0.9, 0.9), sigma_w=st.floats(0.1, 1.0), sigma_b=st.floats(0.01, 3))
def test_relu_family_in_closed_form(slope, sigma_w, sigma_b):
    """q* = sigma_b^2/(1 - sigma_w^2 (1 + a^2)/2), alpha = chi_1 = sigma_w^2 (1 + a^2)/2, c* = 1."""
    result = mf.fixed_point(f"leaky_relu(slope={slope!r})", sigma_w, sigma_b)
    chi_1 = sigma_w**2 * (1 + slope**2) / 2
    assert abs(result.q_star - sigma_b**2 / (1 - chi_1)) <= result.error + 4e-16 * result.q_star / (1 - chi_1)
    assert abs(result.chi_1 - chi_1) <= 1e-14
    assert abs(result.alpha - chi_1) <= 1e-14
    assert (result.phase, result.c_star) == ("ordered", 1.0)


def test_relu_at_sqrt_2_keeps_every_q():
    for q0 in (1.0, 0.37, 250.0):
        result = mf.fixed_point("relu", np.sqrt(2), 0.0, q0=q0)
        assert (result.q_star, result.alpha, result.stable, result.phase) == (q0, 1.0, True, "critical")
        assert result.xi_q == math.inf
        assert result.xi_c == math.inf
        assert result.xi_gradient == math.inf
        assert result.status is Status.EVERY_Q_FIXED
        assert "Every q" in result.status.message
    (only,) = mf.fixed_points("relu", np.sqrt(2), 0.0)
    assert (only.q_star, only.status) == (1.0, Status.EVERY_Q_FIXED)


@pytest.mark.parametrize("phi", ["linear", "leaky_relu"])
def test_other_homogeneous_phi_at_criticality(phi):
    slope = {"linear": 1.0, "leaky_relu": 0.01}[phi]
    result = mf.fixed_point(phi, math.sqrt(2 / (1 + slope**2)), 0.0, q0=3.0)
    assert (result.q_star, result.phase, result.status) == (3.0, "critical", Status.EVERY_Q_FIXED)


def test_relu_beside_sqrt_2():
    below = mf.fixed_point("relu", math.sqrt(2) - 1e-6, 0.0)
    assert (below.q_star, below.phase, below.stable) == (0.0, "ordered", True)
    with pytest.raises(NoFixedPointError):
        mf.fixed_point("relu", math.sqrt(2) + 1e-6, 0.0)
    with pytest.raises(NoFixedPointError):
        mf.fixed_point("relu", np.sqrt(2), 0.1)


@pytest.mark.parametrize(("sigma_w", "sigma_b"), [(1.5, 0.1), (2.0, 1.0), (np.sqrt(2), 1e-3)])
def test_relu_unbounded(sigma_w, sigma_b):
    assert mf.fixed_points("relu", sigma_w, sigma_b) == ()
    with pytest.raises(NoFixedPointError, match="without bound"):
        mf.fixed_point("relu", sigma_w, sigma_b)


def test_unbounded_without_biases_keeps_the_repelling_zero():
    """q = 0 stays a fixed point of ReLU at sigma_w = 1.5, sigma_b = 0; from q0 = 0 it is where the length stays."""
    (zero,) = mf.fixed_points("relu", 1.5, 0.0)
    assert (zero.q_star, zero.stable, zero.phase) == (0.0, False, "chaotic")
    assert mf.fixed_point("relu", 1.5, 0.0, q0=0.0).q_star == 0.0
    with pytest.raises(NoFixedPointError):
        mf.fixed_point("relu", 1.5, 0.0, q0=1e-9)


# q_star = 0


def test_tanh_at_1_0():
    """alpha = chi_1 = 1 and lengths shrink: marginal, attracting."""
    (result,) = mf.fixed_points("tanh", 1.0, 0.0)
    assert (result.q_star, result.stable, result.phase) == (0.0, True, "critical")
    assert abs(result.alpha - 1) <= result.errors["alpha"] + 1e-15
    assert abs(result.chi_1 - 1) <= result.errors["chi_1"] + 1e-15
    assert all(math.isnan(getattr(result, field)) for field in ("c_star", "chi_c", "xi_c"))
    assert result.xi_gradient == math.inf
    assert mf.fixed_point("tanh", 1.0, 0.0, q0=2.0).q_star == 0.0


@pytest.mark.parametrize("phi", ["silu", "gelu", "gelu_tanh", "mish"])
def test_gated_at_zero_bias_repel(phi):
    """phi'(0) = 1/2 (mish: .6), so chi_1(0) = 1 at sigma_w = 2 (5/3), where alpha > 1 at every small q > 0."""
    sigma_w = 1 / float(mf.as_nonlinearity(phi).derivative(np.zeros(1))[0])
    zero = mf.fixed_points(phi, sigma_w, 0.0)[0]
    assert (zero.q_star, zero.stable, zero.phase) == (0.0, False, "critical")
    if phi != "mish":
        assert sigma_w == pytest.approx(2.0, rel=1e-15)


def test_ordered_at_zero():
    (result,) = mf.fixed_points("tanh", 0.7, 0.0)
    assert (result.q_star, result.phase, result.stable) == (0.0, "ordered", True)
    assert result.chi_1 == pytest.approx(0.49, rel=1e-14)
    assert result.alpha == pytest.approx(0.49, rel=1e-14)
    assert math.isnan(result.c_star)
    assert result.xi_gradient == pytest.approx(-1 / math.log(0.49), rel=1e-13)


def test_chaotic_tanh_without_biases_has_c_star_0():
    """odd phi at sigma_b = 0, chi_1 > 1: c* = 0 (theory, section 2)."""
    zero, result = mf.fixed_points("tanh", 1.5, 0.0)
    assert (zero.q_star, zero.stable, zero.phase) == (0.0, False, "chaotic")
    assert (result.stable, result.phase) == (True, "chaotic")
    assert abs(result.c_star) <= result.errors["c_star"]
    (problem,) = fixed_points_of("tanh", 1.5, 0.0)
    assert abs(result.chi_c - float(problem.chi_c)) <= 1e-10


def test_slightly_above_criticality():
    """tanh: q* ~ (sigma_w^2 - 1)/2 as sigma_w -> 1 without biases (V = q - 2 q^2 + O(q^3))."""
    for excess in (1e-3, 1e-5):
        zero, result = mf.fixed_points("tanh", 1 + excess, 0.0)
        assert zero.q_star == 0.0
        assert abs(result.q_star / excess - 1) <= 10 * excess


def test_zero_start():
    assert mf.fixed_point("tanh", 1.5, 0.0, q0=0.0).q_star == 0.0
    assert mf.fixed_point("tanh", 1.5, 0.3, q0=0.0).q_star == pytest.approx(mf.fixed_point("tanh", 1.5, 0.3).q_star)


# On the critical line


@pytest.mark.parametrize("problem", [p for p in CRITICAL_PROBLEMS if p.given == "sigma_b"], ids=str)
def test_critical_parameters_are_critical(problem):
    """At the table's point, rounded to float64, chi_1 differs from 1 by rounding: the phase is "critical"."""
    sigma_w, sigma_b, q_star = float(problem.sigma_w), float(problem.sigma_b), float(problem.q_star)
    result = min(mf.fixed_points(problem.phi, sigma_w, sigma_b), key=lambda r: abs(r.q_star - q_star))
    assert abs(result.q_star - q_star) <= result.error + 4e-16 * q_star * (2 + 2 / abs(1 - float(problem.alpha)))
    assert result.phase == "critical"
    assert result.c_star == 1.0
    assert result.xi_gradient == math.inf
    assert abs(result.alpha - float(problem.alpha)) <= 1e-10
    assert result.stable == (float(problem.alpha) < 1)


def test_extreme_parameters():
    """Far corners keep their answers, from lengths of 1e-16 to 1e8."""
    for phi, sigma_w, sigma_b in [("tanh", 1e-3, 1e-8), ("tanh", 1e4, 0.0), ("erf", 1e4, 1e-3), ("relu", 1e-3, 1e4)]:
        result = mf.fixed_point(phi, sigma_w, sigma_b)
        image = mf.q_map(phi, result.q_star, sigma_w, sigma_b)
        assert abs(image - result.q_star) <= 1e-12 * result.q_star


# Arguments, types, sharing


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        (lambda: mf.fixed_point("tanh", -1.0, 0.1), "sigma_w must be > 0, got -1.0"),
        (lambda: mf.fixed_point("tanh", 0.0, 0.1), "sigma_w must be > 0, got 0.0"),
        (lambda: mf.fixed_point("tanh", math.inf, 0.1), "sigma_w must be finite, got inf"),
        (lambda: mf.fixed_point("tanh", 1.0, -0.1), "sigma_b must be >= 0, got -0.1"),
        (lambda: mf.fixed_point("tanh", 1.0, math.nan), "sigma_b must be finite, got nan"),
        (lambda: mf.fixed_point("tanh", 1.0, 0.1, q0=-1.0), "q0 must be >= 0, got -1.0"),
        (lambda: mf.fixed_point("tanh", [1.0, 2.0], 0.1), "sigma_w must be a single number"),
        (lambda: mf.fixed_points("tanh", 1.0, [0.1]), "sigma_b must be a single number"),
        (lambda: mf.fixed_points("tanh", "1", 0.1), "sigma_w must be real numbers, got '1'"),
        (lambda: mf.fixed_points("tanh", [], 0.1), "sigma_w must not be empty"),
    ],
)
def test_bad_arguments_name_themselves(call, rule):
    with pytest.raises(InvalidParameterError) as caught:
        call()
    assert rule in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_phi_of_exponential_growth_is_refused_or_bounded_honestly():
    """E phi^2 of exp(x^2/8) is finite below q = 2: the small fixed point exists, and q0 = 3 has no length map."""
    points = mf.fixed_points("expm1(x**2/8)", 1.0, 0.1)
    assert 0 < points[0].q_star < 2
    assert abs(mf.q_map("expm1(x**2/8)", points[0].q_star, 1.0, 0.1) - points[0].q_star) <= 1e-13
    with pytest.raises((NonlinearityError, NoFixedPointError)):
        mf.fixed_point("expm1(x**2/8)", 1.0, 0.1, q0=3.0)


def test_an_infinite_mu_2_does_not_spoil_the_rest():
    """expm1(x^2/8) at q = 1.5: V = (1-q/2)^(-1/2) - 2 (1-q/4)^(-1/2) + 1, mu_1 = q (1-q/2)^(-3/2)/16, mu_2 infinite."""
    V = 0.25**-0.5 - 2 * 0.625**-0.5 + 1
    sigma_b = math.sqrt(1.5 - V / 4)
    result = min(mf.fixed_points("expm1(x**2/8)", 0.5, sigma_b), key=lambda point: abs(point.q_star - 1.5))
    assert abs(result.q_star - 1.5) <= result.error + 1e-15
    assert abs(result.chi_1 - 1.5 * 8 / 16 / 4) <= result.errors["chi_1"] + 1e-15
    assert (result.phase, result.stable) == ("ordered", True)
    assert result.error <= 1e-10


def test_fields_are_plain_and_results_frozen_and_pickled():
    result = mf.fixed_point("tanh", 2.5, 0.3)
    for field in (
        "sigma_w",
        "sigma_b",
        "q_star",
        "alpha",
        "chi_1",
        "c_star",
        "chi_c",
        "xi_q",
        "xi_c",
        "xi_gradient",
        "error",
    ):
        assert isinstance(getattr(result, field), float)
    assert isinstance(result.stable, bool)
    assert isinstance(result.phase, str)
    numeric = {"q_star", "alpha", "chi_1", "c_star", "chi_c", "xi_q", "xi_c", "xi_gradient"}
    assert numeric <= set(result.errors)
    again = pickle.loads(pickle.dumps(result))
    assert again.to_dict() == result.to_dict()
    with pytest.raises(AttributeError):
        result.q_star = 1.0


def test_threads_get_the_same_fixed_points():
    text = "tanh(x)+0.1*arctan(2*x)"
    points = [(1.0 + 0.1 * k, 0.1) for k in range(8)]
    with ThreadPoolExecutor(4) as pool:
        shared = list(pool.map(lambda p: mf.fixed_point(text, *p).to_dict(), points))
    assert shared == [mf.fixed_point(text, *p).to_dict() for p in points]


def test_numpy_scalars_are_numbers():
    assert mf.fixed_point("tanh", np.float64(1.5), np.float32(0.5)).sigma_b == 0.5
    assert mf.fixed_point("tanh", 2, 1).q_star == mf.fixed_point("tanh", 2.0, 1.0).q_star


# Beyond the lengths that are tabulated


@pytest.mark.filterwarnings("ignore::meanfield.errors.AccuracyWarning")
def test_lengths_far_beyond_the_profile():
    """tanh saturates: q* = sigma_w^2 (1 - O(1/sqrt(q))); relu: q* = sigma_b^2/(1 - sigma_w^2/2) in exact arithmetic."""
    result = mf.fixed_point("tanh", 5e6, 0.1)
    assert abs(result.q_star / (25e12 * (1 - math.sqrt(2 / math.pi) / 5e6)) - 1) <= 1e-12
    assert (result.phase, result.stable) == ("chaotic", True)
    # sign(x) in the limit: chi_c = 2/pi at c* = 0.
    assert abs(result.chi_c - 2 / math.pi) <= 1e-6
    for sigma_w in (1.4142, 1.414213562, 1.41421356237):
        exact = 1 / (1 - Fraction(sigma_w) ** 2 / 2)
        result = mf.fixed_point("relu", sigma_w, 1.0)
        assert abs(Fraction(result.q_star) - exact) <= result.error
        assert result.error <= 1e-3 * result.q_star


@pytest.mark.parametrize("sigma_b", [100.0, 1e3])
def test_two_lengths_beyond_the_profile(sigma_b):
    """softshrink: V = q - 2 lambda sqrt(2 q/pi) + lambda^2 + O(q^-1/2): a quadratic in sqrt(q)."""
    sigma_w = 1 + 0.07 / sigma_b**2
    a, b, c = sigma_w**2 - 1, sigma_w**2 * math.sqrt(2 / math.pi), sigma_w**2 / 4 + sigma_b**2
    roots = [((b + sign * math.sqrt(b * b - 4 * a * c)) / (2 * a)) ** 2 for sign in (-1, 1)]
    points = mf.fixed_points("softshrink", sigma_w, sigma_b)
    assert [point.stable for point in points] == [True, False]
    assert all(abs(p.q_star / q - 1) <= 1 / sigma_b + p.error / q for p, q in zip(points, roots, strict=True))


def test_a_diagram_sees_two_lengths_beyond_the_profile():
    assert mf.phase_diagram("softshrink", [1 + 7e-6], [100.0]).n_fixed_points.item() == 2


def test_a_steep_step_has_the_chaos_of_a_sign():
    """tanh(1e7 x) at sigma_w = 1.5: E phi phi = (2/pi) asin c, whose c* is that of [Poole16]'s step."""
    result = mf.fixed_point("tanh(1e7*x)", 1.5, 0.1)
    assert abs(result.q_star - 2.26) <= 1e-6
    image = (2.25 * 2 / math.pi * math.asin(result.c_star) + 0.01) / 2.26
    assert abs(image - result.c_star) <= 1e-7
    slope = 2.25 / 2.26 * 2 / math.pi / math.sqrt(1 - result.c_star**2)
    assert abs(result.chi_c - slope) <= result.errors["chi_c"] + 1e-6
    assert result.errors["chi_c"] <= 1e-6


@pytest.mark.parametrize(
    ("phi", "sigma_w", "reason"),
    [
        ("tanh", 1e100, r"leaves the range of the search, q up to 1e\+150"),
        ("x/(1+log1p(abs(x)))", 1e3, r"leaves the range of the search, q up to 1e\+150"),
        ("sin(1e3*x)", 1.5, "phi turns too fast for the integrals; scale x down"),
    ],
)
def test_a_search_that_ends_says_where(phi, sigma_w, reason):
    with pytest.raises(ConvergenceError, match=reason) as caught:
        mf.fixed_point(phi, sigma_w, 0.1)
    assert caught.value.partial > 0
    with pytest.raises(ConvergenceError, match=reason):
        mf.fixed_points(phi, sigma_w, 0.1)
    assert mf.phase_diagram(phi, [sigma_w], [0.1]).status.item() == mf.Status.NOT_CONVERGED


@pytest.mark.parametrize("phi", ["sinh(x)", "x*log1p(abs(x))", "x + sin(2*x)/2", "softplus"])
def test_growth_without_bound_where_it_is_certain(phi):
    with pytest.raises(NoFixedPointError, match="without bound"):
        mf.fixed_point(phi, 2.0, 0.5, q0=3.0)


@pytest.mark.parametrize(
    ("phi", "reason"),
    [
        ("1e-160*tanh(x)", "phi' is of size 1e-160, so the moments leave double precision; scale phi"),
        ("1e200*tanh(x)", r"phi' is of size 1e\+200"),
        ("tanh(1e80*x)", r"phi' is of size 1e\+80"),
        ("sin(1e10*x)", "phi turns too fast for the integrals"),
    ],
)
def test_phi_beyond_double_precision(phi, reason):
    for call in (lambda: mf.fixed_point(phi, 1.5, 0.1), lambda: mf.critical_point(phi, sigma_b=0.1)):
        with pytest.raises(NonlinearityError, match=reason):
            call()


def test_slopes_within_their_bounds_are_told():
    """sin(20 x): chi_c = 400 e^-204 cosh 4 and alpha = 400 * 0.51 e^-408 are beyond what integrals can see."""
    with pytest.warns(AccuracyWarning, match=r"sigma_b = 0\.1.* alpha to .*chi_c to .*e-1\d only") as caught:
        (point,) = mf.fixed_points("sin(20*x)", 1.0, 0.1)
    assert caught[0].filename == __file__
    with mpmath.workdps(40):
        chi_c, alpha = 400 * mpmath.exp(-204) * mpmath.cosh(4), 400 * mpmath.exp(-408)
        for field, slope in (("xi_c", chi_c), ("xi_q", alpha)):
            assert abs(getattr(point, field) + 1 / mpmath.log(slope)) <= point.errors[field] <= 0.05
    assert point.status is Status.LOW_ACCURACY
    grid = mf.phase_diagram("sin(20*x)", [1.0], [0.1])
    assert grid.status[0, 0] == Status.LOW_ACCURACY


def test_slopes_that_underflow_are_no_loss():
    (point,) = mf.fixed_points("softshrink", 0.5, 0.01)
    assert (point.chi_1, point.alpha, point.status) == (0.0, 0.0, Status.CONVERGED)
    assert point.errors["xi_c"] <= 2e-3
