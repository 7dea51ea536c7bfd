"""Exact Gaussian moments and dual kernels of catalogue families, each a function of the family's parameters.

Every formula is written in a form whose rounding error stays within the bound that it states, which is not the form of
the literature where that one cancels or overflows. The dual kernels' bounds are relative to their Cauchy-Schwarz size.
"""

import functools
import math
from collections.abc import Callable, Iterable

import numpy as np

from meanfield.nonlinearity import ClosedForm, ClosedForms
from meanfield.special_functions import (
    elu_ratio,
    elu_slope,
    elu_square,
    erf,
    erf_ratio,
    erfc,
    erfc_integrals,
    erfcx,
    gaussian_factor,
    second_moment_inside,
    sin_minus_t_cos,
    x_cosh_minus_sinh,
)

__all__ = ["clipped", "cosine", "error_function", "exponential_unit", "gelu", "sine", "soft_threshold", "two_slopes"]

# Far inside the range of float64, so that neither q^2 nor 1/q overflows; HUGE serves where q only meets slopes <= 1e6.
SMALLEST, LARGEST, HUGE = 1e-100, 1e100, 1e290


def _form(formula: Callable, *parameters, relative_error: float = 2e-15, q_max: float = LARGEST) -> ClosedForm:
    bound = functools.partial(formula, *parameters) if parameters else formula
    return ClosedForm(formula=bound, q_min=SMALLEST, q_max=q_max, relative_error=relative_error)


def _constant(value, q):
    return np.full_like(q, value)


def _scaled(factor, q):
    return factor * q


# Two slopes: below * x for x < 0, above * x for x > 0.


def two_slopes(below: float, above: float) -> ClosedForms:
    """Linear, ReLU and leaky ReLU: V = (a^2 + b^2) q/2, mu_k = (a^(2k) + b^(2k))/2.

    phi = a x + (b - a) relu(x), and with t = arccos(-c), E relu(u)relu(v) = sqrt(q1 q2) (sin t - t cos t)/(2 pi) and
    E relu'(u)relu'(v) = t/(2 pi) [1]_; the cross terms are E u relu(v) = c sqrt(q1 q2)/2 and E relu'(v) = 1/2.

    References
    ----------
    .. [1] Cho and Saul, Kernel Methods for Deep Learning (2009), section 2: the arc-cosine kernels of order 1 and 0.
    """
    half_square, half_fourth = (below**2 + above**2) / 2, (below**4 + above**4) / 2
    return ClosedForms(
        V=_form(_scaled, half_square, q_max=HUGE),
        mu_1=_form(_constant, half_square, q_max=HUGE),
        mu_2=_form(_constant, half_fourth, q_max=HUGE),
        V_slope=_form(_constant, half_square, q_max=HUGE),
        critical_ratio=_form(_constant, 0.0, q_max=HUGE),
        dual_value=_form(_two_slopes_value, below, above, q_max=HUGE),
        dual_derivative=_form(_two_slopes_derivative, below, above, q_max=HUGE),
    )


def _two_slopes_value(below, above, c, q1, q2):
    t = _angle(c)
    rectified = (above - below) ** 2 * sin_minus_t_cos(t) / (2 * math.pi)
    return np.sqrt(q1) * np.sqrt(q2) * (rectified + below * above * c)


def _two_slopes_derivative(below, above, c, q1, q2):
    return (above - below) ** 2 * _angle(c) / (2 * math.pi) + below * above


def _angle(c):
    """arccos(-c), to full relative accuracy at c = -1."""
    return 2 * np.arctan2(np.sqrt(1 + c), np.sqrt(1 - c))


# Clipping: half-lines with one kink each.


def clipped(low: float, high: float) -> ClosedForms:
    """min(max(x, low), high), low <= 0 <= high: sums over the two sides e = -low, high, with t = e/sqrt(2q).

    V = sum [q P + e^2 erfc(t)]/2, mu_k = sum erf(t)/2, V' = sum P/2 with P = E[z^2; sqrt(q) |z| < e]; the form
    P = erf(t) - 2 t exp(-t^2)/sqrt(pi) cancels at large q.
    q mu_1 - V = sum e sqrt(q/2) i erfc(t), the first repeated integral of erfc.
    """
    ends = (-low, high)
    return ClosedForms(
        V=_form(_clipped_V, ends),
        mu_1=_form(_clipped_mu, ends),
        mu_2=_form(_clipped_mu, ends),
        V_slope=_form(_clipped_V_slope, ends),
        critical_ratio=_form(_clipped_ratio, ends, relative_error=1e-14),
    )


