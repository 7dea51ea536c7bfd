"""Measured spectra against closed-form laws: distances, and a test that accepts the right law and rejects others."""

import math
from functools import cache

import numpy as np
import pytest

import meanfield as mf
import verify
from tests.spectral_laws import LinearGaussian, PointMass
from verify.approach import TRACY_WIDOM_MEAN
from verify.spectra.distributions import edge_scale
from verify.spectra.levels import shares_at
from verify.spectra.rooted import RootedLaw, is_graded


class Uniform:
    """Half of the mass at 1, the rest spread evenly over [0, 1]."""

    lambda_min, lambda_max = 0.0, 1.0
    atoms = ((1.0, 0.5),)

    def density(self, lam):
        return np.where(np.asarray(lam) < 1, 0.5, 0.0)

    def cdf(self, lam):
        return np.where(np.asarray(lam) >= 1, 1.0, 0.5 * np.asarray(lam))

    def quantile(self, p):
        return np.minimum(2 * np.asarray(p), 1.0)


@cache
def spectra(depth, networks=16, sigma_w=1.0, seed=0, widths=(50, 100, 200)):
    return {
        width: verify.jacobian_singular_values(
            "linear", sigma_w, 0.0, width=width, depth=depth, networks=networks, q0=1.0, seed=seed
        )
        ** 2
        for width in widths
    }


def test_distances_of_points_are_what_they_are():
    law = Uniform()
    assert verify.kolmogorov_distance([0.25, 0.75, 1.0, 1.0], law) == pytest.approx(0.125, abs=1e-15)
    assert verify.kolmogorov_distance([1.0, 1.0], law) == pytest.approx(0.5, abs=1e-15)
    assert verify.kolmogorov_distance([1.0 + 1e-12, 1.0 - 1e-12], PointMass()) == 0
    assert verify.wasserstein_distance([0.125, 0.375, 1.0, 1.0], law) == pytest.approx(0.125, abs=1e-15)
    assert verify.wasserstein_distance([3.0, 3.0], PointMass()) == 2


@pytest.mark.parametrize("depth", [1, 3])
def test_distances_fall_with_width(depth):
    law = LinearGaussian(depth)
    measured = spectra(depth)
    for distance in (verify.kolmogorov_distance, verify.wasserstein_distance):
        far, near = distance(measured[50], law), distance(measured[200], law)
        assert near <= 0.6 * far


@pytest.mark.parametrize("depth", [1, 2, 6])
def test_the_scale_of_an_edge_is_that_of_its_density(depth):
    """rho = (kappa/pi) sqrt(edge - lambda), from the series of both around the angle 0."""
    L, law = depth, LinearGaussian(depth)
    # ln lambda = ln lambda_max - L (L + 1) t^2/2 + ..., rho = t L^(L - 1)/(pi (L + 1)^L) + ...
    kappa = L ** (L - 1) / (L + 1) ** L / math.sqrt(law.lambda_max * L * (L + 1) / 2)
    assert abs(edge_scale(law) / kappa - 1) <= 1e-6


def test_an_edge_without_a_square_root_has_no_scale():
    assert math.isnan(edge_scale(Uniform()))


@pytest.mark.parametrize("depth", [1, 4])
def test_the_right_law_holds(depth):
    law = LinearGaussian(depth)
    found = verify.compare_spectrum(spectra(depth), law)
    assert found.passed, found.verdict
    assert found.kolmogorov <= found.kolmogorov_band <= 0.02
    assert found.wasserstein <= found.wasserstein_band
    (edge,) = found.edges
    assert abs(edge.estimate - law.lambda_max) <= 4.5 * edge.standard_error
    assert found.widths == (50, 100, 200)
    assert found.networks == 16
    assert found.to_dict()["verdict"].startswith("The law holds")


def test_the_largest_eigenvalue_needs_tracy_and_widom():
    """Without the correction of order width^(-2/3) the mean at the largest width is far from the edge."""
    law = LinearGaussian(1)
    measured = spectra(1)[200].max(axis=1)
    raw = (measured.mean() - 4) / (measured.std(ddof=1) / math.sqrt(len(measured)))
    corrected = raw - TRACY_WIDOM_MEAN * (edge_scale(law) * 200) ** (-2 / 3) / (measured.std(ddof=1) / 4)
    assert raw < -3
    assert abs(corrected) <= 4.5


