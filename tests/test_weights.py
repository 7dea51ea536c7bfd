"""Weight ensembles: scale, law and S-transform of square and rectangular matrices."""

import numpy as np
import pytest

from meanfield.errors import InvalidParameterError
from meanfield.weights import ENSEMBLES, ensemble

SHAPES = [(60, 60), (40, 80), (80, 40), (1, 5), (5, 1), (1, 1)]


@pytest.mark.parametrize("name", ENSEMBLES)
@pytest.mark.parametrize(("fan_out", "fan_in"), SHAPES)
def test_scale_keeps_the_length_map(name, fan_out, fan_in):
    """E |W x|^2/fan_out = sigma_w^2 |x|^2/fan_in, that is E W_ij^2 = sigma_w^2/fan_in."""
    rng = np.random.default_rng(1)
    draws = [ensemble(name).sample(rng, fan_out, fan_in, 1.5) for _ in range(200)]
    assert all(W.shape == (fan_out, fan_in) and W.dtype == np.float64 for W in draws)
    squares = np.array([np.mean(W**2) for W in draws])
    deviation = abs(squares.mean() - 1.5**2 / fan_in)
    assert deviation <= 4.5 * squares.std(ddof=1) / np.sqrt(200) + 1e-13


@pytest.mark.parametrize(("fan_out", "fan_in"), SHAPES)
def test_haar_is_orthonormal_on_its_shorter_side(fan_out, fan_in):
    W = ensemble("orthogonal").sample(np.random.default_rng(2), fan_out, fan_in, 2.0)
    if fan_out <= fan_in:
        assert np.abs(W @ W.T - 4.0 * np.eye(fan_out)).max() <= 1e-13
    else:
        assert np.abs(W.T @ W - 4.0 * fan_out / fan_in * np.eye(fan_in)).max() <= 1e-13


def trace_t(matrices: np.ndarray) -> float:
    """t-value of the trace, whose mean is 0 and variance 1 for Haar matrices of O(N)."""
    traces = np.trace(matrices, axis1=1, axis2=2)
    return float(traces.mean() * np.sqrt(len(traces)))


def test_haar_has_the_haar_law_and_a_raw_qr_has_not():
    """Moments of O(N): E tr = 0, E tr^2 = 1, E tr(Q^2) = 1, E Q_ij^4 = 3/(N (N + 2))."""
    rng = np.random.default_rng(3)
    size, count = 6, 20000
    draws = np.array([ensemble("orthogonal").sample(rng, size, size, 1.0) for _ in range(count)])
    assert abs(trace_t(draws)) <= 4.5
    for values, expected in [
        (np.trace(draws, axis1=1, axis2=2) ** 2, 1.0),
        (np.trace(draws @ draws, axis1=1, axis2=2), 1.0),
        (draws[:, 0, 0] ** 4, 3 / (size * (size + 2))),
        (draws[:, -1, -1] ** 4, 3 / (size * (size + 2))),
        (np.linalg.det(draws), 0.0),
    ]:
        assert abs(values.mean() - expected) <= 4.5 * values.std(ddof=1) / np.sqrt(count)
    raw = np.linalg.qr(rng.standard_normal((count, size, size)))[0]
    assert abs(trace_t(raw)) > 50


@pytest.mark.parametrize("name", ENSEMBLES)
@pytest.mark.parametrize("aspect", [0.5, 1.0, 2.0])
def test_s_transform_gives_the_moments_of_drawn_matrices(name, aspect):
    """m_1 = 1/S(0) and m_2 = m_1^2 (1 - S'(0)/S(0)), the first moments of W W^T."""
    law, sigma_w, step = ensemble(name), 1.3, 1e-6
    here = law.s_transform(0.0, sigma_w, aspect=aspect)
    slope = (law.s_transform(step, sigma_w, aspect=aspect) - law.s_transform(-step, sigma_w, aspect=aspect)) / (
        2 * step
    )
    m_1 = 1 / here
    m_2 = m_1**2 * (1 - slope / here)
    fan_in = 300
    W = law.sample(np.random.default_rng(4), int(aspect * fan_in), fan_in, sigma_w)
    eigenvalues = np.linalg.eigvalsh(W @ W.T)
    assert abs(eigenvalues.mean() / m_1 - 1) <= 0.03
    assert abs(np.mean(eigenvalues**2) / m_2 - 1) <= 0.05


@pytest.mark.parametrize("name", ENSEMBLES)
def test_s_transform_takes_complex_arrays(name):
    m = np.array([0.1 + 0.2j, -0.3])
    for aspect in (0.5, 1.0, 2.0):
        values = ensemble(name).s_transform(m, 1.0, aspect=aspect)
        assert values.shape == m.shape
        assert abs(values[1] - ensemble(name).s_transform(-0.3, 1.0, aspect=aspect)) <= 1e-15


@pytest.mark.parametrize("name", ENSEMBLES)
def test_the_generator_decides_the_bits(name):
    first, again = (ensemble(name).sample(np.random.default_rng(5), 7, 4, 1.0) for _ in range(2))
    assert np.array_equal(first, again)


@pytest.mark.parametrize("weights", ["xavier", "", None, 3])
def test_unknown_ensembles_are_refused(weights):
    with pytest.raises(InvalidParameterError, match="weights must be one of 'gaussian', 'orthogonal'"):
        ensemble(weights)


@pytest.mark.parametrize(("fan_out", "fan_in", "sigma_w"), [(0, 3, 1.0), (3, 2.5, 1.0), (3, 3, np.nan), (3, 3, -1.0)])
def test_bad_sizes_and_scales_are_refused(fan_out, fan_in, sigma_w):
    with pytest.raises(InvalidParameterError):
        ensemble("gaussian").sample(np.random.default_rng(0), fan_out, fan_in, sigma_w)
