"""Lines of critical points: where they are known exactly, where they start, and critical_line beside single points."""

import math
import warnings

import mpmath
import numpy as np
import pytest
from hypothesis import given as sample, settings, strategies as st
from scipy import integrate

import meanfield as mf
from meanfield.errors import NonlinearityError, Status, UnstableCriticalPointWarning
from tests.critical_cases import quiet_point
from tests.problems import MOMENT_PROBLEMS

ODD_LINES = st.sampled_from(["tanh", "erf", "sin", "arctan"])


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


# Many points at once


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
