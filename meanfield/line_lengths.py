"""Lengths that show the whole of a critical line, where it begins, ends and turns included."""

import itertools

import numpy as np

from meanfield.critical_curve import critical_curve
from meanfield.nonlinearity import Nonlinearity

__all__ = ["drawn_lengths"]

LOW, HIGH = 1e-6, 1e4
POINTS = 1201
GRADED = np.linspace(0.0, 1.0, 17)[1:-1] ** 2


def drawn_lengths(phi: Nonlinearity) -> np.ndarray:
    """Lengths q, increasing, at which the critical line of `phi` is drawn.

    Beside a regular grid, these are the points where the line begins, ends and turns. Next to a length where sigma_b
    is 0, sigma_b grows as the square root of what is added to q, so that further lengths are put there as squares.
    """
    curve = critical_curve(phi)
    on = curve.variance > 0
    lengths = [np.geomspace(LOW, HIGH, POINTS), curve.q]
    for k, (left, right) in enumerate(itertools.pairwise(on.tolist())):
        if left != right:
            foot, inner = (k, k + 1) if right else (k + 1, k)
            lengths.append(curve.q[foot] + (curve.q[inner] - curve.q[foot]) * GRADED)
    return np.unique(np.concatenate(lengths))
