"""Spectra of J J^T: densities against closed forms and an independent solver, methods, layers and arguments."""

import itertools
import json
import math
import pickle
import warnings

import numpy as np
import pytest

import meanfield as mf
from meanfield.activations import CATALOGUE
from meanfield.errors import InvalidParameterError, NoFixedPointError, NonlinearityError, Status
from meanfield.freeprob import FreeProduct, Spectrum, Wishart
from meanfield.layer_laws import layer_laws, slope_law
from tests import oracles_spectra as oracle
from tests.spectral_cases import PHASES, critical, spectrum_of, wrong_integrals

SLOPES = {
    "tanh": (lambda x: 1 / np.cosh(x) ** 2, ()),
    "sin": (np.cos, ()),
    "elu": (lambda x: np.where(x > 0, 1.0, np.exp(np.minimum(x, 0.0))), (0.0,)),
}
ENSEMBLES = ("gaussian", "orthogonal")
CASES = [
    ("tanh", 2.5, 0.3),
    ("tanh", 0.7, 0.3),
    ("relu", 1.3, 0.3),
    ("leaky_relu", 0.7, 0.3),
    ("elu", 1.1, 0.05),
    ("selu", 0.8, 0.1),
    ("silu", 1.0, 0.3),
    ("hard_tanh", 1.3, 0.1),
    ("softsign", 1.4, 0.05),
    ("sin", 1.2, 0.2),
    ("tanh(x)+0.3*relu(x)", 0.9, 0.1),
]


