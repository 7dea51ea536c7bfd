"""NNGP and NTK: arc-cosine and arc-sine recursions in mpmath, simulated networks, limits of depth."""

import itertools
import math

import mpmath
import numpy as np
import pytest

import meanfield as mf
from meanfield.neural_kernels import layer_kernels, layer_widths
from verify.curvature import fisher_gram
from verify.statistics import extrapolate

SIGMA_W, SIGMA_B = 1.3, 0.2


def gram_of(n, dimension=12, seed=0):
    X = np.random.default_rng(seed).standard_normal((n, dimension))
    return X @ X.T / dimension


def arc_cosine(q1, q2, product):
    """E relu relu and E relu' relu' [Cho and Saul 2009]."""
    scale = mpmath.sqrt(q1 * q2)
    angle = mpmath.acos(min(product / scale, mpmath.mpf(1)))
    value = scale / (2 * mpmath.pi) * (mpmath.sin(angle) + (mpmath.pi - angle) * mpmath.cos(angle))
    return value, (mpmath.pi - angle) / (2 * mpmath.pi)


def arc_sine(q1, q2, product):
    """E erf erf and E erf' erf' [Williams 1997]."""
    a, b = 1 + 2 * q1, 1 + 2 * q2
    value = 2 / mpmath.pi * mpmath.asin(2 * product / mpmath.sqrt(a * b))
    return value, 4 / mpmath.pi / mpmath.sqrt(a * b - 4 * product**2)


def oracle(dual, gram, sigma_w, sigma_b, depth, factor, constant):
    """The recursions entry by entry, 40 digits."""
    n = len(gram)
    with mpmath.workdps(40):
        w, b = mpmath.mpf(sigma_w) ** 2, mpmath.mpf(sigma_b) ** 2
        K = [[mpmath.mpf(float(g)) for g in row] for row in gram]
        theta = [[factor * K[i][j] + constant for j in range(n)] for i in range(n)]
        for _ in range(depth):
            S = [[w * K[i][j] + b for j in range(n)] for i in range(n)]
            pairs = [[dual(S[i][i], S[j][j], S[i][j]) for j in range(n)] for i in range(n)]
            K = [[pairs[i][j][0] for j in range(n)] for i in range(n)]
            theta = [
                [factor * K[i][j] + constant + w * pairs[i][j][1] * theta[i][j] for j in range(n)] for i in range(n)
            ]
        nngp = [[w * K[i][j] + b for j in range(n)] for i in range(n)]
        return np.array(nngp, dtype=float), np.array(theta, dtype=float)


@pytest.mark.parametrize(("phi", "dual"), [("relu", arc_cosine), ("erf", arc_sine)])
@pytest.mark.parametrize("depth", [1, 6])
def test_closed_form_recursions(phi, dual, depth):
    gram = gram_of(5)
    found = mf.ntk(phi, gram, SIGMA_W, SIGMA_B, depth=depth)
    nngp, theta = oracle(dual, gram, SIGMA_W, SIGMA_B, depth, mpmath.mpf(SIGMA_W) ** 2, mpmath.mpf(SIGMA_B) ** 2)
    assert (np.abs(found.nngp - nngp) <= found.errors["nngp"]).all()
    assert (np.abs(found.theta - theta) <= found.errors["theta"]).all()
    assert found.errors["theta"].max() <= 1e-10 * theta.max()
    standard = mf.ntk(phi, gram, SIGMA_W, SIGMA_B, depth=depth, parameterization="standard", width=30)
    _, theta = oracle(dual, gram, SIGMA_W, SIGMA_B, depth, mpmath.mpf(30), mpmath.mpf(1))
    assert (np.abs(standard.theta - theta) <= standard.errors["theta"]).all()


def test_a_callable_imitates_its_closed_form():
    """Quadrature in every layer against the hooks."""
    imitation = mf.Nonlinearity.from_callable(
        lambda x: np.maximum(x, 0.0), lambda x: (x > 0).astype(float), kinks=(0.0,), name="my_relu"
    )
    gram = gram_of(3)
    hooks, numeric = (mf.ntk(phi, gram, SIGMA_W, SIGMA_B, depth=3) for phi in ("relu", imitation))
    assert (np.abs(hooks.theta - numeric.theta) <= hooks.errors["theta"] + numeric.errors["theta"]).all()


def test_linear_networks_are_exact():
    gram, depth = gram_of(4), 5
    found = mf.ntk("linear", gram, 1.0, 0.0, depth=depth)
    np.testing.assert_allclose(found.nngp, gram, atol=1e-14)
    np.testing.assert_allclose(found.theta, (depth + 1) * gram, atol=1e-13)


def empirical(width, networks, gram, depth, phi="tanh"):
    """Tangent kernels of finite networks in the standard parameterisation, per width; the inputs have this Gram."""
    n = len(gram)
    phi = mf.as_nonlinearity(phi)
    dimension = n
    X = np.linalg.cholesky(gram * dimension)
    kernels = []
    for seed in range(networks):
        rng = np.random.default_rng((width, seed))
        sizes = [dimension, *[width] * depth, 1]
        layers = [
            (SIGMA_W / math.sqrt(a) * rng.standard_normal((b, a)), SIGMA_B * rng.standard_normal(b))
            for a, b in itertools.pairwise(sizes)
        ]
        kernels.append(n * fisher_gram(layers, phi, X))
    return np.array(kernels)


