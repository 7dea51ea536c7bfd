"""Figures: what is drawn, on which Axes, and that a user's text stays text."""

import json
import re
import subprocess
import sys
import zlib
from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.figure import Figure

import meanfield as mf
from meanfield.plotting import (
    PHASE_COLOURS,
    image_bytes,
    plot_critical_line,
    plot_phase_diagram,
    plot_propagation,
    plot_report,
    plot_residuals,
    verification_figure,
)
from meanfield.plotting.style import SYMBOLS
from tests.figure_checks import assert_fits_a_column
from verify.quantities import QUANTITIES

HOSTILE = "<img src=x onerror=alert(1)>$x_{[bold]../.."


@pytest.fixture(scope="module")
def diagram():
    return mf.phase_diagram("tanh", np.linspace(0.5, 2.5, 21), np.linspace(0, 1, 15))


@pytest.fixture(scope="module")
def line():
    return mf.critical_line("tanh", q_star=np.geomspace(1e-4, 5, 50))


@pytest.fixture
def report():
    checks = [
        SimpleNamespace(
            name=f"{quantity}, layer {layer}",
            quantity=quantity,
            layer=layer,
            label="",
            theory=1.0,
            estimate=1.0 + 0.01 * layer,
            standard_error=0.01,
            z=float(layer),
            passed=layer < 3,
            undecided=layer == 2,
        )
        for quantity in ("q", "c", "chi")
        for layer in (1, 2, 3)
    ]
    return SimpleNamespace(checks=tuple(checks), passed=False)


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_phases_are_named_where_they_are(diagram, line):
    ax = plot_phase_diagram(diagram, line=line)
    assert sorted(texts(ax)) == ["chaotic", "ordered"]
    for text in ax.texts:
        column = np.argmin(np.abs(diagram.sigma_w - text.get_position()[0]))
        row = np.argmin(np.abs(diagram.sigma_b - text.get_position()[1]))
        assert diagram.phase[row, column] == text.get_text()
    assert ax.get_xlabel() == r"$\sigma_w$"
    (legend,) = ax.figure.legends
    assert [entry.get_text() for entry in legend.get_texts()] == ["critical"]
    inside = plot_phase_diagram(diagram, line=line, ax=Figure().add_subplot())
    assert [entry.get_text() for entry in inside.get_legend().get_texts()] == ["critical"]
    assert not inside.figure.legends


def test_a_line_that_repels_is_dashed():
    ax = plot_critical_line(mf.critical_line("gelu", sigma_b=[0.1, 0.2, 0.5, 0.6]))
    solid, dashed = ax.lines
    assert solid.get_linestyle() == "-"
    assert dashed.get_linestyle() == "--"
    assert np.isfinite(solid.get_ydata()).tolist() == [False, False, True, True]
    assert np.isfinite(dashed.get_ydata()).tolist() == [True, True, True, False], "no gap where they meet"


def test_no_colour_of_a_map_looks_like_no_value(diagram):
    ax = plot_phase_diagram(diagram, field="xi_q")
    assert "none" in [text.get_text() for text in ax.figure.legends[0].get_texts()]
    colours = colormaps["cividis"](np.linspace(0, 1, 256))
    assert np.abs(colours - np.array(ax.patch.get_facecolor())).max(axis=1).min() >= 0.2
    assert ax.patch.get_hatch()


def test_counts_have_a_bar_of_steps(diagram):
    bar = plot_phase_diagram(diagram, field="n_fixed_points").figure.axes[1]
    assert bar.get_yticks().tolist() == np.unique(diagram.n_fixed_points).tolist()
    assert bar.get_ylim() == (diagram.n_fixed_points.min() - 0.5, diagram.n_fixed_points.max() + 0.5)


def test_a_verification_fits_a_column(report):
    figure = verification_figure(report, title="tanh")
    assert_fits_a_column(figure)
    low, high = figure.axes[-1].get_ylim()
    assert all(low < check.z < high for check in report.checks)
    assert len(figure.legends) == 1
    assert not any(ax.get_legend() for ax in figure.axes)


def test_one_point_is_a_dot(diagram):
    ax = plot_phase_diagram(diagram, line=mf.critical_line("relu", q_star=np.geomspace(0.1, 10, 5)))
    assert ax.lines[0].get_marker() == "o"


def test_a_line_that_does_not_exist_says_so():
    assert texts(plot_critical_line(mf.critical_line("softplus", q_star=[0.5, 1.0]))) == [
        "no critical point in this range"
    ]


@pytest.mark.parametrize(
    "field", ["q_star", "alpha", "chi_1", "c_star", "chi_c", "xi_q", "xi_c", "xi_gradient", "n_fixed_points"]
)
def test_every_number_of_a_diagram_can_be_shown(diagram, field):
    figure = plot_phase_diagram(diagram, field=field).figure
    assert len(figure.axes) == 2
    figure.draw_without_rendering()


def test_unknown_names_are_refused(diagram, report):
    with pytest.raises(mf.InvalidParameterError, match="field must be one of"):
        plot_phase_diagram(diagram, field="colour")
    with pytest.raises(mf.InvalidParameterError, match="quantity must be one of"):
        plot_report(report, quantity="x")
    with pytest.raises(mf.InvalidParameterError, match="suffix must be one of"):
        image_bytes(Figure(), "gif")


