"""What the commands take where the user says nothing: the point to look at and the window around it."""

import math
import warnings
from dataclasses import dataclass
from typing import Any

__all__ = ["SIGMA_B", "OperatingPoint", "default_point", "default_window"]

SIGMA_B = 0.05


@dataclass(frozen=True, kw_only=True)
class OperatingPoint:
    """Where a report looks, the critical point there if there is one, and a sentence that says why here."""

    sigma_w: float
    sigma_b: float
    critical: Any
    reason: str


def default_point(phi) -> OperatingPoint:
    """The stable critical point at sigma_b = 0.05, else the nearest sigma_b that has one, else (1, 0.05)."""
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
    return OperatingPoint(
        sigma_w=1.0,
        sigma_b=SIGMA_B,
        critical=None,
        reason="This nonlinearity has no critical point that attracts lengths, at any sigma_b; "
        f"sigma_w = 1, sigma_b = {SIGMA_B:g} is shown in its place.",
    )


def default_window(sigma_w: float, sigma_b: float) -> tuple[tuple[float, float], tuple[float, float]]:
    """Ranges (sigma_w, sigma_b) of a phase diagram that shows both sides of this point."""
    return (0.05 * sigma_w, 2.5 * sigma_w), (0.0, max(1.0, 2.0 * sigma_b))


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
    """Follow the critical line for stable points, then close in on the edge of their range."""
    import numpy as np

    import meanfield as mf

    q_star = np.geomspace(1e-6, 1e4, 401)
    line = mf.critical_line(phi, q_star=q_star)
    stable = np.isfinite(line.sigma_b) & line.stable.astype(bool)
    if not stable.any():
        return None
    distance = np.where(stable, np.abs(line.sigma_b - SIGMA_B), np.inf)
    best = int(np.argmin(distance))
    edges = [k for k in (best - 1, best + 1) if 0 <= k < q_star.size and not stable[k]]
    sigma_b = float(line.sigma_b[best])
    if edges:
        sigma_b = _edge(phi, inside=float(q_star[best]), outside=float(q_star[edges[0]]))
    # Three decimals, on the side away from the edge, if there still is a point.
    rounded = math.ceil(sigma_b * 1e3) / 1e3 if sigma_b > SIGMA_B else math.floor(sigma_b * 1e3) / 1e3
    return rounded if _stable_point(phi, rounded) is not None else sigma_b


def _edge(phi, *, inside: float, outside: float) -> float:
    """sigma_b of the last stable point between a stable length and one that is not, by bisection in ln q."""
    import numpy as np

    import meanfield as mf

    for _ in range(40):
        middle = math.sqrt(inside * outside)
        line = mf.critical_line(phi, q_star=np.array([middle]))
        if np.isfinite(line.sigma_b[0]) and line.stable[0]:
            inside = middle
        else:
            outside = middle
    return float(mf.critical_line(phi, q_star=np.array([inside])).sigma_b[0])
