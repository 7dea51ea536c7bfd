"""Numbers m 2^k beyond float64's range of exponents: a finite result survives intermediate overflow.

exp(x)/(1 + exp(x)) is 1 at x = 800, but inf/inf in float64. An expression that is not finite there is evaluated again
with these numbers; numpy's functions act on them as on arrays, so the formulas are written once.
"""

from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

__all__ = ["Extended", "as_float"]

# ln 2 in two parts: k LN2_HIGH is exact for |k| < 2^21, so exp(u) loses no digits but those that u has lost.
LN2_HIGH, LN2_LOW = 0.6931471803691238, 1.9082149292705877e-10
LARGEST = np.finfo(np.float64).max
MAX_EXPONENT = 1e15  # below 2^53: exponents stay exact integers


class Extended(NDArrayOperatorsMixin):
    """An array of m 2^k: mantissas with 0.5 <= abs(m) < 1, or 0, inf, nan; exponents are integers held in float64."""

    __array_priority__ = 100.0

    def __init__(self, mantissa, exponent: Any = 0.0) -> None:
        self.mantissa, shift = np.frexp(np.asarray(mantissa, dtype=np.float64))
        self.exponent = np.clip(exponent + shift, -MAX_EXPONENT, MAX_EXPONENT)

    def as_float(self) -> np.ndarray:
        """float64, inf or 0 where it overflows or underflows."""
        return _scaled(self.mantissa, self.exponent)

    def clipped(self) -> np.ndarray:
        """float64, the largest number for a finite one beyond it; only a true infinity is inf."""
        plain = self.as_float()
        return np.where(np.isfinite(self.mantissa), np.clip(plain, -LARGEST, LARGEST), plain)

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        if method != "__call__" or options:
            return NotImplemented
        action = _ACTIONS.get(ufunc)
        if action is not None:
            return action(*(each if isinstance(each, Extended) else Extended(each) for each in inputs))
        # Every other function is applied in float64; it settles, or turns without end, long before the range does.
        return Extended(ufunc(*(each.clipped() if isinstance(each, Extended) else each for each in inputs)))

    def __array_function__(self, func, types, args, kwargs):
        if func is not np.where or kwargs or len(args) != 3:
            return NotImplemented
        return _choose(
            as_float(args[0]), *(each if isinstance(each, Extended) else Extended(each) for each in args[1:])
        )


def as_float(number) -> np.ndarray:
    """float64 of an Extended number; anything else as it is."""
    return number.as_float() if isinstance(number, Extended) else number


def _scaled(mantissa: np.ndarray, exponent: np.ndarray) -> np.ndarray:
    return np.ldexp(mantissa, np.clip(exponent, -2200, 2200).astype(np.int64))


def _choose(condition: np.ndarray, one: Extended, other: Extended) -> Extended:
    mantissa = np.where(condition, one.mantissa, other.mantissa)
    return Extended(mantissa, np.where(condition, one.exponent, other.exponent))


def _add(a: Extended, b: Extended) -> Extended:
    k = np.maximum(np.where(a.mantissa == 0, b.exponent, a.exponent), np.where(b.mantissa == 0, a.exponent, b.exponent))
    return Extended(_scaled(a.mantissa, a.exponent - k) + _scaled(b.mantissa, b.exponent - k), k)


def _negative(a: Extended) -> Extended:
    return Extended(-a.mantissa, a.exponent)


def _subtract(a: Extended, b: Extended) -> Extended:
    return _add(a, _negative(b))


def _absolute(a: Extended) -> Extended:
    return Extended(np.abs(a.mantissa), a.exponent)


def _exp(a: Extended) -> Extended:
    u = np.clip(a.as_float(), -0.6 * MAX_EXPONENT, 0.6 * MAX_EXPONENT)
    k = np.rint(u / LN2_HIGH)
    # Beyond |u| = 1e14 not even the exponent has its last digits, and the rest is anything.
    return Extended(np.exp(np.clip((u - k * LN2_HIGH) - k * LN2_LOW, -0.4, 0.4)), k)


def _expm1(a: Extended) -> Extended:
    return _choose(np.abs(a.as_float()) < 1, Extended(np.expm1(a.as_float())), _subtract(_exp(a), Extended(1.0)))


def _log(a: Extended) -> Extended:
    plain = a.as_float()
    usual = np.isfinite(plain) & (np.abs(plain) > 1e-300)
    return Extended(np.where(usual, np.log(plain), np.log(a.mantissa) + a.exponent * np.log(2.0)))


def _log1p(a: Extended) -> Extended:
    return _choose(np.abs(a.as_float()) < 1, Extended(np.log1p(a.as_float())), _log(_add(a, Extended(1.0))))


def _sqrt(a: Extended) -> Extended:
    odd = a.exponent % 2
    return Extended(np.sqrt(a.mantissa * 2**odd), (a.exponent - odd) / 2)


def _power(a: Extended, b: Extended) -> Extended:
    c = b.as_float()
    size = _choose(c == 0, Extended(1.0), _exp(Extended(c * _log(_absolute(a)).as_float())))
    sign = np.where(a.mantissa < 0, np.where(c == np.rint(c), np.where(c % 2 == 1, -1.0, 1.0), np.nan), 1.0)
    return Extended(sign * size.mantissa, size.exponent)


def _hyperbolic(a: Extended, sign: float, function: np.ufunc) -> Extended:
    huge = _exp(_absolute(a))
    far = Extended(np.where(a.mantissa < 0, sign, 1.0) * huge.mantissa, huge.exponent - 1)
    return _choose(np.abs(a.as_float()) < 700, Extended(function(a.as_float())), far)


def _order(a: Extended, b: Extended) -> np.ndarray:
    """A number of the sign of a - b; nan where one of them is."""
    infinite = np.isinf(a.mantissa) & np.isinf(b.mantissa)
    return np.where(infinite, np.sign(a.mantissa) - np.sign(b.mantissa), _subtract(a, b).mantissa)


def _maximum(a: Extended, b: Extended) -> Extended:
    order = _order(a, b)
    return _choose(np.isnan(order), Extended(order), _choose(order < 0, b, a))


def _minimum(a: Extended, b: Extended) -> Extended:
    return _negative(_maximum(_negative(a), _negative(b)))


_ACTIONS = {
    np.add: _add,
    np.subtract: _subtract,
    np.negative: _negative,
    np.multiply: lambda a, b: Extended(a.mantissa * b.mantissa, a.exponent + b.exponent),
    np.divide: lambda a, b: Extended(a.mantissa / b.mantissa, a.exponent - b.exponent),
    np.power: _power,
    np.absolute: _absolute,
    np.sign: lambda a: Extended(np.sign(a.mantissa)),
    np.exp: _exp,
    np.expm1: _expm1,
    np.log: _log,
    np.log1p: _log1p,
    np.sqrt: _sqrt,
    np.sinh: lambda a: _hyperbolic(a, -1.0, np.sinh),
    np.cosh: lambda a: _hyperbolic(a, 1.0, np.cosh),
    np.maximum: _maximum,
    np.minimum: _minimum,
    np.less: lambda a, b: _order(a, b) < 0,
    np.less_equal: lambda a, b: _order(a, b) <= 0,
    np.greater: lambda a, b: _order(a, b) > 0,
    np.greater_equal: lambda a, b: _order(a, b) >= 0,
    np.equal: lambda a, b: _order(a, b) == 0,
    np.isnan: lambda a: np.isnan(a.mantissa),
}
