"""Bounds through the Jacobian: edges of rectangular products, the theorem's branches, and where each bound holds."""

import math

import numpy as np
import pytest

import meanfield as mf
from meanfield.jacobian import jacobian_spectrum
from meanfield.readout_spectra import output_jacobian_norms
from tests.layerwise_ratios import Q_STARS, ratios

LINEAR, RELU, TANH = (mf.as_nonlinearity(name) for name in ("linear", "relu", "tanh"))
SETTING = {"depth": 10, "width": 128, "samples": 60, "outputs": 10, "weights": "orthogonal"}


def critical(q_star):
    point = mf.critical_point("tanh", q_star=q_star)
    return point.sigma_w, point.sigma_b


def test_square_linear_gaussian_products():
    """lambda_max = (n + 1)^{n + 1}/n^n for n factors."""
    found, error = output_jacobian_norms(LINEAR, 1.0, np.ones(10), aspect=1.0)
    n = np.arange(10, 0, -1.0)
    assert (np.abs(found - np.sqrt((n + 1) ** (n + 1) / n**n)) <= error).all()
    assert (error <= 1e-4 * found).all()


@pytest.mark.parametrize("aspect", [0.0, 0.05, 0.7, 3.0])
def test_one_gaussian_factor_is_marchenko_pastur(aspect):
    found, error = output_jacobian_norms(LINEAR, 1.3, np.ones(1), aspect=aspect)
    assert abs(found[0] - 1.3 * (1 + math.sqrt(aspect))) <= error[0] + 2e-6


@pytest.mark.parametrize("q", [1e8, 1e16, 1e18])
def test_long_vectors(q):
    """One output of one layer: sigma_max^2 = sigma_w^2 E phi'^2, and E sech^4 = 4/(3 sqrt(2 pi q)) for large q."""
    found, error = output_jacobian_norms(TANH, 1.3, np.array([q]), aspect=0.0)
    assert abs(found[0] / (1.3 * math.sqrt(4 / 3 / math.sqrt(2 * math.pi * q))) - 1) <= 1e-8
    assert error[0] <= 1e-6 * found[0]


def test_vectors_too_long_are_refused():
    with pytest.raises(mf.InvalidParameterError, match=r"q must be smaller .*, got 1e\+30"):
        output_jacobian_norms(TANH, 1.3, np.array([1e30]), aspect=0.1)
    found, _ = output_jacobian_norms(RELU, 1.3, np.array([1e30]), aspect=0.0)
    assert abs(found[0] - 1.3 * math.sqrt(0.5)) <= 1e-8


def test_vectors_of_no_length():
    """What falls below double precision has the slopes of short vectors."""
    for phi in (RELU, TANH):
        (none, _), (short, error) = (output_jacobian_norms(phi, 0.5, np.full(2, q), aspect=0.1) for q in (0.0, 1e-30))
        assert (np.abs(none - short) <= error).all()


def test_linear_orthogonal_products_keep_lengths():
    found, _ = output_jacobian_norms(LINEAR, 1.0, np.ones(5), aspect=0.1, weights="orthogonal")
    np.testing.assert_allclose(found, 1.0, atol=1e-8)
    expanding, _ = output_jacobian_norms(LINEAR, 1.0, np.ones(5), aspect=4.0, weights="orthogonal")
    np.testing.assert_allclose(expanding, 2.0, atol=1e-8)


def test_relu_orthogonal_products():
    """Two-valued slopes: L^L/(L - 1)^{L - 1} at p = 1/2, an atom at 2 for L = 1."""
    found, error = output_jacobian_norms(RELU, math.sqrt(2), np.ones(6), aspect=1.0, weights="orthogonal")
    L = np.arange(6, 1, -1.0)
    assert (np.abs(found[:-1] ** 2 - L**L / (L - 1) ** (L - 1)) <= 2 * found[:-1] * error[:-1] + 1e-6).all()
    assert abs(found[-1] ** 2 - 2) <= 1e-9


