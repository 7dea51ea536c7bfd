"""Spectra of the input-output Jacobian: densities, atoms, and simulated networks behind them."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.ticker import MaxNLocator

from meanfield.arguments import choice
from meanfield.errors import InvalidParameterError
from meanfield.plotting.style import BLACK, BLUE, ORANGE, VERMILION, add_legend, axes_for, label_axes, text_size

__all__ = ["VARIABLES", "plot_spectra", "plot_spectrum"]

VARIABLES = {
    "lambda": (r"eigenvalue $\lambda$ of $JJ^T$", r"density of $\lambda$"),
    "log": (r"eigenvalue $\lambda$ of $JJ^T$", r"density of $\ln\,\lambda$"),
    "sigma": (r"singular value $s$ of $J$", r"density of $s$"),
}
POINTS = 800
BINS = 60
# A spectrum whose quantiles at 10 and 90 % differ by more than this factor is drawn over ln lambda.
WIDE = 30.0
# A logarithmic axis starts at this quantile of the widest law, alone or among others.
LEFT_OUT, LEFT_OUT_OF_MANY = 0.02, 0.1
# Where a density diverges at an end of its support, its peak within this share of the support may leave the picture.
PEAK = 0.03
NOTHING = 1e-5
# Densities that differ by more than this factor are drawn on a logarithmic axis.
UNEQUAL = 12.0
# It reaches down to the densities at this share of a support from its upper end, but not below this share of the top.
AT_THE_END, DECADES = 0.02, 1e-5
# Simulated eigenvalues that are within rounding of an atom, relative to it, or of 0, relative to the largest.
AT_ATOM, AT_ZERO = 1e-8, 2e-28


def plot_spectrum(
    spectrum, *, simulated=None, variable: str | None = None, title: str | None = None, ax: Axes | None = None
):
    """The law of one Jacobian: its density, the ends of its support, its atoms, and simulated networks.

    Parameters
    ----------
    spectrum : JacobianSpectrum
    simulated : array (networks, width), optional
        Singular values of J, drawn as a histogram; those at an atom of the law are counted there.
    variable : "lambda", "log" or "sigma", optional
        Density of the eigenvalue of J J^T, of its logarithm, or of the singular value. By default "log" for a
        spectrum over several orders of magnitude, else "lambda".
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
        Unknown variable.
    """
    samples = None if simulated is None else [simulated]
    ours = ax is None
    ax = _draw([spectrum], ["theory"], samples, variable, title, ax)
    low, high = (float(end) for end in (spectrum.lambda_min, spectrum.lambda_max))
    drawn = variable or _fitting_variable([spectrum])
    ends = [end for end in (low, high) if end > 0 or drawn != "log"]
    for number, end in enumerate(dict.fromkeys(ends)):
        text = f"support from {_place(low, drawn):.4g} to {_place(high, drawn):.4g}" if number == 0 else None
        ax.axvline(_place(end, drawn), color="#555555", linewidth=0.9, linestyle=(0, (4, 3)), zorder=1, label=text)
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
        Unknown variable, or not as many labels or samples as spectra.
    """
    ours = ax is None
    ax = _draw(list(spectra), labels, simulated, variable, title, ax)
    add_legend(ax, ax.get_legend_handles_labels()[0], outside=ours)
    return ax


def _draw(
    laws: list, labels: Sequence[str], simulated, variable: str | None, title: str | None, ax: Axes | None
) -> Axes:
    """Everything but the legend."""
    samples = [None] * len(laws) if simulated is None else list(simulated)
    if not laws or len(labels) != len(laws) or len(samples) != len(laws):
        raise InvalidParameterError(
            f"labels and simulated must be as many as spectra >= 1, got {len(labels)}, {len(samples)} and {len(laws)}"
        )
    drawn = choice("variable", _fitting_variable(laws) if variable is None else variable, VARIABLES)
    ax = axes_for(ax, (3.4, 3.0))
    window, colours = _window(laws, drawn), _colours(len(laws))
    heights = [
        _draw_density(ax, law, drawn, window, colour, label)
        for law, colour, label in zip(laws, colours, labels, strict=True)
    ]
    for law, sample, colour in zip(laws, samples, colours, strict=True):
        if sample is not None:
            heights.append(_draw_histogram(ax, law, np.asarray(sample, dtype=np.float64) ** 2, drawn, window, colour))
    _draw_atoms(ax, laws, samples, drawn, colours)
    _frame(ax, drawn, window, heights)
    label_axes(ax, *VARIABLES[drawn], title)
    return ax


