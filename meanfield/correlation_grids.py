"""The fixed points of the correlation map of many chaotic networks at once."""

from dataclasses import dataclass

import numpy as np

from meanfield.correlations import largest_bend
from meanfield.interpolation import LENGTH_NODES, chebyshev_polynomials, segments_of
from meanfield.kernel_interpolants import RINGS, Block, block, is_smooth
from meanfield.nonlinearity import Nonlinearity
from meanfield.quadrature import EPS

__all__ = ["Correlations", "correlation_fixed_points"]

ACCURACY = 1e-10
# Fewer networks than this in a block cost less one by one than the block's interpolants; with kinks, or where phi is
# steep on the scale sqrt(q), the last ring's are dear.
FEW, FEW_AND_DEAR = 16, 100
_STEPS = 60


@dataclass
class Correlations:
    """One entry a network: c_star, chi_c, bounds of both, and whether they are known to ACCURACY."""

    c_star: np.ndarray
    chi_c: np.ndarray
    c_bound: np.ndarray
    chi_bound: np.ndarray
    settled: np.ndarray


def correlation_fixed_points(
    phi: Nonlinearity, sigma_w: np.ndarray, q: np.ndarray, q_bound: np.ndarray, chi_1: np.ndarray
) -> Correlations:
    """The stable correlation below 1 and the slope there, where chi_1 > 1; all arguments have shape (n,).

    Notes
    -----
    c_star solves chord(c) = 1/sigma_w^2 (see `kernel_interpolants`); chord increases with c from its value at 0, which
    is below that, to mu_1, which is above.
    """
    blank = np.full((4, q.size), np.nan)
    found = Correlations(blank[0], blank[1], blank[2], blank[3], np.zeros(q.size, dtype=bool))
    segment, place = segments_of(q)
    for number in np.unique(segment):
        where = np.flatnonzero(segment == number)
        for ring in range(len(RINGS) - 1):
            there = _worthwhile_block(phi, int(number), ring, where.size)
            if there is None:
                break
            lengths = chebyshev_polynomials(place[where], LENGTH_NODES)
            chord, derivative = lengths @ there.chord, lengths @ there.derivative
            inside = np.full(where.size, True)
            if RINGS[ring + 1] > 0:
                inside = _at_low_end(chord) >= sigma_w[where] ** -2
            here = where[inside]
            solved = _solve(chord[inside], derivative[inside], sigma_w[here] ** -2, ring)
            _write(found, here, there, solved, sigma_w[here] ** 2, q_bound[here] / q[here], chi_1[here])
            where = where[~inside]
    return found


def _worthwhile_block(phi: Nonlinearity, segment: int, ring: int, count: int) -> Block | None:
    if count < FEW or (RINGS[ring + 1] == 0 and count < FEW_AND_DEAR and not is_smooth(phi, segment)):
        return None
    return block(phi, segment, ring)


def _write(found: Correlations, here: np.ndarray, there: Block, solved, variance, q_error, chi_1) -> None:
    """Enter the networks `here`; variance is sigma_w^2, q_error the relative error of q."""
    theta, rise, derivative = solved
    gap, slope = 2 * np.sin(theta / 2) ** 2, variance * derivative
    chord_bound = there.chord_error + there.steepness * q_error + 4 * EPS / variance
    with np.errstate(divide="ignore", invalid="ignore"):
        c_bound = chord_bound * gap / rise + EPS  # d chord/dc = (chord - derivative)/(1 - c)
    chi_bound = variance * (there.derivative_error + there.steepness * q_error)
    chi_bound += largest_bend(gap, slope, chi_1) * c_bound
    found.c_star[here], found.chi_c[here] = 1 - gap, slope
    found.c_bound[here], found.chi_bound[here] = c_bound, chi_bound
    found.settled[here] = (rise > 2 * chord_bound) & (c_bound <= ACCURACY) & (chi_bound <= ACCURACY)


def _at_low_end(coefficients: np.ndarray) -> np.ndarray:
    """Values at the place -1, where T_k is (-1)^k."""
    return coefficients[:, ::2].sum(axis=1) - coefficients[:, 1::2].sum(axis=1)


def _solve(chord: np.ndarray, derivative: np.ndarray, target: np.ndarray, ring: int) -> tuple[np.ndarray, ...]:
    """theta with chord(theta) = target in a ring, chord - derivative there, and derivative, each (n,).

    Newton's method with d chord/d theta = -(chord - derivative)/tan(theta/2), kept inside the ring by bisection.
    """
    high, low = RINGS[ring], RINGS[ring + 1]
    n = target.size
    left, right = np.full(n, low), np.full(n, high)
    theta = np.full(n, (low + high) / 2)
    rise, slope = np.full(n, np.nan), np.full(n, np.nan)
    active = np.arange(n)
    for _ in range(_STEPS):
        here = theta[active]
        table = chebyshev_polynomials(2 * (here - low) / (high - low) - 1, chord.shape[1])
        value = np.einsum("nk,nk->n", chord[active], table)
        slope[active] = np.einsum("nk,nk->n", derivative[active], table)
        rise[active] = value - slope[active]
        excess = value - target[active]
        left[active] = np.where(excess > 0, here, left[active])
        right[active] = np.where(excess > 0, right[active], here)
        with np.errstate(divide="ignore", invalid="ignore"):
            moved = here + excess * np.tan(here / 2) / rise[active]
        good = (moved >= left[active]) & (moved <= right[active])
        moved = np.where(good, moved, (left[active] + right[active]) / 2)
        theta[active] = moved
        active = active[np.abs(moved - here) > 4 * EPS * here]
        if not active.size:
            break
    return theta, rise, slope
