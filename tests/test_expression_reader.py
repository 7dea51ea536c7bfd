"""The language of expressions: what it takes, what it refuses and how fast, and that nothing is ever evaluated."""

import string

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import meanfield as mf
from meanfield.expression_reader import FUNCTIONS, MAX_DEPTH, MAX_NODES, SPELLINGS, Reader
from meanfield.expression_trees import Call, Number, X, value
from meanfield.nonlinearity import Nonlinearity

POINTS = np.linspace(-3, 3, 61)


def same(text, other):
    one, two = Reader(text).read(), Reader(other).read()
    assert one == two, (one, two)


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("  sin(x)\n * x ", "sin(x)*x"),
        ("atan(2*x)", "arctan(2*x)"),
        ("asinh(x)", "arcsinh(x)"),
        ("Abs(x)", "abs(x)"),
        ("fabs(x)", "abs(x)"),
        ("absolute(x)", "abs(x)"),
        ("ln(1 + x*x)", "log(1 + x*x)"),
        ("Max(x, 0)", "max(x, 0)"),
        ("maximum(x, 0)", "max(x, 0)"),
        ("Min(x, 0)", "min(x, 0)"),
        ("minimum(x, 0)", "min(x, 0)"),
        ("max(x, 0, -1)", "max(x, max(0, -1))"),
        ("max(x, 1, x*x, 2)", "max(max(x, 1), max(x*x, 2))"),
        ("sgn(x)*x", "sign(x)*x"),
        ("Heaviside(x)*x", "heaviside(x)*x"),
        ("heaviside(x, 0.5)*x", "heaviside(x)*x"),
        ("pow(x, 3)", "x**3"),
        ("power(x, 3)", "x**3"),
        ("clip(x, -1, 2)", "min(max(x, -1), 2)"),
        ("clamp(x, -1, 2)", "min(max(x, -1), 2)"),
        ("Piecewise((x, x > 0), (x/2, x > -1), (0, True))", "where(x > 0, x, where(x > -1, x/2, 0))"),
        ("where(0 < x < 1, x, 0)", "where(0 < x and x < 1, x, 0)"),
        ("where((x > 0) & (x < 1), x, 0)", "where(x > 0 and x < 1, x, 0)"),
        ("where((x > 0) | (x < -1), x, 0)", "where(x > 0 or x < -1, x, 0)"),
        ("where(~(x > 0), x, 0)", "where(not x > 0, x, 0)"),
        ("x*(x > 0)", "x*where(x > 0, 1, 0)"),
        ("+x*x", "x*x"),
        ("2**3**2*x", "512*x"),
        ("-2**2*x", "(-4)*x"),
        ("E*x", "e*x"),
        ("where(2 > 1, x*x, x)", "x*x"),
    ],
)
def test_spellings(text, other):
    same(text, other)


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_every_function_is_read(name):
    tree = Reader(f"{name}(x*x) + 0").read()
    assert np.isfinite(value(tree, np.array([0.5]))).all()


def test_every_spelling_is_read():
    arguments = {"clip": "x, 0, 1", "pow": "x, 2", "max": "x, 0", "min": "x, 0"}
    for spelling, name in SPELLINGS.items():
        given = arguments.get(name, "x")
        same(f"{spelling}({given}) + x", f"{name}({given}) + x")


def test_constants_are_folded_in_float64():
    assert Reader("(2*pi + e)*x").read() == Call("*", (Number(2 * np.pi + np.e), X))
    assert Reader("tanh(1)*x").read() == Call("*", (Number(float(np.tanh(1.0))), X))
    assert Reader("1_000*0x10*x").read() == Call("*", (Number(16000.0), X))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("tanh", "tanh"),
        ("Tanh", "tanh"),
        ("tanh(x)", "tanh"),
        ("tanh()", "tanh"),
        ("(tanh)(x)", "tanh"),
        ("swish", "silu"),
        ("atan(x)", "arctan"),
        ("x", "linear"),
        ("+x", "linear"),
        ("leaky_relu(slope=0.2)", "leaky_relu(slope=0.2)"),
        ("leaky_relu(x, slope=1/5)", "leaky_relu(slope=0.2)"),
        ("LeakyReLU(negative_slope=0.2)", "leaky_relu(slope=0.2)"),
        ("elu(x, alpha=2*0.5)", "elu"),
    ],
)
def test_names_of_the_catalogue_are_its_objects(text, name):
    found = Reader(text).read()
    assert isinstance(found, Nonlinearity)
    assert found is mf.as_nonlinearity(name)


