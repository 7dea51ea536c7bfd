"""Phase diagrams and the critical line."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap, LogNorm, Normalize
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke

from meanfield.arguments import choice
from meanfield.plotting.style import (
    BLACK,
    GREY,
    SYMBOLS,
    add_colour_bar,
    add_legend,
    axes_for,
    cell_edges,
    extent,
    label_axes,
    mark_empty,
    plane,
    text_size,
)

__all__ = ["PHASE_COLOURS", "plot_critical_line", "plot_phase_diagram"]

PHASE_COLOURS = {
    "ordered": "#deebf7",
    "critical": BLACK,
    "chaotic": "#f5c77e",
    "unbounded": GREY,
    "": "#ffffff",
}
FIELDS = ("phase", "q_star", "alpha", "chi_1", "c_star", "chi_c", "xi_q", "xi_c", "xi_gradient", "n_fixed_points")
LOGARITHMIC = ("q_star", "xi_q", "xi_c", "xi_gradient", "chi_1")
HATCH = "////"
LABEL_LENGTH = 0.3  # of an axis, that a word takes


def plot_phase_diagram(
    diagram,
    *,
    field: str = "phase",
    line=None,
    axes: str = "deviation",
    title: str | None = None,
    ax: Axes | None = None,
):
    """The phases of a PhaseDiagram as labelled regions, or one of its numbers as colours.

    Parameters
    ----------
    diagram : PhaseDiagram
    field : str
        "phase", or a numeric field such as "xi_c"; of xi_gradient, which is negative in the chaotic phase, the size.
    line : CriticalLine, optional
        Drawn on top: solid where its points attract, dashed where they repel.
    axes : "deviation" or "variance"
        sigma_w and sigma_b, or their squares, as papers have it.
    title : str, optional
        Plain text.
    ax : Axes, optional
        Where to draw; without it, a new Figure of one column's width, which is ``ax.figure`` of the result.

    Returns
    -------
    Axes

    Raises
    ------
    InvalidParameterError
        Unknown field or axes.

    Notes
    -----
    Hatched is where the length map has several fixed points, so that q0 decides; a q = 0 that repels, which
    sigma_b = 0 often adds, does not count.
    """
    choice("field", field, FIELDS)
    x_of, y_of, x_label, y_label = plane(axes)
    ours = ax is None
    ax = axes_for(ax, (3.4, 2.9))
    x, y = x_of(diagram.sigma_w), y_of(diagram.sigma_b)
    handles = _draw_phases(ax, diagram, x, y) if field == "phase" else _draw_number(ax, diagram, x, y, field)
    ax.set_xlim(extent(x))
    ax.set_ylim(extent(y))
    unnamed = _label_phases(ax, diagram, x, y)
    if field == "phase":
        handles += [Patch(facecolor=PHASE_COLOURS[name], label=name) for name in unnamed]
    handles += _hatch(ax, diagram, x, y)
    if line is not None:
        window = extent(x), extent(y)
        handles += _draw_line(ax, x_of(line.sigma_w), y_of(line.sigma_b), line.stable, window=window)
    label_axes(ax, x_label, y_label, title)
    add_legend(ax, handles, outside=ours)
    return ax


def plot_critical_line(line, *, axes: str = "deviation", title: str | None = None, ax: Axes | None = None):
    """A CriticalLine in the plane: solid where its points attract, dashed where they repel.

    Parameters
    ----------
    line : CriticalLine
    axes : "deviation" or "variance"
    title : str, optional
        Plain text.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    x_of, y_of, x_label, y_label = plane(axes)
    ax = axes_for(ax, (3.4, 2.6))
    handles = _draw_line(ax, x_of(line.sigma_w), y_of(line.sigma_b), line.stable)
    ax.margins(0.05)
    ax.grid(color="#dddddd", linewidth=0.6)
    label_axes(ax, x_label, y_label, title)
    if handles:
        ax.legend(handles=handles, frameon=False, fontsize=text_size(ax))
    else:
        ax.text(0.5, 0.5, "no critical point in this range", transform=ax.transAxes, ha="center", va="center")
    return ax


def _draw_phases(ax: Axes, diagram, x: np.ndarray, y: np.ndarray) -> list:
    phase = np.asarray(diagram.phase)
    names = list(PHASE_COLOURS)
    index = np.full(phase.shape, names.index(""))
    for code, name in enumerate(names):
        index[phase == name] = code
    # A thin critical set has no area worth a colour of its own: its cells belong to the line.
    colours = ListedColormap(list(PHASE_COLOURS.values()))
    ax.pcolormesh(cell_edges(x), cell_edges(y), index, cmap=colours, vmin=-0.5, vmax=len(names) - 0.5, rasterized=True)
    return []


def _draw_number(ax: Axes, diagram, x: np.ndarray, y: np.ndarray, field: str) -> list:
    values = np.asarray(getattr(diagram, field), dtype=float)
    label = SYMBOLS[field]
    if field == "xi_gradient":
        values, label = np.abs(values), r"$|\xi_\nabla|$"
    if field.startswith("xi_"):
        label += " (layers)"
    shown = np.ma.masked_invalid(values)
    if field in LOGARITHMIC:
        shown = np.ma.masked_less_equal(shown, 0.0)
    norm, ticks = _scale(shown, field)
    mesh = ax.pcolormesh(cell_edges(x), cell_edges(y), shown, cmap="cividis", norm=norm, rasterized=True)
    add_colour_bar(ax, mesh, label, ticks=ticks)
    return [mark_empty(ax)] if np.ma.getmaskarray(shown).any() else []


