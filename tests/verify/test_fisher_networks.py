"""Fisher spectra of many networks against Karakida's theory, with standard errors; the scatter; correlations."""

import math
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
from scipy import stats

import meanfield as mf
import verify
from verify.fisher_networks import children, draw_inputs, draw_network, predicted_memory
from verify.fisher_scatter import predicted_seconds
from verify.intervals import pearson
from verify.statistics import extrapolate

SHAPE = {"depth": 2, "samples": 100, "outputs": 2}
WIDTHS, NETWORKS = (100, 200, 400), 16


def simulated(phi, sigma_w, sigma_b, weights="gaussian"):
    """Spectra by width."""
    return {
        width: verify.fisher_spectrum(
            phi, sigma_w, sigma_b, width=width, networks=NETWORKS, weights=weights, seed=width, **SHAPE
        )
        for width in WIDTHS
    }


def distances(spectra, phi, sigma_w, sigma_b):
    """|simulation/theory - 1| at infinite width in standard errors: mean over the C outliers, bulk, trace, squares."""
    ratios = {}
    for width, found in spectra.items():
        theory = mf.fisher_statistics(phi, sigma_w, sigma_b, width=width, biases=True, **SHAPE)
        parameters = SHAPE["depth"] * width**2
        ratios[width] = np.stack(
            [
                found[:, :2].mean(axis=1) / theory.lambda_max,
                found[:, 2:].mean(axis=1) / theory.bulk,
                found.sum(axis=1) / (theory.mean * parameters),
                (found**2).sum(axis=1) / (theory.second_moment * parameters),
            ],
            axis=1,
        )
    limit = extrapolate(ratios)
    excess = np.maximum(np.abs(limit.value - 1) - limit.curvature_bound, 0)
    return excess / limit.standard_error


# The check values of [Karakida19], as variances.
@pytest.mark.parametrize(("phi", "variance_w", "variance_b"), [("linear", 1, 0.1), ("relu", 2, 0.1), ("tanh", 3, 0.64)])
def test_karakida(phi, variance_w, variance_b):
    sigma_w, sigma_b = math.sqrt(variance_w), math.sqrt(variance_b)
    assert distances(simulated(phi, sigma_w, sigma_b), phi, sigma_w, sigma_b).max() <= 4


def test_a_wrong_theory_is_rejected():
    spectra = simulated("tanh", math.sqrt(3), 0.8)
    assert distances(spectra, "tanh", 1.1 * math.sqrt(3), 0.8).max() > 6
    assert distances(spectra, "erf", math.sqrt(3), 0.8).max() > 6


def test_orthogonal_weights_have_the_same_limit():
    assert distances(simulated("tanh", 1.5, 0.5, "orthogonal"), "tanh", 1.5, 0.5).max() <= 4


def test_softmax_statistics():
    """lambda_max and trace against networks of one width, within 4 standard errors of both and 10 % of bias."""
    shape = {"depth": 2, "width": 300, "samples": 40, "outputs": 5}
    found = verify.fisher_spectrum("tanh", 1.5, 0.5, networks=40, output="softmax", **shape)
    theory = mf.fisher_statistics("tanh", 1.5, 0.5, biases=True, output="softmax", **shape)
    assert found.shape == (40, 160)
    tops, traces = found[:, 0], found.sum(axis=1)
    parameters = 2 * 300**2
    for sample, value, error in (
        (tops, theory.lambda_max, theory.errors["lambda_max"]),
        (traces, theory.mean * parameters, theory.errors["mean"] * parameters),
    ):
        doubt = math.hypot(4 * sample.std(ddof=1) / math.sqrt(40), error)
        assert abs(sample.mean() - value) <= doubt + 0.1 * value
    measured = math.exp(np.log(found[:, 0] / found[:, -1]).mean())
    assert 0.5 <= measured / theory.condition_number <= 2


def test_spectra_do_not_depend_on_who_computes_them():
    options = {"width": [8, 12, 10], "depth": 2, "samples": 6, "networks": 5, "outputs": 3, "seed": 4}
    alone = verify.fisher_spectrum("tanh", 1.2, 0.3, **options)
    with ThreadPoolExecutor(2) as executor:
        shared = verify.fisher_spectrum("tanh", 1.2, 0.3, **options, executor=executor)
    assert (alone == shared).all()
    assert (alone == verify.fisher_spectrum("tanh", 1.2, 0.3, **{**options, "networks": 9})[:5]).all()
    assert (alone != verify.fisher_spectrum("tanh", 1.2, 0.3, **{**options, "seed": 5})).any()


