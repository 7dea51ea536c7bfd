"""Weights seen through products: identities that hold for each matrix, and one law for both methods."""

import numpy as np
import pytest
from scipy import stats

import meanfield as mf
from meanfield.weights import ensemble
from verify.kernels import Normals
from verify.networks import METHODS, NetworkLaw, RandomNetwork, frame

WEIGHTS = ("gaussian", "orthogonal")
KINDS = [pytest.param(METHODS[method][weights], id=f"{method}-{weights}") for method in METHODS for weights in WEIGHTS]
SIGMA_W = 1.7
TANH = mf.Nonlinearity.from_callable(np.tanh, lambda x: 1 - np.tanh(x) ** 2, name="tanh")


def seed(number):
    return np.random.SeedSequence(number)


def signals(width, count, number=0):
    return np.random.default_rng(number).standard_normal((width, count))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [1, 3])
def test_forward_and_backward_belong_to_one_matrix(kind, count):
    """D^T (W X) = (W^T D)^T X, with a column of D that depends on another."""
    X, D = signals(30, count), signals(30, count, 1)
    D[:, -1] = 2 * D[:, 0]
    weights = kind(seed(1), 30, SIGMA_W)
    image = weights.forward(X)
    gradient = weights.backward(D)
    scale = np.abs(image).max() * np.abs(D).sum()
    assert np.abs(D.T @ image - gradient.T @ X).max() <= 1e-13 * scale
    assert np.abs(gradient[:, -1] - (2 if count > 1 else 1) * gradient[:, 0]).max() <= 1e-12


@pytest.mark.parametrize("kind", KINDS)
def test_products_are_linear_in_the_signals(kind):
    """Dependent columns too: W (x, 2 x, y)."""
    X = signals(25, 2)
    image = kind(seed(2), 25, SIGMA_W).forward(np.column_stack([X[:, 0], 2 * X[:, 0], X[:, 1]]))
    assert np.abs(image[:, 1] - 2 * image[:, 0]).max() <= 1e-12


@pytest.mark.parametrize("method", METHODS)
def test_orthogonal_weights_keep_lengths_and_angles(method):
    X, D = signals(30, 3), signals(30, 2, 1)
    weights = METHODS[method]["orthogonal"](seed(3), 30, SIGMA_W)
    image, gradient = weights.forward(X), weights.backward(D)
    assert np.abs(image.T @ image - SIGMA_W**2 * X.T @ X).max() <= 1e-12 * np.abs(X.T @ X).max()
    assert np.abs(gradient.T @ gradient - SIGMA_W**2 * D.T @ D).max() <= 1e-12 * np.abs(D.T @ D).max()


def statistics(weights, X, D):
    """Numbers that see the joint law of W X and W^T D."""
    image = weights.forward(X)
    gradient = weights.backward(D)
    return [
        image[0, 0],
        image[:, 0] @ image[:, 0],
        image[:, 0] @ image[:, 1],
        X[:, 0] @ image[:, 1],
        gradient[0, 0],
        gradient[:, 0] @ gradient[:, 0],
        gradient[:, 0] @ gradient[:, 1],
        D[:, 0] @ image[:, 0],
        gradient[:, 1] @ np.tanh(image[:, 1]),
        np.sum(gradient[:5, 0] ** 4),
    ]


class Drawn:
    """A whole matrix from `meanfield.weights`, the plain way."""

    def __init__(self, weights, number, width):
        self.matrix = ensemble(weights).sample(np.random.default_rng(number), width, width, SIGMA_W)

    def forward(self, X):
        return self.matrix @ X

    def backward(self, D):
        return self.matrix.T @ D


