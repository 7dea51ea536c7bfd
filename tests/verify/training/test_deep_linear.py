"""The training code against Saxe's closed-form trajectories of deep linear networks."""

import itertools

import numpy as np
import pytest
from scipy.integrate import quad

from meanfield.errors import InvalidParameterError
from verify.training.configuration import TrainingConfig
from verify.training.deep_linear import mode_strength, mode_time
from verify.training.run import Training


@pytest.mark.parametrize("layers", [1, 2, 3, 4, 7, 33])
@pytest.mark.parametrize(("start", "target"), [(0.01, 1.0), (0.5, 3.0), (1.0, 1.5), (1e-3, 0.1)])
def test_times_are_the_integral(layers, start, target):
    for u in (0.5 * (start + target), target * (1 - 1e-3)):
        exact = quad(lambda v: 1 / (layers * v ** (2 - 2 / layers) * (target - v)), start, u, epsrel=1e-12, limit=500)[
            0
        ]
        found = mode_time(u, start=start, target=target, layers=layers)
        assert abs(found / exact - 1) <= 1e-9
        assert abs(mode_strength(found, start=start, target=target, layers=layers) / u - 1) <= 1e-9


def test_two_layers_are_the_logistic():
    t = np.linspace(0, 10, 21)
    exact = 2.0 * np.exp(4 * t) / (np.exp(4 * t) - 1 + 2.0 / 0.1)
    assert np.abs(mode_strength(t, start=0.1, target=2.0, layers=2) - exact).max() <= 1e-12


def test_a_mode_arrives():
    assert mode_strength(1e6, start=0.1, target=2.0, layers=3) == 2.0
    assert mode_strength(0.0, start=0.1, target=2.0, layers=3) == pytest.approx(0.1, abs=1e-15)


def test_strengths_out_of_order_are_refused():
    for u, start, target in [(0.5, 0.6, 1.0), (1.0, 0.5, 1.0), (0.5, 0.0, 1.0), (0.5, 0.4, 0.3)]:
        with pytest.raises(InvalidParameterError):
            mode_time(u, start=start, target=target, layers=2)


def orthonormal(rng, rows, columns):
    return np.linalg.qr(rng.standard_normal((rows, columns)))[0]


def whitened_task(rng, samples, dim, outputs, strengths):
    """Inputs with mean 0 and E x x^T = 1, and y = T x with the singular values `strengths`."""
    columns = np.column_stack([np.ones(samples), rng.standard_normal((samples, dim))])
    X = np.sqrt(samples) * np.linalg.qr(columns)[0][:, 1:]
    left, right = orthonormal(rng, outputs, len(strengths)), orthonormal(rng, dim, len(strengths))
    return X, X @ (left * strengths @ right.T).T, left, right


def balanced(run, rng, left, right, strengths):
    """Weights whose product is left diag(u) right^T, every layer with the singular values u^(1/D)."""
    each = np.asarray(strengths) ** (1 / (run.shape.depth + 1))
    frames = [right, *(orthonormal(rng, run.shape.width, len(each)) for _ in range(run.shape.depth)), left]
    weights = [(after * each) @ before.T for before, after in itertools.pairwise(frames)]
    run.blocks["first"] = weights[0].T.copy()
    run.blocks["hidden"] = np.array([W.T for W in weights[1:-1]]).reshape(run.blocks["hidden"].shape)
    run.blocks["readout"] = weights[-1].copy()


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_training_follows_the_trajectories(depth):
    """Gradient descent at a small rate on squared loss, to 1 % of the strengths at all times."""
    targets, starts = np.array([3.0, 2.0, 1.2]), np.array([0.5, 0.3, 0.2])
    rate, layers = 2e-3, depth + 1
    config = TrainingConfig(
        phi="linear", sigma_w=1.0, sigma_b=0.0, manifold="euclidean", depth=depth, width=12, data="teacher",
        loss="squared", optimiser="sgd", rate=rate, readout_rate=rate, scale_rate=0.0,
    )  # fmt: skip
    run = Training(config)
    rng = np.random.default_rng(depth)
    X, Y, left, right = whitened_task(rng, 80, run.shape.dim, run.shape.outputs, targets)
    balanced(run, rng, left, right, starts)
    end = mode_time(0.95 * targets, start=starts, target=targets, layers=layers).max()
    steps = int(end / rate)
    worst = 0.0
    for number in range(1, steps + 1):
        assert run.step(X, Y)
        if number % 50 == 0:
            product = np.linalg.multi_dot([W for W, _ in run.layers()][::-1])
            strengths = np.diag(left.T @ product @ right)
            exact = mode_strength(number * rate, start=starts, target=targets, layers=layers)
            worst = max(worst, np.abs(strengths / exact - 1).max())
    assert steps >= 300
    assert worst <= 0.01


def test_a_wrong_depth_is_seen():
    """The trajectories of depths 2 and 3 differ by far more than 1 %."""
    two, three = (mode_strength(0.3, start=0.3, target=2.0, layers=layers) for layers in (2, 3))
    assert abs(two / three - 1) >= 0.05
