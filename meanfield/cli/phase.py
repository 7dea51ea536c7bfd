"""``meanfield phase``: the phase diagram, on the screen or in a file."""

import click

from meanfield.cli.long_runs import announce, folder_options, kept_in
from meanfield.cli.options import (
    IMAGES,
    declare,
    ordered,
    phi_argument,
    refuse_ignored,
    refuse_without_figure,
    workers_option,
)
from meanfield.cli.output import Answer, deliver, echo, screen_width

NUMBERS = ("q_star", "alpha", "chi_1", "c_star", "chi_c", "xi_q", "xi_c", "xi_gradient", "error")
LETTERS = {"ordered": ".", "critical": "=", "chaotic": "#", "unbounded": "~"}


@declare(
    "phase",
    example="meanfield phase tanh --sigma-w 0.5 3 --sigma-b 0 1 --output phase.png",
    suffixes=(*IMAGES, ".csv", ".npz", ".json"),
)
@phi_argument
@click.option(
    "--sigma-w", type=float, nargs=2, metavar="LOW HIGH", help="Range of sigma_w, by default around the critical one."
)
@click.option("--sigma-b", type=float, nargs=2, metavar="LOW HIGH", help="Range of sigma_b.")
@click.option(
    "--points", type=click.IntRange(1, 10_000), nargs=2, default=(61, 41), show_default=True, help="Columns and rows."
)
@click.option("--q0", type=float, default=1.0, show_default=True, help="Variance of the first pre-activation.")
@click.option(
    "--field",
    type=click.Choice(["phase", *NUMBERS[:-1], "n_fixed_points"]),
    default="phase",
    show_default=True,
    help="What the colours of a map show.",
)
@click.option(
    "--figure",
    "kind",
    type=click.Choice(["map", "depth-scales", "trainability"]),
    default="map",
    show_default=True,
    help="A map of the plane; depth scales over sigma_w, for up to five rows; how deep signals reach, in one row: the "
    "lowest of those where correlations are defined for the most sigma_w (for another: --sigma-b B B --points N 1).",
)
@click.option(
    "--axes",
    type=click.Choice(["deviation", "variance"]),
    default="deviation",
    show_default=True,
    help="Axes of a figure: sigma_w and sigma_b, or their squares.",
)
@workers_option
@folder_options("finished strips of the diagram")
def command(
    phi, sigma_w, sigma_b, points, q0, field, kind, axes, workers, folder, resume, max_memory, as_json, output
) -> None:
    """The phase diagram of PHI.

    Each pair (sigma_w, sigma_b) is ordered, chaotic, critical or unbounded, by the fixed point that --q0 leads to.
    """
    import numpy as np

    import meanfield as mf
    from meanfield.arguments import interval
    from meanfield.cli.defaults import default_point, default_window, drawn_line
    from meanfield.cli.pool import pool
    from meanfield.diagrams import predicted_cost

    refuse_without_figure(output, "field", "kind", "axes")
    if kind != "map":
        refuse_ignored(f"with --figure {kind}", "field")
    nonlinearity = mf.as_nonlinearity(phi)
    if sigma_w is None or sigma_b is None:
        point = default_point(nonlinearity)
        window = default_window(point.sigma_w, point.sigma_b)
        sigma_w, sigma_b = sigma_w or window[0], sigma_b or window[1]
    left, right = ordered("sigma_w", interval("sigma_w", sigma_w, low=0.0, open_low=True), points[0])
    bottom, top = ordered("sigma_b", interval("sigma_b", sigma_b, low=0.0), points[1])
    columns, rows = np.linspace(left, right, points[0]), np.linspace(bottom, top, points[1])
    announce(*predicted_cost(columns.size * rows.size), max_memory)
    with kept_in(folder), pool(workers, "phase diagram") as executor:
        diagram = mf.phase_diagram(
            nonlinearity,
            columns,
            rows,
            q0=q0,
            executor=executor,
            folder=folder,
            resume=resume,
            max_memory=max_memory,
        )

    def show() -> None:
        echo(nonlinearity.name)
        echo(f"sigma_w {columns[0]:g} to {columns[-1]:g} across, sigma_b {rows[0]:g} to {rows[-1]:g} up")
        shown = _columns_shown(columns.size)
        if shown.size < columns.size:
            echo(f"{shown.size} of the {columns.size} columns fit the screen")
        for line in diagram.phase[::-1, shown]:
            echo("".join(LETTERS.get(name, "?") for name in line))
        echo(". ordered   # chaotic   = critical   ~ unbounded")
        for code in np.unique(diagram.status[diagram.phase == ""]):
            echo(f"? {mf.Status(code).message}")

    def figure():
        from meanfield.plotting import figure_of, plot_depth_scales, plot_phase_diagram, plot_trainability

        look = {"axes": axes, "title": nonlinearity.name}
        if kind == "trainability":
            return figure_of(plot_trainability(diagram, **look))
        line = drawn_line(nonlinearity)
        if kind == "depth-scales":
            return figure_of(plot_depth_scales(diagram, line=line, **look))
        return figure_of(plot_phase_diagram(diagram, field=field, line=line, **look))

    across, up = np.meshgrid(columns, rows)
    table = {"sigma_w": across.ravel(), "sigma_b": up.ravel()}
    table |= {name: np.ravel(getattr(diagram, name)) for name in (*NUMBERS, "n_fixed_points")}
    table["phase"] = np.ravel(diagram.phase).astype(str)
    table["status"] = np.array([mf.Status(code).name.lower() for code in np.ravel(diagram.status)])
    data = {
        "phi": nonlinearity.name,
        "q0": q0,
        **diagram.to_dict(),
        "status": table["status"].reshape(np.shape(diagram.status)),
    }
    grid = {name: column.reshape(across.shape) for name, column in table.items()}
    arrays = {**grid, "sigma_w": columns, "sigma_b": rows}
    answer = Answer(data=data, show=show, table=table, arrays=arrays, figure=figure)
    deliver("phase", answer, as_json=as_json, output=output)


def _columns_shown(count: int):
    """Which columns of a map are printed: all of them, or as many, evenly spaced, as the screen is wide."""
    import numpy as np

    return np.linspace(0, count - 1, min(count, screen_width() or count)).round().astype(int)
