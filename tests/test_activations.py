"""The catalogue: every phi and phi' equals its expression, evaluated apart by mpmath; names, parameters, refusals."""

import ast
import math
import operator
import pickle

import numpy as np
import pytest
from mpmath import mp, mpf

import meanfield as mf
from meanfield.activations import CATALOGUE, REFUSED, find
from meanfield.errors import InvalidParameterError, NonlinearityError
from meanfield.nonlinearity import probe

EPS = np.finfo(float).eps
TINY = np.finfo(float).tiny  # below it float64 has no relative accuracy
CASES = [(name, {}) for name in CATALOGUE] + [
    ("leaky_relu", {"slope": -0.5}),
    ("leaky_relu", {"slope": 1.0}),
    ("leaky_relu", {"slope": 1e6}),
    ("elu", {"alpha": 0.3}),
    ("elu", {"alpha": 1e-6}),
    ("celu", {"alpha": 2.5}),
    ("celu", {"alpha": 1e-6}),
    ("silu", {"beta": 1.702}),
    ("silu", {"beta": 1e6}),
    ("softplus", {"beta": 0.5}),
    ("softplus", {"beta": 1e-6}),
    ("softplus", {"beta": 1e6}),
    ("hard_tanh", {"min_val": -2.0}),
    ("hard_tanh", {"min_val": 0.25, "max_val": 0.5}),
    ("softshrink", {"lambd": 1.5}),
]
IDS = [f"{name}-{'-'.join(f'{key}{value:g}' for key, value in given.items())}" for name, given in CASES]
MAGNITUDES = (
    *(1e-300, 1e-100, 1e-20, 1e-8, 1e-5, 1e-3, 0.03, 0.2, 0.45, 0.51, 0.76, 0.99, 1.01, 1.4, 1.6, 2.4, 2.99, 3.01),
    *(4.5, 5.9, 6.1, 9.0, 19.0, 27.0, 38.0, 39.9, 40.1, 90.0, 700.0, 760.0, 1e5, 1e8, 1e155, 1e300),
)
POINTS = np.array([sign * x for x in MAGNITUDES for sign in (-1.0, 1.0)])

FUNCTIONS = {
    "abs": abs,
    "max": max,
    "min": min,
    "exp": mp.exp,
    "expm1": lambda u: mp.exp(u) - 1,
    "log1p": lambda u: mp.log(1 + u),
    "sqrt": mp.sqrt,
    "sin": mp.sin,
    "cos": mp.cos,
    "tanh": mp.tanh,
    "arctan": mp.atan,
    # Beyond 28 the rest is below float64, and mpmath is slow to find it.
    "erf": lambda u: mp.erf(u) if abs(u) < 28 else mp.sign(u),
    "erfc": lambda u: mp.erfc(u) if abs(u) < 28 else 1 - mp.sign(u),
}
OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.USub: operator.neg,
}


def evaluate(node, x):
    """The expression at x in mpmath: elementary functions only, so no other name of the catalogue can hide in it."""
    match node:
        case ast.Expression(body):
            return evaluate(body, x)
        case ast.Constant(value):
            return mpf(value)
        case ast.Name("x"):
            return x
        case ast.Name("pi"):
            return mp.pi
        case ast.UnaryOp(op, operand):
            return OPERATORS[type(op)](evaluate(operand, x))
        case ast.BinOp(left, op, right):
            return OPERATORS[type(op)](evaluate(left, x), evaluate(right, x))
        case ast.Call(ast.Name(name), arguments, []):
            return FUNCTIONS[name](*(evaluate(argument, x) for argument in arguments))
    raise AssertionError(ast.dump(node))


def oracle(name, given):
    entry = CATALOGUE[name]
    tree = ast.parse(entry.expression(**{**entry.parameters, **given}), mode="eval")
    return lambda x: evaluate(tree, x)


