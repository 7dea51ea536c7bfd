"""Random networks: their weights, drawn whole or only as far as they are seen, their biases and their seeds."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from meanfield.nonlinearity import Nonlinearity
from meanfield.weights import ensemble
from verify.kernels import Normals, apply_reflectors, draw_reflectors, random_state

__all__ = [
    "DTYPES",
    "METHODS",
    "RAW_FACTOR",
    "LayerWeights",
    "NetworkLaw",
    "RandomNetwork",
    "children",
    "frame",
    "layer_weights",
    "network_seed",
]


def frame(normals: Normals, width: int, count: int) -> np.ndarray:
    """`count` orthonormal vectors, uniform on their manifold: the columns of a (width, count) array."""
    return _factors(normals.standard_normal((width, count)))[0]


def _factors(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """X = Q R with a positive diagonal of R, so that Q of a Gaussian X is uniform."""
    if X.shape[1] == 1:  # the case of most networks: numpy's QR would take a quarter of all their time
        length = np.linalg.norm(X, axis=0, keepdims=True)
        return np.divide(X, length, out=np.zeros_like(X), where=length > 0), length
    Q, R = np.linalg.qr(X)
    signs = np.copysign(1.0, np.diagonal(R))
    return Q * signs, signs[:, None] * R


class LayerWeights(ABC):
    """A square weight matrix W seen only through one product W X and then one W^T D.

    Those products have the joint law of a matrix drawn as a whole. They are of the type of X and D; draws are always
    made in float64 and then rounded, so that they are the same in both.
    """

    def __init__(self, seed: np.random.SeedSequence, width: int, sigma_w: float) -> None:
        self.seed = seed
        self.width = width
        self.sigma_w = sigma_w

    def _normals(self) -> Normals:
        return Normals(self.seed)

    @abstractmethod
    def forward(self, X: np.ndarray) -> np.ndarray:
        """W X, shape (width, k); called at most once, before `backward`."""

    @abstractmethod
    def backward(self, D: np.ndarray) -> np.ndarray:
        """W^T D, shape (width, k); called at most once."""


class GaussianMatrix(LayerWeights):
    """Gaussian weights, every entry drawn; drawn again for the way back, so that one matrix is held at a time."""

    def _matrix(self, dtype) -> np.ndarray:
        return self._normals().standard_normal((self.width, self.width)).astype(dtype, copy=False)

    def forward(self, X):
        return (self.sigma_w / math.sqrt(self.width)) * (self._matrix(X.dtype) @ X)

    def backward(self, D):
        return (self.sigma_w / math.sqrt(self.width)) * (self._matrix(D.dtype).T @ D)


class HaarMatrix(LayerWeights):
    """Haar weights as the product of `width` random reflectors: O(width^2) a product, no factorisation.

    References
    ----------
    .. [1] G. W. Stewart, SIAM J. Numer. Anal. 17 (1980) 403.
    """

    def _apply(self, rows: np.ndarray, transposed: bool) -> np.ndarray:
        vectors = np.empty((self.width, self.width))
        tau, signs = np.empty(self.width), np.empty(self.width)
        draw_reflectors(random_state(self.seed), vectors, tau, signs)
        apply_reflectors(vectors, tau, self._signs(signs), rows, transposed)
        return rows

    def _signs(self, signs: np.ndarray) -> np.ndarray:
        return signs

    def forward(self, X):
        return self._apply(self.sigma_w * X.T, False).T

    def backward(self, D):
        return self._apply(self.sigma_w * D.T, True).T


class RawFactor(HaarMatrix):
    """Q of the QR factorisation of a Gaussian matrix as LAPACK gives it, whose signs are not random: not Haar.

    Its diagonal has a negative mean. It is here to be found out.
    """

    def _signs(self, signs):
        return np.ones_like(signs)


class SampledWeights(LayerWeights):
    """Weights drawn only as far as they are seen, exact in law.

    With X = Q R, the columns of Q orthonormal, W X = (W Q) R needs the image W Q alone. The way back splits D into
    the part that this image fixes and a fresh one, W^T D = Q (W Q)^T D + (I - Q Q^T) W^T D; given W Q the second
    term is independent of all that came before. O(width k^2) operations instead of O(width^2).

    References
    ----------
    .. [1] M. Bayati, A. Montanari, The dynamics of message passing on dense graphs, arXiv:1001.3448, lemma 10.
       [2] S. Rangan, P. Schniter, A. Fletcher, Vector approximate message passing, arXiv:1610.03082, lemma 4.
    """

    def __init__(self, seed, width, sigma_w):
        super().__init__(seed, width, sigma_w)
        self._draws = self._normals()
        self._seen = np.zeros((width, 0))
        self._image = np.zeros((width, 0))

    def forward(self, X):
        self._seen, R = np.linalg.qr(X)
        self._image = self._image_of(self._seen.shape[1]).astype(X.dtype, copy=False)
        return self._image @ R

    def backward(self, D):
        fresh = self._unseen(D).astype(D.dtype, copy=False)
        fresh -= self._seen @ (self._seen.T @ fresh)
        return self._seen @ (self._image.T @ D) + fresh

    @abstractmethod
    def _image_of(self, count: int) -> np.ndarray:
        """W Q for `count` orthonormal columns Q."""

    @abstractmethod
    def _unseen(self, D: np.ndarray) -> np.ndarray:
        """Columns whose parts orthogonal to Q have the law of those of W^T D, given W Q."""


class SampledGaussian(SampledWeights):
    """W Q and, with D = P R, the fresh part of W^T P have independent entries N(0, sigma_w^2/width)."""

    def _image_of(self, count):
        return (self.sigma_w / math.sqrt(self.width)) * self._draws.standard_normal((self.width, count))

    def _unseen(self, D):
        return (self.sigma_w / math.sqrt(self.width)) * self._draws.standard_normal(D.shape) @ _factors(D)[1]


class SampledHaar(SampledWeights):
    """W Q is sigma_w times a uniform frame U; with (I - U U^T) D = P R, W^T P is sigma_w times one orthogonal to Q."""

    def _image_of(self, count):
        return self.sigma_w * frame(self._draws, self.width, count)

    def _unseen(self, D):
        directions = self._draws.standard_normal(D.shape)
        directions -= self._seen @ (self._seen.T @ directions)
        rest = D - self._image @ (self._image.T @ D) / self.sigma_w**2
        return self.sigma_w * _factors(directions)[0] @ _factors(rest)[1]


METHODS: dict[str, dict[str, type[LayerWeights]]] = {
    "sampled": {"gaussian": SampledGaussian, "orthogonal": SampledHaar},
    "matrices": {"gaussian": GaussianMatrix, "orthogonal": HaarMatrix},
}
DTYPES = ("float64", "float32")
RAW_FACTOR = "raw factor"  # in place of a method: a wrong ensemble
_KINDS = {**METHODS, RAW_FACTOR: {"orthogonal": RawFactor}}


@dataclass(frozen=True, kw_only=True, eq=False)
class NetworkLaw:
    """What a random network is drawn from; `weights` and `method` are keys of `METHODS`, or the latter RAW_FACTOR.

    `dtype` is that of its signals and gradients, of DTYPES.
    """

    phi: Nonlinearity
    sigma_w: float
    sigma_b: float
    depth: int
    weights: str = "gaussian"
    method: str = "sampled"
    dtype: str = "float64"

    def __post_init__(self) -> None:
        ensemble(self.weights)


class RandomNetwork:
    """One network of equal layers: h^{l+1} = W^{l+1} phi(h^l) + b^{l+1}, l = 1..depth.

    Its draws follow from `seed` alone: one child for the inputs, one for the biases, one for each weight matrix.

    Attributes
    ----------
    normals : Normals
        The stream for inputs and gradients.
    """

    def __init__(self, law: NetworkLaw, width: int, seed: np.random.SeedSequence) -> None:
        self.law = law
        self.width = width
        own, biases, *layers = children(seed, 2 + law.depth)
        self.normals = Normals(own)
        self._biases = Normals(biases)
        self._weights = [layer_weights(law, width, layer) for layer in layers]

    def next_layer(self, layer: int, H: np.ndarray) -> np.ndarray:
        """Pre-activations h^{layer+1} of the inputs whose h^layer are the columns of `H`; the bias is shared."""
        bias = self.law.sigma_b * self._biases.standard_normal(self.width)
        X = np.asarray(self.law.phi.function(H), dtype=self.law.dtype)
        return self._weights[layer - 1].forward(X) + bias[:, None].astype(self.law.dtype)

    def gradients_below(self, layer: int, H: np.ndarray, D: np.ndarray) -> np.ndarray:
        """The gradients at h^layer from those at h^{layer+1}, columns: phi'(h^layer) W^{layer+1 T} gradient."""
        slopes = np.asarray(self.law.phi.derivative(H), dtype=self.law.dtype)
        return slopes * self._weights[layer - 1].backward(D)


def layer_weights(law: NetworkLaw, width: int, seed: np.random.SeedSequence) -> LayerWeights:
    """One weight matrix of a network."""
    return _KINDS[law.method][law.weights](seed, width, law.sigma_w)


def children(seed: np.random.SeedSequence, count: int) -> Sequence[np.random.SeedSequence]:
    """The first `count` children of a seed, the same ones at every call: `spawn` would count on in the object."""
    return np.random.SeedSequence(seed.entropy, spawn_key=seed.spawn_key, pool_size=seed.pool_size).spawn(count)


def network_seed(seed: np.random.SeedSequence, width: int, number: int) -> np.random.SeedSequence:
    """The seed of one of many networks: it follows from the common one, the width and the number alone."""
    return np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, width, number), pool_size=seed.pool_size)
