"""The cropped Street View House Numbers from disk."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.io import loadmat

from meanfield.errors import InvalidParameterError
from verify.training.data.dataset import Dataset, classification
from verify.training.data.files import KnownFile, folder, read

__all__ = ["FILES", "load_svhn"]

FILES = (
    KnownFile(name="train_32x32.mat", size=182_040_794, md5="e26dedcc434d2e4c54c9b2d4a06d8373"),
    KnownFile(name="test_32x32.mat", size=64_275_384, md5="eb5a983be6a315427106f1b164d9cef3"),
)


def load_svhn(path: str | Path | None, *, files: Sequence[KnownFile] = FILES) -> Dataset:
    """train_32x32.mat and test_32x32.mat; the label 10 there means the digit 0.

    Raises
    ------
    InvalidParameterError
        A file is missing, has another size or checksum, or holds something else than images and labels 1..10.

    References
    ----------
    .. [1] Y. Netzer et al., Reading digits in natural images with unsupervised feature learning, 2011;
       ufldl.stanford.edu/housenumbers.
    """
    place = folder(path, "the SVHN files")
    train, test = (_part(file.name, read(place, file)) for file in files)
    return classification("svhn", train, test)


def _part(name: str, content: bytes) -> tuple[np.ndarray, np.ndarray]:
    try:
        arrays = loadmat(io.BytesIO(content), variable_names=["X", "y"])
    except Exception as error:  # noqa: BLE001 - what a damaged file raises is up to its bytes; no code of it runs
        raise InvalidParameterError(f"{name} must be a MATLAB file of version 5: {error}") from None
    images, labels = arrays.get("X"), arrays.get("y")
    if images is None or labels is None or images.dtype != np.uint8 or images.shape[:3] != (32, 32, 3):
        raise InvalidParameterError(f"{name} must hold X, bytes of shape (32, 32, 3, samples), and y")
    if images.ndim != 4 or labels.dtype.kind not in "ui" or labels.size != images.shape[3]:
        raise InvalidParameterError(f"{name} must hold one label in y for each image of X")
    numbers = labels.ravel().astype(np.int64)
    if numbers.min() < 1 or numbers.max() > 10:
        raise InvalidParameterError(f"{name} must hold labels 1..10, got {numbers.min()}..{numbers.max()}")
    return np.moveaxis(images, 3, 0), numbers % 10
