"""Depth scales across the transition, and the depths to which signals reach."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.lines import Line2D

from meanfield.arguments import choice, integer
from meanfield.plotting.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    SYMBOLS,
    VERMILION,
    add_colour_bar,
    add_legend,
    axes_for,
    cell_edges,
    extent,
    label_axes,
    mark_empty,
    plane,
)

__all__ = ["plot_depth_scales", "plot_trainability"]

SCALES = ("xi_c", "xi_q", "xi_gradient")
COLOURS = (BLUE, VERMILION, GREEN, ORANGE, BLACK)
MARKERS = ("o", "s", "^", "D", "v")  # for print in grey
DASHES = ("-", "--", ":")
TRAINABLE = 6  # times xi_c


def plot_depth_scales(
    diagram,
    *,
    quantities: tuple[str, ...] = ("xi_c", "xi_q"),
    line=None,
    axes: str = "deviation",
    title: str | None = None,
    ax: Axes | None = None,
):
    """Depth scales over sigma_w, on a logarithmic axis: one colour for each sigma_b, one kind of line a quantity.

    Parameters
    ----------
    diagram : PhaseDiagram
        At most five rows are drawn, evenly chosen.
    quantities : tuple of "xi_c", "xi_q", "xi_gradient"
        xi_gradient by its size: its sign tells whether gradients shrink or grow.
    line : CriticalLine, optional
        A thin vertical line stands where a row meets its attracting part: xi_c and xi_gradient diverge there, which the
        grid seldom hits.
    axes : "deviation" or "variance"
    title : str, optional
        Plain text.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    InvalidParameterError
        Unknown quantity or axes.

    References
    ----------
    .. [1] Schoenholz et al., arXiv:1611.01232, figures 2 and 3: xi_c diverges at the transition, xi_q does not.
    """
    for name in quantities:
        choice("quantities", name, SCALES)
    x_of, y_of, x_label, y_label = plane(axes)
    ours = ax is None
    ax = axes_for(ax, (3.4, 3.0))
    rows = np.unique(np.linspace(0, diagram.sigma_b.size - 1, len(COLOURS)).round().astype(int))
    handles = []
    sparse = max(1, diagram.sigma_w.size // 8)
    for row, colour, marker in zip(rows, COLOURS, MARKERS, strict=False):
        style: dict = {"color": colour, "marker": marker, "markersize": 3, "linewidth": 1.3}
        for name, dashes in zip(quantities, DASHES, strict=False):
            scale = np.abs(np.where(np.isfinite(getattr(diagram, name)[row]), getattr(diagram, name)[row], np.nan))
            ax.plot(x_of(diagram.sigma_w), scale, linestyle=dashes, markevery=sparse, **style)
        for place in () if line is None else _crossings(line, diagram.sigma_b[row]):
            if diagram.sigma_w[0] <= place <= diagram.sigma_w[-1]:
                ax.axvline(x_of(place), color=colour, linewidth=0.8, alpha=0.7)
        handles.append(Line2D([], [], label=f"{y_label} = {y_of(diagram.sigma_b[row]):.3g}", **style))
    ax.set_yscale("log")
    symbols = [r"$|\xi_\nabla|$" if name == "xi_gradient" else SYMBOLS[name] for name in quantities]
    handles += [
        Line2D([], [], color=GREY, linestyle=dashes, label=symbol)
        for symbol, dashes in zip(symbols, DASHES, strict=False)
    ]
    ax.grid(color="#dddddd", linewidth=0.6)
    label_axes(ax, x_label, f"{', '.join(symbols)} (layers)", title)
    add_legend(ax, handles, outside=ours)
    return ax


def _crossings(line, sigma_b: float) -> np.ndarray:
    """The sigma_w at which the attracting part of a CriticalLine meets this sigma_b, straight between its points."""
    gap = line.sigma_b - sigma_b
    sides = np.sign(np.where(np.abs(gap) <= 1e-9, 0.0, gap))
    meets = (sides[:-1] != sides[1:]) & (sides[:-1] * sides[1:] <= 0) & line.stable[:-1] & line.stable[1:]
    k = np.flatnonzero(meets)
    part = gap[k] / (gap[k] - gap[k + 1])
    return line.sigma_w[k] + part * (line.sigma_w[k + 1] - line.sigma_w[k])


def plot_trainability(
    diagram,
    *,
    row: int | None = None,
    depth: int = 300,
    axes: str = "deviation",
    title: str | None = None,
    ax: Axes | None = None,
):
    """How much of a difference between two inputs is left at each depth, over sigma_w, and the line 6 xi_c.

    Parameters
    ----------
    diagram : PhaseDiagram
    row : int, optional
        Which sigma_b of it; by default the first of those at which correlations settle for the most sigma_w.
    depth : int, >= 2
        Down to where.
    axes : "deviation" or "variance"
    title : str, optional
        Plain text; the row's sigma_b is added to it.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    InvalidParameterError
        The diagram has no such row; unknown axes.

    Notes
    -----
    The colour is exp(-l/xi_c), what l layers leave of a small deviation from c_star: on a grey scale, dark where the
    signal is lost. Networks train about as deep as 6 xi_c.

    References
    ----------
    .. [1] Schoenholz et al., arXiv:1611.01232, figure 5.
    """
    if row is None:  # at sigma_b = 0 lengths may shrink to 0, where correlations mean nothing
        row = int(np.argmax(np.isfinite(diagram.xi_c).sum(axis=1)))
    number = integer("row", row, low=0, high=diagram.sigma_b.size - 1)
    layers = np.unique(np.geomspace(1, integer("depth", depth, low=2), 200))
    x_of, y_of, x_label, y_label = plane(axes)
    ours = ax is None
    ax = axes_for(ax, (3.4, 2.9))
    x, scale = x_of(diagram.sigma_w), np.asarray(diagram.xi_c[number])
    with np.errstate(invalid="ignore"):
        left = np.exp(-layers[:, None] / np.where(scale == 0, 1e-300, scale))
    shown = np.ma.masked_invalid(np.maximum(left, 1e-6))
    handles: list = [mark_empty(ax)] if np.ma.getmaskarray(shown).any() else []
    cells = cell_edges(x), cell_edges(layers)
    mesh = ax.pcolormesh(*cells, shown, cmap="gray", norm=LogNorm(1e-6, 1.0), rasterized=True)
    add_colour_bar(ax, mesh, r"signal left, $e^{-l/\xi_c}$", extend="min")
    handles += ax.plot(x, TRAINABLE * scale, color=VERMILION, linewidth=1.8, label=rf"${TRAINABLE}\,\xi_c$")
    ax.set_ylim(1, layers[-1])
    ax.set_xlim(extent(x))
    ax.set_yscale("log")
    label_axes(ax, x_label, f"depth $l$, {y_label} = {y_of(diagram.sigma_b[number]):.3g}", title)
    add_legend(ax, handles, outside=ours)
    return ax
