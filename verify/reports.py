"""Checks, the report on many of them, and the verdict in plain words."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from meanfield.errors import MeanFieldError
from meanfield.results import Result

__all__ = ["Check", "Report", "VerificationError", "entry_name", "listed", "make_report"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Check(Result):
    """One number of the theory against its measured value.

    Attributes
    ----------
    name : str
        Quantity, label and layer in words.
    quantity, label : str
        The latter tells apart series of one quantity, such as "c0 = 0.5".
    layer : int
        From 1; 0 for the network as a whole.
    theory : float
    estimate : float
        From the simulation, continued to infinite width; at the one width if there is only one.
    standard_error : float
        Of `estimate`.
    degrees_of_freedom : float
        Of the standard error.
    width_bias : float
        Fitted difference between the largest width and infinite width; nan with one width.
    z : float
        Distance of `estimate` from `theory` in standard errors, on the quantity's scale (a logarithm, or Fisher's z for
        correlations), beyond what rounding, the theory's own error and curvature in 1/width explain.
    p_value : float
        Of Student's t, adjusted for the number of checks: the level at which this one would just fail.
    resolution : float
        The smallest difference that would have failed this check, had it failed alone.
    undecided : bool
        Networks differ so much among themselves that even a large difference could not be told from chance.
    passed : bool
        The theory is not contradicted; so too where the check is undecided.
    """

    name: str
    quantity: str
    label: str
    layer: int
    theory: float
    estimate: float
    standard_error: float
    degrees_of_freedom: float
    width_bias: float
    z: float
    p_value: float
    resolution: float
    undecided: bool
    passed: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class Report(Result):
    """The verdict on a theory.

    Attributes
    ----------
    passed : bool
        All checks passed, and not all that networks could differ in are undecided.
    verdict : str
        What agrees, which check fails worst, or that it cannot be told, in a sentence.
    level : float
        Probability, at most, that a right theory fails any of the checks.
    checks : tuple of Check
    notes : tuple of str
        What the verdict does not cover.
    widths : tuple of int
    networks : int
        Of each width; the smallest number if they differ.
    """

    passed: bool
    verdict: str
    level: float
    checks: tuple[Check, ...]
    notes: tuple[str, ...]
    widths: tuple[int, ...]
    networks: int

    def raise_if_failed(self) -> "Report":
        """This report if it passed.

        Raises
        ------
        VerificationError
            It did not pass; the error carries the report.
        """
        if not self.passed:
            raise VerificationError(self)
        return self


class VerificationError(MeanFieldError):
    """Simulated networks contradict the theory or cannot tell; `report` says where."""

    def __init__(self, report: Report) -> None:
        super().__init__(report.verdict)
        self.report = report

    def __reduce__(self):
        return type(self), (self.report,)


def make_report(
    checks: Sequence[Check],
    *,
    level: float,
    notes: Sequence[str],
    widths: Sequence[int],
    networks: int,
    known: bool = True,
) -> Report:
    """The report on these checks, with its verdict; `known` if one of them at least says something."""
    agrees = all(check.passed for check in checks)
    simulated = f"simulated networks of width {listed(widths)}"
    say = _failure if not agrees else _agreement if known else _ignorance
    return Report(
        passed=agrees and known,
        verdict=say(checks, simulated) + (_suspicion(checks, level) if agrees else ""),
        level=level,
        checks=tuple(checks),
        notes=tuple(notes),
        widths=tuple(widths),
        networks=networks,
    )


def entry_name(quantity: str, label: str, layer: int) -> str:
    """One entry of a quantity in words: "c, c0 = 0.5, layer 3"."""
    return ", ".join(part for part in (quantity, label, f"layer {layer}" if layer else "") if part)


def listed(items: Sequence) -> str:
    """Words or numbers in a row: "250, 500 and 1000"."""
    words = [str(item) for item in items]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _agreement(checks: Sequence[Check], simulated: str) -> str:
    decided = [check for check in checks if not check.undecided]
    worst = max(decided, key=lambda check: abs(check.z))
    names = list(dict.fromkeys(check.quantity for check in decided))
    doubts = len(checks) - len(decided)
    head = f"as far as can be told: {len(decided)} of {len(checks)}" if doubts else f": all {len(checks)}"
    return (
        f"The theory holds{' ' if doubts else ''}{head} checks of {listed(names)} agree with {simulated}; "
        f"the largest distance is {abs(worst.z):.1f} standard errors, in {worst.name}"
        f"{f'; the other {doubts} are undecided' if doubts else ''}."
    )


def _ignorance(checks: Sequence[Check], simulated: str) -> str:
    doubts = sum(check.undecided for check in checks)
    others = ", and in the others not at all" if doubts < len(checks) else ""
    return (
        f"Cannot tell whether the theory holds: in {doubts} of {len(checks)} checks {simulated} differ too much among "
        f"themselves{others}."
    )


def _suspicion(checks: Sequence[Check], level: float) -> str:
    """What the undecided checks would have said had their standard errors been trusted."""
    far = [check for check in checks if check.undecided and check.p_value < level]
    if not far:
        return ""
    worst = max(far, key=lambda check: abs(check.z))
    return (
        f" Of the undecided, {len(far)} lie farther from the theory than standard errors explain, most of all "
        f"{worst.name} by {abs(worst.z):.1f}: heavy tails do that, and so does a wrong theory; "
        "more networks tell which."
    )


def _failure(checks: Sequence[Check], simulated: str) -> str:
    failed = [check for check in checks if not check.passed]
    measured = [check for check in failed if not math.isnan(check.p_value)]
    head = f"The theory fails: {len(measured)} of {len(checks)} checks disagree with {simulated}"
    if not measured:
        return (
            f"The theory cannot be held against {simulated}: in {len(failed)} of {len(checks)} checks, first in "
            f"{failed[0].name}, their signals or gradients are 0 or beyond float64; no other disagrees."
        )
    worst = max(measured, key=lambda check: abs(check.z))
    apart = f"{abs(worst.z):.1f} standard errors apart" if math.isfinite(worst.z) else "and no spread between networks"
    return (
        f"{head}, most of all {worst.name}: theory {worst.theory:.5g}, simulation {worst.estimate:.5g} ± "
        f"{worst.standard_error:.1g}, {apart}."
    )
