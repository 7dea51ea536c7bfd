"""The verdict: right theories pass, wrong ones fail, and the numbers do not depend on who computes them."""

import dataclasses
import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import meanfield as mf
import verify

SMALL = {"depth": 4, "widths": (50, 100, 200), "networks": 24}
SIGMA_W, SIGMA_B = 1.5, 0.3


def slope_of_tanh(x):
    return 1 - np.tanh(x) ** 2


CUSTOM = mf.Nonlinearity.from_callable(np.tanh, slope_of_tanh, name="mine")


@pytest.fixture(scope="module")
def simulation():
    return verify.simulate("tanh", SIGMA_W, SIGMA_B, **SMALL, seed=1)


@pytest.fixture(scope="module")
def four_seeds():
    """The default budget, four times over; `meanfield calibrate` does it hundreds of times."""
    return [verify.simulate("tanh", SIGMA_W, SIGMA_B, depth=10, seed=seed) for seed in range(4)]


def rejections(prediction, simulations):
    return sum(not verify.compare(prediction, each).passed for each in simulations)


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
@pytest.mark.parametrize(
    ("phi", "sigma_w", "sigma_b"),
    [
        ("tanh", 1.5, 0.3),
        ("relu", 1.3, 0.2),
        ("gelu", 1.5, 0.3),
        ("softplus", 1.0, 0.05),
        ("sin(x)/(1+abs(x))", 1.4, 0.1),
        (CUSTOM, 2.5, 0.3),
    ],
    ids=str,
)
def test_the_theory_holds(phi, sigma_w, sigma_b, weights):
    report = verify.check(
        phi, sigma_w, sigma_b, depth=6, widths=(100, 200, 400), networks=16, weights=weights, c0=(-0.5, 0.5, 0.99)
    )
    assert report.passed, report.verdict
    assert len(report.checks) == 6 * 5


@pytest.mark.parametrize(
    ("phi", "sigma_w", "sigma_b", "q0"),
    [
        ("relu", math.sqrt(2), 0.0, 1.0),
        ("tanh", 1.0, 0.0, 0.5),
        ("tanh", 0.7, 0.0, 1.0),
        ("sin", 4.0, 0.1, 1.0),
        ("gelu", 2.0, 0.0, 0.5),
    ],
)
def test_it_holds_at_the_edges(phi, sigma_w, sigma_b, q0):
    """Neutral, marginal, dying, strongly chaotic, repelling."""
    report = verify.check(phi, sigma_w, sigma_b, depth=12, widths=(100, 200, 400), networks=16, q0=q0)
    assert report.passed, report.verdict


def test_whole_matrices_tell_the_same():
    report = verify.check("tanh", SIGMA_W, SIGMA_B, **SMALL, method="matrices")
    assert report.passed, report.verdict


def test_an_own_tanh_is_the_catalogues(simulation):
    own = verify.simulate(CUSTOM, SIGMA_W, SIGMA_B, **SMALL, seed=1)
    for name, arrays in own.samples.items():
        for width, array in arrays.items():
            assert np.allclose(array, simulation.samples[name][width], rtol=1e-11)


def test_right_theories_pass_and_near_ones_fail(four_seeds):
    assert rejections(verify.predict("tanh", SIGMA_W, SIGMA_B, depth=10), four_seeds) == 0
    for factor_w, factor_b in [(1.02, 1.0), (0.98, 1.0), (1.0, 1.1), (1.0, 0.9)]:
        wrong = verify.predict("tanh", factor_w * SIGMA_W, factor_b * SIGMA_B, depth=10)
        assert rejections(wrong, four_seeds) == 4, (factor_w, factor_b)


def one_layer_late(depth):
    deeper = verify.predict("tanh", SIGMA_W, SIGMA_B, depth=depth + 1)
    return dataclasses.replace(
        deeper,
        values={name: value[..., 1:] for name, value in deeper.values.items()},
        errors={name: error[..., 1:] for name, error in deeper.errors.items()},
    )


