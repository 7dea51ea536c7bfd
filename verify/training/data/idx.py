"""The IDX format of MNIST and its relatives: two zero bytes, a type, the number of axes, the axes, the numbers."""

import math
import struct
from pathlib import Path

import numpy as np

from meanfield.errors import InvalidParameterError
from verify.training.data.dataset import Dataset, classification
from verify.training.data.files import KnownFile, folder, read, unpacked

__all__ = ["load_idx", "parse_idx"]

TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
PARTS = {"train": "train", "test": "t10k"}


def parse_idx(name: str, content: bytes) -> np.ndarray:
    """The array in an IDX file.

    Raises
    ------
    InvalidParameterError
        The header is no IDX header, or the length is not the one it announces.

    Examples
    --------
    >>> parse_idx("two", bytes([0, 0, 8, 1, 0, 0, 0, 2, 7, 9])).tolist()
    [7, 9]
    """
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in TYPES or not 1 <= content[3] <= 4:
        raise InvalidParameterError(f"{name} must start with an IDX header, got the bytes {content[:4].hex()}")
    start = 4 + 4 * content[3]
    if len(content) < start:
        raise InvalidParameterError(f"{name} must hold {content[3]} axes, got {len(content)} bytes in all")
    shape = struct.unpack(f">{content[3]}I", content[4:start])
    kind = np.dtype(TYPES[content[2]])
    expected = start + math.prod(shape) * kind.itemsize
    if len(content) != expected:
        raise InvalidParameterError(f"{name} must have {expected} bytes for its shape {shape}, got {len(content)}")
    return np.frombuffer(content, dtype=kind, offset=start).reshape(shape)


def load_idx(path: str | Path | None) -> Dataset:
    """train-images-idx3-ubyte, train-labels-idx1-ubyte and the two of t10k, each as it is or with .gz."""
    place = folder(path, "IDX files")
    parts = {}
    for part, prefix in PARTS.items():
        images, labels = (_array(place, f"{prefix}-{kind}") for kind in ("images-idx3-ubyte", "labels-idx1-ubyte"))
        parts[part] = (images, labels)
    return classification("idx", parts["train"], parts["test"])


def _array(place: Path, name: str) -> np.ndarray:
    packed = KnownFile(name=f"{name}.gz")
    file = packed if (place / packed.name).exists() else KnownFile(name=name)
    return parse_idx(file.name, unpacked(file.name, read(place, file)))
