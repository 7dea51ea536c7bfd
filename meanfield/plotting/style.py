"""What all figures share: colours, symbols, axes, labels, and files with their provenance."""

import io
import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, NullFormatter

from meanfield.arguments import choice

__all__ = [
    "BLACK",
    "BLUE",
    "GREEN",
    "GREY",
    "MEANINGS",
    "ORANGE",
    "SYMBOLS",
    "VERMILION",
    "add_colour_bar",
    "add_legend",
    "axes_for",
    "cell_edges",
    "extent",
    "figure_of",
    "image_bytes",
    "label_axes",
    "mark_empty",
    "plane",
    "shown",
    "text_size",
]

# Okabe and Ito's colours, told apart by the colour-blind; the phases also differ in lightness, for print in grey.
BLUE, ORANGE, GREEN, VERMILION, BLACK = "#0072b2", "#e69f00", "#009e73", "#d55e00", "#222222"
GREY = "#9a9a9a"
COLUMN = 4.5  # inches: narrower figures are made for one column of a page, with smaller text
COLUMN_LETTERS = 34  # of a title's line there
LINE = 1.6  # of a legend, over the size of its letters
PIXELS = 1088  # least width of a png
SYMBOLS = {
    "sigma_w": r"$\sigma_w$",
    "sigma_b": r"$\sigma_b$",
    "q": r"$q^l$",
    "c": r"$c^l$",
    "chi": r"$\chi^l$",
    "gradient": r"$\gamma^l$",
    "ntk": r"$\Theta$",
    "ntk_cosine": r"$\cos\Theta$",
    "jacobian_moment": r"$E\,\lambda^k$",
    "mean_log_sigma": r"$E\,\ln s$",
    "lambda_max": r"$\lambda_{\max}$",
    "trace": r"$\mathrm{tr}\,W$",
    "q_star": r"$q^*$",
    "alpha": r"$\alpha$",
    "chi_1": r"$\chi_1$",
    "c_star": r"$c^*$",
    "chi_c": r"$\chi_c$",
    "xi_q": r"$\xi_q$",
    "xi_c": r"$\xi_c$",
    "xi_gradient": r"$\xi_\nabla$",
    "n_fixed_points": "number of fixed points",
}
MEANINGS = {
    "q": "variance of the pre-activations",
    "c": "correlation of two inputs",
    "chi": "growth of gradients per layer",
    "gradient": "growth of gradients from the top",
}


def image_bytes(figure: Figure, suffix: str, *, provenance: Mapping[str, Any] | None = None) -> bytes:
    """The figure as a png, pdf or svg file, with its provenance in the metadata and no date.

    Parameters
    ----------
    figure : Figure
    suffix : "png", "pdf" or "svg"
    provenance : mapping, optional
        From `meanfield.results.provenance`.
    """
    choice("suffix", suffix, ("png", "pdf", "svg"))
    note = json.dumps(dict(provenance or {}), default=str)
    metadata: dict[str, Any] = {
        "png": {"Software": "meanfield", "Description": note},
        "pdf": {"Creator": "meanfield", "Subject": note, "CreationDate": None},
        "svg": {"Creator": "meanfield", "Description": note, "Date": None},
    }[suffix]
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # A name may hold letters that the font lacks; a box in its place is right.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        dpi = max(160.0, PIXELS / figure.get_figwidth())
        figure.savefig(buffer, format=suffix, dpi=dpi, metadata=metadata, facecolor="white")
    return buffer.getvalue()


