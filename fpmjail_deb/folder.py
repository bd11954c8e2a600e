# SPDX-License-Identifier: GPL-2.0-or-later
"""EFFECT: reads descriptions and the defaults beneath them from the disk.

A file of defaults holds for its directory and for all below it. Directories are looked at upwards from the description,
as far as the top of its git repository; one that everybody can write to, as /tmp, ends the search before it.
"""

from __future__ import annotations

import os
import stat
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from fpmjail_deb import document, layers
from fpmjail_deb.description import problems_of_defaults, read_site
from fpmjail_deb.document import Mapping
from fpmjail_deb.errors import DescriptionError, Problem, UsageError, printable
from fpmjail_deb.layers import FILE_NAMES, layered, shareable
from fpmjail_deb.location import Location
from fpmjail_deb.site import Site

SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Folder:
    """What was read: the good sites, all problems, and the files of defaults; `descriptions` counts bad ones too."""

    sites: tuple[Site, ...]
    problems: tuple[Problem, ...]
    descriptions: int
    defaults: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Layer:
    """One file of defaults; `root` is None if there is nothing in it to go on with."""

    file: str
    root: Mapping | None
    problems: tuple[Problem, ...]


def read_folder(places: Iterable[Path]) -> Folder:
    """Read every description of these files and directories once. Raises UsageError if a directory has none."""
    reader = _Reader()
    for path, named in _once(reader.files(places)):
        reader.take(path, named=named)
    return reader.folder()


def merged(path: Path) -> Mapping:
    """Return a description and the defaults beneath it as one. Raises DescriptionError if one cannot be read."""
    reader = _Reader()
    beneath = [layer.root for layer in map(reader.layer, reader.defaults(path)) if layer.root]
    return layered((*beneath, document.read(_bytes(path, anything=True), shown(path)).root))


def shown(path: Path) -> str:
    """Return a file's name as messages and origins have it: relative where it was given so."""
    return printable(os.path.normpath(path) if path.is_absolute() else os.path.relpath(path))


@dataclass(slots=True)
class _Reader:
    """Reads each file and looks at each directory once."""

    sites: list[Site] = field(default_factory=list)
    descriptions: int = 0
    layers: dict[Path, Layer] = field(default_factory=dict)
    directories: dict[Path, tuple[Path, ...]] = field(default_factory=dict)
    walked: set[str] = field(default_factory=set)
    own: set[Problem] = field(default_factory=set)
    of_sites: dict[Problem, list[str]] = field(default_factory=lambda: defaultdict(list))

    def folder(self) -> Folder:
        """Return all that was read. A problem of the defaults themselves is not told again for each site."""
        found = {*self.own, *(_told(problem, files) for problem, files in self.of_sites.items())}
        files = tuple(layer.file for layer in self.layers.values())
        return Folder(tuple(self.sites), tuple(sorted(found)), self.descriptions, files)

    def take(self, path: Path, *, named: bool) -> None:
        """Read one file, and the defaults beneath it."""
        beneath = [self.layer(file) for file in self.defaults(path)]
        if path.name in FILE_NAMES:
            return
        self.descriptions += 1
        roots = [layer.root for layer in beneath if layer.root]
        try:
            data = _bytes(path, anything=named)
            self.sites.append(read_site(data, shown(path), roots, whole=len(roots) == len(beneath)))
        except DescriptionError as error:
            for problem in set(error.problems) - self.own:
                self.of_sites[problem].append(shown(path))

    def files(self, places: Iterable[Path]) -> Iterator[tuple[Path, bool]]:
        """Yield each file, and whether it was given by its own name."""
        for place in places:
            if place.is_dir():
                yield from ((path, False) for path in self._directory(place))
            else:
                yield place, True

    def _directory(self, place: Path) -> Sequence[Path]:
        found = list(self._walk(place))
        if found and not all(path.name in FILE_NAMES for path in found):
            return found
        if any(problem.location.file == shown(place) for problem in self.own):
            return found
        raise UsageError(f"{place}: expected a directory with *.yaml, found none", "`fpmjail-deb new NAME` writes one")

    def _walk(self, directory: Path) -> Iterator[Path]:
        """Yield the descriptions in and below a directory; each directory once, so that links may lead in a circle."""
        real = os.path.realpath(directory)
        if real in self.walked:
            return
        self.walked.add(real)
        try:
            entries = sorted(entry for entry in directory.iterdir() if entry.name[0] != ".")
        except OSError as error:
            self.own |= set(_unreadable(directory, error.strerror or str(error)).problems)
            return
        yield from (entry for entry in entries if entry.suffix in SUFFIXES and not entry.is_dir())
        for entry in sorted(entries, key=lambda entry: entry.is_symlink()):
            if entry.is_dir():
                yield from self._walk(entry)

    def layer(self, path: Path) -> Layer:
        """Return a file of defaults, read once."""
        if path not in self.layers:
            self.layers[path] = _layer(path)
            self.own |= set(self.layers[path].problems)
        return self.layers[path]

    def defaults(self, path: Path) -> list[Path]:
        """Return the files of defaults that lie beneath a description, the widest first."""
        bottom = Path(os.path.normpath(Path.cwd() / path)).parent
        if bottom not in self.directories:
            found = [_defaults_in(place) for place in _directories(bottom)]
            self.directories[bottom] = tuple(file for files in found for file in files[:1])
            self.own |= {_second(path, file) for files in found for file in files[1:]}
        return [_spelled_like(path, file) for file in self.directories[bottom]]


