"""The whole catalogue checked, on both sides of criticality and at it, with both kinds of weights."""

import warnings
from collections.abc import Iterator
from typing import Any

from meanfield.cli.output import Answer, echo, print_table
from meanfield.cli.simulation_cost import announce_simulation

__all__ = ["survey"]

WEIGHTS = ("gaussian", "orthogonal")
# Relative to the critical sigma_w, or to 1 where there is none.
FACTORS = (0.8, 1.0, 1.25)
COLUMNS = ("phi", "sigma_w", "sigma_b", "q0", "phase", "weights", "passed", "verdict")


def survey(setting: dict[str, Any], run: dict[str, Any]) -> tuple[Answer, bool]:
    """Check every nonlinearity of the catalogue and tell what failed; `setting` and `run` are those of `verify.check`.

    Each check has a folder of its own in the run's, if there is one. The level is shared out evenly, so that it holds
    for the survey as a whole.
    """
    import verify
    from meanfield.activations import CATALOGUE
    from meanfield.arguments import scalar
    from verify.comparison import UNKNOWN

    scalar("level", setting["level"], low=0.0, high=1.0, open_low=True, open_high=True)
    cost = {**setting, "q0": 1.0, "weights": WEIGHTS[0]}
    checks = len(CATALOGUE) * len(FACTORS) * len(WEIGHTS)
    announce_simulation(("tanh", 1.0, 0.05), cost, setting["widths"], run["max_memory"], repeated=checks)
    cases = [(*point, weights) for point in _points() for weights in WEIGHTS]
    level = setting["level"] / len(cases)
    rows, unknown = [], 0
    folder = run["folder"]
    for number, (phi, sigma_w, sigma_b, q0, phase, weights) in enumerate(cases):
        own = {"q0": q0, "weights": weights, "level": level}
        place = None if folder is None else folder / f"{number:03d}"
        report = verify.check(phi, sigma_w, sigma_b, **{**setting, **run, **own, "folder": place})
        unknown += not report.passed and all(check.passed for check in report.checks)
        values = (phi.name, sigma_w, sigma_b, q0, phase, weights, report.passed, report.verdict)
        rows.append({**dict(zip(COLUMNS, values, strict=True)), "notes": list(report.notes)})
    failed = [row for row in rows if not row["passed"]]
    summary = f"The theory holds in {len(rows) - len(failed)} of {len(rows)} checks of the catalogue."
    if unknown:
        summary += f" In {unknown} networks differ too much to tell."

    def show() -> None:
        print_table(
            COLUMNS[:-1],
            [[_cell(row[name]) for name in COLUMNS[:-1]] for row in rows],
        )
        for row in rows:
            doubts = [note for note in row["notes"] if note.startswith(UNKNOWN)]
            for sentence in doubts if row["passed"] else [row["verdict"], *doubts]:
                echo(f"{row['phi']}, {row['phase']}, {row['weights']}: {sentence}")
        echo(summary)

    data = {"passed": not failed, "level": setting["level"], "summary": summary, "survey": rows}
    table = {name: [row[name] for row in rows] for name in COLUMNS}
    return Answer(data=data, show=show, table=table, seed=setting["seed"]), not failed


def _points() -> Iterator[tuple]:
    """(phi, sigma_w, sigma_b, q0, phase) on either side of each one's default point and at it."""
    import meanfield as mf
    from meanfield.activations import CATALOGUE
    from meanfield.cli.defaults import default_point

    for name in CATALOGUE:
        phi = mf.as_nonlinearity(name)
        point = default_point(phi)
        # Without a critical point lengths may settle where phi is flat and nothing passes; larger biases prevent it.
        sigma_b = 1.0 if point.critical is None else point.sigma_b
        for factor in FACTORS:
            sigma_w = factor * point.sigma_w
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", mf.AccuracyWarning)
                    reached = mf.fixed_point(phi, sigma_w, sigma_b)
            except mf.NoFixedPointError:
                q0, phase = 1.0, "unbounded"
            else:
                q0, phase = reached.q_star if reached.q_star > 0 else 1.0, reached.phase
            yield phi, sigma_w, sigma_b, q0, phase


def _cell(value) -> str:
    if isinstance(value, bool):
        return "yes" if value else "NO"
    return f"{value:.5g}" if isinstance(value, float) else value
