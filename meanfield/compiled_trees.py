"""A tree made a Nonlinearity: picklable phi, phi' and kinks, once phi is seen to be real, varying and continuous."""

import math
from dataclasses import dataclass

import numpy as np

from meanfield.errors import NonlinearityError, NotDifferentiableError
from meanfield.expression_trees import Tree, value, value_and_slope
from meanfield.nonlinearity import Nonlinearity
from meanfield.switching_points import GRID, horizon, nearest, points_within

__all__ = ["nonlinearity_of", "shortened"]

REAL_WITHIN = 100.0
FINITE_WITHIN = 8.0
NEAR = 64.0  # if the points crowd within, they recur without end
HURRIED = 4_000  # cells
MAX_CHECKED = 1000
TINY = np.finfo(np.float64).tiny
LEVEL = 1e-13  # a phi that varies less than this, relative to its size, is constant but for rounding
STEP = 1e-10  # a smaller jump, relative to phi around it, comes from constants typed with ten digits
SAME = 1e-11  # points closer than this, relative to their size, are one point and its rounding
SMALLEST = 1e-2  # size below which distances stop shrinking with the point
RATIO = 1e3  # of the two distances at which the growth of phi' is compared
SQUARE_INTEGRABLE = 0.4999  # |x|^-a is, for a < 1/2
STEEPEST = 10.0  # |x|^a with a > 1/2 moves less across 0 than this many times what it moves nearby


@dataclass(frozen=True)
class TreeFunction:
    """phi as a numpy function."""

    tree: Tree

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return value(self.tree, x)


@dataclass(frozen=True)
class TreeSlope:
    """phi' as a numpy function; where only phi' is infinite, at an isolated point, its value next to it."""

    tree: Tree

    def __call__(self, x: np.ndarray) -> np.ndarray:
        phi, slope = value_and_slope(self.tree, x)
        lost = np.isfinite(phi) & ~np.isfinite(slope)
        if lost.any():
            slope = np.where(lost, value_and_slope(self.tree, np.nextafter(x, np.inf))[1], slope)
        return slope


@dataclass(frozen=True)
class TreeKinks:
    """Kinks that recur without end."""

    tree: Tree

    def __call__(self, low: float, high: float) -> np.ndarray:
        # Few different reaches, so that each search is made once.
        reach = 2.0 ** math.ceil(math.log2(max(abs(low), abs(high), 1.0)))
        return points_within(self.tree, reach)


def shortened(text: str) -> str:
    """The text on one line of at most 80 characters."""
    return text if len(text) <= 80 else f"{text[:50]} ... {text[-25:]}"


def nonlinearity_of(tree: Tree, *, name: str, expression: str | None) -> Nonlinearity:
    """The nonlinearity that `tree` describes.

    Raises
    ------
    NonlinearityError
        phi is not real, not finite, constant, or E phi'^2 is infinite; names the point.
    NotDifferentiableError
        phi jumps.
    """
    title = shortened(name)
    _refuse_bad_values(tree, title)
    # Most that is wrong shows in a hurried search, whatever may oscillate farther out.
    _refuse_bad_points(tree, title, nearest(points_within(tree, FINITE_WITHIN, HURRIED), MAX_CHECKED))
    points = points_within(tree, NEAR)
    _refuse_bad_points(tree, title, nearest(points, MAX_CHECKED))
    return Nonlinearity(
        name=name,
        function=TreeFunction(tree),
        derivative=TreeSlope(tree),
        kinks=_kinks(tree, title) if len(points) < MAX_CHECKED else TreeKinks(tree),
        expression=expression,
    )


def _kinks(tree: Tree, title: str) -> tuple[float, ...] | TreeKinks:
    """All of them if they are finitely many."""
    reach = horizon(tree)
    if math.isinf(reach):
        return TreeKinks(tree)
    points = points_within(tree, reach)
    _refuse_bad_points(tree, title, points[np.abs(points) > NEAR])
    return tuple(points.tolist())


def _refuse_bad_values(tree: Tree, title: str) -> None:
    values = value(tree, GRID)
    finite = np.isfinite(values)
    bad = (np.isnan(values) & (np.abs(GRID) <= REAL_WITHIN)) | (~finite & (np.abs(GRID) <= FINITE_WITHIN))
    if bad.any():
        unreal = np.isnan(values) & bad
        _refuse_value(tree, title, GRID[unreal if unreal.any() else bad])
    if np.ptp(values[finite] / np.abs(values[finite]).max(initial=TINY)) <= LEVEL:
        raise NonlinearityError(f"{title}: phi is constant ({values[finite][0]:.6g}), so no signal passes")


