"""Special functions in forms that keep all digits where the textbook forms cancel; vectorised, without warnings."""

import math
from typing import Any

import numpy as np
from scipy import special

__all__ = [
    "elu_ratio",
    "elu_slope",
    "elu_square",
    "erf",
    "erf_ratio",
    "erfc",
    "erfc_integrals",
    "erfcx",
    "gaussian_factor",
    "second_moment_inside",
    "sin_minus_t_cos",
    "x_cosh_minus_sinh",
]

erf: Any = special.erf
erfc: Any = special.erfc
erfcx: Any = special.erfcx


def _series(coefficients: np.ndarray, x: np.ndarray) -> np.ndarray:
    """sum_k coefficients[k] x^k by Horner's rule."""
    total = np.full_like(x, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        total = total * x + coefficient
    return total


_COSH_SINH = np.array([2 * k / math.factorial(2 * k + 1) for k in range(1, 13)])
_SIN_COS = _COSH_SINH * (-1.0) ** np.arange(len(_COSH_SINH))
_ARCTAN = np.array([1 - (-1) ** k / (2 * k + 1) for k in range(1, 24)])


def x_cosh_minus_sinh(x: np.ndarray) -> np.ndarray:
    """x cosh x - sinh x = sum_k 2k x^(2k+1)/(2k+1)!, for |x| <= 1.5."""
    return x**3 * _series(_COSH_SINH, x * x)


def sin_minus_t_cos(t: np.ndarray) -> np.ndarray:
    """sin t - t cos t = t^3/3 - t^5/30 + ..., for 0 <= t <= pi."""
    near = np.minimum(t, 1.0)
    return np.where(t < 1.0, near**3 * _series(_SIN_COS, near * near), np.sin(t) - t * np.cos(t))


def erf_ratio(q: np.ndarray) -> np.ndarray:
    """q/s - arctan r with s = sqrt(1+4q), r = (s-1)/(s+1), for q >= 0: the first term is r/(1-r^2).

    Hence 4 r^3/3 + 4 r^5/5 + 8 r^7/7 + ..., where r is small.
    """
    s = np.sqrt(1 + 4 * q)
    r = 4 * q / (1 + s) ** 2
    near = np.minimum(r, 0.4)
    return np.where(r < 0.4, near**3 * _series(_ARCTAN, near * near), q / s - np.arctan(r))


_INSIDE = 1 / np.cumprod(np.arange(1.5, 20.0))


def second_moment_inside(x: np.ndarray) -> np.ndarray:
    """E[z^2; z^2 < 2x] = P(3/2, x) = erf(sqrt(x)) - 2 sqrt(x/pi) exp(-x), for x >= 0 and z standard normal."""
    near, root = np.minimum(x, 1.0), np.sqrt(x)
    edge = 2 / math.sqrt(math.pi) * root * np.exp(-x)
    return np.where(x < 1.0, edge * near * _series(_INSIDE, near), erf(root) - edge)


def _upper_half(x):
    scaled = 134217729.0 * x  # 2^27 + 1
    return scaled - (scaled - x)


def _product_error(a, b):
    """a b minus its rounded value, exactly (Dekker's product of Veltkamp's halves)."""
    a_high, b_high = _upper_half(a), _upper_half(b)
    a_low, b_low = a - a_high, b - b_high
    return a_low * b_low - (((a * b - a_high * b_high) - a_low * b_high) - a_high * b_low)


def gaussian_factor(x: float, q: np.ndarray) -> np.ndarray:
    """exp(-x^2/(2q)) to an ulp or two: the rounding of an exponent of 700 alone would cost 500."""
    exponent = x * x / (2 * q)
    remainder = (x * x - exponent * (2 * q)) + (_product_error(x, x) - _product_error(exponent, 2 * q))
    factor = np.exp(-exponent)
    return factor - factor * (remainder / (2 * q))


_RECURRENCE_STEPS = 70  # 16 digits from y = 1.5 on


def erfc_integrals(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """exp(y^2) times i erfc(y) and i^2 erfc(y), the first two repeated integrals of erfc, for y >= 0.

    i erfc = exp(-y^2)/sqrt(pi) - y erfc and 4 i^2 erfc = erfc - 2 y i erfc lose all digits as y grows. The recurrence
    i^(n-2) = 2n i^n + 2y i^(n-1), run downwards, has positive terms only; the ratios of neighbours start from their
    asymptotic value at large n and end at i^(-1) erfc = 2 exp(-y^2)/sqrt(pi) [1]_.

    References
    ----------
    .. [1] NIST Digital Library of Mathematical Functions, 7.18.7 and 7.22(iii).
    """
    near = np.minimum(y, 1.5)
    value = erfcx(near)
    first = 1 / math.sqrt(math.pi) - near * value
    second = (value - 2 * near * first) / 4
    if (y <= 1.5).all():
        return first, second
    far = np.maximum(y, 1.5)
    ratio = 1 / (far + np.sqrt(far * far + 2 * _RECURRENCE_STEPS))
    for n in range(_RECURRENCE_STEPS, 2, -1):
        ratio = 0.5 / (far + n * ratio)
    to_first = 0.5 / (far + 2 * ratio)
    far_first = to_first * 0.5 / (far + to_first) * (2 / math.sqrt(math.pi))
    return np.where(y <= 1.5, first, far_first), np.where(y <= 1.5, second, ratio * far_first)


def _half_moments(count: int) -> np.ndarray:
    """E|z|^n/(2 n!) for n < count and z standard normal: each is the second before it, divided by n."""
    moments = [0.5, math.sqrt(0.5 / math.pi)]
    for n in range(2, count):
        moments.append(moments[n - 2] / n)
    return np.array(moments)


_N = np.arange(56.0)
_HALF = _half_moments(56) * (-1.0) ** _N
_ELU_SQUARE = (_HALF * (2**_N - 2))[2:]
_ELU_RATIO = (_HALF * (_N * 2 ** (_N - 2) - 2**_N + 2))[4:]
_SERIES_BELOW = 0.9


def elu_square(s: np.ndarray) -> np.ndarray:
    """E[(exp(s z) - 1)^2; z < 0] = erfcx(sqrt(2) s)/2 - erfcx(s/sqrt(2)) + 1/2, for s >= 0."""
    near = np.minimum(s, _SERIES_BELOW)
    direct = 0.5 * erfcx(math.sqrt(2) * s) - erfcx(math.sqrt(0.5) * s) + 0.5
    return np.where(s < _SERIES_BELOW, near**2 * _series(_ELU_SQUARE, near), direct)


def elu_ratio(s: np.ndarray) -> np.ndarray:
    """s^2 E[exp(2 s z); z < 0] - E[(exp(s z) - 1)^2; z < 0] = s^4/8 + ..., for s >= 0."""
    near = np.minimum(s, _SERIES_BELOW)
    direct = 0.5 * s**2 * erfcx(math.sqrt(2) * s) - elu_square(s)
    return np.where(s < _SERIES_BELOW, near**4 * _series(_ELU_RATIO, near), direct)


def elu_slope(s: np.ndarray) -> np.ndarray:
    """erfcx(sqrt(2) s) - erfcx(s/sqrt(2))/2 = 1/2 - ..., for s >= 0: the slope of `elu_square` over 2s.

    At large s both terms are 1/(sqrt(2 pi) s) to leading order, and what they leave over it is their i erfc.
    """
    wide, narrow = math.sqrt(2) * s, math.sqrt(0.5) * s
    far = np.maximum(s, 1.0)
    left_over = erfc_integrals(math.sqrt(0.5) * far)[0] - erfc_integrals(math.sqrt(2) * far)[0]
    return np.where(s < 1.0, erfcx(wide) - 0.5 * erfcx(narrow), left_over / (math.sqrt(2) * far))