def differences(function, x, kinks):
    """phi, phi', phi'' at x by central differences, the step far below every scale of phi and the nearest kink."""
    gap = min([abs(x), *(abs(x - kink) for kink in kinks)])
    # Tails down to 1e-308 must survive beside 1, and so must the square of a step.
    decades = 160 if 6 < abs(x) < 1e3 else abs(math.log10(abs(x)))
    with mp.workdps(130 + 2 * math.ceil(decades)):
        point, step = mpf(x), mpf(min(gap, 1e-6)) * mpf(10) ** -25
        below, here, above = (function(point + k * step) for k in (-1, 0, 1))
        return here, (above - below) / (2 * step), (above - 2 * here + below) / step**2


@pytest.mark.parametrize(("name", "given"), CASES, ids=IDS)
def test_phi_and_its_slope_equal_the_expression(name, given):
    """To a few ulp of the value, or to what the rounding of x itself does to it."""
    phi, exact = CATALOGUE[name].nonlinearity(**given), oracle(name, given)
    kinks = phi.kinks_between(-np.inf, np.inf)
    values, slopes = phi.function(POINTS), phi.derivative(POINTS)
    for k, x in enumerate(POINTS):
        value, slope, bend = differences(exact, float(x), kinks)
        assert abs(values[k] - value) <= 8 * EPS * (abs(value) + abs(x * slope)) + TINY, x
        assert abs(slopes[k] - slope) <= 8 * EPS * (abs(slope) + abs(x * bend)) + TINY, x


@pytest.mark.parametrize(("name", "given"), CASES, ids=IDS)
def test_phi_at_zero(name, given):
    phi = CATALOGUE[name].nonlinearity(**given)
    assert abs(phi(0.0) - oracle(name, given)(mpf(0))) <= EPS * abs(phi(0.0))


@pytest.mark.parametrize(("name", "given"), CASES, ids=IDS)
def test_declared_kinks_are_kinks(name, given):
    """Left and right of one, the first or the second derivative of the expression differs."""
    phi, exact = CATALOGUE[name].nonlinearity(**given), oracle(name, given)
    with mp.workdps(120):
        for kink in phi.kinks_between(-np.inf, np.inf):
            jumps = [
                abs(mp.diff(exact, mpf(kink), n, direction=1) - mp.diff(exact, mpf(kink), n, direction=-1))
                for n in (1, 2)
            ]
            assert max(jumps) > 1e-7


@pytest.mark.parametrize(("name", "given"), CASES, ids=IDS)
def test_the_slope_jumps_only_at_declared_kinks(name, given):
    """On a fine grid neighbouring slopes differ by the step times a second derivative, except across a kink."""
    phi = CATALOGUE[name].nonlinearity(**given)
    sharpest = max(1.0, given.get("beta", 1.0))
    x = np.linspace(-10, 10, 20_001) / sharpest + 1e-5 / sharpest
    edges = np.searchsorted(x, phi.kinks_between(-10, 10)) - 1
    steps = np.abs(np.diff(phi.derivative(x)))
    steps[edges[edges >= 0]] = 0.0
    assert steps.max() <= 2.5e-3 * max(1.0, 1 / given.get("alpha", 1.0))


@pytest.mark.parametrize(("name", "given"), CASES, ids=IDS)
def test_arrays(name, given):
    phi = CATALOGUE[name].nonlinearity(**given)
    for shape in ((), (0,), (3,), (2, 3)):
        x = np.linspace(-2, 2, math.prod(shape)).reshape(shape)
        kept = x.copy()
        for part in (phi.function, phi.derivative):
            result = part(x)
            assert result.shape == shape
            assert result.dtype == np.float64
            assert not np.shares_memory(result, x)
        np.testing.assert_array_equal(x, kept)


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_entry_passes_the_probe_of_user_functions(name):
    probe(CATALOGUE[name].nonlinearity())


def test_a_wrong_expression_would_be_seen():
    """Negative control: the sigmoid's slope against the expression of SiLU."""
    exact = oracle("silu", {})
    slopes = CATALOGUE["sigmoid"].nonlinearity().derivative(np.array([0.7]))
    assert abs(slopes[0] - differences(exact, 0.7, ())[1]) > 0.1


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_expression_as_users_type_it_has_the_same_moments(name):
    entry = CATALOGUE[name]
    built_in, typed = entry.nonlinearity(), mf.as_nonlinearity(entry.expression(**entry.parameters))
    for q in (0.1, 1.0, 1e4):
        one, two = mf.moments(built_in, q), mf.moments(typed, q)
        for field in ("V", "mu_1", "mu_2", "V_slope", "critical_ratio"):
            bound = one.errors[field] + two.errors[field] + TINY
            assert abs(getattr(one, field) - getattr(two, field)) <= bound
            if field in ("V", "mu_1", "mu_2"):
                assert one.errors[field] <= 1e-13 * abs(getattr(one, field))