def _sides(ends: Iterable[float], q):
    return [(end, end * end / (2 * q)) for end in ends if end > 0]


def _clipped_V(ends, q):
    return sum((q * second_moment_inside(t2) + e * e * erfc(np.sqrt(t2))) / 2 for e, t2 in _sides(ends, q))


def _clipped_mu(ends, q):
    return sum(erf(np.sqrt(t2)) / 2 for _, t2 in _sides(ends, q))


def _clipped_V_slope(ends, q):
    return sum(second_moment_inside(t2) / 2 for _, t2 in _sides(ends, q))


def _clipped_ratio(ends, q):
    return sum(e * np.sqrt(q / 2) * gaussian_factor(e, q) * erfc_integrals(np.sqrt(t2))[0] for e, t2 in _sides(ends, q))


def soft_threshold(lambd: float) -> ClosedForms:
    """x - clip(x, -lambda, lambda), t = lambda/sqrt(2q): V = 4 q i^2 erfc(t), mu_k = V' = erfc(t).

    q mu_1 - V = lambda sqrt(2q) i erfc(t); the repeated integrals of erfc are those of `clipped`.
    """
    return ClosedForms(
        V=_form(_threshold_V, lambd, relative_error=3e-14),
        mu_1=_form(_threshold_mu, lambd, relative_error=1e-14),
        mu_2=_form(_threshold_mu, lambd, relative_error=1e-14),
        V_slope=_form(_threshold_mu, lambd, relative_error=1e-14),
        critical_ratio=_form(_threshold_ratio, lambd, relative_error=1e-14),
    )


def _threshold_V(lambd, q):
    t2 = lambd * lambd / (2 * q)
    return 4 * q * gaussian_factor(lambd, q) * erfc_integrals(np.sqrt(t2))[1]


def _threshold_mu(lambd, q):
    t2 = lambd * lambd / (2 * q)
    return gaussian_factor(lambd, q) * erfcx(np.sqrt(t2))


def _threshold_ratio(lambd, q):
    t2 = lambd * lambd / (2 * q)
    return lambd * np.sqrt(2 * q) * gaussian_factor(lambd, q) * erfc_integrals(np.sqrt(t2))[0]


# The error function.


def error_function() -> ClosedForms:
    """erf: V = (2/pi) arcsin(2q/(1+2q)), mu_k = (4/pi)^k (1+4kq)^(-1/2), and the kernel of [1]_.

    With s = sqrt(1+4q), q mu_1 - V = (4/pi) [q/s - arctan((s-1)/(s+1))].

    References
    ----------
    .. [1] Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), eq. 4.29.
    """
    return ClosedForms(
        V=_form(_erf_V),
        mu_1=_form(_erf_mu, 1),
        mu_2=_form(_erf_mu, 2),
        V_slope=_form(_erf_V_slope),
        critical_ratio=_form(_erf_ratio, relative_error=5e-15),
        dual_value=_form(_erf_value),
        dual_derivative=_form(_erf_derivative),
    )


def _erf_V(q):
    return 2 / math.pi * np.arctan2(2 * q, np.sqrt(1 + 4 * q))


def _erf_mu(k, q):
    return (4 / math.pi) ** k / np.sqrt(1 + 4 * k * q)


def _erf_V_slope(q):
    return 4 / math.pi / ((1 + 2 * q) * np.sqrt(1 + 4 * q))


def _erf_ratio(q):
    return 4 / math.pi * erf_ratio(q)


def _determinant(c, q1, q2):
    """det(I + Q) of the covariance Q; 1 - c^2 in factors, for c near +-1."""
    return 1 + q1 + q2 + q1 * q2 * ((1 - c) * (1 + c))


