"""All matrices."""

from verify.training.manifolds.manifold import Manifold

__all__ = ["Euclidean"]


class Euclidean(Manifold):
    """R^(n x p): every vector is tangent, geodesics are straight lines.

    Examples
    --------
    >>> Euclidean().retract(1.0, 0.5)
    1.5
    """

    name = "euclidean"

    def project(self, X, Z):
        return Z

    def retract(self, X, U):
        return X + U

    def exponential(self, X, U):
        return X + U

    def mean_square(self, U):
        return U * U

    def off_manifold(self, X):
        return 0.0
