"""Two-dimensional oracle: E phi(u)phi(v) and E phi'(u)phi'(v) in extended precision (64-bit mantissa), two methods.

`trapezoid` converges exponentially for phi analytic in a strip of half-width `STRIP`; `nested` splits both integrals at
the kinks. Both give about 18 digits, relative to sqrt(E phi(u)^2 E phi(v)^2). They only serve where no one-dimensional
reduction exists; the committed table holds their digits, so the tests need no extended precision.
"""

import functools

import numpy as np
from mpmath import mp

from tests.oracles import KINKS, _legendre, panels

Long = np.longdouble


def _long(x) -> np.longdouble:
    return Long(mp.nstr(mp.mpf(x), 30)) if isinstance(x, mp.mpf) else Long(x)


def _sigmoid(x):
    tail = np.exp(-np.abs(x))
    return np.where(x > 0, 1, tail) / (1 + tail), tail / (1 + tail) ** 2


def _silu(x):
    s, slope = _sigmoid(x)
    return x * s, s + x * slope


def _softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))), _sigmoid(x)[0]


def _tanh(x):
    e = np.exp(-2 * np.abs(x))
    return np.tanh(x), 4 * e / (1 + e) ** 2


def _softsign(x):
    return x / (1 + np.abs(x)), 1 / (1 + np.abs(x)) ** 2


def _elu(x):
    low = np.minimum(x, 0)
    return np.where(x > 0, x, np.expm1(low)), np.exp(low)


def _selu(x):
    scale, alpha = Long(1.0507009873554804934193349852946), Long(1.6732632423543772848170429916717)
    low = np.minimum(x, 0)
    return scale * np.where(x > 0, x, alpha * np.expm1(low)), scale * np.where(x > 0, 1, alpha * np.exp(low))


def _hard_tanh(x):
    return np.clip(x, -1, 1), (np.abs(x) < 1).astype(Long)


def _arctan(x):
    return np.arctan(x), 1 / (1 + x * x)


def _gelu_tanh(x):
    k, a = np.sqrt(2 / (4 * np.arctan(Long(1)))), Long(0.044715)
    t, sech2 = _tanh(k * (x + a * x**3))
    return x * (1 + t) / 2, (1 + t) / 2 + x * sech2 * k * (1 + 3 * a * x * x) / 2


def _mish(x):
    value, slope = _softplus(x)
    t, sech2 = _tanh(value)
    return x * t, t + x * sech2 * slope


def _hardswish(x):
    middle = np.abs(x) < 3
    slope = np.where(middle, (2 * x + 3) / 6, (x > 0).astype(Long))
    return np.where(middle, x * (x + 3) / 6, np.maximum(x, 0)), slope


def _relu6(x):
    return np.clip(x, 0, 6), ((x > 0) & (x < 6)).astype(Long)


def _sin_softsign(x):
    d = 1 + np.abs(x)
    return np.sin(x) / d, np.cos(x) / d - np.sin(x) * np.sign(x) / d**2


PLANE = {
    "tanh": _tanh,
    "sigmoid": _sigmoid,
    "silu": _silu,
    "softplus": _softplus,
    "softsign": _softsign,
    "elu": _elu,
    "selu": _selu,
    "hard_tanh": _hard_tanh,
    "arctan": _arctan,
    "gelu_tanh": _gelu_tanh,
    "mish": _mish,
    "hardswish": _hardswish,
    "relu6": _relu6,
    "sin(x)/(1+abs(x))": _sin_softsign,
}
STRIP = {"tanh": np.pi / 2, "sigmoid": np.pi, "silu": np.pi, "softplus": np.pi}


def trapezoid(phi: str, c: float, q1: float, q2: float) -> tuple[np.longdouble, np.longdouble]:
    """Two-dimensional trapezoid rule, error exp(-2 pi d/h) with d the distance of the nearest pole in units of z."""
    c, a, b = Long(c), np.sqrt(Long(q1)), np.sqrt(Long(q2))
    distance = STRIP[phi] / max(float(a), float(b))
    # exp(-2 pi d/h) = 2e-28, as the poles are multiple and the Gaussian is larger beside them; the cap keeps the
    # Gaussian's own error exp(-2 pi^2/h^2) below that.
    step = Long(min(2 * np.pi * distance / 64.0, 0.5))
    z = np.arange(-int(10 / step) - 1, int(10 / step) + 2).astype(Long) * step
    weight = np.exp(-z * z / 2)
    weight /= weight.sum()
    u, du = PLANE[phi](a * z)
    v, dv = PLANE[phi](b * (c * z[:, None] + np.sqrt((1 - c) * (1 + c)) * z[None, :]))
    return (weight * u) @ (v @ weight), (weight * du) @ (dv @ weight)


@functools.cache
def _nodes(n: int):
    with mp.workdps(30):
        table = _legendre(n, mp.prec)
        return np.array([_long(t) for t, _ in table]), np.array([_long(w) for _, w in table])


def _rule(features, breaks, n: int, growth: float):
    """Composite nodes and weights of the standard Gaussian on [-10, 10]."""
    edges = np.array(panels(features, breaks, Long(1.5), Long(10), growth), dtype=Long)
    t, w = _nodes(n)
    half = np.diff(edges)[:, None] / 2
    z = ((edges[:-1, None] + edges[1:, None]) / 2 + half * t).ravel()
    weight = (half * w).ravel() * np.exp(-z * z / 2)
    return z, weight / weight.sum()


def nested(phi: str, c: float, q1: float, q2: float, n: int = 24) -> tuple[np.longdouble, np.longdouble]:
    """Composite Gauss-Legendre in u, and for each u in v given u, panels ending at the kinks of both."""
    c, a, b = Long(c), np.sqrt(Long(q1)), np.sqrt(Long(q2))
    s = np.sqrt((1 - c) * (1 + c))
    kinks = [Long(k) for k in KINKS.get(phi, ())]
    growth = 0.0 if "sin" in phi else 0.4
    features = [(k / a, 1 / max(a, Long(1))) for k in (kinks or [Long(0)])]
    if c != 0:
        layer = s / abs(c) if kinks else max(s, 1 / b) / abs(c)
        features += [(k / (b * c), layer) for k in (kinks or [Long(0)])]
    z, weight = _rule(features, [k / a for k in kinks], n, growth)
    u, du = PLANE[phi](a * z)
    value = derivative = Long(0)
    for i, outer in enumerate(z):
        if weight[i] < 1e-24:
            continue
        inner_kinks = [(k / b - c * outer) / s for k in kinks]
        inner_features = [(k, 1 / (b * s)) for k in (inner_kinks or [-c * outer / s])]
        y, inner = _rule(inner_features, inner_kinks, n, growth)
        v, dv = PLANE[phi](b * (c * outer + s * y))
        value += weight[i] * u[i] * (inner @ v)
        derivative += weight[i] * du[i] * (inner @ dv)
    return value, derivative
