"""What the page knows of one nonlinearity: interpolants of its Gaussian expectations and its critical line.

The lengths' tables hold V, mu_1 and q dV/dq by Chebyshev polynomials in ln q on segments. The correlation map needs

    chord(c) = (V - K(c)) / (q (1 - c)) = E (phi(u) - phi(v))^2 / E (u - v)^2

alone, by polynomials in ln q and the angle theta, c = cos(theta): K(c) = E phi(u) phi(v) follows from it, and so does
the slope E phi'(u) phi'(v) = chord + tan(theta/2) d chord/d theta. Nothing cancels as c -> 1, where chord = mu_1; a
kink of phi, which gives K its (1 - c)^(3/2), leaves chord smooth in theta.
"""

import base64
import functools
import itertools
import math
from typing import Any

import numpy as np

from meanfield.dual_kernels import series
from meanfield.errors import NonlinearityError
from meanfield.explorer.lines import Window, line_columns
from meanfield.gaussian_moments import evaluate, scan
from meanfield.interpolation import LENGTH_NODES, SEGMENT, chebyshev_polynomials
from meanfield.length_interpolants import length_table
from meanfield.length_search import reached_lengths
from meanfield.near_diagonal import rough_chord_and_product
from meanfield.nonlinearity import Nonlinearity

__all__ = ["tables"]

LENGTHS = range(-10, 8)  # segments of ln q: q from 2e-9 to 9e6
CORRELATIONS = range(-4, 3)  # q from 3e-4 to 400
NEAR = 0.25  # the angle below which 512 terms of Mehler's series may not be enough
RINGS = (math.pi / 2, NEAR, 0.0)
NODES_LENGTH = (LENGTH_NODES, 2 * LENGTH_NODES)
NODES_Q, NODES_NEAR, NODES_FAR = (5, 9, 17), (9, 17), 33
TOLD = 1e-9  # of V and mu_1
RESOLVED = 3e-10  # of chord, relative to its largest
NEGLIGIBLE = {"lengths": 2e-15, "chords": 1e-12}  # coefficients left out, relative to the largest


def tables(phi: Nonlinearity, window: Window) -> dict[str, Any]:
    """The JSON-ready tables of `phi`, for points (sigma_w, sigma_b) in `window`.

    Returns
    -------
    dict
        zero : V, mu_1 and dV/dq in the limit of small q;
        lengths : first segment, and for each segment the coefficients (3, k);
        chords : first segment, and for each segment one block a ring, far and near, with an estimate of its error;
        line : sigma_w, sigma_b, q and stability along the critical line, (4, n).
    """
    first, lengths = _lengths(phi)
    start, chords = _chords(phi, *_needed(phi, window))
    zero = evaluate(phi, np.zeros(1))[0][[0, 1, 3], 0]
    return {
        "zero": [float(x) for x in zero],
        "lengths": {"first": first, "segments": [_packed(_trimmed(table, "lengths")) for table in lengths]},
        "chords": {"first": start, "rings": RINGS, "segments": chords},
        "line": _packed(line_columns(phi, window)),
    }


def _lengths(phi: Nonlinearity) -> tuple[int, list[np.ndarray]]:
    """The first segment and the tables of the longest run of segments that tell the moments, around q = 1."""
    found = {s: table for s in LENGTHS if (table := _length_table(phi, s)) is not None}
    if 0 not in found and -1 not in found:
        raise NonlinearityError(
            f"{phi.name}: E phi^2 or E phi'^2 is infinite around q = 1, or grows too fast for a table"
        )
    low = high = 0 if 0 in found else -1
    while low - 1 in found:
        low -= 1
    while high + 1 in found:
        high += 1
    return low, [found[s] for s in range(low, high + 1)]


def _length_table(phi: Nonlinearity, segment: int) -> np.ndarray | None:
    """Coefficients that give V and mu_1 to TOLD all over the segment; None where they grow too fast for that."""
    if length_table(phi, segment) is None:
        return None
    place = np.linspace(-1.0, 1.0, 9)
    q = np.exp(SEGMENT * (segment + 0.5 + 0.5 * place))
    V, mu_1 = scan(phi, q)[:2]
    # Beside q itself a V or q mu_1 below a thousandth of it matters less.
    allowed = TOLD * np.array([np.maximum(V, 1e-3 * q), np.maximum(mu_1, 1e-3)])
    for n in NODES_LENGTH:
        table = length_table(phi, segment, n)
        if table is not None and (np.abs(table[:2] @ chebyshev_polynomials(place, n).T - [V, mu_1]) <= allowed).all():
            return table
    return None


def _needed(phi: Nonlinearity, window: Window) -> tuple[int, int]:
    """The segments, inclusive, of the lengths that the points of the window lead to from q = 1."""
    # Many columns: close to where lengths grow without bound, q changes fast with sigma_w.
    axes = (np.linspace(*side, points) for side, points in zip(window, (192, 24), strict=True))
    across, up = (grid.ravel() for grid in np.meshgrid(*axes))
    reached = reached_lengths(phi, across, up, 1.0).q
    reached = reached[np.isfinite(reached) & (reached > 0)]
    ends = np.log([reached.min(initial=1.0), reached.max(initial=1.0)]) / SEGMENT
    low, high = (min(max(math.floor(end), CORRELATIONS[0]), CORRELATIONS[-1]) for end in ends)
    return low, high


