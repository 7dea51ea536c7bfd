"""Edges of a free product's spectrum: where ln z has a stationary point on the real axis outside the laws' supports.

Outside the spectrum z and every w_l are real, z grows with w and 1 + N > 0 (N > 0 with Gaussian factors): a run of such
w is a gap of the spectrum. Runs pass through point masses of the laws, where N = 0; there the product may have a point
mass of its own.
"""

import itertools
import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.optimize.elementwise import find_root

from meanfield.freeprob.laws import Law
from meanfield.freeprob.products import FreeProduct

__all__ = ["Component", "Edge", "image_of_bottom", "image_of_top", "point_masses_of", "support"]

GRID = 160  # points between neighbouring special places of the real axis
SIGNIFICANT = 1e-8
CLOSEST = 1e-15  # relative distance of the first one


@dataclass(frozen=True)
class Edge:
    """An end of a component of the spectrum: w (laws,), ln z, and whether the density vanishes there as a square root."""

    w: np.ndarray
    log_z: float
    square_root: bool


@dataclass(frozen=True)
class Component:
    """An interval of the continuous spectrum; no lower edge if it reaches down to 0."""

    upper: Edge
    lower: Edge | None


def point_masses_of(product: FreeProduct, mass_at_zero: float = 0.0) -> dict[float, float]:
    """ln of the location to the mass of the point masses of a product, -inf for 0.

    A product of laws has a point mass at a_1 ... a_L, a_l any point mass > 0 of law l, of mass sum_l mass_l - (L - 1),
    where that is positive; at 0, the largest that a law has there. `mass_at_zero` is that of the
    factors.

    References
    ----------
    .. [1] S. Belinschi, The atoms of the free multiplicative convolution of two probability distributions,
       Integral Equations and Operator Theory 46 (2003) 377.
    """
    used = [(law, float(power)) for law, power in zip(product.laws, product.powers, strict=True) if power]
    zero = max([mass_at_zero, *(law.mass_at_zero for law, _ in used)])
    found = {-math.inf: zero} if zero > 0 else {}
    heaviest = [max(_positive_atoms(law), default=None) for law, _ in used]
    of_factors = [factor.atom() for factor in product.factors]
    if None in heaviest or None in of_factors:
        return found
    deficit = sum(defect for defect, _ in of_factors)
    place = product.log_scale + sum(place for _, place in of_factors)
    for (mass, location), (_, power) in zip(heaviest, used, strict=True):
        deficit += power * (1 - mass)
        place += power * math.log(location)
    # Of masses whose defects sum to less than 1 all but one exceed 1/2, and so are the heaviest of their law.
    if deficit < 1:
        found[place] = 1 - deficit
    for best, (law, _) in zip(heaviest, used, strict=True):
        for mass, location in _positive_atoms(law):
            left = 1 - deficit - (best[0] - mass)
            if left > 0:
                found[place + math.log(location / best[1])] = left
    return found


def _positive_atoms(law: Law) -> list[tuple[float, float]]:
    """(mass, location) of the point masses above 0."""
    return [(float(m), float(a)) for a, m in zip(law.locations, law.masses, strict=True) if a > 0]


def support(product: FreeProduct) -> tuple[Component, ...]:
    """The components of the continuous spectrum, from the top down."""
    gaps = [gap for chain in _chains(product) for gap in chain.gaps() if _is_true(product, gap)]
    gaps.sort(key=lambda gap: -gap.sort_key)
    found = []
    for above, below in itertools.zip_longest(gaps, gaps[1:]):
        if above.low is None:
            break
        lower = below.high if below is not None else None
        if lower is None or lower.log_z < above.low.log_z:
            found.append(Component(above.low, lower))
    return tuple(found)


@dataclass(frozen=True)
class _Gap:
    """A gap of the spectrum: its edges, None for 0 and for infinity."""

    low: Edge | None
    high: Edge | None

    @property
    def sort_key(self) -> float:
        return math.inf if self.high is None else self.high.log_z


def _is_true(product: FreeProduct, gap: _Gap) -> bool:
    """False for what looks like a gap where a law only fades out towards 0: all that M tells there is rounding.

    A square root edge that is passed before counts as the end of the spectrum all the same.
    """
    if gap.high is None or all(not law.intervals or law.bottom > 0 for law in product.laws):
        return True
    if all(w > law.intervals[0][0] for w, law in zip(gap.high.w, product.laws, strict=True) if law.intervals):
        return True
    one_plus_M = product.state(gap.high.w[:, None]).one_plus_M[0]
    return gap.low is None and gap.high.square_root and abs(one_plus_M) >= SIGNIFICANT