def _fitting_variable(laws: Sequence) -> str:
    ends = [_quantiles(law, 0.1, 0.9) for law in laws]
    return "log" if any(high > WIDE * low for low, high in ends) else "lambda"


def _quantiles(law, *shares: float) -> list[float]:
    """Quantiles of the mass that is not at 0."""
    zero = sum(mass for place, mass in _atoms(law) if place == 0)
    return [float(law.quantile(zero + (1 - zero) * share)) for share in shares]


def _atoms(law) -> list[tuple[float, float]]:
    return [(float(place), float(mass)) for place, mass in law.atoms]


def _colours(count: int) -> list[str]:
    # cividis without its light end, which is faint on white: ordered in grey and for the colour-blind.
    if count <= 2:
        return [BLUE, VERMILION][:count]
    return [to_hex(colormaps["cividis"](0.88 * k / (count - 1))) for k in range(count)]


def _place(lam, variable: str):
    return np.sqrt(lam) if variable == "sigma" else lam


def _bottom(law) -> float:
    """Where a picture of the law may start: less than NOTHING of its mass lies below, exponentially rare slopes."""
    return max(float(law.bulk_min), _quantiles(law, NOTHING)[0])


def _window(laws: Sequence, variable: str) -> tuple[float, float]:
    """The eigenvalues between which densities are shown."""
    high = max(float(law.bulk_max) for law in laws)
    low = min(_bottom(law) for law in laws)
    if not high > low:
        return (0.8 * low, 1.2 * high) if high > 0 else (0.0, 1.0)
    if variable == "log":
        share = LEFT_OUT if len(laws) == 1 else LEFT_OUT_OF_MANY
        return max(low, min(_quantiles(law, share)[0] for law in laws), 1e-290), high
    # From 0, unless the support is a narrow interval away from it.
    return (low, high) if low > 0.5 * high else (0.0, high)


def _grid(law, variable: str, window: tuple[float, float]) -> np.ndarray:
    """Eigenvalues inside the support, denser towards its ends, where the density may be steep or infinite."""
    low, high = max(window[0], _bottom(law)), float(law.bulk_max)
    if not high > low:
        return np.empty(0)
    shares = np.sin(0.5 * math.pi * (np.arange(POINTS) + 0.5) / POINTS) ** 2
    if variable == "log":
        return np.exp(math.log(low) + math.log(high / low) * shares)
    return (math.sqrt(low) + (math.sqrt(high) - math.sqrt(low)) * shares) ** 2


def _density(law, lam: np.ndarray, variable: str) -> np.ndarray:
    factor = {"lambda": np.ones_like, "log": lambda x: x, "sigma": lambda x: 2 * np.sqrt(x)}[variable]
    return np.asarray(law.density(lam), dtype=np.float64) * factor(lam)


def _draw_density(
    ax: Axes, law, variable: str, window: tuple[float, float], colour: str, label: str
) -> tuple[float, float]:
    """Draw it; returns the heights between which a figure should show it, the lower one for logarithmic axes."""
    lam = _grid(law, variable, window)
    density = _density(law, lam, variable) if lam.size else lam
    if not np.any(density > 0):
        ax.plot([], [], color=colour, linewidth=1.6, label=label)
        return 0.0, 0.0
    x, top = _place(lam, variable), int(np.argmax(density))
    # The line comes down to 0 at those ends of the support that are in sight and where the density does not grow.
    left = [x[0]] if top > 0 and lam[0] > 1.001 * window[0] > 0 else []
    right = [x[-1]] if top < len(lam) - 1 else []
    zeros = [0.0]
    ax.plot(
        np.concatenate([left, x, right]),
        np.concatenate([zeros * len(left), density, zeros * len(right)]),
        color=colour,
        linewidth=1.6,
        label=label,
    )
    position = np.log(x) if variable == "log" else x
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
    ax: Axes, law, eigenvalues: np.ndarray, variable: str, window: tuple[float, float], colour: str
) -> tuple[float, float]:
    """Draw it; returns the heights between which a figure should show it."""
    values = eigenvalues[~_at_atoms(law, eigenvalues).any(axis=0)]
    top = max(window[1], float(eigenvalues.max()))
    if variable == "log":
        edges = np.geomspace(window[0], top, BINS + 1)
        widths = np.diff(np.log(edges))
    else:
        edges = np.linspace(_place(window[0], variable), _place(top, variable), BINS + 1)
        widths = np.diff(edges)
    counts, _ = np.histogram(_place(values, variable), edges)
    heights = counts / (eigenvalues.size * widths)
    ax.stairs(heights, edges, fill=True, color=colour, alpha=0.15, linewidth=0, zorder=1)
    ax.stairs(heights, edges, color=colour, alpha=0.75, linewidth=0.8, zorder=1.5)
    count, width = eigenvalues.shape
    name = f"simulation: {count} network{'s' * (count > 1)} of width {width}"
    _once(ax, name, linestyle="-", color=colour)
    middles = 0.5 * (np.log(edges[1:] * edges[:-1]) if variable == "log" else edges[1:] + edges[:-1])
    height = _height(middles, heights)
    return height, height


