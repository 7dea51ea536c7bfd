"""Depth scales fitted from decays: the fit, its jackknife, predictions with honest bounds, and verdicts."""

import math

import numpy as np
import pytest

import meanfield as mf
import verify
from verify.decay import depth_scale, depth_scales_by_network, log_slope
from verify.settings import checked_setting
from verify.wrong_theories import off_by

RATES = np.array([0.9, 0.3, -0.5, 1.2])


def test_geometric_decays_are_found_exactly():
    paths = 0.4 + 0.7 * RATES[:, None] ** np.arange(6)
    assert np.abs(log_slope(paths) - np.log(np.abs(RATES))).max() <= 1e-13
    assert np.abs(depth_scale(paths) * np.log(np.abs(RATES)) + 1).max() <= 1e-12
    assert math.isnan(log_slope(np.ones(5)))


def noisy_paths(rng, networks, layers=6, rate=0.7, noise=0.05):
    """x^{l+1} = 1 + rate (x^l - 1) + noise, from x^1 = 2."""
    paths = np.full((networks, layers), 2.0)
    for layer in range(1, layers):
        paths[:, layer] = 1 + rate * (paths[:, layer - 1] - 1) + noise * rng.standard_normal(networks)
    return paths


def test_the_jackknife_leaves_out_one_network_at_a_time():
    paths = noisy_paths(np.random.default_rng(1), 7)
    pairs = np.array([paths, 3 - 2 * paths]).transpose(1, 0, 2)
    found = -1 / depth_scales_by_network(pairs)
    assert found.shape == (7, 2)

    def fitted(values):
        mean = values.mean(axis=0)
        return math.log(np.polyfit(mean[:-1], mean[1:], 1)[0])

    for network in range(7):
        expected = 7 * fitted(paths) - 6 * fitted(np.delete(paths, network, axis=0))
        assert np.abs(found[network] - expected).max() <= 1e-12


def test_its_standard_errors_are_those_of_repeated_samples():
    rng = np.random.default_rng(2)
    repeats, networks = 400, 24
    values = np.array([-1 / depth_scales_by_network(noisy_paths(rng, networks, noise=0.2)) for _ in range(repeats)])
    means, claimed = values.mean(axis=1), values.std(axis=1, ddof=1) / math.sqrt(networks)
    spread = means.std(ddof=1)
    assert abs(means.mean() - math.log(0.7)) <= 4 * spread / math.sqrt(repeats) + 0.1 * spread
    assert abs(np.sqrt(np.mean(claimed**2)) / spread - 1) <= 0.15


def test_lengths_of_relu_networks_decay_by_half_the_variance():
    """q -> sigma_w^2 q/2 + sigma_b^2 exactly, so that lengths decay geometrically from everywhere."""
    settings = {"depth": 6, "quantities": "xi_q", "q0": 3.0}
    prediction = verify.predict("relu", 1.1, 0.3, **settings)
    expected = -1 / math.log(1.1**2 / 2)
    assert abs(prediction.values["xi_q"][0] - expected) <= prediction.errors["xi_q"][0] + 1e-14
    assert prediction.errors["xi_q"][0] <= 1e-10
    report = verify.check("relu", 1.1, 0.3, widths=(100, 200, 400), networks=48, **settings)
    (check,) = report.checks
    assert report.passed, report.verdict
    assert abs(check.estimate - expected) <= 4 * check.standard_error
    assert check.standard_error <= 0.1 * expected


def test_predictions_are_the_depth_scales_of_the_fixed_point():
    point = mf.fixed_point("tanh", 0.9, 0.3)
    prediction = verify.predict(
        "tanh", 0.9, 0.3, depth=7, quantities=("xi_q", "xi_c"), q0=1.1 * point.q_star, c0=(0.8, 0.95)
    )
    assert prediction.values["xi_q"].tolist() == [point.xi_q]
    assert prediction.values["xi_c"].tolist() == [point.xi_c] * 2
    path = mf.propagate("tanh", 0.9, 0.3, depth=7, q0=1.1 * point.q_star, c0=[0.8, 0.95])
    for name, given in (("xi_q", path.q[None]), ("xi_c", path.c)):
        for own, value, error in zip(given, prediction.values[name], prediction.errors[name], strict=True):
            fitted = -1 / math.log(np.polyfit(own[:-1], own[1:], 1)[0])
            assert abs(fitted - value) <= error + 1e-10 <= 0.16 * value


