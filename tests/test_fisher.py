"""Karakida's statistics: check values, an independent recursion by scipy.quad, limits, softmax, bad arguments."""

import math

import numpy as np
import pytest
from scipy import integrate

import meanfield as mf
from meanfield.fisher import fisher_statistics

SETTING = {"depth": 2, "width": 400, "samples": 100, "outputs": 2}
# [Karakida19]: variances (sigma_w^2, sigma_b^2), input length 1, overlap 0.
CHECKS = [("linear", 1.0, 0.1, 132.0), ("relu", 2.0, 0.1, 330.6), ("tanh", 3.0, 0.64, 101.6)]


@pytest.mark.parametrize(("phi", "variance_w", "variance_b", "lambda_max"), CHECKS)
def test_check_values(phi, variance_w, variance_b, lambda_max):
    found = mf.fisher_statistics(phi, math.sqrt(variance_w), math.sqrt(variance_b), **SETTING)
    assert abs(found.lambda_max - lambda_max) <= 0.05
    assert found.errors["lambda_max"] <= 1e-9


def gaussian_mean(function, variance, covariance):
    """E f(u) f(v) by nested quad."""
    spread = math.sqrt(variance)
    c = covariance / variance
    s = math.sqrt(1 - c * c)

    def density(z):
        return math.exp(-z * z / 2) / math.sqrt(2 * math.pi)

    def inner(x):
        return integrate.quad(lambda y: density(y) * function(spread * (c * x + s * y)), -9, 9, epsabs=1e-11)[0]

    return integrate.quad(lambda x: density(x) * function(spread * x) * inner(x), -9, 9, epsabs=1e-10)[0]


def kappas(sigma_w, sigma_b, widths, norm, overlap, biases):
    """kappa_1 and kappa_2 of a tanh network with unequal widths, formula by formula."""
    depth = len(widths) - 1
    forward, shared, slopes, shared_slopes = [norm], [norm * overlap], [], []
    for _ in range(depth):
        q, p = sigma_w**2 * forward[-1] + sigma_b**2, sigma_w**2 * shared[-1] + sigma_b**2
        slope = lambda x: 1 / math.cosh(x) ** 2  # noqa: E731
        # A correlation of exactly 1 has its own, single integral.
        forward.append(gaussian_mean(math.tanh, q, q * (1 - 1e-14)))
        shared.append(gaussian_mean(math.tanh, q, p))
        slopes.append(gaussian_mean(slope, q, q * (1 - 1e-14)))
        shared_slopes.append(gaussian_mean(slope, q, p))
    M = widths[-1]
    alpha = sum(a * b for a, b in zip(widths[1:], widths[:-1], strict=True)) / M**2
    one = two = 0.0
    for layer in range(depth + 1):
        backward = math.prod(sigma_w**2 * s for s in slopes[layer:])
        backward_shared = math.prod(sigma_w**2 * s for s in shared_slopes[layer:])
        extra = biases / widths[layer]
        one += widths[layer] / M / alpha * backward * (forward[layer] + extra)
        two += widths[layer] / M / alpha * backward_shared * (shared[layer] + extra)
    return one, two, alpha, M


@pytest.mark.parametrize("biases", [False, True])
def test_profiles_overlaps_and_biases(biases):
    widths, T, C = [30, 80, 50], 40, 3
    one, two, alpha, M = kappas(1.4, 0.3, widths, 0.7, 0.25, biases)
    found = mf.fisher_statistics(
        "tanh", 1.4, 0.3, depth=2, width=widths, samples=T, outputs=C, input_norm=0.7, overlap=0.25, biases=biases
    )
    expected = {
        "kappa_1": one,
        "kappa_2": two,
        "mean": one * C / M,
        "second_moment": alpha * ((T - 1) / T * two**2 + one**2 / T) * C,
        "lambda_max": alpha * ((T - 1) / T * two + one / T) * M,
        "bulk": alpha * (one - two) * M / T,
        "condition_number": 1 + T * two / (one - two),
        "max_learning_rate": 2 / (alpha * ((T - 1) / T * two + one / T) * M),
    }
    for name, value in expected.items():
        assert abs(getattr(found, name) / value - 1) <= 1e-7, name


def test_the_spectrum_adds_up():
    """C outliers and C (T - 1) bulk eigenvalues have the trace and the sum of squares that the moments say."""
    T, C = SETTING["samples"], SETTING["outputs"]
    found = mf.fisher_statistics("relu", 1.4, 0.3, overlap=0.4, **SETTING)
    parameters = SETTING["depth"] * SETTING["width"] ** 2
    for power, moment in ((1, found.mean), (2, found.second_moment)):
        total = C * found.lambda_max**power + C * (T - 1) * found.bulk**power
        assert abs(total / parameters / moment - 1) <= 1e-12
    assert abs(found.lambda_max / found.bulk / found.condition_number - 1) <= 1e-12


def test_overlap_one_leaves_no_bulk():
    found = mf.fisher_statistics("tanh", 1.4, 0.3, overlap=1.0, **SETTING)
    assert abs(found.bulk) <= found.errors["bulk"]
    assert found.condition_number == math.inf
    assert abs(found.kappa_1 - found.kappa_2) <= found.errors["kappa_1"] + found.errors["kappa_2"]


def test_negative_overlaps():
    """Inputs that repel: for a linear network without biases the shared kernel is negative, and the bulk is on top."""
    setting = {**SETTING, "samples": 5}
    found = mf.fisher_statistics("linear", 1.0, 0.0, overlap=-0.25, **setting)
    assert abs(found.kappa_2 / found.kappa_1 + 0.25) <= 1e-12
    assert found.lambda_max == found.bulk
    assert found.condition_number == math.inf  # five such vectors add up to zero
    with pytest.raises(mf.InvalidParameterError, match="overlap must be in"):
        mf.fisher_statistics("linear", 1.0, 0.0, overlap=-0.3, **setting)


