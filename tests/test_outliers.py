"""Eigenvalues of J J^T beyond the bulk: the equation they solve, networks that show them, and networks without."""

import json
import math
import pickle

import numpy as np
import pytest
from scipy import linalg, optimize

import meanfield as mf
import verify
from meanfield.outliers import _Chain, _upper_end, outliers

SOFTPLUS = ("softplus", 1.2, 0.05, 6, "orthogonal", 0.8)
SILU = ("silu", 1.5, 0.3, 10, "gaussian", 1.0)
GELU = ("gelu", 1.2, 0.1, 4, "orthogonal", 0.5)
MISH = ("mish", 1.2, 0.1, 6, "orthogonal", 1.0)
# An odd one.
SHRINK = ("x - arctan(x)", 3.0, 0.05, 6, "orthogonal", 1.0)
# Lengths grow and fall from layer to layer, so that both signs of inertia occur.
SHIFTED = ("0.1*x + tanh(x - 2) + tanh(2)", 4.357, 0.05, 6, "orthogonal", 0.4176)
WITH_OUTLIERS = [SOFTPLUS, SILU, GELU, MISH, SHRINK, SHIFTED]


def spectrum_of(phi, sigma_w, sigma_b, depth, weights, q0, **shape):
    return mf.jacobian_spectrum(phi, sigma_w, sigma_b, depth=depth, weights=weights, q0=q0, **shape)


# A plain rule for smooth functions: 300 panels of Gauss and Legendre.
POINTS, WEIGHTS = np.polynomial.legendre.leggauss(12)
Z = (np.linspace(-9, 9, 301)[:-1, None] + 0.03 * (POINTS + 1)).ravel()
MASSES = np.tile(0.03 * WEIGHTS, 300) * np.exp(-(Z**2) / 2) / math.sqrt(2 * math.pi)


def expectation(function, q):
    return float(MASSES @ function(math.sqrt(q) * Z))


class Equations:
    """The linear system of an eigenvector's parts along the signals, as a matrix that is singular at an outlier.

    alpha_l = v_l . f_{l-1} and beta_l = u_l . y_l for l = 2..L, f the vector on its way up, y on its way down.
    """

    def __init__(self, phi, sigma_w, sigma_b, depth, weights, q0):
        phi = mf.as_nonlinearity(phi)
        self.f, self.g = phi.function, phi.derivative
        self.sigma_w, self.sigma_b, self.depth, self.weights = sigma_w, sigma_b, depth, weights
        self.q, self.V = [q0], []
        for _ in range(depth):
            self.V.append(expectation(lambda x: self.f(x) ** 2, self.q[-1]))
            self.q.append(sigma_w**2 * self.V[-1] + sigma_b**2)

    def at(self, M):
        """ln lambda and the sign of the determinant."""
        kappa = self.sigma_w**2 * (M if self.weights == "gaussian" else M / (1 + M))
        w = [self._place(M, q) for q in self.q[: self.depth]]
        d = np.ones(self.depth + 2)
        for layer in range(self.depth, 0, -1):
            d[layer] = d[layer + 1] * kappa * w[layer - 1]
        log_lambda = math.fsum(math.log(kappa * each) for each in w) + math.log1p(1 / M)
        size = 2 * (self.depth - 1)
        A = np.eye(size)
        alpha = lambda layer: 2 * (layer - 2)  # noqa: E731
        for layer in range(1, self.depth + 1):
            q, place = self.q[layer - 1], w[layer - 1]
            K = lambda x: place / (place - self.g(x) ** 2)  # noqa: B023, E731
            V = self.V[layer - 1]
            share = self.sigma_w**2 * self.V[layer - 2] / q if layer > 1 else 0.0
            before = self.V[layer - 2] if layer > 1 else 1.0
            e_1 = expectation(lambda x: K(x) * self.g(x) * share * x * self.f(x), q) / math.sqrt(V * before)  # noqa: B023
            e_2 = expectation(lambda x: K(x) * (self.g(x) * self.f(x)) ** 2, q) / V  # noqa: B023
            known = lambda x: share**2 * x * x + share * self.sigma_b**2  # noqa: B023, E731
            e_3 = expectation(lambda x: K(x) * self.g(x) ** 2 * known(x), q) / before  # noqa: B023
            theta = (kappa / d[layer]) / self.sigma_w**2 if self.weights == "orthogonal" else 0.0
            c = 1 / (place * d[layer + 1])
            # pi_l = alpha_l - theta beta_l and sigma_{l+1} = beta_{l+1} - d_{l+1} alpha_{l+1}, where there are such.
            pi = {alpha(layer): 1.0, alpha(layer) + 1: -theta} if layer > 1 else {}
            above = {alpha(layer + 1) + 1: 1.0, alpha(layer + 1): -d[layer + 1]} if layer < self.depth else {}
            if layer < self.depth:
                self._subtract(A, alpha(layer + 1), pi, e_1)
                self._subtract(A, alpha(layer + 1), above, c * e_2)
            if layer > 1:
                self._subtract(A, alpha(layer) + 1, pi, d[layer + 1] * e_3)
                self._subtract(A, alpha(layer) + 1, above, e_1)
        return log_lambda, np.linalg.slogdet(A)[0]

    @staticmethod
    def _subtract(A, row, terms, factor):
        for column, value in terms.items():
            A[row, column] -= factor * value

    def _place(self, M, q):
        low = (self.g(math.sqrt(q) * Z) ** 2).max()
        high = low * (1 + 1 / M)
        low *= 1 + 1e-9
        for _ in range(60):
            w = (low + high) / 2
            value = expectation(lambda x: self.g(x) ** 2 / (w - self.g(x) ** 2), q)  # noqa: B023
            low, high = (w, high) if value > M else (low, w)
        return (low + high) / 2


