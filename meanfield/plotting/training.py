"""Figures of training: one run, and the four of an experiment on manifolds."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter, MaxNLocator

from meanfield.arguments import choice
from meanfield.plotting.style import (
    BLACK,
    BLUE,
    ORANGE,
    VERMILION,
    add_legend,
    axes_for,
    figure_of,
    label_axes,
    shown,
    text_size,
)

__all__ = [
    "experiment_figures",
    "plot_conditioning",
    "plot_course",
    "plot_curvature_at_start",
    "training_figure",
]

GRID = "#dddddd"
LARGEST = 1e100  # of what is drawn: the margins of a logarithmic axis overflow beyond
ALL = 1.99  # of the two that correlations have room in
MARKERS = {"euclidean": "o", "stiefel": "s", "oblique": "^", "linear": "x"}
QUANTITIES = {
    "train_loss": "training loss",
    "test_accuracy": "test accuracy",
    "lambda_max": r"$\lambda_{\max}$ of the Fisher information",
    "condition_number": "condition number",
    "sigma_max_jacobian": r"$\sigma_{\max}$ of the Jacobian",
    "orthogonality_defect": r"$\max|M^\top M - 1|$",
}


def training_figure(record, *, title: str | None = None) -> Figure:
    """A Figure of one TrainingRecord: loss and accuracy, curvature, Jacobian and orthogonality by epoch.

    Its title is plain text; without one, it tells the nonlinearity, the manifold, q_star, size and data.
    """
    figure = Figure(figsize=(8.4, 5.6), layout="constrained")
    panels = figure.subplots(2, 3, sharex=True)
    for number, (ax, (name, label)) in enumerate(zip(panels.flat, QUANTITIES.items(), strict=True)):
        values = np.asarray(getattr(record, name))
        known = np.isfinite(values)
        ax.plot(np.asarray(record.epochs)[known], values[known], color=BLUE, marker=".")
        if name != "test_accuracy" and (values[known] > 0).all():
            ax.set_yscale("log")
            if name == "orthogonality_defect" and known.any():
                # A course of rounding errors is level: a decade around it keeps its last digits small.
                ax.set_ylim(values[known].min() / 10, values[known].max() * 10)
        _by_epoch(ax)
        label_axes(ax, "epoch" if number > 2 else "", label, None)
    line = shown(title if title is not None else _settings(record.config), 120)
    figure.suptitle(line, x=0.01, ha="left", fontsize=text_size(panels[0, 0]) + 1, parse_math=False)
    return figure


def _settings(config: Mapping[str, Any]) -> str:
    size = f"{config['depth']} x {config['width']}"
    return (
        f"{shown(config['phi'], 40)}, {config['manifold']}, q_star = {config['q_star']:.4g}, {size} on {config['data']}"
    )


def _by_epoch(ax: Axes) -> None:
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(color=GRID, linewidth=0.6)


def plot_course(tables, column: str, group: str, *, title: str | None = None, ax: Axes | None = None) -> Axes:
    """A quantity of one group by epoch: for every q_star the geometric mean over seeds, and the range.

    Parameters
    ----------
    tables : verify's Tables of an experiment
    column : str
        Such as "train_loss" or "lambda_max".
    group : str
    title : str, optional
        Plain text.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    choice("column", column, QUANTITIES)
    choice("group", group, sorted(set(tables.courses["group"].tolist())))
    ax = axes_for(ax, (4.2, 3.4))
    table = tables.courses
    for q, colour in _colours(table["q_star"]).items():
        drawn = (table[column] > 1 / LARGEST) & (table[column] < LARGEST)
        rows = (table["group"] == group) & (table["q_star"] == q) & drawn
        epochs = np.unique(table["epoch"][rows])
        columns = [table[column][rows & (table["epoch"] == epoch)] for epoch in epochs]
        middle = [np.exp(np.mean(np.log(values))) for values in columns]
        ax.fill_between(
            epochs, [values.min() for values in columns], [values.max() for values in columns],
            color=colour, alpha=0.2, linewidth=0,
        )  # fmt: skip
        ax.plot(epochs, middle, color=colour, marker="." if len(epochs) < 15 else None, label=f"$q^*$ = {q:g}")
    ax.set_yscale("log")
    _by_epoch(ax)
    label_axes(ax, "epoch", QUANTITIES[column], title if title is not None else group)
    return ax


def plot_curvature_at_start(tables, *, title: str | None = None, ax: Axes | None = None) -> Axes:
    """lambda_max of the Fisher information against sigma_max^2 of the Jacobian, one point a network at the start."""
    own, ax = ax is None, axes_for(ax, (5.4, 4.4))
    runs = tables.runs
    handles = []
    # The tanh groups start alike, seed by seed.
    for group, name in (("euclidean", "tanh"), ("linear", "linear")):
        for q, colour in _colours(runs["q_star"]).items():
            rows = (runs["group"] == group) & (runs["q_star"] == q)
            if rows.any():
                handles += ax.plot(
                    runs["sigma_max_jacobian_start"][rows] ** 2, runs["lambda_max_start"][rows],
                    linestyle="none", marker=MARKERS[group], color=colour, label=f"{name}, $q^*$ = {q:g}",
                )  # fmt: skip
    _logarithmic(ax)
    label_axes(ax, r"$\sigma_{\max}^2$ of the Jacobian", QUANTITIES["lambda_max"], title)
    add_legend(ax, handles, outside=own)
    return ax