ONLY_DECAY = checked_setting(
    "tanh", 0.9, 0.3, depth=6, weights="gaussian", quantities="xi_c", q0=0.2167, c0=(0.8, 0.9), lengths="free"
)
SETTINGS = {"depth": 6, "q0": 0.2167, "c0": (0.8, 0.9), "quantities": ("xi_c",)}


def test_right_depth_scales_pass_and_wrong_ones_fail_in_nine_of_ten_runs():
    right = verify.predict("tanh", 0.9, 0.3, **SETTINGS)
    wrong = verify.predict("tanh", 0.75, 0.3, **{**SETTINGS, "q0": mf.fixed_point("tanh", 0.75, 0.3).q_star})
    passed, rejected = 0, 0
    for seed in range(10):
        simulation = verify.simulate("tanh", 0.9, 0.3, widths=(100, 200, 400), networks=32, seed=seed, **SETTINGS)
        passed += verify.compare(right, simulation).passed
        rejected += not verify.compare(wrong, simulation).passed
    assert passed >= 9
    assert rejected >= 9


def test_rounds_of_a_precision_end_as_one_run_of_as_many_networks():
    settings = {**SETTINGS, "widths": (60, 120), "seed": 3}
    few = verify.simulate("tanh", 0.9, 0.3, networks=400, precision=0.05, **settings)
    assert 16 < few.networks < 400
    whole = verify.simulate("tanh", 0.9, 0.3, networks=few.networks, **settings)
    for width in settings["widths"]:
        assert few.samples["xi_c"][width].shape == (few.networks, 2)
        assert np.array_equal(few.samples["xi_c"][width], whole.samples["xi_c"][width])


def test_depth_scales_do_not_keep_wrong_theories_from_being_tried():
    """Of some wrong theories nothing decays geometrically from here; the rest is compared."""
    found = verify.calibrate(
        "tanh",
        0.9,
        0.3,
        runs=10,
        widths=(50, 100),
        networks=16,
        sigma_w_errors=(0.3,),
        sigma_b_errors=(0.9,),
        **{**SETTINGS, "quantities": ("q", "chi", "xi_c")},
    )
    rates = {each.name: each.rate for each in found.alternatives}
    assert [each.name for each in off_by(ONLY_DECAY, {"sigma_w": (0.1, 0.3)})] == ["sigma_w off by -10 %"]
    assert rates["sigma_b off by +90 %"] == rates["sigma_w off by -30 %"] == 1.0


@pytest.mark.parametrize(
    ("point", "changes", "message"),
    [
        (
            ("tanh", 0.9, 0.3),
            {"quantities": "xi_q", "q0": 1.0},
            "would give 0.7.* instead of 1.199; start nearer",
        ),
        (
            ("tanh", 1.5, 0.3),
            {"quantities": "xi_c"},
            "must not hold xi_c where correlations do not decay",
        ),
        (("relu", math.sqrt(2), 0.0), {"quantities": "xi_q"}, "at this point xi_q is inf"),
        (("tanh", 0.9, 0.3), {"quantities": "xi_c", "c0": 1.0, "q0": 0.2167}, "start nearer to c_star = 1"),
        (("relu", 2.0, 0.3), {"quantities": "xi_q"}, "must not hold xi_q .* grows without bound"),
        (("tanh", 0.9, 0.3), {"quantities": "xi_q", "depth": 2}, "depth must be >= 3"),
    ],
)
def test_where_it_makes_no_sense_it_is_refused(point, changes, message):
    with pytest.raises(mf.InvalidParameterError, match=message):
        verify.predict(*point, **{"depth": 8, **changes})
