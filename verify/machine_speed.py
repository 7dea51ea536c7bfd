"""How fast this machine multiplies matrices, to predict what a run will take."""

import time

import numpy as np

from meanfield.sweeps import sweep

__all__ = ["seconds_of_product"]


def seconds_of_product(rows: int, inner: int, columns: int, dtype: str = "float64") -> float:
    """Seconds of one core for (rows, inner) times (inner, columns): the least of five.

    They are seconds of the processor, so that other work on the machine does not count; and, as in all sweeps, of one
    BLAS thread.

    Examples
    --------
    >>> seconds_of_product(500, 500, 500) > 0
    True
    """
    return sweep(_least_seconds, [(rows, inner, columns, dtype)])[0]


def _least_seconds(shapes: tuple[int, int, int, str]) -> float:
    rows, inner, columns, dtype = shapes
    x, W = np.ones((rows, inner), dtype=dtype), np.ones((inner, columns), dtype=dtype)
    product = x @ W
    return min(_seconds_of_call(x, W, product) for _ in range(5))


def _seconds_of_call(x: np.ndarray, W: np.ndarray, product: np.ndarray) -> float:
    start = time.process_time()
    np.matmul(x, W, out=product)
    return time.process_time() - start
