"""Fixed points: the table, the answers substituted back, and which of them lengths end at."""

import math
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import assume, given, settings, strategies as st

import meanfield as mf
from meanfield.errors import InvalidParameterError, NoFixedPointError, Status
from tests.problems import FIXED_POINT_PROBLEMS, PROBLEMS, critical_points_of, fixed_points_of, gap

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
