"""Critical points where numbers grow large or small: right to their bounds, or searches that say where they end."""

import math
import warnings

import mpmath
import pytest

import meanfield as mf
from meanfield.errors import NoCriticalPointError

# Large lengths


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


def test_integrals_that_are_lost_end_the_line():
    """sinh: sigma_b^2 = q - tanh(q), and alpha = 1 + tanh(q) > 1 at every q; its integrals are lost above q = 30."""
    (point,) = mf.critical_points("sinh(x)", sigma_b=0.05)
    assert abs(point.q_star - math.tanh(point.q_star) - 0.0025) <= 1e-12
    assert not point.stable
    with pytest.raises(NoCriticalPointError, match="no critical point has sigma_b = 20"):
        mf.critical_points("sinh(x)", sigma_b=20.0)


# Small lengths


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