def _scale(shown: np.ma.MaskedArray, field: str) -> tuple[Normalize | None, list[int] | None]:
    """Logarithmic for depths and lengths, steps for counts, linear for the rest; and the ticks if they matter."""
    if shown.count() == 0:
        return None, None
    if field == "n_fixed_points":
        counts = list(range(int(shown.min()), int(shown.max()) + 1))
        return BoundaryNorm(np.arange(counts[0] - 0.5, counts[-1] + 1), 256), counts
    return (LogNorm() if field in LOGARITHMIC else None), None


def _label_phases(ax: Axes, diagram, x: np.ndarray, y: np.ndarray) -> list[str]:
    """Names phases where they are; returns those that have no room for their names."""
    phase = np.asarray(diagram.phase)
    unnamed = []
    for name in ("ordered", "chaotic", "unbounded"):
        inside = phase == name
        if not inside.any():
            continue
        rotation = None
        if place := _deepest(inside):
            row, column = place
            if _extent(inside[row], column, x) >= LABEL_LENGTH:
                rotation = 0
            elif _extent(inside[:, column], row, y) >= LABEL_LENGTH:
                rotation = 90
        if place is None or rotation is None:
            unnamed.append(name)
            continue
        label = ax.text(
            x[place[1]],
            y[place[0]],
            name,
            ha="center",
            va="center",
            rotation=rotation,
            color=BLACK,
            fontsize=text_size(ax) + 1,
        )
        label.set_path_effects([withStroke(linewidth=2.5, foreground="white")])
    return unnamed


def _deepest(region: np.ndarray) -> tuple[int, int] | None:
    """The cell of a region that erosion leaves last: a good place for its label; None if the region is a sliver."""
    left = region
    depth = 0
    while True:
        # Beyond the frame nothing belongs to the region: labels stay inside.
        padded = np.pad(left, 1)
        inner = padded[1:-1, 1:-1] & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
        if not inner.any():
            break
        left, depth = inner, depth + 1
    if depth < 2:
        return None
    rows, columns = np.nonzero(left)
    nearest = np.argmin((rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2)
    return int(rows[nearest]), int(columns[nearest])


def _extent(inside: np.ndarray, place: int, coordinates: np.ndarray) -> float:
    """The part of the axis that the run of `inside` around `place` takes, when centred there."""
    outside = np.flatnonzero(~inside)
    low = outside[outside < place].max(initial=0)
    high = outside[outside > place].min(initial=inside.size - 1)
    centre = coordinates[place]
    return 2 * min(centre - coordinates[low], coordinates[high] - centre) / np.ptp(coordinates)


def _hatch(ax: Axes, diagram, x: np.ndarray, y: np.ndarray) -> list:
    count = np.asarray(diagram.n_fixed_points)
    # At sigma_b = 0, q = 0 is among two fixed points; if another is reached, q = 0 repels.
    repelling = (diagram.sigma_b == 0)[:, None] & (count == 2) & (np.asarray(diagram.q_star) > 0)
    several = (count > 1) & ~repelling
    if not several.any() or min(several.shape) < 2:
        return []
    ax.contourf(x, y, several.astype(float), levels=[0.5, 1.5], colors="none", hatches=[HATCH])
    return [Patch(facecolor="white", edgecolor=BLACK, hatch=HATCH, label="several $q^*$")]


def _draw_line(ax: Axes, x: np.ndarray, y: np.ndarray, stable, *, window=None) -> list:
    """Draws the line and returns the handles of what is seen of it in a window (x0, x1), (y0, y1), or anywhere."""
    x, y, attracts = np.atleast_1d(x), np.atleast_1d(y), np.atleast_1d(stable).astype(bool)
    exists = np.isfinite(x)
    seen = exists
    if window is not None:
        seen = exists & np.logical_and(*(_within(values, *ends) for values, ends in zip((x, y), window, strict=True)))
    # An isolated point, as the ReLU family has, would be an invisible line.
    around = np.pad(exists, 1)
    isolated = exists & ~around[:-2] & ~around[2:]
    if exists.any() and np.ptp(x[exists]) + np.ptp(y[exists]) <= 1e-9:
        isolated = np.arange(x.size) == np.argmax(exists)
        exists = isolated
    # The piece between a point that attracts and one that repels is drawn with the latter.
    repels = np.pad(exists & ~attracts, 1)
    beside = exists & (repels[1:-1] | repels[:-2] | repels[2:])
    look = {"color": BLACK, "linewidth": 1.5}
    parts: tuple[tuple[np.ndarray, str, dict[str, Any]], ...] = (
        (exists & attracts & ~isolated, "critical", {"linestyle": "-"}),
        (beside & ~isolated, "critical, repelling", {"linestyle": "--"}),
        (isolated & seen, "critical point", {"linestyle": "none", "marker": "o", "clip_on": False}),
    )
    handles: list = []
    for part, label, style in parts:
        if part.any():
            style = look | style
            (drawn,) = ax.plot(np.where(part, x, np.nan), np.where(part, y, np.nan), label=label, **style)
            drawn.set_path_effects([withStroke(linewidth=3.0, foreground="white")])
        if (part & seen).any():
            handles.append(Line2D([], [], label=label, **style))
    return handles


def _within(values: np.ndarray, low: float, high: float) -> np.ndarray:
    slack = 1e-9 * (high - low)
    return (values >= low - slack) & (values <= high + slack)
