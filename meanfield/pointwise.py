"""phi and phi' of the catalogue in numpy, side by side; finite and silent for |x| up to 1e300.

Parameters come first, so that functools.partial fixes them and the result pickles.
"""

import math
from typing import Any

import numpy as np
from scipy import special

from meanfield.special_functions import x_cosh_minus_sinh

erf: Any = special.erf
expit: Any = special.expit
ndtr: Any = special.ndtr

SELU_SCALE = 1.0507009873554804934193349852946
SELU_ALPHA = 1.6732632423543772848170429916717
GELU_CUBIC = 0.044715
_GELU_RATE = math.sqrt(8 / math.pi)
# exp(-x^2/2) and every logistic factor here is 0 in float64 beyond, and x^3 cannot overflow before.
_END = 40.0


def linear(x):
    return np.positive(x)


def linear_slope(x):
    return np.ones_like(x)


def relu(x):
    return np.maximum(x, 0.0)


def relu_slope(x):
    return np.where(x > 0, 1.0, 0.0)


def leaky_relu(slope, x):
    return np.where(x > 0, x, slope * x)


def leaky_relu_slope(slope, x):
    return np.where(x > 0, 1.0, slope)


def exponential_unit(scale, amplitude, rate, x):
    """scale x above 0, amplitude (exp(rate x) - 1) below: ELU, CELU and SELU."""
    return np.where(x > 0, scale * x, amplitude * np.expm1(rate * np.minimum(x, 0.0)))


def exponential_unit_slope(scale, amplitude, rate, x):
    return np.where(x > 0, scale, amplitude * rate * np.exp(rate * np.minimum(x, 0.0)))


def gelu(x):
    return x * ndtr(x)


def gelu_slope(x):
    y = np.clip(x, -_END, _END)
    return ndtr(x) + y * np.exp(-y * y / 2) / math.sqrt(2 * math.pi)


def gelu_tanh(x):
    # 1 + tanh(u) = 2/(1 + exp(-2u)) keeps its digits where tanh(u) is near -1.
    y = np.clip(x, -_END, _END)
    return x * expit(_GELU_RATE * (y + GELU_CUBIC * y**3))


def gelu_tanh_slope(x):
    y = np.clip(x, -_END, _END)
    u = _GELU_RATE * (y + GELU_CUBIC * y**3)
    return expit(u) * (1 + y * _GELU_RATE * (1 + 3 * GELU_CUBIC * y * y) * expit(-u))


def silu(beta, x):
    return x * expit(beta * x)


def silu_slope(beta, x):
    u = beta * x
    return expit(u) * (1 + u * expit(-u))


def mish(x):
    # With e = exp(-|x|), tanh(log(1 + exp(x))) is (1 + 2e)/(1 + 2e + 2e^2) above 0 and e(e + 2)/(e(e + 2) + 2) below.
    e = np.exp(-np.abs(x))
    return x * np.where(x > 0, (1 + 2 * e) / (1 + 2 * e * (1 + e)), e * (e + 2) / (e * (e + 2) + 2))


def mish_slope(x):
    e = np.exp(-np.abs(x))
    above, below = 1 + 2 * e * (1 + e), e * (e + 2) + 2
    gate = np.where(x > 0, (1 + 2 * e) / above, e * (e + 2) / below)
    gate_slope = np.where(x > 0, 4 * e * e * (1 + e) / above**2, 4 * e * (1 + e) / below**2)
    return gate + x * gate_slope


def softplus(beta, x):
    return np.logaddexp(0.0, beta * x) / beta


def softplus_slope(beta, x):
    return expit(beta * x)


def softsign(x):
    return x / (1 + np.abs(x))


def softsign_slope(x):
    return (1 / (1 + np.abs(x))) ** 2


def tanh_slope(x):
    # 1 - tanh(x)^2 has no digits left where it is small.
    e = np.exp(-2 * np.abs(x))
    return 4 * e / (1 + e) ** 2


def sigmoid_slope(x):
    return expit(x) * expit(-x)


def erf_slope(x):
    y = np.clip(x, -_END, _END)
    return 2 / math.sqrt(math.pi) * np.exp(-y * y)


def clip(low, high, x):
    return np.clip(x, low, high)


def clip_slope(low, high, x):
    return np.where((x > low) & (x < high), 1.0, 0.0)


def hard_swish(x):
    return x * (np.clip(x + 3, 0.0, 6.0) / 6)


def hard_swish_slope(x):
    return np.where(np.abs(x) < 3, (2 * np.clip(x, -3.0, 3.0) + 3) / 6, relu_slope(x))


def hard_sigmoid(x):
    return np.clip(x + 3, 0.0, 6.0) / 6


def hard_sigmoid_slope(x):
    return np.where(np.abs(x) < 3, 1 / 6, 0.0)


def log_sigmoid(x):
    return -np.logaddexp(0.0, -x)


def log_sigmoid_slope(x):
    return expit(-x)


def tanh_shrink(x):
    near = np.clip(x, -1.0, 1.0)
    return np.where(np.abs(x) <= 1, x_cosh_minus_sinh(near) / np.cosh(near), x - np.tanh(x))


def tanh_shrink_slope(x):
    return np.tanh(x) ** 2


def soft_shrink(lambd, x):
    return x - np.clip(x, -lambd, lambd)


def soft_shrink_slope(lambd, x):
    return np.where(np.abs(x) > lambd, 1.0, 0.0)


def arctan_slope(x):
    # hypot, since x^2 overflows.
    return (1 / np.hypot(1.0, x)) ** 2


def cos_slope(x):
    return -np.sin(x)