@pytest.mark.parametrize(
    ("text", "function"),
    [
        ("0.5*relu(x + 1)", lambda x: 0.5 * np.maximum(x + 1, 0)),
        ("gelu(min(0.8*x + 1, 1.3)) - tanh(x)", None),
        ("leaky_relu(x, slope=0.2) + x", lambda x: np.where(x > 0, 2 * x, 1.2 * x)),
        ("hardtanh(3*x, min_val=-2, max_val=1)", lambda x: np.clip(3 * x, -2, 1)),
        ("x*sigmoid(1.0)", lambda x: x / (1 + np.exp(-1))),
    ],
)
def test_names_of_the_catalogue_compose(text, function):
    tree = Reader(text).read()
    if function is None:
        inner = mf.as_nonlinearity("gelu")
        function = lambda x: inner(np.minimum(0.8 * x + 1, 1.3)) - np.tanh(x)  # noqa: E731
    assert np.allclose(value(tree, POINTS), function(POINTS), rtol=1e-15, atol=1e-15)


REFUSED = [
    # text, position (from 1), reason
    ("__import__('os')", 1, "unknown name"),
    ("__import__('os').system('true')", 1, "attributes are not allowed"),
    ("x.real", 1, "attributes are not allowed"),
    ("np.tanh(x)", 1, "write tanh, not np.tanh"),
    ("().__class__", 1, "attributes are not allowed"),
    ("2*x[0]", 3, "subscripts are not allowed"),
    ("lambda x: x", 1, "lambda is not allowed"),
    ("[x for x in (1, 2)]", 1, "no part of an expression"),
    ("{x: 1}", 1, "no part of an expression"),
    ("sin(x) if x > 0 else 0", 1, "write where(condition, a, b)"),
    ("(y := x)", 2, "no part of an expression"),
    ("x; x", 2, "invalid syntax"),
    ("import os", 1, "invalid syntax"),
    ("x = 1", 3, "invalid syntax"),
    ("f'{x}'", 1, "no part of an expression"),
    ("'x'", 1, "only real numbers are allowed, not str"),
    ("b'x'*x", 1, "only real numbers are allowed, not bytes"),
    ("x + True", 5, "only real numbers are allowed, not bool"),
    ("x + None", 5, "only real numbers are allowed, not NoneType"),
    ("x*...", 3, "only real numbers are allowed, not ellipsis"),
    ("x + 2j", 5, "only real numbers are allowed, not complex"),
    ("1e400*x", 1, "not a finite real number"),
    ("1" + "0" * 400 + "*x", 1, "not a finite real number"),
    ("9**9**9**9", 4, "not a finite real number"),
    ("x + 9**9**9**9", 8, "not a finite real number"),
    ("x/(1 - 1.0)/0", None, ""),
    ("x + 1/0", 5, "not a finite real number"),
    ("x*(-8)**(1/3)", 3, "not a finite real number"),
    ("x + log(-1)", 5, "not a finite real number"),
    ("x*nan", 3, "only finite numbers are allowed"),
    ("inf", 1, "only finite numbers are allowed"),
    ("x - oo", 5, "only finite numbers are allowed"),
    ("1.5", 1, "constant"),
    ("sin(2) + 1", 1, "constant"),
    ("pi", 1, "constant"),
    ("relu(0.1)", 1, "constant"),
    ("x*y", 3, "unknown name; the variable is x"),
    ("tahn", 1, "did you mean tanh?"),
    ("2*tahn(x)", 3, "did you mean tanh?"),
    ("rleu(x)", 1, "did you mean relu?"),
    ("arctanx(x)", 1, "did you mean arctan?"),
    ("sqr(x)", 1, "did you mean sqrt?"),
    ("floor(x)", 1, "unknown name"),
    ("sign", 1, "jumps"),
    ("step", 1, "jumps"),
    ("softmax(x)", 1, "acts on a whole vector"),
    ("x*hardshrink(x)", 3, "jumps"),
    ("sqrt", 1, "did you mean sqrt(x)?"),
    ("x*tanh", 3, "did you mean tanh(x)?"),
    ("relu + x", 1, "did you mean relu(x)?"),
    ("leaky_relu(0.1)", 1, "did you mean leaky_relu(slope=0.1)?"),
    ("x*elu(0.5)", 3, "did you mean elu(alpha=0.5)?"),
    ("leaky_relu(x, 0.1)", 1, "did you mean leaky_relu(x, slope=0.1)?"),
    ("leaky_relu(slope=0.2)*x", 1, "did you mean leaky_relu(x)?"),
    ("leaky_relu(slope=x)", 18, "name=number"),
    ("leaky_relu(slop=0.1)", 1, "did you mean slope?"),
    ("leaky_relu(**x)", 14, "name=number"),
    ("elu(alpha=-1)", 1, "alpha of elu must be"),
    ("relu(slope=1)", 1, "relu has no parameters"),
    ("leaky_relu(slope=0.1, slope=0.2)", 29, "slope is given twice"),
    ("leaky_relu(negative_slope=0.1, slope=0.2)", 1, "slope is given twice"),
    ("tanh(*x)", 6, "no part of an expression"),
    ("tanh(x, x)", 1, "takes one argument"),
    ("exp(x, x)", 1, "exp takes one argument, got 2"),
    ("exp()", 1, "did you mean exp(x)?"),
    ("sin(2*x) + exp()", 12, "exp takes one argument, got 0"),
    ("exp(x, base=2)", 1, "takes no named arguments"),
    ("max(x)", 1, "two or more arguments"),
    ("max([x, 0])", 1, "two or more arguments"),
    ("min(x, 0, key=x)", 1, "takes no named arguments"),
    ("clip(x, 1)", 1, "clip(x, -1, 1)"),
    ("pow(x)", 1, "pow(x, 2)"),
    ("where(x, 1, 2)", 7, "a condition compares two numbers"),
    ("where(x > 0, 1)", 1, "a condition and two values"),
    ("where(x == 0, 1, x)", 7, "only < <= > >= are allowed"),
    ("where(x != 0, 1, x)", 7, "only < <= > >= are allowed"),
    ("where(x > 0 & x < 1, x, 0)", 11, "a condition compares two numbers"),
    ("Piecewise((x, x > 0))", 1, "the last with the condition True"),
    ("Piecewise(x, 0)", 1, "Piecewise takes pairs"),
    ("x^2", 1, "write **"),
    ("x // 2", 1, "only the operators + - * / **"),
    ("x % 2", 1, "only the operators + - * / **"),
    ("x @ x", 1, "only the operators + - * / **"),
    ("x << 2", 1, "only the operators + - * / **"),
    ("2x", 1, "products need *"),
    ("2(x)", 1, "products need *"),
    ("x(2)", 1, "products need *"),
    ("pi(x)", 1, "products need *"),
    ("tanh(x", 5, "never closed"),
    ("tanh(x))", 8, "unmatched"),
    ("x +", None, "invalid syntax"),
    ("x # tanh", 3, "comments are not allowed"),
    ("x\0", 2, "only printable ASCII"),
    ("x\x1b[31m", 2, "only printable ASCII"),
    ("\u03b1*x", 1, "only printable ASCII"),
    ("\uff54\uff41\uff4e\uff48(x)", 1, "only printable ASCII"),  # Python itself would read this as tanh
    ("x\u22121", 2, "only printable ASCII"),
    ("x + \udc80", 5, "only printable ASCII"),
    ("", None, "empty"),
    (" \t\n", None, "empty"),
    ("(" * 450 + "x" + ")" * 450, None, "nested"),
    ("-" * 900 + "x", None, "nested"),
    ("+".join(["x"] * 60), None, f"more than {MAX_DEPTH} deep"),
    ("max(" + ", ".join(["x"] * 250) + ")", None, f"more than {MAX_NODES} numbers"),
]


