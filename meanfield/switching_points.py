"""Where a tree changes its formula or divides by zero: sign changes and zeros, located numerically."""

import functools
import math
from collections.abc import Callable, Iterator

import numpy as np

from meanfield.expression_trees import Call, Composition, Number, Tree, call, value, value_and_slope, walk

__all__ = ["CORE", "FAR", "GRID", "nearest", "points_within", "recur_without_end"]

CORE = 512.0  # searched with steps of at most half a unit
FAR = 1e12
FEW = 10  # more sign changes than this on the sparse grid between CORE and FAR look like a sine
MAX_CELLS = 100_000
MAX_POINTS = 12_000  # quadrature has no room for more panels
MAX_BISECTIONS = 64
MAX_REFINEMENTS = 24
TOLERANCE = 0.02
TOUCHING = 1e-8  # an extremum this small beside its surroundings counts as a zero


def _base_grid() -> np.ndarray:
    tiny = 2.0 ** np.arange(-40, -3)
    near, middle = np.arange(0.125, 16, 0.125), np.arange(16, CORE, 0.5)
    far = np.geomspace(CORE, FAR, round(math.log(FAR / CORE) / math.log(1.1)))
    positive = np.concatenate([tiny, near, middle, far])
    return np.concatenate([-positive[::-1], [0.0], positive])


GRID = _base_grid()


def switches(tree: Tree) -> tuple[Tree, ...]:
    """The functions of x whose zeros are the points where `tree` may not be smooth, inner ones first."""
    found = (switch for node in walk(tree) for switch in _own_switches(node))
    return tuple(dict.fromkeys(switch for switch in found if not isinstance(switch, Number)))


def _own_switches(node: Tree) -> Iterator[Tree]:
    if isinstance(node, Composition):
        places = node.phi.kinks_between(-CORE, CORE)
        yield from (call("-", node.inner, Number(float(place))) for place in places)
    if not isinstance(node, Call):
        return
    first = node.arguments[0]
    match node.function:
        case "abs" | "sign" | "heaviside" | "log" | "sqrt":
            yield first
        case "max" | "min" | "<" | "<=" | ">" | ">=":
            yield call("-", first, node.arguments[1])
        case "/":
            yield node.arguments[1]
        case "tan":
            yield call("cos", first)
        case "log1p":
            yield call("+", Number(1.0), first)
        case "**":
            exponent = node.arguments[1]
            if not isinstance(exponent, Number) or exponent.value < 0 or exponent.value != round(exponent.value):
                yield first


@functools.lru_cache(maxsize=256)
def points_within(tree: Tree, reach: float) -> np.ndarray:
    """Sorted points of [-reach, reach] where some switch of `tree` changes sign or touches zero, shape (n,).

    Of more than MAX_POINTS, those nearest to zero.
    """
    found = np.empty(0)
    inside = GRID[np.abs(GRID) < reach]
    for switch in switches(tree):
        edges = np.unique(np.concatenate([[-reach], inside, found, [reach]]))
        found = np.concatenate([found, _zeros(functools.partial(value_and_slope, switch), *_resolved(switch, edges))])
    found = np.unique(found)
    apart = np.diff(found, prepend=-np.inf) > 4 * np.finfo(float).eps * np.abs(found)
    found = found[apart | (found == 0)]
    found = nearest(found, MAX_POINTS)
    found.setflags(write=False)
    return found


def nearest(points: np.ndarray, count: int) -> np.ndarray:
    """The `count` points nearest to zero, sorted."""
    return np.sort(points[np.argsort(np.abs(points), kind="stable")[:count]])


def recur_without_end(tree: Tree) -> bool:
    """Does some switch of `tree` keep changing its sign beyond CORE, as sin(x) does?

    A switch without sines has finitely many zeros, few of them there; the grid's growing steps know no period.
    """
    for side in (GRID[GRID >= CORE], GRID[GRID <= -CORE]):
        for switch in switches(tree):
            signs = np.sign(value(switch, side))
            signs = signs[~np.isnan(signs)]
            if np.count_nonzero(np.diff(signs)) > FEW:
                return True
    return False


def _resolved(switch: Tree, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
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
        room = MAX_CELLS - sum(part.shape[1] for part in done)
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
    return (_stray(width, f, g) > TOLERANCE * size) & ~(one_sign & (_stray(width, logarithm, rate) <= TOLERANCE))


def _stray(width: np.ndarray, f: np.ndarray, g: np.ndarray) -> np.ndarray:
    """Distance in the middle from the cubic through the ends, in value and, a tenth of it, in slope times width."""
    value_off = np.abs((f[0] + f[2]) / 2 + width * (g[0] - g[2]) / 8 - f[1])
    slope_off = np.abs(1.5 * (f[2] - f[0]) - width * (g[0] + g[2]) / 4 - width * g[1])
    return np.maximum(value_off, 0.1 * slope_off)


def _zeros(evaluate: Callable[[np.ndarray], np.ndarray], left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Sign changes and touching zeros inside the cells, in no order."""
    (f_left, g_left), (f_right, g_right) = evaluate(left), evaluate(right)
    sign_left, sign_right = np.sign(f_left), np.sign(f_right)
    changes = (sign_left != sign_right) & ~np.isnan(sign_left + sign_right)
    # The only other way to zero: towards it at the left end, away from it at the right end.
    turns = (sign_left * np.sign(g_left) <= 0) & (sign_right * np.sign(g_right) >= 0)
    turns &= (sign_left * sign_right >= 0) & (np.sign(g_left) * np.sign(g_right) < 0)
    turning = _bisected(lambda x: np.sign(evaluate(x)[1]), left[turns], right[turns])[0]
    f_turning = evaluate(turning)[0]
    ends = np.maximum(np.abs(f_left[turns]), np.abs(f_right[turns]))
    touching = turning[np.abs(f_turning) <= TOUCHING * ends]
    crossed = np.sign(f_turning) != np.sign(sign_left[turns] + sign_right[turns])
    starts = np.concatenate([left[changes], left[turns][crossed], turning[crossed]])
    stops = np.concatenate([right[changes], turning[crossed], right[turns][crossed]])
    chosen = np.argsort(np.abs(starts), kind="stable")[:MAX_POINTS]
    low, high = _bisected(lambda x: np.sign(evaluate(x)[0]), starts[chosen], stops[chosen])
    nearer = np.where(np.abs(evaluate(low)[0]) <= np.abs(evaluate(high)[0]), low, high)
    return np.concatenate([touching, nearer])


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
