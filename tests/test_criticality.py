"""Critical points: the table, the answers substituted back, which one is chosen, and what happens where none exists."""

import math
import pickle
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import meanfield as mf
from meanfield.errors import InvalidParameterError, NoCriticalPointError, UnstableCriticalPointWarning
from tests.critical_cases import quiet_point
from tests.problems import CRITICAL_PROBLEMS, MOMENT_PROBLEMS, critical_points_of, gap

GIVEN = sorted({(p.phi, p.given, p.value) for p in CRITICAL_PROBLEMS})
DIGITS = 1e-22  # the table's own rounding, of numbers up to 100 with 25 digits

# Known limits, strict: the day one is lifted the test fails and the entry goes.
KNOWN_LIMITS: dict[tuple[str, str, float, str], str] = {}


def _cases(*claims):
    for point in GIVEN:
        for claim in claims:
            reason = KNOWN_LIMITS.get((*point, claim))
            marks = [pytest.mark.xfail(reason=reason, strict=True)] if reason else []
            yield pytest.param(*point, claim, id="-".join(map(str, (*point, claim))), marks=marks)


@pytest.mark.parametrize(("phi", "given", "value", "claim"), list(_cases("accurate", "honest")))
def test_every_critical_point(phi, given, value, claim):
    found, expected = mf.critical_points(phi, **{given: value}), critical_points_of(phi, given, value)
    assert len(found) == len(expected)
    for result, problem in zip(found, expected, strict=True):
        errors = {f: gap(getattr(result, f), getattr(problem, f)) for f in ("q_star", "sigma_w", "sigma_b", "alpha")}
        if claim == "honest":
            assert {
                f: (float(e), result.errors[f]) for f, e in errors.items() if not e <= result.errors[f] + DIGITS
            } == {}
            assert max(errors["q_star"], errors["sigma_w"], errors["sigma_b"]) <= result.error + DIGITS
            continue
        assert errors["q_star"] <= 1e-12 * float(problem.q_star) / abs(1 - float(problem.alpha))
        assert errors["sigma_w"] <= 1e-12 * float(problem.sigma_w)
        assert errors["sigma_b"] <= 1e-12
        assert errors["alpha"] <= 1e-11


@pytest.mark.parametrize(("phi", "given", "value"), GIVEN)
def test_answers_substituted_back(phi, given, value):
    """chi_1 = 1 and q_star is a fixed point of the length map."""
    for result in mf.critical_points(phi, **{given: value}):
        m = mf.moments(phi, result.q_star)
        assert abs(result.sigma_w**2 * m.mu_1 - 1) <= 1e-13
        assert abs(result.alpha - result.sigma_w**2 * m.V_slope) <= 1e-12
        image = mf.q_map(phi, result.q_star, result.sigma_w, result.sigma_b)
        assert abs(image - result.q_star) <= 1e-12 * result.q_star
        assert getattr(result, given) == pytest.approx(value, rel=1e-12)
        assert result.stable == (result.alpha < 1)
        assert result.error <= 1e-10


def test_documented_values():
    """tanh at sigma_b = .3 and sigma_b^2 = .05 [Schoenholz17], the digits of the issue's command line example."""
    result = mf.critical_point("tanh", sigma_b=0.3)
    assert abs(result.sigma_w - 1.3955839751) <= 1e-10
    assert abs(result.q_star - 0.7634747669) <= 1e-10
    result = mf.critical_point("tanh", sigma_b=math.sqrt(0.05))
    assert abs(result.sigma_w**2 - 1.760955) <= 1e-6
    assert abs(result.q_star - 0.570048) <= 1e-6


@pytest.mark.parametrize("problem", [p for p in MOMENT_PROBLEMS if float(p.critical_ratio) > 0], ids=str)
def test_given_q_star_from_the_table_of_moments(problem):
    """sigma_w = mu_1^(-1/2), sigma_b = (critical_ratio/mu_1)^(1/2), down to q_star = 1e-8, to the error reported."""
    if float(problem.critical_ratio) < 1e-290:
        pytest.skip("sigma_b^2 underflows")
    result = quiet_point(problem.phi, q_star=problem.q)
    assert result.q_star == problem.q
    sigma_w = float(problem.mu_1) ** -0.5
    sigma_b = math.sqrt(float(problem.critical_ratio) / float(problem.mu_1))
    assert abs(result.sigma_w - sigma_w) <= result.errors["sigma_w"] + 4e-16 * sigma_w
    assert abs(result.sigma_b - sigma_b) <= result.errors["sigma_b"] + 4e-16 * sigma_b
    if problem.q >= 1e-4:
        assert abs(result.sigma_w - sigma_w) <= 1e-12 * sigma_w
        assert abs(result.sigma_b - sigma_b) <= 1e-12 * max(1, sigma_b)


def test_an_expression_works_as_readily():
    """The issue's example: sin(x)/(1+abs(x)) at sigma_b = .1."""
    (problem,) = critical_points_of("sin(x)/(1+abs(x))", "sigma_b", 0.1)
    result = mf.critical_point("sin(x)/(1+abs(x))", sigma_b=0.1)
    assert abs(result.q_star / float(problem.q_star) - 1) <= 1e-11


# Stability and choice


def test_silu_warns_and_names_the_alternative():
    with pytest.warns(UnstableCriticalPointWarning) as caught:
        result = mf.critical_point("silu", sigma_b=0.2)
    assert abs(result.q_star - 0.689453) <= 5e-7
    assert abs(result.alpha - 1.09873) <= 5e-6
    assert not result.stable
    assert "silu" in str(caught[0].message)


