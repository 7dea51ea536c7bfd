"""The largest eigenvalue of J J^T over depth and q_star."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.patheffects import AbstractPathEffect, withStroke
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from scipy.interpolate import RegularGridInterpolator

from meanfield.plotting.style import BLACK, SYMBOLS, add_colour_bar, axes_for, label_axes, mark_empty, text_size

__all__ = ["plot_lambda_max"]

# Labels of contours keep this share of the picture away from its frame.
MARGIN = 0.05
FINE = 150  # points of a finer grid along each axis
DEPTH_TICKS = 7


def plot_lambda_max(depth, q_star, lambda_max, *, title: str | None = None, ax: Axes | None = None):
    """The largest eigenvalue of J J^T as colours, with contours at round values.

    Parameters
    ----------
    depth : array (m,)
    q_star : array (n,)
    lambda_max : array (n, m)
        nan where there is none.
    title : str, optional
        Plain text.
    ax : Axes, optional
        Where to draw; without it, a new Figure, which is ``ax.figure`` of the result.

    Returns
    -------
    Axes
    """
    ax = axes_for(ax, (3.4, 2.9))
    values = np.ma.masked_invalid(np.asarray(lambda_max, dtype=np.float64))
    known = values.compressed()
    if not known.size:
        label_axes(ax, "depth $L$", SYMBOLS["q_star"], title)
        ax.set(xticks=[], yticks=[])
        ax.text(0.5, 0.5, "no critical point in this range", transform=ax.transAxes, ha="center", va="center")
        return ax
    ends = (known.min(), known.max())
    norm = LogNorm(ends[0] / 1.001, ends[1] * 1.001)
    # Colours between the points, where all of them have a value.
    shading = "gouraud" if min(values.shape) > 1 and not np.ma.is_masked(values) else "nearest"
    mesh = ax.pcolormesh(depth, q_star, values, cmap="cividis", norm=norm, shading=shading)
    mark_empty(ax)
    bar = add_colour_bar(ax, mesh, r"largest eigenvalue $\lambda_{\max}$ of $JJ^T$")
    ax.set_xscale("log")
    ax.set_yscale("log")
    depths = np.unique(depth)
    ax.xaxis.set_major_locator(FixedLocator(depths[:: math.ceil(len(depths) / DEPTH_TICKS)].tolist()))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda depth, _: f"{depth:g}"))
    levels = _round_values(*ends)
    if levels and min(values.shape) > 1:
        lines = ax.contour(*_finer(depth, q_star, values), levels=levels, colors="white", linewidths=1.0)
        # White with a dark rim is seen on both ends of the colours.
        rim: list[AbstractPathEffect] = [withStroke(linewidth=2.2, foreground=BLACK)]
        lines.set(path_effects=rim)
        places = _label_places(lines.get_paths(), depth, q_star)
        for text in ax.clabel(lines, fmt="%g", fontsize=text_size(ax) - 1, manual=places):
            text.set_path_effects(rim)
        bar.ax.hlines(levels, 0, 1, transform=bar.ax.get_yaxis_transform(), color="white", linewidth=1.0)
    label_axes(ax, "depth $L$", SYMBOLS["q_star"], title)
    return ax


def _finer(depth, q_star, values: np.ma.MaskedArray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A finer grid: on it contours are right, which are straight between points, and all axes are logarithmic."""
    axes = np.log(np.asarray(q_star, dtype=np.float64)), np.log(np.asarray(depth, dtype=np.float64))
    fine = [np.linspace(each[0], each[-1], FINE) for each in axes]
    known = RegularGridInterpolator(axes, np.log(values.filled(np.nan)))
    return np.exp(fine[1]), np.exp(fine[0]), np.exp(known(tuple(np.meshgrid(*fine, indexing="ij"))))


def _label_places(paths, depth, q_star) -> list[tuple[float, float]]:
    """On every contour the place nearest to its middle that is not too near to the frame for its label."""
    corners = np.log([[np.min(depth), np.min(q_star)], [np.max(depth), np.max(q_star)]])
    places = []
    for path in paths:
        if len(path.vertices) < 2:
            continue
        points = (np.log(path.vertices) - corners[0]) / (corners[1] - corners[0])
        travelled = np.append(0.0, np.cumsum(np.hypot(*np.diff(points, axis=0).T)))
        inside = np.flatnonzero(np.all((points > MARGIN) & (points < 1 - MARGIN), axis=1))
        if inside.size:
            place = inside[np.argmin(np.abs(travelled[inside] - travelled[-1] / 2))]
            places.append(tuple(path.vertices[place]))
    return places


def _round_values(low: float, high: float) -> list[float]:
    """1.1, 1.5, 2, 5, 10, 20, ... strictly between the two."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    values = {1.1, 1.5} | {factor * 10.0**decade for decade in decades for factor in (1.0, 2.0, 5.0)}
    return sorted(value for value in values if low < value < high)
