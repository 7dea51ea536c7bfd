"""One NPZ file with the arrays x_train, y_train, x_test, y_test; nothing in it is ever unpickled."""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from meanfield.errors import InvalidParameterError
from verify.training.data.dataset import Dataset, classification
from verify.training.data.files import MOST_BYTES

__all__ = ["load_npz"]

ARRAYS = ("x_train", "y_train", "x_test", "y_test")


def load_npz(path: str | Path | None) -> Dataset:
    """The task in an NPZ file; labels may have the shape (samples,) or (samples, 1).

    Raises
    ------
    InvalidParameterError
        No such file, not an NPZ file, an array is missing or of Python objects, or it is damaged.
    """
    if path is None or not Path(path).is_file():
        raise InvalidParameterError(f"data_path must be an NPZ file, got {None if path is None else str(path)!r}")
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > MOST_BYTES:
            raise InvalidParameterError(f"data_path must unpack to at most {MOST_BYTES} bytes, got {size}")
        with np.load(path, allow_pickle=False) as archive:
            x_train, y_train, x_test, y_test = (archive[name] for name in ARRAYS)
    except KeyError as error:
        raise InvalidParameterError(f"data_path must hold the arrays {', '.join(ARRAYS)}: {error.args[0]}") from None
    except (OSError, ValueError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        if isinstance(error, InvalidParameterError):
            raise
        raise InvalidParameterError(f"data_path must be a whole NPZ file of numbers: {error}") from None
    return classification("npz", (x_train, _flat(y_train)), (x_test, _flat(y_test)))


def _flat(labels: np.ndarray) -> np.ndarray:
    return labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
