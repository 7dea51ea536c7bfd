"""Measured Jacobian spectra: exact on given matrices, exact in law, and the same for whoever computes them."""

import math
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import mpmath
import numpy as np
import pytest

import meanfield as mf
import verify
from verify.kernels import Normals
from verify.networks import NetworkLaw, children
from verify.spectra.krylov import RevealedJacobian, largest, moments
from verify.spectra.products import JacobianSetting, _HaarProduct, jacobian, log_spectrum
from verify.spectra.revealed import REVEALED

WEIGHTS = ("gaussian", "orthogonal")


def seed(*words):
    return np.random.SeedSequence(words)


def setting(phi, sigma_w, sigma_b, depth, weights, q0, lengths="free"):
    law = NetworkLaw(phi=mf.as_nonlinearity(phi), sigma_w=sigma_w, sigma_b=sigma_b, depth=depth, weights=weights)
    return JacobianSetting(law=law, q0=q0, lengths=lengths)


def t_value(values, expected):
    return (np.mean(values) - expected) / (np.std(values, ddof=1) / math.sqrt(len(values)))


# The explicit product of a network.


def layer_matrix(weights, child, width, sigma_w):
    if weights == "gaussian":
        return sigma_w / math.sqrt(width) * Normals(child).standard_normal((width, width))
    product = _HaarProduct(width, 1.0)
    product.multiply(child)
    return sigma_w * product.columns[:, :-1]


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("lengths", ["free", "reset"])
def test_the_product_is_the_jacobian_of_its_network(weights, lengths):
    """The same matrices, multiplied one by one, and central differences of the network they make."""
    width, depth, sigma_w, sigma_b, q0 = 9, 3, 1.4, 0.3, 0.7
    given = setting("tanh", sigma_w, sigma_b, depth, weights, q0, lengths)
    _, bias_seed, *layers = children(seed(3), 2 + depth)
    matrices = [layer_matrix(weights, child, width, sigma_w) for child in layers]
    normals = Normals(bias_seed)
    biases = [sigma_b * normals.standard_normal(width) for _ in range(depth - 1)]
    h = given.first(width, children(seed(3), 1)[0])
    assert abs(h @ h / width - q0) <= 1e-13
    expected = np.eye(width)
    for number, W in enumerate(matrices):
        if number:
            h = W @ np.tanh(h) + biases[number - 1]
            if lengths == "reset":
                h *= math.sqrt(width * q0 / (h @ h))
        expected = (1 - np.tanh(h) ** 2)[:, None] * (W @ expected)
    assert np.abs(jacobian(given, width, seed(3)) - expected).max() <= 1e-13


def trace_t(matrices):
    """t-value of the trace, whose mean is 0 and variance 1 for Haar matrices."""
    traces = np.trace(matrices, axis1=1, axis2=2)
    return float(traces.mean() * math.sqrt(len(traces)))


def test_reflectors_multiply_to_haar_matrices_and_a_raw_qr_does_not():
    size, count = 6, 2000
    draws = []
    for number in range(count):
        product = _HaarProduct(size, 1.0)
        product.multiply(seed(7, number))
        draws.append(product.columns[:, :-1].copy())
    draws = np.array(draws)
    assert np.abs(draws @ draws.transpose(0, 2, 1) - np.eye(size)).max() <= 1e-13
    assert abs(trace_t(draws)) <= 4.5
    for values, expected in [
        (np.trace(draws, axis1=1, axis2=2) ** 2, 1.0),
        (np.trace(draws @ draws, axis1=1, axis2=2), 1.0),
        (draws[:, 0, 0] ** 4, 3 / (size * (size + 2))),
        (draws[:, -1, 0] * draws[:, 0, -1], 0.0),
    ]:
        assert abs(t_value(values, expected)) <= 4.5
    raw = np.linalg.qr(np.random.default_rng(8).standard_normal((count, size, size)))[0]
    assert abs(trace_t(raw)) > 15


# Three ways to the same law.


