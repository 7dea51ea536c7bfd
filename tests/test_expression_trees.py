"""Evaluation and the chain rule, against mpmath at random points and for every function of the language."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from mpmath import mp, mpf

from meanfield.expression_reader import Reader
from meanfield.expression_trees import RULES, Call, Number, X, call, joined, value, value_and_slope
from tests.expression_strategies import samples

POINTS = st.lists(st.integers(-4000, 4000).map(lambda k: k / 997), min_size=1, max_size=5)


def tree_of(text):
    return Reader(f"0 + {text}").read()


@settings(max_examples=200)
@given(sample=samples(8), points=POINTS)
def test_value_and_slope_meet_mpmath(sample, points):
    with warnings.catch_warnings(), mp.workdps(50):
        warnings.simplefilter("error")
        rows = value_and_slope(tree_of(sample.text), np.array(points))
        for x, found, slope in zip(points, *rows, strict=True):
            step = mpf(10) ** -18
            exact, below, above = (sample.function(mpf(x) + shift) for shift in (0, -step, step))
            left, right = (exact - below) / step, (above - exact) / step
            if abs(left - right) > 1e-6 * (1 + abs(left)):
                continue  # a kink
            assert abs(found - exact) <= 1e-12 * (1 + abs(exact))
            assert abs(slope - (above - below) / (2 * step)) <= 1e-11 * (1 + abs(left))


ONE_ARGUMENT = {
    "negative": (lambda u: -u, (-3, 3)),
    "exp": (mp.exp, (-5, 5)),
    "expm1": (mp.expm1, (-5, 5)),
    "log": (mp.log, (0.01, 9)),
    "log1p": (lambda u: mp.log(1 + u), (-0.9, 9)),
    "sqrt": (mp.sqrt, (0.01, 9)),
    "sin": (mp.sin, (-9, 9)),
    "cos": (mp.cos, (-9, 9)),
    "tan": (mp.tan, (-1.5, 1.5)),
    "sinh": (mp.sinh, (-5, 5)),
    "cosh": (mp.cosh, (-5, 5)),
    "tanh": (mp.tanh, (-20, 20)),
    "arcsinh": (mp.asinh, (-20, 20)),
    "arctan": (mp.atan, (-20, 20)),
    "erf": (mp.erf, (-6, 6)),
    "erfc": (mp.erfc, (-6, 6)),
    "abs": (abs, (-3, 3)),
    "sign": (mp.sign, (-3, 3)),
    "heaviside": (lambda u: (1 + mp.sign(u)) / 2, (-3, 3)),
}
TWO_ARGUMENTS = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "**": lambda a, b: a**b,
    "max": max,
    "min": min,
}
CONDITIONS = {"<", "<=", ">", ">=", "and", "or", "not", "where"}


def test_every_rule_is_tested():
    assert set(RULES) == {*ONE_ARGUMENT, *TWO_ARGUMENTS, *CONDITIONS}


@pytest.mark.parametrize("name", ONE_ARGUMENT)
def test_functions_of_one_argument(name):
    function, (low, high) = ONE_ARGUMENT[name]
    x = np.linspace(low, high, 40)  # no point is 0
    rows = value_and_slope(Call(name, (X,)), x)
    with mp.workdps(30):
        for point, found, slope in zip(x, *rows, strict=True):
            assert abs(found - function(mpf(point))) <= 5e-15 * abs(found)
            assert abs(slope - mp.diff(function, mpf(point))) <= 2e-15 * abs(slope) + 1e-18


@pytest.mark.parametrize("name", TWO_ARGUMENTS)
def test_functions_of_two_arguments(name):
    function = TWO_ARGUMENTS[name]
    x = np.linspace(0.21, 5, 40)
    one, other = call("+", X, Number(0.5)), call("sin", X)
    rows = value_and_slope(call(name, one, other), x)
    with mp.workdps(30):
        whole = lambda t: function(t + mpf(0.5), mp.sin(t))  # noqa: E731
        for point, found, slope in zip(x, *rows, strict=True):
            assert abs(found - whole(mpf(point))) <= 2e-15 * max(abs(found), 1)
            assert abs(slope - mp.diff(whole, mpf(point))) <= 1e-14 * max(abs(slope), 1)


@pytest.mark.parametrize("exponent", [-2.0, -1.0, 0.5, 1.0, 1.5, 2.0, 3.0])
def test_constant_powers(exponent):
    x = np.array([0.3, 1.0, 7.0] if exponent % 1 else [-7.0, -0.3, 0.4, 5.0])
    found, slope = value_and_slope(call("**", X, Number(exponent)), x)
    assert np.allclose(found, x**exponent, rtol=1e-15)
    assert np.allclose(slope, exponent * x ** (exponent - 1), rtol=1e-15)


@pytest.mark.parametrize(
    ("text", "truth"),
    [
        ("x > 1", [0, 0, 0, 1]),
        ("x >= 1", [0, 0, 1, 1]),
        ("x < 0", [1, 0, 0, 0]),
        ("x <= 0", [1, 1, 0, 0]),
        ("0 <= x <= 1", [0, 1, 1, 0]),
        ("x < 0 or x > 1", [1, 0, 0, 1]),
        ("x >= 0 and not x > 1", [0, 1, 1, 0]),
        ("(x >= 0) & ~(x > 1)", [0, 1, 1, 0]),
        ("(x < 0) | (x > 1)", [1, 0, 0, 1]),
        ("x > 0 and log(x) < 1", [0, 0, 1, 1]),  # the first side decides where the second is undefined
        ("x <= 0 or log(x) < 0", [1, 1, 0, 0]),
    ],
)
def test_conditions(text, truth):
    x = np.array([-1.0, 0.0, 1.0, 2.0])
    assert value(tree_of(f"where({text}, 1, 0)"), x).tolist() == truth
    assert value(tree_of(f"1*({text})"), x).tolist() == truth


def test_an_undefined_condition_is_no_decision():
    assert np.isnan(value(tree_of("where(log(x) < 1, 1, 0)"), np.array([-1.0]))).all()


@pytest.mark.parametrize(
    ("text", "function"),
    [
        ("(exp(x) - exp(-x))/(exp(x) + exp(-x))", mp.tanh),
        ("1 - 2/(1 + exp(2*x))", mp.tanh),
        ("log(1 + exp(x))", lambda x: mp.log1p(mp.exp(x))),
        ("x/(1 + exp(-x))", lambda x: x / (1 + mp.exp(-x))),
        ("log(cosh(x))", lambda x: mp.log(mp.cosh(x))),
        ("x*tanh(log(1 + exp(x)))", lambda x: x * mp.tanh(mp.log1p(mp.exp(x)))),
        ("softplus(x)**2/(1 + abs(x))", lambda x: mp.log1p(mp.exp(x)) ** 2 / (1 + abs(x))),
        ("exp(x**2)/(1 + exp(x**2)) + x", lambda x: 1 / (1 + mp.exp(-(x**2))) + x),
        ("min(exp(x), 1) + max(exp(x)/exp(x/2), 1)/exp(x/2)", lambda x: min(mp.exp(x), 1) + max(1, mp.exp(-x / 2))),
        ("where(exp(x) > exp(x/2), tanh(x), x)", lambda x: mp.tanh(x) if x > 0 else x),
        ("(1 + exp(3*x))**(1/3)/exp(x)", lambda x: (1 + mp.exp(-3 * x)) ** (mpf(1) / 3)),
        ("sqrt(1 + sinh(x)**2)/cosh(x) + x", lambda x: 1 + x),
        ("log(exp(x)) + sign(exp(x))", lambda x: x + 1),
        ("tanh(exp(x))*x", lambda x: mp.tanh(mp.exp(x)) * x),
    ],
)
@pytest.mark.parametrize("x", [-2e4, -900.0, -1.3, 0.7, 800.0, 2e4])
def test_overflow_on_the_way_is_no_overflow(text, function, x):
    with mp.workdps(30):
        found, slope = value_and_slope(tree_of(text), np.array(x))
        exact = function(mpf(x))
        if abs(exact) > 1e308:
            assert abs(found) == np.inf
            return
        assert abs(found - exact) <= 1e-11 * abs(exact) + 1e-15
        exact = mp.diff(function, mpf(x))
        assert abs(slope - exact) <= 1e-10 * (1 + abs(exact))


def test_the_unselected_branch_does_not_spoil_the_slope():
    x = np.array([-1.0, 0.0, 1e-300, 0.5])
    rows = value_and_slope(tree_of("where(x > 0, exp(-1/x), 0)"), x)
    assert np.allclose(rows, [[0, 0, 0, np.exp(-2)], [0, 0, 0, 4 * np.exp(-2)]], atol=0)


def test_shapes_are_kept():
    tree = tree_of("tanh(x)*x")
    for shape in ((), (3,), (2, 0), (2, 3)):
        assert value(tree, np.ones(shape)).shape == shape
        assert value_and_slope(tree, np.ones(shape)).shape == (2, *shape)


def test_constants_fold():
    assert call("+", Number(2.0), Number(3.0)) == Number(5.0)
    assert call("where", Number(0.0), X, Number(3.0)) == Number(3.0)
    assert np.isinf(call("/", Number(1.0), Number(0.0)).value)


def test_long_sums_stay_flat():
    deep = joined("+", [X] * 1000)
    assert value(deep, np.array(0.5)) == 500
