"""CIFAR-10 from disk, in its binary or its Python format."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from meanfield.errors import InvalidParameterError
from verify.training.data.dataset import Dataset, Sizes, classification
from verify.training.data.files import KnownFile, folder, read
from verify.training.data.unpickling import unpickled_batch

__all__ = ["BINARY", "PYTHON", "SIZES", "load_cifar10"]

DIM, CLASSES = 3072, 10
RECORD = 1 + DIM
SIZES = Sizes(dim=DIM, classes=CLASSES, train=50_000, test=10_000, itemsize=1)

# The last file of each is the test set.
BINARY = tuple(
    KnownFile(name=f"{name}.bin", size=10_000 * RECORD)
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")
)
PYTHON = (
    KnownFile(name="data_batch_1", md5="c99cafc152244af753f735de768cd75f"),
    KnownFile(name="data_batch_2", md5="d4bba439e000b95fd0a9bffe97cbabec"),
    KnownFile(name="data_batch_3", md5="54ebc095f3ab1f0389bbae665268c751"),
    KnownFile(name="data_batch_4", md5="634d18415352ddfa80567beed471001a"),
    KnownFile(name="data_batch_5", md5="482c414d41f54cd18b22e5b47cb7c3cb"),
    KnownFile(name="test_batch", md5="40351d587109b95175f43aff81a1287e"),
)


def load_cifar10(
    path: str | Path | None, *, binary: Sequence[KnownFile] = BINARY, python: Sequence[KnownFile] = PYTHON
) -> Dataset:
    """The folder cifar-10-batches-bin or cifar-10-batches-py as it comes out of its archive.

    Raises
    ------
    InvalidParameterError
        A file is missing, has another size or checksum, or holds something else than images and labels 0..9.

    References
    ----------
    .. [1] A. Krizhevsky, Learning multiple layers of features from tiny images, 2009; cs.toronto.edu/~kriz/cifar.html.
    """
    place = folder(path, "the CIFAR-10 batches")
    if (place / binary[0].name).exists():
        batches = [_binary_batch(file.name, read(place, file)) for file in binary]
    else:
        batches = [unpickled_batch(file.name, read(place, file)) for file in python]
    for file, (images, labels) in zip(binary, batches, strict=True):
        if images.shape[1] != DIM or labels.max() >= CLASSES:
            raise InvalidParameterError(
                f"{file.name} must hold images of {DIM} bytes and labels below {CLASSES}, got {images.shape[1]} bytes "
                f"and a label {labels.max()}"
            )
    *train, test = batches
    images, labels = (np.concatenate([batch[part] for batch in train]) for part in (0, 1))
    return classification("cifar10", (images, labels), test)


def _binary_batch(name: str, content: bytes) -> tuple[np.ndarray, np.ndarray]:
    if not content or len(content) % RECORD:
        raise InvalidParameterError(f"{name} must be a whole number of records of {RECORD} bytes, got {len(content)}")
    records = np.frombuffer(content, dtype=np.uint8).reshape(-1, RECORD)
    return records[:, 1:], records[:, 0].astype(np.int64)
