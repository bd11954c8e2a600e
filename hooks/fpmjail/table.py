# SPDX-License-Identifier: MIT
"""Tables and verdicts as plain text for people: aligned, wrapped, and coloured on a terminal only."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from fpmjail.check import Finding, Level
from fpmjail.probe import printable

GAP = "  "
NARROWEST = 24  # a last column narrower than this is not wrapped: lines would be longer than they are wide
LONGEST_CELL = 2000
COLOURS = {Level.GOOD: "32", Level.WARNING: "33", Level.BAD: "1;31"}
VERDICTS = {Level.GOOD: "good", Level.WARNING: "WARNING", Level.BAD: "BAD"}


@dataclass(frozen=True, slots=True)
class Paper:
    """What is written on: characters per line, and whether it shows colours."""

    width: int = 100
    colour: bool = False


def paper() -> Paper:
    """Standard output: a terminal has its own width, and colours unless NO_COLOR is set (no-color.org)."""
    if not sys.stdout.isatty():
        return Paper()
    width = shutil.get_terminal_size((100, 24)).columns
    return Paper(min(max(width, 60), 140), not os.environ.get("NO_COLOR"))


def render(headers: Sequence[str], rows: Iterable[Sequence[str]], width: int = 100) -> str:
    """An aligned table; the last column is wrapped to `width`. Without rows there is no table: an empty string."""
    cells = [[printable(cell, LONGEST_CELL) for cell in row] for row in rows]
    if not cells:
        return ""
    widths = [max(map(len, column)) for column in zip(headers, *cells, strict=True)][:-1]
    return "\n".join(line for row in (headers, *cells) for line in _lines(row, widths, width))


def _lines(row: Sequence[str], widths: Sequence[int], width: int) -> list[str]:
    """One row as lines: all columns but the last stand on the first line only."""
    left = "".join(cell.ljust(size) + GAP for cell, size in zip(row[:-1], widths, strict=True))
    wrapped = _wrap(row[-1], width - len(left))
    return [f"{start:{len(left)}}{text}".rstrip() for start, text in zip_longest([left], wrapped, fillvalue="")]


def _wrap(text: str, width: int) -> list[str]:
    if width < NARROWEST:
        return [text]
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]


def findings(found: Sequence[Finding], on: Paper | None = None) -> str:
    """Every finding with its verdict; below the table what to do about each that is not good."""
    on = on or paper()
    rows = [(VERDICTS[one.level], one.topic, one.name, one.seen) for one in found]
    text = render(("VERDICT", "TOPIC", "WHAT", "SEEN"), rows, on.width)
    if on.colour:
        text = "\n".join(_painted(line) for line in text.splitlines())
    return "\n\n".join(filter(None, (text, remedies(found, on.width), summary(found))))


def _painted(line: str) -> str:
    level = next((level for level, word in VERDICTS.items() if line.startswith(word + " ")), None)
    if level is None:
        return line
    word = VERDICTS[level]
    return f"\x1b[{COLOURS[level]}m{word}\x1b[0m{line[len(word) :]}"


def remedies(found: Sequence[Finding], width: int = 100) -> str:
    """How to mend what is not good, worst first, with the line of the description where one decides it."""
    open_ones = [one for one in found if not one.good]
    ordered = sorted(open_ones, key=lambda one: one.level is not Level.BAD)
    return "\n".join(line for one in ordered for line in _remedy(one, width))


def _remedy(one: Finding, width: int) -> list[str]:
    where = f" ({one.origin})" if one.origin else ""
    head = printable(f"{VERDICTS[one.level]}: {one.topic}, {one.name}{where}", LONGEST_CELL)
    return [head, *(f"    {line}" for line in _wrap(printable(one.fix, LONGEST_CELL), width - 4) if one.fix)]


def summary(found: Sequence[Finding]) -> str:
    """One line: how many of each verdict."""
    counts = {level: sum(one.level is level for one in found) for level in Level}
    return ", ".join(f"{count} {level.value}" for level, count in counts.items() if count or level is Level.GOOD)
