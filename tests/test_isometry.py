"""Isometric points, universality classes and the double scaling limits."""

import math
import warnings

import numpy as np
import pytest
from scipy.special import lambertw

import meanfield as mf
from meanfield.errors import InvalidParameterError, NoCriticalPointError, NonlinearityError, Status
from meanfield.layer_laws import slope_law


class TestIsometricPoint:
    def test_the_length_of_200_layers(self):
        """q_star = 9.2e-4 of arXiv:1810.03785."""
        point = mf.isometric_point("tanh", depth=200)
        assert point.q_star == pytest.approx(9.2328e-4, rel=1e-5)
        C = math.exp(200 * math.log(200) - 199 * math.log(199))
        assert abs(mf.moments("tanh", point.q_star).mu_1 - C / (1 + C)) < 1e-14
        assert point.stable

    def test_one_layer(self):
        assert mf.moments("tanh", mf.isometric_point("tanh", depth=1).q_star).mu_1 == pytest.approx(0.5, rel=1e-12)

    def test_slopes_above_one(self):
        """SELU: the rule is about mu_1/max phi'^2."""
        with pytest.raises(NoCriticalPointError, match="selu: no critical point has mu_1/max phi'"):
            mf.isometric_point("selu", depth=10)
        point = mf.isometric_point("sin(x)", depth=50)
        assert mf.moments("sin(x)", point.q_star).mu_1 > 0.99

    @pytest.mark.parametrize("phi", ["tanh", "erf", "elu", "hard_tanh", "softsign"])
    @pytest.mark.parametrize(("depth", "variance"), [(10, 0.5), (200, 0.05), (1000, 1e-3)])
    def test_the_variance_is_reached(self, phi, depth, variance):
        point = mf.isometric_point(phi, depth=depth, variance=variance)
        spectrum = mf.jacobian_spectrum(
            phi, point.sigma_w, point.sigma_b, depth=depth, weights="orthogonal", q0=point.q_star
        )
        assert abs(spectrum.variance / variance - 1) < 1e-9
        assert spectrum.mean == pytest.approx(1.0, rel=1e-10)

    def test_far_below_the_rounding_of_moments(self):
        """variance/depth = 5e-16: mu_2/mu_1^2 - 1 itself is lost in rounding. For tanh it is 8 q^2 - ..."""
        point = mf.isometric_point("tanh", depth=200, variance=1e-13)
        assert point.q_star == pytest.approx(math.sqrt(1e-13 / 200 / 8), rel=1e-4)

    def test_unstable_ones_come_with_a_warning(self):
        with pytest.warns(mf.UnstableCriticalPointWarning, match="silu"):
            point = mf.isometric_point("silu", depth=16, variance=0.25)
        assert not point.stable

    @pytest.mark.parametrize(
        ("phi", "message"),
        [
            ("relu", "relu: no critical point has variance = 0.25 at depth 16; all of them have variance = 16 at"),
            ("linear", "all of them have variance = 0"),
            ("softplus", r"only at lengths where sigma_b\^2"),
            ("selu", r"of those searched, q_star in \[1e-12, 1e\+08\]; they reach from variance = 2.6"),
        ],
    )
    def test_where_there_is_none(self, phi, message):
        with pytest.raises(NoCriticalPointError, match=message):
            mf.isometric_point(phi, depth=16, variance=0.25)

    def test_degenerate_lines_that_fit(self):
        point = mf.isometric_point("relu", depth=16, variance=16.0)
        assert point.sigma_w == pytest.approx(math.sqrt(2))

    @pytest.mark.parametrize(
        ("changed", "message"),
        [
            ({"depth": 0}, "depth must be >= 1"),
            ({"variance": 0.0}, "variance must be > 0"),
            ({"depth": 1.5}, "integer"),
        ],
    )
    def test_bad_arguments(self, changed, message):
        with pytest.raises(InvalidParameterError, match=message):
            mf.isometric_point("tanh", **{"depth": 10, **changed})