class TestDensities:
    @pytest.mark.parametrize(
        ("phi", "phase", "depth", "weights"),
        list(zip(CATALOGUE, *map(itertools.cycle, (PHASES, (2, 100, 1, 3, 10), ENSEMBLES[::-1])), strict=False)),
    )
    def test_catalogue(self, phi, phase, depth, weights):
        """A sample: tests/benchmarks/test_spectra.py has all the others."""
        assert wrong_integrals(spectrum_of(phi, phase, depth, weights)) == {}

    @pytest.mark.parametrize(
        ("phi", "sigma_w", "sigma_b", "depth", "weights"),
        [(*case, depth, ENSEMBLES[(i + j) % 2]) for i, case in enumerate(CASES) for j, depth in enumerate((1, 3, 100))],
    )
    def test_mass_mean_variance(self, phi, sigma_w, sigma_b, depth, weights):
        spectrum = mf.jacobian_spectrum(phi, sigma_w, sigma_b, depth=depth, weights=weights)
        point = mf.fixed_point(phi, sigma_w, sigma_b)
        moments = mf.moments(phi, point.q_star)
        assert abs(spectrum.log_mean - depth * math.log(point.chi_1)) <= 1e-11 * depth
        spread = depth * (moments.mu_2 / moments.mu_1**2 - 1 + (weights == "gaussian"))
        assert abs(spectrum.relative_variance / spread - 1) < 1e-10
        law = spectrum.spectrum.law
        zero = sum(mass for place, mass in spectrum.atoms if place == 0)
        assert abs(law.mass - 1) <= max(spectrum.cdf_error, 1e-15)
        # One layer has hard edges: a rounding of lambda moves the root of its distance to them.
        assert spectrum.cdf_error < (1e-7 if depth == 1 else 1e-9)
        mean = law.expectation(lambda t: np.exp(t - spectrum.log_mean))
        variance = law.expectation(lambda t: np.expm1(t - spectrum.log_mean) ** 2) + zero
        assert abs(mean - 1) < 1e-8
        assert abs(variance / spread - 1) < 1e-8

    @pytest.mark.parametrize("phi", SLOPES)
    @pytest.mark.parametrize(
        ("depth", "weights"), [(1, "gaussian"), (3, "orthogonal"), (30, "gaussian"), (30, "orthogonal")]
    )
    def test_independent_solver(self, phi, depth, weights):
        slope, kinks = SLOPES[phi]
        q = 0.3
        spectrum = mf.jacobian_spectrum(phi, 1.1, 0.1, depth=depth, weights=weights, q0=None)
        q = spectrum.q_star
        t = spectrum.log_quantile(np.array([0.3, 0.6, 0.9]))
        exact = oracle.density_of_log(t, q, slope, 1.1, depth, weights, kinks)
        np.testing.assert_allclose(spectrum.density_of_log(t), exact, rtol=1e-8)

    @pytest.mark.parametrize("phi", SLOPES)
    @pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
    def test_mean_logarithm(self, phi, weights):
        """E ln adds up over free factors: E ln phi'^2 of each layer, -1 of each Gaussian matrix."""
        slope, kinks = SLOPES[phi]
        spectrum = mf.jacobian_spectrum(phi, 1.1, 0.1, depth=50, weights=weights)
        _, _, log_slope = oracle.slope_moments(spectrum.q_star, slope, kinks)
        if phi == "sin":  # the logarithm is infinite at pi/2
            log_slope = slope_law(mf.as_nonlinearity(phi), spectrum.q_star).mean_log
        exact = 50 * (2 * math.log(1.1) + log_slope - (weights == "gaussian"))
        assert abs(spectrum.mean_log / exact - 1) < 1e-9

    def test_one_layer_is_the_law_of_slopes(self):
        spectrum = mf.jacobian_spectrum("tanh", 1.5, 0.2, depth=1, weights="orthogonal", q0=0.8)
        lam = np.array([0.1, 1.0, 2.2])
        from_x = 2 * np.arccosh((1.5 / np.sqrt(lam)) ** 0.5) / math.sqrt(2 * 0.8)
        np.testing.assert_allclose(spectrum.cdf(lam), [math.erfc(x / 2) for x in from_x], rtol=1e-12)

    def test_deep_gaussian_networks_keep_their_small_eigenvalues(self):
        spectrum = mf.jacobian_spectrum("tanh", 1.0, 0.0, depth=1000, q0=1e-6)
        assert spectrum.quantile(0.5) < 1e-200
        assert spectrum.log_quantile(0.01) < -3000
        assert spectrum.cdf(1e-300) > 0.4
        assert abs(spectrum.moment(1) - spectrum.mean) < 1e-8 * spectrum.mean

    @pytest.mark.parametrize(("sigma_w", "sign"), [(4.0, 1), (0.3, -1)])
    def test_beyond_float64(self, sigma_w, sign):
        spectrum = mf.jacobian_spectrum("tanh", sigma_w, 0.3, depth=10_000, weights="orthogonal")
        assert spectrum.status is Status.BEYOND_FLOAT64
        assert spectrum.mean == (math.inf if sign > 0 else 0.0)
        assert math.isfinite(spectrum.log_mean)
        assert sign * spectrum.log_mean > 700
        assert 0.3 < spectrum.cdf_of_log(spectrum.log_quantile(0.4)) < 0.5


