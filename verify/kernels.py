"""The compiled loops of the simulations: normal draws and random Householder reflectors.

One policy for all: compiled once and cached on disk, the GIL released so that threads run side by side, no
parallel regions (a sweep shares out whole networks), strict IEEE arithmetic so that the bits do not depend on how a
loop was vectorised. Kernels that call each other stay in this file: the cache watches only the caller's own file.
"""

from functools import partial

import numba
import numpy as np

__all__ = ["Normals", "apply_reflectors", "draw_reflectors", "fill_normal"]

_jit = partial(numba.njit, nogil=True, cache=True)


@_jit
def fill_normal(rng, out):
    """Fill the one-dimensional `out` with standard normals: the bits of ``rng.standard_normal``, in a third of the time."""
    for i in range(out.size):
        out[i] = rng.standard_normal()


@_jit
def draw_reflectors(rng, vectors, tau, signs):
    """Draw the Householder reflectors of a Haar matrix O = H_0 ... H_{N-1} diag(signs).

    H_j = I - tau[j] u u^T acts on the coordinates j..N-1 with u = (1, vectors[j, j+1:]): LAPACK's form of a QR
    factorisation, vectors.T its column-major factor. Each reflector stems from a fresh Gaussian vector, as in the QR
    of a Gaussian matrix; signs are those of the diagonal of R. Only vectors[j, j:] is written.
    """
    size = vectors.shape[0]
    for j in range(size):
        square = 0.0
        for i in range(j + 1, size):
            x = rng.standard_normal()
            vectors[j, i] = x
            square += x * x
        head = rng.standard_normal()
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


@_jit
def apply_reflectors(vectors, tau, signs, rows, transposed):
    """Replace each row x of `rows` by O x, or by O^T x if `transposed`, in O(N^2) operations."""
    count, size = rows.shape
    if not transposed:
        for k in range(count):
            for i in range(size):
                rows[k, i] *= signs[i]
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
        for k in range(count):
            for i in range(size):
                rows[k, i] *= signs[i]


class Normals:
    """Standard normals of a Generator through `fill_normal`; stands in for it where only those are asked for."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def standard_normal(self, size: int | tuple[int, ...], out: np.ndarray | None = None) -> np.ndarray:
        """`size` standard normals, into the C-contiguous `out` if one is given."""
        filled = np.empty(size) if out is None else out
        fill_normal(self._rng, filled.reshape(-1))
        return filled
