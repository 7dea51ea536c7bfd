"""``meanfield report``: everything about one nonlinearity in one folder."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from meanfield.cli.options import Folder, PhiCommand, phi_argument, simulation_options
from meanfield.cli.output import SCHEMA_VERSION, echo, emit
from meanfield.cli.session import Session

CELLS = (61, 41)  # columns and rows of the phase diagram
DIAGRAM_FIELDS = ("sigma_w", "sigma_b", "phase", "q_star", "chi_1", "c_star")
EXAMPLE = """\b
Example:
  meanfield report "leaky_relu(slope=0.2)" --output leaky
"""


@click.command("report", cls=PhiCommand, epilog=EXAMPLE, context_settings={"max_content_width": 100})
@phi_argument
@click.option("--sigma-b", type=float, help="Look at the critical point with this sigma_b.")
@click.option("--sigma-w", type=float, help="With --sigma-b: look at this point, critical or not.")
@simulation_options
@click.option("--json", "as_json", is_flag=True, help="Print the content of report.json.")
@click.option(
    "--output",
    "-o",
    type=Folder(),
    metavar="FOLDER",
    help="Folder of the report, by default meanfield-report- and the name; only a report is ever replaced.",
)
@click.option("--traceback", is_flag=True, expose_value=False, help="Show where an error comes from.")
def command(phi, sigma_b, sigma_w, level, seed, workers, as_json, output, **simulation) -> int:
    """Everything about PHI in one folder: report.html, figures, report.json.

    The critical point, the fixed points there, the phase diagram, and the verdict of simulated networks. What cannot
    be told is left out, with the reason. The exit code is 1 unless the verdict is yes.
    """
    import meanfield as mf
    from meanfield.arguments import scalar
    from meanfield.cli.defaults import chosen_point
    from meanfield.report import folder_name, replaced_folder
    from meanfield.results import json_text

    nonlinearity = mf.as_nonlinearity(phi)
    level = scalar("level", level, low=0.0, high=1.0, open_low=True, open_high=True)
    point = chosen_point(nonlinearity, sigma_w=sigma_w, sigma_b=sigma_b)
    folder = output if output is not None else Path(folder_name(nonlinearity.name))
    with replaced_folder(folder) as building:
        record = _build(building, nonlinearity, point, {**simulation, "level": level, "seed": seed}, workers)
    if as_json:
        emit(json_text(record))
    else:
        echo(record["verification"]["verdict"] if record["verification"] else record["missing"]["verification"])
        echo(f"Report: {folder / 'report.html'}")
    return 0 if record["passed"] else 1


def _told(work: Callable[[], Any]) -> tuple[Any, str]:
    """What `work` gives, or None and why it cannot be told."""
    import meanfield as mf

    try:
        return work(), ""
    except mf.MeanFieldError as error:
        return None, str(error)


def _build(folder: Path, phi, point, simulation: dict[str, Any], workers: int) -> dict[str, Any]:
    import numpy as np

    import meanfield as mf
    import verify
    from meanfield.cli.defaults import default_window, drawn_line
    from meanfield.cli.pool import pool
    from meanfield.cli.report_fisher import WIDTH, report_fisher
    from meanfield.cli.report_spectra import report_spectra
    from meanfield.cli.simulation_cost import announce_simulation
    from meanfield.report import (
        critical_section,
        fisher_section,
        fixed_point_section,
        missing_section,
        phase_section,
        spectrum_section,
        verification_lead,
        verification_section,
        write,
    )
    from meanfield.results import provenance

    session: Session = click.get_current_context().find_root().obj
    where = (phi, point.sigma_w, point.sigma_b)
    start = point.critical.q_star if point.critical is not None else 1.0
    points, _ = _told(lambda: mf.fixed_points(*where))
    reached, unsettled = _told(lambda: mf.fixed_point(*where, q0=start))
    if reached is None:  # from q = 1, but smaller lengths may stay
        reached = next((each for each in points or () if each.stable), None)
    # The simulation starts at the fixed point: theory and networks then stay there, or leave it together.
    q0 = reached.q_star if reached is not None and reached.q_star > 0 else 1.0
    across, up = default_window(point.sigma_w, point.sigma_b)
    announce_simulation(where, {**simulation, "quantities": None, "q0": 1.0, "c0": (0.5,)}, simulation["widths"], None)
    with pool(workers, "simulated networks") as executor:
        checked, unchecked = _told(lambda: verify.check(*where, q0=q0, executor=executor, **simulation))
    with pool(workers, "phase diagram") as executor:
        axes = np.linspace(*across, CELLS[0]), np.linspace(*up, CELLS[1])
        drawn, undrawn = _told(lambda: (mf.phase_diagram(phi, *axes, executor=executor), drawn_line(phi)))
    diagram, line = drawn or (None, None)
    spectra, simulated, missing = report_spectra(
        phi, point, reached, depth=simulation["depth"], seed=simulation["seed"]
    )
    fisher = report_fisher(phi, point, reached, depth=simulation["depth"], seed=simulation["seed"])
    origin = provenance(seed=simulation["seed"], command=session.command, wall_time=session.wall_time)
    others = [] if point.critical is None else point.others
    unchecked = unchecked and f"The theory was not compared with simulated networks: {unchecked}."
    reasons = {"fixed_points": "" if reached else unsettled, "phase_diagram": undrawn, "verification": unchecked}
    reasons |= {"spectra": missing, "fisher": fisher.reason}
    record = {
        "schema_version": SCHEMA_VERSION,
        "command": "report",
        "provenance": origin,
        "phi": phi.name,
        "sigma_w": point.sigma_w,
        "sigma_b": point.sigma_b,
        "reason": point.reason,
        "passed": checked is not None and checked.passed,
        "critical": point.critical,
        "others": others,
        "fixed_point": reached,
        "fixed_points": points or (),
        "verification": None if checked is None else {**simulation, "q0": q0, **checked.to_dict()},
        "spectra": {weights: law.to_dict() for weights, law in spectra.items()},
        "fisher": fisher.to_dict(),
        "phase_diagram": None if diagram is None else {name: getattr(diagram, name) for name in DIAGRAM_FIELDS},
        "missing": {name: reason for name, reason in reasons.items() if reason},
    }
    return write(
        folder,
        title=phi.name,
        lead=verification_lead(checked, reason=unchecked),
        sections=[
            critical_section(phi, point.critical, others, reason=point.reason),
            fixed_point_section(points or (), reached, sigma_w=point.sigma_w, sigma_b=point.sigma_b, reason=unsettled),
            missing_section("Phase diagram", undrawn)
            if diagram is None
            else phase_section(phi, diagram, line, (point.sigma_w, point.sigma_b), provenance=origin),
            spectrum_section(phi, spectra, simulated, reason=missing, provenance=origin),
            fisher_section(
                phi,
                fisher.statistics,
                fisher.bound,
                fisher.measured,
                width=WIDTH,
                reason=fisher.reason,
                provenance=origin,
            ),
            missing_section("Checked by simulation", unchecked)
            if checked is None
            else verification_section(checked, {**simulation, "q0": q0}, title=phi.name, provenance=origin),
        ],
        data=record,
        provenance=origin,
    )
