"""Simulated lengths of 64 networks of width 1000 and depth 50, beside the loop that draws every matrix."""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import verify

WIDTH, DEPTH, NETWORKS, SIGMA_W, SIGMA_B = 1000, 50, 64, 1.5, 0.3


@pytest.fixture(autouse=True)
def _one_thread():
    with threadpool_limits(1):
        yield


def plain_loop(networks: int, seed: int = 0) -> np.ndarray:
    """q per network and layer, drawing every weight."""
    rng = np.random.default_rng(seed)
    lengths = np.empty((networks, DEPTH))
    for network in range(networks):
        h = rng.standard_normal(WIDTH)
        for layer in range(DEPTH):
            lengths[network, layer] = np.mean(h**2)
            weights = rng.standard_normal((WIDTH, WIDTH)) * (SIGMA_W / np.sqrt(WIDTH))
            h = weights @ np.tanh(h) + SIGMA_B * rng.standard_normal(WIDTH)
    return lengths


def simulated(networks: int):
    return verify.simulate(
        "tanh", SIGMA_W, SIGMA_B, depth=DEPTH, networks=networks, widths=(WIDTH,), quantities=("q",), q0=1.0, seed=0
    )


@pytest.mark.benchmark(group="q of 64 networks, width 1000, depth 50")
def test_simulate(benchmark):
    simulated(2)
    benchmark.pedantic(simulated, (NETWORKS,), rounds=2)


@pytest.mark.benchmark(group="q of 64 networks, width 1000, depth 50")
def test_plain_numpy_loop(benchmark):
    """An eighth of the networks, for time's sake: multiply by 8."""
    benchmark.pedantic(plain_loop, (NETWORKS // 8,), rounds=1)
