"""The compiled loops: compiled equal to plain Python, their bits and laws against independent ones."""

import math

import numpy as np
import pytest
from scipy import stats

from verify import kernels
from verify.kernels import Normals, apply_reflectors, draw_reflectors, fill_normal, random_state

MASK = 2**64 - 1


def state_of(*words):
    return np.array(words, dtype=np.uint64)


def rotated(x, k):
    return ((x << k) | (x >> (64 - k))) & MASK


def xoshiro256pp(state, count):
    """The generator in Python's integers."""
    a, b, c, d = state
    out = []
    for _ in range(count):
        out.append((rotated((a + d) & MASK, 23) + a) & MASK)
        shifted = (b << 17) & MASK
        c, d = c ^ a, d ^ b
        b, a = b ^ c, a ^ d
        c, d = c ^ shifted, rotated(d, 45)
    return out


def dense(vectors, tau, signs):
    """H_0 ... H_{N-1} diag(signs), multiplied out."""
    size = len(tau)
    matrix = np.eye(size)
    for j in range(size):
        u = np.zeros(size)
        u[j], u[j + 1 :] = 1.0, vectors[j, j + 1 :]
        matrix = matrix @ (np.eye(size) - tau[j] * np.outer(u, u))
    return matrix * signs


@pytest.fixture
def plain(monkeypatch):
    """The kernels as plain Python, all the way down; words wrap around there as they do when compiled."""
    for name in ("_next_bits", "_open_uniform", "_outside_rectangle", "_normal", "fill_normal", "draw_reflectors"):
        monkeypatch.setattr(kernels, name, getattr(kernels, name).py_func)
    with np.errstate(over="ignore"):
        yield kernels


def drawn(seed, size):
    vectors, tau, signs = np.zeros((size, size)), np.empty(size), np.empty(size)
    draw_reflectors(random_state(np.random.SeedSequence(seed)), vectors, tau, signs)
    return vectors, tau, signs


def test_the_generator_gives_its_published_numbers():
    bits = xoshiro256pp((1, 2, 3, 4), 4)
    assert bits == [41943041, 58720359, 3588806011781223, 3591011842654386]


def test_the_compiled_generator_has_the_same_bits():
    seed = [int(word) for word in random_state(np.random.SeedSequence(5))]
    state, found = state_of(*seed), []
    for _ in range(200):
        bits, *words = kernels._next_bits(*state)
        found.append(int(bits))
        state = state_of(*words)
    assert found == xoshiro256pp(seed, 200)


def test_normals_are_normal():
    """Kolmogorov-Smirnov, moments up to the eighth, and the tail beyond the lowest layer."""
    count = 10**6
    x = Normals(np.random.SeedSequence(1)).standard_normal(count)
    assert stats.kstest(x, "norm").pvalue > 1e-3
    for power in range(1, 9):
        expected = 0.0 if power % 2 else float(math.prod(range(1, power, 2)))
        spread = math.sqrt(math.prod(range(1, 2 * power, 2)) - expected**2)
        assert abs(np.mean(x**power) - expected) <= 4 * spread / math.sqrt(count)
    beyond = x[np.abs(x) > kernels._TAIL]
    expected = count * 2 * stats.norm.sf(kernels._TAIL)
    assert abs(len(beyond) - expected) <= 4 * math.sqrt(expected)
    assert stats.kstest(np.abs(beyond), stats.truncnorm(kernels._TAIL, np.inf).cdf).pvalue > 1e-3
    assert abs(np.corrcoef(x[:-1], x[1:])[0, 1]) <= 4 / math.sqrt(count)


def test_the_shapes_of_normals_within_the_layers():
    """Equal counts in 4000 equally likely bins: layer edges and signs leave no trace."""
    x = Normals(np.random.SeedSequence(2)).standard_normal(2 * 10**6)
    counts = np.bincount((stats.norm.cdf(x) * 4000).astype(int), minlength=4000)
    assert stats.chisquare(counts).pvalue > 1e-3


def test_the_layers_close_at_the_top_and_have_one_area():
    edges, heights = kernels._EDGES, kernels._HEIGHTS
    areas = edges[1:-1] * np.diff(heights)[1:]
    assert np.ptp(areas) <= 1e-13
    assert abs(areas[0] - edges[0] * heights[1]) <= 1e-15


