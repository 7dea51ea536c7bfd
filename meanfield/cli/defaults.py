"""What the commands take where the user says nothing: the point to look at and the window around it."""

import contextlib
import math
import warnings
from dataclasses import dataclass
from typing import Any

__all__ = [
    "SIGMA_B",
    "OperatingPoint",
    "chosen_point",
    "default_lengths",
    "default_point",
    "default_window",
    "drawn_line",
    "input_norm",
]

SIGMA_B = 0.05


@dataclass(frozen=True, kw_only=True)
class OperatingPoint:
    """Where a report looks, the critical point there if there is one, further ones, and why it looks here."""

    sigma_w: float
    sigma_b: float
    critical: Any
    reason: str
    others: tuple[Any, ...] = ()


def chosen_point(phi, *, sigma_w: float | None, sigma_b: float | None) -> OperatingPoint:
    """The point a user asks for; `default_point` if nothing is asked."""
    import meanfield as mf
    from meanfield.arguments import scalar

    if sigma_b is None:
        if sigma_w is not None:
            raise mf.InvalidParameterError("--sigma-w needs --sigma-b beside it")
        return default_point(phi)
    if sigma_w is None:
        point = mf.critical_point(phi, sigma_b=sigma_b)
        others = [other for other in mf.critical_points(phi, sigma_b=sigma_b) if other.q_star != point.q_star]
        reason = f"The critical point at sigma_b = {point.sigma_b:g}, as asked for."
        return OperatingPoint(
            sigma_w=point.sigma_w, sigma_b=point.sigma_b, critical=point, reason=reason, others=tuple(others)
        )
    return OperatingPoint(
        sigma_w=scalar("sigma_w", sigma_w, low=0.0, open_low=True),
        sigma_b=scalar("sigma_b", sigma_b, low=0.0),
        critical=None,
        reason="A point of the user's choice, not taken from the critical line.",
    )


def default_point(phi) -> OperatingPoint:
    """The stable critical point at sigma_b = 0.05 or the nearest that has one; else a point where lengths settle."""
    point = _stable_point(phi, SIGMA_B)
    if point is not None:
        return OperatingPoint(
            sigma_w=point.sigma_w,
            sigma_b=SIGMA_B,
            critical=point,
            reason=f"The critical point at sigma_b = {SIGMA_B:g}, the default.",
        )
    nearest = _nearest_stable_sigma_b(phi)
    point = None if nearest is None else _stable_point(phi, nearest)
    if point is not None:
        return OperatingPoint(
            sigma_w=point.sigma_w,
            sigma_b=point.sigma_b,
            critical=point,
            reason=f"At the default sigma_b = {SIGMA_B:g} no critical point attracts lengths; "
            f"sigma_b = {point.sigma_b:g} is the nearest where one does.",
        )
    sigma_w = _settling_sigma_w(phi)
    return OperatingPoint(
        sigma_w=sigma_w,
        sigma_b=SIGMA_B,
        critical=None,
        reason="This nonlinearity has no critical point that attracts lengths, at any sigma_b; "
        f"sigma_w = {sigma_w:g}, sigma_b = {SIGMA_B:g} is shown in its place.",
    )


def _settling_sigma_w(phi) -> float:
    """1, or the first of its halves at which lengths settle somewhere; 1 if there is none."""
    import meanfield as mf

    for sigma_w in (1.0, 0.5, 0.25, 0.125):
        with contextlib.suppress(mf.MeanFieldError):
            if any(point.stable for point in mf.fixed_points(phi, sigma_w, SIGMA_B)):
                return sigma_w
    return 1.0


def default_window(sigma_w: float, sigma_b: float) -> tuple[tuple[float, float], tuple[float, float]]:
    """Ranges (sigma_w, sigma_b) of a phase diagram that shows both sides of this point."""
    return (0.05 * sigma_w, 2.5 * sigma_w), (0.0, max(1.0, 2.0 * sigma_b))


def input_norm(sigma_w: float, sigma_b: float, q: float) -> float:
    """The inputs' mean square that gives the first layer the variance q; 1 where there is none."""
    square = sigma_w**2
    norm = (q - sigma_b**2) / square if square > 0 else math.inf
    return norm if 0 < norm < math.inf else 1.0


def default_lengths(phi) -> tuple[float, float]:
    """Lengths to follow the critical line along: 0.001 to 10, or four decades from where it begins beyond."""
    from meanfield.critical_curve import critical_curve

    curve = critical_curve(phi)
    on = curve.q[curve.variance >= 0]
    if not on.size:
        return 1e-3, 10.0
    low = max(1e-3, float(on[0]))
    return low, min(1e4 * low, max(float(on[-1]), 2 * low))


def drawn_line(phi):
    """The critical line of a figure: dense, and with the very points where it begins, ends and turns."""
    import meanfield as mf
    from meanfield.line_lengths import drawn_lengths

    return mf.critical_line(phi, q_star=drawn_lengths(phi))


def _stable_point(phi, sigma_b: float):
    import meanfield as mf

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mf.UnstableCriticalPointWarning)
        try:
            point = mf.critical_point(phi, sigma_b=sigma_b)
        except mf.NoCriticalPointError:
            return None
    return point if point.stable else None


def _nearest_stable_sigma_b(phi) -> float | None:
    """Along the critical line: where its stable part begins, else its stable point nearest to the default."""
    import numpy as np

    import meanfield as mf
    from meanfield.critical_curve import stability_onset

    line = mf.critical_line(phi, q_star=np.geomspace(1e-6, 1e4, 401))
    found = line.sigma_b[line.stable & np.isfinite(line.sigma_b)]
    if found.size == 0:
        return None
    onset = stability_onset(phi)
    sigma_b = float(found[np.argmin(np.abs(found - SIGMA_B))]) if onset is None else onset[0]
    # Three decimals on the safe side, if a point is left there.
    rounded = math.ceil(sigma_b * 1e3) / 1e3 if sigma_b > SIGMA_B else math.floor(sigma_b * 1e3) / 1e3
    return rounded if _stable_point(phi, rounded) is not None else sigma_b
