# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/bench.md: the table between two marks is made anew, what people wrote around it stays."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.bench import table
from tests.bench.machine import Machine

BEGIN = "<!-- begin: written by make bench -->"
END = "<!-- end -->"


def write(path: Path, result: Mapping[str, Any]) -> None:
    """Put the result into the manual. Raises ValueError if the marks are missing."""
    text = path.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{path} lacks {BEGIN} or {END}")
    path.write_text(f"{before}{BEGIN}\n{body(result)}\n{END}{after}")


def body(result: Mapping[str, Any]) -> str:
    """Machine and table."""
    found = Machine(**{**result["machine"], "load": tuple(result["machine"]["load"])})
    return f"{table.head(found, result['sites'], result['repeat'])}\n\n{table.table(result['lines'])}"
