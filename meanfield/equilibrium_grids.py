"""Fixed points of many (sigma_w, sigma_b) at once: batched root finding on interpolants shared between cells."""

from dataclasses import dataclass

import numpy as np

from meanfield.correlation_grids import correlation_fixed_points
from meanfield.correlations import correlation_fixed_point
from meanfield.equilibria import ULPS, FixedPoint, fixed_point, fixed_points
from meanfield.errors import ConvergenceError, NoFixedPointError, NonlinearityError, Status
from meanfield.gaussian_moments import evaluate
from meanfield.length_interpolants import length_moments
from meanfield.length_search import reached_lengths
from meanfield.nonlinearity import Nonlinearity
from meanfield.quadrature import EPS

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
    V, mu_1, V_slope, bounds, q = _polished(phi, sigma_w, sigma_b, q)
    weights, rests = sigma_w**2, q == 0
    alpha, chi_1 = weights * V_slope, weights * mu_1
    residual = np.abs(weights * V + sigma_b**2 - q) + weights * bounds[0] + 2 * EPS * q
    error = np.where(rests, 0.0, residual / np.maximum(np.abs(1 - alpha), np.sqrt(EPS)))
    alpha_moves, chi_moves = _moves(phi, weights, q, error)
    alpha_bound = weights * bounds[3] + 2 * EPS * np.abs(alpha) + alpha_moves
    chi_bound = weights * bounds[1] + 2 * EPS * chi_1 + chi_moves
    alpha, alpha_bound = np.where(rests, chi_1, alpha), np.where(rests, chi_bound, alpha_bound)
    doubtful = (np.abs(chi_1 - 1) <= chi_bound + ULPS) | (np.abs(alpha - 1) <= alpha_bound + ULPS)

    c, c_bound = np.where(rests, np.nan, 1.0), np.where(rests, np.nan, 0.0)
    chi_c, chi_c_bound = np.where(rests, np.nan, chi_1), np.where(rests, np.nan, chi_bound)
    chaotic = np.flatnonzero((chi_1 > 1) & ~doubtful & ~rests)
    if chaotic.size:
        found = correlation_fixed_points(phi, sigma_w[chaotic], q[chaotic], error[chaotic], chi_1[chaotic])
        c[chaotic], c_bound[chaotic] = found.c_star, found.c_bound
        chi_c[chaotic], chi_c_bound[chaotic] = found.chi_c, found.chi_bound
        for i in chaotic[~found.settled]:
            given = (float(a[i]) for a in (sigma_w, sigma_b, q, chi_1, chi_bound))
            c[i], chi_c[i], c_bound[i], chi_c_bound[i] = correlation_fixed_point(phi, *given)

    depths = np.array([_depth(np.where(alpha < 1, np.abs(alpha), np.nan)), _depth(chi_c), _depth(chi_1)])
    depth_bounds = [
        _depth_bound(slope, bound)
        for slope, bound in ((np.abs(alpha), alpha_bound), (chi_c, chi_c_bound), (chi_1, chi_bound))
    ]
    ready, kept = ~doubtful, where[~doubtful]
    cells.numbers[:, kept] = np.array([q, alpha, chi_1, c, chi_c, *depths])[:, ready]
    cells.bounds[:, kept] = np.array([error, alpha_bound, chi_bound, c_bound, chi_c_bound, *depth_bounds])[:, ready]
    cells.stable[kept] = alpha[ready] < 1
    cells.phase[kept] = np.where(chi_1 < 1, "ordered", "chaotic")[ready]
    cells.status[kept] = np.where(error > 1e-6 * q, Status.LOW_ACCURACY, Status.CONVERGED)[ready]
    return doubtful


def _polished(phi: Nonlinearity, sigma_w, sigma_b, q) -> tuple[np.ndarray, ...]:
    """V, mu_1, V_slope, the bounds of all moments, and q after a last Newton step with integrals in place of
    interpolants; the moments follow it along their slopes, which for a step of rounding size is exact.
    """
    values, bounds = evaluate(phi, q)
    V, mu_1, _, V_slope, _ = values
    with np.errstate(divide="ignore", invalid="ignore"):
        step = (sigma_w**2 * V + sigma_b**2 - q) / (1 - sigma_w**2 * V_slope)
    step = np.where((q > 0) & (np.abs(step) <= 1e-9 * q), step, 0.0)
    return V + V_slope * step, mu_1, V_slope, bounds, q + step


def _moves(phi: Nonlinearity, weights: np.ndarray, q: np.ndarray, error: np.ndarray) -> np.ndarray:
    """How far alpha and chi_1 move within the error of q, by difference quotients with a safety factor of 2, (2, n)."""
    positive = q > 0
    moves = np.zeros((2, q.size))
    below, above = (length_moments(phi, q[positive] * (1 + side)) for side in (-1e-4, 1e-4))
    quotient = 2 * weights[positive] * error[positive] / (2e-4 * q[positive])
    moves[:, positive] = quotient * np.abs(above[[2, 1]] - below[[2, 1]])
    return moves


def _depth(slope: np.ndarray) -> np.ndarray:
    """-1/ln(slope); 0 for slope 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(slope == 0, 0.0, -1 / np.log(slope))


def _depth_bound(slope: np.ndarray, bound: np.ndarray) -> np.ndarray:
    """By the largest derivative of -1/ln within the bound; inf where 0 or 1 is within it, nan for nan."""
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.log(slope) ** 2
        told = (bound < slope) & (bound < np.abs(np.log(slope)) * slope)
        return np.where(np.isnan(slope), np.nan, np.where(told, bound / ((slope - bound) * size), np.inf))


def _solve_one(phi: Nonlinearity, cells: Cells, i: int, sigma_w: float, sigma_b: float, q0: float) -> None:
    try:
        cells.n_fixed_points[i] = len(fixed_points(phi, sigma_w, sigma_b))
        point: FixedPoint = fixed_point(phi, sigma_w, sigma_b, q0=q0)
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