@pytest.mark.parametrize("case", [GELU, SHRINK, ("gelu", 1.2, 0.1, 4, "gaussian", 0.5)])
def test_outliers_make_the_equations_of_the_signal_singular(case):
    spectrum, equations = spectrum_of(*case), Equations(*case)
    (found,) = spectrum.log_outliers

    def distance(log_M):
        return equations.at(math.exp(log_M))[0] - found

    # ln lambda falls as M grows, up to the edge, which lies below the outlier.
    high = math.log(1e-2)
    while distance(high) > 0:
        high += 0.1
    place = optimize.brentq(distance, high - 0.1, high, xtol=1e-13)
    assert abs(equations.at(math.exp(place))[0] - found) <= 1e-9
    # The determinant changes its sign there, and nowhere else nearby.
    signs = [equations.at(math.exp(place + shift))[1] for shift in (-1e-2, -1e-7, 1e-7, 1e-2)]
    assert signs[0] == signs[1] == -signs[2] == -signs[3]


@pytest.mark.parametrize("case", [SOFTPLUS, SILU, SHRINK, SHIFTED])
def test_the_largest_eigenvalue_of_wide_networks_is_the_outlier(case):
    phi, sigma_w, sigma_b, depth, weights, q0 = case
    spectrum = spectrum_of(*case)
    samples = {
        width: verify.jacobian_lambda_max(
            phi, sigma_w, sigma_b, width=width, depth=depth, networks=40, weights=weights, q0=q0, tolerance=1e-4, seed=4
        ).lambda_max
        for width in (300, 1200)
    }
    # b/width is taken out with two widths.
    means = {width: np.log(values).mean() for width, values in samples.items()}
    error = math.sqrt(sum(c**2 * np.log(samples[n]).var(ddof=1) / 40 for c, n in ((4 / 3, 1200), (1 / 3, 300))))
    limit = (4 * means[1200] - means[300]) / 3
    (outlier,) = spectrum.log_outliers
    assert abs(limit - outlier) <= 4 * error
    assert limit - spectrum.log_lambda_max >= 4 * error, "the bulk's edge must be told apart"


