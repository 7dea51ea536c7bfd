"""Measured Fisher information against the whole P x P matrix of explicit Jacobians, and against finite differences."""

import itertools
import math
import tracemalloc

import numpy as np
import pytest

import meanfield as mf
import verify
from meanfield.weights import ensemble
from verify import linearization
from verify.linearization import linearize, output_roots

OUTPUTS = ("linear", "softmax")
TANH = mf.as_nonlinearity("tanh")


def network(widths, seed=0, sigma_w=1.4, sigma_b=0.3, weights="gaussian"):
    rng = np.random.default_rng(seed)
    law = ensemble(weights)
    return [
        (law.sample(rng, fan_out, fan_in, sigma_w), sigma_b * rng.standard_normal(fan_out))
        for fan_in, fan_out in itertools.pairwise(widths)
    ]


def inputs(samples, dimension, seed=1):
    return np.random.default_rng(seed).standard_normal((samples, dimension))


LAYERS = network([5, 7, 6, 3])
X = inputs(8, 5)


def flat(direction):
    return np.concatenate([np.concatenate([W.ravel(), b]) for W, b in direction])


def unflat(vector, layers):
    parts, place = [], 0
    for W, b in layers:
        end = place + W.size
        parts.append((vector[place:end].reshape(W.shape), vector[end : end + b.size]))
        place = end + b.size
    return parts


def forward(layers, X, phi=np.tanh):
    for W, b in layers[:-1]:
        X = phi(X @ W.T + b)
    W, b = layers[-1]
    return X @ W.T + b


def explicit_jacobian(layers, X):
    """d outputs/d parameters, shape (T, C, P), sample by sample and layer by layer in plain loops; tanh."""
    rows = []
    for x in X:
        states, slopes = [x], []
        for W, b in layers[:-1]:
            h = W @ states[-1] + b
            states.append(np.tanh(h))
            slopes.append(1 / np.cosh(h) ** 2)
        back = np.eye(len(layers[-1][1]))
        blocks = []
        for layer in range(len(layers) - 1, -1, -1):
            C = len(back)
            blocks.append(np.concatenate([np.einsum("ci,j->cij", back, states[layer]).reshape(C, -1), back], axis=1))
            if layer:
                back = (back @ layers[layer][0]) * slopes[layer - 1]
        rows.append(np.concatenate(blocks[::-1], axis=1))
    return np.array(rows)


def hessians(outputs, output):
    C = outputs.shape[1]
    if output == "linear":
        return np.broadcast_to(np.eye(C), (len(outputs), C, C))
    p = np.exp(outputs) / np.exp(outputs).sum(axis=1, keepdims=True)
    return np.array([np.diag(each) - np.outer(each, each) for each in p])


def dense(layers, X, output):
    J = explicit_jacobian(layers, X)
    return np.einsum("tcp,tcd,tdq->pq", J, hessians(forward(layers, X), output), J) / len(X)


def test_the_oracle_is_a_derivative():
    """Central differences of the outputs."""
    theta, step = flat(LAYERS), 1e-5
    J = explicit_jacobian(LAYERS, X)
    for p in range(0, theta.size, 11):
        shift = step * np.eye(theta.size)[p]
        difference = (forward(unflat(theta + shift, LAYERS), X) - forward(unflat(theta - shift, LAYERS), X)) / (
            2 * step
        )
        assert np.abs(difference - J[:, :, p]).max() <= 1e-9


@pytest.mark.parametrize("output", OUTPUTS)
def test_spectrum_is_that_of_the_whole_matrix(output):
    whole = np.linalg.eigvalsh(dense(LAYERS, X, output))[::-1]
    found = verify.fisher_eigenvalues(LAYERS, "tanh", X, output=output)
    assert found.shape == (8 * (3 if output == "linear" else 2),)
    assert np.abs(found - whole[: found.size]).max() <= 1e-13 * whole[0]
    assert np.abs(whole[found.size :]).max() <= 1e-13 * whole[0]
    assert abs(verify.fisher_condition_number(LAYERS, "tanh", X, output=output) * found[-1] / found[0] - 1) <= 1e-9