def test_one_sample_has_no_bulk():
    found = mf.fisher_statistics("tanh", 1.4, 0.3, depth=2, width=400, samples=1)
    assert math.isnan(found.bulk)
    assert found.condition_number == 1


def test_momentum():
    plain, heavy = (mf.fisher_statistics("tanh", 1.4, 0.3, momentum=m, **SETTING) for m in (0.0, 0.9))
    assert heavy.momentum == 0.9
    assert abs(heavy.max_learning_rate / plain.max_learning_rate - 1.9) <= 1e-12


def test_softmax_of_equal_logits():
    """At vanishing weights every class is equally likely: H has C - 1 eigenvalues 1/C."""
    C = 5
    linear, softmax = (
        mf.fisher_statistics("linear", 1e-3, 0.0, depth=1, width=100, samples=30, outputs=C, overlap=0.3, output=output)
        for output in ("linear", "softmax")
    )
    for name, power in (("lambda_max", 1), ("bulk", 1), ("mean", 1), ("second_moment", 2)):
        count = (C - 1) / C if name in ("mean", "second_moment") else 1
        expected = getattr(linear, name) * count / C**power
        assert abs(getattr(softmax, name) - expected) <= softmax.errors[name] + 1e-4 * expected, name


def test_softmax_is_flatter_than_linear():
    linear, softmax = (
        fisher_statistics("tanh", 1.4, 0.3, output=output, **{**SETTING, "outputs": 10})
        for output in ("linear", "softmax")
    )
    assert softmax.lambda_max < linear.lambda_max / 2
    assert softmax.condition_number > linear.condition_number
    assert 0 < softmax.errors["lambda_max"] < softmax.lambda_max


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"depth": 0}, "depth must be >= 1"),
        ({"width": 0}, "width must be >= 1"),
        ({"width": [400, 400]}, "one for the input and each of 2"),
        ({"samples": 0}, "samples must be >= 1"),
        ({"outputs": 0}, "outputs must be >= 1"),
        ({"outputs": 1, "output": "softmax"}, "outputs must be >= 2"),
        ({"output": "relu"}, "output must be one of"),
        ({"input_norm": 0.0}, "input_norm must be > 0"),
        ({"input_norm": 1e308}, r"input_norm must be <= 1e\+12, got 1e\+308"),
        ({"overlap": 1.1}, "overlap must be in"),
        ({"biases": "no"}, "biases must be True or False, got 'no'"),
        ({"momentum": 1.0}, "momentum must be < 1"),
        ({"momentum": -0.1}, "momentum must be in"),
    ],
)
def test_bad_arguments(change, part):
    with pytest.raises(mf.InvalidParameterError, match=part):
        mf.fisher_statistics("tanh", 1.0, 0.1, **{**SETTING, **change})


def test_the_longest_inputs():
    """The share of tanh's slopes that do not vanish falls as 1/|x|, and so does sigma_max^2 of the first layer."""
    first = [
        mf.fisher_bound("tanh", 1.5, 0.1, depth=3, width=100, samples=10, input_norm=norm).jacobian[0]
        for norm in (1e8, 1e12)
    ]
    assert abs(first[0] / first[1] / 10 - 1) <= 1e-4


def test_gradients_beyond_double_precision_are_refused():
    with pytest.raises(mf.InvalidParameterError, match=r"squared gradients below 1e\+150, got .* sigma_w = 1e\+30"):
        mf.fisher_statistics("tanh", 1e30, 0.1, depth=10, width=100, samples=10)


def test_result_is_frozen_and_plain():
    found = mf.fisher_statistics("tanh", 1.4, 0.3, **SETTING)
    assert set(found.to_dict()["errors"]) == {
        "kappa_1",
        "kappa_2",
        "mean",
        "second_moment",
        "lambda_max",
        "bulk",
        "condition_number",
        "max_learning_rate",
    }
    with pytest.raises(AttributeError):
        found.bulk = 1.0
    assert np.isfinite(list(found.errors.values())).all()


@pytest.mark.filterwarnings("error")
def test_lengths_below_double_precision():
    """Linear, sigma_b = 0: the tangent kernel of many layers is sum_l sigma_w^{2l} of the biases' own entries."""
    setting = {"depth": 100, "width": 50, "samples": 20, "overlap": 0.3}
    found = mf.fisher_statistics("linear", 0.01, 0.0, biases=True, **setting)
    assert abs(found.lambda_max - 1 / (1 - 1e-4)) <= found.errors["lambda_max"] <= 1e-13
    bound = mf.fisher_bound("linear", 0.01, 0.0, weights="orthogonal", **setting)
    assert abs(bound.layerwise - 1 / (1 - 1e-4)) <= bound.errors["layerwise"] <= 1e-7
    with pytest.raises(mf.InvalidParameterError, match=r"depth must be smaller .* from layer 72 on, got 75"):
        mf.fisher_statistics("relu", 0.01, 0.0, depth=75, width=50, samples=20, biases=True)


@pytest.mark.filterwarnings("error")
def test_gradients_that_overflow_are_refused_without_a_warning():
    with pytest.raises(mf.InvalidParameterError, match="keep squared gradients below 1e\\+150, got inf"):
        mf.fisher_statistics("tanh", 1e3, 0.0, depth=130, width=10, samples=5, biases=True)
