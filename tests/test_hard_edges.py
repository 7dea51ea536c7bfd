"""Densities as lambda falls to 0, where spectra of square matrices end in a power of lambda."""

import math

import numpy as np
import pytest
from scipy import integrate

import meanfield as mf

SMALL = np.array([0.0, 1e-150, 1e-40, 1e-13, 1e-8])


def law(phi: str, depth: int, weights: str, sigma_w: float = 1.3) -> mf.JacobianSpectrum:
    return mf.jacobian_spectrum(phi, sigma_w, 0.1, depth=depth, weights=weights, q0=0.5)


def expectation(function, q: float = 0.5) -> float:
    """Of a function of x ~ N(0, q)."""
    value, _ = integrate.quad(lambda x: function(x) * math.exp(-(x**2) / (2 * q)), -12, 12, epsabs=1e-13, limit=200)
    return value / math.sqrt(2 * math.pi * q)


def test_a_square_gaussian_matrix():
    """Marchenko-Pastur: singular values have the density sqrt(4 - s^2)/pi, eigenvalues sqrt(4/lambda - 1)/(2 pi)."""
    spectrum = law("linear", 1, "gaussian", sigma_w=1.0)
    np.testing.assert_allclose(spectrum.singular_value_density(SMALL), 2 / math.pi, rtol=1e-7)
    assert spectrum.density(0.0) == math.inf
    lam = np.array([1e-300, 1e-40, 1e-20, 1e-6, 1.0])
    exact = np.sqrt(4 / lam - 1) / (2 * math.pi)
    bound = 1e-9 * exact + spectrum.density_of_log_error(np.log(lam)) / lam
    assert (np.abs(spectrum.density(lam) - exact) <= bound).all()
    np.testing.assert_allclose(spectrum.cdf(1e-40), 2e-20 / math.pi, rtol=1e-8)


def test_slopes_that_stay_away_from_0():
    """1 + m = sqrt(-z E[phi'^-2])/sigma_w near m = -1."""
    spectrum = law("tanh", 1, "gaussian")
    mean = expectation(lambda x: math.cosh(x) ** 4)
    np.testing.assert_allclose(
        spectrum.singular_value_density(SMALL[:-1]), 2 / math.pi * math.sqrt(mean) / 1.3, rtol=1e-7
    )


@pytest.mark.parametrize("depth", [2, 5])
def test_deep_gaussian_networks(depth):
    """Linear: 1 + m = (-z)^(1/(L + 1)), so that F = sin(pi r)/(pi r) lambda^r with r = 1/(L + 1)."""
    spectrum = law("linear", depth, "gaussian", sigma_w=1.0)
    rate = 1 / (depth + 1)
    t = np.array([-150.0, -400.0, -740.0])
    exact = math.sin(math.pi * rate) / math.pi * np.exp(rate * t)
    np.testing.assert_allclose(spectrum.density_of_log(t), exact, rtol=1e-7)
    np.testing.assert_allclose(spectrum.cdf_of_log(t), exact / rate, rtol=1e-7)
    assert spectrum.density(0.0) == spectrum.singular_value_density(0.0) == math.inf


def test_two_projections_of_half_rank():
    """The arcsine law, next to an atom at 0: singular values have the density 1/(pi sqrt(1 - s^2))."""
    spectrum = mf.jacobian_spectrum("relu", 1.0, 0.0, depth=2, weights="orthogonal", q0=1.0)
    np.testing.assert_allclose(spectrum.singular_value_density(SMALL), 1 / math.pi, rtol=1e-7)
    assert spectrum.cdf(0.0) == pytest.approx(0.5)


def test_one_layer_of_slopes_that_vanish():
    """cos x = 0 at odd multiples of pi/2: both sides of each contribute the Gaussian density there."""
    spectrum = law("sin", 1, "orthogonal")
    places = math.pi / 2 + math.pi * np.arange(-9, 9)
    exact = 2 * np.exp(-(places**2)).sum() / math.sqrt(math.pi) / 1.3
    np.testing.assert_allclose(spectrum.singular_value_density(SMALL[:-1]), exact, rtol=1e-9)
    assert spectrum.density(0.0) == math.inf


@pytest.mark.parametrize(
    ("phi", "depth", "weights"),
    [("tanh", 2, "orthogonal"), ("leaky_relu", 3, "orthogonal"), ("relu", 1, "gaussian"), ("linear", 4, "orthogonal")],
)
def test_nothing_near_0(phi, depth, weights):
    spectrum = law(phi, depth, weights)
    assert not spectrum.density(SMALL[:3]).any()
    assert not spectrum.singular_value_density(SMALL[:3]).any()


@pytest.mark.parametrize(("phi", "sigma_w"), [("elu", 1.0), ("celu", 1.3), ("elu(alpha=0.5)", 1.0), ("relu", 0.8)])
def test_an_atom_that_has_just_vanished_at_the_top(phi, sigma_w):
    """Half of the slopes are 1: two layers leave no atom at sigma_w^4, but 1/sqrt there, for ELU times sqrt(ln)."""
    spectrum = law(phi, 2, "orthogonal", sigma_w=sigma_w)
    assert spectrum.lambda_max == pytest.approx(sigma_w**4, rel=1e-14)
    assert abs(spectrum.moment(0) - 1) <= spectrum.cdf_error <= 1e-10
    assert abs(spectrum.moment(1) / spectrum.mean - 1) <= 1e-12
    assert abs(spectrum.moment(2) / (spectrum.mean**2 + spectrum.variance) - 1) <= 1e-12
