"""Figures of the plane's numbers, depth scales, trajectories and maps: what is drawn, and that nothing is clipped."""

import io
from functools import partial

import matplotlib.image
import numpy as np
import pytest
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

import meanfield as mf
from meanfield.cli.defaults import drawn_line
from meanfield.map_curves import c_map_curve, q_map_curve
from meanfield.plotting import (
    figure_of,
    image_bytes,
    plot_critical_line,
    plot_decay,
    plot_depth_scales,
    plot_map,
    plot_phase_diagram,
    plot_propagation,
    plot_trainability,
)
from tests.figure_checks import assert_fits_a_column


@pytest.fixture(scope="module")
def tanh():
    return mf.phase_diagram("tanh", np.linspace(0.5, 2.5, 21), np.linspace(0, 1, 15))


@pytest.fixture(scope="module")
def silu():
    return mf.phase_diagram("silu", np.linspace(0.8, 2.2, 29), np.linspace(0, 0.9, 19))


@pytest.fixture(scope="module")
def point():
    return mf.fixed_point("tanh", 2.5, 0.3)


@pytest.fixture(scope="module")
def path(point):
    return mf.propagate("tanh", 2.5, 0.3, depth=20, q0=point.q_star, c0=[0.1, 0.5, 0.9])


def labels(ax):
    legends = [*ax.figure.legends, *([ax.get_legend()] if ax.get_legend() else [])]
    return [text.get_text() for legend in legends for text in legend.get_texts()]


def test_axes_can_be_variances(tanh):
    line = mf.critical_line("tanh", q_star=np.geomspace(1e-3, 3, 20))
    ax = plot_phase_diagram(tanh, line=line, axes="variance")
    assert np.allclose(ax.get_xlim(), (0.25, 6.25))
    assert ax.get_xlabel() == r"$\sigma_w^2$"
    assert np.allclose(ax.lines[0].get_xdata(), line.sigma_w**2)
    alone = plot_critical_line(line, axes="variance")
    assert np.allclose(alone.lines[0].get_ydata(), line.sigma_b**2)
    with pytest.raises(mf.InvalidParameterError, match="axes must be one of"):
        plot_phase_diagram(tanh, axes="log")


def test_depths_are_logarithmic_and_counts_are_steps(tanh, silu):
    (mesh,) = [c for c in plot_phase_diagram(tanh, field="xi_c").collections if c.get_array() is not None]
    assert isinstance(mesh.norm, LogNorm)
    ax = plot_phase_diagram(tanh, field="xi_gradient")
    assert ax.figure.axes[1].get_ylabel() == r"$|\xi_\nabla|$ (layers)"
    counts = plot_phase_diagram(silu, field="n_fixed_points").figure.axes[1]
    assert [int(tick) for tick in counts.get_yticks()] == [0, 1, 2]


def test_several_fixed_points_are_hatched(tanh, silu):
    assert "several $q^*$" in labels(plot_phase_diagram(silu))
    assert "several $q^*$" not in labels(plot_phase_diagram(tanh)), "a q = 0 that repels does not count"


def test_the_hatch_reaches_sigma_b_0(silu):
    lowest = [len(mf.fixed_points("silu", sigma_w, 0.0)) for sigma_w in silu.sigma_w]
    (hatched,) = [c for c in plot_phase_diagram(silu).collections if getattr(c, "hatches", None)]
    (path,) = [path for path in hatched.get_paths() if path.vertices.size]
    at_bottom = path.vertices[path.vertices[:, 1] == 0.0, 0]
    several = silu.sigma_w[np.array(lowest) > 1]
    assert at_bottom.min() <= several.min()
    assert several.max() <= at_bottom.max()


@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (4, 1)])
def test_one_cell_row_or_column_can_be_drawn(shape):
    few = mf.phase_diagram("tanh", np.linspace(1.1, 1.6, shape[0]), np.linspace(0.1, 0.4, shape[1]))
    for draw in (plot_phase_diagram, partial(plot_phase_diagram, field="chi_1"), plot_depth_scales, plot_trainability):
        ax = draw(few)
        assert_fits_a_column(figure_of(ax))
        assert np.ptp(ax.get_xlim()) > 0.01
        assert np.ptp(ax.get_ylim()) > 0.01
    assert set(labels(plot_phase_diagram(few))) == set(np.unique(few.phase).tolist()), "no room for names inside"
    cells = plot_phase_diagram(few, field="chi_1").collections[0].get_array()
    assert np.array_equal(cells.reshape(shape[::-1]), few.chi_1)


