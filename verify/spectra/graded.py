"""Products of many matrices whose singular values, small ones too, keep their relative accuracy: as logarithms."""

import math

import numpy as np
from scipy.linalg import lapack

from meanfield.errors import ConvergenceError
from verify.kernels import orthogonalise_pairs

__all__ = ["GradedProduct", "log_singular_values"]

SWEEPS = 60


class GradedProduct:
    """A product A_l ... A_1 as U diag(exp(logs)) T: orthonormal columns U, rows of T of unit length.

    Each factor is taken in by one QR factorisation. Scales never mix in floating point: they are carried as
    logarithms, and T stays well-conditioned since columns are ordered by size before each factorisation.

    Attributes
    ----------
    logs : array (rank,)
    T : array (rank, columns)

    References
    ----------
    .. [1] G. W. Stewart, On graded QR decompositions of products of matrices, ETNA 3 (1995) 39.
       [2] A. J. Cox, N. J. Higham, BIT 38 (1998): rows in falling order make Householder QR stable row by row.
    """

    def __init__(self, columns: int) -> None:
        self.logs = np.zeros(columns)
        self.T = np.eye(columns)
        self._factor: tuple[np.ndarray, np.ndarray, np.ndarray, int] | None = None

    @property
    def rank(self) -> int:
        """The number of columns of U."""
        return len(self.logs)

    def multiply(self, A: np.ndarray) -> None:
        """Take in the next factor A, shape (rows, rows of the last factor)."""
        self.absorb(A if self._factor is None else self._times_frame(A))

    def absorb(self, framed: np.ndarray) -> None:
        """Take in the next factor given as A U, shape (rows, rank): for a random A, U need not be known.

        Rows that are exactly 0 lower the rank; nothing else does.
        """
        sizes = np.abs(framed).max(axis=1, initial=0.0)
        alive = np.nonzero(sizes)[0]
        alive = alive[np.argsort(-sizes[alive], kind="stable")]
        lengths = np.linalg.norm(framed, axis=0)
        with np.errstate(divide="ignore"):
            order = np.argsort(-(self.logs + np.log(lengths)), kind="stable")
        matrix = np.asfortranarray(framed[np.ix_(alive, order)])
        reflectors, tau = _qr(matrix)
        self._factor = (reflectors[:, : len(tau)], tau, alive, len(framed))
        R = np.triu(reflectors[: min(reflectors.shape)])
        self.T, self.logs = _rescaled(R, self.logs[order], self.T[order])

    def in_frame(self, vector: np.ndarray) -> tuple[np.ndarray, float]:
        """U^T x, shape (rank,), and the length of what of x lies outside the columns of U."""
        if self._factor is None:
            return vector, 0.0
        reflectors, tau, alive, rows = self._factor
        inside = np.asfortranarray(vector[alive, None])
        if tau.size:
            inside = lapack.dormqr("L", "T", reflectors, tau, inside, 64 * 66, overwrite_c=True)[0]
        dead = np.ones(rows, dtype=bool)
        dead[alive] = False
        beyond = math.hypot(float(np.linalg.norm(inside[self.rank :])), float(np.linalg.norm(vector[dead])))
        return inside[: self.rank, 0], beyond

    def log_singular_values(self) -> np.ndarray:
        """Natural logarithms of the singular values, falling, shape (rank,).

        Raises
        ------
        ConvergenceError
            The rotations did not come to an end.
        """
        if not self.rank:
            return np.empty(0)
        order = np.argsort(-self.logs, kind="stable")
        # One step of the QR iteration, T^T = Q R, after which the rows of R are closer to orthogonal. The scales
        # multiply columns of T^T, so that they pass through the factorisation untouched.
        factor, _ = _qr(np.asfortranarray(self.T[order].T))
        rows, logs = _rescaled(np.triu(factor[: self.rank]), self.logs[order], np.eye(self.rank))
        return _orthogonalised(rows, logs)

    def _times_frame(self, A: np.ndarray) -> np.ndarray:
        assert self._factor is not None
        reflectors, tau, alive, _ = self._factor
        columns = np.asfortranarray(A[:, alive])
        if tau.size:
            columns = lapack.dormqr("R", "N", reflectors, tau, columns, 64 * (len(A) + 65), overwrite_c=True)[0]
        return columns[:, : self.rank]


def log_singular_values(factors) -> np.ndarray:
    """Logarithms of the singular values of A_l ... A_1, falling, each to a relative accuracy of the value itself.

    Parameters
    ----------
    factors : iterable of array
        A_1 first; at least one.

    Returns
    -------
    array (smallest dimension,)
        -inf where the rank is lost exactly, by rows or columns of zeros.

    Examples
    --------
    >>> log_singular_values([np.diag([1e-200, 1.0])] * 3)
    array([    0.       , -1381.5510558])
    """
    matrices = [np.asarray(A, dtype=np.float64) for A in factors]
    product = GradedProduct(matrices[0].shape[1])
    for A in matrices:
        product.multiply(A)
    found = product.log_singular_values()
    size = min(min(A.shape) for A in matrices)
    return np.concatenate([found, np.full(size, -np.inf)])[:size]


def _qr(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Householder QR in LAPACK's form; `matrix` is overwritten."""
    if min(matrix.shape) == 0:
        return matrix, np.empty(0)
    reflectors, tau, _, _ = lapack.dgeqrf(matrix, lwork=64 * matrix.shape[1], overwrite_a=True)
    return reflectors, tau


def _rescaled(R: np.ndarray, logs: np.ndarray, T: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """R diag(exp(logs)) T with its rows brought to unit length, and the logarithms of those lengths."""
    with np.errstate(divide="ignore", under="ignore"):
        sizes = np.log(np.abs(R)) + logs
        tops = sizes.max(axis=1, initial=-np.inf)
        kept = np.isfinite(tops)
        scaled = np.copysign(np.exp(sizes[kept] - tops[kept, None]), R[kept])
        rows = scaled @ T
    lengths = np.linalg.norm(rows, axis=1)
    return rows / lengths[:, None], tops[kept] + np.log(lengths)


def _orthogonalised(rows: np.ndarray, logs: np.ndarray) -> np.ndarray:
    """The singular values' logarithms of diag(exp(logs)) rows, by one-sided Jacobi rotations."""
    tolerance = np.finfo(float).eps * math.sqrt(len(logs))
    for _ in range(SWEEPS):
        order = np.argsort(-logs, kind="stable")
        lengths = np.linalg.norm(rows[order], axis=1)
        rows, logs = rows[order] / lengths[:, None], logs[order] + np.log(lengths)
        # Only pairs that are not orthogonal yet: one product tells which.
        pairs = np.argwhere(np.triu(np.abs(rows @ rows.T) > tolerance / 2, 1))
        if not orthogonalise_pairs(rows, logs, pairs, tolerance):
            return np.sort(logs)[::-1]
    raise ConvergenceError(f"singular values of a graded product did not converge in {SWEEPS} sweeps")
