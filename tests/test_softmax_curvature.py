"""E lambda_max(diag(p) - p p^T): integrals for two and three classes, plain sampling, limits, honest errors."""

import math

import numpy as np
import pytest
from scipy import integrate

import meanfield as mf
from meanfield.softmax_curvature import probabilities, softmax_curvature, softmax_lambda_max, softmax_lambda_min
from meanfield.softmax_fisher import DRAWS, softmax_fisher


def hessians(p):
    return np.einsum("ti,ij->tij", p, np.eye(p.shape[1])) - p[:, :, None] * p[:, None, :]


def test_eigenvalues_without_matrices():
    rng = np.random.default_rng(0)
    for spread in (0.0, 0.3, 3.0, 30.0):
        p = probabilities(spread * rng.standard_normal((300, 7)))
        eigenvalues = np.linalg.eigvalsh(hessians(p))
        assert np.abs(softmax_lambda_max(p) - eigenvalues[:, -1]).max() <= 1e-7
        assert np.abs(softmax_lambda_min(p) - eigenvalues[:, 1]).max() <= 1e-7


@pytest.mark.parametrize("variance", [0.01, 1.0, 4.0, 256.0, 1e4])
def test_two_classes_are_one_integral(variance):
    """lambda_max = 2 p (1 - p), and the two logits differ by N(0, 2 variance)."""
    spread = math.sqrt(2 * variance)

    def density(t):
        return math.exp(-((t / spread) ** 2) / 2) / (spread * math.sqrt(2 * math.pi)) / (2 * math.cosh(t / 2) ** 2)

    value = 2 * integrate.quad(density, 0, min(40 * spread, 700), limit=200, points=[1, 5, 20])[0]
    found = softmax_curvature(2, variance)
    assert abs(found.value - value) <= found.error <= 2e-3 * value


@pytest.mark.parametrize("variance", [1.0, 25.0])
def test_three_classes_are_a_double_sum(variance):
    """Of three logits only two differences count: a fine trapezoidal rule in the plane."""
    grid = np.linspace(-8, 8, 401)
    x, y = np.meshgrid(grid, grid)
    weights = np.exp(-(x**2 + y**2) / 2) / (2 * math.pi) * (grid[1] - grid[0]) ** 2
    logits = math.sqrt(variance) * np.stack(
        [x / math.sqrt(2) + y / math.sqrt(6), -x / math.sqrt(2) + y / math.sqrt(6), -2 * y / math.sqrt(6)], axis=-1
    )
    value = (weights * softmax_lambda_max(probabilities(logits))).sum()
    found = softmax_curvature(3, variance)
    assert abs(found.value - value) <= found.error + 1e-6


@pytest.mark.parametrize(("variance", "literature"), [(0.0, 0.1), (4.0, 0.2925), (64.0, 0.1533), (256.0, 0.0863)])
def test_ten_classes(variance, literature):
    """Plain sampling agrees; the digits on the left were sampled too, and the last of them are off by 0.2 per cent."""
    found = softmax_curvature(10, variance)
    assert abs(found.value - literature) <= found.error + 5e-5 + 0.0025 * literature * (variance == 256)
    samples = softmax_lambda_max(
        probabilities(math.sqrt(variance) * np.random.default_rng(5).standard_normal((100_000, 10)))
    )
    standard_error = samples.std() / math.sqrt(samples.size)
    assert abs(found.value - samples.mean()) <= found.error + 4 * standard_error + 1e-8


def test_not_monotone_in_the_variance():
    values = [softmax_curvature(10, v).value for v in (0.0, 1.0, 4.0, 16.0, 64.0, 256.0)]
    assert int(np.argmax(values)) == 2
    assert values[0] == 0.1
    assert values[-1] < 0.1


@pytest.mark.parametrize(
    ("arguments", "part"), [((1, 1.0), "outputs must be >= 2"), ((3, -1.0), "variance must be >= 0")]
)
def test_bad_arguments(arguments, part):
    with pytest.raises(mf.InvalidParameterError, match=part):
        softmax_curvature(*arguments)


@pytest.mark.parametrize(("own", "shared"), [(5.0, 0.0), (5.0, 1.5), (5.0, 4.9)])
@pytest.mark.parametrize(("variance", "covariance"), [(0.5, 0.0), (4.0, 1.0)])
def test_weighed_spectrum_against_the_whole_matrix(own, shared, variance, covariance):
    """K^{1/2} H K^{1/2} of size T C, for the very logits that are drawn."""
    T, C = 12, 4
    found = softmax_fisher(own, shared, T, C, variance=variance, covariance=covariance)
    kernel = np.kron(shared * np.ones((T, T)) + (own - shared) * np.eye(T), np.eye(C))
    values, vectors = np.linalg.eigh(kernel)
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(DRAWS):
        common = math.sqrt(covariance) * rng.standard_normal(C)
        logits = common + math.sqrt(variance - covariance) * rng.standard_normal((T, C))
        blocks = hessians(probabilities(logits))
        H = np.zeros((T * C, T * C))
        for t in range(T):
            H[t * C : (t + 1) * C, t * C : (t + 1) * C] = blocks[t]
        eigenvalues = np.linalg.eigvalsh(root @ H @ root) / T
        rows.append([eigenvalues.sum(), (eigenvalues**2).sum(), eigenvalues[-1], eigenvalues[T]])
    trace, square, largest, _ = np.mean(rows, axis=0)
    assert abs(found.trace[0] / trace - 1) <= 1e-10
    assert abs(found.square[0] / square - 1) <= 1e-10
    assert abs(found.largest[0] / largest - 1) <= 1e-7
    assert found.smallest[0] <= np.exp(np.mean(np.log(rows), axis=0)[3]) * (1 + 1e-6)
    assert found.largest[1] > 0


def test_anticorrelated_logits_are_refused():
    with pytest.raises(mf.InvalidParameterError, match="anticorrelated"):
        softmax_fisher(1.0, 0.5, 4, 3, variance=1.0, covariance=-0.1)
