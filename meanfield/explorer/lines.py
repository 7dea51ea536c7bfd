"""The critical line as the page draws it."""

import itertools

import numpy as np

from meanfield.criticality import critical_line
from meanfield.gaussian_moments import evaluate
from meanfield.line_lengths import drawn_lengths
from meanfield.nonlinearity import Nonlinearity

__all__ = ["Window", "line_columns"]

Window = tuple[tuple[float, float], tuple[float, float]]  # ranges of sigma_w and sigma_b
STEP = 1 / 300  # between points, in windows
APART = 1e-6  # in windows, what the last point of a piece must be away from the one before


def line_columns(phi: Nonlinearity, window: Window) -> np.ndarray:
    """sigma_w, sigma_b, q and stability of the critical line near the window, (4, n); nan columns part its pieces."""
    (left, right), (bottom, top) = window
    width, height = right - left, top - bottom
    q = drawn_lengths(phi)
    moments, bounds = evaluate(phi, q)
    with np.errstate(divide="ignore"):
        near = np.isfinite(bounds[:2]).all(axis=0) & (moments[1] ** -0.5 <= right + width / 8)
    columns = np.full((4, q.size), np.nan)
    if near.any():
        line = critical_line(phi, q_star=q[near])
        columns[:, near] = line.sigma_w, line.sigma_b, line.q_star, line.stable
    columns[:, ~((columns[0] >= left - width / 8) & (columns[1] <= top + height / 8))] = np.nan
    kept, last = [], np.full(2, np.inf)
    for column, after in itertools.pairwise([*columns.T, np.full(4, np.nan)]):
        place = column[:2] / (width, height)
        gone, ends = np.isnan(place[0]), np.isnan(after[0])
        if gone if np.isnan(last[0]) else not gone and np.hypot(*(place - last)) < (APART if ends else STEP):
            continue
        kept.append(column)
        last = place
    return np.array(kept).T
