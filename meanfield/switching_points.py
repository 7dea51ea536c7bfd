"""Where a tree changes its formula or divides by zero: sign changes and zeros, located numerically."""

import functools
import math
from collections.abc import Callable, Iterator

import numpy as np

from meanfield.expression_trees import Call, Composition, Number, Tree, call, value_and_slope, walk

__all__ = ["GRID", "horizon", "nearest", "points_within"]

CORE = 512.0  # searched with steps of at most half a unit
FAR = 1e12
FEW = 10  # more sign changes than this on the sparse grid between CORE and FAR look like a sine
MAX_CELLS = 100_000
MAX_POINTS = 12_000  # quadrature has no room for more panels
MAX_BISECTIONS = 64
MAX_REFINEMENTS = 24
SAME = 1e-15  # distance of points that differ by rounding, near zero
TOLERANCE = 0.02
NOTHING = 1e-290  # a tail this small loses its digits before it is 0
TOUCHING = 1e-8  # an extremum this small beside its surroundings counts as a zero


def _base_grid() -> np.ndarray:
    tiny = 2.0 ** np.arange(-40, -3)
    near, middle = np.arange(0.125, 16, 0.125), np.arange(16, CORE, 0.5)
    far = np.geomspace(CORE, FAR, round(math.log(FAR / CORE) / math.log(1.1)))
    positive = np.concatenate([tiny, near, middle, far])
    return np.concatenate([-positive[::-1], [0.0], positive])


GRID = _base_grid()


def switches(tree: Tree) -> dict[Tree, bool]:
    """The functions of x at whose sign changes `tree` may not be smooth, inner ones first.

    True for those where touching zero is enough, as for a divisor.
    """
    found: dict[Tree, bool] = {}
    for node in walk(tree):
        for switch, touching in _own_switches(node):
            if not isinstance(switch, Number):
                found[switch] = touching or found.get(switch, False)
    return found


def _own_switches(node: Tree) -> Iterator[tuple[Tree, bool]]:
    if isinstance(node, Composition):
        for kink in node.phi.kinks_between(-CORE, CORE):
            yield call("-", node.inner, Number(float(kink))), False
    elif isinstance(node, Call) and node.function in _SWITCHES:
        switch, touching = _SWITCHES[node.function]
        yield switch(*node.arguments), touching


def _base(base: Tree, exponent: Tree) -> Tree:
    polynomial = isinstance(exponent, Number) and exponent.value >= 0 and exponent.value == round(exponent.value)
    return Number(1.0) if polynomial else base


# From the arguments of a function to what switches it, and whether touching zero is enough.
_SWITCHES: dict[str, tuple[Callable[..., Tree], bool]] = {
    **dict.fromkeys(("abs", "sign", "heaviside"), (lambda u: u, False)),
    **dict.fromkeys(("max", "min", "<", "<=", ">", ">="), (lambda a, b: call("-", a, b), False)),
    **dict.fromkeys(("log", "sqrt"), (lambda u: u, True)),
    "log1p": (lambda u: call("+", Number(1.0), u), True),
    "/": (lambda a, b: b, True),
    "**": (_base, True),
    "tan": (lambda u: call("cos", u), True),
}


@functools.lru_cache(maxsize=256)
def points_within(tree: Tree, reach: float, max_cells: int = MAX_CELLS) -> np.ndarray:
    """Sorted points of [-reach, reach] where some switch of `tree` changes sign or touches zero, shape (n,).

    Of more than MAX_POINTS, or more than `max_cells` resolve, those nearest to zero.
    """
    found = np.empty(0)
    inside = GRID[np.abs(GRID) < reach]
    for switch, touching in switches(tree).items():
        edges = np.unique(np.concatenate([[-reach], inside, found, [reach]]))
        crossed, touched = _zeros(functools.partial(value_and_slope, switch), *_resolved(switch, edges, max_cells))
        found = np.concatenate([found, crossed, touched if touching else []])
    found = nearest(_merged(found), MAX_POINTS)
    found.setflags(write=False)
    return found


def _merged(points: np.ndarray) -> np.ndarray:
    """Sorted, with one point for those that differ by rounding: the one nearest to zero, which is often 0 itself."""
    points = np.unique(points)
    group = np.cumsum(np.diff(points, prepend=-np.inf) > np.maximum(4 * np.finfo(float).eps * np.abs(points), SAME))
    order = np.lexsort((np.abs(points), group))
    return points[order[np.unique(group[order], return_index=True)[1]]]


def nearest(points: np.ndarray, count: int) -> np.ndarray:
    """The `count` points nearest to zero, sorted."""
    return np.sort(points[np.argsort(np.abs(points), kind="stable")[:count]])


