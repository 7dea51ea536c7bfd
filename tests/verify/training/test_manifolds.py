"""Manifolds: defining properties, agreement with pymanopt, and thousands of steps that stay where they should."""

import numpy as np
import pymanopt.manifolds
import pytest

from meanfield.errors import InvalidParameterError
from verify.training.manifolds import MANIFOLDS, Euclidean, Oblique, Stiefel, manifold_class

SHAPES = [(5, 5), (8, 3), (7, 1), (1, 1)]
CONSTRAINED = [Stiefel(), Oblique()]
ALL = [Euclidean(), *CONSTRAINED]


def named(manifold):
    return manifold.name


def point(manifold, shape, seed=0, stack=()):
    Z = np.random.default_rng(seed).standard_normal((*stack, *shape))
    if isinstance(manifold, Stiefel):
        return np.linalg.qr(Z)[0]
    return Z / np.linalg.norm(Z, axis=-2, keepdims=True) if isinstance(manifold, Oblique) else Z


def tangent(manifold, X, seed=1, length=1.0):
    U = manifold.project(X, np.random.default_rng(seed).standard_normal(X.shape))
    return length * U / max(np.linalg.norm(U), 1e-300)


def oracle(manifold, shape):
    return pymanopt.manifolds.Stiefel(*shape) if isinstance(manifold, Stiefel) else pymanopt.manifolds.Oblique(*shape)


@pytest.mark.parametrize("manifold", CONSTRAINED, ids=named)
@pytest.mark.parametrize("shape", SHAPES)
def test_projection_and_exponential_are_pymanopts(manifold, shape):
    known = oracle(manifold, shape)
    X = point(manifold, shape)
    Z = np.random.default_rng(3).standard_normal(shape)
    U = manifold.project(X, Z)
    assert np.abs(U - known.projection(X, Z)).max() <= 1e-14
    assert np.abs(manifold.exponential(X, U) - known.exp(X, U)).max() <= 1e-13
    Y = manifold.retract(X, U)
    assert np.abs(manifold.transport(Y, U) - known.transport(X, Y, U)).max() <= 1e-14


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("length", [1e-8, 0.1, 1.0, 50.0])
def test_the_stiefel_retraction_is_pymanopts_at_every_length(shape, length):
    """Short steps go through Cholesky's factor, long ones through Householder's: the same Q."""
    manifold = Stiefel()
    X = point(manifold, shape)
    U = tangent(manifold, X, length=length)
    assert np.abs(manifold.retract(X, U) - oracle(manifold, shape).retraction(X, U)).max() <= 1e-14


@pytest.mark.parametrize("manifold", ALL, ids=named)
@pytest.mark.parametrize("shape", SHAPES)
def test_projection_is_orthogonal_and_onto_the_tangent_space(manifold, shape):
    X = point(manifold, shape)
    Z = np.random.default_rng(4).standard_normal(shape)
    U = manifold.project(X, Z)
    assert np.abs(manifold.project(X, U) - U).max() <= 1e-14
    assert abs(np.vdot(Z - U, tangent(manifold, X))) <= 1e-14
    if isinstance(manifold, Stiefel):
        assert np.abs(X.T @ U + U.T @ X).max() <= 1e-14
    if isinstance(manifold, Oblique):
        assert np.abs((X * U).sum(axis=0)).max() <= 1e-14


@pytest.mark.parametrize("manifold", ALL, ids=named)
@pytest.mark.parametrize("shape", [(5, 5), (8, 3)])
def test_retractions_agree_with_geodesics_to_first_order(manifold, shape):
    """|R(tU) - exp(tU)| = O(t^2), by its slope, and both start with velocity U."""
    X = point(manifold, shape)
    U = tangent(manifold, X)
    gaps = [np.linalg.norm(manifold.retract(X, t * U) - manifold.exponential(X, t * U)) + 1e-300 for t in (1e-2, 1e-3)]
    assert max(gaps) <= 1e-14 or np.log10(gaps[0] / gaps[1]) >= 1.8
    errors = [np.linalg.norm(manifold.exponential(X, t * U) - X - t * U) + 1e-300 for t in (1e-2, 1e-3)]
    assert max(errors) <= 1e-14 or abs(np.log10(errors[0] / errors[1]) - 2) <= 0.1


@pytest.mark.parametrize("manifold", ALL, ids=named)
def test_geodesics_have_constant_speed_and_can_be_cut_in_two(manifold):
    """exp_X(U) = exp_Y(V) with Y the midpoint and V the velocity there, found by differences; |V| = |U|/2."""
    X = point(manifold, (6, 3))
    U = tangent(manifold, X)
    half, step = manifold.exponential(X, 0.5 * U), 1e-5
    velocity = (manifold.exponential(X, (0.5 + step) * U) - manifold.exponential(X, (0.5 - step) * U)) / (2 * step)
    assert abs(np.linalg.norm(velocity) - 1) <= 1e-9
    there = manifold.exponential(half, 0.5 * manifold.project(half, velocity))
    assert np.abs(there - manifold.exponential(X, U)).max() <= 1e-9


