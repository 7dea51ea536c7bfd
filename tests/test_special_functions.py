"""Functions that would cancel as written, against what is written, in many digits."""

import math

import numpy as np
import pytest
from mpmath import mp, mpf

from meanfield import special_functions as sf

EPS = np.finfo(float).eps


def erfcx(y):
    return mp.exp(y * y) * mp.erfc(y)


def elu_square(s):
    return erfcx(mp.sqrt(2) * s) / 2 - erfcx(s / mp.sqrt(2)) + mpf(1) / 2


def first_integral(y):
    return 1 / mp.sqrt(mp.pi) - y * erfcx(y)


CASES = {
    "x_cosh_minus_sinh": (sf.x_cosh_minus_sinh, lambda x: x * mp.cosh(x) - mp.sinh(x), 1.5, 4),
    "sin_minus_t_cos": (sf.sin_minus_t_cos, lambda t: mp.sin(t) - t * mp.cos(t), math.pi, 4),
    "erf_ratio": (
        sf.erf_ratio,
        lambda q: q / mp.sqrt(1 + 4 * q) - mp.atan((mp.sqrt(1 + 4 * q) - 1) / (mp.sqrt(1 + 4 * q) + 1)),
        1e12,
        20,
    ),
    "second_moment_inside": (
        sf.second_moment_inside,
        lambda x: mp.erf(mp.sqrt(x)) - 2 * mp.sqrt(x / mp.pi) * mp.exp(-x),
        1e3,
        8,
    ),
    "first_integral": (lambda y: sf.erfc_integrals(y)[0], first_integral, 1e3, 20),
    "second_integral": (
        lambda y: sf.erfc_integrals(y)[1],
        lambda y: (erfcx(y) - 2 * y * first_integral(y)) / 4,
        1e3,
        80,
    ),
    "elu_square": (sf.elu_square, elu_square, 1e3, 20),
    "elu_ratio": (sf.elu_ratio, lambda s: s * s * erfcx(mp.sqrt(2) * s) / 2 - elu_square(s), 1e3, 200),
    "elu_slope": (sf.elu_slope, lambda s: erfcx(mp.sqrt(2) * s) - erfcx(s / mp.sqrt(2)) / 2, 1e3, 30),
}


@pytest.mark.parametrize("name", CASES)
def test_relative_accuracy(name):
    """In units of the last place, from 1e-9 up to the end of the range; the crossover lies inside."""
    function, exact, end, ulps = CASES[name]
    x = np.concatenate([np.geomspace(1e-9, end, 150), np.linspace(0.3, 2.5, 111)])
    x = x[x <= end]
    values = function(x)
    with mp.workdps(100):
        for point, value in zip(x, values, strict=True):
            wanted = exact(mpf(float(point)))
            assert abs(value - wanted) <= ulps * EPS * abs(wanted), point


@pytest.mark.parametrize("name", CASES)
def test_at_zero(name):
    function, exact, _, _ = CASES[name]
    assert function(np.zeros(1))[0] == pytest.approx(float(exact(mpf(0))), abs=1e-16)


@pytest.mark.parametrize("x", [0.5, 1 / 3, 77.7])
def test_gaussian_factor(x):
    """exp(-x^2/(2q)) down to the smallest float64: three ulp, where the plain form loses hundreds."""
    q = x * x / np.geomspace(1e-3, 1416.0, 300)
    values, plain = sf.gaussian_factor(x, q), np.exp(-x * x / (2 * q))
    with mp.workdps(40):
        exact = [mp.exp(-(mpf(x) ** 2) / (2 * mpf(float(length)))) for length in q]
    errors, plain_errors = (
        max(abs(value / wanted - 1) for value, wanted in zip(each, exact, strict=True)) for each in (values, plain)
    )
    assert errors <= 3 * EPS
    assert plain_errors > 50 * EPS
