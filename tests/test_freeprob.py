"""Laws, free products, edges, atoms and densities against closed forms, quadrature and random matrices."""

import itertools
import math

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy import integrate
from scipy.special import ndtr

from meanfield import freeprob
from meanfield.errors import InvalidParameterError, NonlinearityError
from meanfield.freeprob import (
    CompoundPoisson,
    FreeProduct,
    Projection,
    Semigroup,
    Spectrum,
    Wishart,
    gaussian_pushforward,
    point_masses,
)
from meanfield.weights import ensemble

ONE = point_masses({1.0: 1.0})
SLOPES = {
    "tanh": lambda x: 1 / np.cosh(x) ** 2,
    "careless tanh": lambda x: 1 - np.tanh(x) ** 2,
    "silu": lambda x: (1 + np.exp(-x) * (1 + x)) / (1 + np.exp(-x)) ** 2,
    "cos": np.cos,
    "elu": lambda x: np.where(x > 0, 1.0, np.exp(np.minimum(x, 0.0))),
    "softsign": lambda x: (1 + np.abs(x)) ** -2.0,
}


def spectrum_of(product: FreeProduct) -> Spectrum:
    return Spectrum(product, product)


def power(law, n: float, factors=()) -> FreeProduct:
    return FreeProduct((law,), np.array([float(n)]), factors)


def quad_M(slope, q: float, w: complex) -> complex:
    """E X/(w - X) by adaptive quadrature."""

    def part(take):
        def integrand(x):
            d = float(slope(np.array([x]))[0]) ** 2
            return take(d / (w - d)) * math.exp(-(x**2) / (2 * q)) / math.sqrt(2 * math.pi * q)

        edges = np.linspace(-9 * math.sqrt(q), 9 * math.sqrt(q), 19)
        return sum(integrate.quad(integrand, a, b, limit=200, epsabs=1e-13)[0] for a, b in itertools.pairwise(edges))

    return complex(part(lambda v: v.real), part(lambda v: v.imag))


