"""The real axis outside the supports of the laws of a free product, and the gaps of its spectrum found there.

Outside the spectrum z and every w_l are real and z grows with w; of the w where it does, those count at which ln z has
argument 0 as a limit from the upper half plane, each factor with its own. A run of such w is a gap of the spectrum.
Runs pass through point masses of the laws, where N = 0; there the product may have a point mass of its own.
"""

import itertools
import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from meanfield.freeprob.laws import Law, Transform
from meanfield.freeprob.products import FreeProduct

__all__ = ["SIGNIFICANT", "Edge", "Gap", "Table", "gaps_of", "log_z_at", "same_M"]

GRID = 160  # points between neighbouring special places of the real axis
BORDER = 40  # points added where z turns real
CLOSEST = 1e-15  # relative distance of the first one
SOLVER_STEPS = 60
SOLVED = 1e-12
ALIKE = 1e-9
POLISHING_STEPS = 4
SIGNIFICANT = 1e-8  # of 1 + M below a law that fades out
KNOWN = 1e-13


@dataclass(frozen=True)
class Edge:
    """An end of a component of the spectrum.

    w : (laws,); log_z; kind : "root", a stationary point of ln z, where the density vanishes as a square root; "end",
    the image of the end of a law's continuous part; "atom", a place inside where a point mass has just vanished.
    """

    w: np.ndarray
    log_z: float
    kind: str


@dataclass(frozen=True)
class Gap:
    """A gap of the spectrum: its edges, None for 0 and for infinity."""

    low: Edge | None
    high: Edge | None

    @property
    def is_open(self) -> bool:
        """Does z grow across it? Next to the end of a law that holds next to no mass, rising slopes are rounding."""
        return self.low is None or self.high is None or self.low.log_z < self.high.log_z

    @property
    def sort_key(self) -> float:
        return math.inf if self.high is None else self.high.log_z


@dataclass(frozen=True)
class _Cell:
    """Between neighbouring special places (ends of the continuous part, atoms, 0, infinity) of every law, (laws,) each.

    M decreases from one end to the other. `joins_above` : the upper end is an atom of every law.
    """

    low: np.ndarray
    high: np.ndarray
    joins_above: bool


def _places(law: Law) -> list[tuple[float, float, bool]]:
    """(low, high, high is an atom) of the law's cells, from the top down; the last begins at -inf.

    M is regular at w = 0 if the law stays away from there, up to a point mass at 0, which M does not see. A law whose
    mass only fades out towards 0 has an apparent gap there; it is left out where 1 + M is rounding.
    """
    ends = [-math.inf, *(x for interval in law.intervals for x in interval), math.inf]
    if law.intervals and law.bottom == 0 < law.intervals[0][0]:
        one_plus_m = law.transform(np.array([law.intervals[0][0] + 0j])).one_plus_m[0] - law.mass_at_zero
        if abs(one_plus_m) < SIGNIFICANT:
            ends[1] = 0.0
    cells = []
    for low, high in reversed(list(zip(ends[::2], ends[1::2], strict=True))):
        inside = law.locations[(law.locations > max(low, 0.0)) & (law.locations < high)]
        for a, b in reversed(list(itertools.pairwise([low, *map(float, inside), high]))):
            if b > a:
                cells.append((a, b, b < high))
    return cells


def gaps_of(product: FreeProduct) -> list[Gap]:
    """All gaps. Laws with different numbers of cells have only the outermost ones in common."""
    lists = [_places(law) for law in product.laws]
    if len({len(places) for places in lists}) > 1:
        lists = [[places[0], (*places[-1][:2], False)] for places in lists]
    chains: list[list[_Cell]] = []
    for aligned in zip(*lists, strict=True):
        low, high = (np.array([place[i] for place in aligned]) for i in (0, 1))
        cell = _Cell(low, high, all(place[2] for place in aligned))
        if cell.joins_above:
            chains[-1].append(cell)
        else:
            chains.append([cell])
    return [gap for cells in chains for gap in _Chain(product, cells).gaps()]


