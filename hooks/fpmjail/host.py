# SPDX-License-Identifier: MIT
"""The server's files as the planner sees them: every look-up is done once and remembered as an input.

The inputs are what makes a refresh cheap: as long as each of them has the stamp it had, nothing has to be thought
over again. So a path that was looked for and not found is an input too.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

Stamp = tuple[int, int, int, int]
_LINKS_FOLLOWED = 40  # as the kernel: path_resolution(7)
_MERGED = frozenset(("bin", "sbin", "lib", "lib32", "lib64", "libx32"))
# What dpkg and ucf leave beside a file while or after they replace it; hidden files are nobody's content either.
_LEFTOVER = re.compile(r"\.|.*\.(dpkg|ucf)-[a-z]+$|.*~$")


def stamp(status: os.stat_result) -> Stamp:
    """What changes whenever a file changes: inode, size, mtime and ctime in ns (ctime betrays a kept mtime)."""
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def multiarch() -> str:
    """Debian's name of this architecture's library directory, such as x86_64-linux-gnu."""
    return str(getattr(sys.implementation, "_multiarch", f"{os.uname().machine}-linux-gnu"))


@dataclass(frozen=True, slots=True)
class Resolved:
    """Where a path leads: the canonical path, the symbolic links met on the way (canonical path, target), and the
    status of what is there, None if it leads nowhere. The links of merged /usr are not listed."""

    path: str
    links: tuple[tuple[str, str], ...]
    status: os.stat_result | None

    @property
    def is_file(self) -> bool:
        """True for a regular file."""
        return self.status is not None and stat.S_ISREG(self.status.st_mode)

    @property
    def is_directory(self) -> bool:
        """True for a directory."""
        return self.status is not None and stat.S_ISDIR(self.status.st_mode)


class Host:
    """The files below `root`; symbolic links are followed inside it, as if it were /.

    `mounted` are directories of elsewhere that somebody else sees there: pairs of that place and the one below `root`.
    """

    def __init__(self, root: Path, mounted: tuple[tuple[str, str], ...] = ()) -> None:
        self._root, self._mounted = str(root).rstrip("/"), mounted
        self._seen: dict[str, os.stat_result | None] = {}
        self._names: dict[str, list[tuple[str, bool]]] = {}
        self.inputs: dict[str, Stamp | None] = {}

    def place(self, path: str) -> str:
        """The real place of an absolute path of this host."""
        for source, target in self._mounted:
            if path == target or path.startswith(f"{target}/"):
                return source + path.removeprefix(target)
        return self._root + path

    def _look(self, path: str) -> os.stat_result | None:
        if path in self._seen:
            return self._seen[path]
        try:
            status = os.lstat(self.place(path))
        except OSError:
            status = None
        self._seen[path] = status
        if status is None or not stat.S_ISDIR(status.st_mode):
            self.inputs[path] = None if status is None else stamp(status)
        return status

    def names(self, directory: str) -> list[tuple[str, bool]]:
        """The sorted names in a canonical directory, each with whether it is a directory itself."""
        if directory not in self._names:
            place = self.place(directory)
            self.inputs[directory] = stamp(os.lstat(place))
            with os.scandir(place) as entries:
                found = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries)
            self._names[directory] = [(name, is_directory) for name, is_directory in found if not _LEFTOVER.match(name)]
        return self._names[directory]

    def resolve(self, path: str) -> Resolved:
        """Follow an absolute path to its end. A loop leads nowhere."""
        pending = _parts(path)[::-1]
        here, followed = "", 0
        links: list[tuple[str, str]] = []
        while pending:
            part = pending.pop()
            if part == "..":
                here = here.rpartition("/")[0]
                continue
            place = f"{here}/{part}"
            status = self._look(place)
            if status is None or followed > _LINKS_FOLLOWED:
                return Resolved(place, tuple(links), None)
            if stat.S_ISLNK(status.st_mode):
                followed += 1
                target = str(Path(self.place(place)).readlink())
                if here or part not in _MERGED:
                    links.append((place, target))
                here = "" if target.startswith("/") else here
                pending += _parts(target)[::-1]
            elif pending and not stat.S_ISDIR(status.st_mode):
                return Resolved(place, tuple(links), None)
            else:
                here = place
        return Resolved(here or "/", tuple(links), self._look(here) if here else os.lstat(self._root + "/"))

    def read(self, path: str) -> bytes | None:
        """The content of a regular file, None if there is none. Special files are never opened."""
        resolved = self.resolve(path)
        return Path(self.place(resolved.path)).read_bytes() if resolved.is_file else None

    def glob(self, pattern: str, exclude: tuple[str, ...] = ()) -> list[str]:
        """The paths that match, sorted. `*`, `?` and `[]` match within a name, `**` any number of directories.

        In `exclude` a `*` matches slashes as well. A pattern without wildcards is its own match if something is there.
        """
        return sorted(path for path in self._match("", _parts(pattern), exclude) if not _excluded(path, exclude))

    def _match(self, here: str, parts: list[str], exclude: tuple[str, ...]) -> Iterator[str]:
        if not parts:
            yield here
            return
        first, rest = parts[0], parts[1:]
        if first == "**":
            yield from self._walk(here, rest, exclude)
        elif any(character in first for character in "*?["):
            yield from self._match_names(here, first, rest, exclude)
        elif rest or self.resolve(f"{here}/{first}").status is not None:
            yield from self._match(f"{here}/{first}", rest, exclude)

    def _listed(self, here: str) -> list[tuple[str, bool]]:
        resolved = self.resolve(here)
        return self.names(resolved.path) if resolved.is_directory else []

    def _match_names(self, here: str, first: str, rest: list[str], exclude: tuple[str, ...]) -> Iterator[str]:
        for name, _ in self._listed(here):
            if fnmatchcase(name, first):
                yield from self._match(f"{here}/{name}", rest, exclude)

    def _walk(self, here: str, rest: list[str], exclude: tuple[str, ...]) -> Iterator[str]:
        """Every file at any depth; links to directories are found but not entered."""
        for name, is_directory in self._listed(here):
            place = f"{here}/{name}"
            if is_directory and not _excluded(place + "/", exclude):
                yield from self._walk(place, rest, exclude)
            elif not is_directory and (not rest or (len(rest) == 1 and fnmatchcase(name, rest[0]))):
                yield place


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


def _excluded(path: str, exclude: tuple[str, ...]) -> bool:
    return any(fnmatchcase(path, pattern) for pattern in exclude)
