"""``meanfield line``: the critical line."""

import click

from meanfield.cli.options import IMAGES, declare, ordered, phi_argument
from meanfield.cli.output import Answer, deliver, print_table


@declare(
    "line",
    example="meanfield line tanh --sigma-b 0 0.5 --points 11",
    suffixes=(".json", ".csv", ".npz", *IMAGES),
)
@phi_argument
@click.option("--sigma-b", type=float, nargs=2, metavar="LOW HIGH", help="Range of sigma_b, evenly spaced.")
@click.option("--q-star", type=float, nargs=2, metavar="LOW HIGH", help="Or range of q_star, spaced in ratio.")
@click.option("--points", type=click.IntRange(1, 100_000), default=21, show_default=True, help="Points on it.")
def command(phi, sigma_b, q_star, points, as_json, output) -> None:
    """The critical line of PHI.

    These are the pairs (sigma_w, sigma_b) at which gradients keep their size with depth. Without a range the line is
    followed from q_star = 0.001 to 10, or over four decades from where it begins.
    """
    import numpy as np

    import meanfield as mf
    from meanfield.arguments import interval
    from meanfield.cli.defaults import default_lengths

    if sigma_b is not None and q_star is not None:
        raise click.UsageError("give one of --sigma-b, --q-star", click.get_current_context())
    nonlinearity = mf.as_nonlinearity(phi)
    if sigma_b is not None:
        low, high = ordered("sigma_b", interval("sigma_b", sigma_b, low=0.0), points)
        name, values = "sigma_b", np.linspace(low, high, points)
    else:
        lengths = q_star or default_lengths(nonlinearity)
        low, high = ordered("q_star", interval("q_star", lengths, low=0.0, open_low=True), points)
        name, values = "q_star", np.geomspace(low, high, points)
    line = mf.critical_line(nonlinearity, **{name: values})
    if np.isnan(line.sigma_w).all():
        mf.critical_point(nonlinearity, **{name: values[0]})  # raises, and says what the line reaches
    fields = {name: getattr(line, name) for name in ("q_star", "sigma_w", "sigma_b", "alpha", "stable", "error")}
    fields["status"] = [mf.Status(code).name.lower() for code in line.status]

    def show() -> None:
        rows = [
            ["-"] * 5 + [state]
            if np.isnan(w)
            else [f"{q:.6g}", f"{w:.10g}", f"{b:.10g}", f"{alpha:.6g}", "yes" if stable else "no", state]
            for q, w, b, alpha, stable, state in zip(
                *(fields[column] for column in ("q_star", "sigma_w", "sigma_b", "alpha", "stable", "status")),
                strict=True,
            )
        ]
        print_table(
            ("q_star", "sigma_w", "sigma_b", "alpha", "stable", "status"),
            rows,
            title=f"critical line of {nonlinearity.name}",
        )

    def figure():
        from meanfield.plotting import figure_of, plot_critical_line

        return figure_of(plot_critical_line(line, title=nonlinearity.name))

    deliver(
        "line",
        Answer(data={"phi": nonlinearity.name, **line.to_dict(), **fields}, show=show, table=fields, figure=figure),
        as_json=as_json,
        output=output,
    )
