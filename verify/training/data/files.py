"""Files that a user has on disk: found, bounded in size, held against known checksums before anything parses them."""

import gzip
import hashlib
import io
import zlib
from dataclasses import dataclass
from pathlib import Path

from meanfield.errors import InvalidParameterError

__all__ = ["KnownFile", "folder", "read", "unpacked"]

# No file of the known data sets comes near it.
MOST_BYTES = 2_000_000_000


@dataclass(frozen=True, kw_only=True)
class KnownFile:
    """A file of a published data set.

    Attributes
    ----------
    name : str
    size : int or None
        In bytes, if it is fixed.
    md5 : str or None
        As published beside it; it finds damage, not forgery.
    """

    name: str
    size: int | None = None
    md5: str | None = None


def folder(path: str | Path | None, source: str) -> Path:
    """The folder that `source` is to be read from.

    Raises
    ------
    InvalidParameterError
        There is no such folder.
    """
    if path is None:
        raise InvalidParameterError(f"data_path must name the folder that holds {source}, got None")
    place = Path(path)
    if not place.is_dir():
        raise InvalidParameterError(f"data_path must be a folder that holds {source}, got {str(path)!r}")
    return place


def read(place: Path, file: KnownFile) -> bytes:
    """The content of one file.

    Raises
    ------
    InvalidParameterError
        It is not there, cannot be read, or is not what it should be; the message says how it differs.
    """
    path = place / file.name
    try:
        size = path.stat().st_size
        if size > MOST_BYTES or (file.size is not None and size != file.size):
            expected = file.size if file.size is not None else f"at most {MOST_BYTES}"
            raise InvalidParameterError(
                f"{file.name} must have {expected} bytes, got {size}; the file is damaged or another one"
            )
        content = path.read_bytes()
    except OSError as error:
        raise InvalidParameterError(f"data_path must hold {file.name}: {error.strerror or error}") from None
    if file.md5 is not None:
        found = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if found != file.md5:
            raise InvalidParameterError(f"{file.name} must have the MD5 {file.md5}, got {found}; the file is damaged")
    return content


def unpacked(name: str, content: bytes, most: int = MOST_BYTES) -> bytes:
    """`content` without gzip's packing, if it has one; never more than `most` bytes, whatever the file claims."""
    if content[:2] != b"\x1f\x8b":
        return content
    try:
        with gzip.open(io.BytesIO(content)) as stream:
            plain = stream.read(most + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InvalidParameterError(f"{name} must be a whole gzip file: {error}") from None
    if len(plain) > most:
        raise InvalidParameterError(f"{name} must unpack to at most {most} bytes")
    return plain