# Names


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("tanh", "tanh"),
        ("Tanh", "tanh"),
        ("ReLU", "relu"),
        ("ReLU6", "relu6"),
        ("LeakyReLU", "leaky_relu"),
        ("leakyrelu", "leaky_relu"),
        ("ELU", "elu"),
        ("SELU", "selu"),
        ("CELU", "celu"),
        ("GELU", "gelu"),
        ("SiLU", "silu"),
        ("swish", "silu"),
        ("Mish", "mish"),
        ("Softplus", "softplus"),
        ("soft_sign", "softsign"),
        ("Hardtanh", "hard_tanh"),
        ("hardtanh", "hard_tanh"),
        ("Hardswish", "hardswish"),
        ("hard_swish", "hardswish"),
        ("hardsigmoid", "hard_sigmoid"),
        ("LogSigmoid", "log_sigmoid"),
        ("logistic", "sigmoid"),
        ("identity", "linear"),
        ("Identity", "linear"),
        ("Softshrink", "softshrink"),
        ("Tanhshrink", "tanhshrink"),
        ("atan", "arctan"),
        ("step", None),
        ("tan", None),
        ("", None),
    ],
)
def test_names_as_users_write_them(word, name):
    entry = find(word)
    assert (entry.name if entry else None) == name


def test_no_two_entries_share_a_name():
    words = [word for entry in CATALOGUE.values() for word in {entry.name, *entry.aliases}]
    keys = [word.replace("_", "").lower() for word in words]
    assert len(set(keys)) == len(keys)
    assert all(find(word) is not None for word in words)
    assert not [word for word in REFUSED if find(word)]


def test_the_catalogue_of_the_design():
    design = (
        "linear relu leaky_relu elu selu celu gelu gelu_tanh silu mish softplus softsign tanh sigmoid erf hard_tanh "
        "relu6 hardswish arctan sin cos"
    )
    assert set(design.split()) <= set(CATALOGUE)
    assert all(name == entry.name for name, entry in CATALOGUE.items())


@pytest.mark.parametrize("name", ["step", "sign", "heaviside", "hardshrink", "threshold"])
def test_jumps_are_refused_with_the_reason(name):
    assert "jumps" in REFUSED[name]


@pytest.mark.parametrize("table", [CATALOGUE, REFUSED])
def test_the_tables_are_read_only(table):
    with pytest.raises(TypeError):
        table["tanh"] = None


# Parameters


def test_defaults_are_torchs():
    defaults = {name: dict(entry.parameters) for name, entry in CATALOGUE.items() if entry.parameters}
    assert defaults == {
        "leaky_relu": {"slope": 0.01},
        "elu": {"alpha": 1.0},
        "celu": {"alpha": 1.0},
        "silu": {"beta": 1.0},
        "softplus": {"beta": 1.0},
        "hard_tanh": {"min_val": -1.0, "max_val": 1.0},
        "softshrink": {"lambd": 0.5},
    }


def test_equal_parameters_give_the_same_object():
    leaky = CATALOGUE["leaky_relu"]
    assert leaky.nonlinearity() is leaky.nonlinearity(slope=0.01) is leaky.nonlinearity(negative_slope=0.01)
    assert leaky.nonlinearity(slope=1) is leaky.nonlinearity(slope=np.float64(1.0))
    assert leaky.nonlinearity(slope=0.2) is not leaky.nonlinearity()
    for entry in CATALOGUE.values():
        assert entry.nonlinearity() is entry.nonlinearity(**entry.parameters)


