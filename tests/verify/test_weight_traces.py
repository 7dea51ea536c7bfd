"""The mean diagonal of weight matrices: its law, and the wrong ensembles that it and the Jacobian find out."""

import math
from dataclasses import replace

import numpy as np
import pytest

import verify
from verify.networks import RAW_FACTOR, layer_weights
from verify.settings import checked_setting
from verify.weight_traces import PROBES, measure
from verify.wrong_theories import wrong_networks

POINT = ("tanh", 1.5, 0.3)


def setting(weights, quantities=("trace",), depth=4, method="sampled"):
    given = {"depth": depth, "weights": weights, "quantities": quantities, "q0": 1.0, "c0": 0.5, "lengths": "free"}
    return checked_setting(*POINT, **given, method=method)


@pytest.mark.parametrize("method", ["sampled", "matrices"])
@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_mean_and_variance_are_those_of_independent_entries(weights, method):
    """U^T W U of a Gaussian W has independent entries N(0, sigma_w^2/width); that of a Haar one nearly."""
    width, count = 40, 300
    items = [(width, np.random.SeedSequence((7, number))) for number in range(count)]
    found = np.array([measure(setting(weights, method=method), item)["trace"][0] for item in items])
    variance = 1 / (PROBES * width * 4)
    assert abs(found.mean()) <= 4 * math.sqrt(variance / count)
    assert abs(found.var(ddof=1) / variance - 1) <= 4 * math.sqrt(2 / count) + 1 / width


def test_raw_factors_have_the_law_of_numpys():
    """W of the control against Q of numpy.linalg.qr: the mean and spread of every diagonal entry."""
    width, count = 6, 4000
    law = replace(setting("orthogonal").law, method=RAW_FACTOR, sigma_w=1.0)
    seeds = np.random.SeedSequence(3).spawn(count)
    ours = np.array([np.diagonal(layer_weights(law, width, seed).forward(np.eye(width))) for seed in seeds])
    rng = np.random.default_rng(4)
    numpys = np.array([np.diagonal(np.linalg.qr(rng.standard_normal((width, width)))[0]) for _ in range(count)])
    for power in (1, 2):
        left, right = ours**power, numpys**power
        error = np.sqrt((left.var(axis=0) + right.var(axis=0)) / count)
        assert np.all(np.abs(left.mean(axis=0) - right.mean(axis=0)) <= 4.5 * error)
    assert ours.mean() <= -0.1


def test_raw_factors_are_a_control_where_they_show():
    (raw,) = wrong_networks(setting("orthogonal", ("q", "trace"))).values()
    assert raw.quantities == ("trace",)
    assert wrong_networks(setting("gaussian")) == wrong_networks(setting("orthogonal", "q")) == {}


RUNS = {"runs": 10, "sigma_w_errors": (), "sigma_b_errors": ()}
BUDGET = {
    "mean_log_sigma": {"depth": 4, "widths": (50, 100), "networks": 16},
    "jacobian_moment": {"depth": 4, "widths": (80, 240), "networks": 64},
}


def rate_of(name, found):
    assert found.false_alarms <= found.band[1]
    (rate,) = (each.rate for each in found.alternatives if each.name == name)
    return rate


def test_raw_factors_are_rejected_in_nine_of_ten_runs():
    budget = {**RUNS, "depth": 5, "widths": (60, 120), "networks": 32}
    found = verify.calibrate(*POINT, **budget, weights="orthogonal", quantities="trace")
    assert rate_of("a QR factor without random signs for a Haar matrix", found) >= 0.9


@pytest.mark.parametrize("quantity", BUDGET)
@pytest.mark.parametrize(("weights", "other"), [("gaussian", "orthogonal"), ("orthogonal", "gaussian")])
def test_the_law_of_the_other_ensemble_is_rejected_in_nine_of_ten_runs(weights, other, quantity):
    found = verify.calibrate(*POINT, **RUNS, **BUDGET[quantity], weights=weights, quantities=quantity)
    assert rate_of(f"the law of {other} weights", found) >= 0.9
