"""Jacobians of random networks, multiplied out: J = D^L W^L ... D^1 W^1, D^l = diag phi'(h^l)."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from scipy.linalg import lapack

from meanfield.errors import InvalidParameterError
from verify.kernels import Normals, draw_reflectors, random_state
from verify.networks import NetworkLaw, children, frame
from verify.spectra.graded import GradedProduct

__all__ = ["JacobianSetting", "jacobian", "log_spectrum"]


@dataclass(frozen=True, kw_only=True, eq=False)
class JacobianSetting:
    """Whose Jacobian is measured, and where.

    Attributes
    ----------
    law : NetworkLaw
    q0 : float
        |h^1|^2/width, exactly; the direction of h^1 is uniform, and W^1 independent of it.
    lengths : str
        "free", or "reset": every h^l is rescaled to |h^l|^2/width = q0, as a repelling fixed point needs it.
    """

    law: NetworkLaw
    q0: float
    lengths: str = "free"

    def first(self, width: int, seed: np.random.SeedSequence) -> np.ndarray:
        """h^1."""
        return math.sqrt(width * self.q0) * frame(Normals(seed), width, 1)[:, 0]

    def settled(self, h: np.ndarray) -> np.ndarray:
        """h^l as the next layer sees it."""
        return h if self.lengths == "free" else h * math.sqrt(len(h) * self.q0 / (h @ h))


class _Product(ABC):
    """[J | x], shape (width, width + 1), to be multiplied by one random matrix after another.

    `gain` is the factor between the matrix that `multiply` applies and the layer's W.
    """

    def __init__(self, width: int, columns: np.ndarray, gain: float) -> None:
        self.width = width
        self.columns = columns
        self.gain = gain

    def start(self, seed: np.random.SeedSequence) -> None:
        """`multiply` where J is still the identity."""
        self.multiply(seed)

    @abstractmethod
    def multiply(self, seed: np.random.SeedSequence) -> None:
        """Replace [J | x] by O [J | x], where gain O is the next layer's W."""


class _GaussianProduct(_Product):
    def __init__(self, width, sigma_w):
        super().__init__(width, np.eye(width, width + 1), sigma_w / math.sqrt(width))
        self._matrix = np.empty((width, width))
        self._spare = np.empty((width, width + 1))

    def start(self, seed):
        self.columns[:, :-1] = Normals(seed).standard_normal(self._matrix.shape, out=self._matrix)

    def multiply(self, seed):
        Normals(seed).standard_normal(self._matrix.shape, out=self._matrix)
        np.matmul(self._matrix, self.columns, out=self._spare)
        self.columns, self._spare = self._spare, self.columns


class _HaarProduct(_Product):
    """The Haar matrix is never formed: its reflectors act on [J | x] in LAPACK's blocks, 2 width^3 operations.

    References
    ----------
    .. [1] G. W. Stewart, SIAM J. Numer. Anal. 17 (1980) 403.
    """

    def __init__(self, width, sigma_w):
        super().__init__(width, np.eye(width, width + 1, order="F"), sigma_w)
        self._vectors = np.empty((width, width))
        self._tau, self._signs = np.empty(width), np.empty(width)
        self._work = 64 * (width + 1) + 64 * 65

    def multiply(self, seed):
        draw_reflectors(random_state(seed), self._vectors, self._tau, self._signs)
        self.columns *= self._signs[:, None]
        self.columns, _, _ = lapack.dormqr(
            "L", "N", self._vectors.T, self._tau, self.columns, self._work, overwrite_c=True
        )


_PRODUCTS = {"gaussian": _GaussianProduct, "orthogonal": _HaarProduct}


def jacobian(setting: JacobianSetting, width: int, seed: np.random.SeedSequence) -> np.ndarray:
    """J of one network, shape (width, width).

    Its singular values below eps times the largest are lost in rounding; `log_spectrum` keeps them.

    Raises
    ------
    InvalidParameterError
        The entries leave the range of float64.
    """
    law = setting.law
    own, bias_seed, *layers = children(seed, 2 + law.depth)
    biases = Normals(bias_seed)
    product = _PRODUCTS[law.weights](width, law.sigma_w)
    h = setting.first(width, own)
    dead = False
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        for number, layer in enumerate(layers):
            if number == 0:
                product.start(layer)
            else:
                product.multiply(layer)
                h = setting.settled(product.columns[:, -1] + law.sigma_b * biases.standard_normal(width))
            slopes = law.phi.derivative(h)
            dead = dead or not slopes.any()
            product.columns[:, :-1] *= (product.gain * slopes)[:, None]
            product.columns[:, -1] = product.gain * law.phi.function(h)
    J = product.columns[:, :-1]
    largest = np.abs(J).max()
    if not (np.isfinite(largest) and (dead or largest > 1e-290)):
        raise InvalidParameterError(
            f"depth must keep the Jacobian inside float64, at depth {law.depth} its largest entry is {largest:g}; "
            "the logarithms of its singular values have no such limit"
        )
    return J


def log_spectrum(setting: JacobianSetting, width: int, seed: np.random.SeedSequence) -> np.ndarray:
    """Natural logarithms of one network's singular values, falling, shape (width,); -inf where J loses rank.

    Notes
    -----
    The product is taken in factor by factor as U diag(exp(s)) T (`GradedProduct`). A Gaussian or Haar W times
    orthonormal columns U that it is independent of has the law of W with as many columns, so W U is drawn at once.
    Only W x^{l-1} has to be consistent with it: it needs U^T x, and one more column for the part outside of U.
    """
    law = setting.law
    own, bias_seed, *layers = children(seed, 2 + law.depth)
    biases = Normals(bias_seed)
    product = GradedProduct(width)
    h = setting.first(width, own)
    for number, layer in enumerate(layers):
        rank = product.rank
        if not rank:
            break
        W = _COLUMNS[law.weights](layer, width, min(rank + 1, width), law.sigma_w)
        if number:
            inside, beyond = product.in_frame(law.phi.function(h))
            h = W[:, :rank] @ inside + law.sigma_b * biases.standard_normal(width)
            if rank < width:
                h += beyond * W[:, rank]
            h = setting.settled(h)
        product.absorb(law.phi.derivative(h)[:, None] * W[:, :rank])
    found = product.log_singular_values()
    return np.concatenate([found, np.full(width - len(found), -np.inf)])


def _gaussian_columns(seed, width, count, sigma_w):
    return (sigma_w / math.sqrt(width)) * Normals(seed).standard_normal((width, count))


def _haar_columns(seed, width, count, sigma_w):
    vectors = np.empty((width, width))
    tau, signs = np.empty(width), np.empty(width)
    draw_reflectors(random_state(seed), vectors, tau, signs)
    Q, _, _ = lapack.dorgqr(vectors.T, tau, lwork=64 * width, overwrite_a=True)
    return sigma_w * (Q * signs)[:, :count]


_COLUMNS = {"gaussian": _gaussian_columns, "orthogonal": _haar_columns}