def test_an_outlier_is_compared_in_place_of_the_edge():
    given = {"depth": 6, "weights": "orthogonal", "q0": 0.8}
    law = mf.jacobian_spectrum("softplus", 1.2, 0.05, **given)
    measured = {
        width: verify.jacobian_log_singular_values("softplus", 1.2, 0.05, width=width, networks=24, seed=3, **given)
        for width in (50, 100, 200)
    }
    rooted = RootedLaw.of(law)
    samples = {width: rooted.x(2 * logs) for width, logs in measured.items()}
    found = verify.compare_spectrum(samples, rooted, rounding=0.0)
    assert found.passed, found.verdict
    (point,) = found.edges
    assert point.name == "outlier"
    assert point.theory == pytest.approx(float(rooted.x(law.log_outliers[0])), rel=1e-12)
    assert abs(point.estimate - point.theory) <= 4 * point.standard_error


def test_a_law_without_an_end_is_compared_inside():
    """Slopes without a bound: the support has no upper end, and there is no density near it to ask for."""
    given = {"depth": 4}
    law = mf.jacobian_spectrum("x + 0.05*x**3", 0.7, 0.1, **given)
    assert law.lambda_max == math.inf
    networks = {"networks": 24, "seed": 5, **given}
    measured = {
        width: verify.jacobian_singular_values("x + 0.05*x**3", 0.7, 0.1, width=width, **networks) ** 2
        for width in (50, 100, 200)
    }
    found = verify.compare_spectrum(measured, law)
    assert found.passed, found.verdict
    assert found.edges == ()
    assert not verify.compare_spectrum(measured, mf.jacobian_spectrum("x + 0.05*x**3", 0.7, 0.1, depth=3)).passed


@pytest.mark.parametrize("wrong", ["depth", "sigma_w", "orthogonal"])
def test_a_wrong_law_fails(wrong):
    if wrong == "sigma_w":
        found = verify.compare_spectrum(spectra(4, sigma_w=1.01), LinearGaussian(4))
    else:
        found = verify.compare_spectrum(spectra(4), LinearGaussian(3) if wrong == "depth" else PointMass())
    assert not found.passed
    assert "fails" in found.verdict


@pytest.mark.parametrize(("mass", "passed"), [(1e-6, True), (3e-4, True), (5e-3, False)])
def test_atoms_that_no_network_shows(mass, passed):
    """3000 eigenvalues without one at 0.5 tell that its mass is less than about 1e-3."""

    class Rare(Uniform):
        atoms = ((0.5, mass), (1.0, 0.5))

    rng = np.random.default_rng(4)
    samples = {width: Uniform().quantile(rng.random((30, width))) for width in (100, 200)}
    rare = verify.compare_spectrum(samples, Rare()).atoms[0]
    assert (rare.estimate, rare.passed) == (0.0, passed)
    assert 1 / 3000 <= rare.standard_error <= 3 / 3000


