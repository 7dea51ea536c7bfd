"""Gradient descent, momentum and Adam on a manifold; on Euclidean space they are the usual ones.

Each is a rule for the tangent vector to move by. Where there is a memory it is a tangent vector too: it is carried to
the new point, and kept there.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

from meanfield.arguments import choice
from verify.training.manifolds import Manifold

__all__ = ["OPTIMISERS", "SGD", "Adam", "Momentum", "Optimiser", "optimiser_class"]

State = dict[str, np.ndarray]


class Optimiser(ABC):
    """X <- R_X(-rate direction), the direction made of the Riemannian gradient and a memory.

    Attributes
    ----------
    name : str
        What users call it.
    """

    name: ClassVar[str]

    @abstractmethod
    def start(self, manifold: Manifold, X: np.ndarray) -> State:
        """The memory before the first step."""

    @abstractmethod
    def step(
        self, manifold: Manifold, X: np.ndarray, gradient: np.ndarray, state: State, rate: float
    ) -> tuple[np.ndarray, State]:
        """The next point and its memory; `gradient` is Riemannian, tangent at X. Nothing is changed in place."""


class SGD(Optimiser):
    """The direction is the gradient.

    Examples
    --------
    >>> from verify.training.manifolds import Euclidean
    >>> SGD().step(Euclidean(), np.array([1.0]), np.array([2.0]), {}, 0.1)[0]
    array([0.8])
    """

    name = "sgd"

    def start(self, manifold, X):
        return {}

    def step(self, manifold, X, gradient, state, rate):
        return manifold.retract(X, -rate * gradient), {}


class Momentum(Optimiser):
    """m <- beta m + gradient, the direction is m.

    Parameters
    ----------
    beta : float in [0, 1)
    """

    name = "momentum"

    def __init__(self, *, beta: float = 0.9) -> None:
        self.beta = beta

    def start(self, manifold, X):
        return {"m": np.zeros_like(X)}

    def step(self, manifold, X, gradient, state, rate):
        m = self.beta * state["m"] + gradient
        Y = manifold.retract(X, -rate * m)
        return Y, {"m": manifold.transport(Y, m)}


class Adam(Optimiser):
    """m <- beta_1 m + (1 - beta_1) g, v <- beta_2 v + (1 - beta_2) <g^2>, the direction is m^/(sqrt(v^) + epsilon).

    m^ = m/(1 - beta_1^t) and v^ = v/(1 - beta_2^t). <g^2> is the mean over each component of a tangent vector: every
    entry of a Euclidean matrix, every column of an oblique one, a Stiefel matrix as a whole.

    Parameters
    ----------
    beta : float in [0, 1)
        beta_1.
    beta_2 : float in [0, 1)
    epsilon : float, > 0

    References
    ----------
    .. [1] D. P. Kingma, J. Ba, Adam, arXiv:1412.6980, algorithm 1.
       [2] G. Becigneul, O.-E. Ganea, Riemannian adaptive optimization methods, arXiv:1810.00760, figure 1.
    """

    name = "adam"

    def __init__(self, *, beta: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-8) -> None:
        self.beta = beta
        self.beta_2 = beta_2
        self.epsilon = epsilon

    def start(self, manifold, X):
        m = np.zeros_like(X)
        return {"m": m, "v": manifold.mean_square(m), "t": np.array(0)}

    def step(self, manifold, X, gradient, state, rate):
        t = int(state["t"]) + 1
        m = self.beta * state["m"] + (1 - self.beta) * gradient
        v = self.beta_2 * state["v"] + (1 - self.beta_2) * manifold.mean_square(gradient)
        size = np.sqrt(v / (1 - self.beta_2**t)) + self.epsilon
        Y = manifold.retract(X, m * ((-rate / (1 - self.beta**t)) / size))
        return Y, {"m": manifold.transport(Y, m), "v": v, "t": np.array(t)}


OPTIMISERS: dict[str, type[Optimiser]] = {kind.name: kind for kind in (SGD, Momentum, Adam)}


def optimiser_class(name: str) -> type[Optimiser]:
    """The class named "sgd", "momentum" or "adam".

    Raises
    ------
    InvalidParameterError
        Another name.
    """
    return OPTIMISERS[choice("optimiser", name, OPTIMISERS)]