def with_derivative(derivative):
    return mf.Nonlinearity(name="wrong", function=np.tanh, derivative=derivative)


WRONG = {
    "sigma_w off by 5 %": lambda: verify.predict("tanh", 1.05 * SIGMA_W, SIGMA_B, depth=10),
    "derivative replaced by phi": lambda: verify.predict(with_derivative(np.tanh), SIGMA_W, SIGMA_B, depth=10),
    "derivative replaced by 1": lambda: verify.predict(with_derivative(np.ones_like), SIGMA_W, SIGMA_B, depth=10),
    "depth off by one": lambda: one_layer_late(10),
    "variance of the weights taken for their deviation": lambda: verify.predict("tanh", SIGMA_W**2, SIGMA_B, depth=10),
    "variance of the biases taken for their deviation": lambda: verify.predict("tanh", SIGMA_W, SIGMA_B**2, depth=10),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_theories_fail_at_the_default_budget(four_seeds, wrong):
    assert rejections(WRONG[wrong](), four_seeds) == 4


def test_the_bias_falls_as_1_over_width():
    """ln q of critical ReLU: s^{l+1} = s^l (2/N) sum relu(z_i)^2 has variance 5/N a layer, so a bias of -5/(2N)."""
    widths, networks = (12, 24, 48, 96), 250
    simulated = verify.simulate(
        "relu", math.sqrt(2), 0.0, depth=7, widths=widths, networks=networks, quantities="q", seed=3
    )
    growth = {w: np.log(q[:, 6] / q[:, 2]) for w, q in simulated.samples["q"].items()}
    bias = np.array([growth[width].mean() for width in widths])
    error = np.array([growth[width].std(ddof=1) for width in widths]) / math.sqrt(networks)
    slope, uncertainty = log_slope(widths, -bias, error / -bias)
    assert abs(slope + 1) <= 3 * uncertainty + 0.05
    assert abs(bias[-1] * widths[-1] + 4 * 2.5) <= 3 * error[-1] * widths[-1] + 0.5


def test_the_noise_falls_as_1_over_the_root_of_width_and_networks():
    sizes, errors = [], []
    for networks, width in [(16, 30), (64, 30), (16, 120), (256, 60)]:
        report = verify.check("tanh", 1.5, 0.3, depth=4, widths=(width,), networks=networks, seed=5)
        errors.append(np.sqrt(np.mean([check.standard_error**2 for check in report.checks if check.layer > 1])))
        sizes.append(width * networks)
    slope, _ = log_slope(sizes, np.array(errors), np.full(4, 0.1))
    assert abs(slope + 0.5) <= 0.1


def log_slope(x, y, relative_error):
    """Slope of ln y against ln x and its standard error."""
    (slope, _), covariance = np.polyfit(np.log(x), np.log(y), 1, w=1 / relative_error, cov="unscaled")
    return slope, math.sqrt(covariance[0, 0])


def test_the_bias_is_in_the_report():
    report = verify.check(
        "relu", math.sqrt(2), 0.0, depth=7, widths=(25, 50, 100), networks=150, quantities="q", seed=2
    )
    bias = {check.layer: check.width_bias for check in report.checks}
    # As above, at width 100; its error is about that of the estimate.
    assert abs(bias[7] - bias[3] + 0.1) <= 3 * report.checks[-1].standard_error
    assert report.passed


def test_predictions_are_those_of_propagate():
    prediction = verify.predict("tanh", SIGMA_W, SIGMA_B, depth=5, q0=0.6, c0=(0.2, -0.7))
    path = mf.propagate("tanh", SIGMA_W, SIGMA_B, depth=5, q0=0.6, c0=[0.2, -0.7])
    for name in ("q", "c", "chi"):
        assert np.array_equal(prediction.values[name], getattr(path, name))
        assert np.array_equal(prediction.errors[name], path.errors[name])


def test_gradients_from_the_top_add_up_what_chi_tells_layer_by_layer():
    """Over ten layers an error of 1 % in chi becomes one of 10 %, while noise grows as a root."""
    settings = {"depth": 10, "widths": (250, 500), "networks": 24, "quantities": ("chi", "gradient"), "seed": 3}
    report = verify.check("tanh", SIGMA_W, SIGMA_B, **settings)
    assert report.passed, report.verdict
    by_layer = {(check.quantity, check.layer): check for check in report.checks}
    chi = mf.propagate("tanh", SIGMA_W, SIGMA_B, depth=10).chi
    assert abs(by_layer["gradient", 1].theory / np.prod(chi) - 1) <= 1e-13
    assert abs(by_layer["gradient", 10].theory / chi[-1] - 1) <= 1e-15
    one, all_ten = by_layer["chi", 1], by_layer["gradient", 1]
    assert all_ten.resolution / all_ten.theory < 10 * one.resolution / one.theory / 1.5


def test_reset_predictions_are_the_maps_at_q0():
    prediction = verify.predict("gelu", 1.4, 0.3, depth=4, q0=0.6, c0=0.2, lengths="reset")
    image = mf.q_map("gelu", 0.6, 1.4, 0.3)
    c = [0.2]
    for _ in range(3):
        c.append(mf.c_map("gelu", c[-1], 0.6, 1.4, 0.3))
    expected = {"q": [0.6, image, image, image], "c": [c], "chi": 1.4**2 * mf.moments("gelu", 0.6).mu_1}
    for name, value in expected.items():
        assert np.all(np.abs(prediction.values[name] - value) <= prediction.errors[name] + 1e-15)
        assert np.all(prediction.errors[name] <= 1e-11)


def test_at_a_repelling_point_reset_lengths_see_more_than_free_ones():
    """GELU at sigma_b = 0.1: alpha is 1.098, so free lengths leave the critical point within some twenty layers."""
    with pytest.warns(mf.UnstableCriticalPointWarning):
        point = mf.critical_point("gelu", sigma_b=0.1)
    settings = {"depth": 25, "widths": (50, 100, 200), "networks": 16, "q0": point.q_star, "quantities": ("q", "chi")}
    free, reset = (
        verify.check("gelu", point.sigma_w, point.sigma_b, **settings, lengths=lengths) for lengths in ("free", "reset")
    )
    assert free.passed, free.verdict
    assert any('lengths="reset"' in note for note in free.notes)
    assert reset.passed, reset.verdict
    assert not any("Too little" in note for note in reset.notes)
    wrong = verify.predict(
        "gelu", 1.1 * point.sigma_w, 0.1, depth=25, q0=point.q_star, lengths="reset", quantities=("q", "chi")
    )
    simulated = verify.simulate("gelu", point.sigma_w, 0.1, **settings, lengths="reset")
    assert not verify.compare(wrong, simulated).passed


def test_equal_and_opposite_inputs():
    report = verify.check("tanh", 1.5, 0.0, **SMALL, c0=(1.0, -1.0, 0.0), quantities="c")
    assert report.passed, report.verdict
    theory = np.reshape([check.theory for check in report.checks], (3, 4))
    assert np.all(theory[[0, 2]] == [[1], [0]])
    assert np.all(np.abs(theory[1] + 1) <= 8 * np.finfo(float).eps)  # E phi(u)phi(-u) and E phi^2 are two integrals


@pytest.mark.parametrize(
    ("phi", "sigma_w", "sigma_b", "more"),
    [
        ("tanh", 1.5, 0.3, {"c0": (1.0, -1.0)}),
        ("tanh", 1.5, 0.3, {"q0": 1e-300}),
        ("tanh", 1.5, 0.3, {"q0": 1e150, "quantities": ("q", "c")}),
        ("relu", math.sqrt(2), 0.0, {"widths": (50, 51)}),
        ("linear", 1.3, 0.0, {"widths": (50, 51), "weights": "orthogonal", "c0": (1.0, 0.2), "depth": 20}),
    ],
)
def test_where_networks_do_not_differ_rounding_is_no_contradiction(phi, sigma_w, sigma_b, more):
    report = verify.check(phi, sigma_w, sigma_b, **{"depth": 4, "widths": (50, 100), "networks": 8, **more})
    assert all(check.passed for check in report.checks), report.verdict


def test_where_networks_do_not_differ_a_difference_beyond_rounding_is_one():
    settings = {"depth": 4, "weights": "orthogonal"}
    simulated = verify.simulate("linear", 1.3, 0.0, widths=(50, 100), networks=8, **settings)
    assert not verify.compare(verify.predict("linear", 1.3 * (1 + 1e-12), 0.0, **settings), simulated).passed


def same_samples(left, right):
    return all(
        np.array_equal(array, right.samples[name][width])
        for name, arrays in left.samples.items()
        for width, array in arrays.items()
    )


def test_the_same_bits_from_threads(simulation):
    """From processes too, as the tests of long runs show."""
    with ThreadPoolExecutor(2) as threads:
        again = verify.simulate("tanh", SIGMA_W, SIGMA_B, **SMALL, seed=1, executor=threads)
    assert same_samples(simulation, again)


def test_further_networks_and_widths_leave_the_others_as_they_are(simulation):
    more = verify.simulate("tanh", SIGMA_W, SIGMA_B, depth=4, widths=(200, 70, 50), networks=30, seed=1)
    for name, arrays in more.samples.items():
        for width in (50, 200):
            assert np.array_equal(arrays[width][:24], simulation.samples[name][width])
    other = verify.simulate("tanh", SIGMA_W, SIGMA_B, **SMALL, seed=2)
    assert not np.isclose(other.samples["q"][50][:, 1:], simulation.samples["q"][50][:, 1:]).any()
    sequence = verify.simulate("tanh", SIGMA_W, SIGMA_B, **SMALL, seed=np.random.SeedSequence(1))
    assert same_samples(simulation, sequence)


def test_one_width_has_no_extrapolation_and_says_so():
    report = verify.check("tanh", SIGMA_W, SIGMA_B, depth=3, widths=(300,), networks=16)
    assert all(math.isnan(check.width_bias) for check in report.checks)
    assert "With one width, 300, the bias of finite width is not covered." in report.notes
    plain = verify.simulate("tanh", SIGMA_W, SIGMA_B, depth=3, widths=(300,), networks=16).samples["q"][300]
    assert report.checks[2].estimate == pytest.approx(np.exp(np.log(plain[:, 2]).mean()), rel=1e-13)


def test_it_stops_early_when_precise_enough():
    few = verify.simulate("tanh", SIGMA_W, SIGMA_B, depth=3, widths=(50, 100), networks=300, precision=0.1)
    assert 16 <= few.networks < 300
    report = verify.compare(verify.predict("tanh", SIGMA_W, SIGMA_B, depth=3), few)
    assert report.networks == few.networks
    assert any("precision 0.1 was reached" in note for note in report.notes)
    whole = verify.simulate("tanh", SIGMA_W, SIGMA_B, depth=3, widths=(50, 100), networks=few.networks)
    assert same_samples(few, whole)


def test_it_says_when_a_precision_is_out_of_reach():
    report = verify.check("tanh", SIGMA_W, SIGMA_B, **SMALL, precision=1e-3)
    (note,) = (note for note in report.notes if "precision" in note)
    assert "was not reached with 24 networks" in note
    needed = int(note.rstrip(".").rsplit(" ", 1)[1])
    worst = max(check.standard_error / check.theory for check in report.checks if check.quantity != "c")
    assert needed == pytest.approx(24 * (worst / 1e-3) ** 2, rel=0.2)
