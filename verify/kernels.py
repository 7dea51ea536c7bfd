"""The compiled loops of the simulations: normal draws, random Householder reflectors, Jacobi rotations of graded rows.

One policy for all: compiled once and cached on disk, the GIL released so that threads run side by side, no
parallel regions (a sweep shares out whole networks), strict IEEE arithmetic so that the bits do not depend on how a
loop was vectorised. Kernels that call each other stay in this file: the cache watches only the caller's own file.

Normals come from the ziggurat method of 256 layers [1]_ on the bits of xoshiro256++ [2]_, layer, sign and place
taken from different bits [3]_: a quarter of the time of ``Generator.standard_normal``.

.. [1] G. Marsaglia, W. W. Tsang, J. Statistical Software 5 (2000) 8.
.. [2] D. Blackman, S. Vigna, ACM Trans. Math. Software 47 (2021) 36.
.. [3] J. A. Doornik, An improved ziggurat method to generate normal random samples (2005).
"""

import math
from functools import partial

import numba
import numpy as np

__all__ = [
    "Normals",
    "apply_reflectors",
    "draw_reflectors",
    "fill_normal",
    "orthogonalise_pairs",
    "random_state",
]

_jit = partial(numba.njit, nogil=True, cache=True)

# Where the lowest layer of the ziggurat ends; all 256 then have the same area and the top one closes at 0.
_TAIL = 3.6541528853610088


def _layers() -> np.ndarray:
    """Right edges of the layers from the widest, (257,); the first is that of a rectangle with the tail's area."""
    area = _TAIL * math.exp(-_TAIL * _TAIL / 2) + math.sqrt(math.pi / 2) * math.erfc(_TAIL / math.sqrt(2))
    edges = np.zeros(257)
    edges[:2] = area * math.exp(_TAIL * _TAIL / 2), _TAIL
    for k in range(2, 256):
        edges[k] = math.sqrt(-2 * math.log(area / edges[k - 1] + math.exp(-(edges[k - 1] ** 2) / 2)))
    return edges


_EDGES = _layers()
_HEIGHTS = np.exp(-_EDGES * _EDGES / 2)
_STEPS = _EDGES[:-1] * 2.0**-52
_INSIDE = np.floor(_EDGES[1:] / _EDGES[:-1] * 2.0**52).astype(np.uint64)
_U64 = np.uint64


def random_state(seed: np.random.SeedSequence) -> np.ndarray:
    """The state, four 64-bit words, of the generator behind the draws below; each draw moves it on."""
    return seed.generate_state(4, np.uint64)


@_jit
def _next_bits(a, b, c, d):
    """64 random bits and the next state."""
    total = a + d
    bits = ((total << _U64(23)) | (total >> _U64(41))) + a
    shifted = b << _U64(17)
    c ^= a
    d ^= b
    b ^= c
    a ^= d
    c ^= shifted
    return bits, a, b, c, (d << _U64(45)) | (d >> _U64(19))


@_jit
def _open_uniform(bits):
    return (np.float64(np.int64(bits >> _U64(11))) + 0.5) * 2.0**-53


@_jit
def _outside_rectangle(k, x, a, b, c, d):
    """Is x under the curve of layer k, and the value to take; the lowest layer gives one of its tail."""
    bits, a, b, c, d = _next_bits(a, b, c, d)
    u = _open_uniform(bits)
    if k > _U64(0):
        height = _HEIGHTS[k] + u * (_HEIGHTS[k + _U64(1)] - _HEIGHTS[k])
        return height < math.exp(-0.5 * x * x), x, a, b, c, d
    while True:
        beyond = -math.log(u) / _TAIL
        bits, a, b, c, d = _next_bits(a, b, c, d)
        if -2.0 * math.log(_open_uniform(bits)) > beyond * beyond:
            return True, math.copysign(_TAIL + beyond, x), a, b, c, d
        bits, a, b, c, d = _next_bits(a, b, c, d)
        u = _open_uniform(bits)


@_jit
def _normal(a, b, c, d):
    """A standard normal and the next state."""
    while True:
        bits, a, b, c, d = _next_bits(a, b, c, d)
        k = bits & _U64(255)
        place = bits >> _U64(12)
        # The sign as a factor: a branch on a random bit would be mispredicted every other time.
        sign = np.float64(np.int64((bits >> _U64(7)) & _U64(2))) - 1.0
        x = sign * np.float64(np.int64(place)) * _STEPS[k]
        kept = place < _INSIDE[k]
        if not kept:
            kept, x, a, b, c, d = _outside_rectangle(k, x, a, b, c, d)
        if kept:
            return x, a, b, c, d


