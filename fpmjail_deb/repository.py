# SPDX-License-Identifier: GPL-2.0-or-later
"""What a repository holds, and what a publish makes of it: values and decisions, nothing is read or written here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from debian.debian_support import Version

from fpmjail_deb.errors import BuildError
from fpmjail_deb.publish_options import APT_FTPARCHIVE, APTLY

KEPT_VERSIONS = 5
"""So many versions of every package stay, unless others are asked for."""

KEPT_PUBLISHES = 20
"""To so many publishes before the last a repository can go back; what only signed again is none."""

CLOCK_SLACK = 5
"""So many seconds may publishes run ahead of the clock: two in one second need different times. apt refuses a Release
file from more than 10 s in the future (Acquire::Max-FutureTime)."""

Line = tuple[str, str, str]
"""Release, name and architecture: the versions of one package that follow each other."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What was decided once: `origin` and `label` are what servers trust, `key` is the fingerprint of what signs.

    `keep` versions of every package stay; `validity` is in days, 0 means for ever; `via` is who keeps the indexes.
    """

    origin: str
    label: str
    url: str
    maintainer: str
    key: str
    gnupghome: str
    keep: int = KEPT_VERSIONS
    validity: int = 0
    via: str = APT_FTPARCHIVE

    @property
    def keyring(self) -> str:
        """Return the name of the package that enrols a server."""
        return f"{self.origin.lower()}-archive-keyring"

    def source(self, release: str) -> str:
        """Return where the servers of a release find it."""
        return f"{self.url}/{release}" if self.via == APTLY else self.url


@dataclass(frozen=True, slots=True)
class Package:
    """A .deb of the repository; `release` is Debian's codename."""

    name: str
    version: str
    architecture: str
    release: str
    sha256: str

    @property
    def line(self) -> Line:
        """Return what it is a version of."""
        return self.release, self.name, self.architecture

    @property
    def file_name(self) -> str:
        """Return the name of the file; an epoch is no part of it (deb(7))."""
        return f"{self.name}_{self.version.rpartition(':')[2]}_{self.architecture}.deb"

    @property
    def path(self) -> str:
        """Return where it lies below what is served. Each release has a pool: builds of one source differ in them."""
        initial = self.name[:4] if self.name.startswith("lib") else self.name[0]
        return f"pool/{self.release}/{initial}/{self.name}/{self.file_name}"

    def __str__(self) -> str:
        return f"{self.name} {self.version} ({self.release}, {self.architecture})"


@dataclass(frozen=True, slots=True)
class Incoming:
    """A package that somebody wants to publish, and where it is."""

    package: Package
    file: Path


@dataclass(frozen=True, slots=True)
class Publish:
    """One state of a repository; `date` in seconds since 1970, `reason` in words.

    `highest` has the highest version that ever was published, with its SHA-256: servers may have it for ever.
    """

    number: int
    date: int
    reason: str
    origin: str
    label: str
    packages: tuple[Package, ...] = ()
    highest: Mapping[Line, tuple[str, str]] = field(default_factory=dict)

    @property
    def releases(self) -> tuple[str, ...]:
        """Return the releases that it has packages for, sorted."""
        return tuple(sorted({package.release for package in self.packages}))


@dataclass(frozen=True, slots=True)
class Change:
    """What a publish makes of the one before."""

    packages: tuple[Package, ...]
    added: tuple[Package, ...]
    dropped: tuple[Package, ...]
    unchanged: int = 0

    @property
    def empty(self) -> bool:
        """Whether nothing changes."""
        return not self.added and not self.dropped


class RefusedError(BuildError):
    """Packages that cannot be published, and why, all at once."""

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__("\n".join((*reasons, "nothing was published")))


def decide(last: Publish, incoming: Sequence[Incoming], keep: int, removed: Iterable[str] = ()) -> Change:
    """Return what publishing some packages changes. Raises RefusedError for those that no server would take."""
    reasons = tuple(dict.fromkeys(_reasons(last, incoming)))
    if reasons:
        raise RefusedError(reasons)
    gone = frozenset(removed)
    known = set(last.packages)
    coming = dict.fromkeys(one.package for one in incoming)
    stay = [package for package in last.packages if package.name not in gone]
    packages = newest({*stay, *coming}, keep)
    chosen = set(packages)
    added = tuple(package for package in packages if package not in known)
    dropped = tuple(package for package in last.packages if package not in chosen)
    return Change(packages, added, dropped, sum(package in known for package in coming))


