"""The calibration's own arithmetic, against scipy's, and its verdict on verdicts."""

import math

import numpy as np
import pytest
from scipy import stats

import meanfield as mf
import verify
from verify import calibration, comparison
from verify.calibration import binomial_band, share
from verify.settings import checked_setting
from verify.wrong_theories import controls, off_by

SMALL = {"depth": 3, "widths": (50, 100), "networks": 24, "runs": 12}


@pytest.mark.parametrize(("times", "runs"), [(0, 20), (3, 20), (20, 20), (5, 500)])
def test_confidence_intervals_are_scipys(times, runs):
    exact = stats.binomtest(times, runs).proportion_ci(0.95, "exact")
    assert share(times, runs) == pytest.approx((times / runs, exact.low, exact.high), abs=1e-12)


@pytest.mark.parametrize(("runs", "rate"), [(20, 0.01), (500, 0.01), (500, 0.3), (100, 0.05)])
def test_the_band_is_that_of_the_binomial_law(runs, rate):
    low, high = binomial_band(runs, rate)
    law = stats.binom(runs, rate)
    assert law.cdf(low - 1) <= 0.005 < law.cdf(low)
    assert law.sf(high) <= 0.005 < law.sf(high - 1)


def test_power_curves_rise_and_gross_errors_fail():
    found = verify.calibrate("tanh", 1.5, 0.3, **SMALL, sigma_w_errors=(0.3, 0.01), sigma_b_errors=(0.02,), seed=1)
    rate = {each.name: each.rate for each in found.alternatives}
    assert rate["sigma_w off by +30 %"] == rate["sigma_w off by -30 %"] == 1.0
    assert rate["sigma_w off by +1 %"] <= 0.5
    assert rate["1 in place of the derivative"] == rate["depth off by one"] == 1.0
    assert found.smallest["sigma_w"] == 0.3
    assert math.isnan(found.smallest["sigma_b"])
    assert found.false_alarms <= found.band[1]
    assert found.summary.startswith(f"The right theory was rejected in {found.false_alarms} of 12 runs")


def test_a_gross_error_that_changes_nothing_is_not_missed():
    """Of critical ReLU at q0 = 1 E phi^2 is E phi'^2 = 1/2."""
    found = verify.calibrate("relu", 2**0.5, 0.0, **SMALL, sigma_w_errors=(0.3,), seed=1)
    by_name = {each.name: each for each in found.alternatives}
    same, other = by_name["phi in place of its derivative"], by_name["1 in place of the derivative"]
    assert (same.rejected, same.visible) == (found.false_alarms, False)
    assert same.expected <= found.level
    assert (other.rate, other.visible) == (1.0, True)
    assert found.passed
    assert found.summary.endswith("Too small a change for these networks to show: phi in place of its derivative.")


def test_the_power_expected_is_the_power_seen():
    """Of one check: sigma_w off moves ln q of the second layer of a linear network by 2 ln(1 + size)."""
    budget = {"depth": 2, "widths": (100, 200), "networks": 12, "quantities": "q", "runs": 150, "level": 0.05}
    found = verify.calibrate("linear", 1.0, 0.0, **budget, sigma_w_errors=(0.02, 0.06, 0.15), seed=1)
    off = [each for each in found.alternatives if each.parameter == "sigma_w"]
    assert min(each.expected for each in off) < 0.3 < 0.7 < max(each.expected for each in off)
    for each in off:
        assert abs(each.expected - each.rate) <= 0.05 + 3 * (0.25 / 150) ** 0.5


def test_a_missed_gross_error_is_found_out(monkeypatch):
    monkeypatch.setattr(calibration, "judge", lambda comparisons, level: (None, np.array([False])))
    found = verify.calibrate("tanh", 1.5, 0.3, **SMALL, sigma_w_errors=(), sigma_b_errors=())
    assert not found.passed
    assert all(each.parameter == "control" for each in found.alternatives)
    assert math.isnan(found.smallest["sigma_w"])
    assert "Missed too often: depth off by one, " in found.summary


def test_a_run_is_a_check():
    """Each run rejects what `compare` rejects with the same networks."""
    found = verify.calibrate("tanh", 1.5, 0.3, **SMALL, sigma_w_errors=(0.06,), sigma_b_errors=(0.5,), seed=3)
    again = 0
    for run in range(12):
        seed = np.random.SeedSequence(3, spawn_key=(run,))
        simulation = verify.simulate("tanh", 1.5, 0.3, depth=3, widths=(50, 100), networks=24, seed=seed)
        again += not verify.compare(verify.predict("tanh", 1.06 * 1.5, 0.3, depth=3), simulation).passed
    assert found.alternatives[0].name == "sigma_w off by +6 %"
    assert found.alternatives[0].rejected == again


def test_a_wrong_level_is_found_out(monkeypatch):
    """If the checks did not correct for their number, the right theory would be rejected too often."""
    monkeypatch.setattr(comparison, "holm", lambda p: p)
    budget = {"depth": 8, "widths": (80, 160), "networks": 8, "runs": 20, "level": 0.05}
    found = verify.calibrate("tanh", 1.5, 0.3, **budget, sigma_w_errors=(), sigma_b_errors=())
    assert found.false_alarms > found.band[1]
    assert found.passed is False


def setting(sigma_w=1.5, sigma_b=0.3, quantities=None):
    return checked_setting(
        "tanh", sigma_w, sigma_b, depth=3, weights="gaussian", quantities=quantities, q0=1.0, c0=0.5, lengths="free"
    )


def test_wrong_theories_are_wrong_by_what_they_say():
    up, down = off_by(setting(), {"sigma_b": (0.1,)})
    assert (up.name, up.size, down.size) == ("sigma_b off by +10 %", 0.1, -0.1)
    assert np.array_equal(up.prediction.values["q"], mf.propagate("tanh", 1.5, 0.33, depth=3).q)
    assert down.prediction.sigma_b == pytest.approx(0.27)
    by_name = {each.name: each.prediction for each in controls(setting())}
    deeper = mf.propagate("tanh", 1.5, 0.3, depth=4, c0=[0.5])
    assert np.array_equal(by_name["depth off by one"].values["c"], deeper.c[:, 1:])
    assert by_name["variance of the weights for their deviation"].sigma_w == 2.25
    assert np.allclose(by_name["1 in place of the derivative"].values["chi"], 1.5**2, rtol=1e-12)


def test_the_other_law_is_a_control_where_it_shows():
    names = [each.name for each in controls(setting(quantities=("q", "jacobian_moment")))]
    assert "the law of orthogonal weights" in names
    assert "the law of gaussian weights" not in names
    shifted = {each.name: each.prediction for each in controls(setting(quantities=("q", "jacobian_moment")))}
    late = shifted["depth off by one"].values
    assert late["q"].shape == (3,)
    deeper = verify.predict("tanh", 1.5, 0.3, depth=4, quantities="jacobian_moment")
    assert np.array_equal(late["jacobian_moment"], deeper.values["jacobian_moment"])


def test_errors_that_change_nothing_are_left_out():
    assert [each.name for each in controls(setting(1.0, 0.0, "q"))] == ["depth off by one"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"runs": 5}, "runs must be >= 10"),
        ({"sigma_w_errors": (0.1, 1.5)}, "sigma_w_errors must be in"),
        ({"sigma_b_errors": [[0.1]]}, "sigma_b_errors must be a sequence"),
        ({"level": 0}, "level must be in"),
    ],
)
def test_bad_arguments(change, message):
    with pytest.raises(mf.InvalidParameterError, match=message):
        verify.calibrate("tanh", 1.5, 0.3, **{**SMALL, **change})