def test_only_an_isolated_point_is_a_dot():
    foot = mf.critical_line("sigmoid", q_star=[30.0, 45.0, mf.critical_point("sigmoid", sigma_b=0).q_star, 46.0, 47.0])
    assert [line.get_marker() for line in plot_critical_line(foot).lines] == ["None"]
    alone = plot_critical_line(mf.critical_line("sigmoid", q_star=[30.0, 46.0]))
    assert [line.get_marker() for line in alone.lines] == ["o"]


def test_a_line_that_leaves_double_precision_keeps_its_frame():
    dead_zone = mf.phase_diagram("softshrink", [0.5, 1.0, 1.5], [0.0, 0.5, 1.0])
    assert_fits_a_column(figure_of(plot_phase_diagram(dead_zone, line=drawn_line(mf.as_nonlinearity("softshrink")))))


def test_what_lies_outside_a_diagram_has_no_legend():
    below = mf.phase_diagram("relu", [0.5, 0.7, 0.9], [0.2, 0.4, 0.6])
    ax = plot_phase_diagram(below, line=mf.critical_line("relu", q_star=[0.5, 1.0]))
    assert not ax.lines
    assert labels(ax) == ["ordered"]


def test_names_stand_upright_where_a_region_is_narrow():
    narrow = mf.phase_diagram("tanh", np.linspace(0.5, 6, 45), np.linspace(0, 1, 15))
    turned = {text.get_text(): text.get_rotation() for text in plot_phase_diagram(narrow).texts}
    assert turned["chaotic"] == 0
    assert turned["ordered"] == 90


def test_depth_scales_diverge_where_they_should():
    rows = mf.phase_diagram("tanh", np.linspace(0.7, 2.0, 53), [0.1, 0.3])
    ax = plot_depth_scales(rows, quantities=("xi_c", "xi_q", "xi_gradient"))
    assert ax.get_yscale() == "log"
    curves = ax.lines
    assert len(curves) == 6
    for row, curve in ((0, curves[0]), (1, curves[3])):
        peak = curve.get_xdata()[np.nanargmax(curve.get_ydata())]
        assert abs(peak - mf.critical_point("tanh", sigma_b=rows.sigma_b[row]).sigma_w) <= 0.03
    assert labels(ax)[:2] == [r"$\sigma_w$".replace("w", "b") + " = 0.1", r"$\sigma_b$ = 0.3"]
    with pytest.raises(mf.InvalidParameterError, match="quantities must be one of"):
        plot_depth_scales(rows, quantities=("xi_c", "chi_1"))


def test_a_legend_of_five_rows_is_within_the_figure():
    rows = mf.phase_diagram("tanh", [0.5, 1.5], [0.0, 0.25, 0.5, 0.75, 1.0])
    assert_fits_a_column(figure_of(plot_depth_scales(rows)))


def test_depth_scales_mark_the_critical_sigma_w_of_each_row():
    rows = mf.phase_diagram("tanh", np.linspace(0.6, 2.0, 15), [0.0, 0.1, 0.3])
    ax = plot_depth_scales(rows, quantities=("xi_c",), line=drawn_line(mf.as_nonlinearity("tanh")))
    marks = [line for line in ax.lines if len(line.get_xdata()) == 2]
    expected = [mf.critical_point("tanh", sigma_b=sigma_b).sigma_w for sigma_b in rows.sigma_b]
    assert np.allclose([line.get_xdata()[0] for line in marks], expected, atol=1e-3)
    assert [line.get_color() for line in marks] == [line.get_color() for line in ax.lines if line not in marks]
    # The critical line of silu repels at these sigma_b: what q0 reaches does not become critical there.
    rows = mf.phase_diagram("silu", np.linspace(0.6, 2.0, 5), [0.2, 0.4])
    assert len(plot_depth_scales(rows, line=drawn_line(mf.as_nonlinearity("silu"))).lines) == 4


def test_trainability_has_its_line_and_its_colour():
    rows = mf.phase_diagram("tanh", np.linspace(0.7, 2.0, 27), [0.1, 0.3])
    ax = plot_trainability(rows, row=1, depth=100)
    assert np.allclose(ax.lines[0].get_ydata(), 6 * rows.xi_c[1], equal_nan=True)
    mesh = ax.collections[0].get_array().reshape(-1, 27)
    assert np.isclose(mesh[0, 3], np.exp(-1 / rows.xi_c[1, 3]))
    assert (np.diff(mesh[:, 3]) <= 0).all()
    with pytest.raises(mf.InvalidParameterError, match="row must be <= 1"):
        plot_trainability(rows, row=2)


