"""The one pickle we read: a dictionary with a matrix of bytes and a list of labels. No code of the file can run.

Unpickling calls what the file names. Here it may name three things of numpy, and gets stand-ins that only write down
what they are told; the array is then built, and checked, by us.
"""

import io
import pickle
from typing import Any

import numpy as np

from meanfield.errors import InvalidParameterError

__all__ = ["unpickled_batch"]


class _ByteType:
    """Stands in for numpy.dtype."""

    def __init__(self, code: Any = None, *_: Any) -> None:
        self.code = code

    def __setstate__(self, state: Any) -> None:
        """Byte order and the like: of no meaning for single bytes."""


class _Matrix:
    """Stands in for numpy.ndarray: keeps the state that the pickle gives it."""

    def __init__(self, *_: Any) -> None:
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def array(self, name: str) -> np.ndarray:
        """The bytes as an array, once they are what they claim to be."""
        match self.state:
            case (int(), (int(rows), int(columns)), _ByteType(code="u1" | b"u1"), fortran, bytes(content)):
                if rows > 0 and columns > 0 and rows * columns == len(content):
                    order = "F" if fortran else "C"
                    return np.frombuffer(content, dtype=np.uint8).reshape((rows, columns), order=order)
        raise InvalidParameterError(f"{name} must hold its images as a matrix of bytes")


def _reconstruct(*_: Any) -> _Matrix:
    return _Matrix()


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    """Python 3 writes the bytes of old protocols as text in latin1."""
    if not isinstance(text, str) or encoding != "latin1":
        raise pickle.UnpicklingError("only bytes written as latin1 text are read")
    return text.encode("latin1")


_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy", "ndarray"): _Matrix,
    ("numpy", "dtype"): _ByteType,
    ("_codecs", "encode"): _encode,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is not allowed")
        return _ALLOWED[module, name]

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("it names an object outside the file, which is not allowed")


def unpickled_batch(name: str, content: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Images (samples, dim), uint8, and labels (samples,) of a CIFAR batch in Python's format.

    Raises
    ------
    InvalidParameterError
        The pickle names anything it does not need, is damaged, or holds something else.
    """
    try:
        batch = _Unpickler(io.BytesIO(content), encoding="bytes").load()
    except Exception as error:  # noqa: BLE001 - a hostile pickle can raise anything, and all of it means the same
        raise InvalidParameterError(f"{name} must be a batch of images and labels: {error}") from None
    entries = {_text(key): value for key, value in batch.items()} if isinstance(batch, dict) else {}
    images, labels = entries.get("data"), entries.get("labels")
    if not isinstance(images, _Matrix) or not isinstance(labels, list):
        raise InvalidParameterError(f"{name} must be a dictionary with data and labels")
    if not all(type(label) is int and 0 <= label < 1000 for label in labels):
        raise InvalidParameterError(f"{name} must hold labels from 0 to 999")
    return images.array(name), np.array(labels, dtype=np.int64)


def _text(key: Any) -> Any:
    return key.decode("latin1") if isinstance(key, bytes) else key
