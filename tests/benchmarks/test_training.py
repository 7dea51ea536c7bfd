"""One training step beside its matrix products alone, at 32 x 64 and 200 x 400, batch 1000; and beside torch."""

import itertools

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from verify.training.configuration import TrainingConfig
from verify.training.run import Training

SIZES = {"32 x 64": (32, 64), "200 x 400": (200, 400)}
BATCH = 1000


@pytest.fixture(autouse=True)
def _one_thread():
    with threadpool_limits(1):
        yield


def prepared(depth, width, dtype, manifold):
    config = TrainingConfig(
        data="teacher", depth=depth, width=width, dtype=dtype, manifold=manifold, sigma_w=1.05, sigma_b=0.01,
        batch_size=BATCH, fisher_samples=2, jacobian_samples=1,
    )  # fmt: skip
    run = Training(config)
    return run, run.data.train_inputs[:BATCH], run.data.train_targets[:BATCH]


def network_products(depth, width, dtype, dim, outputs):
    """Every product of forward and backward pass, into arrays that are there."""
    rng = np.random.default_rng(0)
    sizes = [dim, *[width] * depth, outputs]
    weights = [rng.standard_normal((m, n)).astype(dtype) for n, m in itertools.pairwise(sizes)]
    activities = [rng.standard_normal((BATCH, n)).astype(dtype) for n in sizes]
    deltas = [np.empty_like(x) for x in activities]
    gradients = [np.empty_like(W.T) for W in weights]

    def products():
        for W, x, y in zip(weights, activities[:-1], deltas[1:], strict=True):
            np.matmul(x, W.T, out=y)
        for k in range(len(weights) - 1, -1, -1):
            np.matmul(activities[k].T, activities[k + 1], out=gradients[k])
            if k:
                np.matmul(activities[k + 1], weights[k], out=deltas[k])

    return products


def manifold_products(depth, width, dtype):
    """Those of a step on the Stiefel manifold: two projections, Y^T Y, its Cholesky factor, and Y R^-1 as a product."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((depth, width, width)).astype(dtype)
    into = np.empty_like(X)
    gram = np.matmul(X.mT, X) + width * np.eye(width, dtype=dtype)

    def products():
        for _ in range(2):
            np.matmul(X.mT, X, out=into)
            np.matmul(X, into, out=into)
        np.matmul(X.mT, X, out=into)
        np.linalg.cholesky(gram)
        np.matmul(X, gram, out=into)

    return products


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "what", ["products alone", "euclidean step", "stiefel step", "stiefel products", "oblique step"]
)
def test_training_step(benchmark, size, dtype, what):
    benchmark.group = f"training step, {size}, batch {BATCH}, {dtype}"
    depth, width = SIZES[size]
    rounds = 20 if width == 64 else 3
    run, inputs, targets = prepared(depth, width, dtype, what.split()[0] if "step" in what else "euclidean")
    if "step" in what:
        benchmark.pedantic(lambda: run.step(inputs, targets), rounds=rounds, warmup_rounds=1)
        return
    network = network_products(depth, width, dtype, run.shape.dim, run.shape.outputs)
    manifold = manifold_products(depth, width, dtype) if what == "stiefel products" else lambda: None

    def products():
        network()
        manifold()

    benchmark.pedantic(products, rounds=rounds, warmup_rounds=1)


@pytest.mark.parametrize("size", SIZES)
def test_torch_step(benchmark, size):
    """The same network and Adam in torch on one thread, float32."""
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    benchmark.group = f"training step, {size}, batch {BATCH}, float32"
    depth, width = SIZES[size]
    sizes = [64, *[width] * depth]
    layers = [part for n, m in itertools.pairwise(sizes) for part in (torch.nn.Linear(n, m), torch.nn.Tanh())]
    model = torch.nn.Sequential(*layers, torch.nn.Linear(width, 10))
    optimiser = torch.optim.Adam(model.parameters())
    x, y = torch.randn(BATCH, 64), torch.randint(10, (BATCH,))

    def step():
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(model(x), y).backward()
        optimiser.step()

    benchmark.pedantic(step, rounds=20 if width == 64 else 3, warmup_rounds=1)
