"""A phase diagram of 201 x 101 cells, all fields, beside the solver of single points, cell by cell."""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import meanfield as mf

SIGMA_W, SIGMA_B = np.linspace(0.3, 4.0, 201), np.linspace(0.0, 1.0, 101)
PHIS = ["tanh", "relu", "gelu", "silu", "sigmoid", "sin", "hard_tanh", "sin(x)/(1+abs(x))"]


@pytest.fixture(autouse=True)
def _one_thread():
    with threadpool_limits(1):
        yield


def cell_by_cell(phi, columns, rows):
    found = []
    for sigma_b in rows:
        for sigma_w in columns:
            try:
                found.append(mf.fixed_point(phi, sigma_w, sigma_b))
            except mf.NoFixedPointError:
                found.append(None)
    return found


@pytest.mark.benchmark(group="phase diagram, 201 x 101")
@pytest.mark.parametrize("phi", PHIS)
def test_phase_diagram(benchmark, phi):
    diagram = benchmark.pedantic(mf.phase_diagram, (phi, SIGMA_W, SIGMA_B), rounds=3, warmup_rounds=1)
    assert diagram.q_star.shape == (101, 201)


@pytest.mark.benchmark(group="phase diagram of tanh, growth with its cells")
@pytest.mark.parametrize("factor", [1, 2, 4])
def test_growth(benchmark, factor):
    columns = np.linspace(0.3, 4.0, 201 * factor)
    benchmark.pedantic(mf.phase_diagram, ("tanh", columns, SIGMA_B), rounds=2, warmup_rounds=1)


@pytest.mark.benchmark(group="phase diagram, 201 x 101")
@pytest.mark.parametrize("phi", PHIS)
def test_single_points(benchmark, phi):
    """A hundredth of the cells, for time's sake: multiply by 100."""
    benchmark.pedantic(cell_by_cell, (phi, SIGMA_W[5::10], SIGMA_B[5::10]), rounds=1)


@pytest.mark.benchmark(group="phase diagram, first use")
@pytest.mark.parametrize("phi", ["tanh", "hard_tanh", "sin(x)/(1+abs(x))"])
def test_first_use(benchmark, phi):
    """Nothing cached: a new Nonlinearity each round."""
    known = mf.as_nonlinearity(phi)

    def fresh():
        new = mf.Nonlinearity(name=known.name, function=known.function, derivative=known.derivative, kinks=known.kinks)
        return mf.phase_diagram(new, SIGMA_W, SIGMA_B)

    benchmark.pedantic(fresh, rounds=1)
