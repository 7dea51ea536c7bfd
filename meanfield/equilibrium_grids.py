"""Fixed points of many (sigma_w, sigma_b) at once: batched root finding, Hermite coefficients shared between cells."""

import functools
import math
from dataclasses import dataclass

import numpy as np

from meanfield.dual_kernels import series
from meanfield.equilibria import ULPS, FixedPoint, fixed_point, fixed_points, increasing
from meanfield.errors import ConvergenceError, NoFixedPointError, NonlinearityError, Status
from meanfield.gaussian_moments import evaluate, germ, profile, scan
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
    cells = Cells(
        numbers=np.full((len(NUMBERS), n), np.nan),
        bounds=np.full((len(NUMBERS), n), np.nan),
        stable=np.zeros(n, dtype=bool),
        phase=np.full(n, "unbounded", dtype="U9"),
        status=np.full(n, Status.UNBOUNDED, dtype=np.int8),
        n_fixed_points=np.zeros(n, dtype=np.int16),
    )
    search = _search(phi, sigma_w, sigma_b, q0)
    cells.n_fixed_points[:] = search.count
    regular = np.flatnonzero(search.regular)
    if regular.size:
        q = _refine(phi, sigma_w[regular], sigma_b[regular], search.low[regular], search.high[regular])
        special = _fill(phi, cells, regular, sigma_w[regular], sigma_b[regular], q)
    else:
        special = regular
    for i in np.concatenate([np.flatnonzero(search.special), special]):
        _solve_one(phi, cells, int(i), float(sigma_w[i]), float(sigma_b[i]), q0)
    return cells


@dataclass(frozen=True)
class _Search:
    """Per cell: a bracket of the root that q0 reaches (regular), a case for the scalar solver (special), or neither."""

    low: np.ndarray
    high: np.ndarray
    regular: np.ndarray
    special: np.ndarray
    count: np.ndarray


def _search(phi: Nonlinearity, sigma_w: np.ndarray, sigma_b: np.ndarray, q0: float) -> _Search:
    table = profile(phi)
    q, V, V_bound, V_slope = table.q, table.row("V"), table.bound("V"), table.row("V_slope")
    start = int(np.searchsorted(q, q0))
    if q0 > 0 and (start == len(q) or q[start] != q0) and q0 <= q[-1]:
        rows, bounds = evaluate(phi, np.array([q0]))
        q, V, V_bound, V_slope = (
            np.insert(a, start, b)
            for a, b in ((q, q0), (V, rows[0, 0]), (V_bound, bounds[0, 0]), (V_slope, rows[3, 0]))
        )
    weights, biases = sigma_w[:, None] ** 2, sigma_b[:, None] ** 2
    drift = weights * V + biases - q
    noise = weights * V_bound + 4 * EPS * (q + biases + weights * V)
    sign = np.sign(drift).astype(np.int8)
    sign[np.abs(drift) <= noise] = 0
    filled = _forward_fill(sign)
    change = filled[:, 1:] != filled[:, :-1]
    at_origin = (sigma_b == 0) & (germ(phi)[0] == 0)
    count = change.sum(axis=1) + at_origin

    slope = weights * V_slope - 1
    fold = (sign[:, 1:] == sign[:, :-1]) & (sign[:, 1:] != 0)
    fold &= (sign[:, :-1] * slope[:, :-1] < 0) & (sign[:, 1:] * slope[:, 1:] > 0)
    last_up = filled[:, -1] > 0
    special = fold.any(axis=1) | (last_up & (slope[:, -1] < -1e-9)) | (filled[:, 0] == 0)
    special |= (filled[:, 0] < 0) & ~at_origin  # a root below the profile
    special |= np.full(len(sigma_w), not (increasing(q, V, V_slope).all() and 0 < q0 <= q[-1]))

    here = filled[:, min(start, len(q) - 1)]
    special |= sign[:, min(start, len(q) - 1)] == 0
    index = np.arange(len(q) - 1)
    # Up: the first change at or after the start. Down: the last one before it, else the origin.
    upward = change & (index >= start)
    downward = change & (index < start)
    found_up, found_down = upward.any(axis=1), downward.any(axis=1)
    place = np.where(here > 0, upward.argmax(axis=1), len(index) - 1 - downward[:, ::-1].argmax(axis=1))
    found = np.where(here > 0, found_up, found_down)
    special |= ~found & (here < 0)  # falls to the origin
    regular = found & ~special
    rows = np.arange(len(sigma_w))
    # Zeros of the sign within noise widen the bracket to the nearest told signs.
    before = _last_told(sign)[rows, place]
    return _Search(q[before], q[place + 1], regular, special, count)


