"""Laws of weight matrices, rectangular ones included: their S-transform and their one exact sampler."""

import math
from abc import ABC, abstractmethod

import numpy as np

from meanfield.arguments import choice, integer, scalar

__all__ = ["ENSEMBLES", "Ensemble", "Gaussian", "Haar", "ensemble"]


class Ensemble(ABC):
    """A law of W, shape (fan_out, fan_in), scaled so that E |W x|^2/fan_out = sigma_w^2 |x|^2/fan_in.

    Attributes
    ----------
    name : str
        What users call it.
    """

    name: str

    @abstractmethod
    def s_transform(self, m, sigma_w, *, aspect=1.0):
        """S(m) of W W^T in the limit of large width at ``aspect = fan_out/fan_in``, a float; `m` real or complex."""

    def sample(self, rng: np.random.Generator, fan_out: int, fan_in: int, sigma_w: float) -> np.ndarray:
        """One matrix of the law, shape (fan_out, fan_in), drawn from `rng`.

        Raises
        ------
        InvalidParameterError
            A size is not a positive integer, or sigma_w is negative or not finite.
        """
        rows, columns = integer("fan_out", fan_out, low=1), integer("fan_in", fan_in, low=1)
        return self._draw(rng, rows, columns, scalar("sigma_w", sigma_w, low=0.0))

    @abstractmethod
    def _draw(self, rng: np.random.Generator, rows: int, columns: int, sigma_w: float) -> np.ndarray: ...


class Gaussian(Ensemble):
    """Independent entries N(0, sigma_w^2/fan_in).

    Notes
    -----
    W W^T follows the Marchenko-Pastur law, S(m) = 1/(sigma_w^2 (1 + aspect m)).

    References
    ----------
    .. [1] Pennington et al., arXiv:1802.09979, section 3.
    """

    name = "gaussian"

    def s_transform(self, m, sigma_w, *, aspect=1.0):
        return 1 / (sigma_w**2 * (1 + aspect * m))

    def _draw(self, rng, rows, columns, sigma_w):
        return rng.standard_normal((rows, columns)) * (sigma_w / math.sqrt(columns))


class Haar(Ensemble):
    """sigma_w times a Haar-distributed matrix: orthonormal rows, or, where the layer expands, orthonormal columns.

    Notes
    -----
    The columns carry the factor sqrt(fan_out/fan_in), else the length map would fail in an expanding layer. W W^T is
    sigma_w^2 times the identity, S(m) = 1/sigma_w^2, or for aspect > 1 sigma_w^2 aspect times a projection of rank
    fan_in, S(m) = (1 + m)/(sigma_w^2 (1 + aspect m)).

    The Q of a Gaussian matrix is Haar only when the diagonal of R is made positive.

    References
    ----------
    .. [1] F. Mezzadri, How to generate random matrices from the classical compact groups, math-ph/0609050.
    """

    name = "orthogonal"

    def s_transform(self, m, sigma_w, *, aspect=1.0):
        if aspect <= 1:
            return np.ones_like(m)[()] / sigma_w**2
        return (1 + m) / (sigma_w**2 * (1 + aspect * m))

    def _draw(self, rng, rows, columns, sigma_w):
        Q, R = np.linalg.qr(rng.standard_normal((max(rows, columns), min(rows, columns))))
        Q *= np.copysign(1.0, np.diagonal(R))
        if rows <= columns:
            return sigma_w * Q.T
        return (sigma_w * math.sqrt(rows / columns)) * Q


ENSEMBLES: dict[str, Ensemble] = {law.name: law for law in (Gaussian(), Haar())}


def ensemble(weights: str) -> Ensemble:
    """The law named "gaussian" or "orthogonal".

    Raises
    ------
    InvalidParameterError
        Another name.

    Examples
    --------
    >>> ensemble("orthogonal").sample(np.random.default_rng(0), 3, 5, 2.0).shape
    (3, 5)
    """
    return ENSEMBLES[choice("weights", weights, ENSEMBLES)]
