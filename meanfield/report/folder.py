"""The folder of a report: its name, and how it takes the place of an older one."""

import hashlib
import json
import os
import re
import shutil
import tempfile
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from meanfield.errors import InvalidParameterError

__all__ = ["GENERATOR", "folder_name", "replaced_folder", "slug"]

GENERATOR = "meanfield report"


def slug(text: str) -> str:
    """A file name for any text: at most 40 of [a-z0-9-], then 8 hex digits of its hash."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    stem = re.sub(r"[^a-z0-9]+", "-", plain)[:40].strip("-") or "phi"
    return f"{stem}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def folder_name(name: str) -> str:
    """The folder of a report if none is given."""
    return f"meanfield-report-{slug(name)}"


@contextmanager
def replaced_folder(folder: Path) -> Iterator[Path]:
    """A new folder to build in, which takes the place of `folder` at the end, or vanishes if anything fails.

    Raises
    ------
    InvalidParameterError
        `folder` exists and is not a report of ours, or holds other files too, or its parent cannot be written;
        raised before anything is built.
    """
    _refuse_foreign(folder)
    try:
        building = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    except OSError as error:
        raise InvalidParameterError(f"cannot write {str(folder)!r}: {error.strerror}") from None
    try:
        yield building
        _refuse_foreign(folder)
        building.chmod(0o755)
        _swap(building, folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _swap(building: Path, folder: Path) -> None:
    if not folder.exists():
        building.rename(folder)
        return
    retired = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.old."))
    os.replace(folder, retired / "report")
    building.rename(folder)
    shutil.rmtree(retired, ignore_errors=True)


def _refuse_foreign(folder: Path) -> None:
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise InvalidParameterError(f"the report's folder must be a folder, {str(folder)!r} is not")
    if not folder.exists():
        return
    present = {entry.name for entry in folder.iterdir()}
    if not present:
        return
    try:
        record = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        ours = record["generator"] == GENERATOR
        known = set(record["files"])
    except (OSError, ValueError, KeyError, TypeError):
        ours, known = False, set()
    if not ours:
        raise InvalidParameterError(f"{str(folder)!r} exists and is not a report of meanfield; choose another folder")
    if present - known:
        raise InvalidParameterError(f"{str(folder)!r} also holds {sorted(present - known)[0]!r}; choose another folder")
