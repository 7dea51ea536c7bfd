"""Matrices with orthonormal columns."""

import numpy as np
from scipy.linalg import expm
from scipy.linalg.blas import dtrsm, strsm

from verify.training.manifolds.manifold import Manifold

__all__ = ["Stiefel"]


class Stiefel(Manifold):
    """St(n, p) = {X : X^T X = I}; U is tangent at X if X^T U is skew.

    Notes
    -----
    P_X(Z) = Z - X sym(X^T Z), and the retraction is the Q of the QR factorisation of X + U whose R has a positive
    diagonal.

    References
    ----------
    .. [1] A. Edelman, T. A. Arias, S. T. Smith, The geometry of algorithms with orthogonality constraints,
       SIAM J. Matrix Anal. Appl. 20 (1998) 303, section 2.2.
       [2] P.-A. Absil, R. Mahony, R. Sepulchre, Optimization Algorithms on Matrix Manifolds, example 4.1.3.

    Examples
    --------
    >>> stiefel = Stiefel()
    >>> X = np.eye(3, 2)
    >>> Y = stiefel.retract(X, stiefel.project(X, np.ones((3, 2))))
    >>> bool(stiefel.off_manifold(Y) < 1e-15)
    True
    """

    name = "stiefel"

    def project(self, X, Z):
        S = X.mT @ Z
        return Z - X @ (0.5 * (S + S.mT))

    def retract(self, X, U):
        Y = X + U
        # Y^T Y = I + U^T U has eigenvalues in [1, 1 + |U|^2]: for short steps its Cholesky factor is as accurate as
        # a QR factorisation, R for R, in a third of the time.
        if np.einsum("...ij,...ij->...", U, U).max(initial=0.0) <= 4.0:
            return _orthonormalised(Y)
        Q, R = np.linalg.qr(Y)
        return Q * np.copysign(Y.dtype.type(1), np.diagonal(R, axis1=-2, axis2=-1))[..., None, :]

    def exponential(self, X, U):
        """[X, U] exp([[A, -S], [I, A]]) [I; 0] exp(-A) with A = X^T U, S = U^T U."""
        p = X.shape[-1]
        A, S = X.mT @ U, U.mT @ U
        identity = np.broadcast_to(np.eye(p, dtype=X.dtype), A.shape)
        generator = np.concatenate([np.concatenate([A, -S], axis=-1), np.concatenate([identity, A], axis=-1)], axis=-2)
        return np.concatenate([X, U], axis=-1) @ expm(generator)[..., :p] @ expm(-A)

    def mean_square(self, U):
        return np.einsum("...ij,...ij->...", U, U)[..., None, None] / (U.shape[-2] * U.shape[-1])

    def off_manifold(self, X):
        return float(np.abs(X.mT @ X - np.eye(X.shape[-1])).max())


def _orthonormalised(Y: np.ndarray) -> np.ndarray:
    """Y R^-1 with R^T R = Y^T Y, R upper triangular with a positive diagonal."""
    solve = strsm if Y.dtype == np.float32 else dtrsm
    flat = Y.reshape(-1, *Y.shape[-2:])
    Q = np.empty_like(flat)
    for matrix, L, into in zip(flat, np.linalg.cholesky(flat.mT @ flat), Q, strict=True):
        # As column-major arrays both operands are transposed: L Q^T = Y^T, L seen as the upper triangle of L^T.
        into.T[...] = solve(1.0, L.T, matrix.T, trans_a=1, lower=0)
    return Q.reshape(Y.shape)
