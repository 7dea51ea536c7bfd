"""Moments of J J^T and E ln sigma in the certificate: theory, measurement, and verdicts on right and wrong theories."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import integrate
from scipy.stats import ks_2samp

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


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_the_sampled_largest_eigenvalue_has_the_law_of_whole_matrices(weights):
    width, count = 12, 160
    found = []
    for number, method in enumerate(("sampled", "matrices")):
        given = setting("softplus", 1.4, 0.2, 3, weights, 0.6, ("lambda_max",), method=method)
        records = [measure(given, (width, np.random.SeedSequence((number, k)))) for k in range(count)]
        found.append(np.log([record["lambda_max"][0] for record in records]))
    assert ks_2samp(*found).pvalue >= 1e-3


CASES = [
    ("tanh", 1.5, 0.3, "gaussian", 4),
    ("softplus", 1.2, 0.05, "orthogonal", 6),
    ("hard_tanh", 1.3, 0.2, "orthogonal", 3),
]


@pytest.mark.parametrize(("phi", "sigma_w", "sigma_b", "weights", "depth"), CASES)
def test_the_largest_eigenvalue_is_told_from_that_of_wrong_theories(phi, sigma_w, sigma_b, weights, depth):
    """An edge with Tracy and Widom's correction, an outlier, and an edge of slopes with jumps."""
    given = {"depth": depth, "weights": weights, "quantities": ("lambda_max",), "q0": 0.8}
    simulation = verify.simulate(phi, sigma_w, sigma_b, widths=(75, 150, 300), networks=40, seed=2, **given)
    right = verify.predict(phi, sigma_w, sigma_b, **given)
    report = verify.compare(right, simulation)
    assert report.passed, report.verdict
    assert report.checks[0].resolution <= 0.25 * report.checks[0].theory
    for wrong in (
        verify.predict(phi, 1.05 * sigma_w, sigma_b, **given),
        verify.predict(phi, sigma_w, sigma_b, **{**given, "depth": depth + 1}),
    ):
        assert not verify.compare(wrong, simulation).passed


def test_the_bulk_alone_is_a_wrong_theory_of_a_network_with_an_outlier():
    given = {"depth": 10, "weights": "orthogonal", "quantities": ("lambda_max",)}
    simulation = verify.simulate("softplus", 1.2, 0.05, widths=(75, 150, 300), networks=64, **given)
    right = verify.predict("softplus", 1.2, 0.05, **given)
    spectrum = mf.jacobian_spectrum("softplus", 1.2, 0.05, depth=10, weights="orthogonal", q0=1.0)
    assert right.values["lambda_max"].tolist() == [spectrum.largest_eigenvalue]
    assert right.approaches["lambda_max"].isolated
    assert verify.compare(right, simulation).passed
    bulk = replace(right, values={"lambda_max": np.array([spectrum.lambda_max])})
    assert not verify.compare(bulk, simulation).passed


def test_without_its_correction_the_edge_would_be_rejected():
    given = {"depth": 2, "quantities": ("lambda_max",)}
    simulation = verify.simulate("linear", 1.0, 0.0, widths=(40, 80, 160), networks=120, **given)
    right = verify.predict("linear", 1.0, 0.0, **given)
    assert abs(right.values["lambda_max"][0] - 27 / 4) <= 1e-10
    assert verify.compare(right, simulation).passed
    assert not verify.compare(replace(right, approaches={}), simulation).passed


@pytest.mark.parametrize(
    ("phi", "q0", "lengths", "rule"),
    [
        ("x + x**3", 0.5, "free", "no upper end that networks reach"),
        ("tanh", 0.5, "reset", "unless q0 is a fixed point"),
        ("softplus", 0.5, "free", "beyond double precision"),
    ],
)
def test_largest_eigenvalues_that_no_theory_knows_are_refused(phi, q0, lengths, rule):
    depth = 1000 if phi == "softplus" else 3
    with pytest.raises(mf.InvalidParameterError, match=rule):
        verify.predict(phi, 0.5, 0.1, depth=depth, q0=q0, lengths=lengths, quantities=("lambda_max",))


@pytest.mark.parametrize("phi", ["tanh", "softplus"])
def test_the_end_of_one_layers_slopes_is_refused(phi):
    """With one orthogonal layer lambda_max is the largest of its squared slopes: that comes to its end otherwise."""
    with pytest.raises(mf.InvalidParameterError, match="vanish as a root"):
        verify.predict(phi, 1.2, 0.05, depth=1, weights="orthogonal", quantities=("lambda_max",))
    assert verify.predict(phi, 1.2, 0.05, depth=1, quantities=("lambda_max",)).values["lambda_max"][0] > 0


def test_far_tails_above_an_edge_do_not_count():
    """Slopes without a bound, which no network meets at these lengths: the edge below them is what networks show."""
    given = {"depth": 8, "q0": 0.1, "quantities": ("lambda_max",)}
    right = verify.predict("x + 0.05*x**3", 0.7, 0.1, **given)
    spectrum = mf.jacobian_spectrum("x + 0.05*x**3", 0.7, 0.1, depth=8, q0=0.1)
    assert spectrum.lambda_max == math.inf
    assert right.values["lambda_max"].tolist() == [spectrum.bulk_max]
    simulation = verify.simulate("x + 0.05*x**3", 0.7, 0.1, widths=(75, 150, 300), networks=32, **given)
    assert verify.compare(right, simulation).passed
    assert not verify.compare(verify.predict("x + 0.05*x**3", 0.75, 0.1, **given), simulation).passed


def test_only_what_is_asked_for_is_measured():
    given = setting("tanh", 1.4, 0.2, 3, quantities=("mean_log_sigma",))
    seed = np.random.SeedSequence(1)
    alone = measure(given, (20, seed))
    assert list(alone) == ["mean_log_sigma"]
    both = measure(replace(given, quantities=BOTH), (20, seed))
    assert both["mean_log_sigma"] == alone["mean_log_sigma"]
    assert "jacobian_moment" not in verify.predict("tanh", 1.4, 0.2, depth=3).values
    assert not any(QUANTITIES[name].by_default for name in (*BOTH, "lambda_max"))


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
