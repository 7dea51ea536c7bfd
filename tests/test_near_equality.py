"""Kernels of almost equal inputs, and their interpolants: against closed forms, mpmath and each other."""

import itertools
import math

import mpmath
import numpy as np
import pytest
from scipy.special import owens_t

from meanfield import correlation_grids
from meanfield.bivariate import mehler_series
from meanfield.correlation_grids import correlation_fixed_points
from meanfield.dual_kernels import evaluate_kernel, series
from meanfield.equilibria import fixed_point
from meanfield.errors import NoFixedPointError
from meanfield.expressions import as_nonlinearity
from meanfield.gaussian_moments import evaluate
from meanfield.interpolation import (
    ELLIPSE,
    ELLIPSE_GROWTH,
    ELLIPSE_REACH,
    LENGTH_NODES,
    SEGMENT,
    chebyshev_nodes,
    chebyshev_polynomials,
    interpolation_error,
    lebesgue,
    to_coefficients,
)
from meanfield.kernel_interpolants import RING_ELLIPSE, RINGS, block, is_smooth
from meanfield.length_interpolants import length_moments, length_table
from meanfield.near_diagonal import chord_and_product, near_product, rough_chord_and_product
from meanfield.nonlinearity import Nonlinearity

GAPS = (0.019, 1e-3, 1e-6, 1e-12)


def angle(gap):
    return 2 * math.asin(math.sqrt(gap / 2))


def normal(x):
    return 0.5 * math.erfc(-x / math.sqrt(2))


def inside_the_square(gap, q):
    """P(|u| < 1, |v| < 1) of correlation 1 - gap, from Owen's T function: E phi' phi' of hard tanh."""

    def both_below(h, k):  # P(u < h, v < k)
        c, rest = 1 - gap, math.sqrt(gap * (2 - gap))
        value = (normal(h) + normal(k)) / 2 - owens_t(h, (k / h - c) / rest) - owens_t(k, (h / k - c) / rest)
        return value - (0.5 if h * k < 0 else 0.0)

    a = 1 / math.sqrt(q)
    return 2 * both_below(a, a) - 2 * both_below(a, -a) + 1 - 2 * normal(a)


@pytest.mark.parametrize("gap", GAPS)
def test_relu_close_to_equality(gap):
    relu = as_nonlinearity("relu")
    theta = angle(gap)
    (chord, product), bounds = chord_and_product(relu.function, relu.derivative, relu.kinks_between, gap, 0.7)
    assert abs(product - (0.5 - theta / (2 * math.pi))) <= bounds[1] <= 1e-14
    with mpmath.workdps(40):
        t = mpmath.acos(1 - mpmath.mpf(gap))
        exact = (mpmath.pi - (mpmath.sin(t) + mpmath.cos(t) * (mpmath.pi - t))) / (2 * mpmath.pi * mpmath.mpf(gap))
        assert abs(mpmath.mpf(chord) - exact) <= bounds[0]
    rough = rough_chord_and_product(relu.function, relu.derivative, relu.kinks_between, gap, 0.7)
    assert np.abs(rough - [chord, product]).max() <= bounds.max()


@pytest.mark.parametrize("gap", GAPS[:3])
@pytest.mark.parametrize("q", [0.05, 1.3, 40.0])
def test_hard_tanh_close_to_equality(gap, q):
    phi = as_nonlinearity("hard_tanh")
    value, bound = near_product(phi.derivative, phi.kinks_between, gap, q)
    assert abs(value - inside_the_square(gap, q)) <= bound + 1e-13
    assert bound <= 1e-13


@pytest.mark.parametrize("phi", ["tanh", "gelu", "sin", "softsign", "max(x, 0.3*x) + cos(x)"])
def test_two_quadratures_agree(phi):
    phi = as_nonlinearity(phi)
    for q, gap in ((0.3, 0.03), (4.0, 0.015)):
        (chord, product), bounds = chord_and_product(phi.function, phi.derivative, phi.kinks_between, gap, q)
        (K, S), (K_bound, S_bound) = evaluate_kernel(phi, np.array([1 - gap]), q, q)
        V, V_bound = evaluate(phi, np.array([q]))
        assert abs(product - S[0]) <= bounds[1] + S_bound[0]
        assert abs(chord - (V[0, 0] - K[0]) / (q * gap)) <= bounds[0] + (V_bound[0, 0] + K_bound[0]) / (q * gap)


