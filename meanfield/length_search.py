"""All fixed points of the length map for many (sigma_w, sigma_b) at once, and the one that each orbit reaches."""

from dataclasses import dataclass

import numpy as np

from meanfield.gaussian_moments import evaluate, germ
from meanfield.length_interpolants import length_moments
from meanfield.length_landscapes import heads_for_zero, increasing
from meanfield.nonlinearity import Nonlinearity
from meanfield.profiles import Profile, profile
from meanfield.quadrature import EPS
from meanfield.slopes import ULPS

__all__ = ["Lengths", "reached_lengths"]

INTERPOLATION_NOISE = 1e-13  # of `length_moments`, relative to V
BATCH = 2048  # cells whose drift along the whole profile is held at once
MOST_LAYERS = 200  # that an orbit is followed through stretches where the map decreases
_NEWTON_STEPS = 100


@dataclass
class Lengths:
    """One entry a cell.

    q : the fixed point that q0 reaches; inf where it grows without bound. count : how many there are.
    special : the cell is near a fold, marginal or beyond the profile, so that it takes the solver of a single point.
    """

    q: np.ndarray
    count: np.ndarray
    special: np.ndarray


def reached_lengths(phi: Nonlinearity, sigma_w: np.ndarray, sigma_b: np.ndarray, q0: float) -> Lengths:
    """The length that `q0` leads to in each cell (n,)."""
    starts = range(0, sigma_w.size, BATCH)
    parts = [_reached(phi, sigma_w[i : i + BATCH], sigma_b[i : i + BATCH], q0) for i in starts]
    return Lengths(*(np.concatenate(each) for each in zip(*((p.q, p.count, p.special) for p in parts), strict=True)))


def _reached(phi: Nonlinearity, sigma_w: np.ndarray, sigma_b: np.ndarray, q0: float) -> Lengths:
    table = profile(phi)
    at_origin = (sigma_b**2 == 0) & (germ(phi)[0] == 0)
    landscape = _Landscape(phi, table, sigma_w, sigma_b, at_origin)
    roots = landscape.roots()
    count = np.isfinite(roots).sum(axis=1)
    q, unknown = _orbit_ends(phi, table, sigma_w, sigma_b, q0, roots)
    return Lengths(q, count, landscape.special | unknown)


class _Landscape:
    """The drift F(q) = sigma_w^2 V(q) + sigma_b^2 - q of every cell along the profile: its signs and its slopes."""

    def __init__(self, phi: Nonlinearity, table: Profile, sigma_w, sigma_b, at_origin) -> None:
        self._phi, self._q, self._at_origin = phi, table.q, at_origin
        self._weights, self._biases = sigma_w**2, sigma_b**2
        V, slopes = table.row("V"), table.row("V_slope")
        grown = np.multiply.outer(self._weights, V)
        grown += self._biases[:, None]
        drift = grown - self._q
        relative = table.bound("V") / np.maximum(V, np.finfo(float).tiny)
        grown *= np.maximum(relative, EPS) + 4 * EPS
        grown += 4 * EPS * self._q
        sign = np.sign(drift).astype(np.int8)
        sign[np.abs(drift) <= grown] = 0
        self._sign = sign
        # Slopes of 1 to rounding (flat starts, ReLU at sqrt(2)) turn nowhere.
        noise = np.multiply.outer(self._weights, table.bound("V_slope") + 4 * EPS * np.abs(slopes)) + 4 * EPS
        steep = np.multiply.outer(self._weights, slopes) - 1
        turn = np.sign(steep).astype(np.int8)
        turn[np.abs(steep) <= noise] = 0
        self._turn = turn
        self._told = sign != 0
        self.special = self._unclear()

    def _unclear(self) -> np.ndarray:
        filled = _forward_fill(self._sign)
        below_profile = (filled[:, 0] < 0) & ~self._at_origin
        beyond_profile = heads_for_zero(self._phi, np.sqrt(self._weights), filled[:, -1], self._turn[:, -1])
        return ~self._told.any(axis=1) | below_profile | beyond_profile | ~self._told[:, 0]

    def roots(self) -> np.ndarray:
        """The zeros of each cell in increasing order, (n, most), filled up with nan."""
        cell, low, high, falls = self._brackets()
        weights, biases = self._weights[cell], self._biases[cell]
        found = _newton(self._phi, weights, biases, low, high, falls)
        origin = np.flatnonzero(self._at_origin)
        cell, found = np.concatenate([cell, origin]), np.concatenate([found, np.zeros(origin.size)])
        order = np.lexsort((found, cell))
        cell, found = cell[order], found[order]
        n = self._weights.size
        count = np.bincount(cell, minlength=n)
        result = np.full((n, max(int(count.max(initial=0)), 1)), np.nan)
        result[cell, np.arange(cell.size) - np.repeat(np.cumsum(count) - count, count)] = found
        return result

    def _brackets(self) -> tuple[np.ndarray, ...]:
        """Cells, ends of intervals that hold one zero each, and whether the drift falls there."""
        before = _last_told(self._sign)
        filled = np.take_along_axis(self._sign, before, axis=1)
        after = filled[:, 1:]
        change = (after != filled[:, :-1]) & (after != 0) & (filled[:, :-1] != 0)
        cell, place = np.nonzero(change)
        parts = [(cell, self._q[before[cell, place]], self._q[place + 1], after[cell, place] < 0)]
        parts += self._folds()
        cell, low, high, falls = (np.concatenate([part[i] for part in parts]) for i in range(4))
        return cell, low, high, falls

    def _folds(self) -> list[tuple[np.ndarray, ...]]:
        """Pairs of near zeros between neighbours of equal sign, where the drift turns towards zero in between."""
        left, right = self._sign[:, :-1], self._sign[:, 1:]
        bends = (left == right) & (left * self._turn[:, :-1] < 0) & (right * self._turn[:, 1:] > 0)
        cell, place = np.nonzero(bends)
        if not cell.size:
            return []
        low, high, sign = self._q[place], self._q[place + 1], left[cell, place].astype(float)
        turn = self._extremum(cell, low, high, -sign)
        V = length_moments(self._phi, turn)[0]
        depth = self._weights[cell] * V + self._biases[cell] - turn
        noise = INTERPOLATION_NOISE * (self._weights[cell] * V + turn)
        touching = np.abs(depth) <= noise
        self.special[cell[touching]] = True
        crossed = (depth * sign < 0) & ~touching
        cell, low, turn, high, down = (a[crossed] for a in (cell, low, turn, high, sign > 0))
        return [(cell, low, turn, down), (cell, turn, high, ~down)]

    def _extremum(self, cell, low, high, rises) -> np.ndarray:
        """Where the slope of the drift is zero, by bisection in ln q: its place matters little to the drift there."""
        left, right = np.log(low), np.log(high)
        for _ in range(40):
            middle = (left + right) / 2
            slope = self._weights[cell] * length_moments(self._phi, np.exp(middle))[2] - 1
            past = slope * rises < 0
            left, right = np.where(past, left, middle), np.where(past, middle, right)
        return np.exp((left + right) / 2)