def _forward_fill(sign: np.ndarray) -> np.ndarray:
    """Zeros replaced by the sign before them; leading ones by the first sign after."""
    filled = np.take_along_axis(sign, _last_told(sign), axis=1)
    first = np.take_along_axis(sign, (sign != 0).argmax(axis=1)[:, None], axis=1)
    return np.where(filled == 0, first, filled)


def _last_told(sign: np.ndarray) -> np.ndarray:
    """For each place the last one at or before it with a sign, 0 if there is none."""
    index = np.where(sign != 0, np.arange(sign.shape[1]), 0)
    return np.maximum.accumulate(index, axis=1)


def _refine(phi: Nonlinearity, sigma_w, sigma_b, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Roots of the drift between `low` and `high`: Newton's method kept inside the bracket, to rounding."""
    low, high = low.copy(), high.copy()
    q = np.sqrt(low * high)
    falling = sigma_w**2 * scan(phi, high)[0] + sigma_b**2 - high < 0
    active = np.arange(q.size)
    for _ in range(100):
        here = q[active]
        rows = scan(phi, here)
        value = sigma_w[active] ** 2 * rows[0] + sigma_b[active] ** 2 - here
        slope = sigma_w[active] ** 2 * rows[3] - 1
        beyond = (value > 0) != falling[active]
        high[active] = np.where(beyond, here, high[active])
        low[active] = np.where(beyond, low[active], here)
        with np.errstate(divide="ignore", invalid="ignore"):
            step = value / slope
        inside = (here - step >= low[active]) & (here - step <= high[active])
        moved = np.where(inside, here - step, np.sqrt(low[active] * high[active]))
        q[active] = moved
        active = active[np.abs(moved - here) > 4 * EPS * here]
        if not active.size:
            break
    return q


def _fill(phi: Nonlinearity, cells: Cells, where, sigma_w, sigma_b, q) -> np.ndarray:
    """Write the regular cells; returns those that turn out to need the scalar solver."""
    values, bounds = evaluate(phi, q)
    V, mu_1, _, V_slope, _ = values
    alpha, chi_1 = sigma_w**2 * V_slope, sigma_w**2 * mu_1
    residual = np.abs(sigma_w**2 * V + sigma_b**2 - q) + sigma_w**2 * bounds[0] + 2 * EPS * q
    error = residual / np.maximum(np.abs(1 - alpha), math.sqrt(EPS))
    below, above = (scan(phi, q * (1 + side)) for side in (-1e-4, 1e-4))
    moves = 2 * sigma_w**2 * error / (2e-4 * q)
    alpha_bound = sigma_w**2 * bounds[3] + 2 * EPS * np.abs(alpha) + moves * np.abs(above[3] - below[3])
    chi_bound = sigma_w**2 * bounds[1] + 2 * EPS * chi_1 + moves * np.abs(above[1] - below[1])
    ordered, chaotic = chi_1 < 1, chi_1 > 1
    c, slope = np.ones_like(q), chi_1.copy()
    c_bound, slope_bound = np.zeros_like(q), chi_bound.copy()
    doubtful = (np.abs(chi_1 - 1) <= chi_bound + ULPS) | (np.abs(alpha - 1) <= alpha_bound + ULPS)
    many = np.flatnonzero(chaotic & ~doubtful)
    if many.size:
        found = _correlations(phi, sigma_w[many], sigma_b[many], q[many], chi_1[many], chi_bound[many])
        c[many], slope[many], c_bound[many], slope_bound[many] = found[:4]
        doubtful[many[found[4]]] = True
    with np.errstate(divide="ignore", invalid="ignore"):
        xi_q = np.where(alpha < 1, np.where(alpha == 0, 0.0, -1 / np.log(np.abs(alpha))), np.nan)
        numbers = np.array([q, alpha, chi_1, c, slope, xi_q, -1 / np.log(slope), -1 / np.log(chi_1)])
        depth_bounds = [
            np.where(b < np.abs(np.log(s)) * s, b / ((s - b) * np.log(s) ** 2), np.inf)
            for s, b in ((np.abs(alpha), alpha_bound), (slope, slope_bound), (chi_1, chi_bound))
        ]
    ready = ~doubtful
    cells.numbers[:, where[ready]] = numbers[:, ready]
    all_bounds = np.array([error, alpha_bound, chi_bound, c_bound, slope_bound, *depth_bounds])
    cells.bounds[:, where[ready]] = all_bounds[:, ready]
    cells.stable[where[ready]] = alpha[ready] < 1
    cells.phase[where[ready]] = np.where(ordered, "ordered", "chaotic")[ready]
    low = error > 1e-6 * q
    cells.status[where[ready]] = np.where(low, Status.LOW_ACCURACY, Status.CONVERGED)[ready]
    return where[doubtful]


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


# Hermite coefficients as functions of ln q: Chebyshev interpolation on fixed segments, so that a cell's bits do not
# depend on which other cells there are.
SEGMENT = 0.5
SEGMENT_NODES = 20


@functools.lru_cache(maxsize=512)
def _coefficients(phi: Nonlinearity, segment: int) -> tuple[np.ndarray, float]:
    """Chebyshev coefficients (SEGMENT_NODES, TERMS) of a_k(q)/sqrt(q) over a segment of ln q, and their tail."""
    angle = math.pi * (np.arange(SEGMENT_NODES) + 0.5) / SEGMENT_NODES
    q = np.exp(SEGMENT * (segment + 0.5 + 0.5 * np.cos(angle)))
    values = np.array([series(phi, float(x)).coefficients[0, 0] / math.sqrt(x) for x in q])
    to_chebyshev = np.cos(np.outer(np.arange(SEGMENT_NODES), angle)) * (2 / SEGMENT_NODES)
    to_chebyshev[0] /= 2
    found = to_chebyshev @ values
    tail = 2 * float(np.sqrt((found[-3:] ** 2).sum(axis=1)).max())
    return found, tail


def _probabilities(phi: Nonlinearity, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """a_k(q)^2/q by interpolation, (n, TERMS), and a bound on the error of their sum relative to it, (n,)."""
    position = np.log(q) / SEGMENT
    segments = np.floor(position).astype(int)
    squares, bounds = None, np.empty(q.size)
    for segment in np.unique(segments):
        where = segments == segment
        coefficients, tail = _coefficients(phi, int(segment))
        basis = np.polynomial.chebyshev.chebvander(2 * (position[where] - segment) - 1, SEGMENT_NODES - 1)
        amplitudes = basis @ coefficients
        if squares is None:
            squares = np.empty((q.size, amplitudes.shape[1]))
        squares[where] = amplitudes**2
        norm = np.sqrt(squares[where].sum(axis=1))
        bounds[where] = tail * (2 * norm + tail)
    assert squares is not None
    return squares, bounds


def _correlations(phi: Nonlinearity, sigma_w, sigma_b, q, chi_1, chi_bound) -> tuple[np.ndarray, ...]:
    """c_star, the slope there, bounds of both (n,), and which cells the series cannot settle."""
    squares, doubt = _probabilities(phi, q)
    p = squares * sigma_w[:, None] ** 2
    doubt = doubt * sigma_w**2
    p[:, 0] += sigma_b**2 / q
    last = int(np.flatnonzero((p * np.arange(p.shape[1])).max(axis=0) > 1e-18)[-1]) if p.any() else 0
    p = p[:, : last + 2]
    k = np.arange(p.shape[1])
    c, slope = np.zeros_like(q), np.zeros_like(q)
    active = np.arange(q.size)
    for _ in range(200):
        here = c[active]
        powers = np.repeat(here[:, None], k.size, axis=1)
        powers[:, 0] = 1.0
        np.multiply.accumulate(powers, axis=1, out=powers)
        image = np.einsum("nk,nk->n", p[active], powers)
        slope[active] = np.einsum("nk,nk,k->n", p[active, 1:], powers[:, :-1], k[1:])
        step = np.where(slope[active] < 1, (image - here) / np.maximum(1 - slope[active], EPS), 0.0)
        c[active] = np.clip(here + np.maximum(step, 0.0), 0.0, 1.0)
        active = active[step > 4 * EPS]
        if not active.size:
            break
    # Near 1 the difference f(c) - c cancels; sum_k p_k (1 - c^k) = 1 - c does not, if no terms are left out.
    near = np.flatnonzero((c > 0.9) & (np.abs(1 - p.sum(axis=1)) <= 64 * EPS))
    e = np.maximum(1 - c, EPS)
    for _ in range(3 if near.size else 0):
        gap = -np.expm1(k * np.log1p(-e[near])[:, None])
        excess = np.einsum("nk,nk->n", p[near], gap) - e[near]
        steepness = np.einsum("nk,nk->n", p[near, 1:] * k[1:], 1 - gap[:, :-1]) - 1
        e[near] = np.clip(e[near] - excess / np.minimum(steepness, -EPS), EPS, 1.0)
        slope[near] = steepness + 1
    c = 1 - e
    left_out = np.maximum(chi_1 - (p[:, 1:] * k[1:]).sum(axis=1), 0.0) + 16 * EPS
    local = doubt + c ** k[-1] * left_out * np.minimum(1.0, e * k[-1]) + 4 * EPS + chi_bound * e
    c_bound = local / np.maximum(1 - slope, EPS)
    bend = (chi_1 - slope) / e
    slope_bound = doubt * k[-1] ** 0.5 + c ** (k[-1] - 1) * left_out + bend * c_bound + chi_bound
    unsettled = (c_bound > 1e-10) & (c_bound > 4 * EPS / np.maximum(1 - slope, EPS)) | (slope_bound > 1e-10)
    return c, slope, c_bound, slope_bound, unsettled
