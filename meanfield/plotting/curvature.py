"""The Fisher information's largest eigenvalue: its bounds side by side, and against the Jacobian."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes

from meanfield.plotting.style import BLACK, BLUE, ORANGE, VERMILION, add_legend, axes_for, label_axes, shown, text_size

__all__ = ["plot_curvature_bounds", "plot_curvature_scatter"]

LAMBDA = r"$\lambda_{\max}$ of the Fisher information"


def plot_curvature_bounds(statistics, bound, *, measured=None, title: str | None = None, ax: Axes | None = None):
    """Karakida's value, both bounds and measured networks on one axis.

    Parameters
    ----------
    statistics : FisherStatistics
    bound : FisherBound
        Its theorem is marked where phi is not odd, as it assumes.
    measured : verify.FisherOutliers, optional
        Drawn as one point a network.
    title : str, optional
        Plain text.
    ax : Axes, optional
        Where to draw; without it, a new Figure, which is ``ax.figure`` of the result.

    Returns
    -------
    Axes
    """
    ax = axes_for(ax, (3.4, 2.4))
    theorem = "theorem" if bound.odd else "theorem, outside\nits assumptions"
    rows = [
        ("Karakida", [statistics.lambda_max], BLUE, "D"),
        (theorem, [bound.paper], ORANGE, ">"),
        ("layerwise bound,\nmean field", [bound.layerwise], BLACK, ">"),
    ]
    if measured is not None:
        rows += [
            ("measured", measured.outliers[:, 0], VERMILION, "o"),
            ("layerwise bound\nof these", measured.layerwise, BLACK, "|"),
        ]
    for place, (_, values, colour, marker) in enumerate(rows):
        ax.plot(values, np.full(len(values), place), linestyle="none", marker=marker, markersize=7, color=colour)
    ax.set_yticks(range(len(rows)), [row[0] for row in rows])
    ax.set_ylim(len(rows) - 0.5, -0.5)
    everything = np.concatenate([np.asarray(row[1]) for row in rows])
    low, high = everything.min(), everything.max()
    if high > 4 * low > 0:
        ax.set_xscale("log")
        ax.set_xlim(low / 1.5, high * 1.5)
    else:
        margin = max(0.2 * (high - low), 0.02 * high)
        ax.set_xlim(low - margin, high + margin)
    ax.grid(axis="x", color="#dddddd", linewidth=0.6)
    label_axes(ax, LAMBDA, "", title)
    return ax


def plot_curvature_scatter(
    sigma_max_squared,
    lambda_max,
    *,
    q_star,
    linear,
    bounds: Sequence[Mapping[str, float]] = (),
    note: str | None = None,
    title: str | None = None,
    ax: Axes | None = None,
):
    """One point a network: the Fisher information's largest eigenvalue against the Jacobian's.

    Parameters
    ----------
    sigma_max_squared, lambda_max : array (n,)
    q_star : array (n,)
        Tells the colour.
    linear : array (n,) of bool
        Deep linear networks, drawn as crosses.
    bounds : sequence of mapping, optional
        One a q_star, with sigma_max_squared, paper and layerwise: the bounds there, joined by lines.
    note : str, optional
        A line of plain text below the title, such as the correlation.
    title : str, optional
        Plain text.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ours = ax is None
    ax = axes_for(ax, (3.4, 3.6))
    x, y, q, is_linear = (np.asarray(each) for each in (sigma_max_squared, lambda_max, q_star, linear))
    values = np.unique(q)
    colours = colormaps["viridis"](np.linspace(0.0, 0.9, len(values)))
    for value, colour in zip(values, colours, strict=True):
        nonlinear = (q == value) & ~is_linear
        ax.plot(x[nonlinear], y[nonlinear], "o", color=colour, markersize=5, label=f"$q^*$ = {value:.3g}")
        crosses = (q == value) & is_linear
        ax.plot(x[crosses], y[crosses], "x", color=colour, markersize=6)
    if is_linear.any():
        ax.plot([], [], "x", color=BLACK, label="deep linear")
    ordered = sorted(bounds, key=lambda point: point["sigma_max_squared"])
    for name, style, label in (("paper", ":", "theorem"), ("layerwise", "--", "layerwise bound, mean field")):
        if ordered:
            across = [point["sigma_max_squared"] for point in ordered]
            ax.plot(across, [point[name] for point in ordered], style, color=BLACK, linewidth=1.2, label=label)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.grid(color="#dddddd", linewidth=0.6)
    label_axes(ax, r"$\sigma_{\max}^2$ of the Jacobian, mean over inputs", LAMBDA, title)
    if note:
        lines = f"{ax.get_title(loc='left')}\n{shown(note)}".strip()
        ax.set_title(lines, parse_math=False, loc="left", fontsize=text_size(ax))
    add_legend(ax, ax.get_legend_handles_labels()[0], outside=ours)
    return ax
