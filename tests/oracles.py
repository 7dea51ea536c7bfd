"""Independent oracle of the tests: nonlinearities and Gaussian means in mpmath, sharing nothing with the package.

Every nonlinearity is written again from its definition (torch's where torch has it), as a pair phi, phi'.
Expectations are composite Gauss-Legendre sums on panels graded towards the features of the integrand, at the working
precision of mpmath; `Rule` holds the two different partitions whose agreement makes the table trustworthy.
"""

import functools
import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import mpmath
from mpmath import mp, mpf

SELU_SCALE = mpf(1.0507009873554804934193349852946)
SELU_ALPHA = mpf(1.6732632423543772848170429916717)
LEAKY_SLOPE = mpf(0.01)
GELU_CUBIC = mpf(0.044715)
TAIL = 17  # exp(-17**2/2) = 2e-63: below every working precision used here


# Nonlinearities: x -> (phi(x), phi'(x)); at a kink the value of phi' does not matter, panels end there.


def linear(x):
    return x, mpf(1)


def relu(x):
    return (x, mpf(1)) if x > 0 else (mpf(0), mpf(0))


def leaky_relu(x):
    return (x, mpf(1)) if x > 0 else (LEAKY_SLOPE * x, LEAKY_SLOPE)


def elu(x):
    return (x, mpf(1)) if x > 0 else (mp.expm1(x), mp.exp(x))


celu = elu


def selu(x):
    if x > 0:
        return SELU_SCALE * x, SELU_SCALE
    return SELU_SCALE * SELU_ALPHA * mp.expm1(x), SELU_SCALE * SELU_ALPHA * mp.exp(x)


def gelu(x):
    cdf = mp.erfc(-x / mp.sqrt(2)) / 2
    return x * cdf, cdf + x * mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)


def gelu_tanh(x):
    k = mp.sqrt(2 / mp.pi)
    t = mp.tanh(k * (x + GELU_CUBIC * x**3))
    return x * (1 + t) / 2, (1 + t) / 2 + x * (1 - t * t) * k * (1 + 3 * GELU_CUBIC * x * x) / 2


def sigmoid(x):
    s = 1 / (1 + mp.exp(-x))
    return s, s / (1 + mp.exp(x))


def silu(x):
    s, slope = sigmoid(x)
    return x * s, s + x * slope


def softplus(x):
    return (x if x > 0 else mpf(0)) + mp.log1p(mp.exp(-abs(x))), 1 / (1 + mp.exp(-x))


def mish(x):
    value, slope = softplus(x)
    t = mp.tanh(value)
    return x * t, t + x * (1 - t * t) * slope


def softsign(x):
    return x / (1 + abs(x)), 1 / (1 + abs(x)) ** 2


def tanh(x):
    t = mp.tanh(x)
    return t, mp.sech(x) ** 2


def erf(x):
    return mp.erf(x), 2 / mp.sqrt(mp.pi) * mp.exp(-x * x)


def hard_tanh(x):
    return (x, mpf(1)) if abs(x) < 1 else (mp.sign(x), mpf(0))


def relu6(x):
    if x <= 0:
        return mpf(0), mpf(0)
    return (x, mpf(1)) if x < 6 else (mpf(6), mpf(0))


def hardswish(x):
    if x <= -3:
        return mpf(0), mpf(0)
    return (x * (x + 3) / 6, (2 * x + 3) / 6) if x < 3 else (x, mpf(1))


def arctan(x):
    return mp.atan(x), 1 / (1 + x * x)


def sin(x):
    return mp.sin(x), mp.cos(x)


def cos(x):
    return mp.cos(x), -mp.sin(x)


def sin_softsign(x):
    """sin(x)/(1+abs(x)), the expression of the documentation."""
    d = 1 + abs(x)
    return mp.sin(x) / d, mp.cos(x) / d - mp.sin(x) * mp.sign(x) / d**2


