"""Closed-form laws of J J^T, independent of the package: oracles for measured and computed spectra."""

import math
from functools import cached_property

import numpy as np


class InLogarithms:
    """The same law in t = ln(lambda)."""

    @property
    def log_outliers(self):
        return ()

    @property
    def log_atoms(self):
        return tuple((math.log(place) if place else -math.inf, mass) for place, mass in self.atoms)

    @property
    def log_lambda_max(self):
        return math.log(self.lambda_max)

    @property
    def log_lambda_min(self):
        return math.log(self.lambda_min) if self.lambda_min else -math.inf

    def density_of_log(self, t):
        return self.density(np.exp(t)) * np.exp(t)

    def log_quantile(self, p):
        with np.errstate(divide="ignore"):
            return np.log(self.lambda_max if np.all(np.asarray(p) == 1) else self.quantile(p))


class LinearGaussian(InLogarithms):
    """A product of `depth` square Gaussian matrices of unit gain (Fuss-Catalan), parametrised by an angle.

    lambda = sin^{L+1}((L+1) t)/(sin t sin^L(L t)), 0 < t < pi/(L+1), falls from (L+1)^{L+1}/L^L to 0.
    """

    atoms = ()
    lambda_min = bulk_min = 0.0

    def __init__(self, depth):
        self.depth = depth
        self.lambda_max = self.bulk_max = (depth + 1) ** (depth + 1) / depth**depth

    def _log_lam(self, t):
        L = self.depth
        return (L + 1) * np.log(np.sin((L + 1) * t)) - np.log(np.sin(t)) - L * np.log(np.sin(L * t))

    def _angle(self, lam):
        """By bisection, for lam (n,) inside the support."""
        end = math.pi / (self.depth + 1)
        low, high = np.full(lam.shape, 1e-9 * end), np.full(lam.shape, end * (1 - 1e-13))
        for _ in range(52):
            middle = (low + high) / 2
            above = self._log_lam(middle) > np.log(lam)
            low, high = np.where(above, middle, low), np.where(above, high, middle)
        return (low + high) / 2

    def density(self, lam):
        t = self._angle(np.ravel(lam))
        L = self.depth
        found = np.sin(t) ** 2 * np.sin(L * t) ** (L - 1) / (math.pi * np.sin((L + 1) * t) ** L)
        return found.reshape(np.shape(lam))

    @cached_property
    def _table(self):
        """Angles and the mass above them, by Gauss-Legendre on many panels."""
        L, end = self.depth, math.pi / (self.depth + 1)
        edges = np.linspace(0.0, end, 400)
        nodes, weights = np.polynomial.legendre.leggauss(8)
        t = edges[:-1, None] + np.diff(edges)[:, None] * (nodes + 1) / 2
        slope = L**2 / np.tan(L * t) + 1 / np.tan(t) - (L + 1) ** 2 / np.tan((L + 1) * t)
        log_rho = 2 * np.log(np.sin(t)) + (L - 1) * np.log(np.sin(L * t)) - L * np.log(np.sin((L + 1) * t))
        mass = slope * np.exp(log_rho + self._log_lam(t)) / math.pi
        return edges, np.concatenate([[0.0], np.cumsum((mass @ weights) * np.diff(edges) / 2)])

    def cdf(self, lam):
        edges, above = self._table
        flat = np.ravel(lam)
        inside = (flat > 0) & (flat < self.lambda_max)
        t = np.where(flat <= 0, edges[-1], 0.0)
        t[inside] = self._angle(flat[inside])
        return (1 - _smooth(t, edges, above)).reshape(np.shape(lam))

    def quantile(self, p):
        edges, above = self._table
        t = _smooth(1 - np.ravel(p), above, edges)
        return np.exp(self._log_lam(t)).reshape(np.shape(p))


class PointMass(InLogarithms):
    """All mass at 1: a product of orthogonal matrices."""

    lambda_max = lambda_min = bulk_max = bulk_min = 1.0
    atoms = ((1.0, 1.0),)

    def density(self, lam):
        return np.zeros(np.shape(lam))

    def cdf(self, lam):
        return np.where(np.asarray(lam) >= 1.0, 1.0, 0.0)

    def quantile(self, p):
        return np.ones(np.shape(p))


def _smooth(x, xs, ys):
    from scipy.interpolate import PchipInterpolator

    return PchipInterpolator(xs, ys)(x)
