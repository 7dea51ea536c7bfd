"""Gaussian moments of phi that grows, steepens or turns fast: right within their bounds, and refused where infinite."""

import math

import mpmath
import numpy as np
import pytest

import meanfield as mf
from meanfield.errors import NonlinearityError
from meanfield.gaussian_moments import evaluate
from tests.problems import FIELDS

M = math.sqrt(2 * math.pi)
SERIES = {  # V, mu_1, V_slope and critical_ratio to leading order
    "tanh": lambda q: (q, 1, 1, 4 / 3 * q**3),
    "sigmoid": lambda q: (0.25, 0.0625, 0.0625, -0.25),
    "softplus": lambda q: (math.log(2) ** 2, 0.25, (1 + math.log(2)) / 4, -(math.log(2) ** 2)),
    "x*tanh(x)": lambda q: (3 * q**2, 4 * q, 6 * q, q**2),
    "abs(x)**1.5": lambda q: (4 * q**1.5 / M, 9 / 2 * q**0.5 / M, 6 * q**0.5 / M, q**1.5 / 2 / M),
}


# Growth, up to divergence


@pytest.mark.filterwarnings("ignore::meanfield.errors.AccuracyWarning")
def test_exponential_growth_short_of_divergence():
    """phi = exp(x^2/8): E phi^2 = (1 - q/2)^(-1/2), E phi'^2 = q (1 - q/2)^(-3/2)/16; the tails reach far out.

    At q = 1.9 a partition that ends at nine standard deviations looks converged and is 4 % off (theory, section 4).
    """
    for q in (0.1, 1.0, 1.5, 1.9):
        result = mf.moments("exp(x**2/8)", q)
        V, mu_1 = (1 - q / 2) ** -0.5, q * (1 - q / 2) ** -1.5 / 16
        assert abs(result.V - V) <= result.errors["V"] + 1e-15 * V
        assert abs(result.mu_1 - mu_1) <= result.errors["mu_1"] + 1e-15 * mu_1
        assert result.errors["V"] <= (1e-12 if q < 1.6 else 1e-2) * V


@pytest.mark.parametrize("q", [2.0, 2.2, 3.0, 50.0])
def test_divergent_expectations_are_refused(q):
    with pytest.raises(NonlinearityError, match="infinite"):
        mf.moments("exp(x**2/8)", q)


def test_one_divergent_element_refuses_the_array():
    with pytest.raises(NonlinearityError, match="q = 2"):
        mf.moments("exp(x**2/8)", [0.5, 2.0])


def test_mu_2_may_be_infinite_alone():
    """E phi'^4 = E x^4 exp(x^2/2)/256 diverges from q = 1 on, while V and mu_1 are finite up to 2."""
    result = mf.moments("exp(x**2/8)", 1.5)
    assert result.mu_2 == math.inf
    assert math.isfinite(result.V + result.mu_1)


@pytest.mark.filterwarnings("ignore::meanfield.errors.AccuracyWarning")
@pytest.mark.parametrize("q", [0.01, 1.0, 40.0])
def test_exponential(q):
    """phi = exp(x): V = mu_1 = e^{2q}, mu_2 = e^{8q}."""
    result = mf.moments("exp(x)", q)
    for field, exact in (("V", math.exp(2 * q)), ("mu_1", math.exp(2 * q)), ("mu_2", math.exp(8 * q))):
        assert abs(getattr(result, field) - exact) <= result.errors[field] + 4e-16 * (1 + 8 * q) * exact


@pytest.mark.parametrize("q", [3.0, 16.0, 40.0, 64.0, 90.0])
def test_exponential_growth_far_beyond_the_bulk(q):
    """exp: E phi^2 = e^{2q} comes from around x = 2q, where phi'^4 has long left double precision."""
    result = mf.moments("exp(x)", q)
    with mpmath.workdps(30):
        for name in ("V", "mu_1"):
            exact = mpmath.exp(2 * mpmath.mpf(q))
            assert abs(mpmath.mpf(getattr(result, name)) - exact) <= result.errors[name] <= 1e-12 * exact
        fourth = mpmath.exp(8 * mpmath.mpf(q))
        assert result.mu_2 == math.inf or abs(result.mu_2 - fourth) <= result.errors["mu_2"]
        assert abs(mpmath.mpf(result.critical_ratio) - (q - 1) * exact) <= result.errors["critical_ratio"]


def test_overflow_in_the_tail_is_told_from_an_infinite_moment_by_its_words():
    """exp(x^2/4): E phi^2 = 1/sqrt(1 - q) is 100 at q = 0.9999, but reaches out to x = 800, where phi is e^160000."""
    with pytest.raises(NonlinearityError, match=r"is infinite, or phi.2 grows beyond double precision within the"):
        mf.moments("exp(x**2/4)", 0.9999)