KINKS = {
    "relu": (0,),
    "leaky_relu": (0,),
    "elu": (0,),
    "celu": (0,),
    "selu": (0,),
    "softsign": (0,),
    "hard_tanh": (-1, 1),
    "relu6": (0, 6),
    "hardswish": (-3, 3),
    "sin(x)/(1+abs(x))": (0,),
}
_RECTIFIERS = (linear, relu, leaky_relu, elu, selu, gelu, gelu_tanh, silu, mish, softplus, relu6, hardswish)
_BOUNDED = (softsign, tanh, sigmoid, erf, hard_tanh, arctan, sin, cos)
PHI: dict[str, Callable] = {f.__name__: f for f in _RECTIFIERS + _BOUNDED}
PHI |= {"celu": celu, "sin(x)/(1+abs(x))": sin_softsign}


# Quadrature


@dataclass(frozen=True)
class Rule:
    """Composite Gauss-Legendre: `nodes` per panel, panels bounded by the features and by `z_step` standard units."""

    nodes: int = 50
    base: float = 1.0
    growth: float = 0.5
    z_step: float = 2.0


FIRST = Rule()
SECOND = Rule(nodes=58, base=0.77, growth=0.37, z_step=1.37)
COARSE = Rule(nodes=16, base=2.0, growth=0.7, z_step=2.0)


@functools.cache
def _legendre(n: int, precision: int):
    """Gauss-Legendre nodes and weights on [-1, 1] by Newton's method on the three-term recurrence."""
    with mp.workprec(precision + 20):
        table = []
        for k in range(n):
            x = mp.cos(mp.pi * (k + mpf(3) / 4) / (n + mpf(1) / 2))
            for _ in range(100):
                below, value = mpf(1), x
                for j in range(2, n + 1):
                    below, value = value, ((2 * j - 1) * x * value - (j - 1) * below) / j
                slope = n * (x * value - below) / (x * x - 1)
                step = value / slope
                x -= step
                if abs(step) < mpf(2) ** -(precision + 10):
                    break
            table.append((x, 2 / ((1 - x * x) * slope**2)))
        return table


def panels(features: Iterable[tuple], breaks: Iterable, longest, end, growth: float) -> list:
    """Edges from -end to end, all breaks among them.

    A panel is at most `longest`, and at most `growth` times its distance to a feature (or the feature's width).
    """
    features = list(features)
    stops = [b for b in sorted(breaks) if -end < b < end] + [end]
    edges = [-end]
    for stop in stops:
        while edges[-1] < stop:
            x = edges[-1]
            step = min([longest] + [max(width, growth * abs(x - place)) for place, width in features])
            edges.append(stop if x + 1.3 * step >= stop else x + step)
    return edges


def integrate(integrand: Callable, edges: list, nodes: int) -> list:
    """Integrals of a vector-valued integrand over the panels between `edges`."""
    total = None
    for low, high in itertools.pairwise(edges):
        half, centre = (high - low) / 2, (high + low) / 2
        for t, weight in _legendre(nodes, mp.prec):
            terms = [half * weight * term for term in integrand(centre + half * t)]
            total = terms if total is None else [a + b for a, b in zip(total, terms, strict=True)]
    return total


FIELDS = ("V", "mu_1", "mu_2", "V_slope", "critical_ratio")


def quadrature_moments(phi: str, q, rule: Rule = FIRST, tail: float = TAIL) -> dict:
    """V, mu_1, mu_2, E[phi phi' z]/sqrt(q) and q mu_1 - V at variance q by quadrature in x = sqrt(q) z."""
    q = mpf(q)
    root = mp.sqrt(q)
    function = PHI[phi]
    growth = 0 if phi in ("sin", "cos", "sin(x)/(1+abs(x))") else rule.growth

    def integrand(x):
        value, slope = function(x)
        weight = mp.exp(-x * x / (2 * q)) / (root * mp.sqrt(2 * mp.pi))
        square = slope * slope * weight
        return value * value * weight, square, square * slope * slope, value * slope * x / q * weight

    edges = panels([(mpf(0), mpf(rule.base))], KINKS.get(phi, ()), rule.z_step * root, tail * root, growth)
    V, mu_1, mu_2, V_slope = integrate(integrand, edges, rule.nodes)
    return dict(zip(FIELDS, (V, mu_1, mu_2, V_slope, q * mu_1 - V), strict=True))


