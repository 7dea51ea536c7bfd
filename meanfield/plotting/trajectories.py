"""Lengths, correlations and gradient factors layer by layer."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from meanfield.arguments import choice
from meanfield.errors import InvalidParameterError
from meanfield.plotting.style import BLACK, BLUE, MEANINGS, SYMBOLS, VERMILION, axes_for, label_axes, text_size

__all__ = ["plot_decay", "plot_propagation"]

QUANTITIES = ("q", "c", "chi")
ENDS = {"q": "q_star", "c": "c_star", "chi": "chi_1"}


def plot_propagation(*propagations, quantity: str = "q", point=None, title: str | None = None, ax: Axes | None = None):
    """One quantity of one or more Propagations layer by layer.

    Parameters
    ----------
    *propagations : Propagation
    quantity : "q", "c" or "chi"
    point : FixedPoint, optional
        Its value is drawn as a dashed line: where the quantity settles.
    title : str, optional
        Plain text.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    InvalidParameterError
        Unknown quantity, no propagation, or correlations were not followed.
    """
    choice("quantity", quantity, QUANTITIES)
    ax = axes_for(ax, (3.4, 2.4))
    for values in _rows(propagations, quantity):
        ax.plot(np.arange(1, values.size + 1), values, color=BLUE, marker=".", markersize=4, linewidth=1.0)
    if point is not None:
        end = getattr(point, ENDS[quantity])
        ax.axhline(end, color=VERMILION, linewidth=1.2, linestyle="--", label=f"{SYMBOLS[ENDS[quantity]]} = {end:.5g}")
        ax.legend(frameon=False, fontsize=text_size(ax))
    if quantity == "chi":
        ax.axhline(1.0, color=BLACK, linewidth=0.8, linestyle=":")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    label_axes(ax, "layer $l$", f"{SYMBOLS[quantity]}, {MEANINGS[quantity]}", title)
    return ax


def plot_decay(*propagations, point, quantity: str = "c", title: str | None = None, ax: Axes | None = None):
    """How far lengths or correlations are from their fixed point layer by layer, beside exp(-l/xi).

    Parameters
    ----------
    *propagations : Propagation
    point : FixedPoint
        At the same sigma_w and sigma_b.
    quantity : "c" or "q"
    title : str, optional
        Plain text.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    InvalidParameterError
        Unknown quantity, no propagation, or correlations were not followed.

    References
    ----------
    .. [1] Schoenholz et al., arXiv:1611.01232, figure 2.
    """
    choice("quantity", quantity, ("q", "c"))
    end, depth = getattr(point, ENDS[quantity]), getattr(point, f"xi_{quantity}")
    ax = axes_for(ax, (3.4, 2.6))
    symbol, highest = SYMBOLS[ENDS[quantity]].strip("$"), 0.0
    for values in _rows(propagations, quantity):
        layers, distance = np.arange(1, values.size + 1), np.abs(values - end)
        ax.plot(layers, np.where(distance > 0, distance, np.nan), color=BLUE, marker=".", markersize=4, linewidth=1.0)
        highest = max(highest, float(distance.max()))
        told = np.flatnonzero(distance > 1e-9 * abs(end))  # where the guide is anchored, rounding must not show
        if depth > 0 and told.size:
            guide = distance[told[-1]] * np.exp((layers[told[-1]] - layers) / depth)
            ax.plot(layers, guide, color=VERMILION, linewidth=1.0, linestyle="--")
    ax.set_yscale("log")
    if depth > 0:
        label = rf"$e^{{-l/\xi_{quantity}}}$, $\xi_{quantity}$ = {depth:.4g}"
        ax.legend(
            handles=[Line2D([], [], color=VERMILION, linestyle="--", label=label)],
            frameon=False,
            fontsize=text_size(ax),
        )
    if highest > 0:
        ax.set_ylim(top=2 * highest)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    label_axes(ax, "layer $l$", rf"$|{quantity}^l - {symbol}|$", title)
    return ax


def _rows(propagations, quantity: str) -> list[np.ndarray]:
    """The layers of every input, or pair of inputs, of every propagation."""
    if not propagations:
        raise InvalidParameterError("propagations must hold at least one Propagation, got none")
    rows: list[np.ndarray] = []
    for propagation in propagations:
        values = getattr(propagation, quantity)
        if values is None:
            raise InvalidParameterError(
                "quantity must be one that was followed: propagate(..., c0=) follows c, got 'c'"
            )
        rows += list(np.atleast_2d(values))
    return rows