def test_a_kink_that_is_not_declared_costs_no_honesty():
    value, bound = near_product(lambda x: (x > 0.2) * 1.0, lambda _low, _high: np.empty(0), 1e-3, 1.0)
    declared, small = near_product(lambda x: (x > 0.2) * 1.0, lambda _low, _high: np.array([0.2]), 1e-3, 1.0)
    assert abs(value - declared) <= bound + small


def test_longer_series_continue_shorter_ones():
    phi = as_nonlinearity("tanh")
    short = series(phi, 3.0)
    long = series(phi, 3.0, 2048)
    assert np.abs(long.coefficients[0, :, :512] - short.coefficients[0]).max() <= 1e-14
    assert long.has_decayed(1)
    kinked = as_nonlinearity("hard_tanh")
    assert not mehler_series(lambda z: kinked.derivative(z)[None], kinked.kinks_between, terms=2048).has_decayed(0)


@pytest.mark.filterwarnings("ignore::meanfield.errors.AccuracyWarning")
def test_fast_waves_begin_with_small_coefficients_but_have_not_decayed():
    phi = as_nonlinearity("sin")
    assert not series(phi, 1000.0).has_decayed(1)
    point = fixed_point(phi, 45.0, 20.0)
    q, c = point.q_star, point.c_star
    assert point.phase == "chaotic"
    kernel = math.exp(-q * (1 - c)) / 2  # exp(-q) sinh(q c), and cosh alike
    assert abs((45.0**2 * kernel + 20.0**2) / q - c) <= point.errors["c_star"] + 1e-15
    assert abs(45.0**2 * kernel - point.chi_c) <= point.errors["chi_c"]


def test_polynomials_and_coefficients():
    x = np.linspace(-1, 1, 7)
    np.testing.assert_allclose(
        chebyshev_polynomials(x, 20), np.polynomial.chebyshev.chebvander(x, 19), rtol=0, atol=1e-14
    )
    values = np.exp(chebyshev_nodes(20))
    assert np.abs(chebyshev_polynomials(x, 20) @ (to_coefficients(20) @ values) - np.exp(x)).max() <= 1e-15 * 8


def test_the_interpolation_bound_holds_and_is_no_wild_guess():
    x = np.linspace(-1, 1, 1001)
    for pole in (1.2, 2.0):  # 1/(pole - x), at most 1/(pole - a) on the ellipse of semi-axis a < pole
        for n in (8, 20):
            coefficients = to_coefficients(n) @ (1 / (pole - chebyshev_nodes(n)))
            error = np.abs(chebyshev_polynomials(x, n) @ coefficients - 1 / (pole - x)).max()
            axes = np.linspace(1, pole, 200)[1:-1]
            bound = min(interpolation_error(n, a + math.sqrt(a * a - 1)) / (pole - a) for a in axes)
            assert error <= bound <= 200 * error
    assert (
        lebesgue(LENGTH_NODES)
        >= np.abs(chebyshev_polynomials(x, LENGTH_NODES) @ to_coefficients(LENGTH_NODES)).sum(axis=1).max()
    )


def test_the_ellipses_stay_where_the_bounds_hold():
    turn = np.exp(1j * np.linspace(0, 2 * math.pi, 20001))
    ellipse = (ELLIPSE * turn + 1 / (ELLIPSE * turn)) / 2
    t = SEGMENT * (1 + ellipse) / 2  # ln q from the segment's lower end on
    assert np.abs(t.imag).max() < math.pi / 2
    length = np.exp(t.real)
    assert (length / np.cos(t.imag)).max() <= ELLIPSE_REACH
    assert np.sqrt(ELLIPSE_REACH / (length * np.cos(t.imag))).max() <= ELLIPSE_GROWTH
    ring = (RING_ELLIPSE * turn + 1 / (RING_ELLIPSE * turn)) / 2
    for high, low in itertools.pairwise(RINGS[:-1]):
        assert np.abs(np.cos(low + (high - low) * (1 + ring) / 2)).max() < 1


