"""Fixed points of many (sigma_w, sigma_b) at once: batched root finding on interpolants shared between cells."""

import math
from dataclasses import dataclass

import numpy as np

from meanfield.correlation_grids import correlation_fixed_points
from meanfield.correlations import correlation_fixed_point
from meanfield.equilibria import LOOSE, every_point, reached_point
from meanfield.errors import ConvergenceError, NoFixedPointError, NonlinearityError, Status
from meanfield.gaussian_moments import evaluate
from meanfield.length_interpolants import length_moments
from meanfield.length_search import reached_lengths
from meanfield.nonlinearity import Nonlinearity
from meanfield.slopes import BESIDE, depth_scale, depth_scale_bound, is_lost, is_one, slopes_at

__all__ = ["NUMBERS", "Cells", "solve_cells"]

NUMBERS = ("q_star", "alpha", "chi_1", "c_star", "chi_c", "xi_q", "xi_c", "xi_gradient")


@dataclass
class Cells:
    """One entry a cell: the numbers of FixedPoint and their bounds, shapes (len(NUMBERS), n), and the rest (n,)."""

    numbers: np.ndarray
    bounds: np.ndarray
    stable: np.ndarray
    phase: np.ndarray
    status: np.ndarray
    n_fixed_points: np.ndarray


def solve_cells(phi: Nonlinearity, sigma_w: np.ndarray, sigma_b: np.ndarray, q0: float) -> Cells:
    """What `fixed_point` answers for each pair of sigma_w and sigma_b (n,); nan and a status where it would raise.

    The bulk is solved in batches; cells near a fold, at a marginal point or beyond the profile go to the scalar solver.
    """
    n = sigma_w.size
    lengths = reached_lengths(phi, sigma_w, sigma_b, q0)
    cells = Cells(
        numbers=np.full((len(NUMBERS), n), np.nan),
        bounds=np.full((len(NUMBERS), n), np.nan),
        stable=np.zeros(n, dtype=bool),
        phase=np.full(n, "unbounded", dtype="U9"),
        status=np.full(n, Status.UNBOUNDED, dtype=np.int8),
        n_fixed_points=lengths.count.astype(np.int16),
    )
    special = lengths.special.copy()
    regular = np.flatnonzero(np.isfinite(lengths.q) & ~special)
    if regular.size:
        doubtful = _fill(phi, cells, regular, sigma_w[regular], sigma_b[regular], lengths.q[regular])
        special[regular[doubtful]] = True
    for i in np.flatnonzero(special):
        _solve_one(phi, cells, int(i), float(sigma_w[i]), float(sigma_b[i]), q0)
    return cells


def _fill(phi: Nonlinearity, cells: Cells, where, sigma_w, sigma_b, q) -> np.ndarray:
    """Write the cells `where` (n,) whose length is q to interpolation accuracy; which of them are too marginal (n,)."""
    q, values, bounds = _polished(phi, sigma_w, sigma_b, q)
    rests = q == 0
    beside = length_moments(phi, np.multiply.outer(BESIDE[1:], q[~rests]).ravel())[[2, 1]]
    error, alpha, chi_1, alpha_bound, chi_bound = slopes_at(q, sigma_w, sigma_b, values, bounds, beside)
    doubtful = is_one(chi_1, chi_bound) | is_one(alpha, alpha_bound)

    c, c_bound = np.where(rests, np.nan, 1.0), np.where(rests, np.nan, 0.0)
    chi_c, chi_c_bound = np.where(rests, np.nan, chi_1), np.where(rests, np.nan, chi_bound)
    chaotic, lost = np.flatnonzero((chi_1 > 1) & ~doubtful & ~rests), np.zeros(q.size, dtype=bool)
    if chaotic.size:
        found = correlation_fixed_points(phi, sigma_w[chaotic], q[chaotic], error[chaotic], chi_1[chaotic])
        c[chaotic], c_bound[chaotic] = found.c_star, found.c_bound
        chi_c[chaotic], chi_c_bound[chaotic] = found.chi_c, found.chi_bound
        for i in chaotic[~found.settled]:
            given = (float(a[i]) for a in (sigma_w, sigma_b, q, chi_1, chi_bound))
            c[i], chi_c[i], c_bound[i], chi_c_bound[i], lost[i] = _correlation(phi, *given)

    slopes = np.array([np.abs(alpha), chi_c, chi_1])
    scales = depth_scale(slopes)
    scales[0, alpha > 1] = np.nan
    slope_bounds = np.array([alpha_bound, chi_c_bound, chi_bound])
    scale_bounds = depth_scale_bound(slopes, slope_bounds)
    ready, kept = ~doubtful, where[~doubtful]
    cells.numbers[:, kept] = np.array([q, alpha, chi_1, c, chi_c, *scales])[:, ready]
    cells.bounds[:, kept] = np.array([error, alpha_bound, chi_bound, c_bound, chi_c_bound, *scale_bounds])[:, ready]
    cells.stable[kept] = alpha[ready] < 1
    cells.phase[kept] = np.where(chi_1 < 1, "ordered", "chaotic")[ready]
    loose = (error > LOOSE * q) | is_lost(slopes, slope_bounds).any(axis=0)
    status = np.where(loose, Status.LOW_ACCURACY, Status.CONVERGED)
    cells.status[kept] = np.where(lost, Status.NOT_CONVERGED, status)[ready]
    return doubtful


def _correlation(phi: Nonlinearity, *given: float) -> tuple[float, float, float, float, bool]:
    """What `correlation_fixed_point` answers, and False; nan and True where it does not."""
    try:
        return *correlation_fixed_point(phi, *given), False
    except ConvergenceError:
        return math.nan, math.nan, math.nan, math.nan, True


def _polished(phi: Nonlinearity, sigma_w, sigma_b, q) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """q after a last Newton step with integrals in place of interpolants, the moments there and their bounds.

    The step is of rounding size: V follows it along its slope, the other moments stay.
    """
    values, bounds = evaluate(phi, q)
    with np.errstate(divide="ignore", invalid="ignore"):
        step = (sigma_w**2 * values[0] + sigma_b**2 - q) / (1 - sigma_w**2 * values[3])
    step = np.where((q > 0) & (np.abs(step) <= 1e-9 * q), step, 0.0)
    values[0] += values[3] * step
    return q + step, values, bounds


def _solve_one(phi: Nonlinearity, cells: Cells, i: int, sigma_w: float, sigma_b: float, q0: float) -> None:
    try:
        cells.n_fixed_points[i] = len(every_point(phi, sigma_w, sigma_b))
        point = reached_point(phi, sigma_w, sigma_b, q0)
    except NoFixedPointError:
        cells.status[i] = Status.UNBOUNDED
        return
    except ConvergenceError:
        cells.phase[i], cells.status[i] = "", Status.NOT_CONVERGED
        return
    except NonlinearityError:
        cells.phase[i], cells.status[i] = "", Status.MOMENT_NOT_FINITE
        return
    cells.numbers[:, i] = [getattr(point, name) for name in NUMBERS]
    cells.bounds[:, i] = [point.errors[name] for name in NUMBERS]
    cells.stable[i], cells.phase[i], cells.status[i] = point.stable, point.phase, point.status
