"""Cobweb diagrams of the length map and of the correlation map."""

import numpy as np
from matplotlib.axes import Axes

from meanfield.plotting.style import BLACK, BLUE, GREY, VERMILION, axes_for, label_axes, text_size

__all__ = ["plot_map"]

LABELS = {"q": ("$q^l$", "$q^{l+1}$"), "c": ("$c^l$", "$c^{l+1}$")}


def plot_map(curve, *, title: str | None = None, ax: Axes | None = None):
    """A MapCurve with the diagonal, its orbit as a cobweb, and its fixed points: full where they attract, else open.

    Parameters
    ----------
    curve : MapCurve
        From `q_map_curve` or `c_map_curve`.
    title : str, optional
        Plain text.
    ax : Axes, optional

    Returns
    -------
    Axes

    References
    ----------
    .. [1] Poole et al., arXiv:1606.05340, figures 1 and 2.
    """
    ax = axes_for(ax, (3.4, 3.2))
    ends = curve.x[[0, -1]]
    ax.plot(ends, ends, color=GREY, linewidth=1.0, linestyle="--", label="unchanged")
    ax.plot(curve.x, curve.y, color=BLUE, linewidth=1.8, label="one layer")
    steps = np.repeat(curve.orbit, 2)
    ax.plot(steps[:-1], np.concatenate([ends[:1], steps[2:]]), color=VERMILION, linewidth=0.9, label="orbit")
    for point, slope in zip(curve.fixed, curve.slopes, strict=True):
        ax.plot(
            point, point, "o", color=BLACK, markerfacecolor=BLACK if slope <= 1 else "white", clip_on=False, zorder=5
        )
    ax.set_xlim(*ends)
    ax.set_ylim(min(ends[0], curve.y.min()), ends[1])
    x, y = LABELS[curve.quantity]
    label_axes(ax, x, y, title)
    ax.legend(frameon=False, fontsize=text_size(ax), loc="upper left")
    return ax
