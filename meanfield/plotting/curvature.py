"""The Fisher information's largest eigenvalue: its bounds side by side, and against the Jacobian."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter

from meanfield.plotting.style import BLACK, BLUE, ORANGE, VERMILION, add_legend, axes_for, label_axes, shown, text_size

__all__ = ["plot_curvature_bounds", "plot_curvature_scatter"]

NARROW = 4  # ratio of the ends of an axis, up to which it is linear
LAMBDA = r"$\lambda_{\max}$ of the Fisher information"


def plot_curvature_bounds(
    statistics, bound, *, measured=None, note: str | None = None, title: str | None = None, ax: Axes | None = None
):
    """Karakida's value, both bounds and measured networks on one axis.

    Parameters
    ----------
    statistics : FisherStatistics
    bound : FisherBound or None
        Its theorem is marked where phi is not odd, as it assumes; None where there is no bound.
    measured : verify.FisherOutliers, optional
        Drawn as one point a network.
    note : str, optional
        A line of plain text below the title, such as the point.
    title : str, optional
        Plain text.
    ax : Axes, optional
        Where to draw; without it, a new Figure, which is ``ax.figure`` of the result.

    Returns
    -------
    Axes
    """
    ax = axes_for(ax, (3.4, 2.4))
    rows = [("Karakida", [statistics.lambda_max], BLUE, "D")]
    if bound is not None:
        rows += [
            (_theorem(odd=bound.odd, gap="\n"), [bound.paper], ORANGE, ">"),
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
    _logarithmic(ax, "x", [low, high])
    if ax.get_xscale() == "log":
        ax.set_xlim(low / 1.5, high * 1.5)
    else:
        margin = max(0.2 * (high - low), 0.02 * high)
        ax.set_xlim(low - margin, high + margin)
    ax.grid(axis="x", color="#dddddd", linewidth=0.6)
    label_axes(ax, LAMBDA, "", title)
    _add_note(ax, note)
    return ax


def _logarithmic(ax: Axes, axis: str, values: Sequence[float]) -> None:
    """A logarithmic axis, if the values spread; on one of few decades, numbers at 2 and 5 too."""
    low, high = min(values), max(values)
    if not high > NARROW * low > 0:
        return
    ax.set(**{f"{axis}scale": "log"})
    drawn = ax.xaxis if axis == "x" else ax.yaxis
    if high < 100 * low:
        drawn.set_major_locator(LogLocator(subs=(1, 2, 5)))
        drawn.set_major_formatter("{x:g}")
    drawn.set_minor_formatter(NullFormatter())


def _theorem(*, odd: bool, gap: str = " ") -> str:
    return "theorem" if odd else f"theorem, outside{gap}its assumptions"


def _add_note(ax: Axes, note: str | None) -> None:
    if note:
        lines = f"{ax.get_title(loc='left')}\n{shown(note)}".strip()
        ax.set_title(lines, parse_math=False, loc="left", fontsize=text_size(ax))


def plot_curvature_scatter(
    sigma_max_squared,
    lambda_max,
    *,
    q_star,
    linear,
    bounds: Sequence[Mapping[str, Any]] = (),
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
        One a q_star, with sigma_max_squared, paper and layerwise: the bounds there, joined by lines, nan where there
        are none; `odd` tells whether phi is, as the theorem assumes.
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
    there = [point for point in bounds if np.isfinite(point["layerwise"])]
    ordered = sorted(there, key=lambda point: point["sigma_max_squared"])
    theorem = _theorem(odd=all(point.get("odd", True) for point in ordered))
    for name, style, label in (("paper", ":", theorem), ("layerwise", "--", "layerwise bound, mean field")):
        if ordered:
            across = [point["sigma_max_squared"] for point in ordered]
            ax.plot(across, [point[name] for point in ordered], style, color=BLACK, linewidth=1.2, label=label)
    _logarithmic(ax, "x", [*x, *(point["sigma_max_squared"] for point in ordered)])
    _logarithmic(ax, "y", [*y, *(point[name] for point in ordered for name in ("paper", "layerwise"))])
    ax.grid(color="#dddddd", linewidth=0.6)
    label_axes(ax, r"$\sigma_{\max}^2$ of the Jacobian, mean over inputs", LAMBDA, title)
    _add_note(ax, note)
    add_legend(ax, ax.get_legend_handles_labels()[0], outside=ours)
    return ax
