"""Jacobians too wide to be held: products J v and J^T u alone, the largest singular value and moments from them."""

from dataclasses import dataclass

import numpy as np

from meanfield.errors import ConvergenceError
from verify.kernels import Normals
from verify.networks import children
from verify.spectra.products import JacobianSetting
from verify.spectra.revealed import REVEALED

__all__ = ["Bidiagonal", "RevealedJacobian", "bidiagonalise", "largest", "moments"]


class RevealedJacobian:
    """The Jacobian of one random network through its products, exact in law.

    Each weight matrix is revealed along the directions asked for: k products each way take O(width k^2 depth)
    operations, and room for at most 4 width depth (2 k + 1) numbers.
    """

    def __init__(self, setting: JacobianSetting, width: int, seed: np.random.SeedSequence) -> None:
        law = setting.law
        own, bias_seed, *layers = children(seed, 2 + law.depth)
        first, start = children(own, 2)
        biases = Normals(bias_seed)
        self.width = width
        self.normals = Normals(start)
        self._weights = [REVEALED[law.weights](layer, width, law.sigma_w) for layer in layers]
        self._slopes = []
        h = setting.first(width, first)
        for number, W in enumerate(self._weights):
            if number:
                h = setting.settled(W.forward(law.phi.function(h)) + law.sigma_b * biases.standard_normal(width))
            self._slopes.append(law.phi.derivative(h))

    def forward(self, v: np.ndarray) -> np.ndarray:
        """J v, shape (width,)."""
        for W, slopes in zip(self._weights, self._slopes, strict=True):
            v = slopes * W.forward(v)
        return v

    def backward(self, u: np.ndarray) -> np.ndarray:
        """J^T u, shape (width,)."""
        for W, slopes in zip(reversed(self._weights), reversed(self._slopes), strict=True):
            u = W.backward(slopes * u)
        return u


@dataclass(frozen=True, kw_only=True)
class Bidiagonal:
    """J V = U B and J^T U = V B^T + rest v e_k^T: B upper bidiagonal, U and V orthonormal, v the next vector of V.

    Attributes
    ----------
    diagonal, above : array (k,), array (k - 1,)
        The entries of B.
    rest : float
    """

    diagonal: np.ndarray
    above: np.ndarray
    rest: float

    def matrix(self) -> np.ndarray:
        """B, shape (k, k)."""
        return np.diag(self.diagonal) + np.diag(self.above, 1)


def bidiagonalise(J: RevealedJacobian):
    """Golub and Kahan's process from a uniform random unit vector, with full reorthogonalisation.

    Yields
    ------
    Bidiagonal
        After 1, 2, ... steps; the last one has rest 0, when the whole range is found.
    """
    v = J.normals.standard_normal(J.width)
    V, U = [v / np.linalg.norm(v)], []
    diagonal, above = [], []
    for _ in range(J.width):
        u, alpha = _normalised(J.forward(V[-1]), U)
        if alpha == 0:
            yield Bidiagonal(diagonal=np.array([*diagonal, 0.0]), above=np.array(above), rest=0.0)
            return
        U.append(u)
        diagonal.append(alpha)
        v, beta = _normalised(J.backward(u), V)
        yield Bidiagonal(diagonal=np.array(diagonal), above=np.array(above), rest=beta)
        if beta == 0:
            return
        V.append(v)
        above.append(beta)


def largest(J: RevealedJacobian, *, tolerance: float = 1e-6, max_steps: int = 500) -> tuple[float, float]:
    """The largest eigenvalue of J J^T and a residual: some eigenvalue is that near to it, for certain.

    Raises
    ------
    ConvergenceError
        The residual is above `tolerance` times the eigenvalue after `max_steps` steps.

    References
    ----------
    .. [1] G. H. Golub, W. Kahan, SIAM J. Numer. Anal. 2 (1965) 205.
    """
    value = residual = np.nan
    for number, found in enumerate(bidiagonalise(J), start=1):
        # The small problem is solved at every fourth step only.
        if number % 4 and found.rest and number < max_steps:
            continue
        left, singular, _ = np.linalg.svd(found.matrix())
        value = float(singular[0] ** 2)
        residual = float(singular[0] * found.rest * abs(left[-1, 0]))
        if residual <= tolerance * value:
            return value, residual
        if number >= max_steps:
            break
    raise ConvergenceError(f"lambda_max is {value:.6g} within {residual:.1e} only after {max_steps} steps")


def moments(J: RevealedJacobian, count: int) -> np.ndarray:
    """Unbiased estimates of tr (J J^T)^k/width, k = 1..count, shape (count,), from one random vector.

    Notes
    -----
    k steps of the process hold v^T (J^T J)^j v up to j = 2 k - 1 exactly, and E over unit vectors is the trace.
    """
    steps = count // 2 + 1
    found = None
    for number, each in enumerate(bidiagonalise(J), start=1):
        found = each
        if number == steps:
            break
    assert found is not None
    B = found.matrix()
    vector = np.zeros(len(B))
    vector[0] = 1.0
    powers = []
    for _ in range(count):
        vector = B.T @ (B @ vector)
        powers.append(vector[0])
    return np.array(powers)


def _normalised(vector: np.ndarray, known: list[np.ndarray]) -> tuple[np.ndarray, float]:
    """The direction and length of a vector's part outside of the known ones; length 0 if that is rounding."""
    before = np.linalg.norm(vector)
    if known:
        frame = np.array(known)
        for _ in range(2):
            vector = vector - frame.T @ (frame @ vector)
    length = float(np.linalg.norm(vector))
    if length <= 1e-14 * before or length == 0:
        return vector, 0.0
    return vector / length, length
