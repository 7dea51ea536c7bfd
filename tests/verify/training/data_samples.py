"""Samples, and a pickle that acts, for the tests of data files."""

import os

import numpy as np
import pytest

from meanfield.errors import InvalidParameterError


def refused(match):
    return pytest.raises(InvalidParameterError, match=match)


def some_images(samples, dim, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (samples, dim), dtype=np.uint8), np.arange(samples) % 10


class Marker:
    """A pickle that writes a file when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)