@pytest.mark.parametrize("output", OUTPUTS)
def test_gram_matrix_entry_by_entry(output):
    """Its index is t k + j; columns of R_t fix the order."""
    J = explicit_jacobian(LAYERS, X)
    roots = output_roots(forward(LAYERS, X), output)
    rows = J if roots is None else np.einsum("tck,tcp->tkp", roots, J)
    rows = rows.reshape(-1, J.shape[2])
    np.testing.assert_allclose(
        verify.fisher_gram(LAYERS, "tanh", X, output=output),
        rows @ rows.T / len(X),
        atol=1e-13 * np.abs(rows).max() ** 2,
    )


def test_gram_matrix_in_strips(monkeypatch):
    whole = verify.fisher_gram(LAYERS, "tanh", X)
    monkeypatch.setattr("verify.curvature._ROWS", 7)
    np.testing.assert_allclose(verify.fisher_gram(LAYERS, "tanh", X), whole, atol=1e-14 * whole.max())


@pytest.mark.parametrize("output", OUTPUTS)
def test_products(output):
    """J v, J^T u and G v; <u, J v> = <J^T u, v>."""
    rng = np.random.default_rng(5)
    direction = [(rng.standard_normal(W.shape), rng.standard_normal(b.shape)) for W, b in LAYERS]
    u = rng.standard_normal((8, 3))
    J = explicit_jacobian(LAYERS, X)
    linear = linearize(LAYERS, TANH, X)
    np.testing.assert_allclose(linear.push(direction), J @ flat(direction), atol=1e-12)
    np.testing.assert_allclose(flat(linear.pull(u)), np.einsum("tcp,tc->p", J, u), atol=1e-12)
    product = flat(verify.fisher_product(LAYERS, "tanh", X, direction, output=output))
    np.testing.assert_allclose(product, dense(LAYERS, X, output) @ flat(direction), atol=1e-12)


def test_the_error_of_the_linearisation_is_of_second_order():
    """Slope 2 of the Taylor error against the step."""
    rng = np.random.default_rng(6)
    direction = [(rng.standard_normal(W.shape), rng.standard_normal(b.shape)) for W, b in LAYERS]
    moved = linearize(LAYERS, TANH, X).push(direction)
    steps = np.array([1e-2, 1e-3, 1e-4])
    errors = []
    for step in steps:
        shifted = [(W + step * dW, b + step * db) for (W, b), (dW, db) in zip(LAYERS, direction, strict=True)]
        errors.append(np.abs(forward(shifted, X) - forward(LAYERS, X) - step * moved).max())
    slopes = np.diff(np.log(errors)) / np.diff(np.log(steps))
    assert np.abs(slopes - 2).max() <= 0.1


@pytest.mark.parametrize("output", OUTPUTS)
def test_lanczos_and_gram_agree(output):
    """10 x 200 tanh with 10 outputs, to 1e-8; the reported error is never below the true one."""
    layers = network([200] * 11 + [10], sigma_w=1.2, sigma_b=0.1)
    points = inputs(40, 200)
    exact = verify.fisher_eigenvalues(layers, "tanh", points, output=output)
    found = verify.top_eigenvalues(layers, "tanh", points, output=output, count=3)
    assert np.abs(found.values / exact[:3] - 1).max() <= 1e-8
    assert (np.abs(found.values - exact[:3]) <= found.errors + 1e-13 * exact[0]).all()
    assert (found.errors <= 2e-8 * exact[:3]).all()
    assert found.products < 100