class TestPushforward:
    @pytest.mark.parametrize("name", SLOPES)
    @pytest.mark.parametrize("q", [0.05, 2.0])
    def test_transform_off_the_cut(self, name, q):
        law = gaussian_pushforward(SLOPES[name], q)
        w = np.array([1.7 + 0j, 0.4 + 0.3j, 0.05 + 0.02j, -0.3 + 0j])
        found = law.transform(w)
        exact = np.array([quad_M(SLOPES[name], q, point) for point in w])
        np.testing.assert_allclose(found.M, exact, rtol=1e-10)
        np.testing.assert_allclose(found.one_plus_m, 1 + exact, rtol=1e-9, atol=1e-12)

    @pytest.mark.parametrize("name", SLOPES)
    def test_imaginary_part_on_the_cut_is_the_density(self, name):
        """Im M(w + i0) = -pi w rho(w): the deformed path against the density on the real line."""
        law = gaussian_pushforward(SLOPES[name], 0.7)
        t = np.log(np.array([0.93, 0.6, 0.33, 0.11, 0.02]))
        density = law.distribution.density_of_log(t)
        np.testing.assert_allclose(-law.transform(np.exp(t) + 0j).M.imag / math.pi, density, atol=1e-10)

    @pytest.mark.parametrize("name", SLOPES)
    @pytest.mark.parametrize("q", [1e-4, 0.3, 6.0])
    def test_two_partitions_agree(self, name, q):
        first, second = (gaussian_pushforward(SLOPES[name], q, partition=k) for k in (0, 1))
        low, high = first.intervals[-1]
        w = np.array([1.1 * high, low + 0.6 * (high - low), low + 0.01 * (high - low) + 1e-3j]) + 0j
        np.testing.assert_allclose(first.transform(w).M, second.transform(w).M, rtol=1e-9)
        assert abs(first.weights.sum() + first.masses.sum() - 1) < 1e-13
        assert abs(first.mean - second.mean) < 1e-12
        assert abs(first.relative_variance - second.relative_variance) <= 1e-9 * first.relative_variance

    def test_narrow_laws_keep_their_digits(self):
        """tanh at q = 1e-6: E (d - E d)^2/(E d)^2 = 8 q^2 - 96 q^3 + ..."""
        q = 1e-6
        law = gaussian_pushforward(SLOPES["tanh"], q)
        with mpmath.workdps(40):
            scale = mpmath.sqrt(mpmath.mpf(q))
            moments = [
                mpmath.quad(lambda x, k=k: mpmath.sech(scale * x) ** (4 * k) * mpmath.npdf(x), [-12, -6, 0, 6, 12])
                for k in (1, 2)
            ]
            exact = float(moments[1] / moments[0] ** 2 - 1)
        assert abs(law.relative_variance / exact - 1) < 1e-8

    def test_sensitivity_is_the_derivative_by_q(self):
        w = np.array([1.2 + 0j, 0.3 + 0.2j])
        middle, above, below = (gaussian_pushforward(np.cos, 0.5 + step) for step in (0.0, 1e-4, -1e-4))
        difference = (above.transform(w).M - below.transform(w).M) / 2e-4
        np.testing.assert_allclose(middle.derivative_by_parameter(w), difference, rtol=1e-6)

    def test_constant_pieces_are_atoms(self):
        law = gaussian_pushforward(lambda x: 1.0 * (np.abs(x) < 1), 0.5)
        inside = 2 * ndtr(1 / math.sqrt(0.5)) - 1
        np.testing.assert_allclose(law.locations, [0.0, 1.0])
        np.testing.assert_allclose(law.masses, [1 - inside, inside], rtol=1e-13)
        assert law.nodes.size == 0

    def test_undeclared_kinks_are_found(self):
        def slope(x):
            return np.where(x > 0.123456, 1.0 + 0.1 * np.sin(x), np.cos(x))

        hidden = gaussian_pushforward(slope, 1.0)
        declared = gaussian_pushforward(slope, 1.0, kinks=lambda low, high: np.array([0.123456]))
        w = np.array([1.5, 0.7 + 0.01j, 0.2 + 0j])
        np.testing.assert_allclose(hidden.transform(w).M, declared.transform(w).M, rtol=1e-9)

    def test_tops_and_bottoms(self):
        silu = gaussian_pushforward(SLOPES["silu"], 0.01)
        assert abs(silu.top - 1.099839320128867**2) < 1e-14, "the maximum is 24 standard deviations away"
        assert silu.bottom == 0
        assert gaussian_pushforward(lambda x: 0.1 + 0.9 / (1 + np.exp(-x)), 1.0).bottom == pytest.approx(0.01)
        assert gaussian_pushforward(lambda x: x, 1.0).top == math.inf

    def test_not_finite(self):
        with pytest.raises(NonlinearityError, match="not finite"), np.errstate(all="ignore"):
            gaussian_pushforward(lambda x: 1 / (x - 0.25 * x.mean()) * np.inf, 1.0)

    def test_distribution_on_the_real_line(self):
        distribution = gaussian_pushforward(SLOPES["tanh"], 1.0).distribution
        t = np.log(np.array([0.9, 0.5, 0.01]))
        x = np.arccosh(np.exp(-t / 4))
        np.testing.assert_allclose(distribution.cdf_of_log(t), 2 * ndtr(-x), rtol=1e-12)
        nodes, masses = distribution.nodes()
        assert abs(masses.sum() - 1) < 1e-13
        assert abs(masses @ np.exp(nodes) - gaussian_pushforward(SLOPES["tanh"], 1.0).mean) < 1e-13