@pytest.mark.parametrize(
    ("text", "position", "reason"), REFUSED, ids=[row[0][:30].encode("ascii", "replace").decode() for row in REFUSED]
)
def test_refusals_point_at_the_position(text, position, reason):
    with pytest.raises(mf.NonlinearityError) as told:
        mf.as_nonlinearity(text)
    message = str(told.value)
    assert reason in message
    assert "\n" not in message
    assert len(message) < 400
    if position is not None:
        assert f"at character {position} (" in message


@pytest.mark.parametrize("text", ["+".join(["x"] * 100_000), "(" * 5000 + "x" + ")" * 5000, "x" * 10**6])
def test_long_texts_are_not_even_parsed(text):
    with pytest.raises(mf.NonlinearityError, match="at most 1000 characters are allowed, got") as told:
        mf.as_nonlinearity(text)
    assert len(str(told.value)) < 200


def test_nothing_is_evaluated(tmp_path):
    target = tmp_path / "touched"
    for text in (
        f"open({str(target)!r}, 'w')",
        f"exec('open({str(target)!r}, 1)')",
        f"x*eval('open({str(target)!r})')",
    ):
        with pytest.raises(mf.NonlinearityError):
            mf.as_nonlinearity(text)
    assert not target.exists()


WORDS = "** 1 0.5 1e9 9 x tanh( relu(x) max( where( x>0 sin(x) 1/ abs( not and or lambda if else slope= np. _ e pi"
PIECES = st.sampled_from([*"x+-*/().,<>=&|~^%@:;'\"[]{}\\# ", *(f" {word}" for word in WORDS.split())])


@settings(max_examples=100)
@given(st.lists(PIECES, max_size=25).map("".join) | st.text(max_size=40) | st.text(string.printable, max_size=40))
def test_any_text_is_a_nonlinearity_or_a_nonlinearity_error(text):
    try:
        phi = mf.as_nonlinearity(text)
    except mf.NonlinearityError:
        return
    assert np.isfinite(phi(POINTS)).all()
    assert np.isfinite(phi.derivative(POINTS)).all()
