"""Block Lanczos iterations for the largest eigenvalues of a symmetric operator that is costly to apply."""

from collections.abc import Callable

import numpy as np

from meanfield.errors import ConvergenceError

__all__ = ["largest_eigenvalues"]

EPS = float(np.finfo(np.float64).eps)


def largest_eigenvalues(
    product: Callable[[np.ndarray], np.ndarray], start: np.ndarray, *, tolerance: float, max_products: int = 1000
) -> tuple[np.ndarray, np.ndarray, int]:
    """As many of the largest eigenvalues as `start` has columns.

    Parameters
    ----------
    product : callable
        x (n,) to A x (n,), A symmetric and positive semi-definite.
    start : array (n, count)
        Linearly independent columns. An eigenvalue of higher multiplicity than their number is found only as often as
        there are columns.
    tolerance : float
        Largest residual, relative to its eigenvalue.
    max_products : int

    Returns
    -------
    tuple
        Eigenvalues (count,) in falling order; norms of their residuals, (count,): some eigenvalue is that near to each;
        and how often `product` was called.

    Raises
    ------
    ConvergenceError
        `max_products` calls were not enough; `partial` holds the eigenvalues so far.

    Notes
    -----
    Each step adds A times the last block to the basis, orthogonalised twice against all of it, and stops as soon as the
    residuals allow: against a restarted iteration this saves a good tenth of the products. With A V = V H + W E^T, E
    the last block's unit vectors, the residual of a Ritz pair (theta, V s) is W E^T s.

    References
    ----------
    .. [1] G. H. Golub, R. Underwood, The block Lanczos method for computing eigenvalues, 1977.
    """
    count = start.shape[1]
    block = np.linalg.qr(start)[0]
    basis = images = np.empty((len(start), 0))
    products = 0
    while True:
        image = np.stack([product(column) for column in block.T], axis=1)
        products += block.shape[1]
        basis, images = np.hstack([basis, block]), np.hstack([images, image])
        values, vectors = np.linalg.eigh(basis.T @ images)
        for _ in range(2):
            image = image - basis @ (basis.T @ image)
        left, singular, right = np.linalg.svd(image, full_matrices=False)
        ritz = vectors[-block.shape[1] :, ::-1][:, :count]
        residuals = np.linalg.norm(singular[:, None] * (right @ ritz), axis=0)
        found = values[::-1][:count]
        new = singular > 8 * EPS * found[0]
        if (residuals <= tolerance * np.abs(found)).all() or not new.any():
            return found, residuals, products
        if products >= max_products:
            raise ConvergenceError(
                f"Lanczos iterations left a residual of {residuals.max():.1e} after {products} products", found
            )
        block = left[:, new]
