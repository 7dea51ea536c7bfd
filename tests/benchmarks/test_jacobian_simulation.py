"""Singular values of one simulated Jacobian, width 400, depth 64, beside the plain numpy program and its own products.

The machine may be shared, so that times of separate runs do not compare: `ratio` in the extra information is the
median over runs that take turns, in processor time, ours over plain numpy, and over our products, draws and SVD alone.
"""

import math
import time

import numpy as np
import pytest
from scipy.linalg import lapack, svdvals
from threadpoolctl import threadpool_limits

import verify
from verify.kernels import Normals, draw_reflectors, random_state

WIDTH, DEPTH, SIGMA_W, SIGMA_B, Q0 = 400, 64, 1.05, 0.05, 0.1
ROUNDS = 9


@pytest.fixture(autouse=True)
def _one_thread():
    with threadpool_limits(1):
        yield


def plain_numpy(weights: str, seed: int) -> np.ndarray:
    """Draw, multiply, numpy's QR with its signs mended for Haar matrices, SVD."""
    rng = np.random.default_rng(seed)
    h = rng.standard_normal(WIDTH) * math.sqrt(Q0)
    jacobian = np.eye(WIDTH)
    for layer in range(DEPTH):
        if weights == "orthogonal":
            Q, R = np.linalg.qr(rng.standard_normal((WIDTH, WIDTH)))
            matrix = SIGMA_W * Q * np.sign(np.diag(R))
        else:
            matrix = rng.standard_normal((WIDTH, WIDTH)) * (SIGMA_W / math.sqrt(WIDTH))
        if layer:
            h = matrix @ np.tanh(h) + SIGMA_B * rng.standard_normal(WIDTH)
        jacobian = ((1 - np.tanh(h) ** 2)[:, None] * matrix) @ jacobian
    return np.linalg.svd(jacobian, compute_uv=False)


def ours(weights: str, seed: int) -> np.ndarray:
    return verify.jacobian_singular_values(
        "tanh", SIGMA_W, SIGMA_B, width=WIDTH, depth=DEPTH, networks=1, weights=weights, q0=Q0, seed=seed
    )


def products_alone(weights: str, seed: int) -> np.ndarray:
    """The draws, the matrix products and the SVD of our program, and nothing else."""
    columns = np.asfortranarray(np.eye(WIDTH, WIDTH + 1))
    if weights == "gaussian":
        columns = np.ascontiguousarray(columns)
        matrix, product = np.empty((WIDTH, WIDTH)), np.empty((WIDTH, WIDTH + 1))
        normals = Normals(np.random.SeedSequence(seed))
        for _ in range(DEPTH):
            normals.standard_normal(matrix.shape, out=matrix)
            np.matmul(matrix, columns, out=product)
        return svdvals(matrix)
    vectors, tau, signs = np.empty((WIDTH, WIDTH)), np.empty(WIDTH), np.empty(WIDTH)
    state = random_state(np.random.SeedSequence(seed))
    for _ in range(DEPTH):
        draw_reflectors(state, vectors, tau, signs)
        lapack.dormqr("L", "N", vectors.T, tau, columns, 64 * (WIDTH + 66), overwrite_c=True)
    return svdvals(columns[:, :-1])


PROGRAMS = {"ours": ours, "plain numpy": plain_numpy, "products alone": products_alone}


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_one_jacobian(benchmark, weights, program):
    benchmark.group = f"Jacobian, width {WIDTH}, depth {DEPTH}, {weights}"
    run = PROGRAMS[program]
    run(weights, 0)
    benchmark.pedantic(run, (weights, 1), rounds=3)


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
@pytest.mark.parametrize("other", ["plain numpy", "products alone"])
def test_ratio_of_runs_that_take_turns(benchmark, weights, other):
    benchmark.group = "ratios"
    ratios = []
    for seed in range(ROUNDS + 1):
        start = time.process_time()
        ours(weights, seed)
        between = time.process_time()
        PROGRAMS[other](weights, seed)
        ratios.append((between - start) / (time.process_time() - between))
    benchmark.extra_info["ratio"] = float(np.median(ratios[1:]))
    benchmark.pedantic(ours, (weights, 0), rounds=1)


@pytest.mark.parametrize("width", [1000, 10000])
@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_the_largest_eigenvalue_alone(benchmark, weights, width):
    benchmark.group = "lambda_max, depth 16"
    benchmark.pedantic(
        lambda: verify.jacobian_lambda_max(
            "tanh", SIGMA_W, SIGMA_B, width=width, depth=16, networks=1, weights=weights, q0=Q0
        ),
        rounds=1,
    )
