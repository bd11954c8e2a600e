# SPDX-License-Identifier: GPL-2.0-or-later
"""The pages of docs/, whose commands the tests run as they stand there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tests.lifecycle import trees


@dataclass(frozen=True, slots=True)
class Block:
    """What stands between two fences; `kind` is the word behind the first: sh, text, yaml, ..."""

    kind: str
    text: str

    def lines(self) -> Iterator[str]:
        """The commands of a block one by one, as somebody types them: a line, and those that continue it."""
        whole = ""
        for line in self.text.splitlines(keepends=True):
            whole += line
            if not line.endswith("\\\n"):
                yield whole
                whole = ""


def sections(page: str) -> dict[str, list[Block]]:
    """The blocks of each section of a page, without those of its subsections; `page` is a path in the checkout."""
    found: dict[str, list[Block]] = {}
    blocks, kind, text = found.setdefault("", []), "", ""
    for line in (trees.CHECKOUT / page).read_text().splitlines(keepends=True):
        if kind:
            if line == "```\n":
                blocks.append(Block(kind, text))
                kind = ""
            text += line
        elif line.startswith("```"):
            kind, text = line.removeprefix("```").strip(), ""
        elif line.startswith("#"):
            blocks = found.setdefault(line.strip("# \n"), [])
    return found


def commands(page: str, section: str) -> str:
    """The shell commands in the section of a page of docs/, without those of its subsections.

    Raises LookupError if there are none.
    """
    found = [block.text for block in sections(f"docs/{page}").get(section, ()) if block.kind == "sh"]
    if not found:
        raise LookupError(f"docs/{page} has no commands in a section {section!r}")
    return "".join(found)


def cost(capability: str) -> tuple[int, float]:
    """How many files and bytes docs/holds.md gives for what begins with `capability`: the first figures of its row.

    Raises LookupError if the table has no such row.
    """
    text = (trees.CHECKOUT / "docs/holds.md").read_text()
    figures = r"(\d+)[^|]*\| ([\d.]+)(?: (kB|MB))?[^|]*\|$"
    row = re.search(rf"^\| {re.escape(capability)}[^|]*\|[^|]*\| {figures}", text, re.MULTILINE)
    if not row:
        raise LookupError(f"docs/holds.md has no row {capability!r} with figures")
    return int(row[1]), float(row[2]) * {"MB": 1e6, "kB": 1e3, None: 1}[row[3]]


def near(release: str, capability: str, files: int, size: float) -> bool:
    """Whether the manual's figures, which are of trixie, are true there, and give an idea of the other release's."""
    known_files, known_size = cost(capability)
    slack = 1.2 if release == "trixie" else 2.0
    rounding = 0.06e6 if known_size >= 0.1e6 else 600.0
    right = known_files / slack <= files <= known_files * slack
    return right and known_size / slack - rounding <= size <= known_size * slack + rounding