def horizon(tree: Tree) -> float:
    """How far the points of `tree` reach: CORE, FAR, or inf where they recur without end, as those of abs(sin(x)) do.

    A switch without sines has finitely many zeros, few of them beyond CORE; the grid's growing steps know no period.
    """
    found = CORE
    for far in (GRID[GRID >= CORE], GRID[GRID <= -CORE]):
        for switch, touching in switches(tree).items():
            rows = value_and_slope(switch, far)
            changes, turns = _signs_of_zeros(rows[:, :-1], rows[:, 1:])
            count = np.count_nonzero(changes) + (np.count_nonzero(turns) if touching else 0)
            if count:
                found = max(found, FAR if count <= FEW else math.inf)
    return found


def _resolved(switch: Tree, edges: np.ndarray, max_cells: int) -> tuple[np.ndarray, np.ndarray]:
    """Cells (left, right), bisected until values and slopes at their ends predict those in the middle."""
    values, slopes = value_and_slope(switch, edges)
    cells = np.array([edges[:-1], edges[1:], values[:-1], values[1:], slopes[:-1], slopes[1:]])
    done = [np.empty((2, 0))]
    for _ in range(MAX_REFINEMENTS):
        left, right, f_left, f_right, g_left, g_right = cells
        middle = left + (right - left) / 2
        f, g = value_and_slope(switch, middle)
        with np.errstate(all="ignore"):
            rough = _unpredicted(right - left, np.array([f_left, f, f_right]), np.array([g_left, g, g_right]))
        halves = np.concatenate([[left, middle, f_left, f, g_left, g], [middle, right, f, f_right, g, g_right]], axis=1)
        rough = np.concatenate([rough, rough])
        done.append(halves[:2, ~rough])
        cells = halves[:, rough]
        room = max_cells - sum(part.shape[1] for part in done)
        if cells.shape[1] > room:
            cells = cells[:, np.argsort(np.abs(cells[0]), kind="stable")[: max(room, 0)]]
        if not cells.shape[1]:
            break
    left, right = np.concatenate([*done, cells[:2]], axis=1)
    return left, right


def _unpredicted(width: np.ndarray, f: np.ndarray, g: np.ndarray) -> np.ndarray:
    """Do values f and slopes g (left, middle, right) stray from a cubic, and from the exponential of one?"""
    size = np.abs(f).max(axis=0)
    one_sign = (np.sign(f) == np.sign(f[0])).all(axis=0)
    logarithm, rate = np.log(np.abs(f)), g / f
    rough = (_stray(width, f, g) > TOLERANCE * size) & (size > NOTHING)
    return rough & ~(one_sign & (_stray(width, logarithm, rate) <= TOLERANCE))


def _stray(width: np.ndarray, f: np.ndarray, g: np.ndarray) -> np.ndarray:
    """Distance in the middle from the cubic through the ends, in value and, a tenth of it, in slope times width."""
    value_off = np.abs((f[0] + f[2]) / 2 + width * (g[0] - g[2]) / 8 - f[1])
    slope_off = np.abs(1.5 * (f[2] - f[0]) - width * (g[0] + g[2]) / 4 - width * g[1])
    return np.maximum(value_off, 0.1 * slope_off)


def _zeros(
    evaluate: Callable[[np.ndarray], np.ndarray], left: np.ndarray, right: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Sign changes, and zeros that are touched, inside the cells; in no order."""
    rows_left, rows_right = evaluate(left), evaluate(right)
    changes, turns = _signs_of_zeros(rows_left, rows_right)
    turning = _bisected(lambda x: np.sign(evaluate(x)[1]), left[turns], right[turns])[0]
    f_turning, f_left, f_right = evaluate(turning)[0], rows_left[0, turns], rows_right[0, turns]
    touching = turning[np.abs(f_turning) <= TOUCHING * np.maximum(np.abs(f_left), np.abs(f_right))]
    crossed = np.sign(f_turning) != np.sign(np.sign(f_left) + np.sign(f_right))
    starts = np.concatenate([left[changes], left[turns][crossed], turning[crossed]])
    stops = np.concatenate([right[changes], turning[crossed], right[turns][crossed]])
    chosen = np.argsort(np.abs(starts), kind="stable")[:MAX_POINTS]
    low, high = _bisected(lambda x: np.sign(evaluate(x)[0]), starts[chosen], stops[chosen])
    nearer = np.where(np.abs(evaluate(low)[0]) <= np.abs(evaluate(high)[0]), low, high)
    return nearer, touching


def _signs_of_zeros(left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Does the value change its sign, or turn towards zero, between values and slopes (2, n) of both ends?"""
    (f_left, g_left), (f_right, g_right) = np.sign(left), np.sign(right)
    changes = (f_left != f_right) & ~np.isnan(f_left + f_right)
    turns = (f_left * f_right >= 0) & (g_left * g_right < 0) & (f_left * g_left <= 0) & (f_right * g_right >= 0)
    return changes, turns


def _bisected(
    sign: Callable[[np.ndarray], np.ndarray], left: np.ndarray, right: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Neighbouring numbers, or nearly so, between which the sign stops being that of the left end."""
    start = sign(left)
    for _ in range(MAX_BISECTIONS if left.size else 0):
        middle = left + (right - left) / 2
        same = sign(middle) == start
        left, right = np.where(same, middle, left), np.where(same, right, middle)
    return left, right
