"""The Fisher information of one network layer by layer: norms of its blocks, and a bound on its largest eigenvalue."""

from dataclasses import dataclass

import numpy as np

from meanfield.results import Result
from verify.linearization import (
    Layers,
    bordered_products,
    gradient_factors,
    linearize,
    output_cotangents,
    spectral_norm,
)

__all__ = ["LayerwiseBound", "block_norms", "layerwise_bound"]

EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerwiseBound(Result):
    """lambda_max(G) <= value, for this very network and these inputs.

    Attributes
    ----------
    value : float
        Sum of `terms`.
    terms : array (depth + 1,)
        lambda_max(E_t[v_{l,t} x~ x~^T]), x~ = (x^{l-1}, 1), for every layer l and the read-out.
    product_form : float
        sum_l max_t[v_{l,t}] lambda_max(E_t x~ x~^T): looser, in quantities that mean-field theory knows.
    curvature : array (depth + 1, T)
        v_{l,t}, the largest eigenvalue of J_{l,t}^T H_t J_{l,t}, J_{l,t} the derivative of the outputs by h^l.
    features : array (depth + 1,)
        lambda_max(E_t x~ x~^T).
    """

    value: float
    terms: np.ndarray
    product_form: float
    curvature: np.ndarray
    features: np.ndarray


def block_norms(layers: Layers, phi, X, *, output: str = "linear") -> np.ndarray:
    """Largest singular values of the blocks of G, shape (depth + 1, depth + 1); a block holds one layer's W and b.

    The arguments are those of `verify.fisher_product`. The largest row sum bounds lambda_max(G) (block Gershgorin), and
    so does the sum of the diagonal, since G is positive semi-definite.

    Notes
    -----
    G_ab = J_a^T J_b/T. With the Gram matrix of each layer K_a = F_a F_a^T, J_a = sqrt(T) F_a U_a with orthonormal rows
    U_a, so the singular values of G_ab are those of F_a^T F_b. Memory: 8 (depth + 1) (T k)^2 bytes.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> layers = [(rng.standard_normal((6, 4)) / 2, np.zeros(6)), (rng.standard_normal((3, 6)) / 2, np.zeros(3))]
    >>> X = rng.standard_normal((5, 4))
    >>> from verify import fisher_eigenvalues
    >>> norms = block_norms(layers, "tanh", X)
    >>> bool(fisher_eigenvalues(layers, "tanh", X)[0] <= norms.sum(axis=1).max())
    True
    """
    linear = linearize(layers, phi, X)
    factors = []
    for features, delta in gradient_factors(linear, output_cotangents(linear.outputs, output)):
        T, k = delta.shape[:2]
        flat = delta.reshape(T * k, -1)
        gram = (flat @ flat.T).reshape(T, k, T, k) * bordered_products(features, features)[:, None, :, None]
        values, vectors = np.linalg.eigh(gram.reshape(T * k, T * k) / T)
        kept = values > len(values) * EPS * values[-1]
        factors.append(vectors[:, kept] * np.sqrt(values[kept]))
    factors.reverse()
    norms = np.empty((len(factors), len(factors)))
    for i, first in enumerate(factors):
        for j, second in enumerate(factors[: i + 1]):
            norms[i, j] = norms[j, i] = spectral_norm(first.T @ second)
    return norms


def layerwise_bound(layers: Layers, phi, X, *, output: str = "linear") -> LayerwiseBound:
    """A bound on lambda_max(G) that holds for every network and every set of inputs.

    The arguments are those of `verify.fisher_product`.

    Notes
    -----
    G is positive semi-definite, so lambda_max(G) <= sum_l lambda_max(G_ll) over its diagonal blocks, one a layer. With
    x~ = (x^{l-1}, 1), G_ll = E_t[x~ x~^T (x) J_{l,t}^T H_t J_{l,t}], and J^T H J <= v_{l,t} 1 gives
    lambda_max(G_ll) <= lambda_max(E_t[v_{l,t} x~ x~^T]) <= max_t[v_{l,t}] lambda_max(E_t x~ x~^T). v_{l,t} is at most
    lambda_max(H_t) sigma_max(J_{l,t})^2, and equal to it for linear outputs.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> layers = [(rng.standard_normal((6, 4)) / 2, np.zeros(6)), (rng.standard_normal((3, 6)) / 2, np.zeros(3))]
    >>> X = rng.standard_normal((5, 4))
    >>> from verify import fisher_eigenvalues
    >>> bool(fisher_eigenvalues(layers, "tanh", X)[0] <= layerwise_bound(layers, "tanh", X).value)
    True
    """
    linear = linearize(layers, phi, X)
    curvature, terms, features = [], [], []
    for x, delta in gradient_factors(linear, output_cotangents(linear.outputs, output)):
        v = np.linalg.eigvalsh(delta @ delta.transpose(0, 2, 1))[:, -1]
        bordered = np.concatenate([x, np.ones((len(x), 1))], axis=1)
        curvature.insert(0, v)
        features.insert(0, _top_second_moment(bordered))
        terms.insert(0, _top_second_moment(np.sqrt(np.maximum(v, 0.0))[:, None] * bordered))
    largest = np.array([v.max() for v in curvature])
    return LayerwiseBound(
        value=float(np.sum(terms)),
        terms=np.array(terms),
        product_form=float(largest @ np.array(features)),
        curvature=np.array(curvature),
        features=np.array(features),
    )


def _top_second_moment(x: np.ndarray) -> float:
    """lambda_max(E_t x_t x_t^T), from the smaller of its two Gram matrices."""
    gram = x @ x.T if len(x) <= x.shape[1] else x.T @ x
    return float(np.linalg.eigvalsh(gram)[-1]) / len(x)
