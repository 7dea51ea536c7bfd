"""Networks: gradients by central differences, the compiled tanh, parametrisation and losses."""

import numpy as np
import pytest

import meanfield as mf
from meanfield.errors import InvalidParameterError
from verify.linearization import linearize
from verify.training.compiled import tanh_with_slope
from verify.training.losses import LOSSES, loss_named
from verify.training.network import COMPILED, Workspace, backward, bend, forward, outputs_of
from verify.training.parameters import Shape, as_layers, draw, layers_of, through_scales

CONTRACTING = Shape(dim=9, width=6, depth=3, outputs=4)
EXPANDING = Shape(dim=4, width=6, depth=3, outputs=4)
SHALLOW = Shape(dim=6, width=6, depth=1, outputs=3)
SHAPES = [CONTRACTING, EXPANDING, SHALLOW]


def drawn(shape, seed=0, weights="orthogonal", dtype="float64", sigma_b=0.2):
    rng = np.random.default_rng(seed)
    return draw(shape, sigma_w=1.3, sigma_b=sigma_b, weights=weights, rng=rng, dtype=dtype)


def batch(shape, samples=7, seed=1):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((samples, shape.dim)), np.eye(shape.outputs)[rng.integers(shape.outputs, size=samples)]


def gradients(shape, blocks, phi, loss, X, Y):
    """By every block of parameters."""
    found = {name: np.full_like(block, np.nan) for name, block in blocks.items()}
    layers = layers_of(shape, blocks)
    passed = forward(layers, phi, X)
    backward(layers, passed, loss.gradient(passed.outputs, Y), as_layers(shape, found))
    through_scales(blocks, found)
    return found


@pytest.mark.parametrize("phi", ["tanh", "silu", "x*exp(-x*x)"])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_equal_central_differences(phi, loss, shape):
    """By every block of parameters, along random directions: the error of the difference falls as t^2."""
    phi, loss = mf.as_nonlinearity(phi), loss_named(loss)
    blocks = drawn(shape)
    blocks["scales"][-1] *= -1  # |scale| counts
    X, Y = batch(shape)

    def moved(name, step):
        at = layers_of(shape, blocks | {name: blocks[name] + step})
        return loss.value(forward(at, phi, X).outputs, Y)

    found = gradients(shape, blocks, phi, loss, X, Y)
    rng = np.random.default_rng(2)
    for name, block in blocks.items():
        if not block.size:
            continue
        direction = rng.standard_normal(block.shape)
        direction /= np.linalg.norm(direction)
        slope = np.vdot(found[name], direction)
        errors = [
            abs((moved(name, t * direction) - moved(name, -t * direction)) / (2 * t) - slope) for t in (4e-3, 4e-4)
        ]
        # Where the loss is a parabola along the direction there is nothing but rounding.
        assert max(errors) <= 1e-10 or abs(np.log10(errors[0] / errors[1]) - 2) <= 0.1, name
        assert errors[1] <= 1e-5


@pytest.mark.parametrize("shape", SHAPES)
def test_backward_is_the_transpose_of_the_directional_derivative(shape):
    """<u, J v> = <J^T u, v>, and J v is the derivative of the forward pass, by the slope of its error."""
    phi = mf.as_nonlinearity("tanh")
    layers = layers_of(shape, drawn(shape))
    X, _ = batch(shape)
    rng = np.random.default_rng(3)
    direction = [(rng.standard_normal(W.shape), rng.standard_normal(b.shape)) for W, b in layers]
    cotangent = rng.standard_normal((len(X), shape.outputs))
    moved = linearize(layers, phi, X).push(direction)
    pulled = backward(layers, forward(layers, phi, X), cotangent)
    inner = sum(np.vdot(dW, V) + np.vdot(db, c) for (dW, db), (V, c) in zip(pulled, direction, strict=True))
    assert abs(np.vdot(cotangent, moved) - inner) <= 1e-12 * abs(inner)

    def outputs(t):
        at = [(W + t * V, b + t * c) for (W, b), (V, c) in zip(layers, direction, strict=True)]
        return forward(at, phi, X).outputs

    errors = [np.linalg.norm((outputs(t) - outputs(-t)) / (2 * t) - moved) for t in (1e-2, 1e-3)]
    assert abs(np.log10(errors[0] / errors[1]) - 2) <= 0.1


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("weights", ["orthogonal", "gaussian"])
def test_what_is_drawn_is_the_law_of_initialize(shape, weights):
    """E W_ij^2 = sigma_w^2/fan_in in every layer; orthogonal points are orthonormal whatever the shape."""
    blocks = drawn(shape, weights=weights)
    layers = layers_of(shape, blocks)
    assert [W.shape for W, _ in layers] == [
        (shape.width, shape.dim),
        *[(shape.width, shape.width)] * (shape.depth - 1),
        (shape.outputs, shape.width),
    ]
    for name in ("first", "hidden"):
        rows, columns = blocks[name].shape[-2:]
        assert rows >= columns
        if weights == "orthogonal" and blocks[name].size:
            assert np.abs(blocks[name].mT @ blocks[name] - np.eye(columns)).max() <= 1e-14
    if weights == "orthogonal":
        for W, _ in layers:
            assert abs(np.mean(W**2) * W.shape[1] / 1.3**2 - 1) <= 1e-13
    squares = [np.mean(layers_of(shape, drawn(shape, seed, weights))[0][0] ** 2) for seed in range(300)]
    error = np.std(squares, ddof=1) / np.sqrt(300)
    assert abs(np.mean(squares) - 1.3**2 / shape.dim) <= 4 * error + 1e-14


