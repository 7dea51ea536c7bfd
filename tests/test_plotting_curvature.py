"""Figures of the Fisher information: what they show, and user text as it is."""

import numpy as np

import meanfield as mf
import verify
from meanfield.plotting import figure_of, image_bytes, plot_curvature_bounds, plot_curvature_scatter
from tests.figure_checks import assert_fits_a_column

SHAPE = {"depth": 2, "width": 30, "samples": 20, "outputs": 3}
HOSTILE = "<img src=x onerror=alert(1)>$x_{[bold]../.."


def test_bounds_side_by_side():
    statistics = mf.fisher_statistics("tanh", 1.3, 0.3, biases=True, **SHAPE)
    bound = mf.fisher_bound("tanh", 1.3, 0.3, **SHAPE)
    setting = verify.fisher_setting("tanh", 1.3, 0.3, **SHAPE)
    measured = verify.fisher_outliers(setting, networks=3)
    ax = plot_curvature_bounds(statistics, bound, measured=measured, title=HOSTILE)
    values = [line.get_xdata().tolist() for line in ax.lines]
    assert values == [
        [statistics.lambda_max],
        [bound.paper],
        [bound.layerwise],
        measured.outliers[:, 0].tolist(),
        measured.layerwise.tolist(),
    ]
    low, high = ax.get_xlim()
    assert low < min(map(min, values)) <= max(map(max, values)) < high
    assert image_bytes(figure_of(ax), "svg")
    assert len(plot_curvature_bounds(statistics, bound).lines) == 3


def test_close_values_get_a_linear_axis():
    statistics = mf.fisher_statistics("tanh", 1.0, 0.01, biases=True, input_norm=1e-3, **SHAPE)
    bound = mf.fisher_bound("tanh", 1.0, 0.01, input_norm=1e-3, weights="orthogonal", **SHAPE)
    assert plot_curvature_bounds(statistics, bound).get_xscale() == "linear"


def test_without_a_bound_the_rest_is_drawn():
    statistics = mf.fisher_statistics("x**3", 0.5, 0.1, biases=True, input_norm=0.1, **SHAPE)
    ax = plot_curvature_bounds(statistics, None, note="q* = 0.1, gaussian weights", title="x**3")
    assert [label.get_text() for label in ax.get_yticklabels()] == ["Karakida"]
    assert ax.get_title(loc="left") == "x**3\nq* = 0.1, gaussian weights"
    assert_fits_a_column(figure_of(ax))


def test_axes_that_spread_little_have_few_numbers():
    """Up to a ratio of 4 they are linear; within two decades the numbers are 1, 2, 5, ..."""
    x, y = np.array([1.0, 1.2]), np.array([0.5, 20.0])
    bounds = [{"sigma_max_squared": 1.1, "paper": np.nan, "layerwise": np.nan, "odd": True}]
    ax = plot_curvature_scatter(x, y, q_star=[0.1, 0.1], linear=[False, False], bounds=bounds)
    assert (ax.get_xscale(), ax.get_yscale()) == ("linear", "log")
    low, high = ax.get_ylim()
    assert [tick for tick in ax.get_yticks() if low < tick < high] == [0.5, 1, 2, 5, 10, 20]
    assert not [text for text in ax.get_yticklabels(minor=True) if text.get_text()]
    assert "theorem" not in [text.get_text() for text in figure_of(ax).legends[0].get_texts()]


def test_a_theorem_outside_its_assumptions_is_named_so():
    bounds = [{"sigma_max_squared": 3.0, "paper": 7.0, "layerwise": 11.0, "odd": False}]
    ax = plot_curvature_scatter([1.0], [5.0], q_star=[0.1], linear=[False], bounds=bounds)
    assert "theorem, outside its assumptions" in [text.get_text() for text in figure_of(ax).legends[0].get_texts()]
    assert_fits_a_column(figure_of(ax))


def test_scatter():
    x, y = np.array([1.0, 2.0, 3.0, 1.0]), np.array([5.0, 6.0, 9.0, 30.0])
    bounds = [
        {"sigma_max_squared": 3.0, "paper": 7.0, "layerwise": 11.0},
        {"sigma_max_squared": 1.5, "paper": 6.5, "layerwise": 7.0},
    ]
    ax = plot_curvature_scatter(
        x,
        y,
        q_star=[0.1, 0.1, 2.0, 2.0],
        linear=[False, False, False, True],
        bounds=bounds,
        note=HOSTILE,
        title=HOSTILE,
    )
    points = {(line.get_marker(), tuple(line.get_xdata()), tuple(line.get_ydata())) for line in ax.lines}
    assert ("o", (1.0, 2.0), (5.0, 6.0)) in points
    assert ("o", (3.0,), (9.0,)) in points
    assert ("x", (1.0,), (30.0,)) in points
    assert ("None", (1.5, 3.0), (6.5, 7.0)) in points
    assert_fits_a_column(figure_of(ax))
    assert {"theorem", "deep linear"} <= {text.get_text() for text in ax.figure.legends[0].get_texts()}
    assert image_bytes(figure_of(ax), "png").startswith(b"\x89PNG")
