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

from fpmjail.finding import NOT_ASKED, Finding, Level, Verdict
from fpmjail.probe import printable

GAP = "  "
NARROWEST_FIX = 32  # below the tables the way out stands once more, in whole lines
NARROWEST = 24  # a last column narrower than this is not wrapped: lines would be longer than they are wide
LONGEST_CELL = 2000
COLOURS = {Level.GOOD: "32", Level.WARNING: "33", Level.BAD: "1;31"}
WORKING = (Verdict.OK, Verdict.BETTER)
BROKEN = (Verdict.JAIL, Verdict.HOST)
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
    """Capabilities inside and outside of the jail, every other finding, and how to mend what is not good."""
    on = on or paper()
    compared = capabilities([one for one in found if one.verdict], on.width)
    rows = [(VERDICTS[one.level], one.topic, one.name, one.seen) for one in found if not one.verdict]
    ruled = render(("VERDICT", "TOPIC", "WHAT", "SEEN"), rows, on.width)
    tables = [compared, ruled]
    if on.colour:
        tables = ["\n".join(map(_painted, text.splitlines())) for text in tables]
    return "\n\n".join(filter(None, (*tables, remedies(found, on.width), summary(found))))


def capabilities(found: Sequence[Finding], width: int = 100) -> str:
    """What the jail makes of each capability, compared with the same PHP outside, and how to mend it."""
    rows = [
        (one.name, _brief(one.outside), "works" if one.verdict in WORKING else "fails", one.verdict, one.origin or "-")
        for one in found
    ]
    headers = ("CAPABILITY", "OUTSIDE", "JAIL", "VERDICT", "LINE")
    left = sum(max(map(len, column)) + len(GAP) for column in zip(headers, *rows, strict=True))
    if width - left < NARROWEST_FIX or all(one.good for one in found):
        return render(headers, rows, width)
    fixes = [one.fix or "-" for one in found]
    return render((*headers, "HOW TO FIX"), [(*row, fix) for row, fix in zip(rows, fixes, strict=True)], width)


def _brief(outside: str) -> str:
    return outside if outside in ("works", NOT_ASKED) else "fails"


def _painted(line: str) -> str:
    level = next((level for level, word in VERDICTS.items() if line.startswith(word + " ")), None)
    if level is not None:
        word = VERDICTS[level]
        return f"\x1b[{COLOURS[level]}m{word}\x1b[0m{line[len(word) :]}"
    verdict = next((verdict for verdict in BROKEN if f"{GAP}{verdict}{GAP}" in line), None)
    return line if verdict is None else line.replace(verdict, f"\x1b[{COLOURS[Level.BAD]}m{verdict}\x1b[0m", 1)


def remedies(found: Sequence[Finding], width: int = 100) -> str:
    """How to mend what is not good, worst first, with the line of the description where one decides it."""
    open_ones = [one for one in found if not one.good]
    ordered = sorted(open_ones, key=lambda one: one.level is not Level.BAD)
    return "\n".join(line for one in ordered for line in _remedy(one, width))


def _remedy(one: Finding, width: int) -> list[str]:
    where = f" ({one.origin})" if one.origin else ""
    head = printable(f"{VERDICTS[one.level]}: {one.topic}, {one.name}{where}", LONGEST_CELL)
    compared = (f"{one.verdict}: {one.seen}", f"outside: {one.outside}") if one.verdict else ()
    words = filter(None, (*compared, one.fix))
    return [head, *(f"    {line}" for text in words for line in _wrap(printable(text, LONGEST_CELL), width - 4))]


def summary(found: Sequence[Finding]) -> str:
    """One line: how many of each verdict."""
    counts = {level: sum(one.level is level for one in found) for level in Level}
    shown = [(count, level) for level, count in counts.items() if count or level is Level.GOOD]
    return ", ".join(f"{count} {level.value}{'s' * (level is Level.WARNING and count > 1)}" for count, level in shown)