def gaussian_moments(width, depth):
    """E tr(J J^T)/width and E tr((J J^T)^2)/width of a product of real Gaussian matrices, by Wick's theorem."""
    square_of_trace, trace_of_square = float(width) ** 2, float(width)
    for _ in range(depth):
        square_of_trace, trace_of_square = (
            square_of_trace + 2 * trace_of_square / width,
            square_of_trace / width + (1 + 1 / width) * trace_of_square,
        )
    return 1.0, trace_of_square / width


WAYS = {
    "product": lambda given, width, own: np.linalg.svd(jacobian(given, width, own), compute_uv=False) ** 2,
    "qr": lambda given, width, own: np.exp(2 * log_spectrum(given, width, own)),
}


@pytest.mark.parametrize("way", [*WAYS, "products alone"])
def test_linear_gaussian_networks_have_their_exact_moments(way):
    width, depth, count = 6, 2, 800
    given = setting("linear", 1.0, 0.4, depth, "gaussian", 1.0)
    found = []
    for number in range(count):
        own = seed(9, number)
        if way == "products alone":
            found.append(moments(RevealedJacobian(given, width, own), 2))
        else:
            eigenvalues = WAYS[way](given, width, own)
            found.append([eigenvalues.mean(), (eigenvalues**2).mean()])
    for values, expected in zip(np.array(found).T, gaussian_moments(width, depth), strict=True):
        assert abs(t_value(values, expected)) <= 4.5


@pytest.mark.parametrize(
    ("phi", "sigma_w", "q0", "weights"),
    [("tanh", 1.4, 0.8, "orthogonal"), ("relu", 1.4, 1.0, "gaussian"), ("hard_tanh", 1.3, 0.5, "orthogonal")],
)
def test_all_ways_have_one_law(phi, sigma_w, q0, weights):
    width, depth, count = 9, 2, 250
    given = setting(phi, sigma_w, 0.2, depth, weights, q0)
    statistics = {
        way: np.array([_statistics(spectrum(given, width, seed(10, len(way), number))) for number in range(count)])
        for way, spectrum in WAYS.items()
    }
    statistics["top"] = np.array(
        [[largest(RevealedJacobian(given, width, seed(11, n)), tolerance=1e-8)[0]] for n in range(count)]
    )
    reference = statistics["product"]
    for way in ("qr", "top"):
        other = statistics[way]
        for column in range(other.shape[1]):
            first, second = reference[:, column], other[:, column]
            spread = math.sqrt((first.var(ddof=1) + second.var(ddof=1)) / count)
            assert abs(first.mean() - second.mean()) <= 4.5 * spread + 1e-13


def _statistics(eigenvalues):
    ordered = np.sort(eigenvalues)[::-1]
    return [ordered[0], ordered.mean(), (ordered**2).mean(), ordered[4], np.mean(ordered > 1e-20)]


def test_e_ln_sigma_needs_the_small_singular_values():
    """E ln |det| of a Gaussian matrix is a sum of E ln chi, exactly."""
    width, depth, count = 12, 40, 30
    given = setting("linear", 1.0, 0.0, depth, "gaussian", 1.0)
    means = [log_spectrum(given, width, seed(12, number)).mean() for number in range(count)]
    log_chi = [0.5 * float(mpmath.digamma(k / 2) + mpmath.log(2)) for k in range(1, width + 1)]
    expected = depth * (np.mean(log_chi) - 0.5 * math.log(width))
    assert abs(t_value(means, expected)) <= 4.5
    plain = np.log(np.linalg.svd(jacobian(given, width, seed(12, 0)), compute_uv=False)).mean()
    assert abs(plain - means[0]) > 1.0


# Matrices revealed along the directions asked for.


@pytest.mark.parametrize("weights", WEIGHTS)
def test_a_revealed_matrix_is_one_matrix(weights):
    """Whatever is asked in whatever order, the answers are those of one and the same matrix."""
    width, rng = 8, np.random.default_rng(13)
    W = REVEALED[weights](seed(13), width, 1.7)
    asked = []
    for step in range(30):
        x = rng.standard_normal(width)
        asked.append((x, W.forward(x), None) if step % 3 else (x, None, W.backward(x)))
    dense = np.array([W.forward(column) for column in np.eye(width)]).T
    for x, image, pulled in asked:
        if image is not None:
            assert np.abs(dense @ x - image).max() <= 1e-12
        else:
            assert np.abs(dense.T @ x - pulled).max() <= 1e-12
    if weights == "orthogonal":
        assert np.abs(dense @ dense.T - 1.7**2 * np.eye(width)).max() <= 1e-12


