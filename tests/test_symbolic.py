"""sympy expressions: translated, refused, and their own derivatives as an oracle for ours."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
import sympy
from hypothesis import given, settings, strategies as st

import meanfield as mf

x = sympy.Symbol("x", real=True)
PLAIN = sympy.Symbol("x")
POINTS = np.linspace(-3.01, 2.97, 60)

SUPPORTED = [
    sympy.sin(x) / (1 + sympy.Abs(x)),
    sympy.Max(x, 0, -x / 2),
    sympy.Min(x, 1) * sympy.Max(x, -1),
    x * sympy.Heaviside(x),
    x * sympy.sign(x) + x,
    sympy.Piecewise((x, x > 0), (x / 2, x > -1), (-sympy.Rational(1, 2), True)),
    sympy.Piecewise((0, sympy.Or(x < 0, sympy.Not(x < 5))), (x * (5 - x), True)) + x,
    sympy.Piecewise((x**2, sympy.And(x >= 0, x <= 1)), (x, x > 1), (0, True)),
    sympy.exp(-(x**2)) + sympy.log(1 + sympy.exp(x)),
    1 / (1 + sympy.exp(-x)),
    x / (sympy.sqrt(1 + x**2) * (2 + sympy.cos(x))),
    sympy.tanh(x) ** 3 * sympy.atan(x) + sympy.asinh(x),
    sympy.sinh(sympy.sin(x)) + sympy.cosh(sympy.cos(x)),
    sympy.erf(x) * sympy.erfc(x / 2),
    sympy.tan(sympy.sin(x)),
    sympy.Abs(x) ** sympy.Rational(3, 2) + x ** -sympy.Integer(2) * x**3,
    sympy.pi * x + sympy.Float("0.1") * x**2 + sympy.E * sympy.sqrt(2) * x,
    2**x / (1 + 2**x),
    (2 + sympy.sin(x)) ** sympy.atan(x),
    x**3 / 7 - 3 * x + 1,
]


@pytest.mark.parametrize("expression", SUPPORTED, ids=str)
def test_value_and_slope_are_sympys(expression):
    phi = mf.Nonlinearity.from_sympy(expression)
    slope = sympy.diff(expression, x).replace(sympy.DiracDelta, lambda *_: sympy.Integer(0))
    for function, exact in ((phi, expression), (phi.derivative, slope)):
        wanted = [float(exact.subs(x, sympy.Float(point, 30)).evalf(25)) for point in POINTS]
        assert np.allclose(function(POINTS), wanted, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("expression", SUPPORTED, ids=str)
def test_sympys_own_text_reads_the_same(expression):
    phi, again = mf.Nonlinearity.from_sympy(expression), mf.as_nonlinearity(str(expression))
    assert phi.name == str(expression)
    assert np.allclose(phi(POINTS), again(POINTS), rtol=1e-15, atol=1e-15)
    assert np.allclose(phi.kinks_between(-5, 5), again.kinks_between(-5, 5), rtol=0, atol=1e-14)


@settings(max_examples=12)
@given(
    st.lists(
        st.tuples(st.integers(-5, 5), st.sampled_from(["sin", "tanh", "Abs", "erf", "exp"])), min_size=2, max_size=4
    )
)
def test_derivatives_of_nested_expressions(layers):
    expression = x
    for shift, name in layers:
        inner = sympy.tanh(expression) if name == "exp" else expression
        expression = getattr(sympy, name)(inner + sympy.Rational(shift, 3)) + expression / 3
    phi = mf.Nonlinearity.from_sympy(expression)
    slope = sympy.lambdify(x, sympy.diff(expression, x), ["scipy", "numpy"])(POINTS)
    assert np.allclose(phi.derivative(POINTS), slope, rtol=1e-12, atol=1e-12)


def test_any_symbol_and_any_name_will_do():
    t = sympy.Symbol("t")
    phi = mf.Nonlinearity.from_sympy(sympy.tanh(t) * t, name="t tanh t")
    assert repr(phi) == "Nonlinearity('t tanh t')"
    assert phi.expression is None
    assert np.allclose(phi(POINTS), POINTS * np.tanh(POINTS))


def test_pickles():
    phi = mf.Nonlinearity.from_sympy(sympy.Max(x, sympy.sin(x)))
    copy = pickle.loads(pickle.dumps(phi))
    assert np.array_equal(copy(POINTS), phi(POINTS))
    assert np.array_equal(copy.kinks_between(-9, 9), phi.kinks_between(-9, 9))


def test_critical_points():
    custom, built_in = mf.Nonlinearity.from_sympy(sympy.tanh(x)), "tanh"
    one, other = (mf.critical_point(phi, sigma_b=0.3) for phi in (custom, built_in))
    assert abs(one.sigma_w - other.sigma_w) <= one.errors["sigma_w"] + other.errors["sigma_w"]


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("x**2", "must be a sympy expression, got 'x\\*\\*2'"),
        (3, "must be a sympy expression"),
        (sympy.Eq(PLAIN, 0), "must be a sympy expression"),
        (sympy.Integer(3), "one free symbol, got none"),
        (PLAIN * sympy.Symbol("y"), "one free symbol, got x, y"),
        (sympy.I * PLAIN, "I is not a finite real number"),
        (sympy.zoo * PLAIN, "not a finite real number"),
        (sympy.Integer(10) ** 400 * PLAIN, "not a finite real number"),
        (sympy.gamma(PLAIN), "gamma is not supported"),
        (sympy.DiracDelta(PLAIN), "DiracDelta is not supported"),
        (sympy.Function("f")(PLAIN), "f is not supported"),
        (sympy.Integral(PLAIN, (PLAIN, 0, PLAIN)), "Integral is not supported"),
        (sympy.Piecewise((PLAIN, PLAIN > 0)), "last condition of Piecewise must be True"),
        (sympy.Piecewise((1, sympy.Ne(PLAIN, 0)), (0, True)), "Unequality is not supported"),
        (sympy.sqrt(PLAIN), "not real at x = -1"),
        (1 + 1 / PLAIN, "not finite at x = 0"),
        (sympy.sin(PLAIN) / PLAIN, "undefined at x = 0"),
    ],
    ids=str,
)
def test_refused(expression, message):
    with pytest.raises(mf.NonlinearityError, match=message):
        mf.Nonlinearity.from_sympy(expression)


def test_jumps_are_refused():
    with pytest.raises(mf.NotDifferentiableError, match="jumps from -1 to 1 at x = 0"):
        mf.Nonlinearity.from_sympy(sympy.sign(x))


def test_endless_nesting_is_refused():
    expression = PLAIN
    for _ in range(400):
        expression = sympy.sin(expression, evaluate=False)
    with pytest.raises(mf.NonlinearityError, match="nested too deeply"):
        mf.Nonlinearity.from_sympy(expression, name="deep")


def test_expressions_never_load_sympy():
    script = (
        "import sys, meanfield as mf; mf.as_nonlinearity('abs(sin(x))/(1 + x**2)'); assert 'sympy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
