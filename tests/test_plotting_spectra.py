"""Figures of spectra: what is drawn where, and that a user's text stays text."""

import numpy as np
import pytest
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure

import meanfield as mf
from meanfield.plotting import figure_of, image_bytes, plot_lambda_max, plot_spectra, plot_spectrum
from tests.figure_checks import assert_fits_a_column
from tests.spectral_laws import InLogarithms, LinearGaussian, PointMass

HOSTILE = "<img src=x onerror=alert(1)>$x_{[bold]../.."


class HalfAtoms(InLogarithms):
    """A quarter of the mass at 0, a quarter at 2, the rest evenly over [0.5, 1]."""

    lambda_min, bulk_min, lambda_max, bulk_max = 0.0, 0.0, 2.0, 2.0
    atoms = ((0.0, 0.25), (2.0, 0.25))

    def density(self, lam):
        return np.where((np.asarray(lam) >= 0.5) & (np.asarray(lam) <= 1.0), 1.0, 0.0)

    def quantile(self, p):
        p = np.asarray(p)
        return np.where(p <= 0.25, 0.0, np.where(p <= 0.75, 0.5 + (p - 0.25), 2.0))


def legend(ax):
    return [text.get_text() for text in ax.figure.legends[0].get_texts()]


def curves(ax):
    return [line for line in ax.lines if len(line.get_xdata()) > 10]


@pytest.mark.parametrize("depth", [1, 2, 6])
@pytest.mark.parametrize("variable", ["lambda", "log", "sigma"])
def test_the_line_is_the_density_of_its_variable(depth, variable):
    law = LinearGaussian(depth)
    (line,) = curves(plot_spectrum(law, variable=variable))
    x, y = (np.asarray(values)[5:-5:50] for values in line.get_data())
    lam = x**2 if variable == "sigma" else x
    factor = {"lambda": 1.0, "log": lam, "sigma": 2 * x}[variable]
    assert np.allclose(y, law.density(lam) * factor, rtol=1e-6)
    if variable == "log":
        x, y = line.get_data()
        assert abs(np.trapezoid(y, np.log(x)) - (1 - law.cdf(x.min()))) <= 1e-3
        assert law.cdf(x.min()) <= 0.03


def test_wide_spectra_are_drawn_over_the_logarithm():
    wide = plot_spectrum(LinearGaussian(8))
    assert wide.get_xscale() == "log"
    assert wide.get_ylabel() == r"density of $\ln\,\lambda$"
    assert plot_spectrum(HalfAtoms()).get_xscale() == "linear"


def test_laws_and_maps_fit_a_column():
    singular = np.full((2, 50), 1.2)
    for ax in (
        plot_spectrum(HalfAtoms(), simulated=singular, title="a name with as many as forty letters in"),
        plot_spectra([LinearGaussian(k) for k in range(1, 7)], labels=[f"L = {k}" for k in range(1, 7)]),
        plot_lambda_max([1, 2, 4], [0.1, 1.0], [[1.0, 2.0, 3.0], [3.0, 4.0, 6.0]], title="tanh"),
        plot_lambda_max([1, 2], [0.1, 1.0], np.full((2, 2), np.nan)),
    ):
        assert_fits_a_column(figure_of(ax))
    assert [text.get_text() for text in ax.texts] == ["no critical point in this range"]


def test_no_peak_of_a_histogram_is_cut():
    ax = plot_spectrum(LinearGaussian(8), simulated=np.full((1, 50), 1.2))
    tallest = max(patch.get_data().values.max() for patch in ax.patches if hasattr(patch, "get_data"))
    assert tallest <= ax.get_ylim()[1]


def test_every_contour_inside_has_its_label():
    depth, q = np.geomspace(1, 100, 30), np.geomspace(1e-3, 1, 20)
    ax = plot_lambda_max(depth, q, np.outer(1 + q, depth))
    assert {"2", "5", "10", "20", "50"} <= {text.get_text() for text in ax.texts}


def test_contours_of_powers_are_right_between_few_points():
    """lambda = L^3/q^2 on a coarse grid: straight in logarithms."""
    depth, q = np.array([1.0, 8.0, 64.0]), np.array([0.01, 1.0])
    ax = plot_lambda_max(depth, q, depth**3 / q[:, None] ** 2)
    (contours,) = (each for each in ax.collections if isinstance(each, ContourSet))
    for level, path in zip(contours.levels, contours.get_paths(), strict=True):
        x, y = path.vertices.T
        assert np.allclose(x**3 / y**2, level, rtol=2e-2)


