# SPDX-License-Identifier: MIT
"""What each capability costs: files, bytes and packages of an image. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fpmjail.manifest import FILE, Entry


@dataclass(frozen=True, slots=True)
class Cost:
    """The files that a capability, the first that asked for them, brought into an image; `bytes` of their content."""

    capability: str
    files: int
    bytes: int
    packages: tuple[str, ...]


def by_capability(entries: Iterable[Entry], declared: Iterable[str]) -> tuple[Cost, ...]:
    """The costs, the dearest first; a declared capability without a file of its own costs nothing."""
    brought: dict[str, list[Entry]] = {name: [] for name in declared}
    for entry in entries:
        if entry.type == FILE:
            brought.setdefault(entry.capability, []).append(entry)
    return tuple(sorted((_cost(name, files) for name, files in brought.items()), key=lambda cost: -cost.bytes))


def _cost(name: str, files: Sequence[Entry]) -> Cost:
    packages = {entry.package.partition(":")[0] for entry in files if entry.package}
    return Cost(name, len(files), sum(entry.size for entry in files), tuple(sorted(packages)))


def text(costs: Sequence[Cost]) -> str:
    """The costs as a table for people, with their sum."""
    from fpmjail import table

    rows = [(one.capability, str(one.files), size(one.bytes), ", ".join(one.packages) or "-") for one in costs]
    whole = ("all", str(sum(one.files for one in costs)), size(sum(one.bytes for one in costs)), "")
    return table.render(("CAPABILITY", "FILES", "SIZE", "PACKAGES"), [*rows, whole], table.paper().width)


def size(number: int) -> str:
    """Bytes as people read them, in powers of 1000."""
    return f"{number} B" if number < 1000 else f"{number / 1e3:.1f} kB" if number < 1e6 else f"{number / 1e6:.1f} MB"
