"""``meanfield calibrate``: how often a verdict of `validate` is wrong."""

import click

from meanfield.cli.long_runs import folder_options, kept_in
from meanfield.cli.options import checked_options, declare, refuse_ignored, simulation_options
from meanfield.cli.output import Answer, deliver, echo, print_table
from meanfield.cli.simulation_cost import announce_simulation

COLUMNS = ("name", "rejected", "rate", "low", "high", "expected")


@declare(
    "calibrate",
    example="meanfield calibrate tanh --sigma-w 1.5 --sigma-b 0.3 --depth 5 --widths 50,100,200 --runs 200",
    suffixes=(".json", ".csv", ".npz"),
)
@click.argument("phi", required=False)
@click.option("--catalogue", is_flag=True, help="Instead: one check of every nonlinearity by name, in every phase.")
@checked_options
@click.option("--runs", type=int, default=100, show_default=True, help="Checks, each with networks of its own.")
@simulation_options
@folder_options("finished runs")
def command(phi, catalogue, sigma_w, sigma_b, workers, folder, resume, max_memory, as_json, output, **setting) -> int:
    """How often a verdict on PHI is wrong.

    Repeats a check with many seeds, against the right theory, for its false alarms, and against wrong ones: parameters
    a little off, for the power to see that, and gross errors, which must fail. "expected" is the share that the most
    telling check would reject by itself. The exit code is 1 if the right theory is rejected more often than the level
    allows, or if a gross error passes of which 99 % is expected, or if there is none of these.
    """
    import meanfield as mf
    from meanfield.cli.pool import pool

    if (phi is None) != catalogue:
        raise mf.InvalidParameterError("give either PHI or --catalogue")
    if catalogue:
        refuse_ignored("with --catalogue", "sigma_w", "sigma_b", "q0", "weights", "runs")
    with kept_in(folder), pool(workers, "calibration") as executor:
        run = {"executor": executor, "folder": folder, "resume": resume, "max_memory": max_memory}
        if catalogue:
            from meanfield.cli.survey import survey

            del setting["runs"], setting["q0"], setting["weights"]
            answer, passed = survey(setting, run)
        else:
            answer, passed = _calibration(mf.as_nonlinearity(phi), sigma_w, sigma_b, setting, run)
    deliver("calibrate", answer, as_json=as_json, output=output)
    return 0 if passed else 1


def _calibration(nonlinearity, sigma_w, sigma_b, setting, run) -> tuple[Answer, bool]:
    import meanfield as mf
    import verify

    if sigma_w is None:
        sigma_w = mf.critical_point(nonlinearity, sigma_b=sigma_b).sigma_w
    point = (nonlinearity, sigma_w, sigma_b)
    announce_simulation(point, setting, setting["widths"], run["max_memory"], repeated=setting["runs"])
    found = verify.calibrate(*point, **setting, **run)

    def show() -> None:
        right = ("nothing wrong", found.false_alarms, found.false_alarm_rate, found.low, found.high, 0.0)
        rows = [right, *(tuple(getattr(each, name) for name in COLUMNS) for each in found.alternatives)]
        print_table(
            ("theory", "rejected", "share", "from", "to", "expected"),
            [(name, str(rejected), *(f"{share:.3f}" for share in shares)) for name, rejected, *shares in rows],
            title=f"{nonlinearity.name} at sigma_w = {sigma_w:.8g}, sigma_b = {sigma_b:g}, {found.runs} runs",
        )
        echo(found.summary)

    answer = Answer(
        data={"phi": nonlinearity.name, "sigma_w": sigma_w, "sigma_b": sigma_b, **setting, **found.to_dict()},
        show=show,
        table={
            name: [getattr(each, name) for each in found.alternatives]
            for name in (*COLUMNS, "visible", "parameter", "size")
        },
        seed=setting["seed"],
    )
    return answer, found.passed