def newest(packages: Iterable[Package], keep: int) -> tuple[Package, ...]:
    """Return the newest versions of every package, sorted by release, name and version."""
    lines: dict[Line, list[Package]] = defaultdict(list)
    for package in packages:
        lines[package.line].append(package)
    ordered = (_by_version(found) for _, found in sorted(lines.items()))
    return tuple(package for found in ordered for package in found[-keep:])


def _by_version(packages: list[Package]) -> list[Package]:
    return sorted(packages, key=lambda one: Version(one.version)) if len(packages) > 1 else packages


def _reasons(last: Publish, incoming: Sequence[Incoming]) -> Iterator[str]:
    contents: dict[tuple[Line, str], str] = {
        (package.line, package.version): package.sha256 for package in last.packages
    }
    contents |= {(line, version): sha256 for line, (version, sha256) in last.highest.items()}
    files = {package.path: package for package in last.packages}
    for one in incoming:
        package = one.package
        other = files.setdefault(package.path, package)
        if other.version != package.version:
            yield f"{one.file}: {package} has the file name of {other.version}, without the epoch; raise its version"
        there = contents.setdefault((package.line, package.version), package.sha256)
        highest = last.highest.get(package.line, ("", ""))[0]
        if there != package.sha256:
            yield f"{one.file}: {package} was published with another content; raise its version"
        elif package not in last.packages and highest and Version(package.version) < Version(highest):
            yield f"{one.file}: {package} goes back behind {highest}, which servers may have; raise its version"


def highest_of(last: Publish, packages: Iterable[Package]) -> dict[Line, tuple[str, str]]:
    """Return the highest versions that ever were, with some more packages; those of the last are among them already."""
    highest, seen = dict(last.highest), set(last.packages)
    for package in (one for one in packages if one not in seen):
        known = highest.get(package.line)
        if known is None or Version(package.version) > Version(known[0]):
            highest[package.line] = (package.version, package.sha256)
    return highest


def follow(last: Publish, packages: Sequence[Package], reason: str, now: int) -> Publish:
    """Return the publish after another; its time is later. Raises BuildError when the clock is behind."""
    return Publish(
        last.number + 1, later(last, now), reason, last.origin, last.label, tuple(packages), highest_of(last, packages)
    )


def remembered(history: Sequence[tuple[int, str]], before: int) -> list[int]:
    """Return what stays of all publishes, the served one last: it, and those to go back to, so many before.

    Each publish is its number and what it has. Of those that follow each other with the same only the first counts:
    the others signed again.
    """
    states: list[tuple[int, str]] = []
    for number, content in history:
        if not states or states[-1][1] != content:
            states.append((number, content))
    stay = [number for number, _ in states[-before - 1 :]]
    served = [number for number, _ in history[-1:]]
    return stay if stay[-1:] == served else stay + served


def later(last: Publish, now: int) -> int:
    """Return a time after the last publish's: apt ignores an older Release file. Raises BuildError if it is far off."""
    date = max(now, last.date + 1)
    if date - now > CLOCK_SLACK:
        behind = last.date - now
        message = f"the clock is wrong: publish {last.number} was made {behind} s later than it says now"
        raise BuildError(message, "set it (timedatectl): apt takes no Release file that is older than what it has")
    return date


def early(last: Publish, now: int) -> int:
    """Return for how many seconds the next publish has to wait, as many in a short time have run ahead of the clock.

    0 as well where they cannot have: `later` then says that the clock is wrong.
    """
    ahead = last.date + 1 - now - CLOCK_SLACK
    return ahead if 0 < ahead <= CLOCK_SLACK else 0


def check_identity(settings: Settings, last: Publish) -> None:
    """Raises BuildError when Origin or Label would change: every apt would stop until somebody confirms that."""
    for name, wanted, known in (("Origin", settings.origin, last.origin), ("Label", settings.label, last.label)):
        if wanted != known:
            message = f'servers know the repository by {name} "{known}", and settings.json says "{wanted}"'
            raise BuildError(message, "they would refuse it until somebody confirms: write the old one again")


def lacking_runtime(publish: Publish, runtime: str = "fpmjail") -> tuple[str, ...]:
    """Return the releases whose sites depend on a runtime that the repository does not have."""
    names = {release: {one.name for one in publish.packages if one.release == release} for release in publish.releases}
    return tuple(
        release
        for release, found in names.items()
        if runtime not in found and any(name.startswith("site-") for name in found)
    )
