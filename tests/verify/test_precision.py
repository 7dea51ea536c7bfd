"""Networks in single precision: what it does to them is measured, reported and allowed for."""

import dataclasses

import numpy as np
import pytest

import meanfield as mf
import verify

EXACT = {"depth": 20, "weights": "orthogonal"}


def both(phi, sigma_w, sigma_b, **settings):
    return tuple(verify.simulate(phi, sigma_w, sigma_b, **settings, dtype=dtype) for dtype in ("float64", "float32"))


@pytest.mark.parametrize("method", ["sampled", "matrices"])
@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_the_draws_are_the_same_rounded(weights, method):
    settings = {"depth": 6, "widths": (30, 60), "networks": 5, "quantities": ("q", "c", "chi", "gradient")}
    double, single = both("tanh", 1.5, 0.3, **settings, weights=weights, method=method)
    assert double.drift == {}
    for name, arrays in single.samples.items():
        apart = [np.abs(arrays[width] - double.samples[name][width]).max() for width in (30, 60)]
        assert 0 < max(apart) <= 1e-4
        scale = np.arctanh if name == "c" else np.log
        pairs = [(scale(arrays[width][:4]), scale(double.samples[name][width][:4])) for width in (30, 60)]
        direct = np.max([np.abs(left - right).max(axis=0) for left, right in pairs], axis=0)
        assert np.allclose(single.drift[name], direct, rtol=1e-12, atol=0)


def test_without_spread_the_drift_alone_keeps_a_right_theory():
    """In float32 1.3 is 1.9e-8 less, in every layer of every network."""
    budget = {"widths": (30, 60), "networks": 16, "method": "matrices"}
    single = verify.simulate("linear", 1.3, 0.0, **EXACT, **budget, dtype="float32")
    prediction = verify.predict("linear", 1.3, 0.0, **EXACT)
    report = verify.compare(prediction, single)
    assert report.passed, report.verdict
    assert "In float32: the first networks of each width are within" in report.notes[-1]
    assert not verify.compare(prediction, dataclasses.replace(single, drift={})).passed
    wrong = verify.predict("linear", 1.3 * (1 + 1e-5), 0.0, **EXACT)
    assert not verify.compare(wrong, single).passed


def test_two_networks_are_enough_and_a_folder_knows_the_type(tmp_path):
    settings = {"depth": 2, "widths": (20, 30), "networks": 2, "folder": tmp_path / "run"}
    assert verify.check("relu", 1.2, 0.2, **settings, dtype="float32").passed
    with pytest.raises(mf.InvalidParameterError, match=r"its parameters\.dtype is 'float32', now 'float64'"):
        verify.simulate("relu", 1.2, 0.2, **settings, resume=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dtype": "float16"}, "dtype must be one of 'float64', 'float32'"),
        ({"dtype": "float32", "quantities": ("q", "trace")}, r"beside q, c, chi, gradient, got \['trace'\]"),
    ],
)
def test_other_types_and_quantities_are_refused(changes, message):
    with pytest.raises(mf.InvalidParameterError, match=message):
        verify.check("tanh", 1.5, 0.3, **changes)