def _refuse_value(tree: Tree, title: str, points: np.ndarray) -> None:
    """Name the simplest of the points and what is wrong there."""
    point = float(min(points, key=lambda x: (x != round(x), 8 * x != round(8 * x), abs(x))))
    found = float(value(tree, np.array(point)))
    beside = value(tree, point + np.array([-1e-6, 1e-6]))
    if not math.isnan(found):
        raise NonlinearityError(f"{title}: phi is not finite at x = {point:.6g} (got {found})")
    if np.isfinite(beside).all():
        raise NonlinearityError(
            f"{title}: phi is undefined at x = {point:.6g} (0/0 or the like); where(...) can join its limit there"
        )
    raise NonlinearityError(f"{title}: phi is not real at x = {point:.6g}")


def _refuse_bad_points(tree: Tree, title: str, points: np.ndarray) -> None:
    """Look at phi and phi' on both sides of the points, at distances that shrink by powers of ten."""
    if not points.size:
        return
    size = np.maximum(np.abs(points), SMALLEST)
    first = np.diff(points, prepend=-np.inf) > SAME * size
    left, right = points[first], points[np.append(first[1:], True)]
    size = np.maximum(np.maximum(np.abs(left), np.abs(right)), SMALLEST)
    gaps = np.concatenate([[np.inf], left[1:] - right[:-1], [np.inf]])
    room = np.minimum(gaps[:-1], gaps[1:]) / 4
    far, near = np.minimum(0.1 * size, room), np.minimum(1e-7 * size, room)
    distances = np.array([*(near / RATIO * step for step in (1.0, 1.5, 2.0, 3.0)), near, far])
    x = np.stack([left - distances, right + distances])
    values, slopes = value_and_slope(tree, x)
    at = value(tree, left)
    finite = np.isfinite(values).all(axis=(0, 1)) & np.isfinite(at)
    overflows = ~np.isfinite(values).any(axis=(0, 1)) & ~np.isnan(at)  # the moments judge that
    growth, steps = _growth(slopes), _steps(values, at)
    bad = (~finite & ~overflows) | (finite & ((growth >= SQUARE_INTEGRABLE) | steps))
    if not bad.any():
        return
    k = np.flatnonzero(bad)[np.argmin(np.abs(left[bad]))]
    point = left[k]
    if not finite[k]:
        around = x[:, :, k]
        _refuse_value(tree, title, around[~np.isfinite(values[:, :, k])] if np.isfinite(at[k]) else np.array([point]))
    if growth[k] >= 1:
        raise NonlinearityError(f"{title}: phi has no bound near x = {point:.6g}")
    if growth[k] >= SQUARE_INTEGRABLE:
        raise NonlinearityError(
            f"{title}: phi' grows like distance^-{growth[k]:.2g} at x = {point:.6g}, so E phi'^2 is infinite"
        )
    below, above = values[:, 0, k]
    if abs(above - below) < min(abs(at[k] - below), abs(at[k] - above)):
        raise NotDifferentiableError(f"{title}: phi is {at[k]:.6g} at x = {point:.6g} but {below:.6g} around it")
    raise NotDifferentiableError(
        f"{title}: phi jumps from {below:.6g} to {above:.6g} at x = {point:.6g}, so phi' holds a delta and E phi'^2 is "
        "infinite"
    )


def _growth(slopes: np.ndarray) -> np.ndarray:
    """a of phi' ~ distance^-a at each point, the larger of both sides, from slopes (2, distances, n)."""
    close, near, far = np.abs(slopes[:, 0]), np.abs(slopes[:, -2]), np.abs(slopes[:, -1])
    with np.errstate(all="ignore"):
        exponent = np.log(close / near) / math.log(RATIO)
    # Growth only near the point: elsewhere it is rounding noise of a slope that vanishes.
    growth = np.where((near >= far) & (near > 0), exponent, 0.0)
    return np.where(np.isfinite(close), growth, np.inf).max(axis=0)


def _steps(values: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Does phi jump across, or at, each point? values (2, distances, n), the closest four first."""
    below, above = values[:, 0]
    with np.errstate(all="ignore"):
        spread = np.ptp(values[:, :4], axis=1).max(axis=0)
        across = np.maximum(np.abs(above - below), np.minimum(np.abs(at - below), np.abs(at - above)))
        return across > STEEPEST * spread + STEP * np.abs(values).max(axis=(0, 1))
