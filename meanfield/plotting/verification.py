"""Theory against simulated networks."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from meanfield.arguments import choice
from meanfield.plotting.style import (
    BLACK,
    BLUE,
    GREEN,
    MEANINGS,
    ORANGE,
    SYMBOLS,
    VERMILION,
    add_legend,
    axes_for,
    label_axes,
    text_size,
)

__all__ = ["plot_report", "plot_residuals", "verification_figure"]

LABEL_ROOM = 0.28  # of the range of layers


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
    ours = ax is None
    ax = axes_for(ax, (3.4, 2.6))
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
            place = (layers[0], checks[0].theory)
            ax.annotate(
                label,
                place,
                xytext=(-5, 0),
                textcoords="offset points",
                ha="right",
                va="center",
                fontsize=text_size(ax),
            )
            # Room for it to the left of the first layer.
            ax.update_datalim([(layers[0] - LABEL_ROOM * max(layers[-1] - layers[0], 1), place[1])])
            ax.autoscale_view()
    _set_layers(ax, [check.layer for checks in groups[quantity].values() for check in checks])
    ax.grid(color="#dddddd", linewidth=0.6)
    label_axes(ax, "layer $l$", f"{SYMBOLS[quantity]}, {MEANINGS[quantity]}", title)
    add_legend(ax, ax.get_legend_handles_labels()[0], outside=ours)
    return ax


def plot_residuals(report, *, title: str | None = None, ax: Axes | None = None):
    """z of every check of a verification, as `verify.Check` defines it; hollow ones are undecided, crosses failed."""
    ours = ax is None
    ax = axes_for(ax, (3.4, 2.6))
    markers = {
        "q": "o",
        "c": "s",
        "chi": "^",
        "gradient": "P",
        "jacobian_moment": "D",
        "mean_log_sigma": "v",
        "lambda_max": "*",
        "trace": "X",
        "xi_q": "<",
        "xi_c": ">",
        "ntk": "p",
        "ntk_cosine": "h",
    }
    colours = {
        "q": BLUE,
        "c": ORANGE,
        "chi": GREEN,
        "gradient": GREEN,
        "jacobian_moment": VERMILION,
        "mean_log_sigma": BLACK,
        "lambda_max": BLUE,
        "trace": ORANGE,
        "xi_q": BLUE,
        "xi_c": ORANGE,
        "ntk": VERMILION,
        "ntk_cosine": BLACK,
    }
    layers = {check.layer for check in report.checks}
    groups = _groups(report)
    for number, (quantity, series) in enumerate(groups.items()):
        # Without layers each quantity has a place of its own.
        checks = [(number if layers == {0} else check.layer, check) for checks in series.values() for check in checks]
        kept = [(x, check.z) for x, check in checks if check.passed and not check.undecided]
        doubtful = [(x, check.z) for x, check in checks if check.undecided]
        lost = [(x, check.z) for x, check in checks if not check.passed]
        colour, symbol = colours[quantity], SYMBOLS[quantity]
        ax.plot(*_columns(kept), linestyle="none", color=colour, marker=markers[quantity], label=symbol)
        ax.plot(*_columns(doubtful), linestyle="none", color=colour, marker=markers[quantity], markerfacecolor="white")
        ax.plot(*_columns(lost), linestyle="none", color=colour, marker="x", markersize=9, markeredgewidth=2)
    ax.axhline(0.0, color=BLACK, linewidth=0.8)
    ax.axhspan(-2, 2, color="#eeeeee", zorder=0)
    ax.margins(y=0.12)
    if layers == {0}:
        ax.set_xticks(range(len(groups)), [SYMBOLS[quantity] for quantity in groups])
        ax.set_xlim(-0.5, len(groups) - 0.5)
        name = "quantity of the whole network"
    else:
        _set_layers(ax, [check.layer for check in report.checks])
        name = "layer $l$ (0: the whole network)" if 0 in layers else "layer $l$"
    label_axes(
        ax,
        name,
        "$z$: distance less allowance,\nin standard errors",
        title,
    )
    add_legend(ax, ax.get_legend_handles_labels()[0], outside=ours)
    return ax


def verification_figure(report, *, title: str | None = None) -> Figure:
    """A Figure with one panel for each quantity that has layers and one for the residuals of all."""
    groups = [
        name
        for name, series in _groups(report).items()
        if all(check.layer for each in series.values() for check in each)
    ]
    figure = Figure(figsize=(3.4, 1.9 * (len(groups) + 1) + 0.5), layout="constrained")
    *panels, last = figure.subplots(len(groups) + 1, 1, sharex=True, squeeze=False)[:, 0]
    for number, (ax, quantity) in enumerate(zip(panels, groups, strict=True)):
        plot_report(report, quantity=quantity, title=None if number else title, ax=ax)
        ax.set_xlabel("")
        # Only the symbol: the words are longer than a panel is high.
        ax.set_ylabel(SYMBOLS[quantity])
    plot_residuals(report, title=None if panels else title, ax=last)
    # One legend below all panels, where it covers no point.
    drawn = [ax.get_legend_handles_labels()[0] for ax in ([*panels[:1], last])]
    for ax in figure.axes:
        if legend := ax.get_legend():
            legend.remove()
    add_legend(last, [handle for handles in drawn for handle in handles], outside=True)
    return figure


def _set_layers(ax: Axes, layers: list[int]) -> None:
    """Ticks at round numbers of layers there are, though the axis may begin before the first."""
    ticks = MaxNLocator(8, integer=True).tick_values(min(layers), max(layers))
    ax.set_xticks([tick for tick in ticks if min(layers) <= tick <= max(layers)])


def _groups(report) -> dict[str, dict[str, list]]:
    """The checks of a report by quantity, then by pair of inputs, in the order of layers."""
    groups: dict[str, dict[str, list]] = {}
    for check in report.checks:
        groups.setdefault(check.quantity, {}).setdefault(check.label, []).append(check)
    return groups


def _columns(pairs: list[tuple[int, float]]) -> tuple[list[int], list[float]]:
    return [x for x, _ in pairs], [y for _, y in pairs]
