"""What an expression must be to be a nonlinearity: real, finite, varying, continuous, with E phi'^2 finite."""

import pickle
import warnings

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import meanfield as mf

CONTINUOUS = [
    "x*heaviside(x)",
    "x*sign(x)",
    "max(x, 0)",
    "x*(x > 0)",
    "sign(x)*tanh(x)",
    "sin(x)*sign(sin(x))",
    "where(x > 1, x**2, 2*x - 1)",
    "where(x > 0.1, 3*x, 0.3)",
    "where(0 < x < 1, x, where(x >= 1, 1, 0))",
    "heaviside(x - 0.3)*(x - 0.3)**2",
    "where(x > 0.5, sin(x), 0.479425538604203*x/0.5)",  # a constant typed with 15 digits
    "where(x > 0, exp(-1/x), 0)",
    "exp(-1/x**2)",
    "where(abs(x) > 1e-3, sin(x)/x, 1 - x**2/6)",
    "where(x**2 > 0, sin(x)/x, 1)",
    "abs(x)**1.5",
    "abs(x)**0.6",
    "sign(x)*abs(x)**0.7",
    "where(x >= 0, x**0.8, -(-x)**0.8)",
    "(x**2)**0.75",
    "sqrt(x**2)",
    "x**2/(1 + abs(x))",
    "1/(1 + x**2)",
    "x/sqrt(1 + x**2)",
    "tan(sin(x))",
    "log(2 + sin(x)) + x",
    "exp(x)*max(x, 1000)",
    "relu(x - 20)",
    "x + 1e-3*abs(x - 3)",
    "max(1e-6*x, 0) + x",
    "tanh(1000*x) + abs(x)",
]


@pytest.mark.parametrize("text", CONTINUOUS)
def test_continuous(text):
    phi = mf.as_nonlinearity(text)
    # Independent of how points were found: on a fine grid phi rises no faster than its slope says.
    x = np.unique(np.concatenate([np.linspace(-6, 6, 200_001), [0.1, 0.3, 0.5, 1.0]]))
    rise, slope = np.diff(phi(x)), np.abs(phi.derivative(x))
    steepest = np.maximum(slope[1:], slope[:-1]) * np.diff(x)
    assert (np.abs(rise) <= 1.5 * steepest + 3e-3 * (np.abs(x[1:]) < 1e-4) + 1e-9).all()
    assert np.isfinite(phi.derivative(np.array([0.0, 0.1, 0.3, 0.5, 1.0, 3.0]))).all()


JUMPS = [
    ("sign(x)", "0"),
    ("sign(x) + x", "0"),
    ("where(x > 0, 1, 0) + x", "0"),
    ("heaviside(x)*(x + 1)", "0"),
    ("x*step(x - 0.25)", "0.25"),
    ("tanh(x) + 1e-3*sign(x - 1)", "1"),
    ("tanh(x) + 1e-6*sign(x - 1)", "1"),
    ("sign(x - 0.3)*abs(x)", "0.3"),
    ("x/abs(x) + x", "0"),
    ("x/sqrt(x**2)", "0"),
    ("arctan(1/x)", "0"),
    ("tanh(1/(x - 3))", "3"),
    ("sign(sin(x))*x", "-3.14159"),
    ("x + heaviside(x - 300)", "300"),
    ("x + heaviside(x - 3e5)", "300000"),
    ("sign(sign(x) + 0.5)*(1 + x**2)", "0"),
    ("sign(x)**2 + x", "0"),  # at the point alone
    ("where(x > 0.5, sin(x), 0.9589*x)", "0.5"),  # a constant typed with too few digits
]