def _chords(phi: Nonlinearity, low: int, high: int) -> tuple[int, list[list[dict[str, Any]]]]:
    """The first segment and the blocks of those from `low` to `high` that can be computed."""
    blocks = {}
    for segment in range(low, high + 1):
        try:
            blocks[segment] = _segment_blocks(phi, segment)
        except (NonlinearityError, OverflowError):
            continue
    start = min(blocks, default=0)
    return start, [blocks[s] for s in itertools.takewhile(blocks.__contains__, itertools.count(start))]


def _segment_blocks(phi: Nonlinearity, segment: int) -> list[dict[str, Any]]:
    top = math.exp(SEGMENT * (segment + 1))
    near = next(n for n in NODES_NEAR if n == NODES_NEAR[-1] or _tail(_to_coefficients(n) @ _near(phi, top, n)) <= 1)
    coefficients = [np.zeros((1, 1))]
    for n in NODES_Q:
        q = np.exp(SEGMENT * (segment + 0.5 + 0.5 * _lobatto(n)))
        values = [np.array([_far(phi, float(x)) for x in q]), np.array([_near(phi, float(x), near) for x in q])]
        coefficients = [_to_coefficients(n) @ v @ _to_coefficients(v.shape[1]).T for v in values]
        if max(_tail(c) for c in coefficients) <= 1:
            break
    return [
        {**_packed(_trimmed(c, "chords")), "error": RESOLVED * float(np.abs(c).max()) * max(_tail(c), _tail(c.T), 1e-2)}
        for c in coefficients
    ]


def _tail(coefficients: np.ndarray) -> float:
    """The size of the last two coefficients along the first axis, as a multiple of RESOLVED."""
    return float(np.abs(coefficients[-2:]).max() / (RESOLVED * np.abs(coefficients).max()))


@functools.cache
def _lobatto(n: int) -> np.ndarray:
    """The n extrema of T_(n-1), from 1 to -1; those of n are among those of 2n - 1, to the bit."""
    return np.cos(math.pi * np.arange(n) / (n - 1))


@functools.cache
def _to_coefficients(n: int) -> np.ndarray:
    """The matrix (n, n) from values at `_lobatto` to Chebyshev coefficients."""
    matrix = np.cos(np.outer(np.arange(n), math.pi * np.arange(n) / (n - 1))) * (2 / (n - 1))
    matrix[:, [0, -1]] /= 2
    matrix[[0, -1]] /= 2
    return matrix


@functools.lru_cache(maxsize=4096)
def _far(phi: Nonlinearity, q: float) -> np.ndarray:
    """chord at the angles of the outer ring."""
    theta = (RINGS[0] + NEAR + (RINGS[0] - NEAR) * _lobatto(NODES_FAR)) / 2
    terms, gap = series(phi, q), 2 * np.sin(theta / 2) ** 2
    if terms.has_decayed(1):
        return _averages(terms.coefficients[0, 1], gap)
    V = evaluate(phi, np.array([q]))[0][0, 0]
    return (V - terms.product(terms, 0, np.cos(theta))[0]) / (q * gap)


@functools.lru_cache(maxsize=4096)
def _near(phi: Nonlinearity, q: float, n: int) -> np.ndarray:
    """chord at the angles of the inner ring, n of them; the last is 0."""
    gaps = 2 * np.sin(NEAR * (1 + _lobatto(n)) / 4) ** 2
    gaps[-1] = 0.0
    terms = series(phi, q)
    if terms.has_decayed(1):
        return _averages(terms.coefficients[0, 1], gaps)
    given = phi.function, phi.derivative, phi.kinks_between
    inner = [float(rough_chord_and_product(*given, float(gap), q)[0]) for gap in gaps[:-1]]
    return np.array([*inner, evaluate(phi, np.array([q]))[0][1, 0]])


def _averages(b: np.ndarray, gap: np.ndarray) -> np.ndarray:
    """The averages of E phi' phi' = sum_k b_k^2 c^k over [1 - gap, 1], the chords there."""
    k = np.arange(1, b.size + 1)
    wide = np.maximum(gap, 1e-300)[:, None]
    return (-np.expm1(k * np.log1p(-np.minimum(wide, 1 - 1e-16))) / (k * wide)) @ b**2


def _trimmed(coefficients: np.ndarray, kind: str) -> np.ndarray:
    """Without trailing coefficients below NEGLIGIBLE; every row of "lengths" is a function with a scale of its own."""
    size = np.abs(coefficients)
    scale = size.max(axis=1, keepdims=True) if kind == "lengths" else size.max()
    rows, columns = (np.flatnonzero((size > NEGLIGIBLE[kind] * scale).any(axis=axis)).max(initial=0) for axis in (1, 0))
    return coefficients[: None if kind == "lengths" else rows + 1, : columns + 1]


def _packed(array: np.ndarray) -> dict[str, Any]:
    """Shape and little-endian float64 values in base64."""
    return {"shape": list(array.shape), "data": base64.b64encode(array.astype("<f8").tobytes()).decode("ascii")}
