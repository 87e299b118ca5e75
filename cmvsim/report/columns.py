"""Columns of a table that fit a terminal: long headers and long texts go on over several lines."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

WIDTH = 120
NARROWEST = 14
GAP = "  "


def is_numeric(lines: Sequence[Sequence[str]], column: int) -> bool:
    """Whether a column holds numbers, which stand to the right and are never broken."""
    return all(line[column][:1] in "-+±0123456789" for line in lines[1:])


def aligned(lines: Sequence[Sequence[str]], width: int = WIDTH) -> list[str]:
    """The table as lines of text, header first: text to the left, numbers to the right, no wider than it must be.

    Parameters
    ----------
    width
        Characters that the table is to keep to; a table whose numbers alone are wider is wider.
    """
    numeric = [is_numeric(lines, column) for column in range(len(lines[0]))]
    widths = _widths(lines, numeric, width)
    told = []
    for line in lines:
        cells = [_broken(cell, room) if len(cell) > room else [cell] for cell, room in zip(line, widths, strict=True)]
        for row in range(max(len(cell) for cell in cells)):
            parts = [cell[row] if row < len(cell) else "" for cell in cells]
            each = zip(parts, widths, numeric, strict=True)
            told.append(GAP.join(part.rjust(room) if right else part.ljust(room) for part, room, right in each).rstrip())
    return told


def _words(cell: str) -> list[str]:
    """What of a cell is never broken: a word, or a part of a key."""
    return (cell if " " in cell else cell.replace(".", ". ")).split()


def _broken(cell: str, room: int) -> list[str]:
    """A cell over several lines; a key of a scenario breaks behind its dots."""
    spaced = cell if " " in cell else cell.replace(".", ". ")
    parts = textwrap.wrap(spaced, room, break_on_hyphens=False) or [""]
    return parts if spaced is cell else [part.replace(". ", ".") for part in parts]


def _widths(lines: Sequence[Sequence[str]], numeric: Sequence[bool], width: int) -> list[int]:
    """Widths of the columns: first headers give way, as they may be broken, then the widest texts."""
    full = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    body = [max((len(line[column]) for line in lines[1:]), default=0) for column in range(len(lines[0]))]
    words = [max((len(word) for word in line.split()), default=0) for line in lines[0]]
    least = [max(room, word) for room, word in zip(body, words, strict=True)]
    narrowest = [
        max([NARROWEST, *(len(word) for line in lines for word in _words(line[column]))]) for column in range(len(full))
    ]
    over = sum(full) + len(GAP) * (len(full) - 1) - width
    while over > 0 and full != least:
        full[max(range(len(full)), key=lambda column: full[column] - least[column])] -= 1
        over -= 1
    while over > 0:
        wide = [column for column, number in enumerate(numeric) if not number and full[column] > narrowest[column]]
        if not wide:
            break
        full[max(wide, key=lambda column: full[column])] -= 1
        over -= 1
    return full