@pytest.mark.parametrize("manifold", CONSTRAINED, ids=named)
@pytest.mark.parametrize(("shape", "stack"), [((8, 8), ()), ((9, 4), (3,))])
def test_ten_thousand_steps_stay_on_the_manifold(manifold, shape, stack):
    rng = np.random.default_rng(5)
    X = point(manifold, shape, stack=stack)
    worst = 0.0
    for number in range(10_000):
        length = 10.0 ** rng.uniform(-4, 1)
        U = manifold.project(X, rng.standard_normal(X.shape))
        X = manifold.retract(X, length * U / np.linalg.norm(U))
        if number % 100 == 99:
            worst = max(worst, manifold.off_manifold(X))
    assert worst <= 1e-12


@pytest.mark.parametrize("manifold", ALL, ids=named)
def test_a_stack_is_its_matrices(manifold):
    X = point(manifold, (6, 4), stack=(3,))
    U = manifold.project(X, np.random.default_rng(6).standard_normal(X.shape))
    pieces = [manifold.project(x, u) for x, u in zip(X, U, strict=True)]
    assert np.abs(U - pieces).max() <= 1e-14
    for method in (manifold.retract, manifold.exponential):
        assert np.abs(method(X, U) - [method(x, u) for x, u in zip(X, U, strict=True)]).max() <= 1e-13
    squares = manifold.mean_square(U)
    assert np.abs(np.broadcast_to(squares, U.shape)[1] - manifold.mean_square(U[1])).max() <= 1e-14


@pytest.mark.parametrize("manifold", CONSTRAINED, ids=named)
def test_dividing_by_the_components_stays_tangent(manifold):
    """What Adam does to a direction; by single entries it would leave the tangent space."""
    X = point(manifold, (6, 4))
    U = tangent(manifold, X)
    assert abs(np.mean(manifold.mean_square(U)) - np.mean(U**2)) <= 1e-16
    inside, outside = U / np.sqrt(manifold.mean_square(U)), U / np.sqrt(U * U + 0.1)
    assert np.abs(manifold.project(X, inside) - inside).max() <= 1e-14
    assert np.abs(manifold.project(X, outside) - outside).max() >= 1e-3


@pytest.mark.parametrize("manifold", ALL, ids=named)
def test_float32_stays_float32(manifold):
    X = point(manifold, (6, 4)).astype(np.float32)
    U = manifold.project(X, np.ones_like(X))
    for array in (U, manifold.retract(X, U), manifold.exponential(X, U), manifold.mean_square(U)):
        assert array.dtype == np.float32
    assert manifold.off_manifold(manifold.retract(X, U)) <= 1e-6


def test_the_penalty_gradient_is_the_slope_of_the_penalty():
    """(omega/2) |X^T X - I|^2 along a geodesic, by central differences whose error falls as t^2."""
    omega, X = 0.7, point(Oblique(), (6, 4))
    U = tangent(Oblique(), X)

    def penalty(Y):
        return 0.5 * omega * np.sum((Y.T @ Y - np.eye(4)) ** 2)

    slope = np.vdot(Oblique(penalty=omega).gradient(X, np.zeros_like(X)), U)
    errors = [
        abs((penalty(Oblique().exponential(X, t * U)) - penalty(Oblique().exponential(X, -t * U))) / (2 * t) - slope)
        for t in (1e-2, 1e-3)
    ]
    assert abs(np.log10(errors[0] / errors[1]) - 2) <= 0.1


def test_the_penalty_leaves_orthonormal_columns_alone():
    X = point(Stiefel(), (6, 4))
    assert np.abs(Oblique(penalty=1.0).gradient(X, np.zeros_like(X))).max() <= 1e-14


def test_the_clip_shortens_long_columns_only():
    X = point(Oblique(), (6, 2))
    U = Oblique().project(X, np.random.default_rng(7).standard_normal((6, 2)) * [1e-3, 10.0])
    clipped = Oblique(clip=0.1).gradient(X, U)
    assert np.allclose(clipped[:, 0], U[:, 0])
    assert abs(np.linalg.norm(clipped[:, 1]) - 0.1) <= 1e-15
    assert abs(np.vdot(clipped[:, 1], U[:, 1]) / (0.1 * np.linalg.norm(U[:, 1])) - 1) <= 1e-14


def test_a_column_at_rest_stays():
    X = point(Oblique(), (6, 2))
    assert np.array_equal(Oblique().exponential(X, np.zeros_like(X)), X / np.linalg.norm(X, axis=0))


def test_unknown_manifolds_are_refused():
    assert set(MANIFOLDS) == {"euclidean", "stiefel", "oblique"}
    with pytest.raises(InvalidParameterError, match="manifold must be one of"):
        manifold_class("sphere")