def _at_atoms(law, eigenvalues: np.ndarray) -> np.ndarray:
    """Which eigenvalues are at which atom, (atoms, networks, width)."""
    rounding = AT_ZERO * float(eigenvalues.max(initial=0.0))
    # Where the law itself holds such small eigenvalues, only what is exactly 0 belongs to the atom there.
    rounding = rounding if _quantiles(law, 0.01)[0] > rounding else 0.0
    reach = [AT_ATOM * place if place else rounding for place, _ in _atoms(law)]
    at = [np.abs(eigenvalues - place) <= width for (place, _), width in zip(_atoms(law), reach, strict=True)]
    return np.array(at).reshape(len(at), *eigenvalues.shape)


def _draw_atoms(ax: Axes, laws: Sequence, samples: Sequence, variable: str, colours: Sequence[str]) -> None:
    """Point masses as stems on an axis of their own, to the right; crosses are the measured ones."""
    if variable == "log":
        _note_zero(ax, laws)
    # A logarithmic axis has no place for an atom at 0.
    if not any(place > 0 or variable != "log" for law in laws for place, _ in _atoms(law)):
        return
    masses = ax.twinx()
    for law, sample, colour in zip(laws, samples, colours, strict=True):
        stem = colour if len(laws) > 1 else ORANGE
        eigenvalues = None if sample is None else np.asarray(sample, dtype=np.float64) ** 2
        for number, (place, mass) in enumerate(_atoms(law)):
            if place == 0 and variable == "log":
                continue
            x = _place(place, variable)
            masses.vlines(x, 0.0, mass, color=stem, linewidth=2.2)
            masses.plot(x, mass, marker="o", color=stem, linestyle="none", clip_on=False)
            _once(ax, "atom", marker="o", color=stem)
            if eigenvalues is not None:
                found = _at_atoms(law, eigenvalues)[number].mean()
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


def _note_zero(ax: Axes, laws: Sequence) -> None:
    """An atom at 0 in words."""
    zero = [mass for law in laws for place, mass in _atoms(law) if place == 0]
    if zero:
        low, high = min(zero), max(zero)
        text = f"{low:.3g}" if high - low <= 1e-3 * high else f"{low:.3g} to {high:.3g}"
        _once(ax, f"atom at 0: mass {text}")


def _once(ax: Axes, label: str, *, linestyle: str = "none", marker: str = "", color: str = BLACK) -> None:
    """An entry of the legend, unless it is there already."""
    if label not in ax.get_legend_handles_labels()[1]:
        ax.plot([], [], linestyle=linestyle, marker=marker, color=color, linewidth=0.8, label=label)


def _frame(ax: Axes, variable: str, window: tuple[float, float], heights: Sequence[tuple[float, float]]) -> None:
    low, high = (_place(end, variable) for end in window)
    if variable == "log":
        ax.set_xscale("log")
        ax.set_xlim(low, high * (high / low) ** 0.04)
    else:
        ax.set_xlim(low - 0.04 * (high - low), high + 0.06 * (high - low))
        ax.xaxis.set_major_locator(MaxNLocator(8))
    drawn = [height for _, height in heights if height > 0]
    if drawn and max(drawn) > UNEQUAL * min(drawn):
        ax.set_yscale("log")
        ax.set_ylim(max(0.5 * min(end for end, height in heights if height > 0), DECADES * max(drawn)), 4 * max(drawn))
    elif drawn:
        ax.set_ylim(0.0, 1.35 * max(drawn))
    ax.grid(color="#dddddd", linewidth=0.6)
    ax.set_axisbelow(True)