def weights_of(rng, rows, columns, sigma_w, law):
    """Entries of variance sigma_w^2/columns, or an orthogonal matrix of that scale, one factor of it if not square."""
    if law == "gaussian":
        return sigma_w / math.sqrt(columns) * rng.standard_normal((rows, columns))
    Q, R = np.linalg.qr(rng.standard_normal((max(rows, columns), min(rows, columns))))
    Q *= np.sign(np.diag(R))
    return sigma_w * (Q if rows >= columns else Q.T) * math.sqrt(max(1.0, rows / columns))


@pytest.mark.parametrize(("law", "aspect"), [("gaussian", 0.5), ("orthogonal", 0.5), ("orthogonal", 2.0)])
def test_a_readout_moves_the_outlier_as_it_moves_the_law(law, aspect):
    """Plain networks of numpy, with a read-out of another size."""
    phi, depth, sigma_w, sigma_b, width = mf.as_nonlinearity("gelu"), 4, 1.2, 0.1, 300
    spectrum = spectrum_of("gelu", sigma_w, sigma_b, depth, law, 0.5, output_aspect=aspect)
    rng = np.random.default_rng(8)
    tops = []
    for _ in range(24):
        h = rng.standard_normal(width)
        h *= math.sqrt(0.5 * width) / np.linalg.norm(h)
        J = np.eye(width)
        for layer in range(depth):
            W = weights_of(rng, width, width, sigma_w, law)
            if layer:
                h = W @ phi.function(h) + sigma_b * rng.standard_normal(width)
            J = phi.derivative(h)[:, None] * (W @ J)
        V = weights_of(rng, round(aspect * width), width, 1.0, law)
        tops.append(2 * math.log(linalg.svdvals(V @ J)[0]))
    error = np.std(tops, ddof=1) / math.sqrt(24)
    assert len(spectrum.log_outliers) == 1
    # One width: its bias is at most 8/width in the other cases of this file.
    assert abs(np.mean(tops) - spectrum.log_outliers[-1]) <= 4 * error + 8 / width
    assert error <= 0.05


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
@pytest.mark.parametrize(
    ("phi", "sigma_w", "sigma_b", "depth", "q0"),
    [
        ("linear", 1.3, 0.4, 6, 1.0),
        ("tanh", 1.5, 0.3, 10, 1.0),
        ("sin", 1.5, 0.3, 5, None),
        ("relu", 2**0.5, 0.0, 8, 1.0),
        ("hard_tanh", 1.3, 0.2, 10, None),
        ("tanh", 0.9, 0.0, 6, None),
        ("softplus", 1.2, 0.05, 1, 0.8),
    ],
)
def test_networks_without_outliers(phi, sigma_w, sigma_b, depth, q0, weights):
    spectrum = spectrum_of(phi, sigma_w, sigma_b, depth, weights, q0)
    assert spectrum.log_outliers == ()
    assert spectrum.log_outlier_error == 0
    assert spectrum.largest_eigenvalue == spectrum.bulk_max


@pytest.mark.parametrize(
    ("phi", "q_star", "weights"),
    [("silu", 0.5, "gaussian"), ("silu", 0.5, "orthogonal"), ("tanhshrink", 2.0, "gaussian")],
)
def test_in_deep_networks_the_outlier_grows_with_the_length_map(phi, q_star, weights):
    """Along the signal a small change of the input is one of the length, which grows by alpha a layer."""
    with pytest.warns(mf.UnstableCriticalPointWarning):
        point = mf.critical_point(phi, q_star=q_star)
    tops = [spectrum_of(phi, point.sigma_w, point.sigma_b, L, weights, q_star).log_outliers[-1] for L in (60, 80)]
    assert point.alpha > 1.05
    assert abs((tops[1] - tops[0]) / 40 - math.log(point.alpha)) <= 1e-4


