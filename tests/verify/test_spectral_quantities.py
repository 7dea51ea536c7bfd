"""Moments of J J^T and E ln sigma in the certificate: theory, measurement, and verdicts on right and wrong theories."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import integrate

import meanfield as mf
import verify
from verify.networks import NetworkLaw
from verify.quantities import QUANTITIES
from verify.signals import SignalSetting
from verify.spectra.traces import measure
from verify.spectral_predictions import predict_spectra

BOTH = ("jacobian_moment", "mean_log_sigma")


def setting(phi, sigma_w, sigma_b, depth, weights="gaussian", q0=1.0, quantities=BOTH, **options):
    method = options.pop("method", "sampled")
    law = NetworkLaw(
        phi=mf.as_nonlinearity(phi), sigma_w=sigma_w, sigma_b=sigma_b, depth=depth, weights=weights, method=method
    )
    return SignalSetting(law=law, quantities=quantities, q0=q0, c0=(), **options)


@pytest.mark.parametrize("depth", [1, 7])
def test_linear_networks_have_closed_forms(depth):
    found = predict_spectra(setting("linear", 1.0, 0.3, depth))
    assert np.abs(found["jacobian_moment"][0] - [1, 1 + depth]).max() <= 1e-13 * depth
    assert abs(found["mean_log_sigma"][0][0] + depth / 2) <= 1e-13
    orthogonal = predict_spectra(setting("linear", 1.5, 0.3, depth, "orthogonal"))
    assert np.abs(orthogonal["jacobian_moment"][0] / 1.5 ** np.array([2 * depth, 4 * depth]) - 1).max() <= 1e-13 * depth
    assert abs(orthogonal["mean_log_sigma"][0][0] - depth * math.log(1.5)) <= 1e-13


def gaussian_mean(function, q):
    scale = math.sqrt(q)
    weight = lambda z: function(scale * z) * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)  # noqa: E731
    return integrate.quad(weight, -12, 12, epsabs=1e-13, epsrel=1e-13, limit=400)[0]


def test_predictions_equal_scipys_quadrature_within_their_bounds():
    depth, sigma_w, sigma_b, q = 4, 1.4, 0.2, 0.6
    found = predict_spectra(setting("tanh", sigma_w, sigma_b, depth, "gaussian", q))
    log_mean, spread, mean_log = 0.0, 0.0, 0.0
    for _ in range(depth):
        mu_1 = gaussian_mean(lambda x: math.cosh(x) ** -4, q)
        mu_2 = gaussian_mean(lambda x: math.cosh(x) ** -8, q)
        log_mean += math.log(sigma_w**2 * mu_1)
        spread += mu_2 / mu_1**2
        mean_log += math.log(sigma_w) - gaussian_mean(lambda x: 2 * math.log(math.cosh(x)), q) - 0.5
        q = sigma_w**2 * gaussian_mean(lambda x: math.tanh(x) ** 2, q) + sigma_b**2
    expected = {
        "jacobian_moment": [math.exp(log_mean), math.exp(2 * log_mean) * (1 + spread)],
        "mean_log_sigma": [mean_log],
    }
    for name, values in expected.items():
        value, bound = found[name]
        assert np.all(bound <= 1e-10 * np.abs(value))
        assert np.all(np.abs(value - values) <= bound + 1e-12 * np.abs(value))


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_predictions_are_those_of_the_spectrum(weights):
    point = mf.critical_point("tanh", q_star=0.3)
    found = predict_spectra(setting("tanh", point.sigma_w, point.sigma_b, 6, weights, point.q_star))
    spectrum = mf.jacobian_spectrum("tanh", point.sigma_w, point.sigma_b, depth=6, weights=weights)
    first, second = found["jacobian_moment"][0]
    assert abs(first - spectrum.mean) <= 1e-8
    assert abs(second - first**2 - spectrum.variance) <= 1e-8 * second
    assert abs(found["mean_log_sigma"][0][0] - spectrum.mean_log / 2) <= 1e-7


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
@pytest.mark.parametrize("lengths", ["free", "reset"])
def test_what_is_sampled_has_the_law_of_whole_matrices(weights, lengths):
    width, count = 8, 160
    sampled = setting("tanh", 1.4, 0.2, 3, weights, 0.6, lengths=lengths)
    whole = setting("tanh", 1.4, 0.2, 3, weights, 0.6, lengths=lengths, method="matrices")
    found = []
    for number, given in enumerate((sampled, whole)):
        records = [measure(given, (width, np.random.SeedSequence((number, k)))) for k in range(count)]
        found.append(np.array([np.concatenate([record[name] for name in BOTH]) for record in records]))
    spread = np.sqrt(sum(values.var(axis=0, ddof=1) for values in found) / count)
    assert np.all(np.abs(found[0].mean(axis=0) - found[1].mean(axis=0)) <= 4.5 * spread)


def test_only_what_is_asked_for_is_measured():
    given = setting("tanh", 1.4, 0.2, 3, quantities=("mean_log_sigma",))
    seed = np.random.SeedSequence(1)
    alone = measure(given, (20, seed))
    assert list(alone) == ["mean_log_sigma"]
    both = measure(replace(given, quantities=BOTH), (20, seed))
    assert both["mean_log_sigma"] == alone["mean_log_sigma"]
    assert "jacobian_moment" not in verify.predict("tanh", 1.4, 0.2, depth=3).values
    assert not any(QUANTITIES[name].by_default for name in BOTH)


GIVEN = {"depth": 4, "q0": 0.5, "quantities": BOTH}


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_the_right_theory_passes_and_that_of_the_other_ensemble_fails(weights):
    simulation = verify.simulate("tanh", 1.3, 0.2, widths=(60, 120, 240), networks=32, weights=weights, **GIVEN)
    right = verify.compare(verify.predict("tanh", 1.3, 0.2, weights=weights, **GIVEN), simulation)
    assert right.passed, right.verdict
    assert [check.name for check in right.checks] == [
        "jacobian_moment, k = 1",
        "jacobian_moment, k = 2",
        "mean_log_sigma",
    ]
    other = {"gaussian": "orthogonal", "orthogonal": "gaussian"}[weights]
    assert not verify.compare(verify.predict("tanh", 1.3, 0.2, weights=other, **GIVEN), simulation).passed
    off = verify.predict("tanh", 1.3, 0.2, weights=weights, **{**GIVEN, "depth": 5})
    assert not verify.compare(off, simulation).passed


def test_a_mean_logarithm_that_is_minus_infinity_is_refused():
    with pytest.raises(mf.InvalidParameterError, match="must not hold mean_log_sigma"):
        verify.predict("relu", 1.4, 0.1, depth=2, quantities=("mean_log_sigma",))
    fading = verify.predict("gelu", 1.9, 0.4, depth=2, quantities=("mean_log_sigma",))
    assert math.isfinite(fading.values["mean_log_sigma"][0])
