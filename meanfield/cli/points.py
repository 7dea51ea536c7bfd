"""How critical and fixed points are shown to a reader."""

import math
from collections.abc import Iterable
from typing import Any

from meanfield.cli.output import print_table

__all__ = ["field_lines", "fixed_point_table", "number"]


def number(value: float) -> str:
    """A number with the digits a reader wants: twelve at most, none made up."""
    return f"{value:.12g}"


def _bound(error: float) -> str:
    return "exact" if error == 0 else f"± {error:.1e}" if math.isfinite(error) else ""


def field_lines(title: str, point: Any) -> None:
    """A critical point, one field a line, each with its error bound."""
    meanings = {
        "sigma_w": "weights ~ N(0, sigma_w^2/fan_in)",
        "sigma_b": "biases ~ N(0, sigma_b^2)",
        "q_star": "variance of the pre-activations",
        "alpha": "slope of the length map: below 1 lengths settle here, above 1 they drift away",
    }
    rows = [
        (name, number(getattr(point, name)), _bound(point.errors.get(name, math.nan)), meaning)
        for name, meaning in meanings.items()
    ]
    print_table(("", "", "", ""), [*rows, ("stable", _cell(point.stable), "", "")], title=title)


def fixed_point_table(title: str, points: Iterable[Any]) -> None:
    """Fixed points, one a row."""
    names = ("q_star", "alpha", "stable", "chi_1", "c_star", "chi_c", "xi_q", "xi_c", "xi_gradient", "phase")
    rows = [[_cell(getattr(point, name), point.errors.get(name, 0.0)) for name in names] for point in points]
    print_table(names, rows, title=title)


def _cell(value: Any, bound: float = 0.0) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return "-" if math.isnan(value) else _digits(value, bound)
    return str(value)


def _digits(value: float, bound: float) -> str:
    """Eight digits, or as many as the bound leaves; where it leaves none, what the value is below."""
    if value == 0 or math.isinf(value) or not abs(value) * 1e-8 < bound < math.inf:
        return f"{value:.8g}"
    if abs(value) <= bound:
        return f"<{abs(value) + bound:.2g}"
    return f"{value:.{math.ceil(math.log10(abs(value) / bound))}g}"