@pytest.mark.parametrize("phi", ["tanh", "gelu", "sigmoid", "hard_tanh", "cos", "sin(x)/(1+abs(x))"])
def test_interpolated_lengths(phi):
    phi = as_nonlinearity(phi)
    q = np.exp(np.random.default_rng(0).uniform(-20, 8, 60))
    exact = evaluate(phi, q)[0][[0, 1, 3]]
    found = length_moments(phi, q)
    assert np.abs(found[:2] / exact[:2] - 1).max() <= 1e-13
    assert (np.abs(found[2] - exact[2]) * q / exact[0]).max() <= 1e-13


def test_where_moments_are_infinite_there_is_no_table():
    phi = Nonlinearity.from_callable(lambda x: np.exp(x**2 / 8), lambda x: x / 4 * np.exp(x**2 / 8))
    assert length_table(phi, 0) is None
    assert block(phi, 0, 0) is None


@pytest.mark.parametrize(
    ("phi", "segment", "ring"),
    [
        *(("tanh", 0, ring) for ring in range(4)),
        *(("gelu", -1, ring) for ring in (0, 3)),
        *(("sigmoid", 1, ring) for ring in (0, 1)),
        *(("hard_tanh", -1, ring) for ring in (0, 2, 3)),
    ],
)
def test_blocks_agree_with_quadrature_within_their_errors(phi, segment, ring):
    phi = as_nonlinearity(phi)
    found = block(phi, segment, ring)
    rng = np.random.default_rng(ring)
    for x, y in rng.uniform(-1, 1, (4, 2)):
        q = math.exp(SEGMENT * (segment + (1 + x) / 2))
        gap = 2 * math.sin((RINGS[ring + 1] + (RINGS[ring] - RINGS[ring + 1]) * (1 + y) / 2) / 2) ** 2
        n = found.chord.shape[1]
        basis = chebyshev_polynomials(np.array([x]), LENGTH_NODES), chebyshev_polynomials(np.array([y]), n)
        (chord, product), bounds = chord_and_product(phi.function, phi.derivative, phi.kinks_between, gap, q)
        assert abs((basis[0] @ found.chord @ basis[1].T).item() - chord) <= found.chord_error + bounds[0]
        assert abs((basis[0] @ found.derivative @ basis[1].T).item() - product) <= found.derivative_error + bounds[1]
    assert max(found.chord_error, found.derivative_error) <= 1e-11


def test_smoothness_is_told():
    assert is_smooth(as_nonlinearity("tanh"), 0)
    assert not is_smooth(as_nonlinearity("hard_tanh"), 0)
    assert not is_smooth(as_nonlinearity("tanh"), 3)


@pytest.mark.parametrize("phi", ["tanh", "hard_tanh"])
def test_correlations_of_many_are_those_of_each(phi, monkeypatch):
    """From far from 1 to close to it; odd networks without bias have c_star = 0."""
    monkeypatch.setattr(correlation_grids, "FEW", 1)
    phi = as_nonlinearity(phi)
    points = []
    for sigma_w in np.linspace(1.02, 3.5, 24):
        for sigma_b in (0.0, 0.3):
            try:
                points.append(fixed_point(phi, sigma_w, sigma_b))
            except NoFixedPointError:
                continue
    points = [p for p in points if p.phase == "chaotic"]
    column = lambda name: np.array([getattr(p, name) for p in points])  # noqa: E731
    bounds = lambda name: np.array([p.errors[name] for p in points])  # noqa: E731
    found = correlation_fixed_points(phi, column("sigma_w"), column("q_star"), bounds("q_star"), column("chi_1"))
    settled = found.settled
    assert settled.sum() >= 0.8 * len(points)
    c_gap, chi_gap = np.abs(found.c_star - column("c_star")), np.abs(found.chi_c - column("chi_c"))
    assert (c_gap <= found.c_bound + bounds("c_star"))[settled].all()
    assert (chi_gap <= found.chi_bound + bounds("chi_c"))[settled].all()
    assert found.c_bound[settled].max() <= 1e-10