def test_an_expanding_first_layer_keeps_the_length_map():
    shape = Shape(dim=50, width=200, depth=1, outputs=2)
    W, b = layers_of(shape, drawn(shape, sigma_b=0.0))[0]
    X = np.random.default_rng(4).standard_normal((20, 50))
    h = X @ W.T + b
    assert np.abs((h**2).mean(axis=1) / (X**2).mean(axis=1) - 1.3**2).max() <= 1e-13


def test_in_batches_is_at_once():
    phi, layers = mf.as_nonlinearity("tanh"), layers_of(CONTRACTING, drawn(CONTRACTING))
    X, _ = batch(CONTRACTING, samples=10)
    room = Workspace(layers, 3, X.dtype)
    assert np.abs(outputs_of(layers, phi, X, room) - forward(layers, phi, X).outputs).max() <= 1e-14


def test_a_workspace_is_used_again():
    """A full batch, a part of one and a full one again: as with fresh arrays."""
    phi, layers = mf.as_nonlinearity("tanh"), layers_of(EXPANDING, drawn(EXPANDING))
    room = Workspace(layers, 7, np.dtype(float))
    for samples, seed in ((7, 1), (3, 2), (7, 3)):
        X, Y = batch(EXPANDING, samples=samples, seed=seed)
        passes = (forward(layers, phi, X, room), forward(layers, phi, X))
        results = [backward(layers, passed, passed.outputs - Y) for passed in passes]
        for (dW, db), (V, c) in zip(*results, strict=True):
            assert np.array_equal(dW, V)
            assert np.array_equal(db, c)


def tanh_of(h, bias):
    value, slope = h.copy(), np.empty_like(h)
    tanh_with_slope(value, bias, slope)
    return value, slope


@pytest.mark.parametrize(("dtype", "ulps"), [("float64", 5), ("float32", 5)])
def test_the_compiled_tanh_is_tanh(dtype, ulps):
    """Against mpmath at 30 digits where it is hard, against numpy's long double elsewhere; slopes too."""
    import mpmath

    eps = np.finfo(dtype).eps
    x = np.concatenate([[0.0], *([s * np.geomspace(1e-30, 40, 400)] for s in (1, -1))], axis=None).astype(dtype)
    value, slope = tanh_of(x[None, :], np.zeros(len(x), dtype))
    with mpmath.workdps(30):
        exact = [(mpmath.tanh(float(v)), mpmath.sech(float(v)) ** 2) for v in x]
        for v, s, (tanh, sech) in zip(value[0], slope[0], exact, strict=True):
            assert abs(float(v) - tanh) <= ulps * eps * abs(tanh)
            assert abs(float(s) - sech) <= ulps * eps * sech


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_compiled_tanh_hides_nothing(dtype):
    h = np.array([[np.nan, np.inf, -np.inf, 1e4, -1e4]], dtype)
    value, slope = tanh_of(h, np.zeros(5, dtype))
    assert np.array_equal(value[0], [np.nan, 1, -1, 1, -1], equal_nan=True)
    assert np.isnan(slope[0, 0])
    assert (slope[0, 1:] <= 1e-37).all()


@pytest.mark.parametrize("phi", COMPILED, ids=lambda phi: phi.name)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_every_compiled_nonlinearity_is_its_own_numpy_form(phi, dtype):
    rng = np.random.default_rng(5)
    h, bias = (3 * rng.standard_normal((50, 8))).astype(dtype), rng.standard_normal(8).astype(dtype)
    eps = np.finfo(dtype).eps
    value, slope = h.copy(), np.empty_like(h)
    bend(phi, value, bias, slope)
    assert value.dtype == slope.dtype == dtype
    assert np.abs(value - phi.function(h + bias)).max() <= 8 * eps
    assert np.abs(slope - phi.derivative(h + bias)).max() <= 8 * eps


@pytest.mark.parametrize("phi", ["relu", "leaky_relu", "erf", "elu", "sin(x)/(1+abs(x))", "hard_tanh", "linear"])
def test_float32_stays_float32(phi):
    blocks = drawn(CONTRACTING, dtype="float32")
    layers = layers_of(CONTRACTING, blocks)
    X, Y = (array.astype(np.float32) for array in batch(CONTRACTING))
    passed = forward(layers, mf.as_nonlinearity(phi), X)
    assert passed.outputs.dtype == np.float32
    for loss in LOSSES.values():
        found = gradients(CONTRACTING, blocks, mf.as_nonlinearity(phi), loss, X, Y)
        assert all(gradient.dtype == np.float32 for gradient in found.values())
        assert all(gradient.shape == blocks[name].shape for name, gradient in found.items())


def test_cross_entropy_of_large_outputs():
    """log-sum-exp by shifting: exact where exp would overflow."""
    loss = loss_named("cross_entropy")
    outputs, targets = np.array([[1000.0, 0.0], [0.0, 1000.0]]), np.array([[1.0, 0.0], [1.0, 0.0]])
    assert loss.value(outputs, targets) == 500.0
    assert np.array_equal(loss.gradient(outputs, targets), [[0.0, 0.0], [-0.5, 0.5]])


def test_unknown_losses_are_refused():
    with pytest.raises(InvalidParameterError, match="loss must be one of"):
        loss_named("hinge")