def _told(problem: Problem, files: Sequence[str]) -> Problem:
    """Return a problem that names a line of the defaults with the description that it comes up for."""
    if problem.location.file in files:
        return problem
    more = f" and {len(files) - 1} more" if len(files) > 1 else ""
    return replace(problem, message=f"{problem.message}, for {files[0]}{more}")


def _layer(path: Path) -> Layer:
    name = shown(path)
    try:
        read = document.read(_bytes(path), name)
    except DescriptionError as error:
        return Layer(name, None, error.problems)
    return Layer(name, shareable(read.root), (*read.problems, *problems_of_defaults(read.root)))


def _bytes(path: Path, *, anything: bool = False) -> bytes:
    """Return what is in a file. A pipe that lies in a directory would wait for ever; one that was named may be one."""
    try:
        if not anything and not stat.S_ISREG(path.stat().st_mode):
            raise _unreadable(path, "not a file")
        with path.open("rb") as file:
            return file.read(document.LARGEST + 1)
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error


def _unreadable(path: Path, reason: str) -> DescriptionError:
    return DescriptionError([Problem(Location(shown(path), 1, 1), "", f"cannot be read: {reason}", "correct the path")])


def _directories(bottom: Path) -> tuple[Path, ...]:
    """Return the directories whose defaults hold in this one, the widest first."""
    found: list[Path] = []
    for directory in (bottom, *bottom.parents):
        if _everybodys(directory):
            break
        found.append(directory)
        if (directory / ".git").exists():
            break
    return tuple(reversed(found))


def _everybodys(directory: Path) -> bool:
    try:
        return bool(directory.stat().st_mode & stat.S_IWOTH)
    except OSError:
        return False


def _spelled_like(path: Path, file: Path) -> Path:
    """Return a file's path, relative if another one is."""
    return file if path.is_absolute() else Path(os.path.relpath(file))


def _second(path: Path, file: Path) -> Problem:
    place = Location(shown(_spelled_like(path, file)), 1, 1)
    return Problem(place, "", f"there is a {FILE_NAMES[0]} beside it", "keep one of them", layers.SECTION)


def _defaults_in(directory: Path) -> tuple[Path, ...]:
    return tuple(directory / name for name in FILE_NAMES if os.path.lexists(directory / name))


def _once(files: Iterable[tuple[Path, bool]]) -> Iterator[tuple[Path, bool]]:
    """Yield each file once, even if it is given by its name and by its directory's."""
    seen: set[str] = set()
    for path, named in files:
        real = os.path.realpath(path)
        if real not in seen:
            seen.add(real)
            yield path, named
