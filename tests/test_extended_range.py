"""Numbers beyond float64's exponents, against mpmath."""

import numpy as np
import pytest
from hypothesis import given, strategies as st
from mpmath import mp, mpf

from meanfield.extended_range import Extended, as_float

MANTISSAS = st.floats(-8, 8).filter(lambda m: abs(m) > 1e-3)
EXPONENTS = st.integers(-20_000, 20_000)


@pytest.fixture(autouse=True)
def _silent_and_precise():
    with np.errstate(all="ignore"), mp.workdps(40):
        yield


def extended(m, k):
    return Extended(np.array([m]), k)


def exact(m, k):
    return mpf(m) * mpf(2) ** k


def gap(number, target):
    """Relative distance of an Extended number from an mpf."""
    found = mpf(float(number.mantissa[0])) * mpf(2) ** int(number.exponent[0])
    return abs(found - target) / abs(target) if target else abs(found)


@given(MANTISSAS, EXPONENTS, MANTISSAS, st.integers(-60, 60))
def test_arithmetic(a, k, b, shift):
    one, other, x, y = extended(a, k), extended(b, k + shift), exact(a, k), exact(b, k + shift)
    larger = max(abs(x), abs(y))
    assert gap(one + other, x + y) * abs(x + y) <= 2e-16 * larger
    assert gap(one - other, x - y) * abs(x - y) <= 2e-16 * larger
    assert gap(one * other, x * y) <= 3e-16
    assert gap(one / other, x / y) <= 3e-16
    assert gap(-one, -x) == 0
    assert gap(abs(one), abs(x)) == 0
    assert gap(np.maximum(one, other), max(x, y)) == 0
    assert gap(np.minimum(one, other), min(x, y)) == 0
    assert gap(np.sign(one), mp.sign(x)) == 0
    assert (one < other).item() == (x < y)
    assert (one <= other).item() == (x <= y)
    assert (one > other).item() == (x > y)
    assert (one >= other).item() == (x >= y)
    assert (one == one).all()


@given(st.floats(-9000, 9000))
def test_exponentials(u):
    number, x = extended(u, 0), mpf(u)
    assert gap(np.exp(number), mp.exp(x)) <= 3e-16 * (1 + abs(u))
    assert gap(np.expm1(number), mp.expm1(x)) <= 3e-16 * (1 + abs(u))
    assert gap(np.sinh(number), mp.sinh(x)) <= 3e-16 * (1 + abs(u))
    assert gap(np.cosh(number), mp.cosh(x)) <= 3e-16 * (1 + abs(u))


@given(st.floats(0.5, 1), EXPONENTS)
def test_logarithms_and_roots(m, k):
    number, x = extended(m, k), exact(m, k)
    assert abs(float(np.log(number).as_float()[0]) - mp.log(x)) <= 4e-16 * abs(mp.log(x))
    assert abs(float(np.log1p(number).as_float()[0]) - mp.log1p(x)) <= 4e-16 * abs(mp.log1p(x)) + 1e-300
    assert gap(np.sqrt(number), mp.sqrt(x)) <= 3e-16
    for power in (-3.0, -0.5, 0.0, 0.3, 2.0):
        assert gap(np.power(number, power), x**power) <= 1e-15 * (1 + abs(power * mp.log(x)))


def test_powers_of_negative_numbers():
    base = Extended(np.array([-3.0, -3.0, -3.0, 0.0]))
    assert np.allclose(np.power(base, np.array([2.0, 3.0, 0.5, 2.0])).as_float(), [9, -27, np.nan, 0], equal_nan=True)


def test_back_to_float():
    huge = np.exp(Extended(np.array([1e4, -1e4, 1.0])))
    assert huge.as_float().tolist() == [np.inf, 0.0, float(huge.as_float()[2])]
    assert huge.clipped().tolist()[0] == np.finfo(float).max
    assert Extended(np.array([-np.inf])).clipped().tolist() == [-np.inf]
    assert as_float(3.0) == 3.0


def test_other_functions_settle():
    huge = np.exp(Extended(np.array([1e4])))
    assert np.tanh(huge).as_float().tolist() == [1.0]
    assert np.arctan(-huge).as_float().tolist() == [-np.pi / 2]
    assert np.isnan(np.sin(Extended(np.array([np.inf]))).as_float()).all()


def test_choice():
    number = Extended(np.array([1.0, 2.0]))
    assert np.where(np.array([True, False]), number, 5.0).as_float().tolist() == [1.0, 5.0]
    with pytest.raises(TypeError):
        np.concatenate([number, number])
    with pytest.raises(TypeError):
        np.add.reduce(number)


def test_nan_passes_through_comparisons():
    number, unknown = Extended(np.array([1.0])), Extended(np.array([np.nan]))
    assert np.isnan(np.maximum(number, unknown).as_float()).all()
    assert np.isnan(np.minimum(unknown, number).as_float()).all()
    assert np.isnan(unknown).tolist() == [True]
    infinite = Extended(np.array([np.inf]))
    assert np.maximum(infinite, infinite).as_float().tolist() == [np.inf]
    assert np.minimum(infinite, -infinite).as_float().tolist() == [-np.inf]
