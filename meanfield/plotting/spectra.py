"""Spectra of the input-output Jacobian: densities, atoms, and simulated networks behind them."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.ticker import MaxNLocator

from meanfield.errors import InvalidParameterError
from meanfield.plotting.spectral_windows import LARGEST, VARIABLES, axis_of, bottom_of, grid_of, place_of, quantiles
from meanfield.plotting.style import BLACK, BLUE, ORANGE, VERMILION, add_legend, axes_for, label_axes, text_size

__all__ = ["plot_spectra", "plot_spectrum"]

LABELS = (r"$\log_{10}\,\lambda$, eigenvalue of $JJ^T$", r"density of $\ln\,\lambda$")
BINS = 60
# Where a density diverges at an end of its support, its peak within this share of the support may leave the picture.
PEAK = 0.03
# Densities that differ by more than this factor are drawn on a logarithmic axis.
UNEQUAL = 12.0
# It reaches down to the densities at this share of a support from its upper end, but not below this share of the top.
AT_THE_END, DECADES = 0.02, 1e-5
# Simulated eigenvalues that are within rounding of an atom, relative to it, or of 0, relative to the largest.
AT_ATOM, AT_ZERO = 1e-8, 2e-28


def plot_spectrum(
    spectrum, *, simulated=None, variable: str | None = None, title: str | None = None, ax: Axes | None = None
):
    """The law of one Jacobian: its density, the ends of its support, its atoms, outliers, and simulated networks.

    Parameters
    ----------
    spectrum : JacobianSpectrum
    simulated : array (networks, width), optional
        Singular values of J, drawn as a histogram; those at an atom of the law are counted there.
    variable : "lambda", "log" or "sigma", optional
        Density of the eigenvalue of J J^T, of its logarithm, or of the singular value. By default "log" for a
        spectrum over several orders of magnitude, else "lambda"; the axis of "log" shows log10(lambda) where that is
        many decades or beyond float64.
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
        Unknown variable, or one that is not a number in float64.
    """
    samples = None if simulated is None else [simulated]
    ours = ax is None
    ax, drawn = _draw([spectrum], ["theory"], samples, variable, title, ax)
    ends = float(spectrum.log_lambda_min), float(spectrum.log_lambda_max)
    places = [place_of(end, drawn) for end in dict.fromkeys(ends)]
    text = f"support from {_number(ends[0], drawn)} to {_number(ends[1], drawn)}"
    look = {"color": "#555555", "linewidth": 0.9, "linestyle": (0, (4, 3))}
    ax.plot([], [], label=text, **look)
    for place in places:
        if math.isfinite(place) and (place > 0 or drawn != "log"):
            ax.axvline(place, zorder=1, **look)
    add_legend(ax, ax.get_legend_handles_labels()[0], outside=ours)
    return ax


def plot_spectra(
    spectra: Sequence,
    *,
    labels: Sequence[str],
    simulated: Sequence | None = None,
    variable: str | None = None,
    title: str | None = None,
    ax: Axes | None = None,
):
    """Several laws in one picture, from dark to light, each with its simulated networks behind it.

    Parameters
    ----------
    spectra : sequence of JacobianSpectrum
    labels : sequence of str
        One for each, such as "L = 16".
    simulated : sequence of array (networks, width) or None, optional
        Singular values, one array for each spectrum.
    variable, title, ax
        As for `plot_spectrum`.

    Returns
    -------
    Axes

    Raises
    ------
    InvalidParameterError
        Unknown variable, one that is not a number in float64, or not as many labels or samples as spectra.
    """
    ours = ax is None
    ax, _ = _draw(list(spectra), labels, simulated, variable, title, ax)
    add_legend(ax, ax.get_legend_handles_labels()[0], outside=ours)
    return ax


def _draw(
    laws: list, labels: Sequence[str], simulated, variable: str | None, title: str | None, ax: Axes | None
) -> tuple[Axes, str]:
    """Everything but the legend, and the variable drawn."""
    samples = [None] * len(laws) if simulated is None else list(simulated)
    if not laws or len(labels) != len(laws) or len(samples) != len(laws):
        raise InvalidParameterError(
            f"labels and simulated must be as many as spectra >= 1, got {len(labels)}, {len(samples)} and {len(laws)}"
        )
    drawn, window = axis_of(laws, variable)
    ax = axes_for(ax, (3.4, 3.0))
    colours = _colours(len(laws))
    with np.errstate(divide="ignore"):
        samples = [None if each is None else 2 * np.log(np.asarray(each, dtype=np.float64)) for each in samples]
    heights = [
        _draw_density(ax, law, drawn, window, colour, label)
        for law, colour, label in zip(laws, colours, labels, strict=True)
    ]
    for law, sample, colour in zip(laws, samples, colours, strict=True):
        if sample is not None:
            heights.append(_draw_histogram(ax, law, sample, drawn, window, colour))
    _draw_atoms(ax, laws, samples, drawn, colours)
    _frame(ax, drawn, (window[0], max([window[1], *(t for law in laws for t in law.log_outliers)])), heights)
    _draw_outliers(ax, laws, drawn, colours)
    label_axes(ax, *(LABELS if drawn == "decades" else VARIABLES[drawn]), title)
    return ax, drawn


def _number(t: float, variable: str) -> str:
    if math.isfinite(t) and (variable == "decades" or abs(t) > LARGEST):
        return f"$10^{{{t / math.log(10):.4g}}}$"
    return f"{math.exp(t / 2 if variable == 'sigma' else t):.4g}"


def _colours(count: int) -> list[str]:
    # cividis without its light end, which is faint on white: ordered in grey and for the colour-blind.
    if count <= 2:
        return [BLUE, VERMILION][:count]
    return [to_hex(colormaps["cividis"](0.88 * k / (count - 1))) for k in range(count)]


def _density(law, t: np.ndarray, variable: str) -> np.ndarray:
    density = np.asarray(law.density_of_log(t), dtype=np.float64)
    if variable == "lambda":
        return density * np.exp(-t)
    return 2 * density * np.exp(-t / 2) if variable == "sigma" else density


def _draw_density(
    ax: Axes, law, variable: str, window: tuple[float, float], colour: str, label: str
) -> tuple[float, float]:
    """Draw it; returns the heights between which a figure should show it, the lower one for logarithmic axes."""
    t = grid_of(law, variable, window)
    density = _density(law, t, variable) if t.size else t
    if not np.any(density > 0):
        ax.plot(place_of(np.array(window), variable), [0.0, 0.0], color=colour, linewidth=1.6, label=label)
        return 0.0, 0.0
    x, top = place_of(t, variable), int(np.argmax(density))
    # The line comes down to 0 at those ends of the support that are in sight and where the density does not grow.
    left = [x[0]] if top > 0 and bottom_of(law) > window[0] > -math.inf else []
    right = [x[-1]] if top < len(t) - 1 else []
    zeros = [0.0]
    ax.plot(
        np.concatenate([left, x, right]),
        np.concatenate([zeros * len(left), density, zeros * len(right)]),
        color=colour,
        linewidth=1.6,
        label=label,
    )
    position = t if variable == "log" else x
    height = _height(position, density)
    # Down to where the line has all but reached its upper end.
    end = float(np.interp(position[-1] - AT_THE_END * np.ptp(position), position, density))
    return min(height, end), height


def _height(x: np.ndarray, density: np.ndarray) -> float:
    """The largest density, but where it grows towards an end of the support only that of the inner part."""
    top = int(np.argmax(density))
    if 0 < top < len(x) - 1:
        return float(density[top])
    margin = PEAK * (x[-1] - x[0])
    inner = density[x >= x[0] + margin] if top == 0 else density[x <= x[-1] - margin]
    return float(inner.max(initial=0.0))


def _draw_histogram(
    ax: Axes, law, sample: np.ndarray, variable: str, window: tuple[float, float], colour: str
) -> tuple[float, float]:
    """Draw it; returns the heights between which a figure should show it. `sample` holds the t of networks x width."""
    values = sample[~_at_atoms(law, sample).any(axis=0)]
    top = max(window[1], float(sample.max()))
    if variable in ("log", "decades"):
        t_edges = np.linspace(window[0], top, BINS + 1)
        edges, widths = place_of(t_edges, variable), np.diff(t_edges)
    else:
        edges = np.linspace(place_of(window[0], variable), place_of(top, variable), BINS + 1)
        widths = np.diff(edges)
    counts, _ = np.histogram(place_of(values, variable), edges)
    heights = counts / (sample.size * widths)
    ax.stairs(heights, edges, fill=True, color=colour, alpha=0.15, linewidth=0, zorder=1)
    ax.stairs(heights, edges, color=colour, alpha=0.75, linewidth=0.8, zorder=1.5)
    count, width = sample.shape
    name = f"simulation: {count} network{'s' * (count > 1)} of width {width}"
    _once(ax, name, linestyle="-", color=colour)
    middles = 0.5 * (np.log(edges[1:] * edges[:-1]) if variable == "log" else edges[1:] + edges[:-1])
    height = _height(middles, heights)
    return height, height


def _at_atoms(law, sample: np.ndarray) -> np.ndarray:
    """Which eigenvalues are at which atom, (atoms, networks, width)."""
    rounding = float(sample.max(initial=-math.inf)) + math.log(AT_ZERO)
    # Where the law itself holds such small eigenvalues, only what is exactly 0 belongs to the atom there.
    rounding = rounding if quantiles(law, 0.01)[0] > rounding else -math.inf
    at = [np.abs(sample - t) <= AT_ATOM if math.isfinite(t) else sample <= rounding for t, _ in law.log_atoms]
    return np.array(at, dtype=bool).reshape(len(at), *sample.shape)


def _draw_atoms(ax: Axes, laws: Sequence, samples: Sequence, variable: str, colours: Sequence[str]) -> None:
    """Point masses as stems on an axis of their own, to the right; crosses are the measured ones."""
    in_logarithm = variable in ("log", "decades")
    if in_logarithm:
        _note_zero(ax, laws)
    # A logarithmic axis has no place for an atom at 0.
    if not any(math.isfinite(t) or not in_logarithm for law in laws for t, _ in law.log_atoms):
        return
    masses = ax.twinx()
    for law, sample, colour in zip(laws, samples, colours, strict=True):
        stem = colour if len(laws) > 1 else ORANGE
        for number, (t, mass) in enumerate(law.log_atoms):
            if in_logarithm and not math.isfinite(t):
                continue
            x = place_of(t, variable)
            masses.vlines(x, 0.0, mass, color=stem, linewidth=2.2)
            masses.plot(x, mass, marker="o", color=stem, linestyle="none", clip_on=False)
            _once(ax, "atom", marker="o", color=stem)
            if sample is not None:
                found = _at_atoms(law, sample)[number].mean()
                masses.plot(
                    x,
                    found,
                    marker="x",
                    markersize=8,
                    markeredgewidth=1.6,
                    color=BLACK,
                    linestyle="none",
                    clip_on=False,
                )
                _once(ax, "atom, simulation", marker="x", color=BLACK)
    masses.set_ylim(0.0, 1.05)
    masses.set_ylabel("mass of an atom", fontsize=text_size(ax) + 1)
    masses.tick_params(labelsize=text_size(ax))


def _draw_outliers(ax: Axes, laws: Sequence, variable: str, colours: Sequence[str]) -> None:
    """Diamonds on the axis: they have no mass to show."""
    for law, colour in zip(laws, colours, strict=True):
        for t in law.log_outliers:
            look: dict[str, Any] = {"marker": "d", "linestyle": "none", "color": colour if len(laws) > 1 else VERMILION}
            ax.plot(place_of(t, variable), 0.02, transform=ax.get_xaxis_transform(), zorder=4, **look)
            label = "outlier" if len(laws) > 1 else f"outlier at {_number(t, variable)}"
            if label not in ax.get_legend_handles_labels()[1]:
                ax.plot([], [], label=label, **look)


def _note_zero(ax: Axes, laws: Sequence) -> None:
    """An atom at 0 in words."""
    zero = [mass for law in laws for t, mass in law.log_atoms if t == -math.inf]
    if zero:
        low, high = min(zero), max(zero)
        text = f"{low:.3g}" if high - low <= 1e-3 * high else f"{low:.3g} to {high:.3g}"
        _once(ax, f"atom at 0: mass {text}")


def _once(ax: Axes, label: str, *, linestyle: str = "none", marker: str = "", color: str = BLACK) -> None:
    """An entry of the legend, unless it is there already."""
    if label not in ax.get_legend_handles_labels()[1]:
        ax.plot([], [], linestyle=linestyle, marker=marker, color=color, linewidth=0.8, label=label)


def _frame(ax: Axes, variable: str, window: tuple[float, float], heights: Sequence[tuple[float, float]]) -> None:
    low, high = (place_of(end, variable) for end in window)
    if variable == "log":
        ax.set_xscale("log")
        ax.set_xlim(low, high * (high / low) ** 0.04)
    else:
        ax.set_xlim(low - 0.04 * (high - low), high + 0.06 * (high - low))
        # The numbers of an interval away from 0 are long.
        ax.xaxis.set_major_locator(MaxNLocator(6 if variable == "decades" else 4 if low > 0.2 * high else 8))
    drawn = [height for _, height in heights if height > 0]
    if drawn and max(drawn) > UNEQUAL * min(drawn):
        ax.set_yscale("log")
        lowest = max(0.5 * min(end for end, height in heights if height > 0), DECADES * max(drawn))
        ax.set_ylim(lowest, 4 * max(drawn))
        if variable in ("log", "decades") and len(ax.get_shared_x_axes().get_siblings(ax)) == 1:
            # What lies left of all that is high enough to be seen is left out, unless there are atoms.
            x, y = np.concatenate([line.get_xydata() for line in ax.lines]).T
            ax.set_xlim(left=x[y >= lowest].min())
    else:
        ax.set_ylim(0.0, 1.35 * max(drawn, default=1.0))
    if not drawn:
        ax.set_yticks([0.0])
    ax.grid(color="#dddddd", linewidth=0.6)
    ax.set_axisbelow(True)