@_jit
def fill_normal(state, out):
    """Fill the one-dimensional `out` with standard normals and move `state` on."""
    a, b, c, d = state
    for i in range(out.size):
        out[i], a, b, c, d = _normal(a, b, c, d)
    state[0], state[1], state[2], state[3] = a, b, c, d


@_jit
def draw_reflectors(state, vectors, tau, signs):
    """Draw the Householder reflectors of a Haar matrix O = H_0 ... H_{N-1} diag(signs).

    H_j = I - tau[j] u u^T acts on the coordinates j..N-1 with u = (1, vectors[j, j+1:]): LAPACK's form of a QR
    factorisation, vectors.T its column-major factor. Each reflector stems from a fresh Gaussian vector, as in the QR
    of a Gaussian matrix; signs are those of the diagonal of R. Only vectors[j, j:] is written.
    """
    size = vectors.shape[0]
    a, b, c, d = state
    for j in range(size):
        square = 0.0
        for i in range(j + 1, size):
            x, a, b, c, d = _normal(a, b, c, d)
            vectors[j, i] = x
            square += x * x
        head, a, b, c, d = _normal(a, b, c, d)
        vectors[j, j] = 1.0
        if j == size - 1:
            tau[j] = 0.0
            signs[j] = 1.0 if head >= 0.0 else -1.0
            continue
        # The sign of beta that adds, never cancels.
        beta = -np.copysign(np.sqrt(square + head * head), head)
        tau[j] = (beta - head) / beta
        signs[j] = np.copysign(1.0, beta)
        shrink = 1.0 / (head - beta)
        for i in range(j + 1, size):
            vectors[j, i] *= shrink
    state[0], state[1], state[2], state[3] = a, b, c, d


@_jit
def apply_reflectors(vectors, tau, signs, rows, transposed):
    """Replace each row x of `rows` by O x, or by O^T x if `transposed`, in O(N^2) operations."""
    count, size = rows.shape
    if not transposed:
        rows *= signs
    for step in range(size):
        j = step if transposed else size - 1 - step
        for k in range(count):
            overlap = rows[k, j]
            for i in range(j + 1, size):
                overlap += vectors[j, i] * rows[k, i]
            overlap *= tau[j]
            rows[k, j] -= overlap
            for i in range(j + 1, size):
                rows[k, i] -= overlap * vectors[j, i]
    if transposed:
        rows *= signs


@_jit
def orthogonalise_pairs(rows, logs, pairs, tolerance):
    """Rotate each pair (i, k) of the graded vectors exp(logs[i]) rows[i] until the two are orthogonal.

    `logs` must fall, logs[i] >= logs[k] for i < k. The rotation by tan(t) = w tau, w = exp(logs[k] - logs[i]), mixes
    rows[k] into rows[i] by w^2 tau and rows[i] into rows[k] by tau: neither factor over- or underflows harmfully,
    however far apart the two scales are. Returns how many pairs had a cosine above `tolerance`.

    References
    ----------
    .. [1] J. Demmel, K. Veselic, SIAM J. Matrix Anal. Appl. 13 (1992) 1204: relative accuracy of one-sided Jacobi.
    """
    size = rows.shape[1]
    rotated = 0
    for n in range(pairs.shape[0]):
        i, k = pairs[n, 0], pairs[n, 1]
        upper = lower = overlap = 0.0
        for j in range(size):
            upper += rows[i, j] * rows[i, j]
            lower += rows[k, j] * rows[k, j]
            overlap += rows[i, j] * rows[k, j]
        if abs(overlap) <= tolerance * math.sqrt(upper * lower):
            continue
        rotated += 1
        w = math.exp(logs[k] - logs[i])
        z = 0.5 * (lower * w * w - upper) / overlap
        tau = math.copysign(1.0 / (abs(z) + math.hypot(w, z)), z)
        tangent = w * tau
        cosine = 1.0 / math.sqrt(1.0 + tangent * tangent)
        for j in range(size):
            x = rows[i, j]
            rows[i, j] = cosine * (x - w * tangent * rows[k, j])
            rows[k, j] = cosine * (rows[k, j] + tau * x)
    return rotated


class Normals:
    """Standard normals from one seed, with the one method of a Generator that the simulations use."""

    def __init__(self, seed: np.random.SeedSequence) -> None:
        self._state = random_state(seed)

    def standard_normal(self, size: int | tuple[int, ...], out: np.ndarray | None = None) -> np.ndarray:
        """`size` standard normals, into the C-contiguous `out` if one is given."""
        filled = np.empty(size) if out is None else out
        fill_normal(self._state, filled.reshape(-1))
        return filled