def closed_moments(phi: str, q) -> dict | None:
    """The same in closed form, None where there is none."""
    q = mpf(q)
    if phi not in _CLOSED:
        return None
    V, mu_1, mu_2, V_slope, ratio = _CLOSED[phi](q)
    return dict(zip(FIELDS, (V, mu_1, mu_2, V_slope, q * mu_1 - V if ratio is None else ratio), strict=True))


def _two_slopes(a):
    return lambda q: ((1 + a * a) * q / 2, (1 + a * a) / 2, (1 + a**4) / 2, (1 + a * a) / 2, mpf(0))


def _clipped(q, end):
    """Moments of x clipped to [0, end], half of those clipped to [-end, end]."""
    inside, tail = mp.erf(end / mp.sqrt(2 * q)), mp.erfc(end / mp.sqrt(2 * q))
    edge = end * mp.sqrt(2 * q / mp.pi) * mp.exp(-(end**2) / (2 * q))
    slope = inside - 2 * end / mp.sqrt(2 * mp.pi * q) * mp.exp(-(end**2) / (2 * q))
    full = (q * inside - edge + end**2 * tail, inside, inside, None, edge - end**2 * tail)
    # dV/dq: the boundary terms of q erf - edge + end^2 erfc cancel down to P(|x| < end) - edge-density term.
    return [None if term is None else term / 2 for term in full], slope / 2


def _relu6(q):
    (V, mu_1, mu_2, _, ratio), slope = _clipped(q, mpf(6))
    return V, mu_1, mu_2, slope, ratio


def _hard_tanh(q):
    (V, mu_1, mu_2, _, ratio), slope = _clipped(q, mpf(1))
    return 2 * V, 2 * mu_1, 2 * mu_2, 2 * slope, 2 * ratio


def _erf(q):
    root = mp.sqrt(1 + 4 * q)
    V = 2 / mp.pi * mp.asin(2 * q / (1 + 2 * q))
    return V, 4 / (mp.pi * root), 16 / (mp.pi**2 * mp.sqrt(1 + 8 * q)), 4 / (mp.pi * (1 + 2 * q) * root), None


def _sin(q):
    a, b = mp.exp(-2 * q), mp.exp(-8 * q)
    return (1 - a) / 2, (1 + a) / 2, mpf(3) / 8 + a / 2 + b / 8, a, None


def _cos(q):
    a, b = mp.exp(-2 * q), mp.exp(-8 * q)
    return (1 + a) / 2, (1 - a) / 2, mpf(3) / 8 - a / 2 + b / 8, -a, None


_CLOSED = {
    "linear": lambda q: (q, mpf(1), mpf(1), mpf(1), mpf(0)),
    "relu": _two_slopes(mpf(0)),
    "leaky_relu": _two_slopes(LEAKY_SLOPE),
    "relu6": _relu6,
    "hard_tanh": _hard_tanh,
    "erf": _erf,
    "sin": _sin,
    "cos": _cos,
}


def moments(phi: str, q, rule: Rule = FIRST, tail: float = TAIL) -> dict:
    """Closed form where there is one, else quadrature."""
    return closed_moments(phi, q) or quadrature_moments(phi, q, rule, tail)


# Dual kernels E phi(u)phi(v), E phi'(u)phi'(v): exact formulas, or one-dimensional integrals of an exact inner mean


def _normal(x):
    return mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)


def _cdf(x):
    return mp.erfc(-x / mp.sqrt(2)) / 2


def _mean_hard_tanh(m, s):
    a, b = (-1 - m) / s, (1 - m) / s
    inside = _cdf(b) - _cdf(a)
    return _cdf(-b) - _cdf(a) + m * inside - s * (_normal(b) - _normal(a)), inside


def _mean_elu(m, s):
    left = mp.exp(m + s * s / 2) * _cdf(-m / s - s)
    return m * _cdf(m / s) + s * _normal(m / s) + left - _cdf(-m / s), _cdf(m / s) + left


def _mean_gelu(m, s):
    t = mp.sqrt(1 + s * s)
    return m * _cdf(m / t) + s * s * _normal(m / t) / t, _cdf(m / t) + m * _normal(m / t) / t**3


