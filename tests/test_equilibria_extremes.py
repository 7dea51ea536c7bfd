"""Fixed points at the ends of what float64 and the integrals hold: far lengths, steep phi, infinite moments."""

import math
from fractions import Fraction

import mpmath
import pytest

import meanfield as mf
from meanfield.errors import AccuracyWarning, ConvergenceError, NoFixedPointError, NonlinearityError, Status

# Beyond the lengths that are tabulated


def test_extreme_parameters():
    """Far corners keep their answers, from lengths of 1e-16 to 1e8."""
    for phi, sigma_w, sigma_b in [("tanh", 1e-3, 1e-8), ("tanh", 1e4, 0.0), ("erf", 1e4, 1e-3), ("relu", 1e-3, 1e4)]:
        result = mf.fixed_point(phi, sigma_w, sigma_b)
        image = mf.q_map(phi, result.q_star, sigma_w, sigma_b)
        assert abs(image - result.q_star) <= 1e-12 * result.q_star


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


# Growth


@pytest.mark.parametrize("phi", ["sinh(x)", "x*log1p(abs(x))", "x + sin(2*x)/2", "softplus"])
def test_growth_without_bound_where_it_is_certain(phi):
    with pytest.raises(NoFixedPointError, match="without bound"):
        mf.fixed_point(phi, 2.0, 0.5, q0=3.0)


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


# Beyond what integrals can see


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