@pytest.mark.parametrize(("text", "point"), JUMPS)
def test_jumps_are_refused_where_they_are(text, point):
    with pytest.raises(mf.NonlinearityError, match=rf"at x = {point}\b") as told:
        mf.as_nonlinearity(text)
    if text not in ("x/abs(x) + x",):  # 0/0 is named first
        assert told.type is mf.NotDifferentiableError


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sqrt(x)", "not real at x = -1"),
        ("log(x)", "not real at x = -1"),
        ("x**0.5", "not real at x = -1"),
        ("x**x", "not real at x = -0.125"),
        ("log1p(x)", "not real at x = -2"),
        ("sqrt(x + 50)", "not real at x = -51"),
        ("where(x > 1, x, log(-x))", "not real at x = 1"),
        ("sin(x)/x", "undefined at x = 0"),
        ("(exp(x) - 1)/x", "undefined at x = 0"),
        ("(x**2 - 1)/(x - 1)", "undefined at x = 1"),
        ("x*log(abs(x))", "undefined at x = 0"),
        ("sin(1/x)*x", "undefined at x = 0"),
        ("1/x", "not finite at x = 0"),
        ("log(abs(x))", "not finite at x = 0"),
        ("1/(x - 600)", "not finite at x = 600"),
        ("1/(x**2 - 0.25)", "not finite at x = -0.5"),
        ("exp(exp(exp(x)))", "not finite at x = 2"),
        ("tan(x)", "no bound near x = -1.5708"),
        ("1/(x**2 - 2)", "no bound near x = "),
        ("log(abs(x**2 - 2))", "no bound near x = "),
        ("sqrt(abs(x))", "E phi'^2 is infinite"),
        ("sqrt(abs(x - 1))", "at x = 1, so E phi'^2 is infinite"),
        ("abs(x - 1)**0.3 + x", "distance^-0.7 at x = 1"),
        ("(x**2)**0.25", "at x = 0, so E phi'^2 is infinite"),
        ("x - x", "constant"),
        ("3.5 + 0*x", "constant (3.5)"),
        ("sin(x)**2 + cos(x)**2", "constant (1)"),
        ("1 + 1e-15*tanh(x)", "constant (1)"),
    ],
)
def test_refused_with_the_point(text, message):
    with pytest.raises(mf.NonlinearityError) as told:
        mf.as_nonlinearity(text)
    assert str(told.value).startswith(f"{text}: phi")
    assert message in str(told.value)


@settings(max_examples=30)
@given(
    place=st.integers(-5000, 5000).map(lambda k: k / 1000),
    step=st.sampled_from([1e-6, 1e-3, 0.1, 3.0]),
    kink=st.sampled_from([0.0, 0.5, -2.0]),
    smooth=st.sampled_from(["tanh(x)", "x**2", "sin(3*x)", "exp(-x**2) + x", "softplus(x)"]),
)
def test_jumps_and_kinks_are_told_apart(place, step, kink, smooth):
    """The same function with a kink alone, and with a step at the kink."""
    bend = f"{smooth} + {kink}*max(x - ({place}), 0)"
    assert mf.as_nonlinearity(bend + " + 0.1*abs(x)").kinks
    with pytest.raises(mf.NotDifferentiableError, match="jumps"):
        mf.as_nonlinearity(f"{bend} + {step}*heaviside(x - ({place}))")


@pytest.mark.parametrize("text", ["sin(x)/(1 + abs(x))", "abs(sin(x))", "gelu(min(0.8*x + 1, 1.3))", "log(1 + exp(x))"])
def test_pickles(text):
    phi = mf.as_nonlinearity(text)
    copy = pickle.loads(pickle.dumps(phi))
    x = np.linspace(-9, 9, 101)
    assert copy.name == copy.expression == text
    assert np.array_equal(copy(x), phi(x))
    assert np.array_equal(copy.derivative(x), phi.derivative(x))
    assert np.array_equal(copy.kinks_between(-7, 7), phi.kinks_between(-7, 7))


def test_no_warning_leaks():
    phi = mf.as_nonlinearity("(exp(x) - exp(-x))/(exp(x) + exp(-x)) + where(x > 0, exp(-1/x), 0) + abs(x)**0.8")
    x = np.array([-1e300, -1e5, -1.0, 0.0, 5e-324, 1.0, 1e5, 1e300])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isfinite(phi(x)).all()
        assert np.isfinite(phi.derivative(x)).all()
    assert np.isnan(phi(np.nan))


def test_slopes_that_are_infinite_at_one_point_are_read_beside_it():
    phi = mf.as_nonlinearity("where(x >= 0, x**0.8, -(-x)**0.8)")
    assert np.isfinite(phi.derivative(np.array([0.0]))).all()
    assert mf.as_nonlinearity("abs(x)**1.5").derivative(np.array([0.0, 1.0])).tolist() == [0.0, 1.5]
