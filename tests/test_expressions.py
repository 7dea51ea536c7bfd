"""as_nonlinearity: one object for one text, and moments and solutions of what it makes."""

import itertools
import pickle

import numpy as np
import pytest
from scipy.integrate import quad

import meanfield as mf
from meanfield.activations import CATALOGUE
from tests.problems import EXPRESSION_PROBLEMS, gap


def test_the_same_text_is_the_same_object():
    for text in ("tanh", "x*tanh(x)", "leaky_relu(slope=0.3)", "abs(sin(x))"):
        phi = mf.as_nonlinearity(text)
        assert mf.as_nonlinearity(str(text)) is phi
        assert mf.as_nonlinearity(np.str_(text)) is phi
        assert mf.as_nonlinearity(phi) is phi


@pytest.mark.parametrize("name", CATALOGUE)
def test_catalogue_objects_come_back_from_their_expression(name):
    phi = mf.as_nonlinearity(name)
    assert phi.name == name
    assert mf.as_nonlinearity(phi.expression) is phi
    assert mf.as_nonlinearity(f"{name}(x)") is phi
    assert mf.as_nonlinearity(f" {name} ( x ) ") is phi


def test_the_expression_of_an_expression_is_its_text():
    phi = mf.as_nonlinearity(" x *\n tanh(x) ")
    assert phi.name == phi.expression == "x * tanh(x)"


@pytest.mark.parametrize("thing", [None, 3, 1.5, b"tanh", ["tanh"], np.ones(3), object()])
def test_other_types_are_refused(thing):
    with pytest.raises(mf.NonlinearityError, match="phi must be a Nonlinearity or text, got"):
        mf.as_nonlinearity(thing)


def test_functions_are_sent_to_from_callable():
    with pytest.raises(mf.NonlinearityError, match="from_callable"):
        mf.as_nonlinearity(np.tanh)


@pytest.mark.parametrize("problem", EXPRESSION_PROBLEMS, ids=lambda p: p.phi)
def test_moments_of_random_expressions_are_honest(problem):
    phi = mf.as_nonlinearity(problem.phi)
    moments = mf.moments(phi, problem.q)
    for field in ("V", "mu_1", "mu_2", "V_slope"):
        assert float(gap(getattr(moments, field), getattr(problem, field))) <= moments.errors[field], field
    assert moments.errors["V"] <= 1e-11 * moments.V
    assert moments.errors["mu_1"] <= 1e-11 * moments.mu_1


@pytest.mark.parametrize("text", ["(exp(x)-exp(-x))/(exp(x)+exp(-x))", "1-2/(1+exp(2*x))", "2*sigmoid(2*x) - 1"])
def test_a_custom_tanh_is_tanh(text):
    for sigma_b in (0.05, 0.3, 2.0):
        custom, built_in = (mf.critical_point(phi, sigma_b=sigma_b) for phi in (text, "tanh"))
        for field in ("sigma_w", "q_star", "alpha"):
            bound = custom.errors[field] + built_in.errors[field]
            assert abs(getattr(custom, field) - getattr(built_in, field)) <= bound
    custom, built_in = (mf.fixed_point(phi, 2.5, 0.3) for phi in (text, "tanh"))
    for field in ("q_star", "chi_1", "c_star", "chi_c"):
        bound = custom.errors[field] + built_in.errors[field]
        assert abs(getattr(custom, field) - getattr(built_in, field)) <= bound


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("log(1 + exp(x))", "softplus"),
        ("x/(1 + exp(-x))", "silu"),
        ("max(x, 0)", "relu"),
        ("where(x > 0, x, expm1(x))", "elu"),
        ("x*(x > 0) + 0.01*x*(x <= 0)", "leaky_relu"),
        ("x*heaviside(x + 3)*heaviside(3 - x)*(x + 3)/6 + x*heaviside(x - 3)", "hardswish"),
    ],
)
@pytest.mark.parametrize("q", [1e-6, 1.0, 1e4, 1e6])
def test_hand_written_entries_have_the_moments_of_the_catalogues(text, name, q):
    """At q = 1e6 the integrals reach x = 2e4, far beyond the overflow of exp."""
    custom, built_in = mf.moments(text, q), mf.moments(name, q)
    for field in ("V", "mu_1", "mu_2"):
        bound = custom.errors[field] + built_in.errors[field]
        assert abs(getattr(custom, field) - getattr(built_in, field)) <= bound
        assert bound <= 1e-10 * getattr(built_in, field)


@pytest.mark.parametrize(
    ("text", "q"),
    [
        ("abs(sin(x))", 2.0),
        ("max(sin(abs(x - .7)), .4)", 1.3),
        ("abs(x)**1.5", 0.7),
        ("exp(-1/x**2)", 1.0),
        ("where(x > 0, exp(-1/x), 0)", 3.0),
        ("where(abs(x) > 1e-3, sin(x)/x, 1 - x**2/6)", 1.0),
    ],
)
def test_moments_meet_scipy(text, q):
    phi = mf.as_nonlinearity(text)
    moments, reach = mf.moments(phi, q), 9 * q**0.5
    edges = np.concatenate([[-reach], phi.kinks_between(-reach, reach), [reach]])

    def mean(function):
        parts = [
            quad(lambda x: float(function(x)) ** 2 * np.exp(-x * x / (2 * q)), a, b, epsabs=1e-13, epsrel=1e-12)[0]
            for a, b in itertools.pairwise(edges)
        ]
        return sum(parts) / np.sqrt(2 * np.pi * q)

    for field, function in (("V", phi), ("mu_1", phi.derivative)):
        assert abs(getattr(moments, field) - mean(function)) <= moments.errors[field] + 1e-11
        assert moments.errors[field] <= 1e-9


def test_growth_is_left_to_the_moments():
    phi = mf.as_nonlinearity("exp(x**2/8)")
    assert mf.moments(phi, 0.5).V > 0
    with pytest.raises(mf.NonlinearityError, match="infinite"):
        mf.moments(phi, 2.5)


def test_expressions_travel_with_what_was_computed():
    phi = mf.as_nonlinearity("0.5*relu(x + 1) + abs(sin(2*x))")
    copy = pickle.loads(pickle.dumps(phi))
    assert mf.moments(copy, 1.7).V == mf.moments(phi, 1.7).V
