"""Kinks: located all, wherever they are, and no more of them than there are."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import meanfield as mf
from meanfield.expression_reader import Reader
from meanfield.switching_points import MAX_POINTS, points_within
from tests.problems import EXPRESSION_PROBLEMS


@pytest.mark.parametrize("problem", EXPRESSION_PROBLEMS, ids=lambda p: p.phi)
def test_kinks_of_the_table(problem):
    """mpmath bisected them from a grid of 2500 points."""
    reach = 12 * problem.q**0.5
    found = mf.as_nonlinearity(problem.phi).kinks_between(-reach, reach)
    wanted = np.unique(np.round(problem.kinks, 12))
    assert found.shape == wanted.shape
    assert np.allclose(found, wanted, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(
    ("text", "kinks"),
    [
        ("abs(x)", [0]),
        ("max(x, 0)", [0]),
        ("x*sign(x)", [0]),
        ("where(x > 0.3, x, 0.3)", [0.3]),
        ("max(x, 0, -x)", [0]),
        ("clip(x, -2, 5)", [-2, 5]),
        ("leaky_relu(3*x - 1)", [1 / 3]),
        ("hard_tanh(2*x + 1)", [-1, 0]),
        ("x/(1 + abs(x))", [0]),
        ("abs(x**2 - 2)", [-(2**0.5), 2**0.5]),
        ("abs(x*(x - 1e-5))", [0, 1e-5]),
        ("abs((x - 0.3)**2 - 1e-14)", [0.3 - 1e-7, 0.3 + 1e-7]),  # a double root, nearly
        ("abs((x - 0.3)**2)", []),  # touches zero without a kink
        ("abs(x**3)", [0]),
        ("max((x - 0.7)**2, 0) + x", []),
        ("sqrt((x - 0.7)**2)", [0.7]),  # touches zero with one
        ("abs(x - 0.4)**1.5", [0.4]),
        ("max(0, 1 - abs(x - 400)) + x", [399, 400, 401]),
        ("max(0.5, exp(-(x - 100)**2)) + x", [100 - np.log(2) ** 0.5, 100 + np.log(2) ** 0.5]),
        ("max(x, 1e6) - 1e6", [1e6]),
        ("abs(x - 1e-9)", [1e-9]),
        ("abs(relu(x - 0.35))", [0.35]),
        ("max(x, -1) + min(x, 3000)", [-1, 3000]),
        ("log(1 + exp(x))", []),
        ("exp(x**2/8)", []),
        ("abs(x + x**3 - 2)", [1]),
    ],
)
def test_kinks_that_can_be_counted(text, kinks):
    phi = mf.as_nonlinearity(text)
    assert isinstance(phi.kinks, tuple)
    assert len(phi.kinks) == len(kinks)
    assert np.allclose(phi.kinks, kinks, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(
    ("text", "exact"),
    [
        ("abs(sin(x))", lambda n: np.pi * n),
        ("abs(sin(40*x))", lambda n: np.pi * n / 40),
        ("abs(sin(x/50))", lambda n: 50 * np.pi * n),
        ("max(cos(x), 0)", lambda n: np.pi * (n + 0.5)),
        ("arctan(tan(sin(x)*1.5)*sign(sin(x)))", lambda n: np.pi * n),
        ("abs(sin(x) - 0.5)", lambda n: np.pi * n + np.where(n % 2 == 0, 1, -1) * np.pi / 6),
    ],
)
@pytest.mark.parametrize("reach", [1.0, 30.0, 300.0])
def test_kinks_without_end(text, exact, reach):
    found = mf.as_nonlinearity(text).kinks_between(-reach, reach)
    wanted = np.unique(exact(np.arange(-30_000, 30_000)))
    wanted = wanted[np.abs(wanted) < reach]
    assert found.shape == wanted.shape
    assert np.allclose(found, wanted, rtol=1e-14, atol=1e-13)


def test_periodic_kinks_meet_the_example_of_the_theory():
    phi = mf.as_nonlinearity("max(sin(abs(x - .7)), .4)")
    found = pickle.loads(pickle.dumps(phi)).kinks_between(-10, 10)
    angle = np.arcsin(0.4)
    distances = np.concatenate([[0], *([2 * np.pi * n + angle, 2 * np.pi * n + np.pi - angle] for n in range(3))])
    wanted = np.unique(np.concatenate([0.7 - distances, 0.7 + distances]))
    assert np.allclose(found, wanted[np.abs(wanted) < 10], rtol=0, atol=1e-14)


def test_a_second_look_is_free():
    phi = mf.as_nonlinearity("abs(sin(3*x + 1))")
    phi.kinks_between(-900, 900)
    misses = points_within.cache_info().misses
    for high in np.linspace(600, 1000, 100):
        phi.kinks_between(-high, high)
    assert points_within.cache_info().misses == misses


def test_endless_crowds_are_cut_nearest_to_zero():
    points = points_within(Reader("abs(sin(exp(x)))").read(), 64.0)
    assert len(points) == MAX_POINTS
    assert np.allclose(points[:5], np.log(np.pi * np.arange(1, 6)), rtol=1e-13)


@settings(max_examples=25)
@given(
    roots=st.lists(st.integers(-300, 300), min_size=1, max_size=5, unique=True), scale=st.sampled_from([0.01, 0.1, 2])
)
def test_roots_of_polynomials(roots, scale):
    places = sorted(root * scale for root in roots)
    text = "*".join(f"(x - ({place!r}))" for place in places)
    found = mf.as_nonlinearity(f"abs({text})").kinks
    assert len(found) == len(places)
    assert np.allclose(found, places, rtol=1e-12, atol=1e-13)
