"""Measured lengths, correlations, gradient factors and tangent kernels: plain loops and exact identities."""

import numpy as np
import pytest
from scipy import stats

import meanfield as mf
from verify.networks import METHODS, NetworkLaw
from verify.signals import PAIRED, SignalSetting, measure

WIDTH, DEPTH, NETWORKS = 16, 3, 250
MEASURED = ("q", "c", "chi", "ntk", "ntk_cosine")
SIGMA_W, SIGMA_B, Q0, C0 = 1.5, 0.3, 0.8, (0.5, -0.2)
TANH = mf.Nonlinearity.from_callable(np.tanh, lambda x: 1 - np.tanh(x) ** 2, name="tanh")
LINEAR = mf.Nonlinearity.from_callable(lambda x: 1.0 * x, np.ones_like, name="linear")
RELU = mf.Nonlinearity.from_callable(
    lambda x: np.maximum(x, 0), lambda x: (x > 0).astype(float), kinks=(0.0,), name="relu"
)


def setting(*, weights="gaussian", method="sampled", phi=TANH, quantities=("q", "c", "chi"), lengths="free", **law):
    law = {"sigma_w": SIGMA_W, "sigma_b": SIGMA_B, "depth": DEPTH, **law}
    return SignalSetting(
        law=NetworkLaw(phi=phi, weights=weights, method=method, **law),
        quantities=quantities,
        q0=Q0,
        c0=C0 if PAIRED & set(quantities) else (),
        lengths=lengths,
    )


def measured(own, networks=NETWORKS, width=WIDTH):
    """One row a network: all quantities side by side."""
    rows = [measure(own, (width, np.random.SeedSequence(7, spawn_key=(k,)))) for k in range(networks)]
    return np.array([np.concatenate([row[name].ravel() for name in own.quantities]) for row in rows])


def haar(rng, width):
    Q, R = np.linalg.qr(rng.standard_normal((width, width)))
    return Q * np.sign(np.diag(R))


def plain_network(rng, weights, lengths, sigma_w=SIGMA_W):
    """The same numbers from a network that is written down without any shortcut."""
    start = haar(rng, WIDTH)[:, :3]
    H = np.column_stack(
        [start[:, 0], *(c * start[:, 0] + np.sqrt(1 - c**2) * start[:, j + 1] for j, c in enumerate(C0))]
    )
    H *= np.sqrt(WIDTH * Q0)
    q, c, states, matrices = [], [], [], []
    for _ in range(DEPTH):
        norms = np.linalg.norm(H, axis=0)
        q.append(np.mean(norms**2) / WIDTH)
        c.append([H[:, 0] @ H[:, j] / (norms[0] * norms[j]) for j in (1, 2)])
        if lengths == "reset":
            H = H / norms * np.sqrt(WIDTH * Q0)
        states.append(H)
        W = rng.standard_normal((WIDTH, WIDTH)) / np.sqrt(WIDTH) if weights == "gaussian" else haar(rng, WIDTH)
        matrices.append(sigma_w * W)
        H = matrices[-1] @ np.tanh(H) + SIGMA_B * rng.standard_normal((WIDTH, 1))
    direction = rng.standard_normal(WIDTH)
    direction /= np.linalg.norm(direction)
    squares, by_weights = [], []
    for j in range(3):
        gradient, parts = direction, []
        for H, W in zip(reversed(states), reversed(matrices), strict=True):
            parts.append(np.outer(gradient, np.tanh(H[:, j])).ravel())
            below = (1 - np.tanh(H[:, j]) ** 2) * (W.T @ gradient)
            if j == 0:
                squares.insert(0, (below @ below) / (gradient @ gradient))
            gradient = below
        by_weights.append(np.concatenate(parts))
    kernel = np.array(by_weights) @ np.array(by_weights).T
    cosines = kernel[0, 1:] / np.sqrt(kernel[0, 0] * np.diag(kernel)[1:])
    return np.concatenate([q, np.array(c).T.ravel(), squares, [kernel[0, 0] / WIDTH], cosines])


def smallest_p(first, second):
    """Of two-sample Kolmogorov-Smirnov tests, over the columns that are random at all."""
    random = np.ptp(second, axis=0) > 1e-9
    return min(stats.ks_2samp(a, b).pvalue for a, b, kept in zip(first.T, second.T, random, strict=True) if kept)