def _covariance(c, q1, q2):
    return c * (np.sqrt(q1) * np.sqrt(q2))


def _erf_value(c, q1, q2):
    root = np.sqrt(_determinant(c, 2 * q1, 2 * q2))
    return 2 / math.pi * np.arctan2(2 * _covariance(c, q1, q2), root)


def _erf_derivative(c, q1, q2):
    return 4 / math.pi / np.sqrt(_determinant(c, 2 * q1, 2 * q2))


# Sine and cosine.


def sine() -> ClosedForms:
    """sin: V = (1-e)/2, mu_1 = (1+e)/2, mu_2 = (3+4e+e^4)/8 with e = exp(-2q); kernels exp(-q) sinh, cosh(qc)."""
    return ClosedForms(
        V=_form(_odd_square),
        mu_1=_form(_even_square),
        mu_2=_form(_even_fourth),
        V_slope=_form(_square_slope, 1.0),
        critical_ratio=_form(_sine_ratio),
        dual_value=_form(_odd_kernel),
        dual_derivative=_form(_even_kernel),
    )


def cosine() -> ClosedForms:
    """cos: the sine's with phi and phi' exchanged."""
    return ClosedForms(
        V=_form(_even_square),
        mu_1=_form(_odd_square),
        mu_2=_form(_odd_fourth),
        V_slope=_form(_square_slope, -1.0),
        dual_value=_form(_even_kernel),
        dual_derivative=_form(_odd_kernel),
    )


def _odd_square(q):
    return -np.expm1(-2 * q) / 2


def _even_square(q):
    return (1 + np.exp(-2 * q)) / 2


def _even_fourth(q):
    e = np.exp(-2 * q)
    return (3 + 4 * e + e**4) / 8


def _odd_fourth(q):
    # 3 - 4e + e^4 = (1-e)^2 (3 + 2e + e^2)
    e = np.exp(-2 * q)
    return np.expm1(-2 * q) ** 2 * (3 + 2 * e + e * e) / 8


def _square_slope(sign, q):
    return sign * np.exp(-2 * q)


def _sine_ratio(q):
    near = np.minimum(q, 1.5)
    direct = (q * (1 + np.exp(-2 * q)) + np.expm1(-2 * q)) / 2
    return np.where(q < 1.5, np.exp(-near) * x_cosh_minus_sinh(near), direct)


def _decay(c, q1, q2):
    """exp(|rho| - (q1+q2)/2) and rho = c sqrt(q1 q2), with (q1+q2)/2 - sqrt(q1 q2) as a square."""
    first, second = np.sqrt(q1), np.sqrt(q2)
    total = first + second
    apart = (q1 - q2) / np.where(total > 0, total, 1.0)
    product = first * second
    return np.exp(-(apart**2) / 2 - product * (1 - np.abs(c))), c * product


def _odd_kernel(c, q1, q2):
    size, rho = _decay(c, q1, q2)
    return np.sign(c) * size * -np.expm1(-2 * np.abs(rho)) / 2


def _even_kernel(c, q1, q2):
    size, rho = _decay(c, q1, q2)
    return size * (1 + np.exp(-2 * np.abs(rho))) / 2


# ELU, CELU, SELU: scale x above 0, amplitude (exp(rate x) - 1) below.


def exponential_unit(scale: float, amplitude: float, rate: float) -> ClosedForms:
    """ELU, CELU and SELU, with s = rate sqrt(q) and erfcx(y) = exp(y^2) erfc(y), which does not overflow.

    V = scale^2 q/2 + amplitude^2 B(s), B = erfcx(sqrt(2)s)/2 - erfcx(s/sqrt(2)) + 1/2 (from E[exp(k s z); z < 0] =
    erfcx(k s/sqrt(2))/2), mu_k = scale^(2k)/2 + (amplitude rate)^(2k) erfcx(k sqrt(2) s)/2,
    V' = scale^2/2 + (amplitude rate)^2 [erfcx(sqrt(2)s) - erfcx(s/sqrt(2))/2],
    q mu_1 - V = amplitude^2 [s^2 erfcx(sqrt(2)s)/2 - B(s)]: the half-line x > 0 adds nothing.
    """
    above, below = scale**2, (amplitude * rate) ** 2
    return ClosedForms(
        V=_form(_exponential_V, above, amplitude**2, rate, relative_error=1e-14),
        mu_1=_form(_exponential_mu, above, below, math.sqrt(2) * rate, relative_error=1e-14),
        mu_2=_form(_exponential_mu, above**2, below**2, 2 * math.sqrt(2) * rate, relative_error=1e-14),
        V_slope=_form(_exponential_V_slope, above, below, rate, relative_error=1e-14),
        critical_ratio=_form(_exponential_ratio, amplitude**2, rate, relative_error=5e-14),
    )


