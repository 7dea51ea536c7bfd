"""Spectra of slopes that hold next to no mass beside an extremum of phi'^2: about 1e-14 beside that of mish."""

import math

import numpy as np
import pytest
from scipy import integrate, optimize

import meanfield as mf


def mish_slope(x: float) -> float:
    tanh = math.tanh(math.log1p(math.exp(x)))
    return tanh + x * (1 - tanh**2) / (1 + math.exp(-x))


def log_lambda_max(sigma_w: float, q: float, depth: int, weights: str) -> float:
    """The least ln z over w beyond the bulk of phi'(x)^2, from M(w) = E phi'^2/(w - phi'^2) by quadrature."""

    bulk = sigma_w**2 * mish_slope(1.5) ** 2

    def log_z(u: float) -> float:
        w = bulk * math.exp(u)

        def integrand(x: float) -> float:
            slope = sigma_w**2 * mish_slope(x) ** 2
            return slope / (w - slope) * math.exp(-(x**2) / (2 * q)) / math.sqrt(2 * math.pi * q)

        M = integrate.quad(integrand, -9 * math.sqrt(q), 9 * math.sqrt(q), epsabs=1e-13)[0]
        layer = math.log(w * M) - (math.log1p(M) if weights == "orthogonal" else 0.0)
        return math.log1p(1 / M) + depth * layer

    return optimize.minimize_scalar(log_z, bounds=(0.01, 6.0), method="bounded", options={"xatol": 1e-7}).fun


@pytest.mark.parametrize("sigma_b", [0.095, 0.0975, 0.1])
@pytest.mark.parametrize(("depth", "weights"), [(3, "gaussian"), (100, "orthogonal")])
def test_a_maximum_of_slopes_that_hardly_occurs(sigma_b, depth, weights):
    spectrum = mf.jacobian_spectrum("mish", 1.4, sigma_b, depth=depth, weights=weights)
    exact = log_lambda_max(1.4, spectrum.q_star, depth, weights)
    assert math.log(spectrum.lambda_max) == pytest.approx(exact, abs=1e-10)
    consistent(spectrum)


@pytest.mark.parametrize(("sigma_w", "sigma_b"), [(1.4, 0.08), (1.4, 0.09), (1.2, 0.1)])
def test_a_zero_of_slopes_that_hardly_occurs(sigma_w, sigma_b):
    consistent(mf.jacobian_spectrum("mish", sigma_w, sigma_b, depth=3, weights="orthogonal"))


def consistent(spectrum: mf.JacobianSpectrum) -> None:
    """All mass is found, and the moments of the density are those of the law's expansion."""
    assert spectrum.cdf_error < 1e-10
    assert spectrum.moment(1) == pytest.approx(spectrum.mean, rel=1e-10)
    assert spectrum.moment(2) == pytest.approx(spectrum.mean**2 + spectrum.variance, rel=1e-10)
    p = np.array([0.1, 0.5, 0.9])
    np.testing.assert_allclose(spectrum.cdf_of_log(spectrum.log_quantile(p)), p, atol=1e-10)
