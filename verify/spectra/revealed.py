"""Random matrices revealed only along the directions asked for: any number of products W v and W^T u, exact in law."""

import math
from abc import ABC, abstractmethod

import numpy as np

from verify.kernels import Normals

__all__ = ["REVEALED", "RevealedGaussian", "RevealedHaar", "RevealedMatrix"]

# Below this share a vector's part outside the known directions is rounding, not a new direction.
NEGLIGIBLE = 1e-13
# Above this share one pass of Gram-Schmidt is orthogonal to rounding (Daniel, Gragg, Kaufman, Stewart 1976).
AGAIN = 0.7


class _Frame:
    """Orthonormal vectors and a partner of each, as growing columns."""

    def __init__(self, width: int) -> None:
        self._vectors = np.empty((width, 8), order="F")
        self._partners = np.empty((width, 8), order="F")
        self.count = 0

    @property
    def vectors(self) -> np.ndarray:
        return self._vectors[:, : self.count]

    @property
    def partners(self) -> np.ndarray:
        return self._partners[:, : self.count]

    def append(self, vector: np.ndarray, partner: np.ndarray) -> None:
        if self.count == self._vectors.shape[1]:
            self._vectors, self._partners = _doubled(self._vectors), _doubled(self._partners)
        self._vectors[:, self.count], self._partners[:, self.count] = vector, partner
        self.count += 1


class RevealedMatrix(ABC):
    """A square random matrix W of which only products are known so far; each one is drawn given all before it.

    After k products one more costs O(width k), where a matrix held as a whole takes O(width^2).

    References
    ----------
    .. [1] M. Bayati, A. Montanari, The dynamics of message passing on dense graphs, arXiv:1001.3448, lemma 10.
       [2] S. Rangan, P. Schniter, A. Fletcher, Vector approximate message passing, arXiv:1610.03082, lemma 4.
    """

    def __init__(self, seed: np.random.SeedSequence, width: int, sigma_w: float) -> None:
        self.width = width
        self.sigma_w = sigma_w
        self._draws = Normals(seed)

    @abstractmethod
    def forward(self, v: np.ndarray) -> np.ndarray:
        """W v, shape (width,)."""

    @abstractmethod
    def backward(self, u: np.ndarray) -> np.ndarray:
        """W^T u, shape (width,)."""


class RevealedGaussian(RevealedMatrix):
    """Entries N(0, sigma_w^2/width).

    With Y = W Q and Z = W^T P known, W = Y Q^T + P Z^T (I - Q Q^T) + (I - P P^T) W' (I - Q Q^T), where W' is fresh: a
    new direction q orthogonal to Q has the image P (Z^T q) + (I - P P^T) g with g of independent normals.
    """

    def __init__(self, seed, width, sigma_w):
        super().__init__(seed, width, sigma_w)
        self._inputs = _Frame(width)
        self._outputs = _Frame(width)

    def forward(self, v):
        return self._product(v, self._inputs, self._outputs)

    def backward(self, u):
        return self._product(u, self._outputs, self._inputs)

    def _product(self, x, near: _Frame, far: _Frame):
        known, rest, length = _split(x, near.vectors)
        image = near.partners @ known
        if length > NEGLIGIBLE * np.linalg.norm(x):
            direction = rest / length
            fresh = self._draws.standard_normal(self.width)
            fresh *= self.sigma_w / math.sqrt(self.width)
            fresh += far.vectors @ (far.partners.T @ direction - far.vectors.T @ fresh)
            near.append(direction, fresh)
            image += length * fresh
        return image


class RevealedHaar(RevealedMatrix):
    """sigma_w times a Haar matrix.

    Orthonormal inputs A with orthonormal images B, W A = sigma_w B, say all that is known: a product W^T u = sigma_w v
    is an image known from the other side. A new direction goes to a uniform one orthogonal to B.
    """

    def __init__(self, seed, width, sigma_w):
        super().__init__(seed, width, sigma_w)
        self._pairs = _Frame(width)

    def forward(self, v):
        image, direction, partner = self._product(v, self._pairs.vectors, self._pairs.partners)
        if partner is not None:
            self._pairs.append(direction, partner)
        return image

    def backward(self, u):
        image, direction, partner = self._product(u, self._pairs.partners, self._pairs.vectors)
        if partner is not None:
            self._pairs.append(partner, direction)
        return image

    def _product(self, x, near, far):
        known, rest, length = _split(x, near)
        image = self.sigma_w * (far @ known)
        if length <= NEGLIGIBLE * np.linalg.norm(x):
            return image, rest, None
        _, partner, size = _split(self._draws.standard_normal(self.width), far)
        partner /= size
        return image + self.sigma_w * length * partner, rest / length, partner


REVEALED: dict[str, type[RevealedMatrix]] = {"gaussian": RevealedGaussian, "orthogonal": RevealedHaar}


def _doubled(columns: np.ndarray) -> np.ndarray:
    rows, count = columns.shape
    wider = np.empty((rows, 2 * count), order="F")
    wider[:, :count] = columns
    return wider


def _split(x: np.ndarray, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Coordinates of x in an orthonormal frame, what is left outside, and its length."""
    known = frame.T @ x
    rest = x - frame @ known
    length = float(np.linalg.norm(rest))
    if length < AGAIN * np.linalg.norm(x):
        # So much has cancelled that rounding leaves a part of the frame behind: once more.
        again = frame.T @ rest
        rest -= frame @ again
        known += again
        length = float(np.linalg.norm(rest))
    return known, rest, length