@pytest.mark.filterwarnings("ignore::meanfield.errors.AccuracyWarning")
def test_points_beyond_the_profile_repel():
    """softshrink: at criticality alpha = 1 and V is convex, so lengths above q_star leave, at every sigma_b."""
    for sigma_b in (0.2, 50.0, 100.0, 1e3):
        (point,) = mf.critical_points("softshrink", sigma_b=sigma_b)
        assert not point.stable
        assert any(
            abs(fixed.q_star - point.q_star) <= fixed.error
            for fixed in mf.fixed_points("softshrink", point.sigma_w, sigma_b)
        )


def test_the_smallest_stable_point_is_chosen():
    for phi, given, value in GIVEN:
        points = mf.critical_points(phi, **{given: value})
        chosen = quiet_point(phi, **{given: value})
        stable = [p for p in points if p.stable]
        assert chosen.q_star == (stable or list(points))[0].q_star
        assert [p.q_star for p in points] == sorted(p.q_star for p in points)


def test_stable_points_do_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mf.critical_point("tanh", sigma_b=0.3)
        mf.critical_point("silu", sigma_b=1.0)


@pytest.mark.parametrize(("phi", "threshold"), [("gelu", 0.4158), ("silu", 0.7451)])
def test_threshold_of_stability(phi, threshold):
    """theory, section 3: below .4158 (GELU) and .7451 (SiLU) the critical point repels."""
    assert not quiet_point(phi, sigma_b=threshold - 2e-4).stable
    assert quiet_point(phi, sigma_b=threshold + 2e-4).stable


# Where there is none


def test_softplus_has_no_critical_point():
    for given in ({"sigma_b": 0.1}, {"sigma_b": 0.0}, {"sigma_b": 100.0}, {"q_star": 1.0}):
        with pytest.raises(NoCriticalPointError, match="softplus"):
            mf.critical_point("softplus", **given)
        with pytest.raises(NoCriticalPointError, match="softplus"):
            mf.critical_points("softplus", **given)


def test_sigmoid_is_critical_only_at_large_lengths():
    """theory, section 3: q > 45.6, sigma_w about 10.1."""
    start = mf.critical_point("sigmoid", sigma_b=0.0)
    assert start.q_star == pytest.approx(45.6, abs=0.1)
    assert start.sigma_w == pytest.approx(10.1, abs=0.05)
    with pytest.raises(NoCriticalPointError):
        mf.critical_point("sigmoid", q_star=40.0)
    with pytest.raises(NoCriticalPointError):
        mf.critical_point("sigmoid", sigma_w=9.0)
    assert mf.critical_point("sigmoid", q_star=46.0).sigma_b > 0


def test_relu_message_names_what_is_attainable():
    with pytest.raises(NoCriticalPointError) as caught:
        mf.critical_point("relu", sigma_b=0.1)
    assert "sigma_b = 0" in str(caught.value)
    with pytest.raises(NoCriticalPointError):
        mf.critical_point("relu", sigma_w=1.5)


def test_attainable_range_is_named():
    with pytest.raises(NoCriticalPointError) as caught:
        mf.critical_point("tanh", sigma_w=0.9)
    assert "sigma_w" in str(caught.value)


# Arguments, types, sharing


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        (lambda: mf.critical_point("tanh"), "exactly one"),
        (lambda: mf.critical_point("tanh", sigma_b=0.1, q_star=1.0), "exactly one"),
        (lambda: mf.critical_points("tanh", sigma_b=0.1, sigma_w=1.0), "exactly one"),
        (lambda: mf.critical_line("tanh"), "exactly one"),
        (lambda: mf.critical_line("tanh", q_star=[1.0], sigma_b=[1.0]), "exactly one"),
        (lambda: mf.critical_point("tanh", sigma_b=-0.1), "sigma_b must be >= 0, got -0.1"),
        (lambda: mf.critical_point("tanh", sigma_b=math.nan), "sigma_b must be finite, got nan"),
        (lambda: mf.critical_point("tanh", sigma_w=0.0), "sigma_w must be > 0, got 0.0"),
        (lambda: mf.critical_point("tanh", q_star=-1.0), "q_star must be >= 0, got -1.0"),
        (lambda: mf.critical_point("tanh", q_star=math.inf), "q_star must be finite, got inf"),
        (lambda: mf.critical_point("tanh", sigma_b=[0.1]), "sigma_b must be a single number"),
        (lambda: mf.critical_line("tanh", q_star=[]), "q_star must not be empty"),
        (lambda: mf.critical_line("tanh", sigma_b=[0.1, -0.2]), "sigma_b must be >= 0, got -0.2"),
    ],
)
def test_bad_arguments_name_themselves(call, rule):
    with pytest.raises(InvalidParameterError) as caught:
        call()
    assert rule in str(caught.value)
    assert "\n" not in str(caught.value)


def test_types_and_pickle():
    result = mf.critical_point("tanh", sigma_b=0.3)
    for field in ("sigma_w", "sigma_b", "q_star", "alpha", "error"):
        assert isinstance(getattr(result, field), float)
    assert isinstance(result.stable, bool)
    assert {"sigma_w", "sigma_b", "q_star", "alpha"} <= set(result.errors)
    assert pickle.loads(pickle.dumps(result)).to_dict() == result.to_dict()
    line = mf.critical_line("tanh", q_star=[0.1, 1.0])
    assert pickle.loads(pickle.dumps(line)).to_dict() == line.to_dict()
    with pytest.raises(AttributeError):
        result.sigma_w = 1.0


def test_threads_get_the_same_points():
    text, values = "tanh(x)+0.2*arctan(x)", np.linspace(0.05, 0.5, 8)
    with ThreadPoolExecutor(4) as pool:
        shared = list(pool.map(lambda b: mf.critical_point(text, sigma_b=float(b)).to_dict(), values))
    assert shared == [mf.critical_point(text, sigma_b=float(b)).to_dict() for b in values]
