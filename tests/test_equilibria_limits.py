"""Fixed points of limiting and degenerate cases: homogeneous phi, lengths that vanish, and the critical line."""

import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import meanfield as mf
from meanfield.errors import NoFixedPointError, Status
from tests.problems import CRITICAL_PROBLEMS, fixed_points_of

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
