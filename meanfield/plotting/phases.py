"""Phase diagrams and the critical line."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.patches import Patch

from meanfield.arguments import choice
from meanfield.plotting.style import BLACK, SYMBOLS, axes_for, label_axes

__all__ = ["PHASE_COLOURS", "plot_critical_line", "plot_phase_diagram"]

PHASE_COLOURS = {
    "ordered": "#deebf7",
    "critical": BLACK,
    "chaotic": "#f5c77e",
    "unbounded": "#9a9a9a",
    "": "#ffffff",
}
FIELDS = ("phase", "q_star", "alpha", "chi_1", "c_star", "chi_c", "xi_q", "xi_c", "xi_gradient", "n_fixed_points")
LOGARITHMIC = ("q_star", "xi_q", "xi_c", "xi_gradient", "chi_1")


def plot_phase_diagram(diagram, *, field: str = "phase", line=None, title: str | None = None, ax: Axes | None = None):
    """The phases of a PhaseDiagram as labelled regions, or one of its numbers as colours.

    Parameters
    ----------
    diagram : PhaseDiagram
    field : str
        "phase", or a numeric field such as "xi_c".
    line : CriticalLine, optional
        Drawn on top: solid where its points attract, dashed where they repel.
    title : str, optional
        Plain text.
    ax : Axes, optional
        Where to draw; without it, a new Figure, which is ``ax.figure`` of the result.

    Returns
    -------
    Axes

    Raises
    ------
    InvalidParameterError
        Unknown field.
    """
    choice("field", field, FIELDS)
    ax = axes_for(ax, (6.4, 4.6))
    if field == "phase":
        _draw_phases(ax, diagram)
    else:
        _draw_number(ax, diagram, field)
    ax.set_xlim(diagram.sigma_w.min(), diagram.sigma_w.max())
    ax.set_ylim(diagram.sigma_b.min(), diagram.sigma_b.max())
    if line is not None:
        _draw_line(ax, line)
        if ax.get_legend_handles_labels()[0]:
            ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, frameon=False, fontsize="small")
    label_axes(ax, SYMBOLS["sigma_w"], SYMBOLS["sigma_b"], title)
    return ax


def plot_critical_line(line, *, title: str | None = None, ax: Axes | None = None):
    """A CriticalLine in the (sigma_w, sigma_b) plane: solid where its points attract, dashed where they repel."""
    ax = axes_for(ax, (6.4, 4.2))
    _draw_line(ax, line)
    ax.margins(0.05)
    ax.grid(color="#dddddd", linewidth=0.6)
    label_axes(ax, SYMBOLS["sigma_w"], SYMBOLS["sigma_b"], title)
    if not np.isfinite(line.sigma_w).any():
        ax.text(0.5, 0.5, "no critical point in this range", transform=ax.transAxes, ha="center", va="center")
    else:
        ax.legend(frameon=False)
    return ax


def _draw_phases(ax: Axes, diagram) -> None:
    phase = np.asarray(diagram.phase)
    names = list(PHASE_COLOURS)
    index = np.full(phase.shape, names.index(""))
    for code, name in enumerate(names):
        index[phase == name] = code
    # A thin critical set has no area worth a colour of its own: its cells belong to the line.
    colours = ListedColormap(list(PHASE_COLOURS.values()))
    ax.pcolormesh(
        diagram.sigma_w, diagram.sigma_b, index, cmap=colours, vmin=-0.5, vmax=len(names) - 0.5, shading="nearest"
    )
    for name in ("ordered", "chaotic", "unbounded"):
        place = _deepest(phase == name)
        if place is not None:
            row, column = place
            ax.text(
                diagram.sigma_w[column], diagram.sigma_b[row], name, ha="center", va="center", color=BLACK, fontsize=12
            )


def _deepest(region: np.ndarray) -> tuple[int, int] | None:
    """The cell of a region that erosion leaves last: a good place for its label; None if the region is a sliver."""
    left = region
    depth = 0
    while True:
        padded = np.pad(left, 1)
        # Twice as far sideways as upwards, since a label is wide.
        inner = padded[1:-1, 1:-1] & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
        if not inner.any():
            break
        left, depth = inner, depth + 1
    if depth < 2:
        return None
    rows, columns = np.nonzero(left)
    nearest = np.argmin((rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2)
    return int(rows[nearest]), int(columns[nearest])


def _draw_number(ax: Axes, diagram, field: str) -> None:
    values = np.ma.masked_invalid(np.asarray(getattr(diagram, field), dtype=float))
    positive = field in LOGARITHMIC and values.count() > 0 and values.min() > 0
    mesh = ax.pcolormesh(
        diagram.sigma_w,
        diagram.sigma_b,
        values,
        cmap="cividis",
        norm=LogNorm() if positive else None,
        shading="nearest",
    )
    ax.set_facecolor("#9a9a9a")
    assert ax.figure is not None
    ax.figure.colorbar(mesh, ax=ax, label=SYMBOLS[field])
    if values.mask.any():
        ax.legend(handles=[Patch(color="#9a9a9a", label="none")], loc="upper right", fontsize="small")


def _draw_line(ax: Axes, line) -> None:
    sigma_w, sigma_b = np.atleast_1d(line.sigma_w), np.atleast_1d(line.sigma_b)
    stable = np.atleast_1d(line.stable).astype(bool)
    for wanted, style, label in ((stable, "-", "critical line"), (~stable, "--", "critical line, repelling")):
        part = wanted & np.isfinite(sigma_w)
        if part.any():
            # One isolated point, as for the ReLU family, would be an invisible line.
            lonely = np.ptp(sigma_w[part]) + np.ptp(sigma_b[part]) <= 1e-9
            marker = "o" if lonely else None
            ax.plot(
                np.where(part, sigma_w, np.nan),
                np.where(part, sigma_b, np.nan),
                color=BLACK,
                linestyle=style,
                linewidth=1.8,
                marker=marker,
                label="critical point" if lonely else label,
                clip_on=not lonely,
            )