class TestMethods:
    def test_they_agree_with_each_other(self):
        spectrum = critical("tanh", 0.3, 12, "gaussian")
        p = np.array([0.1, 0.5, 0.9])
        np.testing.assert_allclose(spectrum.cdf(spectrum.quantile(p)), p, atol=1e-10)
        lam = np.array([0.2, 1.0, 5.0])
        np.testing.assert_allclose(spectrum.density(lam) * lam, spectrum.density_of_log(np.log(lam)))
        np.testing.assert_allclose(
            spectrum.singular_value_density(np.sqrt(lam)), 2 * np.sqrt(lam) * spectrum.density(lam)
        )
        h = 1e-5
        slope = (spectrum.cdf(lam * (1 + h)) - spectrum.cdf(lam * (1 - h))) / (2 * h * lam)
        np.testing.assert_allclose(slope, spectrum.density(lam), rtol=1e-6)
        assert spectrum.moment(0) == pytest.approx(1.0, abs=1e-11)
        assert spectrum.moment(2) == pytest.approx(spectrum.variance + spectrum.mean**2, rel=1e-10)

    def test_scalars_and_shapes(self):
        spectrum = critical("relu", 1.0, 3, "orthogonal")
        assert isinstance(spectrum.density(1.0), float)
        assert spectrum.density(np.ones((2, 3))).shape == (2, 3)
        assert spectrum.density([-1.0, 0.0, 100.0]).tolist() == [0.0, math.inf, 0.0]
        assert spectrum.cdf([-1.0, 0.0, 100.0]).tolist() == pytest.approx([0.0, 0.5, 1.0])
        assert spectrum.quantile(0.2) == 0.0
        assert spectrum.density_of_log_error(0.0) < 1e-8

    @pytest.mark.parametrize(("phi", "zero"), [("relu", 0.5), ("tanh", 0.0)])
    @pytest.mark.parametrize("depth", [1, 3])
    @pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
    def test_distribution_in_the_logarithm_takes_the_infinities(self, phi, zero, depth, weights):
        spectrum = mf.jacobian_spectrum(phi, 1.0, 0.1, depth=depth, weights=weights, q0=0.3)
        np.testing.assert_allclose(spectrum.cdf_of_log([-math.inf, math.inf]), [zero, 1.0], rtol=1e-12)
        assert spectrum.cdf_of_log(spectrum.log_quantile(zero)) == pytest.approx(zero, abs=1e-12)
        with pytest.raises(mf.InvalidParameterError, match="t must be a number, got nan"):
            spectrum.cdf_of_log(math.nan)

    def test_third_moment(self):
        """E lambda^3 of a free power from three moments of phi'^2: S-transforms as power series in m."""
        q, depth = 0.4, 5
        law = slope_law(mf.as_nonlinearity("tanh"), q)
        moments = [float((law.weights @ law.nodes**k).real) / law.mean**k for k in (1, 2, 3)]
        # m/(1 + m) times the inverse series of m(y) = y + a y^2 + b y^3, y = 1/w, is S = 1 + s1 m + s2 m^2 + ...
        _, a, b = moments
        inverse = (1.0, -a, 2 * a**2 - b)
        s1, s2 = inverse[1] + 1, inverse[2] + inverse[1]
        log_s = (depth * s1, depth * (s2 - s1**2 / 2))
        total = (log_s[0], log_s[1] + log_s[0] ** 2 / 2)
        # Back: y(m) = m S/(1 + m), and its inverse series holds the moments.
        y2, y3 = total[0] - 1, total[1] - total[0] + 1
        second, third = -y2, 2 * y2**2 - y3
        spectrum = mf.jacobian_spectrum("tanh", 1 / math.sqrt(law.mean), 0.0, depth=depth, weights="orthogonal", q0=q)
        fixed = mf.propagate("tanh", spectrum.sigma_w, 0.0, depth=depth, q0=q).q
        assert fixed[0] == q
        product = FreeProduct((law,), np.array([float(depth)]), (), -depth * math.log(law.mean))
        found = Spectrum(product, product).law
        assert found.expectation(lambda t: np.exp(2 * t)) == pytest.approx(second, rel=1e-10)
        assert found.expectation(lambda t: np.exp(3 * t)) == pytest.approx(third, rel=1e-10)

    def test_results_travel(self):
        spectrum = critical("hard_tanh", 0.2, 16, "orthogonal")
        again = pickle.loads(pickle.dumps(spectrum))
        assert again.density(0.5) == spectrum.density(0.5)
        record = json.loads(spectrum.to_json())
        assert record["lambda_max"] == spectrum.lambda_max
        assert record["status"] == "converged"
        assert "spectrum" not in record
        assert mf.jacobian_spectrum("relu", 1.0, 0.0, depth=2) is mf.jacobian_spectrum("relu", 1.0, 0.0, depth=2)