def test_simulated_networks():
    """Tangent kernels of finite networks, at infinite width, within 4 standard errors; a wrong theory is not."""
    gram, depth = gram_of(3) + 0.5 * np.eye(3), 2

    def standard_errors(sigma_w):
        """How far the simulation, made at SIGMA_W, is from the theory at sigma_w."""
        deviations = {}
        for width, samples in simulated.items():
            profile = [3, width, width]
            theory = mf.ntk("tanh", gram, sigma_w, SIGMA_B, depth=depth, parameterization="standard", width=profile)
            deviations[width] = (samples - theory.theta) / theory.theta[0, 0]
        limit = extrapolate(deviations)
        return np.abs(limit.value) / limit.standard_error

    simulated = {width: empirical(width, 200, gram, depth) for width in (50, 100, 200)}
    assert standard_errors(SIGMA_W).max() <= 4
    assert standard_errors(1.05 * SIGMA_W).max() > 6


@pytest.mark.parametrize(("phi", "sigma_b", "ratio"), [("tanh", 0.3, 1 / 3), ("erf", 0.2, 1 / 3), ("relu", 0.0, 1 / 4)])
def test_depth_limit_at_criticality(phi, sigma_b, ratio):
    """The condition number of two inputs tells theta(x, x')/theta(x, x); 200 layers are near the limit."""
    point = mf.critical_point(phi, sigma_b=sigma_b)
    limit = mf.ntk_limit(phi, point.sigma_w, point.sigma_b)
    assert limit.phase == "critical"
    assert abs(limit.ratio - ratio) <= 1e-15
    norm = 1.0 if phi == "relu" else (point.q_star - point.sigma_b**2) / point.sigma_w**2
    gram = norm * np.array([[1.0, 0.3], [0.3, 1.0]])
    condition = mf.ntk(phi, gram, point.sigma_w, point.sigma_b, depth=200).theta_condition
    assert condition.shape == (200,)
    ratios = (condition - 1) / (condition + 1)
    assert abs(ratios[-1] - ratio) <= 0.02 <= abs(ratios[0] - ratio)
    assert abs(condition[-1] / limit.condition_number(2) - 1) <= 0.05


def test_limits_beyond_criticality():
    ordered, chaotic = mf.ntk_limit("tanh", 0.8, 0.3), mf.ntk_limit("tanh", 2.5, 0.3)
    assert (ordered.ratio, ordered.condition_number(5)) == (1.0, math.inf)
    assert (chaotic.ratio, chaotic.condition_number(5)) == (0.0, 1.0)
    gram = np.array([[1.0, 0.3], [0.3, 1.0]])
    assert mf.ntk("tanh", gram, 0.8, 0.3, depth=40).theta_condition[-1] > 1e4
    assert mf.ntk("tanh", gram, 2.5, 0.3, depth=40).theta_condition[-1] < 1.01
    assert math.isnan(mf.ntk_limit("linear", 1.0, 0.0).ratio)
    with pytest.raises(mf.NonlinearityError, match="shrink to 0"):
        mf.ntk_limit("tanh", 0.9, 0.0)


def test_lengths_equal_up_to_rounding_are_one():
    directions = np.random.default_rng(1).standard_normal((6, 9))
    directions /= np.linalg.norm(directions, axis=1)[:, None]
    kernels = layer_kernels("tanh", directions @ directions.T, 1.2, 0.1, depth=3)
    for covariance in kernels.covariances[1:]:
        assert np.ptp(np.diagonal(covariance)) == 0


def test_inputs_may_vanish_or_coincide():
    gram = np.array([[0.0, 0.0, 0.0], [0.0, 1.0, 1.0], [0.0, 1.0, 1.0]])
    found = mf.ntk("erf", gram, SIGMA_W, SIGMA_B, depth=2)
    assert np.isfinite(found.theta).all()
    assert found.theta[1, 1] == found.theta[1, 2]
    assert np.isinf(found.theta_condition).all()


@pytest.mark.parametrize(
    ("gram", "options", "part"),
    [
        (np.ones((2, 3)), {}, "square matrix"),
        ([[1.0, 0.5], [0.4, 1.0]], {}, "symmetric"),
        ([[1.0, 2.0], [2.0, 1.0]], {}, "positive semi-definite"),
        ([[1.0]], {"parameterization": "lazy"}, "parameterization must be one of"),
        ([[1.0]], {"parameterization": "standard"}, "width must be given"),
        ([[1.0]], {"width": 10}, "width must be given"),
        ([[1.0]], {"parameterization": "standard", "width": [3, 4]}, "one for the input and each of 2"),
    ],
)
def test_bad_arguments(gram, options, part):
    with pytest.raises(mf.InvalidParameterError, match=part):
        mf.ntk("tanh", gram, 1.0, 0.1, depth=2, **options)


def test_layer_widths():
    assert layer_widths(7, 2).tolist() == [7, 7, 7]
    assert layer_widths((5, 6, 7), 2).tolist() == [5, 6, 7]
    with pytest.raises(mf.InvalidParameterError, match="must be >= 1"):
        layer_widths(0, 2)


@pytest.mark.filterwarnings("error")
def test_correlations_of_very_short_vectors():
    """ReLU knows no scale: 70 layers that end at lengths of 1e-304 have the slopes of 70 that keep theirs."""
    gram = [[0.5, 0.25], [0.25, 0.5]]
    short, kept = (layer_kernels("relu", gram, sigma_w, 0.0, depth=70) for sigma_w in (0.01, 2**0.5))
    assert 0 < short.covariances[-1, 0, 0] < 1e-300
    doubt = short.errors["slopes"] + kept.errors["slopes"]
    assert (np.abs(short.slopes - kept.slopes) <= doubt).all()
    assert doubt.max() <= 1e-10