def test_trainability_leaves_out_rows_where_correlations_mean_nothing():
    rows = mf.phase_diagram("relu", [0.5, 1.0], [0.0, 0.3])
    assert plot_trainability(rows).get_ylabel().endswith("0.3")
    half = mf.phase_diagram("tanh", [0.5, 0.8, 1.2, 1.5], [0.0, 0.2, 0.4])
    ax = plot_trainability(half, title="tanh")
    assert (ax.get_title(loc="left"), ax.get_ylabel()[-3:]) == ("tanh", "0.2")
    assert not np.ma.getmaskarray(ax.collections[0].get_array()).any()


def test_trajectories_settle_at_their_line(point, path):
    shorter = mf.propagate("tanh", 2.5, 0.3, depth=8, q0=0.2)
    ax = plot_propagation(path, shorter, quantity="q", point=point)
    assert [len(line.get_xdata()) for line in ax.lines[:2]] == [20, 8]
    assert ax.lines[2].get_ydata()[0] == point.q_star
    assert len(plot_propagation(path, quantity="c").lines) == 3
    with pytest.raises(mf.InvalidParameterError, match="c0="):
        plot_propagation(shorter, quantity="c")
    with pytest.raises(mf.InvalidParameterError, match="at least one"):
        plot_propagation(quantity="q")


def test_decay_runs_along_its_exponential(point, path):
    ax = plot_decay(path, point=point)
    measured, guide = ax.lines[0].get_ydata(), ax.lines[1].get_ydata()
    assert np.allclose(measured, np.abs(path.c[0] - point.c_star))
    assert np.allclose(measured[12:], guide[12:], rtol=0.02)
    at_rest = plot_decay(path, point=point, quantity="q")
    assert at_rest.get_yscale() == "log"
    assert labels(ax)[0].startswith(r"$e^{-l/\xi_c}$")


def test_cobwebs_step_along_the_orbit():
    curve = c_map_curve("tanh", 2.5, 0.3, c0=0.9, layers=5)
    diagonal, drawn, web, stable, unstable = plot_map(curve).lines
    assert np.array_equal(drawn.get_ydata(), curve.y)
    assert np.array_equal(diagonal.get_xdata(), diagonal.get_ydata())
    assert web.get_xdata().tolist() == np.repeat(curve.orbit, 2)[:-1].tolist()
    assert web.get_ydata()[1::2].tolist() == curve.orbit[1:].tolist()
    assert (stable.get_markerfacecolor(), unstable.get_markerfacecolor()) == ("#222222", "white")


def figures(tanh, silu, point, path):
    line = mf.critical_line("silu", q_star=np.geomspace(1e-3, 100, 60))
    long_name = "tanh(x) + 0.25*sin(3*x) - max(x, 0.1) + 1.0*x"
    yield plot_phase_diagram(silu, line=line, title=long_name)
    yield plot_phase_diagram(silu, field="xi_c", line=line, axes="variance", title=long_name)
    yield plot_phase_diagram(tanh, field="q_star", title="tanh")
    yield plot_depth_scales(tanh, title=long_name)
    yield plot_depth_scales(tanh, axes="variance", quantities=("xi_c", "xi_q", "xi_gradient"))
    yield plot_trainability(tanh, row=3, title="tanh")
    yield plot_propagation(path, quantity="c", point=point, title="tanh")
    yield plot_propagation(path, quantity="chi", point=point, title="tanh")
    yield plot_decay(path, point=point, title="tanh")
    yield plot_map(q_map_curve("tanh", 2.5, 0.3), title="tanh")


def test_nothing_is_clipped_or_tiny_at_one_columns_width(tanh, silu, point, path):
    for ax in figures(tanh, silu, point, path):
        assert_fits_a_column(figure_of(ax))


def test_a_narrow_figure_has_as_many_pixels_as_a_wide_one(point, path):
    image = matplotlib.image.imread(io.BytesIO(image_bytes(figure_of(plot_decay(path, point=point)), "png")))
    assert 1080 <= image.shape[1] <= 1100


def test_they_draw_where_they_are_told(tanh, point, path):
    for draw in (
        lambda ax: plot_depth_scales(tanh, ax=ax),
        lambda ax: plot_trainability(tanh, row=3, ax=ax),
        lambda ax: plot_decay(path, point=point, ax=ax),
        lambda ax: plot_map(q_map_curve("tanh", 2.5, 0.3), ax=ax),
    ):
        ax = Figure().add_subplot()
        assert draw(ax) is ax