def test_a_scale_of_phi_is_one_of_the_weights():
    phi = mf.as_nonlinearity("softplus")
    twice = mf.Nonlinearity.from_callable(
        lambda x: 2 * phi.function(x), lambda x: 2 * phi.derivative(x), name="twice softplus"
    )
    found, scaled = spectrum_of(*SOFTPLUS), spectrum_of(twice, 0.6, 0.05, 6, "orthogonal", 0.8)
    assert abs(found.log_outliers[0] - scaled.log_outliers[0]) <= 1e-11


@pytest.mark.parametrize("case", WITH_OUTLIERS)
def test_errors_are_small_and_outliers_lie_beyond_the_bulk(case):
    spectrum = spectrum_of(*case)
    assert 0 < spectrum.log_outlier_error <= 1e-10
    assert spectrum.log_outliers[0] > spectrum.log_lambda_max + 0.1
    assert spectrum.largest_eigenvalue == spectrum.outliers[-1]
    assert abs(math.log(spectrum.outliers[-1]) - spectrum.log_outliers[-1]) <= 1e-15


def test_lengths_that_differ_by_rounding_count_as_one():
    """Near the fixed point, layer by layer or all at it: the outlier moves no more than the lengths."""
    point = mf.fixed_point("softplus", 1.2, 0.05)
    at, near = (spectrum_of("softplus", 1.2, 0.05, 8, "orthogonal", q0) for q0 in (None, point.q_star * (1 + 1e-11)))
    assert len(at.log_outliers) == len(near.log_outliers) == 1
    assert abs(at.log_outliers[0] - near.log_outliers[0]) <= 1e-8


@pytest.mark.parametrize("case", [SHIFTED, SILU, ("tanh(x-2) + tanh(2)", 5.64, 0.0, 6, "gaussian", 0.61)])
def test_more_eigenvalues_lie_above_a_smaller_lambda(case):
    phi, sigma_w, sigma_b, _, weights, _ = case
    spectrum = spectrum_of(*case)
    at_edge, _, _ = _upper_end(spectrum.spectrum)
    chain = _Chain.of(
        mf.as_nonlinearity(phi), sigma_w, sigma_b, spectrum.spectrum.product, weights, at_edge, spectrum.layers.lengths
    )
    counts = [chain.count(M) for M in np.geomspace(1e-3 * at_edge, at_edge, 400)]
    assert counts[0] == 0
    assert counts[-1] == len(spectrum.log_outliers)
    assert np.all(np.diff(counts) >= 0)


def test_deep_networks_show_several():
    phi, sigma_w, sigma_b, depth = "softplus", 1.2, 0.05, 50
    spectrum = spectrum_of(phi, sigma_w, sigma_b, depth, "orthogonal", None)
    logs = np.log(
        verify.jacobian_lambda_max(
            phi, sigma_w, sigma_b, width=600, depth=depth, networks=24, weights="orthogonal", tolerance=1e-4, seed=3
        ).lambda_max
    )
    top, second = spectrum.log_outliers[::-1]
    error = logs.std(ddof=1) / math.sqrt(24)
    assert abs(logs.mean() - top) <= 4 * error
    assert logs.mean() - second >= 4 * error
    # The next one has hardly left the bulk.
    assert 0 < second - spectrum.log_lambda_max < 1e-3


@pytest.mark.parametrize("phi", ["leaky_relu(slope=0.2)", "softplus(x) - log(2)", "elu"])
@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_lengths_of_zero_are_the_limit_of_small_ones(phi, weights):
    at, near = (spectrum_of(phi, 1.7, 0.0, 6, weights, q0) for q0 in (0.0, 1e-12))
    # Of order sqrt(q), by 1.7 more in every layer.
    assert np.allclose(at.log_outliers, near.log_outliers, atol=1e-4)
    assert at.log_bulk_max == pytest.approx(near.log_bulk_max, abs=1e-4)


def test_where_weights_vanish_nothing_is_known():
    spectrum = spectrum_of("softplus", 1e-200, 0.05, 3, "gaussian", None)
    assert spectrum.log_outliers == ()
    assert math.isnan(spectrum.log_outlier_error)


