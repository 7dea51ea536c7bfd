"""One nonlinearity in one folder: sections with numbers and figures become report.html, PNGs and report.json."""

import base64
import hashlib
import html
import json
import os
import re
import shutil
import tempfile
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from meanfield.errors import InvalidParameterError
from meanfield.results import json_text

__all__ = ["Section", "folder_name", "paragraph", "replaced_folder", "slug", "table", "verdict", "write"]

GENERATOR = "meanfield report"


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the report.

    Attributes
    ----------
    title : plain text
    body : HTML made by `paragraph`, `table` and `verdict`, which escape what they are given
    figures : PNG bytes by file name without suffix, in order
    captions : plain text by the same names
    """

    title: str
    body: str
    figures: Mapping[str, bytes] = field(default_factory=dict)
    captions: Mapping[str, str] = field(default_factory=dict)


def slug(text: str) -> str:
    """A file name for any text: at most 40 of [a-z0-9-], then 8 hex digits of its hash."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    stem = re.sub(r"[^a-z0-9]+", "-", plain)[:40].strip("-") or "phi"
    return f"{stem}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def folder_name(name: str) -> str:
    """The folder of a report if none is given."""
    return f"meanfield-report-{slug(name)}"


def paragraph(text: str, *, kind: str = "") -> str:
    """A paragraph of plain text; `kind` is a CSS class of ours."""
    return f"<p{_class(kind)}>{html.escape(text)}</p>\n"


def code(text: str) -> str:
    """A block of code, as it is."""
    return f"<pre><code>{html.escape(text)}</code></pre>\n"


def verdict(text: str, *, passed: bool) -> str:
    """The verdict as a sentence with a mark that needs no colour."""
    mark, kind = ("✓", "yes") if passed else ("✗", "no")
    return f'<p class="verdict {kind}"><span aria-hidden="true">{mark}</span> {html.escape(text)}</p>\n'


def table(headers: Sequence[str], rows: Sequence[Sequence[str]], *, marked: Sequence[bool] = ()) -> str:
    """A table of plain text; `marked` rows stand out."""
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in headers)
    lines = []
    for index, row in enumerate(rows):
        kind = _class("no" if index < len(marked) and marked[index] else "")
        lines.append(f"<tr{kind}>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>")
    body = "\n".join(lines)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>\n'


def _class(kind: str) -> str:
    return f' class="{html.escape(kind)}"' if kind else ""


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


def write(
    folder: Path, *, title: str, lead: str, sections: Sequence[Section], data: Mapping[str, Any], provenance: Mapping
) -> None:
    """Write report.html, the figures and report.json into an existing, empty folder.

    Parameters
    ----------
    folder : Path
    title : plain text, the name of the nonlinearity
    lead : HTML made by this module's functions
    sections : in order
    data : what report.json holds beside its list of files
    provenance : from `meanfield.results.provenance`
    """
    figures = {f"{name}.png": content for section in sections for name, content in section.figures.items()}
    for name, content in figures.items():
        (folder / name).write_bytes(content)
    (folder / "report.html").write_text(_page(title, lead, sections, provenance), encoding="utf-8")
    record = {**data, "generator": GENERATOR, "files": ["report.html", "report.json", *figures]}
    (folder / "report.json").write_text(json_text(record) + "\n", encoding="utf-8")


def _page(title: str, lead: str, sections: Sequence[Section], provenance: Mapping[str, Any]) -> str:
    style = files("meanfield").joinpath("report.css").read_text(encoding="utf-8")
    parts = "".join(_section(section) for section in sections)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{html.escape(title)}: mean-field report</title>
<style>
{style}</style>
</head>
<body>
<main>
<header>
<p class="kicker">Mean-field report</p>
<h1>{html.escape(title)}</h1>
{lead}</header>
{parts}<footer>
{_provenance_lines(provenance)}</footer>
</main>
</body>
</html>
"""


def _section(section: Section) -> str:
    figures = ""
    for name, content in section.figures.items():
        picture = base64.b64encode(content).decode("ascii")
        caption = html.escape(section.captions.get(name, ""))
        figures += (
            f'<figure><img alt="{caption}" src="data:image/png;base64,{picture}">'
            f"<figcaption>{caption}</figcaption></figure>\n"
        )
    return f"<section>\n<h2>{html.escape(section.title)}</h2>\n{section.body}{figures}</section>\n"


def _provenance_lines(provenance: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in provenance["versions"].items())
    lines = [
        f"Made by: {provenance['command']}" if provenance["command"] else "",
        f"Seed {provenance['seed']}. {versions}. BLAS: {provenance['blas']}.",
        f"{provenance['wall_time']:.1f} s" if provenance["wall_time"] is not None else "",
    ]
    return "".join(paragraph(line) for line in lines if line)
