"""Plain tables no wider than the screen, in which no number is ever split."""

import re
import textwrap
from collections.abc import Iterator, Sequence
from itertools import zip_longest

__all__ = ["table_text", "wrapped"]

GAP = "  "
NARROWEST = 16  # text is wrapped at words, but into no narrower column than this

Column = Sequence[str]  # the header, then the cells


def table_text(headers: Column, rows: Sequence[Column], *, width: int | None = None, keys: int = 1) -> str:
    """The lines of a table: numbers to the right, text to the left.

    Where it is wider than `width`, text is wrapped at words; where that is not enough, rows and columns change places;
    and where that is not enough either, columns follow in blocks below, each with the first `keys` columns again.
    """
    columns: list[Column] = list(zip(headers, *rows, strict=True))
    if width is not None and _least(columns) > width:
        turned: list[Column] = [headers, *rows]
        if _least(turned) <= width:
            columns = turned
    return "\n\n".join(_lines(block, width) for block in _blocks(columns, width, keys))


def wrapped(text: str, width: int | None) -> list[str]:
    """The lines of a sentence, broken at spaces only; a word that is too long sticks out."""
    if width is None or len(text) <= width:
        return [text]
    indent = " " * (len(text) - len(text.lstrip()))
    return textwrap.wrap(text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _blocks(columns: Sequence[Column], width: int | None, keys: int) -> Iterator[list[Column]]:
    first = list(columns[:keys])
    block = first
    for column in columns[keys:]:
        if width is not None and len(block) > keys and _least([*block, column]) > width:
            yield block
            block = first
        block = [*block, column]
    yield block


def _is_text(column: Column) -> bool:
    cells = [cell for cell in column[1:] if cell]
    return 2 * sum(re.match(r"[-+]?(\d|\.|inf|nan)", cell) is not None for cell in cells) < max(1, len(cells))


def _widest(cells: Column) -> int:
    return max(map(len, cells))


def _least_width(column: Column) -> int:
    header, *cells = column
    word = _widest([*header.split(), ""])
    if not _is_text(column):
        return max(word, _widest(cells))
    return max(word, min(_widest(["", *cells]), max(NARROWEST, _widest(["", *" ".join(cells).split()]))))


def _least(columns: Sequence[Column]) -> int:
    return sum(map(_least_width, columns)) + len(GAP) * (len(columns) - 1)


def _widths(columns: Sequence[Column], width: int | None) -> list[int]:
    """As wide as the cells, less what can be wrapped where that is too much, the widest first."""
    widths = [_widest(column) for column in columns]
    if width is None:
        return widths
    spare = [natural - _least_width(column) for natural, column in zip(widths, columns, strict=True)]
    excess = sum(widths) + len(GAP) * (len(widths) - 1) - width
    for index in sorted(range(len(widths)), key=lambda each: -spare[each]):
        cut = max(0, min(spare[index], excess))
        widths[index] -= cut
        excess -= cut
    return widths


def _lines(columns: Sequence[Column], width: int | None) -> str:
    widths = _widths(columns, width)
    pads = [str.ljust if _is_text(column) else str.rjust for column in columns]
    lines = []
    for number, row in enumerate(zip(*columns, strict=True)):
        if number == 0 and not any(row):
            continue
        parts = [wrapped(cell, room) for cell, room in zip(row, widths, strict=True)]
        for line in zip_longest(*parts, fillvalue=""):
            cells = [pad(cell, room) for pad, cell, room in zip(pads, line, widths, strict=True)]
            lines.append(GAP.join(cells).rstrip())
        if number == 0:
            lines.append(GAP.join("-" * room for room in widths))
    return "\n".join(lines)
