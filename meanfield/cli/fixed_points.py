"""``meanfield fixed-points``: where the lengths of signals settle."""

import click

from meanfield.cli.options import declare, phi_argument
from meanfield.cli.output import Answer, deliver, echo
from meanfield.cli.points import fixed_point_table

FIELDS = (
    "q_star",
    "alpha",
    "stable",
    "chi_1",
    "c_star",
    "chi_c",
    "xi_q",
    "xi_c",
    "xi_gradient",
    "phase",
    "error",
)


@declare(
    "fixed-points",
    example="meanfield fixed-points silu --sigma-w 1.65 --sigma-b 0.2",
    suffixes=(".json", ".csv", ".npz"),
)
@phi_argument
@click.option("--sigma-w", type=float, required=True, help="Standard deviation of the weights times sqrt(fan_in).")
@click.option("--sigma-b", type=float, required=True, help="Standard deviation of the biases.")
@click.option("--q0", type=float, default=1.0, show_default=True, help="Variance of the first pre-activation.")
def command(phi, sigma_w, sigma_b, q0, as_json, output) -> None:
    """All length fixed points of PHI, with stability, phase and depth scales.

    The first one shown is the one that lengths reach from --q0.
    """
    import meanfield as mf

    nonlinearity = mf.as_nonlinearity(phi)
    points = mf.fixed_points(nonlinearity, sigma_w, sigma_b)
    try:
        reached = mf.fixed_point(nonlinearity, sigma_w, sigma_b, q0=q0)
    except mf.NoFixedPointError as error:
        if not points:
            raise
        click.echo(f"Warning: {error}", err=True)
        first, others = points[0], list(points[1:])
        escapes = True
    else:
        first, escapes = reached, False
        # Where every q is fixed, the one at q0 stands for them all.
        others = [p for p in points if p.q_star != first.q_star and first.status != mf.Status.EVERY_Q_FIXED]

    def show() -> None:
        where = f"{nonlinearity.name} at sigma_w = {sigma_w:g}, sigma_b = {sigma_b:g}"
        fixed_point_table(where, [first, *others])
        if escapes:
            echo(f"From q0 = {q0:g} the lengths grow without bound.")
        else:
            echo(f"From q0 = {q0:g} the lengths reach q_star = {first.q_star:.8g}: {first.phase}.")
        if first.status != mf.Status.CONVERGED:
            echo(first.status.message)

    found = [first, *others]
    deliver(
        "fixed-points",
        Answer(
            data={
                "phi": nonlinearity.name,
                **first.to_dict(),
                "q0": q0,
                "reached_from_q0": not escapes,
                "others": [other.to_dict() for other in others],
            },
            show=show,
            table={name: [getattr(point, name) for point in found] for name in FIELDS},
        ),
        as_json=as_json,
        output=output,
    )
