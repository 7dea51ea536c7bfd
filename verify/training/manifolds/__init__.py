"""The manifolds that weights are kept on, by name."""

from meanfield.arguments import choice
from verify.training.manifolds.euclidean import Euclidean
from verify.training.manifolds.manifold import Manifold
from verify.training.manifolds.oblique import Oblique
from verify.training.manifolds.stiefel import Stiefel

__all__ = ["MANIFOLDS", "Euclidean", "Manifold", "Oblique", "Stiefel", "manifold_class"]

MANIFOLDS: dict[str, type[Manifold]] = {kind.name: kind for kind in (Euclidean, Stiefel, Oblique)}


def manifold_class(name: str) -> type[Manifold]:
    """The class named "euclidean", "stiefel" or "oblique".

    Raises
    ------
    InvalidParameterError
        Another name.

    Examples
    --------
    >>> manifold_class("stiefel").name
    'stiefel'
    """
    return MANIFOLDS[choice("manifold", name, MANIFOLDS)]
