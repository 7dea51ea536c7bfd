"""V, mu_1 and the slope of V as interpolants in ln q, for searches over many lengths at once."""

import functools

import numpy as np

from meanfield.errors import NonlinearityError
from meanfield.gaussian_moments import evaluate, scan
from meanfield.interpolation import LENGTH_NODES, chebyshev_polynomials, segment_nodes, segments_of, to_coefficients
from meanfield.nonlinearity import Nonlinearity

__all__ = ["length_moments", "length_table"]

FAST = 1e4  # growth of V over a segment, in which q grows 7.4-fold


def length_moments(phi: Nonlinearity, q: np.ndarray) -> np.ndarray:
    """V, mu_1 and dV/dq at q > 0 (n,), shape (3, n), to about 1e-14 of their size on the segment around q.

    Where they grow so fast that this size says little at its lower end, they are integrated.
    """
    segment, place = segments_of(q)
    result = np.empty((3, q.size))
    for number in np.unique(segment):
        where = np.flatnonzero(segment == number)
        table = length_table(phi, int(number))
        if table is None or _grows_fast(phi, int(number)):
            result[:, where] = scan(phi, q[where])[[0, 1, 3]]
        else:
            result[:, where] = table @ chebyshev_polynomials(place[where], LENGTH_NODES).T
            result[2, where] /= q[where]
    return result


@functools.lru_cache(maxsize=2048)
def _grows_fast(phi: Nonlinearity, segment: int) -> bool:
    table = length_table(phi, segment)
    assert table is not None
    top, bottom = (np.abs(chebyshev_polynomials(np.array([end]), table.shape[1]) @ table[0]) for end in (1.0, -1.0))
    return bool(top > FAST * bottom)


@functools.lru_cache(maxsize=2048)
def length_table(phi: Nonlinearity, segment: int, n: int = LENGTH_NODES) -> np.ndarray | None:
    """Chebyshev coefficients (3, n) of V, mu_1 and q dV/dq; None where a moment is infinite."""
    q = segment_nodes(segment, n)
    try:
        values, bounds = evaluate(phi, q)
    except NonlinearityError:
        return None
    if not np.isfinite(bounds[[0, 1, 3]]).all():
        return None
    return np.array([values[0], values[1], q * values[3]]) @ to_coefficients(n).T