@pytest.mark.parametrize("weights", WEIGHTS)
def test_a_revealed_matrix_has_its_law_whatever_is_asked(weights):
    """Questions that follow from earlier answers, as those of Lanczos do."""
    width, count = 4, 1500
    draws = np.empty((count, width, width))
    for number in range(count):
        W = REVEALED[weights](seed(14, number), width, 1.0)
        v = W.forward(np.array([1.0, 0.0, 0.0, 0.0]))
        u = W.backward(np.tanh(v))
        v = W.forward(u * np.abs(u))
        W.backward(v - v.mean())
        draws[number] = np.array([W.forward(column) for column in np.eye(width)]).T
    entries = draws.reshape(count, -1)
    correlations = entries.T @ entries / count * width
    assert np.abs(correlations - np.eye(width**2)).max() <= 5.5 * math.sqrt(2 / count)
    fourth = 3 / (width * (width + 2)) if weights == "orthogonal" else 3 / width**2
    for column in range(width**2):
        assert abs(t_value(entries[:, column], 0.0)) <= 4.5
        assert abs(t_value(entries[:, column] ** 4, fourth)) <= 4.5
    assert abs(t_value(np.linalg.det(draws), 0.0)) <= 4.5


@cache
def revealed(weights, phi="tanh"):
    """A Jacobian through its products, its largest eigenvalue, and the same Jacobian asked for whole afterwards."""
    J = RevealedJacobian(setting(phi, 1.3, 0.2, 4, weights, 0.6), 40, seed(15))
    found = largest(J, tolerance=1e-3)
    dense = np.array([J.forward(column) for column in np.eye(40)]).T
    return J, found, dense


@pytest.mark.parametrize("weights", WEIGHTS)
def test_the_residual_of_the_largest_eigenvalue_is_honest(weights):
    J, (value, residual), dense = revealed(weights)
    top = np.linalg.norm(dense, 2) ** 2
    assert 0 < residual <= 1e-3 * value
    assert abs(top - value) <= residual
    again, finer = largest(J, tolerance=1e-9)
    assert finer <= 1e-9 * again
    assert abs(top - again) <= max(finer, 1e-13 * top)


@pytest.mark.parametrize("weights", WEIGHTS)
def test_both_products_belong_to_one_jacobian(weights):
    J, _, dense = revealed(weights)
    for column in np.random.default_rng(16).standard_normal((5, 40)):
        assert np.abs(J.backward(column) - dense.T @ column).max() <= 1e-12


def test_moments_from_one_vector_are_unbiased():
    J, _, dense = revealed("orthogonal")
    eigenvalues = np.linalg.svd(dense, compute_uv=False) ** 2
    found = np.array([moments(J, 4) for _ in range(150)])
    for k in range(4):
        assert abs(t_value(found[:, k], np.mean(eigenvalues ** (k + 1)))) <= 4.5


def test_a_jacobian_that_is_zero_has_no_large_eigenvalue():
    J = RevealedJacobian(setting("relu(x-9)", 1.0, 0.0, 2, "gaussian", 1.0), 30, seed(17))
    assert largest(J) == (0.0, 0.0)
    assert np.all(moments(J, 3) == 0)


def test_lanczos_says_when_it_is_not_there():
    J = RevealedJacobian(setting("tanh", 1.3, 0.2, 4, "gaussian", 0.6), 200, seed(18))
    with pytest.raises(mf.ConvergenceError, match="after 3 steps"):
        largest(J, max_steps=3)


# What users call.

SMALL = {"width": 24, "depth": 4, "networks": 6, "weights": "orthogonal"}


