"""Sections with numbers and figures become one self-contained page: no script, nothing loaded, all text escaped."""

import base64
import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

__all__ = ["Section", "code", "page", "paragraph", "table", "verdict"]


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the report.

    Attributes
    ----------
    title : plain text
    body : HTML made by `paragraph`, `table` and `verdict`, which escape what they are given
    figures : PNG bytes by file name without suffix, in order
    captions : plain text by the same names
    details : more HTML of the same kind, folded away after the figures
    """

    title: str
    body: str
    figures: Mapping[str, bytes] = field(default_factory=dict)
    captions: Mapping[str, str] = field(default_factory=dict)
    details: str = ""


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


def table(headers: Sequence[str], rows: Sequence[Sequence[str]], *, words: bool = False) -> str:
    """A table of plain text; with `words` its last column is a sentence and may wrap."""
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in headers)
    body = "\n".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return (
        f'<div class="wide"><table{_class("words" if words else "")}><thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody></table></div>\n"
    )


def _class(kind: str) -> str:
    return f' class="{html.escape(kind)}"' if kind else ""


def page(title: str, lead: str, sections: Sequence[Section], provenance: Mapping[str, Any]) -> str:
    """The HTML of a report: plain `title`, `lead` made by this module's functions, sections, provenance."""
    style = files("meanfield.report").joinpath("page.css").read_text(encoding="utf-8")
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
    folded = f"<details><summary>All numbers</summary>\n{section.details}</details>\n" if section.details else ""
    return f"<section>\n<h2>{html.escape(section.title)}</h2>\n{section.body}{figures}{folded}</section>\n"


def _provenance_lines(provenance: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in provenance["versions"].items())
    lines = [
        f"Made by: {provenance['command']}" if provenance["command"] else "",
        f"Seed {provenance['seed']}. {versions}. BLAS: {provenance['blas']}.",
        f"{provenance['wall_time']:.1f} s" if provenance["wall_time"] is not None else "",
    ]
    return "".join(paragraph(line) for line in lines if line)
