"""Figures of training: they show what the tables hold."""

from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.figure import Figure

import verify
from meanfield.errors import InvalidParameterError
from meanfield.plotting import (
    experiment_figures,
    image_bytes,
    plot_conditioning,
    plot_course,
    plot_curvature_at_start,
    training_figure,
)

HOSTILE = "<img src=x onerror=alert(1)>$x_{[bold]../.."
GROUPS, LENGTHS, EPOCHS = ("euclidean", "stiefel", "linear"), (0.01, 0.5), (0, 1, 5)


@pytest.fixture(scope="module")
def tables():
    rng = np.random.default_rng(0)
    runs, courses = [], []
    for group in GROUPS:
        for q in LENGTHS:
            for seed in range(3):
                never = group == "stiefel" and q == 0.5
                runs.append(
                    {
                        "group": group, "q_star": q, "seed": seed, "goal": 0.1,
                        "epochs_to_goal": np.inf if never else rng.uniform(1, 5),
                        "condition_number_start": rng.uniform(1e3, 1e6), "lambda_max_start": rng.uniform(1, 9),
                        "sigma_max_jacobian_start": rng.uniform(1, 3),
                    }
                )  # fmt: skip
                courses += [
                    {
                        "group": group, "q_star": q, "seed": seed, "epoch": epoch, "train_loss": rng.uniform(0.1, 2),
                        "lambda_max": np.nan if epoch == 1 else rng.uniform(1, 9),
                    }
                    for epoch in EPOCHS
                ]  # fmt: skip

    def table(rows):
        return {name: np.array([row[name] for row in rows]) for name in rows[0]}

    return SimpleNamespace(runs=table(runs), courses=table(courses))


def test_a_course_is_the_geometric_mean_over_seeds(tables):
    ax = plot_course(tables, "train_loss", "stiefel")
    table = tables.courses
    for line, q in zip(ax.lines, LENGTHS, strict=True):
        assert line.get_xdata().tolist() == list(EPOCHS)
        rows = (table["group"] == "stiefel") & (table["q_star"] == q) & (table["epoch"] == 5)
        assert line.get_ydata()[-1] == pytest.approx(np.exp(np.log(table["train_loss"][rows]).mean()))
        assert f"{q:g}" in line.get_label()


def test_a_course_leaves_out_what_was_not_measured(tables):
    ax = plot_course(tables, "lambda_max", "linear", title=HOSTILE)
    assert ax.lines[0].get_xdata().tolist() == [0, 5]
    assert ax.get_title(loc="left").replace("\n", "") == HOSTILE


def test_zeros_and_what_nearly_overflows_have_no_place_on_a_logarithmic_axis(tables):
    values = tables.courses["lambda_max"].copy()
    values[tables.courses["epoch"] == 0] = 0.0
    values[0] = 1e300
    extreme = SimpleNamespace(courses={**tables.courses, "lambda_max": values})
    ax = plot_course(extreme, "lambda_max", "euclidean")
    ax.figure.canvas.draw()
    assert ax.lines[0].get_xdata().tolist() == [5]


def test_the_start_has_a_point_for_every_distinct_network(tables):
    ax = plot_curvature_at_start(tables)
    assert sum(len(line.get_xdata()) for line in ax.lines) == 2 * 2 * 3
    points = np.concatenate([line.get_ydata() for line in ax.lines])
    shown = np.isin(tables.runs["group"], ["euclidean", "linear"])
    assert np.array_equal(np.sort(points), np.sort(tables.runs["lambda_max_start"][shown]))
    first = ax.lines[0].get_xdata()
    assert np.allclose(first, tables.runs["sigma_max_jacobian_start"][:3] ** 2)


def test_networks_that_never_arrive_are_hollow_and_above_the_rest(tables):
    ax = plot_conditioning(tables)
    points = [line for line in ax.lines if line.get_linestyle() == "None" and len(line.get_xdata())]
    hollow = [line for line in points if line.get_markerfacecolor() == "none"]
    assert sum(len(line.get_xdata()) for line in points) == 18
    assert [len(line.get_xdata()) for line in hollow] == [3]
    assert [text.get_text() for text in ax.texts] == [f"not within {max(EPOCHS)} epochs"]
    assert hollow[0].get_ydata().min() > max(line.get_ydata().max() for line in points if line not in hollow)


