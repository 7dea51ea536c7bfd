"""Figures of the results. Each function draws on one Axes and returns it; no pyplot, no global state.

Text that a user wrote, such as the name of a nonlinearity, is drawn as it is: no mathtext.
"""

import io
import json
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from meanfield.arguments import choice

__all__ = [
    "figure_of",
    "image_bytes",
    "plot_critical_line",
    "plot_phase_diagram",
    "plot_propagation",
    "plot_report",
    "plot_residuals",
    "verification_figure",
]

# Okabe and Ito's colours, told apart by the colour-blind; the phases also differ in lightness, for print in grey.
BLUE, ORANGE, GREEN, VERMILION, BLACK = "#0072b2", "#e69f00", "#009e73", "#d55e00", "#222222"
PHASE_COLOURS = {
    "ordered": "#deebf7",
    "critical": BLACK,
    "chaotic": "#f5c77e",
    "unbounded": "#9a9a9a",
    "": "#ffffff",
}
SYMBOLS = {
    "sigma_w": r"$\sigma_w$",
    "sigma_b": r"$\sigma_b$",
    "q": r"$q^l$",
    "c": r"$c^l$",
    "chi": r"$\chi^l$",
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
    ax = _axes(ax, (6.4, 4.6))
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
    _label(ax, SYMBOLS["sigma_w"], SYMBOLS["sigma_b"], title)
    return ax


def plot_critical_line(line, *, title: str | None = None, ax: Axes | None = None):
    """A CriticalLine in the (sigma_w, sigma_b) plane: solid where its points attract, dashed where they repel."""
    ax = _axes(ax, (6.4, 4.2))
    _draw_line(ax, line)
    ax.margins(0.05)
    ax.grid(color="#dddddd", linewidth=0.6)
    _label(ax, SYMBOLS["sigma_w"], SYMBOLS["sigma_b"], title)
    if not np.isfinite(line.sigma_w).any():
        ax.text(0.5, 0.5, "no critical point in this range", transform=ax.transAxes, ha="center", va="center")
    else:
        ax.legend(frameon=False)
    return ax


def plot_propagation(propagation, *, quantity: str = "q", title: str | None = None, ax: Axes | None = None):
    """One quantity of a Propagation, "q", "c" or "chi", layer by layer."""
    choice("quantity", quantity, tuple(MEANINGS))
    values = getattr(propagation, quantity)
    ax = _axes(ax, (6.4, 3.6))
    layers = np.arange(1, np.shape(propagation.q)[0] + 1)
    for row in np.atleast_2d(np.full((1, layers.size), np.nan) if values is None else values):
        ax.plot(layers, row, color=BLUE, marker=".")
    if quantity == "chi":
        ax.axhline(1.0, color=BLACK, linewidth=0.8, linestyle=":")
    _label(ax, "layer $l$", f"{SYMBOLS[quantity]}, {MEANINGS[quantity]}", title)
    return ax


def plot_report(report, *, quantity: str = "q", title: str | None = None, ax: Axes | None = None):
    """Theory (line) and simulation (points with two standard errors) of one quantity of a verification, by layer.

    Parameters
    ----------
    report : verify.Report
    quantity : str
        "q", "c" or "chi".
    title : str, optional
        Plain text.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    InvalidParameterError
        The report holds no such quantity.
    """
    groups = _groups(report)
    choice("quantity", quantity, tuple(groups))
    ax = _axes(ax, (6.4, 3.6))
    for number, (label, checks) in enumerate(groups[quantity].items()):
        layers = [check.layer for check in checks]
        ax.plot(layers, [check.theory for check in checks], color=BLUE, label="theory" if not number else None)
        ax.errorbar(
            layers,
            [check.estimate for check in checks],
            yerr=[2 * check.standard_error for check in checks],
            linestyle="none",
            marker="o",
            markersize=4,
            markerfacecolor="white",
            color=VERMILION,
            capsize=2,
            label="simulation, ± 2 standard errors" if not number else None,
        )
        if label:
            ax.annotate(
                label, (layers[0], checks[0].theory), xytext=(4, 4), textcoords="offset points", fontsize="small"
            )
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(color="#dddddd", linewidth=0.6)
    ax.legend(frameon=False, fontsize="small")
    _label(ax, "layer $l$", f"{SYMBOLS[quantity]}, {MEANINGS[quantity]}", title)
    return ax


def plot_residuals(report, *, title: str | None = None, ax: Axes | None = None):
    """Distance of simulation and theory in standard errors, every check of a verification; crosses failed."""
    ax = _axes(ax, (6.4, 3.6))
    markers = {"q": "o", "c": "s", "chi": "^"}
    colours = {"q": BLUE, "c": ORANGE, "chi": GREEN}
    for quantity, series in _groups(report).items():
        checks = [check for checks in series.values() for check in checks]
        kept = [(check.layer, check.z) for check in checks if check.passed]
        lost = [(check.layer, check.z) for check in checks if not check.passed]
        colour, symbol = colours[quantity], SYMBOLS[quantity]
        ax.plot(*_columns(kept), linestyle="none", color=colour, marker=markers[quantity], label=symbol)
        ax.plot(*_columns(lost), linestyle="none", color=colour, marker="x", markersize=9, markeredgewidth=2)
    ax.axhline(0.0, color=BLACK, linewidth=0.8)
    ax.axhspan(-2, 2, color="#eeeeee", zorder=0)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend(frameon=False, ncols=3, fontsize="small")
    _label(ax, "layer $l$", "simulation − theory,\nin standard errors", title)
    return ax


def verification_figure(report, *, title: str | None = None) -> Figure:
    """A Figure with one panel for each quantity of a verification and one for the residuals."""
    groups = _groups(report)
    figure = Figure(figsize=(6.4, 2.7 * (len(groups) + 1)), layout="constrained")
    *panels, last = figure.subplots(len(groups) + 1, 1, sharex=True)
    for number, (ax, quantity) in enumerate(zip(panels, groups, strict=True)):
        plot_report(report, quantity=quantity, title=None if number else title, ax=ax)
        ax.set_xlabel("")
        if number and (legend := ax.get_legend()):
            legend.remove()
    plot_residuals(report, ax=last)
    return figure


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
        figure.savefig(buffer, format=suffix, dpi=160, metadata=metadata, facecolor="white")
    return buffer.getvalue()


def _groups(report) -> dict[str, dict[str, list]]:
    """The checks of a report by quantity, then by pair of inputs, in the order of layers."""
    groups: dict[str, dict[str, list]] = {}
    for check in report.checks:
        groups.setdefault(check.quantity, {}).setdefault(check.label, []).append(check)
    return groups


def _columns(pairs: list[tuple[int, float]]) -> tuple[list[int], list[float]]:
    return [x for x, _ in pairs], [y for _, y in pairs]


def figure_of(ax: Axes) -> Figure:
    """The Figure an Axes belongs to, through subfigures."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    return figure


def _axes(ax: Axes | None, size: tuple[float, float]) -> Axes:
    return Figure(figsize=size, layout="constrained").add_subplot() if ax is None else ax


def _label(ax: Axes, x: str, y: str, title: str | None) -> None:
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    if title:
        ax.set_title(_shown(title), parse_math=False, loc="left", fontsize="medium")


def _shown(text: str, limit: int = 60) -> str:
    """User text in one line of bounded length."""
    line = "".join(letter if letter.isprintable() else " " for letter in text)
    return line if len(line) <= limit else line[: limit - 1] + "…"


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