class TestFactors:
    @pytest.mark.parametrize(
        "factor", [Wishart(3.0), Wishart(1.0, 2.5), Projection(0.3), Semigroup(0.7), CompoundPoisson(1.4)]
    )
    def test_derivatives(self, factor):
        m = np.array([0.4 - 0.3j])
        h = 1e-4
        value, slope = (lambda x: factor.value(x, 1 + x)), (lambda x: factor.slope(x, 1 + x))
        np.testing.assert_allclose(slope(m), (value(m + h) - value(m - h)) / (2 * h), rtol=1e-7)
        np.testing.assert_allclose(factor.curvature(m, 1 + m), (slope(m + h) - slope(m - h)) / (2 * h), rtol=1e-6)

    @pytest.mark.parametrize("aspect", [0.5, 1.0, 3.0])
    def test_they_are_the_ensembles(self, aspect):
        m = 0.7
        gaussian = math.exp(-float(Wishart(1.0, aspect).value(np.array([m + 0j]), np.array([1 + m + 0j]))[0].real))
        assert gaussian == pytest.approx(ensemble("gaussian").s_transform(m, 1.0, aspect=aspect), rel=1e-14)
        if aspect > 1:
            value = Projection(1 / aspect).value(np.array([m + 0j]), np.array([1 + m + 0j]))[0].real
            assert math.exp(-value) == pytest.approx(ensemble("orthogonal").s_transform(m, 1.0, aspect=aspect))