@pytest.mark.parametrize(
    ("q_star", "lambda_max"), [(1e-4, 1.0073), (9.2328e-4, 1.0688), (1 / 64, 2.5948), (0.5, 163.7), (8.0, 1498.7)]
)
def test_square_tanh_products(q_star, lambda_max):
    sigma_w, _ = critical(q_star)
    found, error = output_jacobian_norms(TANH, sigma_w, np.full(200, q_star), aspect=1.0, weights="orthogonal")
    assert abs(found[0] ** 2 - lambda_max) <= 0.5 * 10 ** -(4 if lambda_max < 100 else 1) + 2 * found[0] * error[0]


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
@pytest.mark.parametrize("phi", ["tanh", "gelu"])
def test_the_edge_is_that_of_the_whole_spectrum(phi, weights):
    """The Jacobian's own solver. It has W^a more than J_a, which for a huge input is sigma_w times an isometry."""
    q_star = mf.fixed_point(phi, 1.2, 0.3).q_star
    found, error = output_jacobian_norms(mf.as_nonlinearity(phi), 1.2, np.full(6, q_star), aspect=0.1, weights=weights)
    for layer in (0, 3):
        # Its read-out has variance 1/width.
        spectrum = jacobian_spectrum(
            phi, 1.2, 0.3, depth=6 - layer, weights=weights, input_aspect=1e-9, output_aspect=0.1
        )
        assert abs(found[layer] / math.sqrt(spectrum.lambda_max) - 1) <= error[layer] / found[layer] + 1e-4


def test_rectangular_products_against_matrices():
    """Width 600, 60 read-outs: sigma_max of J_a within the 5 % that finite width leaves, Gaussian and orthogonal."""
    rng = np.random.default_rng(2)
    N, C, depth, q = 600, 60, 3, 0.5
    sigma_w, _ = critical(q)
    for weights in ("gaussian", "orthogonal"):
        found, _ = output_jacobian_norms(TANH, sigma_w, np.full(depth, q), aspect=C / N, weights=weights)
        law = mf.weights.ensemble(weights)
        J = law.sample(rng, C, N, sigma_w) * TANH.derivative(math.sqrt(q) * rng.standard_normal(N))
        for layer in range(depth - 1, -1, -1):
            assert abs(np.linalg.norm(J, 2) / found[layer] - 1) <= 0.05
            J = J @ law.sample(rng, N, N, sigma_w) * TANH.derivative(math.sqrt(q) * rng.standard_normal(N))


def test_many_lengths_are_gathered():
    """A hundred different lengths, sorted into twelve groups, against the same lengths in groups of equal ones."""
    q = np.linspace(0.5, 0.6, 100)
    found, _ = output_jacobian_norms(TANH, 1.1, q, aspect=0.1)
    exact, _ = output_jacobian_norms(TANH, 1.1, np.repeat(q.reshape(10, 10).mean(axis=1), 10), aspect=0.1)
    np.testing.assert_allclose(found[0], exact[0], rtol=2e-3)


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_a_dead_zone_passes_nothing(weights):
    softshrink = mf.as_nonlinearity("softshrink")  # flat over ten standard deviations of these lengths
    found, error = output_jacobian_norms(softshrink, 1.0, np.full(4, 0.0025), aspect=0.1, weights=weights)
    assert (found == 0).all()
    assert (error == 0).all()
    bound = mf.fisher_bound("softshrink", 1.0, 0.05, depth=4, width=100, samples=20, input_norm=1e-3)
    assert bound.layerwise >= 1  # the biases' own entry


def test_unbounded_slopes_are_refused():
    with pytest.raises(mf.NonlinearityError, match="no edge"):
        output_jacobian_norms(mf.as_nonlinearity("x**2/2+x"), 1.0, np.ones(2), aspect=0.1)


def bound(q_star, overlap, **change):
    options = {**SETTING, "input_norm": mf.moments("tanh", q_star).V, "overlap": overlap, **change}
    return mf.fisher_bound("tanh", *critical(q_star), **options)


