# SPDX-License-Identifier: GPL-2.0-or-later
"""EFFECT: what `fpmjail-deb publish` does, whoever keeps the indexes: begin, publish, go back, tell of publishes."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from fpmjail_deb import apt_ftparchive, incoming, repository
from fpmjail_deb.archive import Archive, explained
from fpmjail_deb.enrolment import Enrolment
from fpmjail_deb.errors import BuildError, UsageError
from fpmjail_deb.publish_options import APTLY
from fpmjail_deb.release import RELEASES
from fpmjail_deb.repository import Change, Incoming, Package, Publish, Settings
from fpmjail_deb.signing import Key, Listing


class Keeper(Protocol):
    """A module that keeps indexes."""

    def current(self, archive: Archive) -> int:
        """Return the number of the publish that is served, 0 if there is none."""

    def publish(
        self, archive: Archive, settings: Settings, new: Publish, incoming: Sequence[Incoming], key: Key
    ) -> None:
        """Make a publish the one that is served."""


@dataclass(frozen=True, slots=True)
class Request:
    """What shall be published: packages and directories of packages; `release` is for those that do not say theirs.

    `removed` are names of packages that go; `keep` of every package so many versions stay, None for what was decided
    before; `now` is in seconds since 1970; with `dry` nothing is written. `validity`, in days, holds from now on: 0 for
    ever, None for what was decided before.
    """

    places: tuple[Path, ...]
    now: int
    release: str | None = None
    removed: tuple[str, ...] = ()
    keep: int | None = None
    dry: bool = False
    validity: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a publish changed, or would change; `written` tells whether there is a new one."""

    publish: Publish
    change: Change
    written: bool
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        """Return it for programs."""
        return {
            "publish": self.publish.number,
            "published": self.written,
            "reason": self.publish.reason,
            "added": [_json(package) for package in self.change.added],
            "dropped": [_json(package) for package in self.change.dropped],
            "unchanged": self.change.unchanged,
            "warnings": list(self.warnings),
        }


def _json(package: Package) -> dict[str, str]:
    return {
        "package": package.name,
        "version": package.version,
        "architecture": package.architecture,
        "release": package.release,
        "sha256": package.sha256,
    }


def initialise(archive: Archive, settings: Settings, now: int) -> Outcome:
    """Make a repository: its directory, and a first publish with the keyring packages.

    Raises UsageError when something is there already, BuildError when it cannot be made; then nothing is there.
    """
    if archive.settings_file.exists():
        origin = archive.settings().origin
        raise UsageError(f"{archive.root} is a repository already", f'its Origin is "{origin}" and stays that')
    with explained(archive.root):
        archive.public.mkdir(parents=True, exist_ok=True)
        with archive.held():
            archive.save_settings(settings)
            try:
                asked = _key(settings).look()
                return _publish(archive, settings, _last(archive, settings), Request((), now), asked)
            except BaseException:
                archive.clear()
                raise


def check_new(root: Path) -> None:
    """Raises UsageError unless a repository can be made in a directory: it is not there, or empty."""
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        if (root / "settings.json").exists():
            origin = Archive(root).settings().origin
            raise UsageError(f"{root} is a repository already", f'its Origin is "{origin}" and stays that')
        raise UsageError(f"{root} is not empty, and no repository of fpmjail-deb's", "name an empty directory")


def publish(archive: Archive, request: Request) -> Outcome:
    """Publish packages. Raises UsageError or BuildError, and then what was served before still is."""
    settings = archive.settings()
    if request.validity and settings.via == APTLY:
        raise UsageError("aptly writes no Valid-Until", "servers take what it publishes for ever")
    with explained(archive.root), archive.held():
        asked = _key(settings).look()  # gpg looks while we read
        last = _last(archive, settings)
        with _decided(archive, settings, request) as decided:
            return _publish(archive, decided, last, request, asked)


@contextmanager
def _decided(archive: Archive, settings: Settings, request: Request) -> Iterator[Settings]:
    """Yield the settings with what a request decides anew, and save them.

    Whatever ends it in between: the next publish signs again as long as one may be served that servers will refuse.
    """
    if request.validity is None or request.dry:
        yield settings
        return
    decided = replace(settings, validity=request.validity)
    if decided.validity:
        archive.save_settings(decided)
    yield decided
    archive.save_settings(decided)


