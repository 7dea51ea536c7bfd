"""``meanfield critical``: where to initialise."""

import warnings

import click

from meanfield.cli.options import declare, phi_argument
from meanfield.cli.output import Answer, deliver
from meanfield.cli.points import field_lines, fixed_point_table


@declare(
    "critical",
    example="meanfield critical tanh --sigma-b 0.3",
    suffixes=(".json", ".csv", ".npz"),
)
@phi_argument
@click.option("--sigma-b", type=float, help="Standard deviation of the biases; 0.05 if nothing is given.")
@click.option("--sigma-w", type=float, help="Or that of the weights, times the square root of the fan-in.")
@click.option("--q-star", type=float, help="Or the variance of the pre-activations.")
def command(phi, sigma_b, sigma_w, q_star, as_json, output) -> None:
    """Critical (sigma_w, sigma_b) to initialise PHI with.

    There, gradients neither grow nor shrink with depth: sigma_w^2 E phi'^2 = 1. Draw weights from
    N(0, sigma_w^2/fan_in) and biases from N(0, sigma_b^2).
    """
    import meanfield as mf

    given = {"sigma_b": sigma_b, "sigma_w": sigma_w, "q_star": q_star}
    chosen = {name: value for name, value in given.items() if value is not None} or {"sigma_b": 0.05}
    if len(chosen) > 1:
        raise click.UsageError("give exactly one of --sigma-b, --sigma-w, --q-star", click.get_current_context())
    nonlinearity = mf.as_nonlinearity(phi)
    point = mf.critical_point(nonlinearity, **chosen)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mf.UnstableCriticalPointWarning)  # said once by the line above
        others = [other for other in mf.critical_points(nonlinearity, **chosen) if other.q_star != point.q_star]
    fixed_points = mf.fixed_points(nonlinearity, point.sigma_w, point.sigma_b)

    def show() -> None:
        field_lines(f"{nonlinearity.name} is critical at", point)
        for other in others:
            field_lines("and at", other)
        if len(fixed_points) > 1:
            fixed_point_table("fixed points at the first of these (sigma_w, sigma_b)", fixed_points)

    found = [point, *others]
    deliver(
        "critical",
        Answer(
            data={
                "phi": nonlinearity.name,
                **point.to_dict(),
                "others": [other.to_dict() for other in others],
                "fixed_points": [fixed.to_dict() for fixed in fixed_points],
            },
            show=show,
            table={
                name: [getattr(each, name) for each in found]
                for name in ("sigma_w", "sigma_b", "q_star", "alpha", "stable", "error")
            },
        ),
        as_json=as_json,
        output=output,
    )
