"""Graded products: singular values of given matrices against exact arithmetic."""

import math

import mpmath
import numpy as np
import pytest

from verify.spectra.graded import GradedProduct, log_singular_values


def exact_logs(factors, digits=400):
    with mpmath.workdps(digits):
        product = mpmath.matrix(factors[0].tolist())
        for factor in factors[1:]:
            product = mpmath.matrix(factor.tolist()) * product
        return np.sort([float(mpmath.log(s)) for s in mpmath.svd_r(product, compute_uv=False)])[::-1]


def graded_factors(kind):
    rng = np.random.default_rng(4)
    size, count = {"long": (6, 80), "graded": (7, 12), "one": (8, 1), "near orthogonal": (7, 10)}[kind]
    factors = [rng.standard_normal((size, size)) / math.sqrt(size) for _ in range(count)]
    if kind == "graded":
        return [np.exp(rng.uniform(-20, 0, (size, 1))) * factor for factor in factors]
    if kind == "near orthogonal":
        return [(1 - 0.02 * rng.random((size, 1))) * np.linalg.qr(factor)[0] for factor in factors]
    return factors


@pytest.mark.parametrize("kind", ["long", "graded", "one", "near orthogonal"])
def test_small_singular_values_of_a_product_are_right(kind):
    factors = graded_factors(kind)
    expected = exact_logs(factors)
    assert np.abs(log_singular_values(factors) - expected).max() <= 1e-12 * max(1.0, np.abs(expected).max())


def test_a_plain_product_loses_them():
    factors = graded_factors("graded")
    plain = np.linalg.multi_dot(factors[::-1])
    with np.errstate(divide="ignore"):
        lost = np.log(np.linalg.svd(plain, compute_uv=False))
    assert np.abs(lost - exact_logs(factors)).max() > 10


def test_a_product_may_be_rectangular_and_lose_rank():
    rng = np.random.default_rng(5)
    factors = [rng.standard_normal(shape) for shape in ((5, 8), (6, 5), (6, 6), (4, 6))]
    product = np.linalg.multi_dot(factors[::-1])
    assert np.allclose(log_singular_values(factors), np.log(np.linalg.svd(product, compute_uv=False)), atol=1e-12)
    factors[2][1:] = 0.0
    found = log_singular_values(factors)
    assert np.isfinite(found).tolist() == [True, False, False, False]
    assert abs(found[0] - math.log(np.linalg.norm(np.linalg.multi_dot(factors[::-1]), 2))) <= 1e-12
    assert np.all(log_singular_values([factors[0], np.zeros((3, 5)), rng.standard_normal((3, 3))]) == -math.inf)


def test_the_frame_of_a_product_is_orthonormal():
    rng = np.random.default_rng(6)
    product = GradedProduct(6)
    factors = [rng.standard_normal((6, 6)) for _ in range(3)]
    factors[1][[0, 4]] = 0.0
    for factor in factors[:2]:
        product.multiply(factor)
    coordinates = np.array([product.in_frame(column)[0] for column in np.eye(6)])
    assert product.rank == 4
    assert np.allclose(coordinates.T @ coordinates, np.eye(4), atol=1e-14)
    x = rng.standard_normal(6)
    inside, beyond = product.in_frame(x)
    assert abs(inside @ inside + beyond**2 - x @ x) <= 1e-13
    assert np.allclose(coordinates @ np.diag(np.exp(product.logs)) @ product.T, factors[1] @ factors[0], atol=1e-13)
