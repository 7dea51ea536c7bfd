"""The continuous part of the law of f(x)^2 on the real line itself: density and distribution, piece by piece."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from meanfield.freeprob.pieces import Piece
from meanfield.quadrature import EPS, NODES, WEIGHTS

__all__ = ["Distribution"]

STEPS = 100
GRADING = 4.0  # panels grow by this factor away from the ends of a piece, where ln f^2 or its slope may be singular
FINEST = 1e-12
CROSSING = 1e-13  # of the slope times the length of a piece: smaller values of f at its end are rounding of 0


@dataclass(frozen=True, eq=False)
class Distribution:
    """f(x)^2 for Gaussian x on pieces where it is monotone.

    pieces : left to right; spread : standard deviation of x; fold : 2 if the pieces are the right half of an even f^2.
    """

    pieces: tuple[Piece, ...]
    spread: float
    fold: float

    def density_of_log(self, t: np.ndarray) -> np.ndarray:
        """Density of t = ln f^2: the sum of p(x) |f/(2 f')| over the x with that value."""
        total = np.zeros(t.shape)
        for piece in self.pieces:
            inside = self._inside(piece, t)
            if inside.any():
                x = _inverse(piece, t[inside])
                p = np.exp(-((x / self.spread) ** 2) / 2) / (math.sqrt(2 * math.pi) * self.spread)
                # Not f(x): beside a zero of f that is rounding.
                with np.errstate(divide="ignore"):
                    total[inside] += p * np.exp(t[inside] / 2) / np.abs(2 * piece.slope(x))
        return self.fold * total

    def cdf_of_log(self, t: np.ndarray) -> np.ndarray:
        """Mass with ln f^2 <= t."""
        total = np.zeros(t.shape)
        for piece in self.pieces:
            _, high = _log_range(piece)
            total[t >= high] += self._mass(piece.a, piece.b)
            inside = self._inside(piece, t)
            if inside.any():
                x = _inverse(piece, t[inside])
                below = (piece.a, x) if piece.direction > 0 else (x, piece.b)
                total[inside] += self._mass(*below)
        return self.fold * total

    def nodes(self) -> tuple[np.ndarray, np.ndarray]:
        """t = ln f^2 and masses (n,), a quadrature for expectations of functions of t."""
        found = []
        for piece in self.pieces:
            edges = _graded(piece)
            half = np.diff(edges) / 2
            x = ((edges[:-1] + half)[:, None] + half[:, None] * NODES).ravel()
            p = np.exp(-((x / self.spread) ** 2) / 2) / (math.sqrt(2 * math.pi) * self.spread)
            found.append((2 * np.log(np.abs(piece.f(x))), self.fold * p * (half[:, None] * WEIGHTS).ravel()))
        t, masses = (np.concatenate([part[i] for part in found] or [np.empty(0)]) for i in (0, 1))
        return t[np.isfinite(t)], masses[np.isfinite(t)]

    def _inside(self, piece: Piece, t: np.ndarray) -> np.ndarray:
        low, high = _log_range(piece)
        return (t > low) & (t < high)

    def _mass(self, a, b):
        low, high = np.asarray(a) / self.spread, np.asarray(b) / self.spread
        # On the right half line the upper tail keeps the digits.
        return np.where(low > 0, ndtr(-low) - ndtr(-high), ndtr(high) - ndtr(low))


def _log_range(piece: Piece) -> tuple[float, float]:
    """ln of the ends of f^2; -inf where f crosses 0, to rounding."""
    ends = np.array([piece.a, piece.b])
    values, slopes = np.abs(piece.f(ends)), np.abs(piece.slope(ends))
    values[values <= CROSSING * slopes * (piece.b - piece.a)] = 0.0
    with np.errstate(divide="ignore"):
        logs = 2 * np.log(values)
    return float(logs.min()), float(logs.max())


def _inverse(piece: Piece, t: np.ndarray) -> np.ndarray:
    """x with ln f(x)^2 = t, by Newton's method kept inside a bracket."""
    level = np.exp(t / 2)
    rising = piece.direction > 0
    low, high = np.full(t.shape, piece.a), np.full(t.shape, piece.b)
    x = (low + high) / 2
    for _ in range(STEPS):
        value = piece.f(x)
        excess = np.abs(value) - level
        left = (excess > 0) == rising
        low, high = np.where(left, low, x), np.where(left, x, high)
        slope = np.sign(value) * piece.slope(x)
        with np.errstate(divide="ignore", invalid="ignore"):
            step = x - excess / slope
        before, x = x, np.where((step >= low) & (step <= high), step, (low + high) / 2)
        if (np.abs(x - before) <= 2 * EPS * np.abs(x)).all():
            break
    return x


def _graded(piece: Piece) -> np.ndarray:
    """Edges of panels that shrink towards both ends."""
    half = (piece.b - piece.a) / 2
    steps = half * GRADING ** -np.arange(0.0, -math.log(FINEST) / math.log(GRADING))[::-1]
    return np.concatenate([[piece.a], piece.a + steps, (piece.b - steps[:-1])[::-1], [piece.b]])