@pytest.mark.parametrize("overlap", [0.0, 0.4, 1.0])
def test_inputs(overlap):
    X = draw_inputs(np.random.default_rng(0), 30, 200, 0.7, overlap)
    products = X @ X.T / 200
    np.testing.assert_allclose(np.diagonal(products), 0.7, rtol=1e-12)
    others = products[np.triu_indices(30, 1)] / 0.7
    assert abs(others.mean() - overlap) <= 4 * (1 - overlap) / math.sqrt(200) / math.sqrt(others.size) * 2 + 1e-12
    assert others.std() <= 1.2 * (1 - overlap) / math.sqrt(200) + 1e-12
    assert draw_inputs(np.random.default_rng(0), 3, 1, 4.0, overlap).tolist() == [[2.0]] * 3


def test_outliers_and_bounds_of_networks():
    setting = verify.fisher_setting("tanh", 1.1, 0.2, width=30, depth=3, samples=12, outputs=4, output="softmax")
    found = verify.fisher_outliers(setting, networks=3, seed=2)
    assert found.outliers.shape == (3, 3)
    for number, seed in enumerate(children(np.random.SeedSequence(2), 3)):
        layers, X = draw_network(setting, seed)
        exact = verify.fisher_eigenvalues(layers, "tanh", X, output="softmax")
        np.testing.assert_allclose(found.outliers[number], exact[:3], rtol=1e-8)
        assert exact[0] <= found.layerwise[number] <= found.product_form[number]
    lonely = verify.fisher_setting("tanh", 1.1, 0.2, width=9, depth=1, samples=1)
    with pytest.raises(mf.InvalidParameterError, match="samples must be >= 2"):
        verify.fisher_outliers(lonely, networks=1)


def test_scatter_measures_what_it_says():
    settings = [
        verify.fisher_setting("tanh", 1.1, 0.2, width=20, depth=3, samples=40, outputs=4),
        verify.fisher_setting("linear", 1.0, 0.0, width=20, depth=3, samples=40, outputs=4, weights="orthogonal"),
    ]
    found = verify.curvature_scatter(settings, networks=5, seed=1)
    assert found.setting.tolist() == [0] * 5 + [1] * 5
    np.testing.assert_allclose(found.sigma_max_squared[5:], 1.0, rtol=1e-10)
    seeds = children(np.random.SeedSequence(1), 5)
    layers, X = draw_network(settings[0], seeds[2])
    assert abs(found.lambda_max[2] - verify.fisher_eigenvalues(layers, "tanh", X)[0]) <= found.error[2] + 1e-12
    norms = verify.sigma_max_jacobian(layers, "tanh", X[:30], of="outputs")
    assert abs(found.sigma_max_squared[2] - np.mean(norms**2)) <= 1e-12
    rho = pearson(found.sigma_max_squared[:5], found.lambda_max[:5])
    assert abs(found.pearson([0])[0] - rho) <= 1e-12


def test_lambda_max_grows_with_q_star():
    """Means over 6 networks; deep linear networks lie above at the same Jacobian."""
    settings = []
    for q_star in (9.2e-4, 1 / 64, 0.5, 8.0):
        point = mf.critical_point("tanh", q_star=q_star)
        shape = {"width": 48, "depth": 8, "samples": 40, "outputs": 10, "weights": "orthogonal"}
        shape["input_norm"] = mf.moments("tanh", q_star).V
        settings.append(verify.fisher_setting("tanh", point.sigma_w, point.sigma_b, **shape))
        settings.append(verify.fisher_setting("linear", 1.0, 0.0, **shape))
    found = verify.curvature_scatter(settings, networks=6)
    tops = found.lambda_max.reshape(8, 6).mean(axis=1)
    norms = found.sigma_max_squared.reshape(8, 6).mean(axis=1)
    assert (np.diff(tops[::2]) > 0).all()
    assert (np.diff(norms[::2]) > 0).all()
    # sigma_max^2 = 1 for all linear ones, as for the nonlinear ones of the smallest q*.
    assert (tops[3::2] > tops[0]).all()
    rho, low, high = found.pearson([0, 2, 4, 6])
    assert 0 < low < rho < high < 1


