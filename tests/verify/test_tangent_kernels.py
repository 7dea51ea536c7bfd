"""The tangent kernel as a quantity of the verdict: closed forms, agreement, and wrong theories found out."""

import math
from dataclasses import replace

import numpy as np
import pytest

import meanfield as mf
import verify

BOTH = ("ntk", "ntk_cosine")
C0 = (0.5, -0.3)


def predicted(phi, sigma_w, sigma_b, **given):
    return verify.predict(phi, sigma_w, sigma_b, quantities=BOTH, c0=C0, **given)


def test_linear_networks():
    """theta = sum_l sigma_w^{2 (depth - l)} q^l with q^l = sigma_w^{2 (l - 1)} q0; gradients overlap as inputs do."""
    found = predicted("linear", 1.3, 0.0, depth=7, q0=0.6)
    assert abs(found.values["ntk"][0] / (7 * 0.6 * 1.3**12) - 1) <= 1e-13
    assert np.abs(found.values["ntk_cosine"] - C0).max() <= 1e-13


def test_relu_networks():
    """Arc-cosine kernels of Cho and Saul: E phi phi and E phi'phi' at an angle."""
    sigma_w, sigma_b, q, depth = 1.4, 0.2, 0.7, 5
    theta, covariance = np.zeros(3), q * np.array([1.0, *C0])
    for _ in range(depth):
        angle = np.arccos(np.clip(covariance / q, -1, 1))
        product = q * (np.sin(angle) + (math.pi - angle) * np.cos(angle)) / (2 * math.pi)
        theta = theta * sigma_w**2 * (math.pi - angle) / (2 * math.pi) + product
        covariance, q = sigma_w**2 * product + sigma_b**2, sigma_w**2 * q / 2 + sigma_b**2
        # The gradient at h^{l+1} multiplies what was there before by chi of layer l + 1: see the next turn.
    found = predicted("relu", sigma_w, sigma_b, depth=depth, q0=0.7)
    assert abs(found.values["ntk"][0] / theta[0] - 1) <= 1e-12
    assert np.abs(found.values["ntk_cosine"] - theta[1:] / theta[0]).max() <= 1e-12
    assert all((found.errors[name] > 0).all() for name in BOTH)


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_theory_and_networks_agree_and_wrong_theories_do_not(weights):
    given = {"depth": 5, "q0": 0.8, "c0": C0, "quantities": BOTH, "weights": weights}
    simulated = verify.simulate("tanh", 1.5, 0.3, **given, widths=(60, 120, 240), networks=48, seed=2)
    assert verify.compare(verify.predict("tanh", 1.5, 0.3, **given), simulated).passed
    for phi, sigma_w, sigma_b in (("tanh", 1.6, 0.3), ("tanh", 1.5, 0.5), ("sin", 1.5, 0.3)):
        assert not verify.compare(verify.predict(phi, sigma_w, sigma_b, **given), simulated).passed
    late = verify.predict("tanh", 1.5, 0.3, **{**given, "depth": 6})
    assert not verify.compare(replace(late, depth=5), simulated).passed


def test_gross_errors_of_the_derivative_are_among_the_controls():
    found = verify.calibrate(
        "tanh", 1.5, 0.3, depth=4, widths=(60, 120), networks=32, runs=10, quantities="ntk", sigma_w_errors=(0.5,)
    )
    names = {each.name: each.rate for each in found.alternatives}
    assert names["phi in place of its derivative"] == names["1 in place of the derivative"] == 1.0
    assert found.passed


def test_lengths_that_are_set_back_have_no_tangent_kernel():
    with pytest.raises(mf.InvalidParameterError, match="ntk or ntk_cosine with lengths='reset'"):
        verify.check("tanh", 1.5, 0.3, quantities="ntk", lengths="reset")
    with pytest.raises(mf.InvalidParameterError, match="dtype must be 'float64'"):
        verify.check("tanh", 1.5, 0.3, quantities="ntk", dtype="float32")