class TestClosedForms:
    def test_marchenko_pastur(self):
        for aspect in (1.0, 0.4, 2.5):
            law = spectrum_of(FreeProduct((ONE,), np.array([1.0]), (Wishart(1.0, aspect),))).law
            low, high = (1 - math.sqrt(aspect)) ** 2, (1 + math.sqrt(aspect)) ** 2
            x = np.linspace(low, high, 12)[1:-1]
            exact = np.sqrt((high - x) * (x - low)) / (2 * math.pi * aspect)
            np.testing.assert_allclose(law.density_of_log(np.log(x)), exact, rtol=1e-10)

    @pytest.mark.parametrize("depth", [1, 2, 5, 20, 200])
    def test_fuss_catalan(self, depth):
        """Deep linear Gaussian networks: exact density in a parameter, edge, Fuss-Catalan moments."""
        spectrum = spectrum_of(power(ONE, depth, (Wishart(float(depth)),)))
        (component,) = spectrum.components
        edge = (depth + 1) * math.log(depth + 1) - depth * math.log(depth)
        assert abs(component.upper.log_z - edge) < 1e-12
        law = spectrum.law
        s = np.linspace(0.03, 0.97, 25) * math.pi / (depth + 1)
        log_lam = (depth + 1) * np.log(np.sin((depth + 1) * s)) - np.log(np.sin(s)) - depth * np.log(np.sin(depth * s))
        log_rho = 2 * np.log(np.sin(s)) + (depth - 1) * np.log(np.sin(depth * s)) - math.log(math.pi)
        log_rho -= depth * np.log(np.sin((depth + 1) * s))
        np.testing.assert_allclose(law.density_of_log(log_lam), np.exp(log_rho + log_lam), rtol=1e-9)
        for k in (1, 2, 3):
            moment = law.expectation(lambda t, k=k: np.exp(k * t))
            assert abs(moment / (math.comb(k * (depth + 1), k) / (k * depth + 1)) - 1) < 1e-10
        assert abs(law.mass - 1) < 1e-12
        assert abs(law.expectation(lambda t: t) / depth + 1) < 1e-10, "E ln lambda of each Gaussian factor is -1"

    def test_two_projections_give_the_arcsine_law(self):
        law = spectrum_of(power(point_masses({0.0: 0.5, 1.0: 0.5}), 2)).law
        assert law.atoms == {-math.inf: 0.5}
        x = np.array([0.01, 0.3, 0.8, 0.999])
        exact = x / (2 * math.pi * np.sqrt(x * (1 - x)))
        np.testing.assert_allclose(law.density_of_log(np.log(x)), exact, rtol=1e-8)
        assert abs(law.mass - 1) <= law.error < 1e-7

    @pytest.mark.parametrize(("p", "depth"), [(0.9, 3), (0.9, 16), (0.4, 3), (0.975, 16), (0.5, 40)])
    def test_powers_of_projections(self, p, depth):
        spectrum = spectrum_of(power(point_masses({0.0: 1 - p, 1.0: p}), depth))
        edge = depth * math.log(depth) - (depth - 1) * math.log(depth - 1) + math.log(1 - p) + (depth - 1) * math.log(p)
        assert abs(spectrum.components[0].upper.log_z - edge) < 1e-12
        left = 1 - depth * (1 - p)
        assert spectrum.atoms.get(0.0, 0.0) == pytest.approx(max(left, 0.0), abs=1e-13)
        assert spectrum.atoms[-math.inf] == pytest.approx(1 - p)
        law = spectrum.law
        assert abs(law.mass - 1) < 1e-9
        assert abs(law.expectation(np.exp) / p**depth - 1) < 1e-9
        second = law.expectation(lambda t: np.exp(2 * t)) / p ** (2 * depth)
        assert abs(second / (1 + depth * (1 / p - 1)) - 1) < 1e-9

    def test_gaps_between_components(self):
        """One layer of two clusters is the law itself; two layers of equal halves leave no gap."""
        law = gaussian_pushforward(lambda x: np.where(x > 0, 1 + 0.1 * np.tanh(x), 0.1 + 0.01 * np.tanh(x)), 1.0)
        once, twice = spectrum_of(power(law, 1)), spectrum_of(power(law, 2))
        assert len(once.components) == 2
        assert once.law.cdf_of_log(np.array([-1.0]))[0] == pytest.approx(0.5)
        assert len(twice.components) == 1
        assert abs(twice.law.mass - 1) < 1e-8

    def test_outliers_of_a_sample_covariance(self):
        """Population eigenvalues 1 and 400: their sample eigenvalues stay apart, in the same shares."""
        law = spectrum_of(power(point_masses({1.0: 0.95, 400.0: 0.05}), 1, (Wishart(),))).law
        assert [round(segment.total, 9) for segment in law.segments] == [0.05, 0.95]
        assert abs(law.expectation(np.exp) / 20.95 - 1) < 1e-10

    def test_a_vanished_atom_inside(self):
        """Mass 1/2 twice: the atom has just gone, and leaves an inverse square root inside the continuous part."""
        law = gaussian_pushforward(lambda x: np.where(x > 0, 1.0, 1.6 * np.exp(np.minimum(x, 0.0))), 0.3)
        spectrum = spectrum_of(power(law, 2))
        assert [component.upper.kind for component in spectrum.components] == ["root", "atom"]
        assert abs(spectrum.law.mass - 1) < 1e-10
        near = spectrum.law.density_of_log(np.array([1e-6, 1e-8]))
        assert near[1] / near[0] == pytest.approx(10.0, rel=1e-2)


