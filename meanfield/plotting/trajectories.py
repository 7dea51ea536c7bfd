"""Lengths, correlations and gradient factors layer by layer."""

import numpy as np
from matplotlib.axes import Axes

from meanfield.arguments import choice
from meanfield.plotting.style import BLACK, BLUE, MEANINGS, SYMBOLS, axes_for, label_axes

__all__ = ["plot_propagation"]


def plot_propagation(propagation, *, quantity: str = "q", title: str | None = None, ax: Axes | None = None):
    """One quantity of a Propagation, "q", "c" or "chi", layer by layer."""
    choice("quantity", quantity, tuple(MEANINGS))
    values = getattr(propagation, quantity)
    ax = axes_for(ax, (6.4, 3.6))
    layers = np.arange(1, np.shape(propagation.q)[0] + 1)
    for row in np.atleast_2d(np.full((1, layers.size), np.nan) if values is None else values):
        ax.plot(layers, row, color=BLUE, marker=".")
    if quantity == "chi":
        ax.axhline(1.0, color=BLACK, linewidth=0.8, linestyle=":")
    label_axes(ax, "layer $l$", f"{SYMBOLS[quantity]}, {MEANINGS[quantity]}", title)
    return ax
