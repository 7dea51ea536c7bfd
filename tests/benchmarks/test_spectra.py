"""Densities of Jacobian spectra at 1000 points and several depths, beside plain programs; integrals of the catalogue.

Every round has parameters of its own, so that nothing is cached; `error` in the extra information is the largest of the
density of ln(lambda) against the exact one of linear networks.
"""

import itertools
import math
import warnings

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import meanfield as mf
from meanfield.activations import CATALOGUE
from meanfield.errors import NonlinearityError
from tests import oracles_spectra as oracle
from tests.spectral_cases import PHASES, spectrum_of, wrong_integrals

POINTS = 1000
DEPTHS = [10, 200, 1000, 10_000]
BEYOND_FLOAT64 = ("beyond double precision", "not finite within reach")


@pytest.fixture(autouse=True)
def _one_thread():
    with threadpool_limits(1):
        yield


def density(phi: str, q: float, depth: int, weights: str) -> np.ndarray:
    """Fixed point, edges, and the density at 1000 points up to the upper one, on the critical line."""
    point = mf.critical_points(phi, q_star=q)[0]
    spectrum = mf.jacobian_spectrum(phi, point.sigma_w, point.sigma_b, depth=depth, weights=weights)
    return spectrum.density(np.linspace(0.0, spectrum.lambda_max, POINTS)[1:])


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
@pytest.mark.parametrize("phi", ["tanh", "hard_tanh", "elu", "sin"])
def test_density(benchmark, phi, weights, depth):
    benchmark.group = f"{POINTS} points of a density, {phi}, {weights}"
    lengths = (0.5 + 1e-4 * i for i in itertools.count())
    benchmark.pedantic(lambda: density(phi, next(lengths), depth, weights), rounds=10, warmup_rounds=1)


def exact_linear(depth: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """lambda and the density of ln(lambda) of linear Gaussian networks, from the top down."""
    t = np.linspace(0.0, math.pi / (depth + 1), count + 2)[1:-1]
    log_sines = (np.log(np.sin((depth + 1) * t)), np.log(np.sin(t)), np.log(np.sin(depth * t)))
    lam = np.exp((depth + 1) * log_sines[0] - log_sines[1] - depth * log_sines[2])
    return lam, np.exp(log_sines[0] + log_sines[1] - log_sines[2]) / math.pi


def by_fixed_points(lam: np.ndarray, depth: int) -> np.ndarray:
    """(1 + m)^(L + 1) = z m by iteration, the way of a short script; it holds for linear Gaussian networks alone."""
    m = np.full(lam.shape, -0.5 - 0.5j)
    for _ in range(10_000):
        before, m = m, (lam * m) ** (1 / (depth + 1)) - 1
        if np.abs(m - before).max() < 1e-12:
            break
    return -m.imag / math.pi


@pytest.mark.parametrize("depth", [10, 200])
@pytest.mark.parametrize("program", ["ours", "fixed points"])
def test_linear_networks(benchmark, program, depth):
    benchmark.group = f"{POINTS} points of a density, linear, gaussian, depth {depth}"
    lam, exact = exact_linear(depth, POINTS)
    scales = (1.0 + 1e-9 * i for i in itertools.count())

    def ours(lam: np.ndarray, depth: int) -> np.ndarray:
        scale = next(scales)
        spectrum = mf.jacobian_spectrum("linear", scale, 0.0, depth=depth, q0=1.0)
        return spectrum.density_of_log(np.log(lam) + 2 * depth * math.log(scale))

    found = benchmark.pedantic({"ours": ours, "fixed points": by_fixed_points}[program], (lam, depth), rounds=5)
    benchmark.extra_info["error"] = float(np.abs(found - exact).max())


@pytest.mark.parametrize("depth", [10, 200])
@pytest.mark.parametrize("program", ["ours", "homotopy"])
def test_plain_sums(benchmark, program, depth):
    """Newton's method on dense Gauss-Legendre sums, from negative z on, at a tenth of the points: multiply by 10."""
    benchmark.group = f"{POINTS // 10} points of a density, tanh, orthogonal, depth {depth}"
    (point,) = mf.critical_points("tanh", q_star=0.3)
    lengths = (0.3 + 1e-9 * i for i in itertools.count())

    def ours(t: np.ndarray) -> np.ndarray:
        spectrum = mf.jacobian_spectrum(
            "tanh", point.sigma_w, point.sigma_b, depth=depth, weights="orthogonal", q0=next(lengths)
        )
        return spectrum.density_of_log(t)

    def homotopy(t: np.ndarray) -> np.ndarray:
        return oracle.density_of_log(t, 0.3, lambda x: 1 / np.cosh(x) ** 2, point.sigma_w, depth, "orthogonal")

    t = np.log(np.linspace(0.3, 3.0, POINTS // 10))
    benchmark.pedantic({"ours": ours, "homotopy": homotopy}[program], (t,), rounds=2)


@pytest.mark.parametrize("phi", CATALOGUE)
def test_whole_catalogue(benchmark, phi):
    """Both ensembles, six depths, three phases: about ten seconds each, for the sake of what it asserts."""
    benchmark.group = "mass, mean and variance"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        wrong = benchmark.pedantic(_wrong_ones, (phi,), rounds=1)
    assert wrong == {}


def _wrong_ones(phi: str) -> dict[tuple[str, int, str], object]:
    found = {}
    for case in itertools.product(PHASES, (1, 2, 3, 10, 100, 1000), ("gaussian", "orthogonal")):
        try:
            spectrum = spectrum_of(phi, *case)
        except NonlinearityError as beyond:  # lengths that grow past the range of float64
            if not any(words in str(beyond) for words in BEYOND_FLOAT64):
                found[case] = str(beyond)
            continue
        wrong = wrong_integrals(spectrum)
        if wrong or not spectrum.cdf_error < 1e-2:
            found[case] = wrong or spectrum.cdf_error
    return found
