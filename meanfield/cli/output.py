"""Where results go: the screen, one JSON object, or a file whose suffix is its format."""

import csv
import errno
import io
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from meanfield.cli.session import Session, close_quietly
from meanfield.cli.tables import table_text, wrapped

__all__ = [
    "SCHEMA_VERSION",
    "Answer",
    "counted",
    "deliver",
    "document",
    "echo",
    "emit",
    "print_table",
    "screen_width",
    "write_bytes",
]

SCHEMA_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A result in the forms a command can hand out.

    Attributes
    ----------
    data : the fields of its JSON object
    show : prints it for a reader
    table : columns of its CSV
    arrays : arrays of its NPZ, the columns if not given
    figure : makes its matplotlib figure
    page : makes its HTML page, given the provenance
    seed : the seed it depends on
    """

    data: Mapping[str, Any]
    show: Callable[[], None]
    table: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, Any] | None = None
    figure: Callable[[], Any] | None = None
    page: Callable[[Mapping[str, Any]], str] | None = None
    seed: int | None = None


def deliver(name: str, answer: Answer, *, as_json: bool, output: Path | None) -> None:
    """The answer of command `name`, to stdout or to `output`."""
    if output is not None:
        write_bytes(output, _file_bytes(name, answer, output.suffix.lower()))
        click.echo(f"Wrote {output}", err=True)
    if as_json:
        from meanfield.results import json_text

        emit(json_text(document(name, answer)))
    elif output is None:
        answer.show()


def document(name: str, answer: Answer) -> dict[str, Any]:
    """The JSON object of an answer: schema_version, command, provenance, then its fields."""
    return {
        "schema_version": SCHEMA_VERSION,
        "command": name,
        "provenance": _provenance(answer),
        **answer.data,
    }


def _provenance(answer: Answer) -> dict[str, Any]:
    from meanfield.results import provenance

    session: Session = click.get_current_context().find_root().obj
    return provenance(seed=answer.seed, command=session.command, wall_time=session.wall_time)


def _file_bytes(name: str, answer: Answer, suffix: str) -> bytes:
    from meanfield.results import json_text

    if suffix == ".json":
        return (json_text(document(name, answer)) + "\n").encode()
    if suffix == ".csv":
        return _csv_text(answer.table).encode()
    if suffix == ".npz":
        return _npz_bytes(answer)
    if suffix == ".html":
        assert answer.page is not None
        return answer.page(_provenance(answer)).encode()
    from meanfield.plotting import image_bytes

    assert answer.figure is not None
    return image_bytes(answer.figure(), suffix.removeprefix("."), provenance=_provenance(answer))


def _csv_text(table: Mapping[str, Any]) -> str:
    import numpy as np

    columns = [np.atleast_1d(np.asarray(column)) for column in table.values()]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(table)
    for row in zip(*(column.tolist() for column in columns), strict=True):
        writer.writerow([_cell(value) for value in row])
    return buffer.getvalue()


def _cell(value: Any) -> Any:
    # A spreadsheet would run text that starts like this as a formula.
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


def _npz_bytes(answer: Answer) -> bytes:
    import numpy as np

    from meanfield.results import json_text

    columns = answer.table if answer.arrays is None else answer.arrays
    arrays: dict[str, Any] = {name: np.asarray(column) for name, column in columns.items()}
    buffer = io.BytesIO()
    arrays["provenance"] = np.asarray(json_text(_provenance(answer), indent=None))
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: into a temporary one beside it, then in its place.

    A link keeps pointing to what is written; a pipe or a device is written to, since it cannot be replaced.
    """
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(content)
        else:
            _replace(path.resolve(), content)
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def _replace(path: Path, content: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def emit(text: str) -> None:
    """Print on stdout as it is; if nobody reads any more, go on quietly, since the exit code still counts."""
    try:
        click.echo(text)
    except BrokenPipeError:
        close_quietly()


def counted(number: int, what: str) -> str:
    """A number and what it counts: "1 input", "2 inputs"."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def echo(text: str = "") -> None:
    """Print a sentence on stdout, broken between words where the screen ends."""
    emit("\n".join(wrapped(text, screen_width())))


def print_table(
    headers: Sequence[str], rows: Sequence[Sequence[str]], *, title: str | None = None, keys: int = 1
) -> None:
    """A plain table on stdout, as wide as the screen allows; where it is cut, the first `keys` columns come again."""
    if title is not None:
        echo(title)
    emit(table_text(headers, rows, width=screen_width(), keys=keys) + "\n")


def screen_width() -> int | None:
    """Columns of the terminal, or those that COLUMNS asks for; None where lines may have any length."""
    if sys.stdout.isatty() or "COLUMNS" in os.environ:
        return shutil.get_terminal_size().columns
    return None
