"""Arrays of a long run on disk: written whole or not at all, known by their settings, never unpickled."""

import json
import os
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from meanfield.errors import InvalidParameterError
from meanfield.results import json_text, plain, provenance

__all__ = ["load", "run_key", "save", "save_text"]


def run_key(**settings: Any) -> dict[str, Any]:
    """What decides the bits of a run: its settings, the versions of the packages, and the BLAS."""
    origin = provenance()
    return {**plain(settings), "versions": origin["versions"], "blas": origin["blas"]}


def save(path: Path, key: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Write `arrays` under `key`; what was there before is only replaced once all is written.

    Raises
    ------
    OSError
        With the file's name: the disk is full, or the folder cannot be written. The old file is still whole.
    """
    contents: dict[str, Any] = {**arrays, "key": np.array(json_text(key, indent=None))}
    with _replaced(path) as file:
        np.savez(file, **contents)


def save_text(path: Path, text: str) -> None:
    """Write a text file in the same way."""
    with _replaced(path) as file:
        file.write(text.encode())


@contextmanager
def _replaced(path: Path) -> Iterator[BinaryIO]:
    """A file to write to that takes the place of `path` once it is whole and on the disk."""
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        # Errors of writing, unlike those of opening, do not know which file it was.
        raise type(error)(error.errno, error.strerror, str(path)) from None
    finally:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)


def load(path: Path, key: Mapping[str, Any]) -> dict[str, np.ndarray] | None:
    """The arrays saved under `key`; None if there are none, or the file is damaged and has to be made again.

    Raises
    ------
    InvalidParameterError
        The file belongs to another run; the message says which setting differs.
    """
    if not path.exists():
        return None
    try:
        with path.open("rb") as file:
            # The checksums of all members first: numpy must not parse what is damaged.
            if zipfile.ZipFile(file).testzip() is not None:
                return None
            file.seek(0)
            with np.load(file, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
        saved = json.loads(str(arrays.pop("key")))
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError):
        return None
    _refuse_other_run(path, saved, json.loads(json_text(key, indent=None)))
    return arrays


def _refuse_other_run(path: Path, saved: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raise if two keys differ, naming the first setting that does."""
    found, asked = _flat(saved), _flat(wanted)
    for name in {**asked, **found}:
        if found.get(name) != asked.get(name):
            raise InvalidParameterError(
                f"{path.name} must be of the same run: its {name} is {found.get(name)!r}, now {asked.get(name)!r}; "
                "choose another folder"
            )


def _flat(key: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in key.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return flat