def test_scatter_goes_on_where_it_was(tmp_path):
    settings = [verify.fisher_setting("tanh", 1.1, 0.2, width=10, depth=2, samples=8, outputs=2)]
    whole = verify.curvature_scatter(settings, networks=4)
    folder = tmp_path / "run"
    verify.curvature_scatter(settings, networks=4, folder=folder)
    victim = sorted(folder.glob("*.cell"))[1]
    victim.write_bytes(victim.read_bytes()[:-7])
    again = verify.curvature_scatter(settings, networks=4, folder=folder, resume=True)
    assert (again.lambda_max == whole.lambda_max).all()
    with pytest.raises(mf.InvalidParameterError, match="same run"):
        verify.curvature_scatter(settings, networks=5, folder=folder, resume=True)


def test_predictions_grow_with_the_work():
    small, large = (
        verify.fisher_setting("tanh", 1.1, 0.2, width=400, depth=depth, samples=1000, outputs=10) for depth in (10, 200)
    )
    assert predicted_memory(small, 2) < predicted_memory(large, 2) < 2e9
    assert predicted_seconds([small], 2) < predicted_seconds([large], 2)


def test_networks_that_no_machine_holds_are_refused():
    wide, narrow = (verify.fisher_setting("tanh", 1.0, 0.1, width=width, depth=2, samples=2) for width in (10**7, 4))
    many = verify.fisher_setting("tanh", 1.0, 0.1, width=4, depth=2, samples=2, outputs=10**6)
    spectrum = partial(verify.fisher_spectrum, "tanh", 1.0, 0.1, depth=2, networks=2)
    for measure in (
        partial(spectrum, width=10**7, samples=2),
        partial(spectrum, width=4, samples=10**7),
        partial(verify.fisher_outliers, wide, networks=2),
        partial(verify.fisher_outliers, many, networks=2),
        partial(verify.curvature_scatter, [wide], networks=2),
        partial(verify.curvature_scatter, [narrow, narrow], networks=10**12),
    ):
        with pytest.raises(mf.InvalidParameterError, match=r"must fit into the machine's .* GB of memory, needs"):
            measure()


def test_correlations_of_repeated_settings_gain_no_certainty():
    """The same clusters twice leave rho as it is, and its interval no narrower than seeds allow."""
    rng = np.random.default_rng(3)
    x = np.array([[1.0], [3.0], [5.0]]) + rng.standard_normal((3, 5))
    y = x + rng.standard_normal((3, 5))

    def scatter(cells):
        """Of the first ones of the three settings, `cells` by number."""
        values = {"lambda_max": y[cells].ravel(), "sigma_max_squared": x[cells].ravel()}
        empty = np.zeros(values["lambda_max"].shape)
        setting = np.repeat(np.arange(len(cells)), 5)
        return verify.CurvatureScatter(setting=setting, error=empty, layerwise=empty, **values)

    once, twice = scatter([0, 1, 2]).pearson(range(3)), scatter([0, 1, 2] * 2).pearson(range(6))
    np.testing.assert_allclose(once, twice, rtol=1e-12)
    assert abs(once[0] - stats.pearsonr(x.ravel(), y.ravel()).statistic) <= 1e-12
    assert -1 <= once[1] < once[0] < once[2] <= 1


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"width": [5, 5]}, "one for the input and each of 2"),
        ({"depth": 0}, "depth must be >= 1"),
        ({"networks": 0}, "networks must be >= 1"),
        ({"samples": 0}, "samples must be >= 1"),
        ({"overlap": -0.1}, "overlap must be in"),
        ({"outputs": 1, "output": "softmax"}, "outputs must be >= 2"),
        ({"weights": "haar"}, "weights must be one of"),
    ],
)
def test_bad_arguments(change, part):
    options = {"width": 8, "depth": 2, "samples": 4, "networks": 1, **change}
    with pytest.raises(mf.InvalidParameterError, match=part):
        verify.fisher_spectrum("tanh", 1.0, 0.1, **options)


def test_given_inputs_decide_their_number():
    setting = verify.fisher_setting("tanh", 1.0, 0.1, width=8, depth=1, samples=99, inputs=np.ones((3, 5)))
    assert (setting.samples, setting.widths) == (3, (5, 8, 1))
    with pytest.raises(mf.InvalidParameterError, match="inputs must have shape"):
        verify.fisher_setting("tanh", 1.0, 0.1, width=8, depth=1, samples=1, inputs=np.ones(3))