def _last_told(sign: np.ndarray) -> np.ndarray:
    """For each place the last one at or before it with a sign, 0 if there is none."""
    index = np.where(sign != 0, np.arange(sign.shape[1], dtype=np.int32), 0)
    return np.maximum.accumulate(index, axis=1)


def _forward_fill(sign: np.ndarray) -> np.ndarray:
    """Zeros replaced by the sign before them; leading ones by the first sign after."""
    filled = np.take_along_axis(sign, _last_told(sign), axis=1)
    first = np.take_along_axis(sign, (sign != 0).argmax(axis=1)[:, None], axis=1)
    return np.where(filled == 0, first, filled)


def _newton(phi: Nonlinearity, weights, biases, low, high, falls) -> np.ndarray:
    """Zeros of weights V(q) + biases - q between `low` and `high`: Newton's method kept inside, to rounding."""
    low, high = low.copy(), high.copy()
    q = np.sqrt(low * high)
    active = np.arange(q.size)
    for _ in range(_NEWTON_STEPS):
        if not active.size:
            break
        here = q[active]
        V, _, V_slope = length_moments(phi, here)
        value = weights[active] * V + biases[active] - here
        slope = weights[active] * V_slope - 1
        beyond = (value > 0) != falls[active]
        high[active] = np.where(beyond, here, high[active])
        low[active] = np.where(beyond, low[active], here)
        with np.errstate(divide="ignore", invalid="ignore"):
            moved = here - value / slope
        inside = (moved >= low[active]) & (moved <= high[active])
        moved = np.where(inside, moved, np.sqrt(low[active] * high[active]))
        q[active] = moved
        active = active[np.abs(moved - here) > 8 * EPS * here]
    return q


def _orbit_ends(phi: Nonlinearity, table: Profile, sigma_w, sigma_b, q0: float, roots) -> tuple[np.ndarray, np.ndarray]:
    """Where the orbit of q0 ends in each cell, inf if nowhere, and which cells it does not tell (n,).

    It is followed until the map increases all the way to the next root, which is then its limit.
    """
    n = sigma_w.size
    ends, unknown = np.full(n, np.inf), np.zeros(n, dtype=bool)
    falling = np.concatenate([[0], np.cumsum(~increasing(table.q, table.row("V"), table.row("V_slope")))])
    q = np.full(n, q0)
    if q0 == 0:
        q = sigma_w**2 * float(evaluate(phi, np.zeros(1))[0][0, 0]) + sigma_b**2
        resting = q == 0
        ends[resting] = 0.0
        active = np.flatnonzero(~resting)
    else:
        active = np.arange(n)
    for _ in range(MOST_LAYERS):
        outside = (q[active] < table.q[0]) | (q[active] > table.q[-1])
        unknown[active[outside]] = True
        active = active[~outside]
        if not active.size:
            return ends, unknown
        here, around = q[active], roots[active]
        V, _, V_slope = length_moments(phi, here)
        image = sigma_w[active] ** 2 * V + sigma_b[active] ** 2
        near = np.abs(around - here[:, None]) <= ULPS * here[:, None]
        up = image > here
        with np.errstate(invalid="ignore"):
            above = np.where(around > here[:, None], around, np.inf).min(axis=1)
            below = np.where(around < here[:, None], around, -np.inf).max(axis=1)
        target = np.where(up, above, below)
        first = np.searchsorted(table.q, np.minimum(here, target))
        last = np.searchsorted(table.q, np.maximum(here, target), side="right")
        clear = (falling[last] == falling[first]) & (here * V_slope >= -1e-12 * V)
        settled = (np.abs(image - target) <= 1e-6 * target) & (np.abs(image - here) <= 1e-6 * target)
        reached = clear | settled
        ends[active[reached]] = np.maximum(target[reached], 0.0)
        lost = ~up & np.isinf(target)  # rounding decides the direction at a root
        unknown[active[lost]] = True
        at_root = near.any(axis=1)
        ends[active[at_root]] = np.take_along_axis(around, near.argmax(axis=1)[:, None], axis=1)[at_root, 0]
        going = ~reached & ~lost & ~at_root
        q[active[going]] = image[going]
        active = active[going]
    unknown[active] = True
    return ends, unknown