def test_the_theorem_by_its_own_formula():
    """Both branches, from the parts that the result carries."""
    for q_star, overlap in ((1e-4, 0.5), (8.0, 0.0)):
        found = bound(q_star, overlap)
        s, m = found.jacobian, found.mean_input
        norm, c = mf.moments("tanh", q_star).V, overlap
        assert abs(m - math.sqrt(128 * norm * (c + (1 - c) / 60))) <= 1e-12 * m
        if m <= 1:
            paper = s[0] * (s[0] * (1 + m) + s[1:].sum())
        else:
            # Inputs without overlap are white: lambda_max of their second moment is Marchenko and Pastur's.
            raw = norm * (1 + math.sqrt(128 / 60)) ** 2
            paper = s[0] * (s[0] * (raw + m) + m * s[1:].sum())
        assert abs(found.paper / paper - 1) <= 1e-12
        assert s[-1] == 1
        assert found.odd


@pytest.mark.parametrize("overlap", [0.0, 0.5])
@pytest.mark.parametrize("q_star", Q_STARS)
def test_simulated_networks(q_star, overlap):
    """The layerwise bound holds for each network, its mean-field value is near at small q*, the theorem is flagged."""
    found, theory, tops = ratios(q_star, overlap, "linear", 2)
    assert (found >= 1 - 1e-10).all()
    if q_star <= 1 / 64:
        assert found.max() <= 1.05
        assert abs(theory.layerwise / tops.mean() - 1) <= 0.25
    assert theory.covered <= (theory.paper >= tops.max())
    assert theory.regime == ("signal" if q_star >= 0.5 else "bias")


def test_softmax_outputs():
    found, theory, tops = ratios(1 / 64, 0.5, "softmax", 2)
    assert (found >= 1 - 1e-10).all()
    assert 0.9 <= theory.layerwise / tops.mean() <= 1.5
    assert abs(theory.output_curvature - 0.1187) <= 1e-3


def test_regimes():
    assert bound(1e-4, 0.0).covered
    assert not bound(0.5, 0.0).covered
    assert bound(0.5, 0.5).signal.max() > 1 > bound(1e-4, 0.5).signal.max()
    relu = mf.fisher_bound("relu", math.sqrt(2), 0.0, **SETTING)
    assert not relu.odd
    assert relu.scope == "phi is not odd: outside its assumptions; below the layerwise bound"
    holds = bound(1e-4, 0.0)
    assert holds.scope == holds.scope_beside(holds.paper) == "at least the layerwise bound"
    means = "activations have means over the inputs: outside its assumptions; below the"
    assert holds.scope_beside(1.01 * holds.paper) == f"{means} measured value"
    assert bound(0.5, 0.0).scope == f"{means} layerwise bound"
    shrinking = mf.fisher_bound("tanh", 0.5, 0.1, **SETTING)
    assert shrinking.scope.startswith("gradients vanish towards the first layer: outside its assumptions; below")


def test_second_moments_of_features():
    """The spiked covariance of the layers' inputs, against inputs drawn from it; below its threshold too."""
    rng = np.random.default_rng(0)
    for width, samples, norm, overlap in ((200, 100, 0.5, 0.3), (400, 50, 0.02, 0.0), (100, 1000, 4.0, 0.0)):
        found = mf.fisher_bound(
            "linear", 1.0, 0.0, depth=1, width=width, samples=samples, input_norm=norm, overlap=overlap
        ).features[0]
        draws = rng.standard_normal((samples + 1, width))
        x = math.sqrt(norm) * (math.sqrt(overlap) * draws[0] + math.sqrt(1 - overlap) * draws[1:])
        x = np.concatenate([x, np.ones((samples, 1))], axis=1)
        assert abs(np.linalg.norm(x, 2) ** 2 / samples / found - 1) <= 0.12


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"width": [64, 100, 120]}, "same for all hidden layers"),
        ({"overlap": -0.01}, "overlap must be in"),
        ({"weights": "haar"}, "weights must be one of"),
        ({"output": "softmax", "outputs": 1}, "outputs must be >= 2"),
        ({"samples": 0}, "samples must be >= 1"),
    ],
)
def test_bad_arguments(change, part):
    options = {"depth": 2, "width": 100, "samples": 10, **change}
    with pytest.raises(mf.InvalidParameterError, match=part):
        mf.fisher_bound("tanh", 1.1, 0.1, **options)
