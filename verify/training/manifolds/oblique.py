"""Matrices whose columns have unit length."""

import numpy as np

from verify.training.manifolds.manifold import Manifold

__all__ = ["Oblique"]


class Oblique(Manifold):
    """Ob(n, p) = {X : every column of X is a unit vector}, a product of p spheres.

    Parameters
    ----------
    penalty : float, >= 0
        omega of the term (omega/2) |X^T X - I|^2 that is added to the loss and pulls the columns apart.
    clip : float, > 0
        No column of the gradient is longer than this.

    Notes
    -----
    P_X(Z) = Z - X diag(X^T Z). On a sphere the geodesic is a great circle, so that the exponential map, column by
    column x -> x cos|u| + u sin|u|/|u|, is as cheap as any retraction and serves as one.

    References
    ----------
    .. [1] P.-A. Absil, K. A. Gallivan, Joint diagonalization on the oblique manifold for independent component
       analysis, ICASSP 2006.
       [2] M. Cho, J. Lee, Riemannian approach to batch normalization, arXiv:1709.09603, for penalty and clip.

    Examples
    --------
    >>> oblique = Oblique()
    >>> X = np.eye(3, 2)
    >>> bool(oblique.off_manifold(oblique.retract(X, oblique.project(X, np.ones((3, 2))))) < 1e-15)
    True
    """

    name = "oblique"

    def __init__(self, *, penalty: float = 0.0, clip: float = np.inf) -> None:
        self.penalty = penalty
        self.clip = clip

    def project(self, X, Z):
        return Z - X * _column_products(X, Z)

    def exponential(self, X, U):
        length = np.sqrt(_column_products(U, U))
        # sinc, not a division: a column at rest has length 0.
        Y = X * np.cos(length) + U * np.sinc(length / np.pi).astype(U.dtype, copy=False)
        # Rounding would add up over many steps; the column is a unit vector by definition.
        return Y / np.sqrt(_column_products(Y, Y))

    def retract(self, X, U):
        return self.exponential(X, U)

    def mean_square(self, U):
        return _column_products(U, U) / U.shape[-2]

    def off_manifold(self, X):
        return float(np.abs(_column_products(X, X) - 1).max())

    def gradient(self, X, G):
        if self.penalty:
            G = G + (2 * self.penalty) * (X @ (X.mT @ X) - X)
        gradient = self.project(X, G)
        if self.clip < np.inf:
            length = np.sqrt(_column_products(gradient, gradient))
            gradient *= self.clip / np.maximum(length, self.clip)
        return gradient


def _column_products(U: np.ndarray, V: np.ndarray) -> np.ndarray:
    """Inner products of equal columns, shape (..., 1, p)."""
    return np.einsum("...ij,...ij->...j", U, V)[..., None, :]
