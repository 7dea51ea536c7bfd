"""Optimisers: the textbook recursions on Euclidean space, memories that stay tangent, and minima that are found."""

import numpy as np
import pytest

from meanfield.errors import InvalidParameterError
from verify.training.manifolds import Euclidean, Oblique, Stiefel
from verify.training.optimisers import OPTIMISERS, SGD, Adam, Momentum, optimiser_class

RULES = [SGD(), Momentum(beta=0.8), Adam(beta=0.8, beta_2=0.95, epsilon=1e-6)]


def named(thing):
    return thing.name


def settled(optimiser, manifold, X, gradient_at):
    """Where 400 steps end. Those of Adam do not shrink with the gradient, so its rate does, and some of it is left."""
    rates, accuracy = ((0.02, 0.005, 0.001), 2e-3) if isinstance(optimiser, Adam) else ((0.1, 0.1, 0.1), 1e-6)
    for rate, steps in zip(rates, (200, 100, 100), strict=True):
        *_, (X, _) = run(optimiser, manifold, X, gradient_at, rate, steps)
    return X, accuracy


def run(optimiser, manifold, X, gradient_at, rate, steps):
    """Points and memories along the way."""
    state = optimiser.start(manifold, X)
    for _ in range(steps):
        X, state = optimiser.step(manifold, X, manifold.gradient(X, gradient_at(X)), state, rate)
        yield X, state


def test_the_euclidean_forms_are_the_textbooks():
    """Each written out once more as it stands in its paper, on a quadratic."""
    A = np.diag([1.0, 4.0])
    start = np.array([[1.0], [-2.0]])
    for optimiser in RULES:
        x, m, v = start.copy(), np.zeros((2, 1)), np.zeros((2, 1))
        walk = run(optimiser, Euclidean(), start, lambda X: A @ X, 0.1, 7)
        for t, (X, _) in enumerate(walk, start=1):
            g = A @ x
            if isinstance(optimiser, SGD):
                x = x - 0.1 * g
            elif isinstance(optimiser, Momentum):
                m = 0.8 * m + g
                x = x - 0.1 * m
            else:
                m, v = 0.8 * m + 0.2 * g, 0.95 * v + 0.05 * g**2
                x = x - 0.1 * (m / (1 - 0.8**t)) / (np.sqrt(v / (1 - 0.95**t)) + 1e-6)
            assert np.abs(X - x).max() <= 1e-14


@pytest.mark.parametrize("optimiser", RULES, ids=named)
@pytest.mark.parametrize("manifold", [Stiefel(), Oblique()], ids=named)
def test_the_memory_is_carried_along_and_kept(optimiser, manifold):
    """After each step m is tangent at the new point, and the next step starts from that very m."""
    rng = np.random.default_rng(0)
    X = np.linalg.qr(rng.standard_normal((6, 3)))[0]
    B = rng.standard_normal((6, 3))
    state = optimiser.start(manifold, X)
    for _ in range(20):
        gradient = manifold.gradient(X, X - B)
        kept = state.get("m")
        Y, state = optimiser.step(manifold, X, gradient, state, 0.3)
        if kept is not None:
            mixed = optimiser.beta * kept + (1 if isinstance(optimiser, Momentum) else 1 - optimiser.beta) * gradient
            assert np.abs(state["m"] - manifold.project(Y, mixed)).max() <= 1e-14
            assert np.abs(manifold.project(Y, state["m"]) - state["m"]).max() <= 1e-13
        X = Y
        assert manifold.off_manifold(X) <= 1e-13


@pytest.mark.parametrize("optimiser", RULES, ids=named)
def test_the_nearest_orthogonal_matrix_is_found(optimiser):
    """min |X - B|^2/2 over St(n, p) is the polar factor of B."""
    rng = np.random.default_rng(1)
    X = np.linalg.qr(rng.standard_normal((6, 3)))[0]
    B = X + 0.3 * rng.standard_normal((6, 3))
    U, _, Vt = np.linalg.svd(B, full_matrices=False)
    found, accuracy = settled(optimiser, Stiefel(), X, lambda Y: Y - B)
    assert np.abs(found - U @ Vt).max() <= accuracy


@pytest.mark.parametrize("optimiser", RULES, ids=named)
def test_the_nearest_unit_columns_are_found(optimiser):
    rng = np.random.default_rng(2)
    X = rng.standard_normal((6, 3))
    X /= np.linalg.norm(X, axis=0)
    B = X + 0.3 * rng.standard_normal((6, 3))
    found, accuracy = settled(optimiser, Oblique(), X, lambda Y: Y - B)
    assert np.abs(found - B / np.linalg.norm(B, axis=0)).max() <= accuracy


def test_nothing_is_changed_in_place():
    X, gradient = np.ones((3, 2)), np.full((3, 2), 0.5)
    state = Adam().start(Euclidean(), X)
    Adam().step(Euclidean(), X, gradient, state, 0.1)
    assert (X == 1).all()
    assert (gradient == 0.5).all()
    assert (state["m"] == 0).all()
    assert state["t"] == 0


@pytest.mark.parametrize("optimiser", RULES, ids=named)
def test_float32_stays_float32(optimiser):
    X = np.linalg.qr(np.random.default_rng(3).standard_normal((5, 5)))[0].astype(np.float32)
    *_, (found, state) = run(optimiser, Stiefel(), X, np.ones_like, 0.1, 3)
    assert found.dtype == np.float32
    assert all(array.dtype == np.float32 for name, array in state.items() if name != "t")


def test_unknown_optimisers_are_refused():
    assert set(OPTIMISERS) == {"sgd", "momentum", "adam"}
    with pytest.raises(InvalidParameterError, match="optimiser must be one of"):
        optimiser_class("lbfgs")