@dataclass(frozen=True)
class _Cell:
    """Between neighbouring special places (ends of the continuous part, atoms, 0, infinity) of every law, (laws,) each.

    M decreases from one end to the other. `joins_above` : the upper end is an atom of every law.
    """

    low: np.ndarray
    high: np.ndarray
    joins_above: bool


def _places(law: Law) -> list[tuple[float, float, bool]]:
    """(low, high, high is an atom) of the law's cells, from the top down."""
    ends = [0.0, *(x for interval in law.intervals for x in interval), math.inf]
    cells = []
    for low, high in reversed(list(zip(ends[::2], ends[1::2], strict=True))):
        inside = law.locations[(law.locations > low) & (law.locations < high)]
        corners = [low, *map(float, inside), high]
        for a, b in reversed(list(itertools.pairwise(corners))):
            if b > a:
                cells.append((a, b, b < high))
    return cells


def _chains(product: FreeProduct) -> list["_Chain"]:
    """Runs of cells joined by atoms. Laws with different numbers of cells have only the outermost in common."""
    lists = [_places(law) for law in product.laws]
    if len({len(places) for places in lists}) > 1:
        reach_zero = all(places[-1][0] == 0 for places in lists)
        lists = [[places[0], places[-1]] if reach_zero else places[:1] for places in lists]
    chains: list[list[_Cell]] = []
    for aligned in zip(*lists, strict=True):
        low, high = (np.array([place[i] for place in aligned]) for i in (0, 1))
        cell = _Cell(low, high, all(place[2] for place in aligned))
        if cell.joins_above:
            chains[-1].append(cell)
        else:
            chains.append([cell])
    return [_Chain(product, cells) for cells in chains]


class _Chain:
    """ln z along a run of cells, on a grid of w that is dense at their ends, and the gaps of the spectrum in it."""

    def __init__(self, product: FreeProduct, cells: list[_Cell]) -> None:
        self._product = product
        self._cells = cells
        grids = [self._grid(cell) for cell in reversed(cells)]
        self._w = np.concatenate([w for w, _ in grids], axis=1)
        self._cell = np.repeat(np.arange(len(cells))[::-1], [w.shape[1] for w, _ in grids])
        self._reference = [reference for _, reference in grids][::-1]
        self._rises = self._slope(self._w, self._cell) > 0

    def gaps(self) -> list[_Gap]:
        rises = np.concatenate([[False], self._rises, [False]])
        starts = np.flatnonzero(rises[1:] & ~rises[:-1])
        stops = np.flatnonzero(~rises[1:] & rises[:-1]) - 1
        return [_Gap(self._lower_edge(i), self._upper_edge(j)) for i, j in zip(starts, stops, strict=True)]

    def _lower_edge(self, i: int) -> Edge | None:
        if i:
            return self._stationary(i - 1, i)
        low = self._cells[-1].low
        return None if (low == 0).any() else self._end(self._cells[-1], low, len(self._cells) - 1)

    def _upper_edge(self, j: int) -> Edge | None:
        if j + 1 < self._w.shape[1]:
            return self._stationary(j + 1, j)
        high = self._cells[0].high
        return None if np.isinf(high).any() else self._end(self._cells[0], high, 0)

    def _end(self, cell: _Cell, end: np.ndarray, index: int) -> Edge:
        """The image of the end of a law's continuous part."""
        reference = self._reference[index]
        w = self._matched(cell, np.array([end[reference]]), reference)
        return Edge(w[:, 0], float(self._product.state(w).log_z[0].real), square_root=False)

    def _stationary(self, outside: int, inside: int) -> Edge:
        """The zero of d ln z/dw between neighbouring grid points, the second of which lies in the gap."""
        index = int(self._cell[inside])
        if self._cell[outside] != index:
            # The zero is beyond the atom between them or before it: both are as close to it as rounding allows.
            w = self._w[:, inside]
        else:
            cell, reference = self._cells[index], self._reference[index]

            def slope(x: float) -> float:
                return float(self._slope(self._matched(cell, np.array([x]), reference), np.array([index]))[0])

            ends = sorted((float(self._w[reference, outside]), float(self._w[reference, inside])))
            x = brentq(slope, *ends, xtol=4e-16 * ends[0], rtol=1e-15)
            w = self._matched(cell, np.array([x]), reference)[:, 0]
        state = self._product.state(w[:, None])
        return Edge(w, float(state.log_z[0].real), square_root=True)

    def _slope(self, w: np.ndarray, cell: np.ndarray) -> np.ndarray:
        """d ln z/dw of the reference law's w, -1 where w belongs to no gap."""
        state = self._product.state(w)
        allowed = np.isfinite(state.log_z)
        if self._product.powers.sum() != 1:
            allowed &= state.one_plus_N.real > 0
        for factor in self._product.factors:
            allowed &= factor.allows(state.M.real)
        dN_dw = state.dN_dw.real[np.array(self._reference)[cell], np.arange(w.shape[1])]
        with np.errstate(invalid="ignore"):
            return np.where(allowed, state.slope.real * dN_dw, -1.0)

    def _grid(self, cell: _Cell) -> tuple[np.ndarray, int]:
        """w (laws, n) of equal M, increasing, and the law whose end comes first, which they are spaced by."""
        low, high = cell.low, cell.high
        if len(low) == 1:
            return _spaced(low[0], high[0])[None, :], 0
        near = np.array([_spaced(a, b)[[0, -1]] for a, b in zip(low, high, strict=True)])
        ends = [law.transform(pair + 0j).M.real for law, pair in zip(self._product.laws, near, strict=True)]
        at_low, at_high = np.array(ends).T
        reference = int(np.argmin(at_low) if np.isinf(high).any() else np.argmax(at_high))
        w = self._matched(cell, _spaced(low[reference], high[reference]), reference)
        return w[:, np.isfinite(w).all(axis=0)], reference

    def _matched(self, cell: _Cell, x: np.ndarray, reference: int) -> np.ndarray:
        """w (laws, n) with M_l(w_l) that of the reference law at x; nan where a law does not take that value."""
        w = np.empty((len(cell.low), x.size))
        target = self._product.laws[reference].transform(x + 0j).M.real
        for j, law in enumerate(self._product.laws):
            w[j] = x if j == reference else _solve_M(law, _spaced(cell.low[j], cell.high[j]), target)
        return w


