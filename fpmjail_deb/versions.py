# SPDX-License-Identifier: GPL-2.0-or-later
"""Which version comes next: Debian's order of versions decides (deb-version(7)), never the clock alone."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime

from debian.debian_support import Version

_DATED = re.compile(r"([0-9]{8})\.([0-9]+)")


def newest(versions: Iterable[str]) -> str | None:
    """Return the highest version, or None if there is none."""
    return max(versions, key=Version, default=None)


def is_higher(version: str, other: str) -> bool:
    """Whether a version comes after another."""
    return Version(version) > Version(other)


def successor(version: str) -> str:
    """Return a higher version, like it but for its last number: 1.0.1 of 1.0.0, 1.0~rc2 of 1.0~rc1, 2.0b.1 of 2.0b."""
    found = re.fullmatch(r"(.*?)([0-9]+)", version)
    if not found:
        return f"{version}.1"
    return f"{found[1]}{int(found[2]) + 1:0{len(found[2])}d}"


def automatic(last: str | None, now: int) -> str:
    """Return a version of a date and a counter, 20261123.1, higher than the last one whatever the clock says.

    `now` is in seconds since 1970.
    """
    first = f"{datetime.fromtimestamp(now, UTC):%Y%m%d}.1"
    if last is None or is_higher(first, last):
        return first
    dated = _DATED.fullmatch(last)
    return f"{dated[1]}.{int(dated[2]) + 1}" if dated else successor(last)