def _publish(archive: Archive, settings: Settings, last: Publish, request: Request, asked: Listing) -> Outcome:
    repository.check_identity(settings, last)
    _check_removed(request.removed, last)
    found = incoming.find(request.places, request.release, last.packages)
    releases = sorted({*(last.releases or RELEASES), *(one.package.release for one in found)})
    key, listing = asked.key, asked.text()
    warnings = _warnings(key, request.now, listing)
    if not request.dry:
        found += Enrolment(archive, settings, key, listing).lacking(last, releases, request.now)
    change = repository.decide(last, found, request.keep or settings.keep, request.removed)
    new = repository.follow(last, change.packages, _reason(last, change), _in_time(last, request.now))
    warnings += _lacking(new)
    if request.dry or (change.empty and not settings.validity and request.validity is None):
        return Outcome(replace(new, number=last.number) if change.empty else new, change, False, warnings)
    added = set(change.added)
    _write(archive, settings, new, [one for one in found if one.package in added], key)
    return Outcome(new, change, True, warnings)


def _reason(last: Publish, change: Change) -> str:
    if last.number == 0:
        return "the first"
    return f"{len(change.added)} added, {len(change.dropped)} dropped" if not change.empty else "signed again"


def _check_removed(names: Iterable[str], last: Publish) -> None:
    known = {package.name for package in last.packages}
    for name in names:
        if name not in known:
            raise UsageError(f"--remove {name}: the repository has no package of this name")


def _lacking(new: Publish) -> tuple[str, ...]:
    return tuple(
        f"{release} has sites, and not the package fpmjail, which they depend on: publish it too"
        for release in repository.lacking_runtime(new)
    )


def _key(settings: Settings) -> Key:
    return Key(Path(settings.gnupghome), settings.key)


def _in_time(last: Publish, now: int) -> int:
    """Wait until another publish may follow; return the time then."""
    wait = repository.early(last, now)
    time.sleep(wait)
    return now + wait


def _warnings(key: Key, now: int, listing: str) -> tuple[str, ...]:
    warning = key.warning(now, listing)
    return (warning,) if warning else ()


def _write(archive: Archive, settings: Settings, new: Publish, added: Sequence[Incoming], key: Key) -> None:
    _keeper(settings).publish(archive, settings, new, added, key)


def _keeper(settings: Settings) -> Keeper:
    if settings.via != APTLY:
        return apt_ftparchive
    from fpmjail_deb import aptly

    return aptly


def _last(archive: Archive, settings: Settings) -> Publish:
    """Return the publish that is served."""
    number = _keeper(settings).current(archive)
    return archive.read(number) if number else Publish(0, 0, "", settings.origin, settings.label)


def roll_back(archive: Archive, number: int | None, now: int, *, dry: bool = False) -> Outcome:
    """Publish again what an earlier publish had, the last with other packages if none is named. Raises BuildError."""
    settings = archive.settings()
    with explained(archive.root), archive.held():
        last = _last(archive, settings)
        key = _key(settings)
        warnings = _warnings(key, now, key.look().text())
        repository.check_identity(settings, last)
        before = archive.read(_earlier(archive, last, number))
        new = repository.follow(last, before.packages, f"back to {before.number}", _in_time(last, now))
        added = tuple(one for one in before.packages if one not in last.packages)
        dropped = tuple(one for one in last.packages if one not in before.packages)
        change = Change(before.packages, added, dropped, len(before.packages) - len(added))
        if not dry:
            _write(archive, settings, new, (), key)
        return Outcome(new, change, not dry, warnings)


def _earlier(archive: Archive, last: Publish, number: int | None) -> int:
    earlier = [one for one in archive.numbers() if one < last.number]
    if number is None:
        return _last_other(archive, last, earlier)
    if number not in earlier:
        there = f"there are {', '.join(map(str, earlier))}" if earlier else "there is none"
        raise BuildError(f"{number} is no earlier publish", there)
    return number


def _last_other(archive: Archive, last: Publish, earlier: Iterable[int]) -> int:
    """Return the last publish that had other packages: one that only signed again is none to go back to."""
    for number in sorted(earlier, reverse=True):
        if set(archive.read(number).packages) != set(last.packages):
            return number
    raise BuildError("there is no earlier publish to go back to")


def history(archive: Archive) -> list[Publish]:
    """Return all publishes that can be gone back to, and the one that is served as the last."""
    last = _last(archive, archive.settings())
    return [archive.read(number) for number in archive.numbers() if number <= last.number]
