"""``meanfield validate``: the theory against simulated networks."""

from itertools import chain
from typing import Any

import click

from meanfield.cli.long_runs import folder_options, kept_in
from meanfield.cli.options import IMAGES, checked_options, declare, phi_argument, refuse_ignored, simulation_options
from meanfield.cli.output import Answer, deliver, echo, print_table
from meanfield.cli.simulation_cost import announce_simulation

COLUMNS = ("name", "theory", "estimate", "standard_error", "width_bias", "z", "p_value", "undecided", "passed")
# Of the finite-width answer: numbers, each with the name of its standard error.
MEASURED = {"bias": "standard_error", "spread": "spread_error", "deviation": "deviation_error"}
WIDTH = ("required_width", "required_width_error")
PRECISION = 0.05
WITHOUT_FIGURE = (".json", ".csv", ".npz", ".html")


@declare(
    "validate",
    example="meanfield validate tanh --sigma-w 1.5 --sigma-b 0.3 --depth 5 --widths 100,200,400\n"
    "  meanfield validate tanh --width 256 --depth 50",
    suffixes=(*WITHOUT_FIGURE, *IMAGES),
)
@phi_argument
@checked_options
@click.option(
    "--lengths",
    type=click.Choice(["free", "reset"]),
    default="free",
    show_default=True,
    help="reset: lengths are set back to q0 in every layer, for fixed points that repel.",
)
@click.option(
    "--dtype",
    type=click.Choice(["float64", "float32"]),
    default="float64",
    show_default=True,
    help="Of signals and gradients; float32 is held against float64 on a few of the networks.",
)
@click.option(
    "--width",
    type=int,
    help="Instead of a verdict: how far networks of this width are from the theory, and the width needed.",
)
@click.option(
    "--precision",
    type=float,
    help=f"Stop with fewer networks once standard errors are below it; with --width: the distance wanted, "
    f"by default {PRECISION:g}. Relative for q, chi and gradient, in units of 1 - c^2 for c.",
)
@simulation_options
@folder_options("finished networks")
def command(
    phi, sigma_w, sigma_b, width, precision, level, workers, folder, resume, max_memory, as_json, output, **setting
) -> int:
    """Hold the theory of PHI against simulated networks.

    Lengths, correlations and gradients are measured layer by layer and compared with the theory. z is their distance
    in standard errors, both of ln q, ln chi and artanh c, and less what rounding, the theory's own error and curvature
    in 1/width may explain of it. The exit code is 1 if the theory is rejected, or if networks differ too much
    to tell anything.
    """
    import meanfield as mf
    from meanfield.cli.pool import pool

    if width is not None:
        refuse_ignored("with --width", "widths", "level")
        if output is not None and output.suffix.lower() not in WITHOUT_FIGURE:
            raise mf.InvalidParameterError(
                f"with --width, --output must end in one of {' '.join(WITHOUT_FIGURE)}, got {output.name!r}"
            )
        if setting["dtype"] != "float64":
            raise mf.InvalidParameterError(f"with --width, --dtype must be float64, got {setting['dtype']}")
    nonlinearity = mf.as_nonlinearity(phi)
    if sigma_w is None:
        sigma_w = mf.critical_point(nonlinearity, sigma_b=sigma_b).sigma_w
    point = (nonlinearity, sigma_w, sigma_b)
    announce_simulation(point, setting, setting["widths"] if width is None else width, max_memory)
    with kept_in(folder), pool(workers, "simulation") as executor:
        run = {"executor": executor, "folder": folder, "resume": resume, "max_memory": max_memory}
        if width is None:
            answer, code = _verdict(point, {**setting, "precision": precision, "level": level}, run)
        else:
            wanted = PRECISION if precision is None else precision
            del setting["widths"], setting["dtype"]
            answer, code = _finite_width(point, {**setting, "width": width, "precision": wanted}, run), 0
    deliver("validate", answer, as_json=as_json, output=output)
    return code


def _verdict(point: tuple, setting: dict[str, Any], run: dict[str, Any]) -> tuple[Answer, int]:
    import verify

    report = verify.check(*point, **setting, **run)

    def show() -> None:
        rows = [
            [check.name, *(f"{getattr(check, name):.6g}" for name in COLUMNS[1:-2]), _mark(check)]
            for check in report.checks
        ]
        print_table((*COLUMNS[:-2], "passed"), rows, title=_title(point))
        for sentence in (report.verdict, *report.notes):
            echo(sentence)

    def figure():
        from meanfield.plotting import verification_figure

        return verification_figure(report, title=point[0].name)

    def html(provenance) -> str:
        from meanfield.report import page, verification_section

        section = verification_section(report, setting, title=point[0].name, provenance=provenance)
        return page(_title(point), "", [section], provenance)

    answer = Answer(
        data={**_data(point, setting), **report.to_dict()},
        show=show,
        page=html,
        table={name: [getattr(check, name) for check in report.checks] for name in COLUMNS},
        figure=figure,
        seed=setting["seed"],
    )
    return answer, 0 if report.passed else 1


def _mark(check) -> str:
    if check.undecided:
        return "unknown"
    return "yes" if check.passed else "NO"


def _finite_width(point: tuple, setting: dict[str, Any], run: dict[str, Any]) -> Answer:
    import verify

    found = verify.width_bias(*point, **setting, **run)

    headers = ("name", "theory", *(f"{name} ± error" for name in (*MEASURED, WIDTH[0])))
    rows = [
        [
            each.name,
            f"{each.theory:.4g}",
            *(f"{getattr(each, name):.4g} ± {getattr(each, error):.1g}" for name, error in MEASURED.items()),
            f"{each.required_width:.0f} ± {each.required_width_error:.0f}",
        ]
        for each in found.deviations
    ]

    def show() -> None:
        print_table(headers, rows, title=_title(point))
        echo(found.summary)

    def html(provenance) -> str:
        from meanfield.report import finite_width_section, page

        return page(_title(point), "", [finite_width_section(found, setting, headers, rows)], provenance)

    columns = ("name", "theory", *chain.from_iterable(MEASURED.items()), *WIDTH)
    return Answer(
        data={**_data(point, setting), **found.to_dict()},
        show=show,
        page=html,
        table={name: [getattr(each, name) for each in found.deviations] for name in columns},
        seed=setting["seed"],
    )


def _title(point: tuple) -> str:
    nonlinearity, sigma_w, sigma_b = point
    return f"{nonlinearity.name} at sigma_w = {sigma_w:.8g}, sigma_b = {sigma_b:g}"


def _data(point: tuple, setting: dict[str, Any]) -> dict[str, Any]:
    nonlinearity, sigma_w, sigma_b = point
    kept = {name: value for name, value in setting.items() if name != "seed"}  # which provenance holds
    return {"phi": nonlinearity.name, "sigma_w": sigma_w, "sigma_b": sigma_b, **kept}