def plot_conditioning(tables, *, title: str | None = None, ax: Axes | None = None) -> Axes:
    """Epochs to the goal against the condition number at the start, one point a network; never: at the upper edge."""
    own, ax = ax is None, axes_for(ax, (5.4, 4.4))
    runs = tables.runs
    longest = tables.courses["epoch"].max()
    edge = 1.3 * longest
    colours = _colours(runs["q_star"])
    groups = [group for group in MARKERS if (runs["group"] == group).any()]
    arrived = np.isfinite(runs["epochs_to_goal"])
    for group in groups:
        for q, colour in colours.items():
            place = (runs["group"] == group) & (runs["q_star"] == q)
            for rows, face in ((place & arrived, colour), (place & ~arrived, "none")):
                times = np.where(arrived, runs["epochs_to_goal"], edge)[rows]
                ax.plot(
                    runs["condition_number_start"][rows], times,
                    linestyle="none", marker=MARKERS[group], color=colour, markerfacecolor=face,
                )  # fmt: skip
    ax.axhline(edge / 1.15, color=BLACK, linewidth=0.8, linestyle=":")
    ax.annotate(
        f"not within {longest:g} epochs", (0.01, edge / 1.15), xycoords=("axes fraction", "data"), xytext=(0, 3),
        textcoords="offset points", fontsize="small",
    )  # fmt: skip
    handles = [ax.plot([], [], linestyle="none", marker=MARKERS[g], color=BLACK, label=g)[0] for g in groups]
    handles += [ax.plot([], [], color=colour, label=f"$q^*$ = {q:g}")[0] for q, colour in colours.items()]
    _logarithmic(ax)
    ax.yaxis.set_major_formatter(LogFormatter())
    ax.yaxis.set_minor_formatter(LogFormatter())
    goal = runs["goal"][0]
    label_axes(ax, "condition number of the Fisher information at the start", f"epochs to a loss of {goal:g}", title)
    add_legend(ax, handles, outside=own)
    return ax


def experiment_figures(experiment) -> dict[str, Figure]:
    """The four figures of an Experiment by name: learning, start, curvature, conditioning."""
    tables, claims = experiment.tables, {claim.name: claim for claim in experiment.claims}
    correlation = _found("correlation", claims.get("curvature follows the Jacobian"))
    ranks = _found("rank correlation", claims.get("conditioning does not predict speed"))
    curvature = _course_figure(tables, "lambda_max")
    right = curvature.axes[-1].secondary_yaxis("right", functions=(_stable_rate, _stable_rate))
    right.set_ylabel(r"$2/\lambda_{\max}$, limit of gradient descent")
    return {
        "learning": _course_figure(tables, "train_loss"),
        "start": figure_of(plot_curvature_at_start(tables, title=correlation)),
        "curvature": curvature,
        "conditioning": figure_of(plot_conditioning(tables, title=ranks)),
    }


def _course_figure(tables, column: str) -> Figure:
    groups = [group for group in MARKERS if (tables.courses["group"] == group).any()]
    figure = Figure(figsize=(2.6 * len(groups) + 1.2, 3.6), layout="constrained")
    panels: Any = figure.subplots(1, len(groups), sharey=True, squeeze=False)
    for number, (ax, group) in enumerate(zip(panels[0], groups, strict=True)):
        plot_course(tables, column, group, ax=ax)
        if number:
            ax.set_ylabel("")
    add_legend(panels[0][0], panels[0][0].lines, outside=True)
    return figure


def _logarithmic(ax: Axes) -> None:
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.grid(color=GRID, linewidth=0.6)


def _stable_rate(curvature):
    """2/lambda_max, its own inverse."""
    return 2 / np.maximum(curvature, 1e-300)


def _found(what: str, claim) -> str | None:
    """None if there is no interval, or one that leaves all of [-1, 1] open."""
    if claim is None or not claim.high - claim.low < ALL:
        return None
    return f"{what} {claim.mean:.2f} (95 %: {claim.low:.2f} to {claim.high:.2f})"


def _colours(lengths: np.ndarray) -> Mapping[float, str]:
    """A colour for each q_star, in order."""
    known = np.unique(lengths).tolist()
    scale = [BLUE, "#56b4e9", ORANGE, VERMILION]
    if len(known) > len(scale):
        scale = [to_hex(colormaps["viridis"](k / (len(known) - 1))) for k in range(len(known))]
    return dict(zip(known, scale[: len(known)], strict=True))
