"""Edges and atoms of the spectra of J J^T against published values, closed forms and mpmath."""

import math

import mpmath
import numpy as np
import pytest

import meanfield as mf
from meanfield.errors import Status
from meanfield.layer_laws import slope_law
from tests import oracles_spectra as oracle
from tests.spectral_cases import critical, wrong_integrals


class TestEdges:
    @pytest.mark.parametrize(
        ("q", "edge"), [(1e-4, 1.0073), (9.2328e-4, 1.0688), (1 / 64, 2.5948), (0.5, 163.7), (8.0, 1498.7)]
    )
    def test_tanh_200_layers(self, q, edge):
        """The five lengths of arXiv:1810.03785."""
        spectrum = critical("tanh", q, 200, "orthogonal")
        assert abs(spectrum.lambda_max / edge - 1) < 5e-5
        assert spectrum.status is Status.CONVERGED

    @pytest.mark.parametrize(
        ("q", "digits"),
        [(1e-4, "1.00730020428709700906549814549"), (1 / 64, "2.59476520505350913618462990955")],
        ids=str,
    )
    def test_error_bound_is_honest(self, q, digits):
        """30 digits by mpmath."""
        spectrum = critical("tanh", q, 200, "orthogonal")
        true = abs(mpmath.mpf(spectrum.lambda_max) - mpmath.mpf(digits))
        assert true <= spectrum.error <= 1e-10

    def test_mpmath_again(self):
        exact = oracle.log_lambda_max(lambda x: mpmath.sech(x) ** 4, 0.5, 10, 2.2, digits=15)
        assert abs(critical("tanh", 0.5, 10, "orthogonal").log_lambda_max - float(exact)) < 1e-11

    def test_an_end_that_holds_next_to_no_mass_is_not_an_edge(self):
        """silu' has its largest value at x = 2.4, 7.6 standard deviations away: rounding there is no gap."""
        spectrum = critical("silu", 0.1, 4, "gaussian")
        w, law = np.linspace(1.5, 3.0, 30_001), slope_law(mf.as_nonlinearity("silu"), 0.1)
        x, weights = np.polynomial.hermite_e.hermegauss(60)
        slopes = mf.as_nonlinearity("silu").derivative(math.sqrt(0.1) * x) ** 2
        M = np.array([weights @ (slopes / (each - slopes)) for each in w]) / weights.sum()
        # S = (w M/(1 + M))^-1 of each layer and 1/(1 + M) of each matrix: z = w^4 M^3 (1 + M).
        log_z = 8 * math.log(spectrum.sigma_w) + 4 * np.log(w) + 3 * np.log(M) + np.log1p(M)
        assert law.top < 1.5
        assert abs(spectrum.log_lambda_max - log_z.min()) <= 1e-7
        assert wrong_integrals(spectrum) == {}

    def test_gaussian_edge_does_not_care_at_small_q(self):
        assert critical("tanh", 1e-4, 200, "gaussian").lambda_max == pytest.approx(545.0, abs=0.05)
        assert critical("linear", 1.0, 200, "gaussian").lambda_max == pytest.approx(545.0, abs=0.05)

    @pytest.mark.parametrize("depth", [1, 7, 200, 10_000])
    def test_linear(self, depth):
        spectrum = mf.jacobian_spectrum("linear", 1.0, 0.0, depth=depth)
        exact = (depth + 1) * math.log(depth + 1) - depth * math.log(depth)
        assert abs(spectrum.log_lambda_max - exact) <= spectrum.errors["log_lambda_max"] < 1e-10
        assert mf.jacobian_spectrum("linear", 1.0, 0.0, depth=depth, weights="orthogonal").atoms == ((1.0, 1.0),)

    @pytest.mark.parametrize("depth", [2, 3, 50])
    def test_relu_orthogonal(self, depth):
        spectrum = mf.jacobian_spectrum("relu", math.sqrt(2), 0.0, depth=depth, weights="orthogonal")
        exact = depth * math.log(depth) - (depth - 1) * math.log(depth - 1)
        assert abs(spectrum.log_lambda_max - exact) < 1e-12
        assert spectrum.atoms == ((0.0, 0.5),)
        assert spectrum.status is Status.EVERY_Q_FIXED

    def test_hard_tanh_top_atom(self):
        """While L(1 - p) < 1 the largest eigenvalue is an atom, above the edge of the continuous part."""
        spectrum = critical("hard_tanh", 0.2, 16, "orthogonal")
        assert spectrum.lambda_max == pytest.approx(1.5080, abs=5e-5)
        (zero, top) = spectrum.atoms
        assert top.mass == pytest.approx(0.5944, abs=5e-5)
        assert zero.location == 0
        p = math.erf(1 / math.sqrt(0.4))
        assert spectrum.intervals[0][1] == pytest.approx((1 - p) / p * 16**16 / 15**15, rel=1e-12)

    def test_lower_edge(self):
        """inf phi'^2 > 0 and orthogonal weights: nothing below; Gaussian weights reach 0."""
        orthogonal, gaussian = (
            mf.jacobian_spectrum("leaky_relu(slope=0.5)", 1.2, 0.0, depth=4, weights=weights, q0=1.0)
            for weights in ("orthogonal", "gaussian")
        )
        assert gaussian.lambda_min == 0 < orthogonal.lambda_min
        assert orthogonal.cdf(0.999 * orthogonal.lambda_min) == 0
        assert orthogonal.density(1.01 * orthogonal.lambda_min) > 0

    def test_empty_tails(self):
        """SiLU: max phi'^2 is far out in the tail at small q; the edge is its image, the bulk ends before."""
        spectrum = critical("silu", 0.01, 20, "orthogonal")
        assert spectrum.status is Status.EMPTY_TAIL
        assert spectrum.lambda_max > 1.3 * spectrum.bulk_max
        assert spectrum.quantile(1 - 1e-9) < spectrum.bulk_max

    def test_unbounded_slopes(self):
        spectrum = mf.jacobian_spectrum("0.1*x**3", 0.5, 0.5, depth=2, weights="orthogonal", q0=0.5)
        assert spectrum.lambda_max == math.inf
        assert spectrum.status is Status.EMPTY_TAIL
        assert abs(spectrum.moment(1) / spectrum.mean - 1) < 1e-8
