"""Block Lanczos iterations against dense eigenvalues and scipy's eigsh."""

import numpy as np
import pytest
from scipy.sparse.linalg import eigsh

import meanfield as mf
from verify.lanczos import largest_eigenvalues


def matrix(eigenvalues, seed=0):
    Q = np.linalg.qr(np.random.default_rng(seed).standard_normal((len(eigenvalues),) * 2))[0]
    return Q * eigenvalues @ Q.T


def start(size, count, seed=1):
    return np.random.default_rng(seed).standard_normal((size, count))


@pytest.mark.parametrize("count", [1, 3, 8])
@pytest.mark.parametrize(
    "eigenvalues",
    [
        np.linspace(0, 1, 60) ** 2,
        np.concatenate([[10.0, 9.99, 9.98, 9.9], np.linspace(0, 1, 40)]),
        np.concatenate([[5.0] * 8, np.linspace(0, 1, 40)]),
        np.geomspace(1e-12, 1, 50),
    ],
    ids=["quadratic", "outliers", "equal", "geometric"],
)
def test_eigenvalues_and_honest_errors(eigenvalues, count):
    A = matrix(eigenvalues)
    exact = np.sort(eigenvalues)[::-1][:count]
    values, errors, products = largest_eigenvalues(lambda x: A @ x, start(len(A), count), tolerance=1e-6)
    assert (errors <= 1e-6 * exact).all()
    assert (np.abs(values - exact) <= errors + 1e-13 * exact[0]).all()
    assert products <= len(A) + count


def test_fewer_products_than_a_restarted_iteration():
    A = matrix(np.concatenate([np.linspace(9, 10, 10), np.linspace(0, 2, 390)]))
    calls = []

    def product(x):
        calls.append(1)
        return A @ x

    from scipy.sparse.linalg import LinearOperator

    operator = LinearOperator(A.shape, matvec=product, dtype=float)
    value = eigsh(operator, k=1, which="LA", tol=1e-8, v0=start(400, 1)[:, 0], return_eigenvectors=False)[0]
    found, _, products = largest_eigenvalues(lambda x: A @ x, start(400, 1), tolerance=1e-8)
    assert abs(found[0] / value - 1) <= 1e-12
    assert products <= len(calls)


def test_an_invariant_subspace_ends_the_search():
    """The start is an eigenvector: its residual is zero at once."""
    A = np.diag([3.0, 2.0, 1.0])
    values, errors, products = largest_eigenvalues(lambda x: A @ x, np.eye(3)[:, :2], tolerance=1e-12)
    assert values.tolist() == [3.0, 2.0]
    assert errors.max() == 0
    assert products == 2


def test_what_was_found_so_far():
    A = matrix(np.linspace(0.99, 1.0, 200))
    with pytest.raises(mf.ConvergenceError, match="after 5 products") as caught:
        largest_eigenvalues(lambda x: A @ x, start(200, 1), tolerance=1e-12, max_products=5)
    assert caught.value.partial.shape == (1,)