def test_they_draw_where_they_are_told(tables):
    for draw in (
        lambda ax: plot_course(tables, "train_loss", "linear", ax=ax),
        lambda ax: plot_curvature_at_start(tables, ax=ax),
        lambda ax: plot_conditioning(tables, ax=ax),
    ):
        ax = Figure().add_subplot()
        assert draw(ax) is ax


def test_unknown_columns_and_groups_are_refused(tables):
    with pytest.raises(InvalidParameterError, match="column must be one of"):
        plot_course(tables, "colour", "linear")
    with pytest.raises(InvalidParameterError, match="group must be one of"):
        plot_course(tables, "train_loss", "sphere")


def test_the_four_figures(tables):
    claim = SimpleNamespace(name="conditioning does not predict speed", mean=0.1, low=-0.2, high=0.4)
    figures = experiment_figures(SimpleNamespace(tables=tables, claims=(claim,)))
    assert list(figures) == ["learning", "start", "curvature", "conditioning"]
    assert [ax.get_title(loc="left") for ax in figures["learning"].axes] == list(GROUPS)
    assert figures["conditioning"].axes[0].get_title(loc="left") == "rank correlation 0.10 (95 %: -0.20 to 0.40)"
    for figure in figures.values():
        figure.draw_without_rendering()


def test_the_rate_limit_is_beside_the_curvature(tables):
    figure = experiment_figures(SimpleNamespace(tables=tables, claims=()))["curvature"]
    figure.draw_without_rendering()
    (right,) = figure.axes[-1].child_axes
    low, high = figure.axes[-1].get_ylim()
    assert np.allclose(sorted(right.get_ylim()), sorted([2 / low, 2 / high]))


def test_many_lengths_have_colours_of_their_own(tables):
    courses = {name: np.tile(column, 4) for name, column in tables.courses.items()}
    courses["q_star"] = np.repeat(np.arange(1.0, 9.0), len(courses["epoch"]) // 8)
    ax = plot_course(SimpleNamespace(courses=courses), "train_loss", "stiefel")
    assert len({line.get_color() for line in ax.lines}) == len(ax.lines) >= 5


def test_one_run(tables):
    names = ("train_loss", "test_accuracy", "lambda_max", "condition_number", "sigma_max_jacobian")
    record = SimpleNamespace(epochs=np.array(EPOCHS), **{name: np.array([1.0, np.nan, 2.0]) for name in names})
    record.orthogonality_defect = np.array([0.0, 0.0, 0.0])
    figure = training_figure(record, title=HOSTILE)
    assert len(figure.axes) == 6
    assert figure.axes[2].lines[0].get_xdata().tolist() == [0, 5]
    assert figure.get_suptitle() == HOSTILE
    assert image_bytes(figure, "png").startswith(b"\x89PNG")


def test_a_run_is_named_and_rounding_stays_small():
    config = verify.TrainingConfig(data="teacher", depth=2, width=12, epochs=2, fisher_samples=6, jacobian_samples=2)
    record = verify.train(config)
    figure = training_figure(record)
    assert figure.get_suptitle() == "tanh, stiefel, q_star = 0.01562, 2 x 12 on teacher"
    figure.draw_without_rendering()
    low, high = figure.axes[5].get_ylim()
    assert low <= record.orthogonality_defect.min() / 9
    assert high >= record.orthogonality_defect.max() * 9
    for ax in figure.axes:
        assert all(tick == round(tick) for tick in ax.get_xticks())


@pytest.mark.parametrize(("mean", "low", "high"), [(np.nan, np.nan, np.nan), (1.0, -0.99999, 1.0)])
def test_no_number_without_an_interval(tables, mean, low, high):
    claim = SimpleNamespace(name="curvature follows the Jacobian", mean=mean, low=low, high=high)
    figure = experiment_figures(SimpleNamespace(tables=tables, claims=(claim,)))["start"]
    assert figure.axes[0].get_title(loc="left") == ""
