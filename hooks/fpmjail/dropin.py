# SPDX-License-Identifier: MIT
"""The admin's drop-ins: read from /etc/fpmjail/sites/NAME, never used before they were proven."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a configuration file that is put together from several, and where it came from."""

    source: str
    text: str


def read(directory: Path) -> tuple[Part, ...]:
    """The drop-ins `*.conf` of a directory in the order of their names; none when there is no such directory."""
    return tuple(Part(str(path), path.read_text(errors="replace")) for path in sorted(directory.glob("*.conf")))


def join(parts: Sequence[Part], comment: str) -> str:
    """One text of all parts, each behind a comment line that names its source."""
    return "".join(f"{comment} {part.source}\n{part.text.rstrip()}\n\n" for part in parts)


def place(parts: Sequence[Part], line: int) -> str:
    """Which `file:line` a line of the joined text came from; lines count from 1."""
    for part in parts:
        length = part.text.rstrip().count("\n") + 1
        if line <= length + 1:
            return f"{part.source}:{max(line - 1, 1)}"
        line -= length + 2
    return parts[-1].source


def fingerprint(parts: Sequence[Part]) -> str:
    """A short name for the content of these parts, to see whether an admin changed them."""
    return hashlib.sha256("\0".join(f"{part.source}\0{part.text}" for part in parts).encode()).hexdigest()[:16]
