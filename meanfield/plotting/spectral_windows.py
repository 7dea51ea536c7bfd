"""Which eigenvalues a figure of spectra shows, and where on its axis they are; all in t = ln(lambda)."""

import math
from collections.abc import Sequence

import numpy as np

from meanfield.arguments import choice
from meanfield.errors import InvalidParameterError

__all__ = ["LARGEST", "VARIABLES", "axis_of", "bottom_of", "grid_of", "place_of", "quantiles", "top_of", "window_of"]

VARIABLES = {
    "lambda": (r"eigenvalue $\lambda$ of $JJ^T$", r"density of $\lambda$"),
    "log": (r"eigenvalue $\lambda$ of $JJ^T$", r"density of $\ln\,\lambda$"),
    "sigma": (r"singular value $s$ of $J$", r"density of $s$"),
}
POINTS = 800
# A spectrum whose quantiles at 10 and 90 % differ by more than this factor is drawn over ln lambda.
WIDE = 30.0
# A logarithmic axis starts at this quantile of the widest law, alone or among others.
LEFT_OUT, LEFT_OUT_OF_MANY = 0.02, 0.1
# More decades than this, or those beyond float64, are shown as log10(lambda) on a linear axis.
DECADES = 30.0
# Of several laws none is shown over more decades, unless its own length is less than this many of their geometric mean.
LONGEST = 2.0
LARGEST = 690.0
NOTHING = 1e-5
HALF_WIDTH = 0.2  # of the window around a single eigenvalue


def axis_of(laws: Sequence, variable: str | None) -> tuple[str, tuple[float, float]]:
    """The variable drawn, one of VARIABLES or "decades", and the t between which densities are shown.

    Raises
    ------
    InvalidParameterError
        Unknown variable, or one that is not a number in float64.
    """
    top = max(top_of(law) for law in laws)
    outside = abs(top) > LARGEST and math.isfinite(top)
    if variable is None:
        ends = [quantiles(law, 0.1, 0.9) for law in laws]
        wide = any(high - low > math.log(WIDE) for low, high in ends)
        variable = "log" if wide or outside else "lambda"
    elif choice("variable", variable, VARIABLES) != "log" and outside:
        raise InvalidParameterError(
            f"variable must be 'log' where ln(lambda_max) = {top:.6g} is beyond double precision, got {variable!r}"
        )
    low, high = window_of(laws, variable)
    long = high - low > DECADES * math.log(10) or max(abs(low), abs(high)) > LARGEST
    return ("decades" if variable == "log" and long else variable), (low, high)


def window_of(laws: Sequence, variable: str) -> tuple[float, float]:
    """The t between which densities are shown."""
    high = max(top_of(law) for law in laws)
    low = min(bottom_of(law) for law in laws)
    if not high > low:
        return (low - HALF_WIDTH, high + HALF_WIDTH) if math.isfinite(high) else (-math.inf, 0.0)
    if variable == "log":
        if len(laws) == 1:
            return max(low, quantiles(laws[0], LEFT_OUT)[0]), high
        ends = np.array([(quantiles(law, LEFT_OUT_OF_MANY)[0], top_of(law)) for law in laws if top_of(law) > -math.inf])
        lengths = ends[:, 1] - ends[:, 0]
        positive = lengths[lengths > 0]
        mean = math.exp(float(np.log(positive).mean())) if positive.size else 0.0
        longest = max(LONGEST * mean, DECADES * math.log(10))
        return max(low, float(np.maximum(ends[:, 0], ends[:, 1] - longest).min())), high
    # From 0, unless the support is a narrow interval away from it.
    return (low, high) if low > high - math.log(2) else (-math.inf, high)


def quantiles(law, *shares: float) -> list[float]:
    """t of quantiles of the mass that is not at 0."""
    zero = sum(mass for t, mass in law.log_atoms if t == -math.inf)
    return [float(law.log_quantile(zero + (1 - zero) * share)) for share in shares]


def top_of(law) -> float:
    return float(law.log_quantile(1.0))


def bottom_of(law) -> float:
    """Where a picture of the law may start: less than NOTHING of its mass lies below, exponentially rare slopes."""
    return quantiles(law, NOTHING)[0]


def place_of(t, variable: str):
    """The coordinate of lambda = exp(t)."""
    if variable == "decades":
        return t / math.log(10)
    with np.errstate(over="ignore"):
        return np.exp(t / 2 if variable == "sigma" else t)


def grid_of(law, variable: str, window: tuple[float, float]) -> np.ndarray:
    """t inside the support, denser towards its ends, where the density may be steep or infinite."""
    low, high = max(window[0], bottom_of(law)), top_of(law)
    if not high > low:
        return np.empty(0)
    shares = np.sin(0.5 * math.pi * (np.arange(POINTS) + 0.5) / POINTS) ** 2
    if variable in ("log", "decades"):
        return low + (high - low) * shares
    ends = math.exp(low / 2), math.exp(high / 2)
    return 2 * np.log(ends[0] + (ends[1] - ends[0]) * shares)