class _Chain:
    """Cells joined by atoms, d ln z/dw on a grid that is dense at their ends, and the gaps of the spectrum in them."""

    def __init__(self, product: FreeProduct, cells: list[_Cell]) -> None:
        self._product = product
        self._cells = cells[::-1]
        self._tables = [
            [Table.of(law, low, high) for law, low, high in zip(product.laws, cell.low, cell.high, strict=True)]
            for cell in self._cells
        ]
        self._reference = [self._binding_law(index) for index in range(len(cells))]
        points = [self._grid(index) for index in range(len(cells))]
        self._cell = np.repeat(np.arange(len(cells)), [w.shape[1] for w, _ in points])
        self._w, self._slopes = (np.concatenate([part[i] for part in points], axis=-1) for i in (0, 1))

    def gaps(self) -> list[Gap]:
        rises = np.concatenate([[False], self._slopes > 0, [False]])
        starts = np.flatnonzero(rises[1:] & ~rises[:-1])
        stops = np.flatnonzero(~rises[1:] & rises[:-1]) - 1
        found = [Gap(self._lower_edge(int(i)), self._upper_edge(int(j))) for i, j in zip(starts, stops, strict=True)]
        return [gap for gap in found if gap.is_open]

    def _lower_edge(self, i: int) -> Edge | None:
        if i:
            return self._stationary(i - 1, i)
        return None if np.isinf(self._cells[0].low).any() else self._end(0, self._cells[0].low)

    def _upper_edge(self, j: int) -> Edge | None:
        if j + 1 < self._w.shape[1]:
            return self._stationary(j + 1, j)
        return None if np.isinf(self._cells[-1].high).any() else self._end(-1, self._cells[-1].high)

    def _end(self, index: int, ends: np.ndarray) -> Edge:
        """The image of the end of a law's continuous part."""
        w = self._matched(index, ends[self._reference[index], None])
        return Edge(w[:, 0], log_z_at(self._product, w), "end")

    def _stationary(self, outside: int, inside: int) -> Edge | None:
        """The zero of d ln z/dw between two grid points, the second of them in the gap; None if z reaches 0 instead."""
        index = int(self._cell[inside])
        w = self._w[:, inside]
        # A zero across an atom is as close to it as rounding allows.
        if self._cell[outside] == index:
            reference = self._reference[index]

            def slope(x: float) -> float:
                found = float(self._slope(index, self._matched(index, np.array([x])))[0])
                return -1.0 if math.isnan(found) else found  # outside the gap, as the other end of the bracket

            beyond, within = float(self._w[reference, outside]), float(self._w[reference, inside])
            if math.isnan(self._slopes[outside]):
                return None
            x = within
            # Next to a stationary point the signs are rounding, and may be others than among many points.
            if slope(beyond) * slope(within) <= 0:
                x = brentq(slope, beyond, within, xtol=4e-16 * abs(within), rtol=1e-8)
            w = _polished(self._product, self._matched(index, np.array([x])))[:, 0]
        return Edge(w, log_z_at(self._product, w[:, None]), "root")

    def _slope(self, index: int, w: np.ndarray) -> np.ndarray:
        """d ln z/dw of the cell's reference law, 0 where it is rounding, nan where the argument of z is not 0."""
        product, state = self._product, self._product.state(w)
        turns = (1 - product.powers.sum()) * (state.one_plus_n.real < 0) + product.powers @ (w < 0)
        turns = turns - sum(factor.turns(state.M.real, state.one_plus_m.real) for factor in product.factors)
        with np.errstate(invalid="ignore"):
            slope = state.slope.real * state.N_slope[self._reference[index]].real
            known = np.abs(state.slope.real) > KNOWN * state.slope_size
            # All is real here and N grows with w, but for rounding next to the end of a law that holds next to no mass.
            known &= (np.abs(state.slope.imag) < np.abs(state.slope.real)) & (state.N_slope.real > 0).all(axis=0)
        return np.where(np.abs(turns) < 1e-6, np.where(known, slope, -0.0), np.nan)

    def _grid(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """w (laws, n) of equal M, increasing, and the slopes there."""
        table = self._tables[index][self._reference[index]]
        x, M = table.w, table.M
        # Where the argument of z changes, z is 0 or infinite, and an edge as close to it as 1/depth: M = 0, N = -1, the
        # borders of the factors, and w = 0 of each law.
        borders = {0.0, -1.0, *(border for factor in self._product.factors for border in factor.borders)}
        borders |= {law.mass_at_zero - 1 for law in self._product.laws}
        added = []
        for border in borders:
            right = int(np.searchsorted(-M, -border, side="right"))
            left = int(np.searchsorted(-M, -border, side="left")) - 1
            if left >= 0 and right < len(x):
                at = same_M(table, Transform(*(np.array([v]) for v in (border, 1 + border, 0.0))))[0]
                steps = np.geomspace(1e-12, 0.7, BORDER)
                added += [at - (at - x[left]) * steps, at + (x[right] - at) * steps]
        w = self._matched(index, np.unique(np.concatenate([x, *added])))
        w = w[:, np.isfinite(w).all(axis=0)]
        return w, self._slope(index, w)

    def _binding_law(self, index: int) -> int:
        """The law whose cell ends first, in terms of M, on the side where the cells are finite."""
        if np.isinf(self._cells[index].high).any():
            return int(np.argmin([table.M[0] for table in self._tables[index]]))
        return int(np.argmax([table.M[-1] for table in self._tables[index]]))

    def _matched(self, index: int, x: np.ndarray) -> np.ndarray:
        """w (laws, n) with M_l(w_l) that of the reference law at x; nan where a law does not take that value."""
        reference = self._reference[index]
        if len(self._product.laws) == 1:
            return x[None]
        w = np.empty((len(self._product.laws), x.size))
        target = self._product.laws[reference].transform(x + 0j)
        for j, table in enumerate(self._tables[index]):
            w[j] = x if j == reference else same_M(table, target)
        return w


def _polished(product: FreeProduct, w: np.ndarray) -> np.ndarray:
    """Newton's method for d ln z/dN = 0 from w (laws, 1), as long as it makes the slope smaller."""
    state = product.state(w)
    for _ in range(POLISHING_STEPS):
        dN = -state.slope.real[0] / product.curvature(w[:, 0])
        moved = w + (dN + state.gaps.real) / state.N_slope.real
        after = product.state(moved)
        if not abs(after.slope.real[0]) < abs(state.slope.real[0]):
            break
        w, state = moved, after
    return w


def log_z_at(product: FreeProduct, w: np.ndarray) -> float:
    state = product.state(w)
    return float((state.log_z + state.mismatch)[0].real)


@dataclass(frozen=True)
class Table:
    """M of a law on increasing w, between which it decreases: where to look for a value."""

    law: Law
    w: np.ndarray
    M: np.ndarray

    @classmethod
    def of(cls, law: Law, low: float, high: float) -> "Table":
        w = spaced(low, high)
        return cls(law, w, law.transform(w + 0j).M.real)


def same_M(table: Table, target: Transform) -> np.ndarray:
    """w with the M of `target` between the ends of a table; nan where there is none.

    Newton's method kept inside the bracket. What rounding leaves enters ln z to second order only, for
    `State.mismatch` has the first.
    """
    law, grid, values = table.law, table.w, table.M
    m, one_plus_m = target.M.real, target.one_plus_m.real
    # What is beyond an end by rounding counts as the end.
    m = np.where(np.abs(m - values[0]) <= ALIKE * np.abs(m), np.minimum(m, values[0]), m)
    m = np.where(np.abs(m - values[-1]) <= ALIKE * np.abs(m), np.maximum(m, values[-1]), m)
    right = np.clip(np.searchsorted(-values, -m), 1, len(grid) - 1)
    inside = (m <= values[right - 1]) & (m >= values[right])
    low, high, m, one_plus_m = grid[right - 1][inside], grid[right][inside], m[inside], one_plus_m[inside]
    x = (low + high) / 2
    open_ = np.arange(x.size)
    for _ in range(SOLVER_STEPS):
        here, target_m = x[open_], m[open_]
        t = law.transform(here + 0j)
        M = t.M.real
        excess = np.where(np.abs(one_plus_m[open_]) < 0.5, t.one_plus_m.real - one_plus_m[open_], M - target_m)
        low[open_], high[open_] = np.where(excess >= 0, here, low[open_]), np.where(excess <= 0, here, high[open_])
        with np.errstate(divide="ignore", invalid="ignore"):
            # In 1/M, which is nearly linear near an atom or far away.
            step = here - excess * M / (target_m * t.slope.real)
        x[open_] = np.where((step >= low[open_]) & (step <= high[open_]), step, (low[open_] + high[open_]) / 2)
        open_ = open_[np.abs(x[open_] - here) > SOLVED * np.abs(x[open_])]
        if not open_.size:
            break
    w = np.full(inside.shape, np.nan)
    w[inside] = x
    return w


def spaced(low: float, high: float) -> np.ndarray:
    """Points between low and high, increasing, dense at both ends; logarithmic towards 0 and infinity."""
    steps = np.geomspace(CLOSEST, 0.5, GRID // 2)
    if math.isinf(low):
        negative = -np.geomspace(1e20, 1e-40, GRID)
        if high == 0:
            return negative
        return np.concatenate([negative, high * np.geomspace(1e-40, 0.5, GRID // 2), high * (1 - steps[-2::-1])])
    if math.isinf(high):
        return low * (1 + np.geomspace(CLOSEST, 1e20, GRID))
    return np.unique(np.concatenate([low + (high - low) * steps, high - (high - low) * steps]))