def test_a_histogram_has_the_area_of_what_it_counts():
    rng = np.random.default_rng(0)
    singular = np.sqrt(rng.choice(LinearGaussian(1).quantile(np.linspace(0.001, 0.999, 999)), (6, 500)))
    ax = plot_spectrum(LinearGaussian(1), simulated=singular, variable="sigma")
    steps = [patch for patch in ax.patches if hasattr(patch, "get_data")]
    values, edges, _ = steps[0].get_data()
    assert abs(np.sum(values * np.diff(edges)) - 1) <= 1e-12
    assert "simulation: 6 networks of width 500" in legend(ax)


def test_atoms_have_stems_of_their_mass_and_leave_the_histogram():
    singular = np.sqrt(np.tile([0.0, 0.6, 0.9, 2.0, 2.0 * (1 + 1e-12)], (4, 20)))
    ax = plot_spectrum(HalfAtoms(), simulated=singular)
    masses = next(other for other in figure_of(ax).axes if other is not ax)
    assert masses.get_ylabel() == "mass of an atom"
    points = {
        (marker, round(float(np.ravel(line.get_xdata())[0]), 6)): float(np.ravel(line.get_ydata())[0])
        for line in masses.lines
        if (marker := line.get_marker()) in "ox"
    }
    assert points == pytest.approx({("o", 0.0): 0.25, ("o", 2.0): 0.25, ("x", 0.0): 0.2, ("x", 2.0): 0.4})
    values, edges, _ = next(patch for patch in ax.patches if hasattr(patch, "get_data")).get_data()
    assert abs(np.sum(values * np.diff(edges)) - 0.4) <= 1e-12
    assert {"atom", "atom, simulation"} <= set(legend(ax))
    over_logarithm = plot_spectrum(HalfAtoms(), variable="log")
    assert "atom at 0: mass 0.25" in legend(over_logarithm)


def test_the_ends_of_the_support_are_named():
    ax = plot_spectrum(LinearGaussian(1), variable="lambda")
    assert "support from 0 to 4" in legend(ax)
    assert "support from 0 to 2" in legend(plot_spectrum(LinearGaussian(1), variable="sigma"))


def test_outliers_are_marked_and_in_sight():
    law = mf.jacobian_spectrum("softplus", 1.2, 0.05, depth=6, weights="orthogonal", q0=0.8)
    for ax in (plot_spectrum(law), plot_spectra([law, LinearGaussian(2)], labels=["one", "two"], variable="log")):
        (mark,) = (line for line in ax.lines if line.get_marker() == "d" and len(line.get_xdata()))
        assert mark.get_xdata()[0] == pytest.approx(law.outliers[0], rel=1e-12)
        assert ax.get_xlim()[1] > law.outliers[0]
        assert any(label.startswith("outlier") for label in ax.get_legend_handles_labels()[1])
    assert not any(line.get_marker() == "d" for line in plot_spectrum(LinearGaussian(2)).lines)


def test_a_divergence_does_not_flatten_the_picture():
    assert plot_spectrum(LinearGaussian(3), variable="lambda").get_ylim()[1] <= 5
    assert plot_spectrum(LinearGaussian(2), variable="sigma").get_ylim()[1] <= 5


def test_a_law_of_one_atom_is_drawn():
    ax = plot_spectrum(PointMass(), simulated=np.ones((3, 10)), title="linear")
    assert ax.get_xlim()[0] < 1 < ax.get_xlim()[1]
    assert ax.get_ylim()[0] == 0.0, "no density is negative"
    assert ax.get_yticks().tolist() == [0.0]
    assert image_bytes(figure_of(ax), "png")


@pytest.mark.parametrize(("sigma_w", "power"), [(0.3, -1052), (3.0, 273), (8.0, 656)])
def test_laws_beyond_float64(sigma_w, power):
    """Their eigenvalues, or most of them, have no number in double precision: the axis shows log10 of them."""
    law = mf.jacobian_spectrum("tanh", sigma_w, 0.1, depth=1000)
    assert round(law.log_lambda_max / np.log(10)) == power
    ax = plot_spectrum(law)
    assert ax.get_xlabel().startswith(r"$\log_{10}")
    (line,) = curves(ax)
    x, y = line.get_data()
    assert x.max() == pytest.approx(law.log_lambda_max / np.log(10), rel=1e-3), "but for rounding of the mass"
    assert abs(np.trapezoid(y, x * np.log(10)) - 0.98) <= 1e-3, "two per cent are left out"
    assert ax.get_xlim()[0] < x.min() < x.max() < ax.get_xlim()[1]
    assert f"support from 0 to $10^{{{law.log_lambda_max / np.log(10):.4g}}}$" in legend(ax)
    if abs(power) > 600:
        with pytest.raises(mf.InvalidParameterError, match="variable must be 'log'"):
            plot_spectrum(law, variable="sigma")


