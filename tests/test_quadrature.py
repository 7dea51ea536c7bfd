"""Half-line Gaussian quadrature on integrals with exact answers; the error bound must hold in every case."""

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy import integrate

from meanfield.quadrature import NODES, WEIGHTS, HalfLineQuadrature, resolve


def expectation(function, q, kinks=()):
    """E f(x), x ~ N(0, q), and its bound."""
    rule = HalfLineQuadrature(
        lambda x: np.array([function(x), function(-x)]),
        lambda x, r: np.array([r[0] + r[1]]),
        lambda low, high: np.array([k for k in kinks if low < k < high]),
        resolving=2,
    )
    values, errors = rule.expectation(np.atleast_1d(np.asarray(q, dtype=float)))
    return values[0], errors[0]


LENGTHS = np.geomspace(1e-8, 1e8, 33)


@pytest.mark.parametrize("power", [0, 2, 4, 6])
def test_even_monomials(power):
    value, error = expectation(lambda x: x**power, LENGTHS)
    exact = math.prod(range(power - 1, 0, -2)) * LENGTHS ** (power // 2)
    assert np.all(np.abs(value - exact) <= error)
    assert np.all(error <= 1e-14 * exact)


def test_odd_functions_vanish():
    value, error = expectation(np.sin, LENGTHS[LENGTHS < 1e3])
    assert np.all(np.abs(value) <= error)


def test_cosine():
    q = LENGTHS[LENGTHS < 1e4]
    value, error = expectation(np.cos, q)
    assert np.all(np.abs(value - np.exp(-q / 2)) <= error)
    assert np.all(error <= 1e-13)


@pytest.mark.parametrize("declared", [True, False])
def test_absolute_value_of_a_shift(declared):
    """E|x - k| = k erf(k/sqrt(2q)) + sqrt(2q/pi) exp(-k^2/2q); an undeclared kink costs panels, not honesty."""
    for k in (0.1, 0.7, 3.3):
        q = np.geomspace(1e-3, 1e4, 29)
        value, error = expectation(lambda x: np.abs(x - k), q, (k,) if declared else ())  # noqa: B023
        exact = k * np.array([math.erf(k / math.sqrt(2 * s)) for s in q])
        exact += np.sqrt(2 * q / np.pi) * np.exp(-(k**2) / (2 * q))
        assert np.all(np.abs(value - exact) <= error)
        assert np.all(error <= (1e-14 if declared else 1e-9) * exact)


@settings(deadline=None, max_examples=60)
@given(place=st.floats(-4, 4), width=st.floats(0.1, 3), logarithm=st.floats(-3, 6))
def test_a_bump_anywhere(place, width, logarithm):
    """E exp(-(x-k)^2/(2 w^2)) = w/sqrt(w^2+q) exp(-k^2/(2(w^2+q))).

    Black-box quadrature finds a bump no narrower than a tenth of a standard deviation wherever it is.
    """
    q = 10.0**logarithm
    k, w = place * math.sqrt(q), width * math.sqrt(q)
    value, error = expectation(lambda x: np.exp(-(((x - k) / w) ** 2) / 2), q)
    exact = w / math.sqrt(w**2 + q) * math.exp(-(k**2) / (2 * (w**2 + q)))
    assert abs(value[0] - exact) <= error[0] + 1e-15 * exact


@settings(deadline=None, max_examples=60)
@given(place=st.floats(-2, 2), width=st.floats(0.2, 3), logarithm=st.floats(-3, 6))
def test_a_bump_of_order_one_near_the_origin(place, width, logarithm):
    """The scale of nonlinearities is x ~ 1, however large q is."""
    q = 10.0**logarithm
    value, error = expectation(lambda x: np.exp(-(((x - place) / width) ** 2) / 2), q)
    exact = width / math.sqrt(width**2 + q) * math.exp(-(place**2) / (2 * (width**2 + q)))
    assert abs(value[0] - exact) <= error[0] + 1e-15 * exact


def test_tails_that_do_not_settle_report_infinity():
    """E exp(x^2/4) = (1 - q/2)^(-1/2) for q < 2."""
    q = np.array([0.5, 1.5, 1.9, 1.99, 2.0, 2.5, 10.0])
    value, error = expectation(lambda x: np.exp(x**2 / 4), q)
    exact = 1 / np.sqrt(1 - q[:4] / 2)
    assert np.all(np.abs(value[:4] - exact) <= error[:4] + 1e-15 * exact)
    assert np.all(np.isfinite(error[:3]))
    assert np.all(error[4:] == np.inf)


def test_scipy_quad_agrees():
    def function(x):
        return np.log1p(np.exp(-np.abs(x))) * np.cos(x) + np.tanh(x - 0.4)

    for q in (0.03, 1.0, 30.0):
        value, error = expectation(function, q, (0.0,))
        scale = math.sqrt(2 * q)
        exact, doubt = integrate.quad(
            lambda t, s=scale: function(s * t) * math.exp(-(t**2)) / math.sqrt(math.pi),
            -9,
            9,
            points=[0.0],
            epsabs=1e-13,
            epsrel=1e-13,
            limit=500,
        )
        assert abs(value[0] - exact) <= error[0] + doubt


def test_resolve_keeps_the_edges_and_covers_the_interval():
    edges = np.array([-1.0, 0.25, 2.0])
    panels = resolve(lambda x: np.array([np.abs(x - 0.25), np.exp(-50 * x**2)]), edges, np.ones_like)
    assert set(edges) <= set(panels.edges)
    assert np.all(np.diff(panels.edges) > 0)
    assert panels.complete
    assert abs(panels.w.sum() - 3.0) <= 1e-14
    assert abs((panels.values[0] * panels.w).sum() - (1.25**2 + 1.75**2) / 2) <= 1e-14


def test_resolve_reports_what_it_cannot_resolve():
    """A jump inside a panel cannot be bisected away: its noise must stay visible."""
    panels = resolve(lambda x: np.array([np.sign(x - 1 / 3)]), np.array([0.0, 1.0]), np.ones_like)
    assert np.all(np.diff(panels.edges) > 0)
    value = (panels.values[0] * panels.w).sum()
    doubt = (panels.noise[0][:, None] * np.abs(panels.values[0]) * panels.w).sum()
    assert abs(value - 1 / 3) <= doubt + 1e-15


def test_nodes_are_gauss_legendre():
    for power in range(2 * len(NODES)):
        exact = 0.0 if power % 2 else 2 / (power + 1)
        assert abs((WEIGHTS * NODES**power).sum() - exact) <= 1e-14


def test_order_and_threads_do_not_matter():
    q = np.geomspace(1e-4, 1e4, 40)

    def rule():
        return HalfLineQuadrature(
            lambda x: np.array([np.tanh(x) ** 2]),
            lambda x, r: 2 * r,
            lambda low, high: np.array([]),
            resolving=1,
        )

    alone, shared = rule().expectation(q)[0][0], rule()
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda part: shared.expectation(part)[0][0], [q, q[::-1], q[::2], q]))
    np.testing.assert_allclose(parts[0], alone, rtol=1e-14, atol=0)
    np.testing.assert_allclose(parts[1][::-1], alone, rtol=1e-14, atol=0)
    np.testing.assert_allclose(parts[2], alone[::2], rtol=1e-14, atol=0)