def test_plain_python_fills_the_same_normals(plain):
    """3000 of them, so that wedges are entered too."""
    state, plain_state = (random_state(np.random.SeedSequence(3)) for _ in range(2))
    compiled, interpreted = np.empty(3000), np.empty(3000)
    fill_normal(state, compiled)
    plain.fill_normal(plain_state, interpreted)
    assert np.abs(compiled - interpreted).max() <= 1e-15
    assert np.array_equal(state, plain_state)


def test_the_tail_and_the_wedges(plain):
    state = random_state(np.random.SeedSequence(4))
    k, tails, kept = 100, [], []
    x = (plain._EDGES[k] + plain._EDGES[k + 1]) / 2
    for _ in range(500):
        _, tail, *state = plain._outside_rectangle(np.uint64(0), -1.0, *state)
        accepted, _, *state = plain._outside_rectangle(np.uint64(k), x, *state)
        tails.append(-tail)
        kept.append(accepted)
    assert stats.kstest(tails, stats.truncnorm(plain._TAIL, np.inf).cdf).pvalue > 1e-3
    chance = (math.exp(-x * x / 2) - plain._HEIGHTS[k]) / (plain._HEIGHTS[k + 1] - plain._HEIGHTS[k])
    assert 0 < chance < 1
    assert abs(np.mean(kept) - chance) <= 4 * math.sqrt(chance * (1 - chance) / 500)


def test_a_stream_of_normals_goes_on():
    whole = Normals(np.random.SeedSequence(6)).standard_normal((3, 4))
    stream = Normals(np.random.SeedSequence(6))
    first, rest = stream.standard_normal(5), np.empty((7,))
    stream.standard_normal(7, out=rest)
    assert np.array_equal(np.concatenate([first, rest]), whole.ravel())
    assert not np.array_equal(Normals(np.random.SeedSequence(7)).standard_normal(12), whole.ravel())


@pytest.mark.parametrize("size", [1, 2, 7, 40])
def test_reflectors_make_an_orthogonal_matrix(size):
    matrix = dense(*drawn(1, size))
    assert np.abs(matrix @ matrix.T - np.eye(size)).max() <= 1e-14


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("size", [1, 2, 7, 40])
def test_they_are_applied_as_the_matrix_they_make(size, transposed):
    parts = drawn(2, size)
    matrix = dense(*parts)
    rows = np.random.default_rng(0).standard_normal((3, size))
    expected = rows @ (matrix if transposed else matrix.T)
    for apply in (apply_reflectors, apply_reflectors.py_func):
        found = rows.copy()
        apply(*parts, found, transposed)
        assert np.abs(found - expected).max() <= 1e-13


def test_plain_python_draws_the_same_reflectors(plain):
    parts = np.zeros((9, 9)), np.empty(9), np.empty(9)
    plain.draw_reflectors(random_state(np.random.SeedSequence(3)), *parts)
    for ours, theirs in zip(parts, drawn(3, 9), strict=True):
        assert np.abs(ours - theirs).max() <= 1e-14


def test_their_matrix_is_haar():
    """Moments of O(N): E tr = 0, E tr^2 = 1, E tr(O^2) = 1, E O_ij^4 = 3/(N (N + 2)), E det = 0."""
    size, count = 5, 4000
    matrices = np.array([dense(*drawn(seed, size)) for seed in range(count)])
    traces = np.trace(matrices, axis1=1, axis2=2)
    for values, expected in [
        (traces, 0.0),
        (traces**2, 1.0),
        (np.trace(matrices @ matrices, axis1=1, axis2=2), 1.0),
        (matrices[:, 0, 0] ** 4, 3 / (size * (size + 2))),
        (matrices[:, -1, -1] ** 4, 3 / (size * (size + 2))),
        (matrices[:, 0, 1] * matrices[:, 1, 0], 0.0),
        (np.linalg.det(matrices), 0.0),
    ]:
        assert abs(values.mean() - expected) <= 4 * values.std(ddof=1) / math.sqrt(count)
    without_signs = matrices * np.array([drawn(seed, size)[2] for seed in range(count)])[:, None, :]
    raw = np.trace(without_signs, axis1=1, axis2=2)
    assert abs(raw.mean()) > 20 * raw.std(ddof=1) / math.sqrt(count)
