"""Closed-form laws of J J^T, independent of the package: oracles for measured and computed spectra."""

import math
from functools import cached_property

import numpy as np
from scipy.optimize import brentq


class LinearGaussian:
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
        end = math.pi / (self.depth + 1)
        return brentq(lambda t: self._log_lam(t) - math.log(lam), 1e-9 * end, end * (1 - 1e-13), xtol=1e-15)

    def density(self, lam):
        t = np.array([self._angle(x) for x in np.ravel(lam)])
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
        t = np.array(
            [self._angle(x) if 0 < x < self.lambda_max else (edges[-1] if x <= 0 else 0.0) for x in np.ravel(lam)]
        )
        return (1 - _smooth(t, edges, above)).reshape(np.shape(lam))

    def quantile(self, p):
        edges, above = self._table
        t = _smooth(1 - np.ravel(p), above, edges)
        return np.exp(self._log_lam(t)).reshape(np.shape(p))


class PointMass:
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