def figure_of(ax: Axes) -> Figure:
    """The Figure an Axes belongs to, through subfigures."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    return figure


def axes_for(ax: Axes | None, size: tuple[float, float]) -> Axes:
    return Figure(figsize=size, layout="constrained").add_subplot() if ax is None else ax


def text_size(ax: Axes) -> float:
    """Points of tick labels and legends; axis labels have one more."""
    return 8.0 if figure_of(ax).get_figwidth() < COLUMN else 9.0


def label_axes(ax: Axes, x: str, y: str, title: str | None) -> None:
    size = text_size(ax)
    ax.tick_params(labelsize=size)
    ax.set_xlabel(x, fontsize=size + 1)
    ax.set_ylabel(y, fontsize=size + 1)
    if title:
        line = shown(title)
        if figure_of(ax).get_figwidth() < COLUMN and len(line) > COLUMN_LETTERS:
            cut = line.rfind(" ", COLUMN_LETTERS // 2, COLUMN_LETTERS) + 1 or COLUMN_LETTERS
            line = f"{line[:cut]}\n{line[cut:]}"
        ax.set_title(line, parse_math=False, loc="left", fontsize=size + 1)


def add_legend(ax: Axes, handles: Sequence[Any], *, outside: bool) -> None:
    """A legend: below the Axes, where it covers nothing, if the figure is ours, else at the best place inside."""
    size = text_size(ax) - 0.5
    if not handles:
        return
    if not outside:
        ax.legend(handles=list(handles), fontsize=size, framealpha=0.9)
        return
    figure = figure_of(ax)
    look: dict[str, Any] = {"frameon": False, "fontsize": size, "handlelength": 1.8, "columnspacing": 1.2}
    renderer = RendererAgg(1, 1, figure.dpi)
    columns = len(handles)
    legend = figure.legend(handles=list(handles), loc="outside lower center", ncols=columns, **look)
    while columns > 1 and legend.get_window_extent(renderer).width > figure.bbox.width:
        legend.remove()
        columns -= 1
        legend = figure.legend(handles=list(handles), loc="outside lower center", ncols=columns, **look)
    # A figure has room for two lines of a legend; for more it grows, so that the Axes keep their height.
    lines = -(-len(handles) // columns)
    figure.set_figheight(figure.get_figheight() + LINE * size / 72 * max(0, lines - 2))


def add_colour_bar(ax: Axes, mesh, label: str, **options: Any) -> Any:
    """A bar beside the Axes; on a logarithmic one, numbers at 2 and 5 too if it spans few decades."""
    bar = figure_of(ax).colorbar(mesh, ax=ax, **options)
    if isinstance(mesh.norm, LogNorm):
        low, high = mesh.get_clim()
        if high < 100 * low:
            bar.set_ticks(LogLocator(subs=(1, 2, 5)))
            bar.ax.yaxis.set_major_formatter("{x:g}")
        bar.ax.yaxis.set_minor_formatter(NullFormatter())
    bar.set_label(label, fontsize=text_size(ax) + 1)
    bar.ax.tick_params(labelsize=text_size(ax))
    return bar


def mark_empty(ax: Axes) -> Patch:
    """Dots on white where a map has no value, which no colour of a map looks like; returns the legend's handle."""
    look = {"facecolor": "white", "edgecolor": GREY, "hatch": "....", "linewidth": 0.0}
    ax.patch.set(**look)
    return Patch(**look, label="none")


def cell_edges(centres: np.ndarray) -> np.ndarray:
    """Edges of the cells of a map, halfway between centres, which are >= 0; a cell alone is a tenth wide."""
    if centres.size == 1:
        return centres * [0.95, 1.05] if centres[0] > 0 else np.array([0.0, 0.1])
    halves = np.diff(centres) / 2
    return np.concatenate([centres[:1] - halves[:1], centres[:-1] + halves, centres[-1:] + halves[-1:]])


def extent(centres: np.ndarray) -> tuple[float, float]:
    """The ends of a map's axis: its outer centres, or the edges of a cell alone."""
    ends = centres if centres.size > 1 else cell_edges(centres)
    return float(ends.min()), float(ends.max())


def plane(axes: str) -> tuple[Callable, Callable, str, str]:
    """How sigma_w and sigma_b become coordinates, and the labels; "deviation": as they are, "variance": squared."""
    if choice("axes", axes, ("deviation", "variance")) == "variance":
        return np.square, np.square, r"$\sigma_w^2$", r"$\sigma_b^2$"
    return np.asarray, np.asarray, SYMBOLS["sigma_w"], SYMBOLS["sigma_b"]


def shown(text: str, limit: int = 60) -> str:
    """User text in one line of bounded length."""
    line = "".join(letter if letter.isprintable() else " " for letter in text)
    return line if len(line) <= limit else line[: limit - 1] + "…"