def test_they_draw_where_they_are_told(diagram, line, report):
    path = mf.propagate("tanh", 1.5, 0.3, depth=5, c0=[0.1, 0.5])
    for draw in (
        lambda ax: plot_phase_diagram(diagram, ax=ax),
        lambda ax: plot_critical_line(line, ax=ax),
        lambda ax: plot_propagation(path, quantity="c", ax=ax),
        lambda ax: plot_report(report, ax=ax),
        lambda ax: plot_residuals(report, ax=ax),
    ):
        ax = Figure().add_subplot()
        assert draw(ax) is ax


def test_propagation_draws_every_pair_of_inputs():
    path = mf.propagate("tanh", 1.5, 0.3, depth=5, c0=[0.1, 0.5])
    lines = plot_propagation(path, quantity="c").lines
    assert np.array_equal([line.get_ydata() for line in lines], path.c.T if path.c.shape[0] == 5 else path.c)


def test_a_report_is_drawn_with_its_errors(report):
    ax = plot_report(report, quantity="q")
    (container,) = ax.containers
    assert container[0].get_ydata().tolist() == [1.01, 1.02, 1.03]
    low, high = container[2][0].get_segments()[0][:, 1]
    assert np.isclose(high - low, 4 * 0.01)
    assert len(verification_figure(report).axes) == 4


def test_checks_that_failed_are_crosses_and_undecided_ones_hollow(report):
    lines = plot_residuals(report).lines
    crosses = [line for line in lines if line.get_marker() == "x"]
    assert [line.get_ydata() for line in crosses] == [[3.0], [3.0], [3.0]]
    hollow = [line for line in lines if line.get_markerfacecolor() == "white"]
    assert [line.get_ydata() for line in hollow] == [[2.0], [2.0], [2.0]]


def test_quantities_of_whole_networks_stand_side_by_side():
    """Every quantity there is has its symbol, and none hides another."""
    names = [name for name, each in QUANTITIES.items() if each.places((1,), (0.5,))[0][1] == 0]
    checks = [
        SimpleNamespace(
            quantity=name, label="", layer=0, theory=1.0, estimate=1.0, standard_error=0.1, z=0.0, passed=True,
            undecided=False,
        )
        for name in names
    ]  # fmt: skip
    assert {"lambda_max", "trace", "ntk"} <= set(names)
    figure = verification_figure(SimpleNamespace(checks=checks), title="whole networks")
    (ax,) = figure.axes
    drawn = [x for line in ax.lines if line.get_marker() not in ("None", "", None) for x in line.get_xdata()]
    assert drawn == list(range(len(names)))
    assert ax.get_title(loc="left") == "whole networks"
    assert [text.get_text() for text in ax.get_xticklabels()] == [SYMBOLS[name] for name in names]


def test_a_users_text_is_drawn_as_it_is(diagram, line, report):
    figures = [
        plot_phase_diagram(diagram, line=line, title=HOSTILE).figure,
        plot_critical_line(line, title=HOSTILE).figure,
        verification_figure(report, title=HOSTILE),
    ]
    for figure in figures:
        assert figure.axes[0].get_title(loc="left").replace("\n", "") == HOSTILE
        assert image_bytes(figure, "png")
    assert image_bytes(figures[1], "pdf")
    assert b"<img" not in image_bytes(figures[1], "svg")


def test_a_long_name_with_odd_letters_fits_its_line(diagram):
    title = plot_phase_diagram(diagram, title="日本\n\x00" + "x" * 500).get_title(loc="left").replace("\n", "")
    assert len(title) == 60
    assert title.isprintable()
    assert image_bytes(plot_phase_diagram(diagram, title="日本").figure, "png")


def test_provenance_is_in_the_file(line):
    figure = plot_critical_line(line).figure
    note = {"seed": 3, "command": "meanfield line tanh"}
    png = image_bytes(figure, "png", provenance=note)
    text = re.search(rb"tEXtDescription\x00(\{.*?\})", png)
    assert json.loads(text.group(1)) == note
    assert json.dumps(note).replace('"', "&quot;").encode() in image_bytes(figure, "svg", provenance=note) or (
        b"meanfield line tanh" in image_bytes(figure, "svg", provenance=note)
    )
    assert b"meanfield line tanh" in image_bytes(figure, "pdf", provenance=note)


@pytest.mark.parametrize("suffix", ["png", "pdf"])
def test_the_same_figure_is_the_same_file(line, suffix):
    first, second = (image_bytes(plot_critical_line(line).figure, suffix) for _ in range(2))
    assert zlib.crc32(first) == zlib.crc32(second)


def test_phases_differ_in_grey():
    grey = [np.dot(mpl.colors.to_rgb(PHASE_COLOURS[name]), (0.299, 0.587, 0.114)) for name in PHASE_COLOURS]
    assert min(np.diff(sorted(grey))) > 0.05


def test_no_global_state_is_touched():
    script = (
        "import matplotlib as mpl, sys\n"
        "before = mpl.rcParams.copy()\n"  # item access would choose a backend, and with it load pyplot
        "import meanfield.plotting\n"
        "import meanfield as mf\n"
        "meanfield.plotting.plot_critical_line(mf.critical_line('relu', sigma_b=[0.0]))\n"
        "assert mpl.rcParams.copy() == before\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