@pytest.mark.parametrize(("weights", "lengths"), [("gaussian", "free"), ("orthogonal", "free"), ("gaussian", "reset")])
def test_the_law_is_that_of_a_plain_network(weights, lengths):
    rng = np.random.default_rng(1)
    plain = np.array([plain_network(rng, weights, lengths) for _ in range(NETWORKS)])
    tests = plain.shape[1]
    for method in METHODS:
        found = measured(setting(weights=weights, method=method, lengths=lengths, quantities=MEASURED))
        assert smallest_p(found, plain) > 0.01 / tests
        between = np.corrcoef(found[:, 1:DEPTH].T) - np.corrcoef(plain[:, 1:DEPTH].T)
        assert np.abs(between).max() <= 4.5 * np.sqrt(2 / NETWORKS)
    wrong = np.array([plain_network(rng, weights, lengths, sigma_w=1.1 * SIGMA_W) for _ in range(NETWORKS)])
    assert smallest_p(wrong, plain) < 1e-4 / tests


@pytest.mark.parametrize("method", METHODS)
def test_the_first_layer_is_exact(method):
    found = measure(setting(method=method), (WIDTH, np.random.SeedSequence(1)))
    assert abs(found["q"][0] - Q0) <= 1e-15
    assert np.abs(found["c"][:, 0] - C0).max() <= 1e-15
    assert [found[name].shape for name in ("q", "c", "chi")] == [(DEPTH,), (2, DEPTH), (DEPTH,)]


@pytest.mark.parametrize("method", METHODS)
def test_a_linear_orthogonal_network_is_exact_at_every_width(method):
    own = setting(phi=LINEAR, weights="orthogonal", method=method, sigma_b=0.0)
    found = measure(own, (5, np.random.SeedSequence(2)))
    assert np.abs(found["q"] / (Q0 * SIGMA_W ** (2.0 * np.arange(DEPTH))) - 1).max() <= 1e-13
    assert np.abs(found["c"] - np.array(C0)[:, None]).max() <= 1e-13
    assert np.abs(found["chi"] / SIGMA_W**2 - 1).max() <= 1e-13


def test_reset_lengths_start_every_layer_anew():
    """With orthogonal linear weights q is q0 in layer 1 and sigma_w^2 q0 in each one after it."""
    own = setting(phi=LINEAR, weights="orthogonal", sigma_b=0.0, lengths="reset")
    found = measure(own, (8, np.random.SeedSequence(3)))
    assert np.abs(found["q"] / np.array([Q0, *[Q0 * SIGMA_W**2] * (DEPTH - 1)]) - 1).max() <= 1e-13


def test_only_what_is_asked_for_is_measured():
    alone = measure(setting(quantities=("chi",)), (WIDTH, np.random.SeedSequence(4)))
    assert list(alone) == ["chi"]
    assert alone["chi"].shape == (DEPTH,)


def test_the_gradient_is_the_product_of_its_factors():
    found = measure(setting(quantities=("chi", "gradient")), (WIDTH, np.random.SeedSequence(4)))
    products = [np.prod(found["chi"][layer:]) for layer in range(DEPTH)]
    assert np.abs(found["gradient"] / products - 1).max() <= 1e-13
    exact = measure(
        setting(phi=LINEAR, weights="orthogonal", quantities=("gradient",)), (WIDTH, np.random.SeedSequence(4))
    )
    assert np.abs(exact["gradient"] / SIGMA_W ** (2.0 * np.arange(DEPTH, 0, -1)) - 1).max() <= 1e-13


def test_equal_and_opposite_inputs_stay_so():
    """c0 = 1 makes dependent columns, and an odd phi without bias keeps c = -1."""
    own = SignalSetting(
        law=NetworkLaw(phi=TANH, sigma_w=1.5, sigma_b=0.0, depth=6), quantities=("q", "c"), q0=1.0, c0=(1.0, -1.0)
    )
    found = measure(own, (WIDTH, np.random.SeedSequence(5)))
    assert np.abs(found["c"] - [[1.0], [-1.0]]).max() <= 1e-14


def test_a_dead_network_is_not_a_number():
    """Four neurons of ReLU all switched off: nothing passes any more, in either direction."""
    own = SignalSetting(
        law=NetworkLaw(phi=RELU, sigma_w=1.0, sigma_b=0.0, depth=40), quantities=("q", "chi"), q0=1.0, c0=()
    )
    found = measure(own, (2, np.random.SeedSequence(0)))
    assert found["q"][-1] == 0
    assert not np.all(found["chi"] > 0)
