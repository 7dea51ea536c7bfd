"""Gaussian expectations by adaptive composite Gauss-Legendre rules, with error bounds; knows no network.

The functions are resolved once per octave of sqrt(q) on panels graded in x and split at kinks; an expectation at any q
of the octave is then one weighted sum. Two partitions shifted against each other give the error: a kink that hides
between a panel's edge and its first node is invisible to every rule of a single partition.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

__all__ = [
    "EPS",
    "NODES",
    "ORDER",
    "ROUNDING",
    "TO_LEGENDRE",
    "WEIGHTS",
    "HalfLineQuadrature",
    "Panels",
    "of_two_partitions",
    "resolve",
]

EPS = float(np.finfo(np.float64).eps)
ORDER = 16
NODES, WEIGHTS = np.polynomial.legendre.leggauss(ORDER)
# Row k gives the k-th Legendre coefficient of the interpolant through the nodes.
TO_LEGENDRE = (np.polynomial.legendre.legvander(NODES, ORDER - 1) * WEIGHTS[:, None]).T * (np.arange(ORDER) + 0.5)[
    :, None
]

RESOLVED = 4e-15  # trailing Legendre coefficients relative to the panel's largest value
PLATEAU = 1e-9  # a flat tail below this is rounding noise of the function; bisection cannot lower it
NEGLIGIBLE = 1e-18  # of a whole row's weighted size
MAX_PANELS = 6_000
MAX_DEPTH = 60
ROUNDING = 10 * EPS  # function values (a few ulp), the density and the sum
UNDERFLOW = 1e-310  # the smallest float64, 5e-324, lost in every product, with room for factors and for the sum


@dataclass(frozen=True)
class Panels:
    """Panels on which every row of a vector function is resolved, in increasing order.

    x, w : (panels, ORDER) nodes and weights; values : (rows, panels, ORDER);
    noise : (rows, panels) size of the trailing Legendre coefficients, 0 where a row is resolved to rounding, inf where
    bisection to the last never resolved it;
    complete : False if the panel budget ran out.
    """

    edges: np.ndarray
    x: np.ndarray
    w: np.ndarray
    values: np.ndarray
    noise: np.ndarray
    complete: bool


def resolve(
    rows: Callable[[np.ndarray], np.ndarray],
    edges: np.ndarray,
    weight: Callable[[np.ndarray], np.ndarray],
    *,
    least: Callable[[np.ndarray], np.ndarray] | None = None,
    resolving: slice = slice(None),
    resolved: float = RESOLVED,
) -> Panels:
    """Bisect the panels between `edges` until Legendre interpolation resolves `rows` on each.

    Parameters
    ----------
    rows : callable
        From points (n,) to values (rows, n); non-finite values end the refinement of their panel.
    edges : array (n,)
        Increasing; put kinks among them.
    weight : callable
        Size of the measure at x; panels whose unresolved part it makes negligible are accepted.
    least : callable
        The smallest of several measures, `weight` if not given: what is left out is negligible beside the row there.
    resolving : slice
        The rows that decide; the noise of all of them is reported.
    resolved : float
        Size of the trailing Legendre coefficients, relative to the largest value, at which a panel is accepted.
    """
    left, right = edges[:-1], edges[1:]
    kept: list[tuple[np.ndarray, ...]] = []
    total = None
    budget = MAX_PANELS
    complete = True
    for depth in range(MAX_DEPTH + 1):
        half = (right - left) / 2
        x = (left + half)[:, None] + half[:, None] * NODES
        values = rows(x.ravel())
        values = values.reshape(len(values), *x.shape)
        coefficients = np.abs(values @ TO_LEGENDRE.T)
        scale = np.abs(values).max(axis=2)
        tail = coefficients[:, :, -3:].max(axis=2)
        middle = coefficients[:, :, 8:12].max(axis=2)
        size = half * weight(left)
        if total is None:
            # At the nodes: a row may grow over a panel by more than double precision holds.
            total = ((np.abs(values) * (least or weight)(x)).max(axis=2) * half).sum(axis=1, keepdims=True)
        fine = tail <= resolved * scale
        flat = middle <= 8 * tail
        fine |= flat & (tail <= PLATEAU * scale)
        fine |= tail * size <= np.where(flat, 1e3 * NEGLIGIBLE, NEGLIGIBLE) * total
        # Too narrow to bisect, or not finite: the caller sees the values.
        stop = (right - left <= 8 * EPS * np.maximum(np.abs(left), np.abs(right))) | ~np.isfinite(scale).all(axis=0)
        done = fine[resolving].all(axis=0) | stop
        budget -= int(done.sum())
        if depth == MAX_DEPTH or 2 * int((~done).sum()) > budget:
            complete = bool(done.all())
            done[:] = True
        # A resolved panel is integrated to rounding, which every error bound counts anyway.
        noise = np.where(tail <= RESOLVED * scale, 0.0, tail)
        if depth == MAX_DEPTH:  # a pole, or close to one: nothing bounds what is left of it
            noise[~fine] = np.inf
        kept.append((left[done], x[done], half[done, None] * WEIGHTS, values[:, done], noise[:, done]))
        if done.all():
            break
        middle_point = (left + half)[~done]
        left, right = (
            np.concatenate([left[~done], middle_point]),
            np.concatenate([middle_point, right[~done]]),
        )
    starts, x, w = (np.concatenate([part[i] for part in kept]) for i in range(3))
    values, noise = (np.concatenate([part[i] for part in kept], axis=1) for i in (3, 4))
    order = np.argsort(starts, kind="stable")
    return Panels(np.append(starts[order], edges[-1]), x[order], w[order], values[:, order], noise[:, order], complete)


def of_two_partitions(
    one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """The values of the first of two partitions, and a bound on their error, from values and known errors on both.

    Twice the difference: two independent roundings may agree by chance, the known errors are floors for that.
    """
    (values, errors), (check, check_errors) = one, other
    return values, np.maximum(errors, check_errors) + 2 * np.abs(values - check)


# Multiples of the octave's lower end 2^k. The first ones resolve the Gaussian, the last ones hold nothing but the tail.
_PARTITIONS = (
    np.array([0, 0.5, 1, 2, 4, 8, 12, 16, 20, 24]),
    np.array([0, 0.37, 0.74, 1.48, 2.96, 5.92, 10.3, 14.1, 20.3, 24]),
)
_GRADING = (1.0, 0.74)
_EXTENSIONS = 5  # each doubles the reach, for functions that grow exponentially


@dataclass(frozen=True)
class _Table:
    """scale : the octave's lower end; x2 : (nodes,) squared nodes;
    columns : (nodes, 2 m) integrands and then their error densities, times weights relative to scale, 0 from where an
    integrand is not finite; end : first node of the blocks of `before`, `last` : (m, nodes from there) absolute
    integrands in the last but one and in the last block where they are finite;
    whole : (m,) does that go as far as it was meant to?
    """

    scale: float
    x2: np.ndarray
    columns: np.ndarray
    end: int
    before: np.ndarray
    last: np.ndarray
    whole: np.ndarray


class HalfLineQuadrature:
    """Expectations over x ~ N(0, q) of integrands folded onto x > 0.

    Parameters
    ----------
    rows : callable
        From x > 0, shape (n,), to values (r, n); the first `resolving` of them decide the panels.
    integrands : callable
        From (x, rows) to values (m, n) on the half line, both sides of the origin added.
    kinks : callable
        ``(low, high)`` to the places on the half line where a row has a kink.
    resolving : int
        Number of rows that decide the panels. Row r + `resolving` is row r less something exact: they err together.
    finest : int
        Panels shrink towards 0 down to ``2**finest``, a scale below which the rows are smooth there.
    """

    def __init__(self, rows, integrands, kinks, *, resolving: int, finest: int = -4) -> None:
        self._rows = rows
        self._integrands = integrands
        self._kinks = kinks
        self._resolving = slice(0, resolving)
        self._finest = finest
        self._tables: dict[tuple[int, int, int], _Table | None] = {}

    def expectation(self, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """E F(x) and a bound on its error, shapes (m, n), for q > 0 of shape (n,).

        The error is inf where the tails do not settle: the expectation is infinite or beyond float64.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            values, bounds = of_two_partitions(self._on_partition(q, 0), self._on_partition(q, 1))
        return values, np.where(np.isnan(bounds), np.inf, bounds)

    def values(self, q: np.ndarray) -> np.ndarray:
        """E F(x) on one partition, without a bound, for searches that evaluate their answer again; nan if unsettled."""
        with np.errstate(over="ignore", invalid="ignore"):
            values, errors = self._on_partition(q, 0)
        return np.where(np.isfinite(errors), values, np.nan)

    def _on_partition(self, q: np.ndarray, shift: int) -> tuple[np.ndarray, np.ndarray]:
        octave = np.frexp(np.sqrt(q))[1] - 1  # sqrt(q) in [2^octave, 2^(octave + 1))
        found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        for k in np.unique(octave):
            where = np.flatnonzero(octave == k)
            pending, cut = where, 0
            for extension in range(_EXTENSIONS + 1):
                table = self._table(int(k), extension, shift)
                if table is None:  # not finite there: what the shorter reach gave has to do
                    break
                values, errors, settled = _weighted_sums(table, q[pending])
                found.append((pending, values, errors))
                cut = cut + ~table.whole  # an integrand is cut at the same place by longer ones
                pending = pending[(~settled & (cut < 2)[:, None]).any(axis=0)]
                if not pending.size:
                    break
        if not found:
            raise OverflowError(f"the function is not finite within reach of sqrt(q) = {math.sqrt(q.max()):.6g}")
        m = found[0][1].shape[0]
        result, bound = np.full((m, q.size), np.nan), np.full((m, q.size), np.inf)
        for where, values, errors in found:
            better = errors < bound[:, where]
            result[:, where] = np.where(better, values, result[:, where])
            bound[:, where] = np.where(better, errors, bound[:, where])
        return result, bound

    def _table(self, k: int, extension: int, shift: int) -> _Table | None:
        key = (k, extension, shift)
        if key not in self._tables:
            self._tables[key] = self._build(*key)
        return self._tables[key]

    def _build(self, k: int, extension: int, shift: int) -> _Table | None:
        base = _PARTITIONS[shift]
        multiples = np.concatenate([base, *(base[-4:] * 2.0**e for e in range(1, extension + 1))])
        blocks = np.unique(multiples) * 2.0**k
        # Graded in x too: a function's own scale is x ~ 1, and a kink there must not hide in a panel of width sqrt(q).
        grading = 2.0 ** np.arange(self._finest, k - 1) * _GRADING[shift]
        edges = np.unique(np.concatenate([blocks, grading, self._kinks(0.0, blocks[-1])]))
        spread = 2.0 ** (k + 1)
        with np.errstate(all="ignore"):
            # Integrands are squares of rows: what a row weighs goes with the square root of the density.
            panels = resolve(
                self._rows,
                edges,
                lambda x: np.exp(-((x / spread) ** 2) / 4),
                least=lambda x: np.exp(-((x / spread) ** 2)),
                resolving=self._resolving,
            )
            x = panels.x.ravel()
            rows = panels.values.reshape(len(panels.values), -1)
            folded = self._integrands(x, rows)
            doubt = (ROUNDING if panels.complete else 1e-3) * np.abs(folded)
            step = self._resolving.stop
            for r in range(step):
                noise = panels.noise[r::step]
                loud = np.flatnonzero(np.repeat((noise != 0).any(axis=0), ORDER))
                moved = rows[:, loud]
                moved[r::step] += np.repeat(noise, ORDER, axis=1)[:, loud]
                doubt[:, loud] += np.abs(self._integrands(x[loud], moved) - folded[:, loud])
        # An integrand ends at the last block where it is finite; the tail estimate then speaks for the rest.
        finite = np.isfinite(folded)
        firsts = np.where(finite.all(axis=1), x.size - 1, np.argmin(finite, axis=1))
        ends = np.searchsorted(blocks, x[firsts], side="right") - np.where(finite.all(axis=1), 0, 1)
        if ends.min() < 3:
            return None
        inside = x < blocks[ends.max()]
        x, w = x[inside], panels.w.ravel()[inside] / 2.0**k
        block = np.searchsorted(blocks, x, side="right")
        kept = block <= ends[:, None]
        folded, doubt = (np.where(kept, part[:, inside], 0.0) * w for part in (folded, doubt))
        end = int(np.searchsorted(block, ends.min() - 1))
        before, last = (np.where(block == ends[:, None] - back, np.abs(folded), 0.0)[:, end:] for back in (1, 0))
        columns = np.ascontiguousarray(np.concatenate([folded, doubt]).T)
        return _Table(2.0**k, x**2, columns, end, before, last, finite.all(axis=1))


def _weighted_sums(table: _Table, q: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values, error bounds and whether the tails are settled, each (m, n)."""
    peak = table.scale / (math.sqrt(2 * math.pi) * np.sqrt(q))
    density = np.exp(np.multiply.outer(-0.5 / q, table.x2)) * peak[:, None]
    sums = (density @ table.columns).T
    values, errors = sums[: len(sums) // 2], sums[len(sums) // 2 :] + UNDERFLOW
    before, last = (sizes @ density[:, table.end :].T for sizes in (table.before, table.last))
    # Blocks that shrink at least twofold leave less than the last one beyond the end.
    tail = np.where(last <= before / 2, last, np.inf)
    return values, errors + tail, tail <= 1e-3 * errors
