"""Top Fisher eigenvalue of 10 x 200 tanh, 10 outputs, 1000 samples, beside plain numpy Lanczos and torch.func."""

import itertools
import math

import numpy as np
import pytest
from scipy.sparse.linalg import LinearOperator, eigsh
from threadpoolctl import threadpool_limits

import verify

DEPTH, WIDTH, OUTPUTS, SAMPLES = 10, 200, 10, 1000
TOLERANCE = 1e-8
GROUP = "top Fisher eigenvalue, 10 x 200 tanh, 10 outputs, 1000 samples"


@pytest.fixture(autouse=True)
def _one_thread():
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    layers = []
    for fan_in, fan_out in itertools.pairwise([WIDTH] * (DEPTH + 1) + [OUTPUTS]):
        layers.append((1.2 * rng.standard_normal((fan_out, fan_in)) / math.sqrt(fan_in), 0.1 * np.ones(fan_out)))
    X = rng.standard_normal((SAMPLES, WIDTH))
    exact = verify.top_eigenvalues(layers, "tanh", X, tolerance=1e-12).values[0]
    return layers, X, exact


@pytest.mark.benchmark(group=GROUP)
def test_ours(benchmark, problem):
    layers, X, exact = problem
    found = benchmark.pedantic(
        lambda: verify.top_eigenvalues(layers, "tanh", X, tolerance=TOLERANCE), rounds=5, warmup_rounds=1
    )
    benchmark.extra_info["products"] = found.products
    assert abs(found.values[0] / exact - 1) <= 1e-8


class PlainFisher:
    """G v in parameter space, as one writes it down: a forward pass and a backward pass."""

    def __init__(self, layers, X):
        self.layers, self.states, self.slopes = layers, [X], []
        for W, b in layers[:-1]:
            self.states.append(np.tanh(self.states[-1] @ W.T + b))
            self.slopes.append(1 - self.states[-1] ** 2)
        self.sizes = [W.size + b.size for W, b in layers]

    def forward(self, v):
        moved = 0.0
        for layer, ((W, _), part) in enumerate(zip(self.layers, np.split(v, np.cumsum(self.sizes)[:-1]), strict=True)):
            dW, db = part[: W.size].reshape(W.shape), part[W.size :]
            moved = (moved @ W.T if layer else 0.0) + self.states[layer] @ dW.T + db
            if layer < len(self.slopes):
                moved = moved * self.slopes[layer]
        return moved

    def __call__(self, v):
        back, gradients = self.forward(v) / SAMPLES, []
        for layer in range(len(self.layers) - 1, -1, -1):
            gradients.append(np.concatenate([(back.T @ self.states[layer]).ravel(), back.sum(axis=0)]))
            if layer:
                back = (back @ self.layers[layer][0]) * self.slopes[layer - 1]
        return np.concatenate(gradients[::-1])


def plain_lanczos(layers, X, tolerance):
    """Lanczos with full reorthogonalisation, which stops as soon as the residual allows."""
    product = PlainFisher(layers, X)
    v = np.random.default_rng(1).standard_normal(sum(product.sizes))
    basis, diagonal, off = [v / np.linalg.norm(v)], [], []
    while True:
        w = product(basis[-1])
        diagonal.append(float(w @ basis[-1]))
        Q = np.array(basis)
        for _ in range(2):
            w -= Q.T @ (Q @ w)
        off.append(float(np.linalg.norm(w)))
        T = np.diag(diagonal) + np.diag(off[:-1], 1) + np.diag(off[:-1], -1)
        values, vectors = np.linalg.eigh(T)
        if off[-1] * abs(vectors[-1, -1]) <= tolerance * values[-1]:
            return values[-1]
        basis.append(w / off[-1])


@pytest.mark.benchmark(group=GROUP)
def test_plain_numpy_lanczos(benchmark, problem):
    layers, X, exact = problem
    found = benchmark.pedantic(lambda: plain_lanczos(layers, X, TOLERANCE), rounds=5, warmup_rounds=1)
    assert abs(found / exact - 1) <= 1e-8


@pytest.mark.benchmark(group=GROUP)
def test_torch_func_and_eigsh(benchmark, problem):
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    layers, X, exact = problem
    parameters = {
        f"{name}{number}": torch.from_numpy(array)
        for number, layer in enumerate(layers)
        for name, array in zip("Wb", layer, strict=True)
    }
    inputs = torch.from_numpy(X)

    def outputs(parameters):
        x = inputs
        for number in range(len(layers)):
            x = x @ parameters[f"W{number}"].T + parameters[f"b{number}"]
            if number < DEPTH:
                x = torch.tanh(x)
        return x

    sizes = [tensor.numel() for tensor in parameters.values()]

    def product(v):
        parts = torch.split(torch.from_numpy(np.ascontiguousarray(v.ravel())), sizes)
        direction = {
            name: part.reshape(tensor.shape) for (name, tensor), part in zip(parameters.items(), parts, strict=True)
        }
        _, moved = torch.func.jvp(outputs, (parameters,), (direction,))
        (gradient,) = pulled(moved / SAMPLES)
        return torch.cat([gradient[name].ravel() for name in parameters]).numpy()

    def top():
        nonlocal pulled
        _, pulled = torch.func.vjp(outputs, parameters)
        operator = LinearOperator((sum(sizes),) * 2, matvec=product, dtype=np.float64)
        return eigsh(operator, k=1, which="LA", tol=TOLERANCE, v0=np.ones(sum(sizes)), return_eigenvectors=False)[0]

    pulled = None
    found = benchmark.pedantic(top, rounds=5, warmup_rounds=1)
    assert abs(found / exact - 1) <= 1e-8