class TestUniversality:
    @pytest.mark.parametrize(
        ("phi", "name"),
        [
            ("tanh", "smooth"),
            ("elu", "smooth"),
            ("softsign", "smooth"),
            ("silu", "smooth"),
            ("tanh(1000*x)", "smooth"),
            ("hard_tanh", "bernoulli"),
            ("relu(x+1)", "bernoulli"),
            ("leaky_relu(x+1)", "none"),
            ("relu", "none"),
            ("selu", "none"),
            ("x**2", "none"),
            ("cos", "none"),
            ("linear", "linear"),
        ],
    )
    def test_classes(self, phi, name):
        found = mf.universality_class(phi)
        assert found.name == name
        assert found.reason

    @pytest.mark.parametrize("variance", [0.1, 1.0, 5.0])
    def test_smooth_edges(self, variance):
        limit = mf.double_scaling_limit("tanh", variance=variance)
        root = math.sqrt(variance) / 2 * math.sqrt(variance + 4)
        exact = [(1 + variance / 2 + s * root) * math.exp(-variance / 2 + s * root) for s in (-1, 1)]
        assert abs(limit.lambda_min / exact[0] - 1) < 1e-12
        assert abs(limit.lambda_max - exact[1]) <= limit.error + 1e-14 * exact[1]
        assert limit.lambda_min * limit.lambda_max == pytest.approx(math.exp(-variance), rel=1e-12)
        assert abs(limit.moment(1) - 1) < 1e-10
        assert abs(limit.moment(2) - 1 - variance) < 1e-9

    @pytest.mark.parametrize("variance", [0.25, 1.0, 4.0])
    def test_bernoulli_law(self, variance):
        """The closed form by Lambert's W."""
        limit = mf.double_scaling_limit("hard_tanh", variance=variance)
        lam = np.linspace(0.05, 0.98, 9) * math.e * variance
        exact = -(variance / (lam * (variance + lambertw(-variance / lam)))).imag / math.pi
        np.testing.assert_allclose(limit.density(lam), exact, rtol=1e-9)
        assert limit.intervals[0][1] == pytest.approx(math.e * variance, rel=1e-12)
        atoms = dict(limit.atoms)
        if variance < 1:
            assert atoms == pytest.approx({math.exp(variance): 1 - variance})
            assert limit.lambda_max == pytest.approx(math.exp(variance))
        else:
            assert not atoms
        assert abs(limit.moment(0) - 1) < 1e-7
        assert abs(limit.moment(1) - 1) < 1e-9

    def test_no_limit(self):
        with pytest.raises(NonlinearityError, match="relu has no double scaling limit: phi'\\^2 jumps at 0"):
            mf.double_scaling_limit("relu", variance=1.0)
        with pytest.raises(InvalidParameterError, match="variance must be > 0"):
            mf.double_scaling_limit("tanh", variance=-1.0)

    @staticmethod
    def distances(phi: str, depths, variance: float):
        found = []
        for depth in depths:
            point = mf.isometric_point(phi, depth=depth, variance=variance)
            spectrum = mf.jacobian_spectrum(phi, point.sigma_w, point.sigma_b, depth=depth, weights="orthogonal")
            found.append(mf.limit_distance(phi, spectrum))
        return found

    @pytest.mark.parametrize("phi", ["tanh", "elu"])
    def test_smooth_limit_is_approached_as_the_inverse_root(self, phi):
        near, middle, far = self.distances(phi, (100, 1600, 25_600), 0.25)
        slopes = [math.log(a.edge / b.edge) / math.log(16) for a, b in ((near, middle), (middle, far))]
        # -1/2 with a correction that falls by 4 from one to the next.
        assert abs(slopes[1] - 0.5) < 0.02
        assert abs(slopes[1] - 0.5) < 0.4 * abs(slopes[0] - 0.5)
        assert math.log(middle.wasserstein / far.wasserstein) / math.log(16) == pytest.approx(0.5, abs=0.03)

    def test_bernoulli_limit_is_approached_as_one_over_depth(self):
        """e sigma_0^2 (1 - 1/(2L)) for the continuum's edge, which is the top beyond variance 1."""
        near, far = self.distances("hard_tanh", (50, 800), 2.0)
        assert near.edge == pytest.approx(-1 / 100, rel=0.02)
        assert far.edge == pytest.approx(-1 / 1600, rel=0.02)
        assert near.wasserstein > 10 * far.wasserstein

    def test_the_wrong_class_is_not_approached(self):
        (own,) = self.distances("hard_tanh", (400,), 2.0)
        spectrum = mf.jacobian_spectrum("tanh", 1.0, 0.0, depth=400, weights="orthogonal", q0=0.02)
        other = mf.limit_distance("hard_tanh", spectrum)
        assert own.wasserstein < 0.01 < 0.1 < other.wasserstein