def test_atoms_are_compared_apart():
    measured = {width: np.ones((4, width)) for width in (20, 40)}
    found = verify.compare_spectrum(measured, PointMass())
    assert found.passed
    (atom,) = found.atoms
    assert (atom.theory, atom.passed) == (1.0, True)
    assert abs(atom.estimate - 1) <= 1e-13
    assert found.levels.size == 0
    rng = np.random.default_rng(0)
    half = {width: rng.permuted(np.tile(np.linspace(0.5, 1, 8), (6, width // 8)), axis=1) for width in (24, 48)}
    found = verify.compare_spectrum(half, PointMass())
    assert [test.passed for test in found.atoms] == [False]


def test_the_level_is_kept():
    """60 comparisons of the right law at level 0.1: at most 6 +- 2.3 false alarms."""
    law = LinearGaussian(1)
    pool = spectra(1, networks=480, seed=5, widths=(30, 60))
    alarms = 0
    for start in range(0, 480, 8):
        part = {width: rows[start : start + 8] for width, rows in pool.items()}
        alarms += not verify.compare_spectrum(part, law, level=0.1).passed
    assert alarms <= 6 + 3 * math.sqrt(60 * 0.09)


@pytest.mark.parametrize(
    ("samples", "rule"),
    [
        ({}, "at least one width"),
        ({50: np.ones((1, 50))}, "networks >= 2"),
        ({50: np.ones((3, 49))}, "networks >= 2, width"),
        ({50: np.full((3, 50), np.nan)}, "finite"),
        ({50: np.full((3, 50), -1.0)}, ">= 0"),
        ({8: np.ones((3, 8))}, "widths must be > 10"),
    ],
)
def test_bad_samples_are_named(samples, rule):
    with pytest.raises(mf.InvalidParameterError, match=rule):
        verify.compare_spectrum(samples, LinearGaussian(1))
    with pytest.raises(mf.InvalidParameterError, match="level must be in"):
        verify.compare_spectrum({50: np.ones((3, 50))}, LinearGaussian(1), level=1.0)


# The package's own laws against its own networks: both ensembles, atoms, and laws that have to fail.

NETWORKS = {"widths": (50, 100), "networks": 12}


@cache
def networks_of(phi, sigma_w, sigma_b, q0, depth, weights):
    return {
        width: verify.jacobian_singular_values(
            phi,
            sigma_w,
            sigma_b,
            width=width,
            depth=depth,
            networks=NETWORKS["networks"],
            weights=weights,
            q0=q0,
            seed=9,
        )
        ** 2
        for width in NETWORKS["widths"]
    }


POINTS = [("tanh", 0.1, 8), ("hard_tanh", 0.2, 6), ("erf", 0.5, 3)]


@pytest.mark.parametrize(("phi", "q_star", "depth"), POINTS)
@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_laws_hold_for_their_networks_and_fail_for_the_other_ensemble(phi, q_star, depth, weights):
    point = mf.critical_point(phi, q_star=q_star)
    at = (phi, point.sigma_w, point.sigma_b)
    law = mf.jacobian_spectrum(*at, depth=depth, weights=weights, q0=point.q_star)
    right = verify.compare_spectrum(networks_of(*at, point.q_star, depth, weights), law)
    assert right.passed, right.verdict
    assert len(right.atoms) == len(law.atoms)
    other = {"gaussian": "orthogonal", "orthogonal": "gaussian"}[weights]
    assert not verify.compare_spectrum(networks_of(*at, point.q_star, depth, other), law).passed


@pytest.mark.parametrize(("sigma_w", "passed"), [(2**0.5, True), (1.3, False)])
def test_the_continuous_part_is_compared_where_networks_are_narrow(sigma_w, passed):
    """Of width 25 and half of the mass at 0; the law ends in an inverse square root, at sigma_w^4."""
    law = mf.jacobian_spectrum("relu", sigma_w, 0.0, depth=2, q0=1.0, weights="orthogonal")
    found = verify.compare_spectrum(narrow_networks(), law)
    assert found.passed is passed
    assert found.levels.size == 3
    # Quantiles of the arcsine law on (0, sigma_w^4).
    np.testing.assert_allclose(found.levels, sigma_w**4 * np.sin(np.pi / 8 * np.arange(1, 4)) ** 2, rtol=1e-9)
    (edge,) = found.edges
    assert edge.passed is passed
    assert ("upper edge (2.856" in found.verdict) is not passed


@cache
def narrow_networks():
    settings = {"depth": 2, "networks": 16, "weights": "orthogonal", "seed": 1}
    return {
        width: verify.jacobian_singular_values("relu", 2**0.5, 0.0, width=width, **settings) ** 2
        for width in (25, 50, 100)
    }


def test_an_atom_that_holds_most_of_the_mass_hides_nothing():
    point = mf.critical_point("hard_tanh", q_star=0.2)
    at = ("hard_tanh", point.sigma_w, point.sigma_b)
    law = mf.jacobian_spectrum(*at, depth=4, weights="orthogonal", q0=0.2)
    zero, top = law.atoms
    assert law.cdf(top.location) == pytest.approx(1.0, abs=1e-9)
    measured = networks_of(*at, 0.2, 4, "orthogonal")
    assert verify.kolmogorov_distance(measured[100], law) <= 0.05
    found = verify.compare_spectrum(measured, law)
    assert found.levels.size == 3
    np.testing.assert_allclose(
        found.theory, zero.mass + (1 - zero.mass - top.mass) * np.array([0.25, 0.5, 0.75]), atol=1e-9
    )


def test_a_power_of_the_eigenvalue_has_the_same_law():
    """Half of the mass at 0; against the law's own methods in ln lambda, and its integral."""
    law = mf.jacobian_spectrum("relu", 3.0, 0.0, depth=40, q0=1.0)
    rooted = RootedLaw.of(law)
    assert is_graded(law)
    assert rooted.atoms == ((0.0, 0.5),)
    assert rooted.lambda_max == pytest.approx(float(rooted.x(law.log_lambda_max)), rel=1e-9)
    assert rooted.quantile(0.5 + 1e-3 * 0.5) == pytest.approx(math.exp(-20), rel=1e-6)
    x = np.linspace(1e-3, 0.9, 20_001)
    area = np.trapezoid(rooted.density(x), x)
    assert area == pytest.approx(rooted.cdf(0.9) - rooted.cdf(1e-3), abs=1e-4)
    assert not is_graded(mf.jacobian_spectrum("tanh", 1.0, 0.0, depth=2, q0=0.1))


@pytest.mark.parametrize(("depth", "passed"), [(100, True), (80, False)])
def test_deep_networks_are_compared_in_logarithms(depth, passed):
    """Their eigenvalues cover e^400, so that squares of singular values would not hold them."""
    law = mf.jacobian_spectrum("tanh", 3.0, 0.1, depth=depth)
    rooted = RootedLaw.of(law)
    samples = {width: rooted.x(2 * logs) for width, logs in deep_networks().items()}
    assert verify.compare_spectrum(samples, rooted, rounding=0.0).passed is passed


@cache
def deep_networks():
    return {
        width: verify.jacobian_log_singular_values("tanh", 3.0, 0.1, width=width, depth=100, networks=12, seed=3)
        for width in (25, 50)
    }


def test_whole_eigenvalues_of_rigid_networks_reject_nothing():
    """Networks with the law's quantiles for eigenvalues: no spread, and shares off by up to half an eigenvalue."""
    law = LinearGaussian(2)
    rigid = {width: np.tile(law.quantile((np.arange(width) + 0.5) / width), (3, 1)) for width in (20, 50)}
    shares = shares_at(rigid, np.array([0.1, 0.5, 2.0, 4.0]))
    assert np.all(shares.standard_error <= 1e-15)
    assert np.all(np.abs(shares.value - law.cdf([0.1, 0.5, 2.0, 4.0])) <= shares.curvature_bound)
    moved = {width: 1.5 * values for width, values in rigid.items()}
    shares = shares_at(moved, np.array([0.5]))
    assert abs(shares.value - law.cdf([0.5])) > shares.curvature_bound


def test_a_verdict_quotes_what_failed():
    found = verify.compare_spectrum(spectra(4, sigma_w=1.01), LinearGaussian(4))
    worst = np.argmin(found.p_values)
    assert f"distribution function at {found.levels[worst]:.4g} ({found.theory[worst]:.4g}, " in found.verdict


def test_a_law_off_in_q_star_fails():
    point = mf.critical_point("tanh", q_star=0.1)
    wrong = mf.critical_point("tanh", q_star=0.13)
    law = mf.jacobian_spectrum("tanh", wrong.sigma_w, wrong.sigma_b, depth=8, weights="orthogonal", q0=wrong.q_star)
    measured = networks_of("tanh", point.sigma_w, point.sigma_b, point.q_star, 8, "orthogonal")
    assert not verify.compare_spectrum(measured, law).passed


def test_layers_off_the_fixed_point_have_laws_of_their_own():
    at = ("tanh", 1.6, 0.2)
    law = mf.jacobian_spectrum(*at, depth=4, weights="orthogonal", q0=0.1)
    measured = networks_of(*at, 0.1, 4, "orthogonal")
    assert verify.compare_spectrum(measured, law).passed
    settled = mf.jacobian_spectrum(*at, depth=4, weights="orthogonal")
    assert not verify.compare_spectrum(measured, settled).passed


def test_the_narrowest_layer_takes_more_to_zero_than_the_law():
    """The share of zeros is a maximum over layers, whose bias falls as width^(-1/2)."""
    at = ("relu", 2**0.5, 0.0)
    law = mf.jacobian_spectrum(*at, depth=6, weights="orthogonal", q0=1.0)
    measured = networks_of(*at, 1.0, 6, "orthogonal")
    assert np.mean(measured[100] <= 1e-24) > 0.53
    found = verify.compare_spectrum(measured, law)
    assert found.passed, found.verdict
    (zero,) = found.atoms
    assert zero.theory == pytest.approx(0.5, abs=1e-12)
    assert abs(zero.estimate - 0.5) <= 4.5 * zero.standard_error + 0.02