def test_lanczos_of_degenerate_outliers():
    """Orthogonal weights at small q: ten outliers equal to one part in a thousand."""
    layers = network([64] * 6 + [10], sigma_w=1.0, sigma_b=0.0, weights="orthogonal")
    points = 0.01 * inputs(30, 64)
    exact = verify.fisher_eigenvalues(layers, "tanh", points)
    assert exact[9] / exact[0] > 0.999
    assert abs(verify.top_eigenvalues(layers, "tanh", points).values[0] / exact[0] - 1) <= 1e-10
    found = verify.top_eigenvalues(layers, "tanh", points, count=10)
    np.testing.assert_allclose(found.values, exact[:10], rtol=1e-10)


def test_lanczos_of_equal_outliers():
    """A linear network of one orthogonal layer: all outliers are the same number."""
    layers = [(np.eye(12), np.zeros(12)), (np.eye(5, 12), np.zeros(5))]
    points = inputs(9, 12)
    exact = verify.fisher_eigenvalues(layers, "linear", points)
    assert np.ptp(exact[:5]) <= 1e-13 * exact[0]
    np.testing.assert_allclose(verify.top_eigenvalues(layers, "linear", points, count=7).values, exact[:7], rtol=1e-12)


@pytest.mark.parametrize("limit", ["KEEP_BOTH", "KEEP_STATES"])
def test_what_is_kept_in_memory_does_not_change_the_answer(monkeypatch, limit):
    layers, points = network([9, 12, 12, 4]), inputs(150, 9)
    whole = verify.top_eigenvalues(layers, "tanh", points, output="softmax").values[0]
    monkeypatch.setattr(linearization, "_BLOCK", 64 * 8 * 12)
    monkeypatch.setattr(linearization, limit, 0)
    assert len(linearization.SampleBlocks(layers, TANH, points)) == 3
    assert abs(verify.top_eigenvalues(layers, "tanh", points, output="softmax").values[0] / whole - 1) <= 1e-12


def test_memory_of_a_deep_network():
    """At 200 x 400 with 1000 samples 1.3 GB; here a network 16 times smaller in width and samples, in proportion."""
    layers, points = network([100] * 51 + [10], sigma_w=1.0, sigma_b=0.01, weights="orthogonal"), inputs(250, 100)
    held = sum(W.nbytes for W, _ in layers)
    states = 8 * len(points) * 50 * 100
    tracemalloc.start()
    verify.top_eigenvalues(layers, "tanh", points)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # Activations and slopes; weights checked, a direction and its gradients in the making; the Lanczos vectors.
    assert peak <= 2 * states + 4 * held + 60 * 8 * 2500 + 5e6


@pytest.mark.parametrize("output", OUTPUTS)
def test_block_norms(output):
    G = dense(LAYERS, X, output)
    ends = np.cumsum([0, *(W.size + b.size for W, b in LAYERS)])
    found = verify.block_norms(LAYERS, "tanh", X, output=output)
    for i, j in itertools.product(range(3), repeat=2):
        block = G[ends[i] : ends[i + 1], ends[j] : ends[j + 1]]
        assert abs(found[i, j] - np.linalg.norm(block, 2)) <= 1e-7 * found.max()
    top = np.linalg.eigvalsh(G)[-1]
    assert top <= found.sum(axis=1).max()
    assert top <= np.trace(found)


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("seed", range(4))
def test_layerwise_bound(output, seed):
    """It holds, its parts are what they claim to be, and the form with products is looser."""
    layers = network([5, 7, 6, 3], seed=seed, sigma_w=1.0 + seed)
    found = verify.layerwise_bound(layers, "tanh", X, output=output)
    J, H = explicit_jacobian(layers, X), hessians(forward(layers, X), output)
    top = np.linalg.eigvalsh(dense(layers, X, output))[-1]
    assert top <= found.value <= found.product_form
    assert abs(found.terms.sum() - found.value) <= 1e-12 * found.value
    ends = np.cumsum([0, *(W.size + b.size for W, b in layers)])
    for layer, (W, b) in enumerate(layers):
        # The derivatives by the biases are those by the pre-activations.
        by_state = J[:, :, ends[layer] + W.size : ends[layer] + W.size + b.size]
        curvature = np.linalg.eigvalsh(np.einsum("tcp,tcd,tdq->tpq", by_state, H, by_state))[:, -1]
        np.testing.assert_allclose(found.curvature[layer], curvature, rtol=1e-9)