@pytest.mark.parametrize("method", ["product", "qr"])
def test_the_bits_do_not_depend_on_who_computes(method):
    alone = verify.jacobian_singular_values("tanh", 1.2, 0.1, method=method, seed=3, **SMALL)
    assert alone.shape == (6, 24)
    assert np.all(np.diff(alone, axis=1) <= 0)
    with ThreadPoolExecutor(2) as pool:
        shared = verify.jacobian_singular_values("tanh", 1.2, 0.1, method=method, seed=3, executor=pool, **SMALL)
    assert np.array_equal(alone, shared)
    fewer = verify.jacobian_singular_values("tanh", 1.2, 0.1, method=method, seed=3, **{**SMALL, "networks": 2})
    assert np.array_equal(alone[:2], fewer)
    other = verify.jacobian_singular_values("tanh", 1.2, 0.1, method=method, seed=4, **SMALL)
    assert not np.array_equal(alone, other)


def test_without_q0_the_networks_are_at_the_fixed_point():
    point = mf.fixed_point("tanh", 1.6, 0.3)
    given = verify.jacobian_singular_values("tanh", 1.6, 0.3, q0=point.q_star, seed=1, **SMALL)
    assert np.array_equal(verify.jacobian_singular_values("tanh", 1.6, 0.3, seed=1, **SMALL), given)
    with pytest.raises(mf.NoFixedPointError):
        verify.jacobian_singular_values("relu", 1.6, 0.3, **SMALL)


def test_a_kink_at_a_length_of_zero_is_seen_from_both_sides():
    found = verify.jacobian_singular_values("relu", 1.0, 0.0, **{**SMALL, "depth": 1})
    assert 0.2 < np.mean(found > 0.5) < 0.8


def test_logarithms_have_no_range():
    deep = {**SMALL, "depth": 900, "networks": 1, "weights": "gaussian", "width": 8}
    with pytest.raises(mf.InvalidParameterError, match="depth must keep the Jacobian inside float64"):
        verify.jacobian_singular_values("linear", 3.0, 0.0, q0=1.0, **deep)
    with pytest.raises(mf.InvalidParameterError, match="depth must keep the Jacobian inside float64"):
        verify.jacobian_singular_values("linear", 0.3, 0.0, q0=1.0, **deep)
    logs = verify.jacobian_log_singular_values("linear", 3.0, 0.0, q0=1.0, **deep)
    assert logs.max() > 710
    scaled = verify.jacobian_log_singular_values("linear", 0.3, 0.0, q0=1.0, **deep)
    assert np.abs(scaled - logs - 900 * math.log(0.1)).max() <= 1e-9


def test_the_largest_eigenvalue_at_a_width_that_does_not_fit():
    found = verify.jacobian_lambda_max(
        "linear", 1.0, 0.0, width=20000, depth=2, networks=1, q0=1.0, weights="gaussian", tolerance=1e-3
    )
    assert np.all(found.residual <= 1e-3 * found.lambda_max)
    assert np.abs(found.lambda_max - 27 / 4).max() <= 0.05


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"width": 0}, "width must be >= 1"),
        ({"depth": 0}, "depth must be >= 1"),
        ({"depth": -2}, "depth must be >= 1"),
        ({"depth": 2.5}, "depth must be an integer"),
        ({"networks": 0}, "networks must be >= 1"),
        ({"width": True}, "width must be an integer"),
        ({"width": 10**6}, "6 networks of width 1000000 must fit into the machine's"),
        ({"width": 10**6, "method": "qr"}, "GB of memory, needs 1.04e\\+05 GB"),
        ({"networks": 10**11}, "must fit into the machine's"),
        ({"weights": "xavier"}, "weights must be one of 'gaussian', 'orthogonal', got 'xavier'"),
        ({"q0": -1.0}, "q0 must be >= 0"),
        ({"q0": math.nan}, "q0 must be finite"),
        ({"method": "svd"}, "method must be one of"),
        ({"lengths": "fixed"}, "lengths must be one of"),
        ({"seed": -1}, "seed must be >= 0"),
        ({"sigma_w": 0.0}, "sigma_w must be > 0"),
        ({"sigma_b": -0.1}, "sigma_b must be >= 0"),
        ({"executor": 3}, "executor must have a map method"),
    ],
)
def test_bad_input_is_named(change, rule):
    given = {"phi": "tanh", "sigma_w": 1.2, "sigma_b": 0.1, **SMALL, **change}
    with pytest.raises(mf.InvalidParameterError, match=rule):
        verify.jacobian_singular_values(**given)
