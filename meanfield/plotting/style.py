"""What all figures share: colours, symbols, axes, labels, and files with their provenance."""

import io
import json
import warnings
from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from meanfield.arguments import choice

__all__ = [
    "BLACK",
    "BLUE",
    "GREEN",
    "MEANINGS",
    "ORANGE",
    "SYMBOLS",
    "VERMILION",
    "axes_for",
    "figure_of",
    "image_bytes",
    "label_axes",
    "shown",
]

# Okabe and Ito's colours, told apart by the colour-blind; the phases also differ in lightness, for print in grey.
BLUE, ORANGE, GREEN, VERMILION, BLACK = "#0072b2", "#e69f00", "#009e73", "#d55e00", "#222222"
SYMBOLS = {
    "sigma_w": r"$\sigma_w$",
    "sigma_b": r"$\sigma_b$",
    "q": r"$q^l$",
    "c": r"$c^l$",
    "chi": r"$\chi^l$",
    "gradient": r"$\gamma^l$",
    "jacobian_moment": r"$E\,\lambda^k$",
    "mean_log_sigma": r"$E\,\ln s$",
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
        figure.savefig(buffer, format=suffix, dpi=160, metadata=metadata, facecolor="white")
    return buffer.getvalue()


def figure_of(ax: Axes) -> Figure:
    """The Figure an Axes belongs to, through subfigures."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    return figure


def axes_for(ax: Axes | None, size: tuple[float, float]) -> Axes:
    return Figure(figsize=size, layout="constrained").add_subplot() if ax is None else ax


def label_axes(ax: Axes, x: str, y: str, title: str | None) -> None:
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    if title:
        ax.set_title(shown(title), parse_math=False, loc="left", fontsize="medium")


def shown(text: str, limit: int = 60) -> str:
    """User text in one line of bounded length."""
    line = "".join(letter if letter.isprintable() else " " for letter in text)
    return line if len(line) <= limit else line[: limit - 1] + "…"
