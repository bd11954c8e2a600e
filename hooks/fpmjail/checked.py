# SPDX-License-Identifier: MIT
"""What the last check of a site found, kept in /run/fpmjail/checked: gone after a reboot, and `status` shows it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fpmjail import files, state
from fpmjail.layout import Layout

if TYPE_CHECKING:
    from fpmjail.finding import Finding


@dataclass(frozen=True, slots=True)
class Summary:
    """How many findings were bad, how many warnings; `when` is UTC in ISO form."""

    when: str
    bad: int
    warning: int

    def __str__(self) -> str:
        counts = ((self.bad, "bad"), (self.warning, "warning" if self.warning == 1 else "warnings"))
        return ", ".join(f"{count} {word}" for count, word in counts if count) or "good"


def place(layout: Layout, name: str) -> Path:
    """Where the summary of a site lies."""
    return layout.run / "checked" / f"{name}.json"


def remember(layout: Layout, name: str, findings: Iterable[Finding]) -> None:
    """Keep a summary; what cannot be kept is only a note that is missing."""
    levels = [finding.level.value for finding in findings]
    content = {"when": state.now(), "bad": levels.count("bad"), "warning": levels.count("warning")}
    with suppress(OSError, files.UnsafePath):
        files.make_directory(place(layout, name).parent, 0, 0, 0o755)
        files.replace_file(place(layout, name), json.dumps(content).encode() + b"\n")


def recall(layout: Layout, name: str) -> Summary | None:
    """The summary of a site's last check since the server was booted."""
    try:
        found = json.loads(place(layout, name).read_bytes())
        return Summary(str(found["when"]), int(found["bad"]), int(found["warning"]))
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None


def forget(layout: Layout, name: str) -> None:
    """The site was removed."""
    place(layout, name).unlink(missing_ok=True)