# name -> (m, s) -> (E phi(m + s z), E phi'(m + s z))
INNER_MEANS = {"hard_tanh": _mean_hard_tanh, "elu": _mean_elu, "gelu": _mean_gelu}


def _relu_dual(c, q1, q2):
    angle, root = mp.acos(c), mp.sqrt(q1 * q2)
    return root * (mp.sqrt(1 - c * c) + c * (mp.pi - angle)) / (2 * mp.pi), (mp.pi - angle) / (2 * mp.pi)


def _leaky_dual(c, q1, q2):
    """phi = (1-a) relu + a x: the cross terms with x are E[x phi(x')] = c sqrt(q1 q2) E phi'."""
    a = LEAKY_SLOPE
    value, derivative = _relu_dual(c, q1, q2)
    return (1 - a) ** 2 * value + a * c * mp.sqrt(q1 * q2), (1 - a) ** 2 * derivative + a


def _erf_dual(c, q1, q2):
    cross, product = 2 * c * mp.sqrt(q1 * q2), (1 + 2 * q1) * (1 + 2 * q2)
    return 2 / mp.pi * mp.asin(cross / mp.sqrt(product)), 4 / mp.pi / mp.sqrt(product - cross**2)


def _sin_dual(c, q1, q2):
    cross, mean = c * mp.sqrt(q1 * q2), mp.exp(-(q1 + q2) / 2)
    return mean * mp.sinh(cross), mean * mp.cosh(cross)


def _cos_dual(c, q1, q2):
    cross, mean = c * mp.sqrt(q1 * q2), mp.exp(-(q1 + q2) / 2)
    return mean * mp.cosh(cross), mean * mp.sinh(cross)


DUAL_CLOSED = {
    "relu": _relu_dual,
    "leaky_relu": _leaky_dual,
    "erf": _erf_dual,
    "sin": _sin_dual,
    "cos": _cos_dual,
}


def dual_inner_mean(phi: str, c, q1, q2, rule: Rule = FIRST) -> list:
    """[E phi(u)phi(v), E phi'(u)phi'(v)], |c| < 1, as int Dz phi(sqrt(q1) z) E[phi(v) | z]."""
    c, q1, q2 = mpf(c), mpf(q1), mpf(q2)
    a, b, s = mp.sqrt(q1), mp.sqrt(q2), mp.sqrt(q2 * (1 - c * c))
    function, mean = PHI[phi], INNER_MEANS[phi]

    def integrand(z):
        (value, slope), (mean_value, mean_slope) = function(a * z), mean(c * b * z, s)
        return value * mean_value * _normal(z), slope * mean_slope * _normal(z)

    kinks = [mpf(k) / a for k in KINKS.get(phi, ())]
    features = [(mpf(0), rule.base / max(a, b, mpf(1)))]
    if c != 0:
        width = max(s, mpf(1) if phi == "gelu" else s) / (abs(c) * b)
        features += [(mpf(k) / (c * b), rule.base * width) for k in KINKS.get(phi, (0,))]
    edges = panels(features, kinks, mpf(rule.z_step), mpf(11), rule.growth)
    return integrate(integrand, edges, rule.nodes)


def dual_diagonal(phi: str, sign: int, q1, q2, rule: Rule = FIRST) -> list:
    """The same at c = +1 or -1: one variable."""
    a, b = mp.sqrt(mpf(q1)), sign * mp.sqrt(mpf(q2))
    function = PHI[phi]
    growth = 0 if phi == "sin" else rule.growth

    def integrand(z):
        (u, du), (v, dv) = function(a * z), function(b * z)
        return u * v * _normal(z), du * dv * _normal(z)

    kinks = [mpf(k) / scale for k in KINKS.get(phi, ()) for scale in (a, b)]
    features = [(mpf(0), rule.base / max(a, abs(b)))]
    return integrate(integrand, panels(features, kinks, mpf(rule.z_step), mpf(TAIL), growth), rule.nodes)


def digits(x, n: int = 25) -> str:
    return mpmath.nstr(mpf(x), n, strip_zeros=True)