@pytest.mark.parametrize(
    ("name", "given", "text"),
    [
        ("tanh", {}, "tanh"),
        ("leaky_relu", {}, "leaky_relu"),
        ("leaky_relu", {"slope": 0.2}, "leaky_relu(slope=0.2)"),
        ("leaky_relu", {"slope": 2}, "leaky_relu(slope=2)"),
        ("leaky_relu", {"slope": -1 / 3}, "leaky_relu(slope=-0.3333333333333333)"),
        ("elu", {"alpha": 1e-5}, "elu(alpha=1e-05)"),
        ("hard_tanh", {"max_val": 2.0}, "hard_tanh(max_val=2)"),
        ("hard_tanh", {"max_val": 3.0, "min_val": 0.0}, "hard_tanh(min_val=0, max_val=3)"),
    ],
)
def test_the_name_is_text_that_is_read_back(name, given, text):
    phi = CATALOGUE[name].nonlinearity(**given)
    assert phi.name == phi.expression == text
    tree = ast.parse(text, mode="eval").body
    words = {word.arg: ast.literal_eval(word.value) for word in tree.keywords} if isinstance(tree, ast.Call) else {}
    assert CATALOGUE[name].nonlinearity(**words) is phi
    assert mf.as_nonlinearity(text) is phi


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("leaky_relu", {"slope": math.nan}, "slope of leaky_relu must be finite, got nan"),
        ("leaky_relu", {"negative_slope": math.inf}, "slope of leaky_relu must be finite, got inf"),
        ("leaky_relu", {"slope": 1e7}, "slope of leaky_relu must be in [-1e+06, 1e+06], got 10000000.0"),
        ("leaky_relu", {"slope": True}, "slope of leaky_relu must be real numbers, got True"),
        ("leaky_relu", {"slope": "0.1"}, "slope of leaky_relu must be real numbers, got '0.1'"),
        ("leaky_relu", {"slope": 1j}, "slope of leaky_relu must be real numbers, got 1j"),
        ("leaky_relu", {"slope": [0.1, 0.2]}, "slope of leaky_relu must be a single number"),
        ("elu", {"alpha": 0.0}, "alpha of elu must be in [1e-06, 1e+06], got 0.0"),
        ("celu", {"alpha": -1.0}, "alpha of celu must be in [1e-06, 1e+06], got -1.0"),
        ("silu", {"beta": -1.0}, "beta of silu must be in [1e-06, 1e+06], got -1.0"),
        ("softplus", {"beta": 0.0}, "beta of softplus must be in [1e-06, 1e+06], got 0.0"),
        ("softshrink", {"lambd": -0.5}, "lambd of softshrink must be in [1e-06, 1e+06], got -0.5"),
        ("hard_tanh", {"min_val": 1.0}, "max_val of hard_tanh must be > min_val = 1, got 1"),
    ],
)
def test_parameters_out_of_range_name_rule_and_value(name, given, message):
    with pytest.raises(InvalidParameterError) as caught:
        CATALOGUE[name].nonlinearity(**given)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("tanh", {"slope": 0.1}, "tanh has no parameters, got slope"),
        ("leaky_relu", {"slop": 0.1}, "leaky_relu has no parameter slop, only slope; did you mean slope?"),
        ("hard_tanh", {"beta": 0.1}, "hard_tanh has no parameter beta, only min_val, max_val"),
        (
            "leaky_relu",
            {"slope": 0.1, "negative_slope": 0.1},
            "slope is given twice, the second time as negative_slope",
        ),
    ],
)
def test_unknown_parameters_are_named(name, given, message):
    with pytest.raises(NonlinearityError) as caught:
        CATALOGUE[name].nonlinearity(**given)
    assert message in str(caught.value)


@pytest.mark.parametrize(("name", "given"), CASES, ids=IDS)
def test_pickle_round_trip(name, given):
    phi = CATALOGUE[name].nonlinearity(**given)
    again = pickle.loads(pickle.dumps(phi))
    assert again.name == phi.name
    np.testing.assert_array_equal(again.function(POINTS), phi.function(POINTS))
    np.testing.assert_array_equal(again.derivative(POINTS), phi.derivative(POINTS))
    np.testing.assert_array_equal(again.kinks_between(-10, 10), phi.kinks_between(-10, 10))
    if phi.closed_forms.V is not None:
        assert again.closed_forms.V.formula(np.array([0.7])) == phi.closed_forms.V.formula(np.array([0.7]))
