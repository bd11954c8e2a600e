# SPDX-License-Identifier: MIT
"""What a generation of an image holds, as a value, and what one has other than another."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

FILE, LINK, DIRECTORY, BOUND = "file", "link", "directory", "bound"
"""The kinds of an entry; a bound file is no copy, the jail sees the server's own."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing in a generation; `sha256` and `size` of files, `target` of links;
    a bound file is no copy, the jail sees the server's own; `package` is None if nobody's."""

    path: str
    type: str
    mode: str
    size: int
    sha256: str
    target: str
    source: str
    package: str | None
    version: str | None
    capability: str

    @property
    def face(self) -> tuple[str, str, str, str]:
        """What a jail can see of it, not where it came from."""
        return self.path, self.type, self.mode, self.target if self.type == LINK else self.sha256


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a generation holds. `created` is a time in UTC as ISO 8601."""

    profile: str
    digest: str
    created: str
    entries: tuple[Entry, ...]

    @property
    def size(self) -> int:
        """Bytes of all copies."""
        return sum(entry.size for entry in self.entries if entry.type == FILE)


@dataclass(frozen=True, slots=True)
class Difference:
    """Paths that an image gained, lost, and that have other content, kind or mode."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]


def digest_of(entries: Iterable[Entry]) -> str:
    """The name of a generation that holds these, whatever they were copied from."""
    import hashlib

    content = json.dumps(sorted(entry.face for entry in entries), separators=(",", ":"))
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def difference(old: Manifest | None, new: Manifest) -> Difference:
    """What `new` has other than `old`."""
    before = {entry.path: entry.face for entry in old.entries} if old else {}
    after = {entry.path: entry.face for entry in new.entries}
    return Difference(
        added=tuple(sorted(after.keys() - before.keys())),
        removed=tuple(sorted(before.keys() - after.keys())),
        changed=tuple(sorted(path for path in after.keys() & before.keys() if after[path] != before[path])),
    )
