"""tanh and its slope of a whole layer in one compiled pass: bias, value and derivative while the numbers are in cache.

numpy takes as long for tanh and its derivative of a narrow layer as BLAS for the matrix products. This loop is
written so that the compiler can turn it into vector instructions: no branches, no calls, exp by a polynomial. Fused
multiply-adds ("contract") are allowed; they are the same in every run.
"""

import math
from dataclasses import dataclass

import numba
import numpy as np

__all__ = ["tanh_with_slope"]


def _series(degree: int) -> np.ndarray:
    """Coefficients of (exp(r) - 1 - r)/r^2 on |r| <= log(2)/2 by interpolation at Chebyshev points."""
    edge = math.log(2) / 2
    # By its power series: the quotient itself would cancel.
    series = np.polynomial.Polynomial([1 / math.factorial(k + 2) for k in range(20)])
    fitted = np.polynomial.Chebyshev.interpolate(series, degree, domain=[-edge, edge])
    return fitted.convert(domain=[-1, 1], kind=np.polynomial.Polynomial).coef


def _rows_kernel(degree: int):
    """The loop over the rows of h, with a polynomial of this degree; the compiler unrolls it."""

    @numba.njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})
    def tanh_rows(h, bias, numbers, series, digits, z, z_bits, power, power_bits, r, slope):
        # h <- tanh(v) = m/(m + 2) and slope = 4 e/(e + 1)^2 with v = h + bias, e = exp(2v), m = e - 1.
        rows, columns = h.shape
        one, cut, magic, inverse, high, rest = numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5]
        for i in range(rows):
            for j in range(columns):
                y = h[i, j] + bias[j]
                y = y + y
                # Compared this way round, nan goes through.
                y = cut if y > cut else y
                y = -cut if y < -cut else y
                # Adding `magic` rounds to an integer and leaves it, with the exponent's offset, in the lowest bits.
                z[j] = y * inverse + magic
                n = z[j] - magic
                r[j] = (y - n * high) - n * rest
            for j in range(columns):
                power_bits[j] = z_bits[j] << digits
            for j in range(columns):
                q = r[j]
                p = series[degree]
                for k in range(degree - 1, -1, -1):
                    p = series[k] + q * p
                p = q + q * q * p
                m = power[j] * p + (power[j] - one)
                half = one / (m + (one + one))
                h[i, j] = m * half
                part = (power[j] * p + power[j]) * half
                part = part + part
                slope[i, j] = (part + part) * half

    return tanh_rows


@dataclass(frozen=True, kw_only=True)
class _Format:
    """What exp(y) = 2^n exp(r), n the integer nearest to y/log 2, needs to know of a floating-point format.

    log 2 comes as high + rest, so that r = y - n log 2 keeps its digits: n times the high part is exact.
    """

    high: float
    rest: float
    digits: int  # of the mantissa
    offset: int  # of the exponent
    cut: float  # where |y| is cut off, before 2^n leaves the format; tanh is 1 to rounding long before
    integers: type
    degree: int  # of the polynomial, enough for rounding


_FORMATS = {
    np.dtype(np.float64): _Format(
        high=6.93147180369123816490e-01,
        rest=1.90821492927058770002e-10,
        digits=52,
        offset=1023,
        cut=700.0,
        integers=np.int64,
        degree=9,
    ),
    np.dtype(np.float32): _Format(
        high=0.693359375, rest=-2.12194440054690583e-4, digits=23, offset=127, cut=87.0, integers=np.int32, degree=4
    ),
}
_KERNELS = {dtype: _rows_kernel(form.degree) for dtype, form in _FORMATS.items()}
_SERIES = {dtype: _series(form.degree).astype(dtype) for dtype, form in _FORMATS.items()}


def tanh_with_slope(h: np.ndarray, bias: np.ndarray, slope: np.ndarray) -> None:
    """h <- tanh(h + bias) and slope <- 1 - tanh(h + bias)^2, to a few ulp; h (batch, width) in float64 or float32.

    Examples
    --------
    >>> h, slope = np.array([[0.0, 50.0]]), np.empty((1, 2))
    >>> tanh_with_slope(h, np.zeros(2), slope)
    >>> h.tolist(), [f"{each:.6e}" for each in slope[0]]
    ([[0.0, 1.0]], ['1.000000e+00', '1.488030e-43'])
    """
    form, integers = _FORMATS[h.dtype], _FORMATS[h.dtype].integers
    magic = 1.5 * 2.0**form.digits + form.offset
    numbers = np.array([1.0, form.cut, magic, 1 / math.log(2), form.high, form.rest], dtype=h.dtype)
    z, power, r = np.empty((3, h.shape[1]), dtype=h.dtype)
    digits, z_bits, power_bits = integers(form.digits), z.view(integers), power.view(integers)
    _KERNELS[h.dtype](h, bias, numbers, _SERIES[h.dtype], digits, z, z_bits, power, power_bits, r, slope)