@pytest.mark.parametrize(("log_top", "text"), [(np.inf, "to inf"), (2000.0, "to $10^{868.6}$")])
def test_far_tails_beyond_float64(log_top, text):
    class Far(HalfAtoms):
        log_lambda_max = log_top

    assert f"support from 0 {text}" in legend(plot_spectrum(Far()))


def test_the_deepest_of_many_laws_does_not_hide_the_others():
    depths = (1, 10, 100, 1000)
    laws = [mf.jacobian_spectrum("tanh", 1.3, 0.1, depth=depth) for depth in depths]
    ax = plot_spectra(laws, labels=[f"L = {depth}" for depth in depths])
    low, high = ax.get_xlim()
    assert high - low <= 150, "decades"
    for law in laws:
        shown = law.cdf_of_log(high * np.log(10)) - law.cdf_of_log(low * np.log(10))
        assert shown >= (0.1 if law.depth == 1000 else 0.5)


def test_several_laws_are_told_apart():
    laws = [LinearGaussian(depth) for depth in (1, 2, 4)]
    ax = plot_spectra(laws, labels=["L = 1", "L = 2", "L = 4"], simulated=[None, np.ones((2, 5)), None])
    assert legend(ax)[:3] == ["L = 1", "L = 2", "L = 4"]
    assert len({line.get_color() for line in curves(ax)}) == 3


def test_densities_of_unequal_height_share_a_logarithmic_axis():
    class Narrow(HalfAtoms):
        atoms = ()
        lambda_min = bulk_min = 0.99
        lambda_max = bulk_max = 1.01

        def density(self, lam):
            return 50 * np.where(np.abs(np.asarray(lam) - 1) <= 0.01, 1.0, 0.0)

        def quantile(self, p):
            return 0.99 + 0.02 * np.asarray(p)

    ax = plot_spectra([Narrow(), LinearGaussian(2)], labels=["a", "b"])
    assert ax.get_yscale() == "log"
    seen = [x[y >= ax.get_ylim()[0]] for x, y in (line.get_data() for line in curves(ax))]
    assert ax.get_xlim()[0] == min(x.min() for x in seen), "no empty space to the left"


def test_the_map_shows_its_values_and_what_is_missing():
    depth, q_star = np.array([1, 2, 4]), np.array([0.1, 1.0])
    values = np.array([[1.1, 1.4, 2.2], [2.5, 8.0, 40.0]])
    ax = plot_lambda_max(depth, q_star, values)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("depth $L$", r"$q^*$")
    assert np.array_equal(np.ravel(ax.collections[0].get_array()), values.ravel())
    values[0, 0] = np.nan
    holes = plot_lambda_max(depth, q_star, values)
    assert np.ma.getmaskarray(holes.collections[0].get_array()).sum() == 1
    for shown in (ax, holes, plot_lambda_max([3], [0.1], [[np.nan]])):
        assert image_bytes(figure_of(shown), "png")


@pytest.mark.parametrize(
    ("draw", "rule"),
    [
        (lambda: plot_spectrum(PointMass(), variable="mass"), "variable must be one of"),
        (lambda: plot_spectra([], labels=[]), "as many as spectra"),
        (lambda: plot_spectra([PointMass()], labels=["a", "b"]), "as many as spectra"),
        (lambda: plot_spectra([PointMass()], labels=["a"], simulated=[]), "as many as spectra"),
    ],
)
def test_bad_arguments_are_named(draw, rule):
    with pytest.raises(mf.InvalidParameterError, match=rule):
        draw()


def test_a_users_text_is_drawn_as_it_is():
    for ax in (
        plot_spectrum(LinearGaussian(1), title=HOSTILE),
        plot_lambda_max([1, 2], [0.1, 1.0], [[1.0, 2.0], [3.0, 4.0]], title=HOSTILE),
    ):
        assert "".join(ax.get_title(loc="left").splitlines()) == HOSTILE
        figure_of(ax).draw_without_rendering()


def test_figures_draw_on_the_axes_they_are_given():
    for draw in (
        lambda ax: plot_spectrum(LinearGaussian(1), ax=ax),
        lambda ax: plot_spectra([LinearGaussian(1)], labels=["a"], ax=ax),
        lambda ax: plot_lambda_max([1, 2], [0.1, 1.0], [[1.0, 2.0], [3.0, 4.0]], ax=ax),
    ):
        ax = Figure().add_subplot()
        assert draw(ax) is ax
