"""Critical points and the critical line: the table, exact lines, every root, and what happens where none exists."""

import math
import pickle
import warnings
from concurrent.futures import ThreadPoolExecutor

import mpmath
import numpy as np
import pytest
from hypothesis import given as sample, settings, strategies as st
from scipy import integrate

import meanfield as mf
from meanfield.errors import (
    InvalidParameterError,
    NoCriticalPointError,
    NonlinearityError,
    Status,
    UnstableCriticalPointWarning,
)
from tests.problems import CRITICAL_PROBLEMS, MOMENT_PROBLEMS, critical_points_of, gap

GIVEN = sorted({(p.phi, p.given, p.value) for p in CRITICAL_PROBLEMS})
DIGITS = 1e-22  # the table's own rounding, of numbers up to 100 with 25 digits
ODD_LINES = st.sampled_from(["tanh", "erf", "sin", "arctan"])

# Known limits, strict: the day one is lifted the test fails and the entry goes.
KNOWN_LIMITS: dict[tuple[str, str, float, str], str] = {}


def quiet_point(phi, **given):
    """critical_point with the warning about instability set aside."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnstableCriticalPointWarning)
        return mf.critical_point(phi, **given)


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


# Exact lines


@settings(deadline=None, max_examples=30)
@sample(logarithm=st.floats(-6, 2))
def test_sin_line(logarithm):
    """sigma_w^2 = 1 + tanh q, sigma_b^2 = q - tanh q."""
    q = 10.0**logarithm
    result = mf.critical_point("sin", q_star=q)
    assert abs(result.sigma_w - math.sqrt(1 + math.tanh(q))) <= result.errors["sigma_w"] + 4e-16
    # q - tanh q cancels for small q: its series there.
    series = q**3 / 3 - 2 * q**5 / 15 + 17 * q**7 / 315 - 62 * q**9 / 2835 + 1382 * q**11 / 155925
    difference = series if q < 0.03 else q - math.tanh(q)
    rounding = 4e-16 * (q if q >= 0.03 else difference) / (2 * math.sqrt(difference))
    assert abs(result.sigma_b - math.sqrt(difference)) <= result.errors["sigma_b"] + rounding


@settings(deadline=None, max_examples=30)
@sample(logarithm=st.floats(-6, 4))
def test_erf_line(logarithm):
    """sigma_w^2 = (pi/4) sqrt(1 + 4q)."""
    q = 10.0**logarithm
    result = mf.critical_point("erf", q_star=q)
    sigma_w = math.sqrt(math.pi / 4 * math.sqrt(1 + 4 * q))
    assert abs(result.sigma_w - sigma_w) <= result.errors["sigma_w"] + 4e-16 * sigma_w


@pytest.mark.parametrize(
    ("phi", "sigma_b_2", "sigma_w_2"),
    [
        ("tanh", lambda q: 4 / 3 * q**3, lambda q: 1 + 2 * q),
        ("sin", lambda q: q**3 / 3, lambda q: 1 + q),
        ("arctan", lambda q: 4 / 3 * q**3, lambda q: 1 + 2 * q),
        ("silu", lambda q: q**2 / 4, lambda q: 4.0),
        ("gelu", lambda q: 2 / math.pi * q**2, lambda q: 4.0),
    ],
)
def test_small_q_asymptotics(phi, sigma_b_2, sigma_w_2):
    """sigma_b^2 ~ sigma_w^2 phi'''(0)^2 q^3/3 or sigma_w^2 phi''(0)^2 q^2/4 (theory, section 3)."""
    for q in (1e-3, 1e-4):
        result = quiet_point(phi, q_star=q)
        assert abs(result.sigma_b**2 / sigma_b_2(q) - 1) <= 15 * q
        assert abs(result.sigma_w**2 / sigma_w_2(q) - 1) <= 5 * q


def test_tanh_at_a_small_length():
    """theory, section 3: q = 1e-4 gives sigma_b = 1.15435e-6."""
    assert abs(mf.critical_point("tanh", q_star=1e-4).sigma_b - 1.15435e-6) <= 5e-12


# The ends of the line


@pytest.mark.parametrize("phi", ["tanh", "erf", "sin", "arctan", "softsign", "elu"])
def test_smooth_lines_start_at_zero_bias(phi):
    """(1/|phi'(0)|, 0): q_star = 0, marginal and attracting."""
    result = mf.critical_point(phi, sigma_b=0.0)
    slope = {"erf": 2 / math.sqrt(math.pi)}.get(phi, 1.0)
    assert result.sigma_w == pytest.approx(1 / slope, rel=1e-14)
    assert (result.q_star, result.sigma_b) == (0.0, 0.0)
    assert abs(result.alpha - 1) <= result.errors["alpha"] + 1e-14
    if phi != "elu":
        assert result.stable


@pytest.mark.parametrize("sigma_b", [1e-13, 1e-17, 1e-20])
@pytest.mark.parametrize(
    ("phi", "variance"),
    [
        ("sin", lambda q: q - mpmath.tanh(q)),
        ("gelu", lambda q: q**2 / (2 * mpmath.pi * (1 + 2 * q) ** 1.5) / (0.25 + 2 * q / mpmath.pi)),
    ],
)
def test_lengths_below_every_table(phi, variance, sigma_b):
    """sigma_b^2 against q far below 1e-12; 1/4 + 2q/pi is GELU's mu_1 up to O(q^2)."""
    result = quiet_point(phi, sigma_b=sigma_b)
    with mpmath.workdps(60):
        start = mpmath.log(result.q_star)
        root = mpmath.exp(mpmath.findroot(lambda t: variance(mpmath.exp(t)) / mpmath.mpf(sigma_b) ** 2 - 1, start))
        assert abs(root - result.q_star) <= result.errors["q_star"] <= 1e-14 * result.q_star


def test_selu_starts_where_its_kink_says():
    """sqrt(2/(lambda^2 (1 + a^2))) = .690486."""
    result = quiet_point("selu", sigma_b=0.0)
    scale, alpha = 1.0507009873554805, 1.6732632423543772
    assert result.sigma_w == pytest.approx(math.sqrt(2 / (scale**2 * (1 + alpha**2))), rel=1e-14)
    assert abs(result.sigma_w - 0.690486) <= 5e-7


@pytest.mark.parametrize("phi", ["silu", "gelu"])
def test_gated_units_at_zero_bias_repel(phi):
    """(2, 0) is critical, and lengths move away from q = 0 there."""
    with pytest.warns(UnstableCriticalPointWarning):
        result = mf.critical_point(phi, sigma_b=0.0)
    assert result.sigma_w == pytest.approx(2.0, rel=1e-14)
    assert (result.q_star, result.stable) == (0.0, False)


def test_relu_has_one_point():
    for given in ({"sigma_b": 0.0}, {"sigma_w": math.sqrt(2)}, {"q_star": 3.0}):
        result = mf.critical_point("relu", **given)
        assert result.sigma_w == pytest.approx(math.sqrt(2), rel=1e-15)
        assert result.sigma_b == 0.0
        assert result.stable
        assert abs(result.alpha - 1) <= 1e-14
    assert mf.critical_point("relu", q_star=3.0).q_star == 3.0
    assert mf.critical_point("relu", sigma_b=0.0).status is Status.EVERY_Q_FIXED


def test_hard_tanh_start_is_flat():
    """sigma_b is exponentially small: at q = .01, sigma_b^2 ~ exp(-50)."""
    result = mf.critical_point("hard_tanh", q_star=0.01)
    assert result.sigma_w == pytest.approx(1.0, abs=1e-15)
    (problem,) = [p for p in MOMENT_PROBLEMS if (p.phi, p.q) == ("hard_tanh", 0.01)]
    assert result.sigma_b == pytest.approx(math.sqrt(float(problem.critical_ratio)), rel=1e-12)


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


# The line


def test_line_by_q_star_equals_points():
    q = np.geomspace(1e-4, 50, 12)
    line = mf.critical_line("tanh", q_star=q)
    np.testing.assert_array_equal(line.q_star, q)
    for k, length in enumerate(q):
        point = mf.critical_point("tanh", q_star=length)
        assert abs(line.sigma_w[k] - point.sigma_w) <= line.error[k]
        assert abs(line.sigma_b[k] - point.sigma_b) <= line.error[k]
        assert abs(line.alpha[k] - point.alpha) <= 1e-12
        assert line.stable[k] == point.stable
        assert line.status[k] == Status.CONVERGED


def test_line_by_sigma_b_equals_points():
    for phi, values in (("tanh", np.linspace(0.05, 2, 9)), ("silu", [0.2, 0.5, 0.9]), ("gelu", [0.1, 0.6])):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UnstableCriticalPointWarning)
            line = mf.critical_line(phi, sigma_b=values)
        for k, sigma_b in enumerate(values):
            point = quiet_point(phi, sigma_b=sigma_b)
            assert line.q_star[k] == pytest.approx(point.q_star, rel=1e-11)
            assert line.sigma_w[k] == pytest.approx(point.sigma_w, rel=1e-12)
            assert line.stable[k] == point.stable


def test_line_marks_what_does_not_exist():
    line = mf.critical_line("sigmoid", q_star=[1.0, 40.0, 60.0])
    assert np.isnan(line.sigma_w[:2]).all()
    assert np.isnan(line.sigma_b[:2]).all()
    assert list(line.status[:2]) == [Status.NO_CRITICAL_POINT] * 2
    assert np.isfinite([line.sigma_w[2], line.sigma_b[2], line.alpha[2]]).all()
    none = mf.critical_line("softplus", sigma_b=[0.0, 0.1])
    assert np.isnan(none.q_star).all()
    assert not none.stable.any()


def test_line_keeps_shape_and_is_read_only():
    line = mf.critical_line("tanh", q_star=np.ones((2, 3)))
    for name in ("q_star", "sigma_w", "sigma_b", "alpha", "stable", "status", "error"):
        assert getattr(line, name).shape == (2, 3)
        assert not getattr(line, name).flags.writeable


def test_line_against_scipy_quad():
    """The plain way of the research scripts: one scipy.quad per point and moment."""

    def mean(f, q):
        scale = math.sqrt(2 * q)
        return integrate.quad(lambda t: f(scale * t) * math.exp(-t * t) / math.sqrt(math.pi), -9, 9, limit=200)[0]

    q = np.array([0.1, 0.76, 3.0])
    line = mf.critical_line("tanh", q_star=q)
    for k, length in enumerate(q):
        mu_1 = mean(lambda x: math.cosh(x) ** -4, length)
        V = mean(lambda x: math.tanh(x) ** 2, length)
        assert abs(line.sigma_w[k] - mu_1**-0.5) <= 1e-9
        assert abs(line.sigma_b[k] ** 2 - (length - V / mu_1)) <= 1e-8


@settings(deadline=None, max_examples=20)
@sample(phi=ODD_LINES, q=st.floats(1e-3, 50))
def test_there_and_back(phi, q):
    """q_star -> sigma_b -> q_star and q_star -> sigma_w -> q_star: both are monotone on these lines."""
    point = mf.critical_point(phi, q_star=q)
    back = mf.critical_point(phi, sigma_b=point.sigma_b)
    assert abs(back.q_star - q) <= back.errors["q_star"] + q * (point.errors["sigma_b"] / point.sigma_b + 1e-14)
    if phi != "sin" or q < 3:
        again = mf.critical_point(phi, sigma_w=point.sigma_w)
        assert abs(again.q_star - q) <= again.errors["q_star"] + 1e-10 * q + point.errors["sigma_w"] / q


@settings(deadline=None, max_examples=8)
@sample(scale=st.floats(0.2, 5), q=st.floats(0.01, 20))
def test_scaling_phi_scales_sigma_w(scale, q):
    """a phi has sigma_w/|a| at the same q and sigma_b."""
    one, two = mf.critical_point("tanh", q_star=q), mf.critical_point(f"{scale!r}*tanh(x)", q_star=q)
    assert abs(two.sigma_w * scale - one.sigma_w) <= 1e-12 * one.sigma_w
    assert abs(two.sigma_b - one.sigma_b) <= one.errors["sigma_b"] + two.errors["sigma_b"]


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


def test_an_expression_works_as_readily():
    """The issue's example: sin(x)/(1+abs(x)) at sigma_b = .1."""
    (problem,) = critical_points_of("sin(x)/(1+abs(x))", "sigma_b", 0.1)
    result = mf.critical_point("sin(x)/(1+abs(x))", sigma_b=0.1)
    assert abs(result.q_star / float(problem.q_star) - 1) <= 1e-11


def test_threads_get_the_same_points():
    text, values = "tanh(x)+0.2*arctan(x)", np.linspace(0.05, 0.5, 8)
    with ThreadPoolExecutor(4) as pool:
        shared = list(pool.map(lambda b: mf.critical_point(text, sigma_b=float(b)).to_dict(), values))
    assert shared == [mf.critical_point(text, sigma_b=float(b)).to_dict() for b in values]


# Where numbers grow large or small


def test_lines_far_beyond_the_profile():
    """tanh: mu_1 = (4/3)/sqrt(2 pi q), sigma_b^2 = q - 1/mu_1 + ..., at lengths up to 1e120."""
    for sigma_b in (1e4, 1e20, 1e60):
        result = mf.critical_point("tanh", sigma_b=sigma_b)
        assert abs(result.sigma_w / math.sqrt(0.75 * math.sqrt(2 * math.pi) * sigma_b) - 1) <= 1 / sigma_b + 1e-14
        assert abs(result.q_star / sigma_b**2 - 1) <= 2 / sigma_b + 1e-13
        assert abs(mf.moments("tanh", result.q_star).mu_1 * result.sigma_w**2 - 1) <= 1e-13
    assert mf.critical_point("tanh", sigma_w=1e4).sigma_w == 1e4
    assert abs(mf.critical_point("silu", sigma_b=1e6).sigma_w - math.sqrt(2)) <= 1e-9


@pytest.mark.parametrize(
    ("phi", "given", "reason"),
    [
        ("tanh", {"sigma_b": 1e80}, r"attainable is sigma_b from 0 to 1e\+75 \(q_star is searched up to 1e\+150\)"),
        ("tanh", {"sigma_w": 0.9}, "attainable is sigma_w from 1 to "),
        ("sin(1e3*x)", {"sigma_b": 2.0}, r"from 0 to 0\.\d+ \(.* phi turns too fast for the integrals"),
        ("softshrink(lambd=1e6)", {"sigma_b": 0.1}, r"up to q_star = 1e\+08: phi' vanishes at every q"),
        ("softshrink(lambd=1e4)", {"sigma_b": 1e80}, r"to 2\.8\d+e\+39 \(q_star is searched up to 1e\+150"),
        ("tanhshrink", {"sigma_b": 0.0}, r"attainable is sigma_b above 0 to 2\.306\d+e\+37"),
        ("tanhshrink", {"sigma_w": 0.9}, "attainable is sigma_w above 1 to "),
        ("softplus", {"sigma_b": 1.0}, r"nor any other up to q_star = 1e\+08: "),
    ],
)
def test_what_is_attainable_never_contradicts_itself(phi, given, reason):
    with pytest.raises(NoCriticalPointError, match=reason):
        mf.critical_point(phi, **given)


@pytest.mark.parametrize("shift", [30, 50, 200])
def test_features_far_from_the_origin(shift):
    """tanh(x - a), phi' within the bell's tail up to q ~ a^2/6: critical where q E phi'^2 >= E phi^2, with mpmath."""
    result = mf.critical_point(f"tanh(x-{shift})", sigma_b=0.1)
    with mpmath.workdps(20):
        scale = mpmath.sqrt(2 * mpmath.pi * result.q_star)
        cuts = [-20 * scale, *(shift + d for d in (-40, -10, -2, 0, 2, 10, 40)), 20 * scale]

        def mean(f):
            return mpmath.quad(lambda x: f(x) * mpmath.exp(-x * x / (2 * result.q_star)), cuts) / scale

        V, mu_1 = mean(lambda x: mpmath.tanh(x - shift) ** 2), mean(lambda x: mpmath.sech(x - shift) ** 4)
    assert abs(result.sigma_w**2 * float(mu_1) - 1) <= 1e-12
    assert abs(result.sigma_w**2 * float(V) + 0.01 - result.q_star) <= 1e-12 * result.q_star


@pytest.mark.parametrize("phi", ["relu(x-30)", "gelu(x-30)", "sigmoid(x-100)", "relu(x-1000)"])
def test_moments_lost_in_a_tail_end_no_search(phi):
    with pytest.raises(NoCriticalPointError, match=r"attainable is .* 1e\+150|every q searched; no larger"):
        mf.critical_point(phi, sigma_w=1e-3)


def test_a_dead_zone():
    """softshrink: mu_1 = erfc(.5/sqrt(2q)); sigma_w beyond 1e150 is no point, the rest is right and repels lengths."""
    line = mf.critical_line("softshrink", q_star=np.geomspace(1e-8, 10, 50))
    exact = np.array([float(mpmath.erfc(0.5 / mpmath.sqrt(2 * mpmath.mpf(float(q))))) for q in line.q_star])
    there = np.isfinite(line.sigma_w)
    assert there.sum() >= 20
    with np.errstate(invalid="ignore"):
        assert (np.abs(line.sigma_w * np.sqrt(exact) - 1)[there] <= 1e-12).all()
    assert (line.status[~there] == Status.NO_CRITICAL_POINT).all()
    assert not line.stable.any()


def test_infinite_moments_are_a_status_of_the_line():
    """exp: V = mu_1 = e^{2q}; at q = 1000 both are beyond double precision."""
    line = mf.critical_line("exp(x)", q_star=[1.0, 1000.0])
    assert abs(line.sigma_w[0] - math.exp(-1)) <= line.error[0]
    assert np.isnan(line.sigma_w[1])
    assert line.status[1] is Status.MOMENT_NOT_FINITE
    assert (mf.critical_line("exp(x)", q_star=[1000.0]).status == Status.MOMENT_NOT_FINITE).all()
    with pytest.raises(NonlinearityError, match=r"at q = 1000 E phi.* is infinite, or phi.2 grows beyond double"):
        mf.critical_point("exp(x)", q_star=1000.0)


@pytest.mark.parametrize("q", [1e-12, 1e-20, 1e-100, 1e-300])
def test_lost_digits_are_in_the_bound(q):
    """tanh: sigma_w^2 = 1 + 2q, sigma_b^2 = 4/3 q^3, alpha = 1 to O(q), also where float64 holds none of that."""
    result = mf.critical_point("tanh", q_star=q)
    assert abs(result.sigma_b - math.sqrt(4 / 3) * q**1.5) <= result.errors["sigma_b"]
    assert abs(result.alpha - 1) <= result.errors["alpha"] + 4 * q
    assert abs(result.sigma_w - 1) <= result.errors["sigma_w"] + q
    assert result.errors["alpha"] <= 1e-9


def test_kinks_out_of_reach():
    """min(max(x,-1),1) at q = 1e-3 has its kinks at 31 standard deviations: mu_1 = 1 and sigma_b = 0 to the bounds."""
    for q in (1e-3, 4e-3, 0.01):
        custom, exact = mf.critical_point("min(max(x,-1),1)", q_star=q), mf.critical_point("hard_tanh", q_star=q)
        for field in ("sigma_w", "sigma_b", "alpha"):
            assert abs(getattr(custom, field) - getattr(exact, field)) <= custom.errors[field] + exact.errors[field]
        assert custom.errors["sigma_w"] <= 1e-14


def test_integrals_that_are_lost_end_the_line():
    """sinh: sigma_b^2 = q - tanh(q), and alpha = 1 + tanh(q) > 1 at every q; its integrals are lost above q = 30."""
    (point,) = mf.critical_points("sinh(x)", sigma_b=0.05)
    assert abs(point.q_star - math.tanh(point.q_star) - 0.0025) <= 1e-12
    assert not point.stable
    with pytest.raises(NoCriticalPointError, match="no critical point has sigma_b = 20"):
        mf.critical_points("sinh(x)", sigma_b=20.0)


@pytest.mark.parametrize("phi", ["tanh", "arctan", "softsign", "sin(x)/(1+abs(x))"])
@pytest.mark.parametrize("sigma_b", [1e-34, 1e-60, 1e-100])
def test_what_rounding_hides_does_not_repel(phi, sigma_b):
    """These saturate, so their critical points attract; at such lengths the integrals cannot tell alpha from 1."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mf.AccuracyWarning)
        warnings.simplefilter("error", mf.UnstableCriticalPointWarning)
        point = mf.critical_point(phi, sigma_b=sigma_b)
    assert point.stable
    assert not any(math.isnan(bound) for bound in point.errors.values())
