"""What an optimiser needs to know of a manifold of matrices."""

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

__all__ = ["Manifold"]


class Manifold(ABC):
    """A submanifold of the matrices of shape (n, p), n >= p, with the metric <U, V> = tr U^T V.

    Every method takes stacks (..., n, p) as well and works on each matrix by itself. Points are tall: a weight
    matrix with more columns than rows is stored as its transpose, so that both conditions "X^T X = I" and "columns
    of unit length" can be met.

    Attributes
    ----------
    name : str
        What users call it.
    """

    name: ClassVar[str]

    @abstractmethod
    def project(self, X: np.ndarray, Z: np.ndarray) -> np.ndarray:
        """The tangent vector at X nearest to Z."""

    @abstractmethod
    def retract(self, X: np.ndarray, U: np.ndarray) -> np.ndarray:
        """A point of the manifold that differs from X + U by O(|U|^2), for U tangent at X."""

    @abstractmethod
    def exponential(self, X: np.ndarray, U: np.ndarray) -> np.ndarray:
        """Where the geodesic from X with velocity U is at time 1."""

    @abstractmethod
    def mean_square(self, U: np.ndarray) -> np.ndarray:
        """Mean square of the entries of each component of U; its shape broadcasts against U.

        Components are the parts of a tangent vector that may be scaled by different numbers without leaving the
        tangent space. Adam divides each by the root of such means, so that its rate is a change per entry, of the
        same size on every manifold.
        """

    @abstractmethod
    def off_manifold(self, X: np.ndarray) -> float:
        """The largest violation of the conditions that define the manifold, over all entries."""

    def transport(self, Y: np.ndarray, U: np.ndarray) -> np.ndarray:
        """A tangent vector of another point, carried to Y by projection."""
        return self.project(Y, U)

    def gradient(self, X: np.ndarray, G: np.ndarray) -> np.ndarray:
        """The Riemannian gradient at X of a loss whose Euclidean gradient is G."""
        return self.project(X, G)