def _solve_M(law: Law, grid: np.ndarray, target: np.ndarray) -> np.ndarray:
    """w with M(w) = target between the ends of `grid`, on which M decreases."""
    values = law.transform(grid + 0j).M.real
    right = np.clip(np.searchsorted(-values, -target), 1, len(grid) - 1)
    low, high = np.log(grid[right - 1]), np.log(grid[right])
    inside = (target <= values[right - 1]) & (target >= values[right])

    def excess(y, m):
        return law.transform(np.exp(y) + 0j).M.real - m

    found = find_root(excess, (low[inside], high[inside]), args=(target[inside],), tolerances={"xatol": 0, "xrtol": 1e-16})
    w = np.full(target.shape, np.nan)
    w[inside] = np.exp(found.x)
    return w


def _spaced(low: float, high: float) -> np.ndarray:
    """Points between low and high, increasing, dense at both ends; logarithmic towards 0 and infinity."""
    steps = np.geomspace(CLOSEST, 0.5, GRID // 2)
    if math.isinf(high):
        if low == 0:
            return np.geomspace(1e-40, 1e20, GRID)
        return low * (1 + np.geomspace(CLOSEST, 1e20, GRID))
    if low == 0:
        return high * np.concatenate([np.geomspace(1e-40, 0.5, GRID // 2), 1 - steps[-2::-1]])
    return np.unique(np.concatenate([low + (high - low) * steps, high - (high - low) * steps]))


def image_of_top(product: FreeProduct) -> float:
    """ln z at the supremum of the law that ends first, seen from infinity; inf if that is infinite."""
    tops = [law.top for law in product.laws]
    if np.isinf(tops).any():
        return math.inf
    return _image(product, np.array(tops), np.argmin)


def image_of_bottom(product: FreeProduct) -> float:
    """ln z at the infimum of the law that starts first, seen from 0; -inf if an infimum is 0."""
    bottoms = [law.bottom for law in product.laws]
    if 0 in bottoms:
        return -math.inf
    return _image(product, np.array(bottoms), np.argmax)


def _image(product: FreeProduct, places: np.ndarray, first) -> float:
    M = [float(law.transform(np.array([x])).M[0].real) for law, x in zip(product.laws, places, strict=True)]
    reference = int(first(M))
    w = places.copy()
    for j, law in enumerate(product.laws):
        if j != reference:
            outside = _spaced(places[j], math.inf) if first is np.argmin else _spaced(0.0, places[j])
            w[j] = _solve_M(law, outside, np.array([M[reference]]))[0]
    return float(product.state(w[:, None]).log_z[0].real)