class TestProducts:
    @settings(max_examples=25)
    @given(
        places=st.lists(st.floats(0.05, 3.0), min_size=2, max_size=3, unique=True),
        share=st.floats(0.15, 0.6),
        depth=st.integers(2, 6),
        gaussian=st.booleans(),
    )
    def test_mass_mean_variance(self, places, share, depth, gaussian):
        masses = [share, *[(1 - share) / (len(places) - 1)] * (len(places) - 1)]
        law = point_masses(dict(zip(places, masses, strict=True)))
        product = power(law, depth, (Wishart(float(depth)),) if gaussian else ())
        found = spectrum_of(product).law
        mean = product.log_mean
        assert abs(found.mass - 1) <= found.error + 1e-12
        assert found.error < 1e-6
        assert abs(found.expectation(lambda t: np.exp(t - mean)) - 1) < 1e-6
        variance = found.expectation(lambda t: np.expm1(t - mean) ** 2)
        assert abs(variance - product.relative_variance) < 1e-6 * (1 + product.relative_variance)

    def test_equal_laws_are_a_power(self):
        law = point_masses({0.2: 0.5, 1.0: 0.3, 2.0: 0.2})
        apart = spectrum_of(FreeProduct((law, law, law), np.ones(3)))
        together = spectrum_of(power(law, 3))
        assert abs(apart.components[0].upper.log_z - together.components[0].upper.log_z) < 1e-11
        t = np.linspace(apart.components[0].lower.log_z, apart.components[0].upper.log_z, 20)[1:-1]
        np.testing.assert_allclose(apart.law.density_of_log(t), together.law.density_of_log(t), rtol=1e-9)

    def test_different_projections(self):
        """Free compression: two projections of ranks p <= r give atoms and the Jacobi law between."""
        p, r = 0.7, 0.8
        product = FreeProduct(tuple(point_masses({0.0: 1 - a, 1.0: a}) for a in (p, r)), np.ones(2))
        spectrum = spectrum_of(product)
        assert spectrum.atoms == pytest.approx({-math.inf: 1 - p, 0.0: p + r - 1})
        root = math.sqrt(4 * p * r * (1 - p) * (1 - r))
        low, high = p + r - 2 * p * r - root, p + r - 2 * p * r + root
        (component,) = spectrum.components
        assert math.exp(component.upper.log_z) == pytest.approx(high, abs=1e-12)
        assert math.exp(component.lower.log_z) == pytest.approx(low, abs=1e-12)
        x = np.linspace(low, high, 9)[1:-1]
        exact = np.sqrt((high - x) * (x - low)) / (2 * math.pi * (1 - x))
        np.testing.assert_allclose(spectrum.law.density_of_log(np.log(x)), exact, rtol=1e-9)

    def test_a_narrower_input(self):
        """Gaussian N x N times N x N/2: the zeros are half, the others stay away from 0."""
        product = power(ONE, 2, (Wishart(1.0), Wishart(1.0, 2.0)))
        spectrum = Spectrum(product, product, mass_at_zero=0.5)
        assert spectrum.components[0].lower is not None
        rng = np.random.default_rng(0)
        N = 600
        J = rng.standard_normal((N, N)) @ rng.standard_normal((N, N // 2)) / math.sqrt(N * N / 2)
        values = np.linalg.eigvalsh(J.T @ J)
        assert values[0] == pytest.approx(math.exp(spectrum.components[0].lower.log_z), rel=0.1)
        assert values[-1] == pytest.approx(math.exp(spectrum.components[0].upper.log_z), rel=0.05)
        assert abs(spectrum.law.mass - 1) < 1e-10


class TestLaw:
    def test_quantiles_invert_the_distribution(self):
        law = spectrum_of(power(point_masses({0.0: 0.1, 1.0: 0.9}), 3)).law
        p = np.array([0.05, 0.0999, 0.2, 0.29, 0.5, 1.0])
        t = law.log_quantile(p)
        assert t[0] == t[1] == -math.inf
        np.testing.assert_allclose(law.cdf_of_log(t[2:4]), p[2:4], atol=1e-12)
        assert t[4] == pytest.approx(0.0, abs=1e-12), "inside the top atom"

    def test_densities_integrate_to_the_distribution(self):
        law = spectrum_of(power(gaussian_pushforward(np.cos, 0.4), 4)).law
        t = np.linspace(-3.0, -0.5, 4001)
        area = integrate.simpson(law.density_of_log(t), x=t)
        assert abs(area - np.ptp(law.cdf_of_log(t[[0, -1]]))) < 1e-10

    def test_nothing(self):
        assert freeprob.NOTHING.log_quantile(np.array([0.5]))[0] == -math.inf
        assert freeprob.NOTHING.cdf_of_log(np.array([0.0]))[0] == 1.0

    @pytest.mark.parametrize("masses", [{}, {-1.0: 1.0}, {1.0: 0.5}, {1.0: 1.5, 2.0: -0.5}])
    def test_bad_masses(self, masses):
        with pytest.raises(InvalidParameterError, match="masses must be positive"):
            point_masses(masses)
