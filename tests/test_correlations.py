"""The correlation that chaotic networks keep, where it is within 1e-6 or within rounding of 1."""

import math

import pytest
from scipy.integrate import quad
from scipy.optimize import brentq

import meanfield as mf

# At sqrt(q) >> 1 the Gaussian is flat where phi turns: E (phi(u) - phi(v))^2 = E g(d)/sqrt(2 pi q), d = u - v, with
# g(d) the integral of (phi(s + d/2) - phi(s - d/2))^2 over s, and E phi' phi' = E g''(d)/2/sqrt(2 pi q).
STEPS = {
    "tanh": (lambda d: 4 * (d / math.tanh(d) - 1), lambda d: 8 * (d / math.tanh(d) - 1) / math.sinh(d) ** 2, 4 / 3),
    "hard_tanh": (
        lambda d: d**2 * (2 - d / 3) if d < 2 else 4 * d - 8 / 3,
        lambda d: 2 * max(2 - d, 0.0),
        2.0,
    ),
}


def settled(phi, q, sigma_w):
    """1 - c_star and chi_c of a step of height 2."""
    g, bend, _ = STEPS[phi]

    def mean(f, spread):
        kinks = [2 / spread] if 2 / spread < 12 else None
        density = math.sqrt(2 / math.pi)
        return quad(lambda y: f(spread * y) * density * math.exp(-(y**2) / 2), 0, 12, points=kinks)[0]

    scale = sigma_w**2 / math.sqrt(2 * math.pi * q)
    spread = brentq(lambda t: scale * mean(g, t) / t**2 - 1, 1e-3, 30, xtol=1e-14)
    return spread**2 / (2 * q), scale * mean(bend, spread) / 2


@pytest.mark.parametrize("phi", STEPS)
@pytest.mark.parametrize("q", [1e8, 1e12, 1e40])
@pytest.mark.parametrize("chi_1", [1.02, 1.3])
def test_a_narrow_step_keeps_a_correlation_close_to_1(phi, q, chi_1):
    sigma_w = math.sqrt(chi_1 / STEPS[phi][2] * math.sqrt(2 * math.pi * q))
    (point,) = mf.fixed_points(phi, sigma_w, math.sqrt(q - sigma_w**2))
    gap, slope = settled(phi, point.q_star, sigma_w)
    flatness = 10 / q  # of the Gaussian over the step
    assert abs(1 - point.c_star - gap) <= point.errors["c_star"] + gap * flatness / (chi_1 - 1)
    assert abs(point.chi_c - slope) <= point.errors["chi_c"] + flatness
    assert point.errors["c_star"] <= (1e-6 * gap if q < 1e20 else 0.0) + 4e-16
    assert point.errors["chi_c"] <= (1e-6 if q < 1e20 else (chi_1 - 1) / 2 + 1e-12)


@pytest.mark.parametrize("sigma_b", [1e2, 1e3])
def test_two_kinks_far_below_the_length(sigma_b):
    """softshrink: phi' is 1 but for |x| < 1/2, so that chi_1 - 1 is tiny and so is all that tells chi_c from 1."""
    sigma_w = 1 + 0.07 / sigma_b**2
    *_, point = mf.fixed_points("softshrink", sigma_w, sigma_b)
    assert point.phase == "chaotic"
    assert 2 - point.chi_1 <= point.chi_c + point.errors["chi_c"]
    assert point.chi_c - point.errors["chi_c"] <= 1
    assert point.errors["chi_c"] <= (point.chi_1 - 1) / 2 * 1.01 + 1e-12