@pytest.fixture(scope="module")
def plain():
    """Statistics of 800 plainly drawn matrices of each ensemble, beside the signals they have seen."""
    X, D = signals(12, 2), signals(12, 2, 1)
    drawn = {w: np.array([statistics(Drawn(w, k, 12), X, D) for k in range(800)]) for w in WEIGHTS}
    return X, D, drawn


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("method", METHODS)
def test_both_methods_have_the_law_of_the_matrix(plain, method, weights):
    """Two-sample Kolmogorov-Smirnov on every statistic, and equal correlations between them."""
    X, D, drawn = plain
    kind = METHODS[method][weights]
    found = np.array([statistics(kind(seed(k), 12, SIGMA_W), X, D) for k in range(800)])
    for column in range(found.shape[1]):
        if np.ptp(drawn[weights][:, column]) > 1e-9:
            assert stats.ks_2samp(found[:, column], drawn[weights][:, column]).pvalue > 1e-3
    random = np.ptp(found, axis=0) > 1e-9
    between = np.corrcoef(found[:, random].T) - np.corrcoef(drawn[weights][:, random].T)
    assert np.abs(between).max() <= 4.5 * np.sqrt(2 / 800)


def test_that_test_sees_the_other_ensemble_and_another_scale(plain):
    X, D, drawn = plain
    found = np.array([statistics(METHODS["sampled"]["gaussian"](seed(k), 12, SIGMA_W), X, D) for k in range(800)])
    assert stats.ks_2samp(found[:, 1], drawn["orthogonal"][:, 1]).pvalue < 1e-6
    assert stats.ks_2samp(1.1**2 * found[:, 1], drawn["gaussian"][:, 1]).pvalue < 1e-3


@pytest.mark.parametrize(("width", "count"), [(5, 1), (5, 3), (5, 5)])
def test_frames_are_orthonormal(width, count):
    columns = frame(Normals(seed(4)), width, count)
    assert columns.shape == (width, count)
    assert np.abs(columns.T @ columns - np.eye(count)).max() <= 1e-14


def test_frames_are_uniform():
    """Every entry has mean 0 and mean square 1/width, which a raw QR has not."""
    normals = Normals(seed(5))
    draws = np.array([frame(normals, 6, 3) for _ in range(4000)])
    assert np.abs(draws.mean(axis=0)).max() <= 4.5 / np.sqrt(6 * 4000)
    assert np.abs((draws**2).mean(axis=0) - 1 / 6).max() <= 4.5 * (draws**2).std() / np.sqrt(4000)


@pytest.mark.parametrize("method", METHODS)
def test_a_seed_is_a_network(method):
    law = NetworkLaw(phi=TANH, sigma_w=1.5, sigma_b=0.3, depth=2, method=method)
    H = signals(20, 2)
    first, again, other = (RandomNetwork(law, 20, seed(k)).next_layer(1, H) for k in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.isclose(first, other).any()


@pytest.mark.parametrize("weights", WEIGHTS)
def test_a_layer_is_what_it_says(weights):
    """h^2 = W phi(h^1) + b with the same b for every input, and the gradient below it phi'(h^1) W^T d."""
    law = NetworkLaw(phi=TANH, sigma_w=1.5, sigma_b=0.3, depth=1, weights=weights)
    without = NetworkLaw(phi=TANH, sigma_w=1.5, sigma_b=0.0, depth=1, weights=weights)
    H, D = signals(20, 2), signals(20, 2, 1)
    network, unbiased = RandomNetwork(law, 20, seed(1)), RandomNetwork(without, 20, seed(1))
    image = unbiased.next_layer(1, H)
    bias = network.next_layer(1, H) - image
    assert np.abs(bias[:, 0] - bias[:, 1]).max() <= 1e-14
    assert 0.1 <= bias[:, 0].std() <= 0.6
    gradients = network.gradients_below(1, H, D)
    assert np.abs((gradients / (1 - np.tanh(H) ** 2)).T @ np.tanh(H) - D.T @ image).max() <= 1e-11


def test_unknown_weights_are_refused():
    with pytest.raises(mf.InvalidParameterError, match="weights must be one of"):
        NetworkLaw(phi=TANH, sigma_w=1.0, sigma_b=0.0, depth=1, weights="unitary")