class TestLayers:
    def test_few_layers_one_by_one(self):
        phi, q = mf.as_nonlinearity("tanh"), np.array([2.0, 1.0, 0.5])
        orbit = layer_laws(phi, q, np.zeros(3))
        assert orbit.q.tolist() == [0.5, 1.0, 2.0]
        assert orbit.unrepresented == 0

    @pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
    def test_representatives_of_many_layers(self, weights):
        depth = 14
        spectrum = mf.jacobian_spectrum("tanh", 1.2, 0.2, depth=depth, weights=weights, q0=4.0)
        assert len(spectrum.spectrum.product.laws) < 10
        lengths = mf.propagate("tanh", 1.2, 0.2, depth=depth, q0=4.0).q
        laws = tuple(slope_law(mf.as_nonlinearity("tanh"), float(q)) for q in lengths)
        factors = (Wishart(float(depth)),) if weights == "gaussian" else ()
        product = FreeProduct(laws, np.ones(depth), factors, 2 * depth * math.log(1.2))
        (component,) = Spectrum(product, product).components
        assert abs(component.upper.log_z - spectrum.log_lambda_max) < 1e-9

    def test_order_does_not_matter_but_lengths_do(self):
        here = mf.jacobian_spectrum("tanh", 1.2, 0.2, depth=6, q0=4.0)
        fixed = mf.jacobian_spectrum("tanh", 1.2, 0.2, depth=6)
        assert here.q_star != fixed.q_star
        assert here.mean == pytest.approx(
            float(np.prod(mf.propagate("tanh", 1.2, 0.2, depth=6, q0=4.0).chi)), rel=1e-12
        )
        assert here.lambda_max < fixed.lambda_max

    def test_homogeneous_nonlinearities_have_one_law(self):
        near, far = (mf.jacobian_spectrum("relu", 1.3, 0.5, depth=9, weights="orthogonal", q0=q) for q in (0.1, 50.0))
        assert len(near.spectrum.product.laws) == 1
        assert abs(near.lambda_max - far.lambda_max) <= near.error < 1e-11

    def test_no_signal(self):
        spectrum = mf.jacobian_spectrum("x**2", 1.0, 0.0, depth=3, q0=0.0)
        assert spectrum.atoms == ((0.0, 1.0),)
        assert spectrum.mean == spectrum.lambda_max == 0
        assert spectrum.cdf(0.0) == 1.0


class TestArguments:
    @pytest.mark.parametrize(
        ("changed", "message"),
        [
            ({"depth": 0}, "depth must be >= 1"),
            ({"depth": -3}, "depth must be >= 1"),
            ({"depth": 2.5}, "depth must be an integer"),
            ({"weights": "xavier"}, "weights must be one of 'gaussian', 'orthogonal'"),
            ({"sigma_w": 0.0}, "sigma_w must be > 0"),
            ({"sigma_b": -1.0}, "sigma_b must be >= 0"),
            ({"q0": -0.1}, "q0 must be >= 0"),
            ({"input_aspect": 0.0}, "input_aspect must be > 0"),
            ({"output_aspect": -1.0}, "output_aspect must be > 0"),
        ],
    )
    def test_bad_ones(self, changed, message):
        arguments = {"sigma_w": 1.0, "sigma_b": 0.1, "depth": 3, **changed}
        with pytest.raises(InvalidParameterError, match=message):
            mf.jacobian_spectrum("tanh", arguments.pop("sigma_w"), arguments.pop("sigma_b"), **arguments)

    def test_unbounded_lengths(self):
        with pytest.raises(NoFixedPointError, match="grows without bound"):
            mf.jacobian_spectrum("relu", 2.0, 0.1, depth=3)

    def test_infinite_moments(self):
        with pytest.raises(NonlinearityError, match="infinite"):
            mf.jacobian_spectrum("exp(x**2/4)", 1.0, 0.1, depth=1, q0=2.0)

    def test_bad_arguments_of_methods(self):
        spectrum = mf.jacobian_spectrum("tanh", 1.0, 0.3, depth=2)
        with pytest.raises(InvalidParameterError, match="p must be in"):
            spectrum.quantile(1.5)
        with pytest.raises(InvalidParameterError, match="k must be >= 0"):
            spectrum.moment(-1)
        with pytest.raises(InvalidParameterError, match="lam must be finite"):
            spectrum.density(math.nan)

    def test_no_warnings(self):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            spectrum = mf.jacobian_spectrum("softplus", 1.1, 0.4, depth=7, weights="orthogonal", q0=3.0)
            spectrum.density(np.linspace(-1.0, 2 * spectrum.lambda_max, 11))