def test_a_pole_of_the_slope_is_never_a_finite_moment():
    """E phi'^2 of sqrt(|x|) diverges only logarithmically at 0: every cut-off looks converged."""
    phi = mf.Nonlinearity.from_callable(
        lambda x: np.sqrt(np.abs(x)),
        lambda x: np.sign(x) / (2 * np.sqrt(np.maximum(np.abs(x), 1e-300))),
        kinks=(0.0,),
        name="root",
    )
    with pytest.raises(mf.NonlinearityError, match=r"root.*infinite"):
        mf.moments(phi, 1.0)
    found = mf.moments("abs(x)**1.5", 1.0)
    assert abs(found.mu_1 - 2.25 * math.sqrt(2 / math.pi)) <= found.errors["mu_1"] <= 1e-12


# The ends of double precision


@pytest.mark.parametrize("phi", ["relu", "silu", "softplus", "x**2"])
def test_moments_beyond_float64_are_refused(phi):
    """And in silence: an overflow on the way would be a RuntimeWarning."""
    with pytest.raises(NonlinearityError, match=r"beyond double precision|not finite"):
        mf.moments(phi, 1.7e308)


@pytest.mark.parametrize("q", [1e200, 1e300])
@pytest.mark.parametrize("phi", ["relu", "silu", "softplus"])
def test_half_lines_at_the_top_of_double_precision(phi, q):
    """V = q/2, but for a term of order sqrt(q)."""
    result = mf.moments(phi, q)
    for found, exact, field in ((result.V, q / 2, "V"), (result.mu_1, 0.5, "mu_1"), (result.V_slope, 0.5, "V_slope")):
        assert abs(found - exact) <= result.errors[field] <= 1e-14 * exact


@pytest.mark.parametrize("q", [1e-20, 1e-60, 1e-100, 1e-200, 1e-300])
@pytest.mark.parametrize("phi", SERIES)
def test_bounds_cover_underflow_and_lost_digits(phi, q):
    """Far below q = 1e-12 phi'(x) - phi'(0) rounds to 0 at every node, and powers of q underflow."""
    values, errors = evaluate(mf.as_nonlinearity(phi), np.array([q]))
    for k, exact in zip((0, 1, 3, 4), SERIES[phi](q), strict=True):
        assert abs(values[k, 0] - exact) <= errors[k, 0] + 4e-16 * abs(exact), FIELDS[k]
    assert errors[1, 0] <= 1e-14 * values[1, 0] + 1e-309


# Steep and fast phi


@pytest.mark.parametrize("rate", [1e4, 1e7, 1e30, 1e70])
def test_steep_steps_at_the_origin_are_seen(rate):
    """tanh(rate x): mu_1 = (4/3) rate/sqrt(2 pi q) for sqrt(q) far above 1/rate; V = 1 - O(1/rate)."""
    result = mf.moments(f"tanh({rate!r}*x)", 1.0)
    exact = 4 / 3 * rate / M
    assert abs(result.mu_1 - exact) <= result.errors["mu_1"] + exact / rate**2
    assert abs(result.V - 1) <= 2 / rate + result.errors["V"]
    assert result.errors["mu_1"] <= 1e-13 * exact


def test_fast_oscillation():
    """phi = sin(50 x): V = (1 - e^{-5000 q})/2, mu_1 = 1250 (1 + e^{-5000 q})."""
    for q in (1e-4, 0.01, 1.0):
        result = mf.moments("sin(50*x)", q)
        V, mu_1 = -math.expm1(-5000 * q) / 2, 1250 * (1 + math.exp(-5000 * q))
        assert abs(result.V - V) <= result.errors["V"] + 1e-15 * V
        assert abs(result.mu_1 - mu_1) <= result.errors["mu_1"] + 1e-15 * mu_1
        assert abs(result.V - V) <= 1e-11 * V


def test_shifted_features_far_from_the_origin():
    """A step of width 1e-3 at x = 5 carries everything: E phi'^2 against its own narrow integral, by the trapezoid."""
    result = mf.moments("tanh(1000*(x-5))", 4.0)
    step = 3e-7
    x = step * np.arange(-100_000, 100_001)
    density = np.exp(-((5 + x) ** 2) / 8) / np.sqrt(8 * np.pi)
    narrow = 1e6 * step * np.sum(density / np.cosh(1000 * x) ** 4)
    assert abs(result.mu_1 - narrow) <= result.errors["mu_1"] + 1e-14 * narrow
    assert abs(result.mu_1 / narrow - 1) <= 1e-11
