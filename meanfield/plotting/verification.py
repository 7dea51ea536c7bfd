"""Theory against simulated networks."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from meanfield.arguments import choice
from meanfield.plotting.style import BLACK, BLUE, GREEN, MEANINGS, ORANGE, SYMBOLS, VERMILION, axes_for, label_axes

__all__ = ["plot_report", "plot_residuals", "verification_figure"]


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
    ax = axes_for(ax, (6.4, 3.6))
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
    label_axes(ax, "layer $l$", f"{SYMBOLS[quantity]}, {MEANINGS[quantity]}", title)
    return ax


def plot_residuals(report, *, title: str | None = None, ax: Axes | None = None):
    """Distance of simulation and theory in standard errors, every check of a verification; crosses failed."""
    ax = axes_for(ax, (6.4, 3.6))
    markers = {
        "q": "o",
        "c": "s",
        "chi": "^",
        "gradient": "P",
        "jacobian_moment": "D",
        "mean_log_sigma": "v",
        "trace": "X",
        "xi_q": "<",
        "xi_c": ">",
    }
    colours = {
        "q": BLUE,
        "c": ORANGE,
        "chi": GREEN,
        "gradient": GREEN,
        "jacobian_moment": VERMILION,
        "mean_log_sigma": BLACK,
        "trace": ORANGE,
        "xi_q": BLUE,
        "xi_c": ORANGE,
    }
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
    ax.legend(frameon=False, ncols=5, fontsize="small")
    whole = any(check.layer == 0 for check in report.checks)
    label_axes(
        ax,
        "layer $l$ (0: the whole network)" if whole else "layer $l$",
        "simulation − theory,\nin standard errors",
        title,
    )
    return ax


def verification_figure(report, *, title: str | None = None) -> Figure:
    """A Figure with one panel for each quantity that has layers and one for the residuals of all."""
    groups = [
        name
        for name, series in _groups(report).items()
        if all(check.layer for each in series.values() for check in each)
    ]
    figure = Figure(figsize=(6.4, 2.7 * (len(groups) + 1)), layout="constrained")
    *panels, last = figure.subplots(len(groups) + 1, 1, sharex=True)
    for number, (ax, quantity) in enumerate(zip(panels, groups, strict=True)):
        plot_report(report, quantity=quantity, title=None if number else title, ax=ax)
        ax.set_xlabel("")
        if number and (legend := ax.get_legend()):
            legend.remove()
    plot_residuals(report, ax=last)
    return figure


def _groups(report) -> dict[str, dict[str, list]]:
    """The checks of a report by quantity, then by pair of inputs, in the order of layers."""
    groups: dict[str, dict[str, list]] = {}
    for check in report.checks:
        groups.setdefault(check.quantity, {}).setdefault(check.label, []).append(check)
    return groups


def _columns(pairs: list[tuple[int, float]]) -> tuple[list[int], list[float]]:
    return [x for x, _ in pairs], [y for _, y in pairs]