def test_many_lengths_are_interpolated(monkeypatch):
    case = ("softplus", 1.2, 0.05, 90, "orthogonal", 30.0)
    one_by_one = spectrum_of(*case)
    expected = one_by_one.log_outliers
    monkeypatch.setattr("meanfield.outliers.FEW", 8)
    monkeypatch.setattr("meanfield.outliers.SEGMENT", 6.0)
    interpolated = outliers(one_by_one.layers, 1.2, 0.05, one_by_one.spectrum, "orthogonal")
    assert len(expected) >= 1
    assert np.abs(np.subtract(interpolated.log_values, expected)).max() <= 1e-8
    assert interpolated.log_values != expected


@pytest.mark.parametrize("aspect", [0.5, 2.0])
def test_an_input_of_another_size_moves_it_as_it_moves_the_law(aspect):
    """Plain networks of numpy, W^1 of shape (width, width/aspect)."""
    phi, depth, width = mf.as_nonlinearity("gelu"), 4, 300
    spectrum = spectrum_of("gelu", 1.2, 0.1, depth, "orthogonal", 0.5, input_aspect=aspect)
    rng = np.random.default_rng(9)
    tops = []
    for _ in range(24):
        h = rng.standard_normal(width)
        h *= math.sqrt(0.5 * width) / np.linalg.norm(h)
        columns = round(width / aspect)
        J = weights_of(rng, width, columns, 1.2, "orthogonal")
        J = phi.derivative(h)[:, None] * J
        for _ in range(1, depth):
            W = weights_of(rng, width, width, 1.2, "orthogonal")
            h = W @ phi.function(h) + 0.1 * rng.standard_normal(width)
            J = phi.derivative(h)[:, None] * (W @ J)
        tops.append(2 * math.log(linalg.svdvals(J)[0]))
    error = np.std(tops, ddof=1) / math.sqrt(24)
    assert abs(np.mean(tops) - spectrum.log_outliers[-1]) <= 4 * error + 8 / width
    assert error <= 0.05


def test_the_approach_to_an_outlier_is_told():
    """GELU's leaves the bulk at two layers already with orthogonal weights, but not with Gaussian ones."""
    inside, outside = (spectrum_of("gelu", 1.2, 0.1, 2, weights, 0.5) for weights in ("gaussian", "orthogonal"))
    assert inside.log_outliers == ()
    assert 0 < inside.log_gap_to_outlier < 0.1
    assert outside.log_gap_to_outlier == math.inf
    assert len(outside.log_outliers) == 1


def test_where_only_far_tails_reach_the_end_nothing_is_known():
    spectrum = spectrum_of("x + 0.3*x**2", 0.8, 0.1, 2, "gaussian", 0.5)
    assert spectrum.status is mf.Status.EMPTY_TAIL
    assert spectrum.log_outliers == ()
    assert math.isnan(spectrum.log_outlier_error)
    # But an outlier beyond the tails is one.
    beyond = spectrum_of("silu", 1.2, 0.1, 4, "orthogonal", 0.5)
    assert beyond.status is mf.Status.EMPTY_TAIL
    assert beyond.outliers[0] > beyond.bulk_max


@pytest.mark.parametrize(("sigma_w", "sigma_b", "q0"), [(1.5, 0.3, None), (1.0, 0.0, 1.1)])
def test_thousands_of_layers_are_followed(sigma_w, sigma_b, q0):
    spectrum = spectrum_of("tanh", sigma_w, sigma_b, 3000, "orthogonal", q0)
    assert spectrum.log_outliers == ()
    assert spectrum.log_outlier_error == 0


def test_outliers_are_kept_by_export_and_pickles():
    spectrum = spectrum_of(*SOFTPLUS)
    copy = pickle.loads(pickle.dumps(spectrum))
    assert copy.log_outliers == spectrum.log_outliers
    record = json.loads(spectrum.to_json())
    assert record["log_outliers"] == list(spectrum.log_outliers)
    assert "layers" not in record
