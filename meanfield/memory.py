"""Memory that a long run may take: what its caller allows, or what the machine has."""

import math
import os
from numbers import Real

from meanfield.errors import InvalidParameterError

__all__ = ["machine_memory", "refuse_memory"]


def machine_memory() -> float:
    """Bytes of main memory; inf where the system does not tell.

    Examples
    --------
    >>> machine_memory() > 1e8
    True
    """
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        return math.inf


def refuse_memory(needed: float, most: float | None, what: str) -> None:
    """Raise if `what` needs more than `most` bytes; without `most`, more than the machine has.

    Raises
    ------
    InvalidParameterError
        With both figures; or `most` is no number of bytes.

    Examples
    --------
    >>> refuse_memory(3e9, 2e9, "this run")
    Traceback (most recent call last):
    ...
    meanfield.errors.InvalidParameterError: max_memory must be at least 3 GB for this run, got 2 GB
    """
    if most is not None and not (isinstance(most, Real) and not isinstance(most, bool) and most > 0):
        raise InvalidParameterError(f"max_memory must be a number of bytes > 0, got {most!r}")
    if most is not None and needed > most:
        raise InvalidParameterError(
            f"max_memory must be at least {needed / 1e9:.3g} GB for {what}, got {most / 1e9:.3g} GB"
        )
    if most is None and needed > machine_memory():
        raise InvalidParameterError(
            f"{what} must fit into the machine's {machine_memory() / 1e9:.3g} GB of memory, needs {needed / 1e9:.3g} GB"
        )
