# SPDX-License-Identifier: GPL-2.0-or-later
"""The bench's results as JSON, and as a table in Markdown that a terminal shows as well."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from tests.bench.machine import Machine
from tests.bench.row import Compare, Line, Samples

HEAD = ("measured", "fpmjail", "rival", "compared", "aim", "")
VERDICTS = {True: "reached", False: "**missed**", None: ""}


def line_json(row: str, line: Line) -> dict[str, Any]:
    """One line, with every sample."""
    return {
        "row": row,
        "what": line.what,
        "unit": line.unit,
        "ours": list(line.ours),
        "against": line.against,
        "rival": list(line.rival),
        "compare": line.aim.compare.name if line.aim else None,
        "limit": line.aim.limit if line.aim else None,
        "figure": line.figure,
        "met": line.met,
        "reason": line.reason,
    }


def samples(values: Samples, unit: str) -> str:
    """The median, and in brackets the spread."""
    if not values:
        return ""
    middle = f"{number(statistics.median(values))} {unit}"
    return middle if min(values) == max(values) else f"{middle} ({number(min(values))} to {number(max(values))})"


def number(value: float) -> str:
    """Three digits that count, without an exponent."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def aim_words(line: Mapping[str, Any]) -> str:
    """The aim of a line; empty without one."""
    if line["compare"] is None:
        return ""
    compare, limit = Compare[line["compare"]], line["limit"]
    bound = "at least" if compare is Compare.FASTER else "at most"
    suffix = {
        Compare.TIMES: " times",
        Compare.FASTER: " times faster",
        Compare.PERCENT: " % more",
        Compare.LESS: " % less",
    }.get(compare, f" {line['unit']}" + (" more" if compare is Compare.MORE else ""))
    return f"{bound} {limit:g}{suffix}"


def figure_words(line: Mapping[str, Any]) -> str:
    """What is compared with the aim."""
    if line["compare"] in (None, "ALONE"):
        return ""
    words = Compare[line["compare"]].value.format(abs(line["figure"]), unit=line["unit"])
    if line["figure"] >= 0:
        return words
    return words.replace("more", "less") if "more" in words else words.replace("less", "more")


def cells(line: Mapping[str, Any]) -> tuple[str, ...]:
    """The cells of a line of the table, without those whose text begins on a line of its own."""
    rival = samples(tuple(line["rival"]), line["unit"])
    against = f"{line['against']}: {rival}" if rival and line["against"] else rival
    ours = samples(tuple(line["ours"]), line["unit"])
    return line["what"], ours, against, figure_words(line), aim_words(line), VERDICTS[line["met"]]


def table(lines: Sequence[Mapping[str, Any]]) -> str:
    """The whole table, with the day of each line unless all have the same; beneath it the notes that they refer to."""
    notes = [line["reason"] for line in lines if line["reason"]]
    marks = {reason: f" [{place}]" for place, reason in enumerate(dict.fromkeys(notes), 1)}
    days = len({line.get("on", "") for line in lines}) > 1
    head = (*HEAD, "measured on") if days else HEAD
    text = [_row(head), _row(("---",) * len(head))]
    for line in lines:
        *values, verdict = cells(line)
        day = (line.get("on", ""),) if days else ()
        text.append(_row((*values, verdict + marks.get(line["reason"], ""), *day)))
    return "\n".join([*text, *(f"\n{mark.strip()} {reason}" for reason, mark in marks.items())])


def _row(values: Sequence[str]) -> str:
    return f"| {' | '.join(values)} |"


def head(machine: Machine, sites: int, repeat: int) -> str:
    """What stands above the table."""
    taken = f"{sites} sites, {repeat} repetitions in the last run"
    words = f"{machine.words}. {taken}: medians, in brackets smallest and largest."
    noisy = "\nThe machine was busy with other work as well: times are long, and ratios uncertain by some ten per cent."
    return words + (noisy if machine.busy else "")
