"""The layerwise bound and lambda_max on 100 networks of each kind."""

import pytest
from threadpoolctl import threadpool_limits

from tests.layerwise_ratios import Q_STARS, ratios

SEEDS = 100


@pytest.mark.benchmark(group="layerwise bound, 100 networks")
@pytest.mark.parametrize("output", ["linear", "softmax"])
@pytest.mark.parametrize("overlap", [0.0, 0.5])
@pytest.mark.parametrize("q_star", Q_STARS)
def test_layerwise_bound_of_100_networks(benchmark, q_star, overlap, output):
    with threadpool_limits(1):
        found, theory, tops = benchmark.pedantic(ratios, (q_star, overlap, output, SEEDS), rounds=1)
    benchmark.extra_info.update(
        tightest=found.min(),
        loosest=found.max(),
        mean_field=theory.layerwise / tops.mean(),
        paper=theory.paper / tops.mean(),
        covered=theory.covered,
    )
    assert (found >= 1 - 1e-10).all()
    assert theory.covered <= (theory.paper >= tops.mean())
    if q_star <= 1 / 64 and output == "linear":
        assert found.max() <= 1.05
        assert abs(theory.layerwise / tops.mean() - 1) <= 0.25
