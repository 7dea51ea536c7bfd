"""``meanfield validate``: the theory against simulated networks."""

import click

from meanfield.cli.options import Numbers, declare, phi_argument, simulation_options
from meanfield.cli.output import Answer, deliver, echo, print_table

COLUMNS = ("name", "theory", "estimate", "standard_error", "width_bias", "z", "p_value", "passed")


@declare(
    "validate",
    example="meanfield validate tanh --sigma-w 1.5 --sigma-b 0.3 --depth 5 --widths 100,200,400",
    suffixes=(".json", ".csv", ".npz", ".png", ".pdf", ".svg"),
)
@phi_argument
@click.option("--sigma-w", type=float, help="Standard deviation of the weights times sqrt(fan_in); else critical.")
@click.option("--sigma-b", type=float, default=0.05, show_default=True, help="Standard deviation of the biases.")
@click.option("--q0", type=float, default=1.0, show_default=True, help="Variance of the first pre-activation.")
@click.option("--c0", type=Numbers(float), default=(0.5,), show_default="0.5", help="Correlations of pairs of inputs.")
@simulation_options
def command(
    phi, sigma_w, sigma_b, q0, c0, depth, widths, networks, weights, level, seed, workers, as_json, output
) -> int:
    """Hold the theory of PHI against simulated networks.

    Lengths, correlations and gradients are measured layer by layer and compared with the theory in standard errors.
    The exit code is 1 if the theory is rejected.
    """
    import meanfield as mf
    import verify
    from meanfield.cli.pool import pool

    nonlinearity = mf.as_nonlinearity(phi)
    if sigma_w is None:
        sigma_w = mf.critical_point(nonlinearity, sigma_b=sigma_b).sigma_w
    with pool(workers, "simulation") as executor:
        report = verify.check(
            nonlinearity,
            sigma_w,
            sigma_b,
            depth=depth,
            widths=widths,
            networks=networks,
            weights=weights,
            q0=q0,
            c0=c0,
            level=level,
            seed=seed,
            executor=executor,
        )

    def show() -> None:
        rows = [
            [check.name, *(f"{getattr(check, name):.6g}" for name in COLUMNS[1:-1]), "yes" if check.passed else "NO"]
            for check in report.checks
        ]
        print_table(COLUMNS, rows, title=f"{nonlinearity.name} at sigma_w = {sigma_w:.8g}, sigma_b = {sigma_b:g}")
        echo(report.verdict)

    def figure():
        from meanfield.plotting import verification_figure

        return verification_figure(report, title=nonlinearity.name)

    deliver(
        "validate",
        Answer(
            data={
                "phi": nonlinearity.name,
                "sigma_w": sigma_w,
                "sigma_b": sigma_b,
                "depth": depth,
                "widths": widths,
                "networks": networks,
                "weights": weights,
                "q0": q0,
                **report.to_dict(),
            },
            show=show,
            table={name: [getattr(check, name) for check in report.checks] for name in COLUMNS},
            figure=figure,
            seed=seed,
        ),
        as_json=as_json,
        output=output,
    )
    return 0 if report.passed else 1
