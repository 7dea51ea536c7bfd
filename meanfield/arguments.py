"""Checks of arguments: each returns the value in its working type, or names argument, rule and value."""

import math
import operator
from collections.abc import Iterable

import numpy as np

from meanfield.errors import InvalidParameterError

__all__ = ["broadcast", "choice", "integer", "interval", "scalar", "seed_sequence", "sequence"]

# What holds for an argument of the name wherever it is taken: squares inside double precision, layers in memory.
LARGEST = {"sigma_w": 1e150, "sigma_b": 1e150, "q_star": 1e150, "q0": 1e150}
MOST = {"depth": 10**6}
MOST_COUNTED = 2**53  # integers beyond are not told apart in float64


def _bounds_rule(low: float, high: float, open_low: bool, open_high: bool) -> str:
    if high == math.inf:
        return f"{'>' if open_low else '>='} {low:g}" if low > -math.inf else "finite"
    if low == -math.inf:
        return f"{'<' if open_high else '<='} {high:g}"
    return f"in {'(' if open_low else '['}{low:g}, {high:g}{')' if open_high else ']'}"


def interval(
    name: str,
    value,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    open_low: bool = False,
    open_high: bool = False,
    infinite: bool = False,
) -> np.ndarray:
    """`value` as a finite float64 array (0-d for a scalar) inside the interval; with `infinite`, +-inf are allowed.

    Raises
    ------
    InvalidParameterError
        Not real numbers, empty, not finite, outside the interval, or so large that squares leave double precision.
    """
    array = _real(name, value)
    if array.size == 0:
        raise InvalidParameterError(f"{name} must not be empty, got an array of shape {array.shape}")
    known = ~np.isnan(array) if infinite else np.isfinite(array)
    if not known.all():
        rule = "a number" if infinite else "finite"
        raise InvalidParameterError(f"{name} must be {rule}, got {array[~known].flat[0]}")
    inside = (array > low if open_low else array >= low) & (array < high if open_high else array <= high)
    if not inside.all():
        rule = _bounds_rule(low, high, open_low, open_high)
        raise InvalidParameterError(f"{name} must be {rule}, got {array[~inside].flat[0]}")
    large = array > LARGEST.get(name, math.inf)
    if large.any():
        raise InvalidParameterError(
            f"{name} must be <= {LARGEST[name]:g}, for its square is formed in double precision, got "
            f"{array[large].flat[0]}"
        )
    return array


def _real(name: str, value) -> np.ndarray:
    try:
        given = np.asarray(value)
        if given.dtype.kind == "O" and all(type(each) in (int, float) for each in given.flat):
            return given.astype(np.float64)  # integers beyond 64 bits
        if given.dtype.kind not in "iuf":
            raise TypeError
        return given.astype(np.float64)
    except OverflowError:
        raise InvalidParameterError(f"{name} must be within double precision, got {_short(value)}") from None
    except (TypeError, ValueError):
        raise InvalidParameterError(f"{name} must be real numbers, got {_short(value)}") from None


def scalar(name: str, value, **bounds) -> float:
    """`value` as one finite float inside the interval (the bounds of `interval`)."""
    array = interval(name, value, **bounds)
    if array.ndim:
        raise InvalidParameterError(f"{name} must be a single number, got an array of shape {array.shape}")
    return float(array)


def integer(name: str, value, *, low: int | None = None, high: int | None = None) -> int:
    """`value` as an int between `low` and `high`, both included; bools and floats are refused.

    Without `high` it ends where counts are no longer exact in double precision, a depth where it no longer fits.
    """
    try:
        if isinstance(value, bool | np.bool_):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise InvalidParameterError(f"{name} must be an integer, got {_short(value)}") from None
    if low is not None and number < low:
        raise InvalidParameterError(f"{name} must be >= {low}, got {_short(number)}")
    high = MOST.get(name, MOST_COUNTED) if high is None else high
    if number > high:
        raise InvalidParameterError(f"{name} must be <= {high}, got {_short(number)}")
    return number


def choice(name: str, value, options: Iterable[str]) -> str:
    """`value` if it is one of the named options."""
    names = tuple(options)
    if not isinstance(value, str) or value not in names:
        raise InvalidParameterError(f"{name} must be one of {', '.join(map(repr, names))}, got {_short(value)}")
    return value


def sequence(name: str, value, what: str) -> tuple:
    """The items of a sequence of `what`; text and single values are refused."""
    try:
        if isinstance(value, str | bytes):
            raise TypeError
        return tuple(value)
    except TypeError:
        raise InvalidParameterError(f"{name} must be a sequence of {what}, got {_short(value)}") from None


def broadcast(**arrays: np.ndarray) -> tuple[np.ndarray, ...]:
    """The arrays broadcast against each other; the error names them and their shapes."""
    try:
        return tuple(np.broadcast_arrays(*arrays.values()))
    except ValueError:
        shapes = ", ".join(f"{name} {np.shape(array)}" for name, array in arrays.items())
        raise InvalidParameterError(f"shapes must broadcast, got {shapes}") from None


def seed_sequence(seed) -> np.random.SeedSequence:
    """The SeedSequence of an explicit seed: an integer >= 0, or a SeedSequence itself."""
    if isinstance(seed, np.random.SeedSequence):
        return seed
    return np.random.SeedSequence(integer("seed", seed, low=0, high=2**128))


def _short(value) -> str:
    if isinstance(value, int) and abs(value) > 10**80:  # the digits of huge ones take time, or are refused
        return f"an integer of {value.bit_length()} bits"
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