def _exponential_V(above, amplitude_2, rate, q):
    return above * q / 2 + amplitude_2 * elu_square(rate * np.sqrt(q))


def _exponential_mu(above, below, rate, q):
    return (above + below * erfcx(rate * np.sqrt(q))) / 2


def _exponential_V_slope(above, below, rate, q):
    return above / 2 + below * elu_slope(rate * np.sqrt(q))


def _exponential_ratio(amplitude_2, rate, q):
    return amplitude_2 * elu_ratio(rate * np.sqrt(q))


# GELU.


def gelu() -> ClosedForms:
    """x Phi(x), Phi the normal distribution function, p its density.

    From E Phi(u)Phi(v) = F = 1/4 + arcsin(rho/sqrt((1+q1)(1+q2)))/(2 pi), rho the covariance, by Stein's identity
    (derived; [1]_ has the kernel): with D = (1+q1)(1+q2) - rho^2, P = E p(u)p(v) = 1/(2 pi sqrt(D)), h = 1/(1+q1) +
    1/(1+q2): E phi phi = rho F + P [q1 q2 + rho^2 (h - 1)], E phi' phi' = F + rho P (h + 1/D).
    At q1 = q2, c = 1 these are V and mu_1, and q mu_1 - V = q^2/(2 pi (1+2q)^(3/2)).

    References
    ----------
    .. [1] Tsuchida et al., Avoiding Kernel Fixed Points, arXiv:2002.08517.
    """
    return ClosedForms(
        V=_form(_gelu_V),
        mu_1=_form(_gelu_mu_1),
        V_slope=_form(_gelu_V_slope),
        critical_ratio=_form(_gelu_ratio),
        dual_value=_form(_gelu_value),
        dual_derivative=_form(_gelu_derivative),
    )


def _gelu_parts(q):
    """F and 2q/(2 pi (1+q) sqrt(1+2q))."""
    root = np.sqrt(1 + 2 * q)
    return 0.25 + np.arctan2(q, root) / (2 * math.pi), q / (math.pi * (1 + q) * root)


def _gelu_V(q):
    both, density = _gelu_parts(q)
    return q * (both + density)


def _gelu_mu_1(q):
    both, density = _gelu_parts(q)
    return both + density + q / (2 * math.pi * (1 + 2 * q) ** 1.5)


def _gelu_V_slope(q):
    both, density = _gelu_parts(q)
    return both + q / (2 * math.pi * (1 + q) * np.sqrt(1 + 2 * q)) + density * (2 - q / (1 + q) - q / (1 + 2 * q))


def _gelu_ratio(q):
    return q * q / (2 * math.pi * (1 + 2 * q) ** 1.5)


def _gelu_kernel_parts(c, q1, q2):
    rho, determinant = _covariance(c, q1, q2), _determinant(c, q1, q2)
    root = np.sqrt(determinant)
    both = 0.25 + np.arctan2(rho, root) / (2 * math.pi)
    return rho, determinant, both, 1 / (2 * math.pi * root), 1 / (1 + q1) + 1 / (1 + q2)


def _gelu_value(c, q1, q2):
    rho, _, both, density, h = _gelu_kernel_parts(c, q1, q2)
    # q1 q2 - rho^2 in factors, for c near +-1.
    return rho * both + density * (q1 * q2 * ((1 - c) * (1 + c)) + rho * rho * h)


def _gelu_derivative(c, q1, q2):
    rho, determinant, both, density, h = _gelu_kernel_parts(c, q1, q2)
    return both + rho * density * (h + 1 / determinant)