@pytest.mark.parametrize("of", ["features", "outputs"])
def test_largest_singular_value_of_the_jacobian(of):
    """Against central differences in the input: layer sizes that grow or shrink; and one hidden layer."""
    for layers in (LAYERS, network([5, 90, 4], seed=3), network([5, 4, 6, 3, 2], seed=4), network([5, 3, 2], seed=5)):
        cut = (
            layers
            if of == "outputs"
            else [*layers[:-1], (np.eye(layers[-1][0].shape[1]), np.zeros(layers[-1][0].shape[1]))]
        )
        found = verify.sigma_max_jacobian(layers, "tanh", X, of=of)
        step = 1e-5
        J = np.array(
            [(forward(cut, X + step * e) - forward(cut, X - step * e)) / (2 * step) for e in np.eye(5)]
        ).transpose(1, 2, 0)
        np.testing.assert_allclose(found, np.linalg.norm(J, 2, axis=(1, 2)), rtol=1e-7)


def test_roots_of_softmax():
    """R R^T = diag(p) - p p^T also where a class is nearly certain, and R has full rank: no structural zero."""
    outputs = np.random.default_rng(0).standard_normal((50, 6)) * np.geomspace(0.1, 300, 50)[:, None]
    roots = output_roots(outputs, "softmax")
    p = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    H = np.einsum("ti,ij->tij", p, np.eye(6)) - p[:, :, None] * p[:, None, :]
    assert roots.shape == (50, 6, 5)
    assert np.abs(roots @ roots.transpose(0, 2, 1) - H).max() <= 1e-15
    assert (np.linalg.matrix_rank(roots[:20]) == 5).all()


def test_float32_weights_are_taken():
    layers = [(W.astype(np.float32), b.astype(np.float32)) for W, b in LAYERS]
    found = verify.fisher_eigenvalues(layers, TANH, X.astype(np.float32))
    assert found.dtype == np.float64
    assert abs(found[0] / verify.fisher_eigenvalues(LAYERS, TANH, X)[0] - 1) <= 1e-5


@pytest.mark.parametrize(
    ("call", "part"),
    [
        (lambda: verify.fisher_gram(LAYERS, "tanh", X[0]), "X must have shape"),
        (lambda: verify.fisher_gram(LAYERS, "tanh", X[:, :4]), r"W1 and b1 must have shapes \(fan_out, 4\)"),
        (lambda: verify.fisher_gram(LAYERS[:1], "tanh", X), "a hidden layer and a read-out"),
        (lambda: verify.fisher_gram([LAYERS[0], LAYERS[0]], "tanh", X), "W2 and b2"),
        (lambda: verify.fisher_gram(LAYERS, "tanh", X, output="probit"), "output must be one of"),
        (lambda: verify.fisher_gram(network([5, 4, 1]), "tanh", X, output="softmax"), "at least 2 outputs"),
        (lambda: verify.top_eigenvalues(LAYERS, "tanh", X, count=24), "count must be < 24"),
        (lambda: verify.top_eigenvalues(LAYERS, "tanh", X, tolerance=0.0), "tolerance must be > 0"),
        (lambda: verify.sigma_max_jacobian(LAYERS, "tanh", X, of="weights"), "of must be one of"),
        (
            lambda: verify.fisher_gram([(math.nan * LAYERS[0][0], LAYERS[0][1]), *LAYERS[1:]], "tanh", X),
            "W1 must be finite",
        ),
    ],
)
def test_bad_arguments(call, part):
    with pytest.raises(mf.InvalidParameterError, match=part):
        call()
