"""What a report says: each function turns result objects into one section."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from meanfield.errors import Status
from meanfield.plotting import figure_of, image_bytes, plot_phase_diagram, verification_figure
from meanfield.report.page import Section, code, paragraph, table, verdict

__all__ = [
    "critical_section",
    "finite_width_section",
    "fixed_point_section",
    "missing_section",
    "phase_section",
    "verification_lead",
    "verification_section",
]

MEANINGS = {
    "q_star": "variance of the pre-activations where lengths settle",
    "alpha": "slope of the length map there: below 1 it attracts",
    "chi_1": "growth of squared gradients per layer",
    "c_star": "correlation that two inputs end up with",
    "xi_q": "layers after which a change of length has shrunk e-fold",
    "xi_c": "layers after which a change of correlation has shrunk e-fold; signals pass about six of them",
    "xi_gradient": "layers after which gradients have shrunk e-fold; negative: grown",
}


def critical_section(phi, point, others: Sequence[Any], *, reason: str) -> Section:
    """Where to initialise, or why there is no such place."""
    if point is None:
        return Section(title="Where to initialise", body=paragraph(reason))
    body = paragraph(reason)
    body += table(
        ("", "value", "error", "meaning"),
        [
            ("sigma_w", _number(point.sigma_w), _bound(point.errors["sigma_w"]), "weights ~ N(0, sigma_w²/fan_in)"),
            ("sigma_b", _number(point.sigma_b), _bound(point.errors["sigma_b"]), "biases ~ N(0, sigma_b²)"),
            ("q_star", _number(point.q_star), _bound(point.errors["q_star"]), MEANINGS["q_star"]),
            ("alpha", _number(point.alpha), _bound(point.errors["alpha"]), MEANINGS["alpha"]),
        ],
        words=True,
    )
    if not point.stable:
        body += paragraph("This point repels: lengths drift away from it, so a deep network does not stay there.")
    for other in others:
        body += paragraph(
            f"Another critical point: sigma_w = {other.sigma_w:.8g}, sigma_b = {other.sigma_b:.8g}, "
            f"q_star = {other.q_star:.8g}, {'stable' if other.stable else 'unstable'}."
        )
    if phi.expression is not None:
        body += code(
            "import meanfield as mf\n\n"
            f"layers = mf.initialize(\n    {phi.expression!r},\n"
            f"    widths=(784, 400, 400, 10),\n    sigma_b={point.sigma_b!r},\n    rng=0,\n)\n"
            "# each layer is (W, b), to be used as x @ W.T + b"
        )
    return Section(title="Where to initialise", body=body)


def missing_section(title: str, reason: str) -> Section:
    """A section of which nothing can be told but the reason why."""
    return Section(title=title, body=paragraph(reason))


def fixed_point_section(points: Sequence[Any], reached, *, sigma_w: float, sigma_b: float, reason: str = "") -> Section:
    """What signals and gradients do at one point of the phase diagram.

    `reached` is None where no length is known to settle: for the `reason`, or because lengths grow without bound.
    """
    where = f"sigma_w = {sigma_w:.6g}, sigma_b = {sigma_b:.6g}"
    if reached is None:
        body = paragraph(f"{reason}." if reason else f"At {where} lengths grow without bound.")
    else:
        body = paragraph(f"At {where} the network is {reached.phase}.")
        rows = [
            (name, _number(getattr(reached, name)), _bound(reached.errors[name]), meaning)
            for name, meaning in MEANINGS.items()
        ]
        body += table(("", "value", "error", "meaning"), rows, words=True)
        if reached.status != Status.CONVERGED:
            body += paragraph(reached.status.message, kind="note")
    others = [point for point in points if reached is None or point.q_star != reached.q_star]
    if others and (reached is None or reached.status != Status.EVERY_Q_FIXED):
        body += paragraph("Other fixed points of the length map at the same parameters:")
        body += table(
            ("q_star", "alpha", "stable", "chi_1", "phase"),
            [(_number(p.q_star), _number(p.alpha), _yes(p.stable), _number(p.chi_1), p.phase) for p in others],
        )
    return Section(title="What signals do there", body=body)


def phase_section(phi, diagram, line, point: tuple[float, float], *, provenance: Mapping[str, Any]) -> Section:
    """The phase diagram with the critical line and the point (sigma_w, sigma_b) of the report."""
    ax = plot_phase_diagram(diagram, line=line, title=phi.name)
    ax.plot(*point, marker="o", markersize=8, markerfacecolor="white", markeredgecolor="#222222", clip_on=False)
    body = paragraph(
        "Ordered: inputs become alike and gradients vanish. Chaotic: near inputs part and gradients explode. "
        "On the critical line gradients keep their size. Each cell shows the fixed point reached from q = 1."
    )
    return Section(
        title="Phase diagram",
        body=body,
        figures={"phase": image_bytes(figure_of(ax), "png", provenance=provenance)},
        captions={
            "phase": f"Phases over {diagram.sigma_w.size} × {diagram.sigma_b.size} pairs (σw, σb); "
            "the circle is the point of this report."
        },
    )


def verification_lead(report, *, reason: str = "") -> str:
    """The verdict, for the head of the page; `report` is None where, for the `reason`, nothing was simulated."""
    if report is None:
        return paragraph(reason, kind="note")
    return verdict(report.verdict, passed=report.passed)


def verification_section(report, settings: Mapping[str, Any], *, title: str, provenance: Mapping[str, Any]) -> Section:
    """The simulated networks against the theory, layer by layer."""
    widths = ", ".join(str(width) for width in settings["widths"])
    body = paragraph(
        f"{settings['networks']} networks of each width {widths}, {settings['depth']} layers, {settings['weights']} "
        f"weights, started at q = {settings['q0']:.6g}. Estimates are extrapolated to infinite width. z is their "
        "distance from the theory in standard errors, both of ln q, ln chi and artanh c, and less what rounding, the "
        "theory's own error and curvature in 1/width may explain of it; p is adjusted for the number of checks. "
        f"A right theory is rejected with a probability of at most {report.level:g}."
    )
    rows = [
        (
            ("? " if check.undecided else "✓ " if check.passed else "✗ ") + check.name,
            f"{check.theory:.6g}",
            f"{check.estimate:.6g}",
            f"{check.standard_error:.2g}",
            f"{check.z:+.2f}",
            f"{check.p_value:.2g}",
        )
        for check in report.checks
    ]
    return Section(
        title="Checked by simulation",
        body=verdict(report.verdict, passed=report.passed) + body + "".join(paragraph(note) for note in report.notes),
        figures={"verification": image_bytes(verification_figure(report, title=title), "png", provenance=provenance)},
        captions={
            "verification": "Theory and simulation layer by layer, and their distance z in standard errors: hollow "
            "where too little is known, crossed where the theory fails."
        },
        details=table(("quantity", "theory", "simulation", "standard error", "z", "p"), rows),
    )


def finite_width_section(answer, settings: Mapping[str, Any], headers: Sequence[str], rows: Sequence[Any]) -> Section:
    """How far networks of one width are from the theory, with the table of it."""
    body = paragraph(answer.summary) + paragraph(
        f"{answer.networks} networks of width {answer.width}, {answer.depth} layers, {settings['weights']} weights, "
        f"started at q = {settings['q0']:.6g}. The bias is that of a typical network, the spread the standard "
        "deviation from network to network, and the deviation both together: the root mean square distance from "
        "the theory."
    )
    return Section(title="At this width", body=body + table(headers, rows))


def _number(value: float) -> str:
    if math.isnan(value):
        return "–"
    return "∞" if value == math.inf else "−∞" if value == -math.inf else f"{value:.10g}".replace("-", "−", 1)


def _bound(error: float) -> str:
    return "exact" if error == 0 else f"{error:.0e}".replace("-", "−") if math.isfinite(error) else "–"


def _yes(value: bool) -> str:
    return "yes" if value else "no"
