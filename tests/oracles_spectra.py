"""Spectra by routes of their own: dense Gauss-Legendre sums, homotopy in arg z, mpmath, simulated matrices."""

import itertools
import math

import mpmath
import numpy as np

__all__ = [
    "density_of_log",
    "jacobian_eigenvalues",
    "log_lambda_max",
    "slope_moments",
]


def _gauss(q: float, derivative, kinks=()) -> tuple[np.ndarray, np.ndarray]:
    """Values of phi'^2 and probabilities on dense panels over twelve standard deviations."""
    spread = math.sqrt(q)
    edges = np.unique(np.concatenate([np.linspace(-12 * spread, 12 * spread, 121), np.asarray(kinks, dtype=float)]))
    nodes, weights = np.polynomial.legendre.leggauss(20)
    half = np.diff(edges) / 2
    x = ((edges[:-1] + half)[:, None] + half[:, None] * nodes).ravel()
    p = (half[:, None] * weights).ravel() * np.exp(-(x**2) / (2 * q)) / math.sqrt(2 * math.pi * q)
    return derivative(x) ** 2, p


def slope_moments(q: float, derivative, kinks=()) -> tuple[float, float, float]:
    """E phi'^2, E phi'^4 and E ln phi'^2."""
    d, p = _gauss(q, derivative, kinks)
    return float(p @ d), float(p @ d**2), float(p @ np.log(d))


def density_of_log(t, q: float, derivative, sigma_w: float, depth: int, weights: str, kinks=()) -> np.ndarray:
    """Density of ln lambda at t: the S-transform equation followed from negative z, where all is real, to z + i0.

    Needs m so far from the cut of M that plain sums resolve it: points inside the spectrum.
    """
    d, p = _gauss(q, derivative, kinks)
    gaussian = depth if weights == "gaussian" else 0

    def log_z(w):
        m = (p * d / (w[:, None] - d)).sum(axis=1)
        one = (p * w[:, None] / (w[:, None] - d)).sum(axis=1)
        # Arguments as limits from the upper half plane of z.
        log_m = np.log(-m) - 1j * math.pi
        total = 2 * depth * math.log(sigma_w) + np.log(one) - log_m + depth * (np.log(w) + log_m - np.log(one))
        return total + gaussian * np.log(one), m

    t = np.atleast_1d(np.asarray(t, dtype=float))
    grid = np.geomspace(1e-8, 1e8, 400)
    table = log_z(-grid + 0j)[0].real
    w = -np.exp(np.interp(t, table, np.log(grid))) + 0j
    for angle in np.concatenate([np.linspace(math.pi, 0.02, 80), np.geomspace(0.02, 1e-6, 15), [0.0]]):
        for _ in range(30):
            value = log_z(w)[0]
            h = 1e-6 * np.abs(w)
            slope = (log_z(w + h)[0] - log_z(w - h)[0]) / (2 * h)
            step = (t + 1j * angle - value) / slope
            w = w + step
            if (np.abs(step) < 1e-11 * np.abs(w)).all():
                break
    return -log_z(w)[1].imag / math.pi


def log_lambda_max(derivative_squared, q, depth: int, start, *, digits: int = 20):
    """ln of the upper edge of a critical orthogonal network with even phi', by mpmath from `start`, a guess of w."""
    with mpmath.workdps(digits):
        root = mpmath.sqrt(mpmath.mpf(q))
        panels = [mpmath.mpf(3 * i) / 2 for i in range(9)]

        def mean(g):
            return 2 * mpmath.quad(lambda x: g(derivative_squared(root * x)) * mpmath.npdf(x), panels)

        mu = mean(lambda d: d)

        def slope(w):
            m, change = mean(lambda d: d / (w - d)), -mean(lambda d: d / (w - d) ** 2)
            return depth / w + (depth - 1) * change * (1 / m - 1 / (1 + m))

        w = mpmath.findroot(slope, (mpmath.mpf(start), mpmath.mpf(start) * (1 + mpmath.mpf("1e-6"))), solver="secant")
        m = mean(lambda d: d / (w - d))
        return depth * mpmath.log(w / mu) + (depth - 1) * (mpmath.log(m) - mpmath.log(1 + m))


def jacobian_eigenvalues(
    phi, derivative, sigma_w: float, sigma_b: float, q0: float, *, shapes, weights: str, readout: int | None, seed: int
) -> np.ndarray:
    """Eigenvalues of J J^T of one network with layers of the sizes `shapes`, input first, by plain numpy."""
    rng = np.random.default_rng(seed)

    def matrix(rows: int, columns: int, scale: float) -> np.ndarray:
        if weights == "gaussian":
            return rng.standard_normal((rows, columns)) * scale / math.sqrt(columns)
        Q, R = np.linalg.qr(rng.standard_normal((max(rows, columns), min(rows, columns))))
        Q = Q * np.sign(np.diagonal(R))
        return scale * (Q.T if rows <= columns else Q * math.sqrt(rows / columns))

    x = rng.standard_normal(shapes[0])
    x *= math.sqrt(max(q0 - sigma_b**2, 0.0) / sigma_w**2 * shapes[0]) / np.linalg.norm(x)
    J = np.eye(shapes[0])
    for fan_in, fan_out in itertools.pairwise(shapes):
        W = matrix(fan_out, fan_in, sigma_w)
        h = W @ x + sigma_b * rng.standard_normal(fan_out)
        J = derivative(h)[:, None] * (W @ J)
        x = phi(h)
    if readout is not None:
        J = matrix(readout, shapes[-1], 1.0) @ J
    return np.linalg.eigvalsh(J @ J.T)
