# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the manual says more about problems: told once for each file, by the headings of a man page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from fpmjail_deb.errors import Problem
from fpmjail_deb.schema import BY_PATH, CHILDREN

MANUAL = "fpmjail-site(5)"
ALL_KEYS = "KEYS"
MOST = 3
"""More headings than that are named as the section that has them all."""


def told(problems: Iterable[Problem]) -> Iterator[str]:
    """Yield the lines that tell problems, sorted: after those of each file where the manual says more about them."""
    for file, found in groupby(sorted(problems), key=lambda problem: problem.location.file):
        of_file = tuple(found)
        yield from map(str, of_file)
        reference = see(of_file)
        if reference:
            yield f"{file}: {reference}"


def see(problems: Sequence[Problem]) -> str:
    """Return the reference for problems: `see fpmjail-site(5), "domains"`; empty where the manual has nothing more."""
    headings = [heading for heading in dict.fromkeys(map(_heading, problems)) if heading]
    if not headings:
        return ""
    named = [ALL_KEYS] if len(headings) > MOST else headings
    return f"see {MANUAL}, " + ", ".join(f'"{heading}"' for heading in named)


def _heading(problem: Problem) -> str:
    """Return the key as the manual has it: jail.mounts for jail.mounts[0].source, KEYS for one that there is not."""
    if problem.section or not problem.key_path:
        return problem.section
    path = re.sub(r"\[.*", "", problem.key_path)
    while path not in BY_PATH and path:
        if path in CHILDREN:
            return ALL_KEYS
        path = path.rpartition(".")[0]
    return path or ALL_KEYS
