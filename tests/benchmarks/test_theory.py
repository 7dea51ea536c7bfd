"""The analytic core, warm, beside scipy.integrate.quad along the same line."""

import math

import numpy as np
import pytest
from scipy import integrate
from threadpoolctl import threadpool_limits

import meanfield as mf

LINE = np.geomspace(1e-3, 100.0, 1000)


@pytest.fixture(autouse=True)
def _one_thread():
    with threadpool_limits(1):
        yield


def _mean(function, q):
    scale = math.sqrt(2 * q)
    return integrate.quad(lambda t: function(scale * t) * math.exp(-t * t) / math.sqrt(math.pi), -9, 9)[0]


def quad_line(lengths):
    """The critical line as research scripts compute it."""
    line = []
    for q in lengths:
        mu_1 = _mean(lambda x: 1 / math.cosh(x) ** 4, q)
        line.append((mu_1**-0.5, math.sqrt(max(q - _mean(lambda x: math.tanh(x) ** 2, q) / mu_1, 0.0))))
    return np.array(line)


@pytest.mark.benchmark(group="critical line, 1000 points")
def test_critical_line(benchmark):
    mf.critical_line("tanh", q_star=LINE)
    line = benchmark(mf.critical_line, "tanh", q_star=LINE)
    assert line.sigma_w.shape == LINE.shape


@pytest.mark.benchmark(group="critical line, 1000 points")
def test_critical_line_by_scipy_quad(benchmark):
    line = benchmark.pedantic(quad_line, (LINE,), rounds=1)
    ours = mf.critical_line("tanh", q_star=LINE)
    np.testing.assert_allclose(ours.sigma_w, line[:, 0], rtol=1e-6)


@pytest.mark.benchmark(group="critical line given sigma_b, 1000 points")
def test_critical_line_given_sigma_b(benchmark):
    values = np.linspace(0.01, 2.0, 1000)
    mf.critical_line("tanh", sigma_b=values)
    line = benchmark(mf.critical_line, "tanh", sigma_b=values)
    assert np.isfinite(line.q_star).all()


# Fresh values every call: a cached answer would time the cache.
@pytest.mark.benchmark(group="one point")
@pytest.mark.parametrize("phi", ["tanh", "silu", "hard_tanh", "sin(x)/(1+abs(x))"])
def test_critical_point(benchmark, phi):
    values = iter(np.linspace(0.8, 1.2, 1_000_000))
    mf.critical_point(phi, sigma_b=1.0)
    benchmark.pedantic(lambda: mf.critical_point(phi, sigma_b=float(next(values))), rounds=200, warmup_rounds=5)


@pytest.mark.benchmark(group="one point")
@pytest.mark.parametrize("point", [("tanh", 1.3, 0.3), ("tanh", 2.5, 0.3), ("hard_tanh", 2.0, 0.2)], ids=str)
def test_fixed_point(benchmark, point):
    phi, sigma_w, sigma_b = point
    values = iter(np.linspace(sigma_w, 1.05 * sigma_w, 1_000_000))
    mf.fixed_point(phi, sigma_w, sigma_b)
    benchmark.pedantic(lambda: mf.fixed_point(phi, float(next(values)), sigma_b), rounds=100, warmup_rounds=5)


@pytest.mark.benchmark(group="first use")
@pytest.mark.parametrize("slope", [0.1, 0.2])
def test_first_critical_point_of_an_expression(benchmark, slope):
    """Nothing cached: parsing, sympy's derivative, tables."""
    counter = iter(range(1_000_000))
    benchmark.pedantic(
        lambda: mf.critical_point(f"tanh(x)+{slope + 1e-6 * next(counter)!r}*sin(x)", sigma_b=0.3), rounds=5
    )