class TestResidual:
    @pytest.mark.parametrize("gain", [0.1, 1.0, 3.0])
    def test_edges_and_moments(self, gain):
        law = mf.residual_spectrum(gain)
        edges = [
            (1 + m) / m * math.exp(gain * (1 + 2 * m))
            for m in ((-1 + s * math.sqrt(1 + 2 / gain)) / 2 for s in (-1, 1))
        ]
        assert law.lambda_min == pytest.approx(edges[0], rel=1e-12)
        assert law.lambda_max == pytest.approx(edges[1], rel=1e-12)
        assert law.mean == pytest.approx(math.exp(gain), rel=1e-14)
        assert law.moment(1) == pytest.approx(law.mean, rel=1e-10)
        assert law.moment(2) == pytest.approx(law.variance + law.mean**2, rel=1e-10)

    def test_simulated(self):
        rng = np.random.default_rng(1)
        N, depth, gain = 300, 100, 0.6
        J = np.eye(N)
        for _ in range(depth):
            slopes = rng.random(N) < 0.5  # D of a ReLU: mu_1 = 1/2
            J = J + slopes[:, None] * (rng.standard_normal((N, N)) @ J) * math.sqrt(2 * gain / (depth * N))
        values = np.sort(np.linalg.eigvalsh(J @ J.T))
        law = mf.residual_spectrum(gain)
        assert np.abs(law.cdf(values) - (np.arange(N) + 0.5) / N).max() < 0.03
        assert values[-1] == pytest.approx(law.lambda_max, rel=0.1)

    def test_bad_gain(self):
        with pytest.raises(InvalidParameterError, match="gain must be > 0"):
            mf.residual_spectrum(0.0)


class TestTable:
    def test_rows(self):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            table = mf.isometry_table(["tanh", "relu", "hard_tanh", "gelu"], depth=16, variance=0.2)
        assert table.phi == ("tanh", "relu", "hard_tanh", "gelu")
        assert table.universality == ("smooth", "none", "bernoulli", "smooth")
        assert [status.name for status in table.status] == ["CONVERGED", "NO_CRITICAL_POINT", "CONVERGED", "CONVERGED"]
        assert np.isnan(table.q_star[1])
        assert "16" in table.reason[1]
        assert table.stable.tolist() == [True, False, True, False]
        np.testing.assert_allclose(table.gaussian_variance[[0, 2, 3]], 16.2, rtol=1e-9)
        assert (table.gaussian_lambda_max[[0, 2, 3]] > 10 * table.bulk_max[[0, 2, 3]]).all()
        assert table.lambda_max[3] > table.bulk_max[3], "the top of GELU's slopes is empty"
        assert table.to_dict()["status"][1] == "no_critical_point"

    def test_spread_of_the_laws(self):
        """What the table rests on: mu_2/mu_1^2 - 1 from the laws is that of the moments."""
        for phi in ("tanh", "gelu", "relu6"):
            moments = mf.moments(phi, 0.7)
            spread = slope_law(mf.as_nonlinearity(phi), 0.7).relative_variance
            assert spread == pytest.approx(moments.mu_2 / moments.mu_1**2 - 1, rel=1e-12)

    def test_status_of_others(self):
        assert mf.isometry_table(["relu"], depth=4).status[0] is Status.NO_CRITICAL_POINT
        with pytest.raises(InvalidParameterError, match="phis must be a sequence of nonlinearities, got 'tanh'"):
            mf.isometry_table("tanh")
