# SPDX-License-Identifier: GPL-2.0-or-later
"""EFFECT: publishes into a directory. One rename(2) of the link `dists` makes a publish the one that is served.

Whatever ends it before, what was served is still served; whatever ends it afterwards, the next publish tidies up.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from fpmjail_deb import indexing
from fpmjail_deb.archive import Archive
from fpmjail_deb.errors import BuildError
from fpmjail_deb.repository import KEPT_PUBLISHES, Incoming, Package, Publish, Settings
from fpmjail_deb.signing import Key

KEPT_INDEXES = 3
"""Indexes of so many publishes before the last are found by their hash: of servers that update meanwhile."""


def current(archive: Archive) -> int:
    """Return the number of the publish that is served, 0 if there is none. Raises BuildError for a foreign `dists`."""
    link = archive.public / "dists"
    try:
        return int(link.readlink().name)
    except FileNotFoundError:
        return 0
    except (OSError, ValueError):
        raise BuildError(f"{link} is not what fpmjail-deb made", "remove it if nobody needs it") from None


def publish(archive: Archive, settings: Settings, new: Publish, incoming: Sequence[Incoming], key: Key) -> None:
    """Make a publish the one that is served. Raises BuildError, and then the one before still is."""
    if _interrupted(archive, new.number - 1):
        clean(archive, new.number - 1)
    with archive.workshop() as workshop:
        before = archive.public / ".dists" / f"{new.number - 1:06}"
        paragraphs = _paragraphs(archive, new, incoming, before, workshop)
        dists = workshop / "dists"
        dists.mkdir()
        listed = indexing.listed(new.packages, paragraphs)
        releases = indexing.write(dists, new, listed, settings, before)
        with key.signing(releases):
            for number in range(new.number - 1, new.number - 1 - KEPT_INDEXES, -1):
                indexing.keep_hashes(dists, archive.public / ".dists" / f"{number:06}")
            (archive.public / ".dists").mkdir(exist_ok=True)
        indexing.date_signed(releases, new)
        dists.rename(archive.public / ".dists" / f"{new.number:06}")
        _fill_pool(archive, workshop / "pool")
        archive.save(new, to_disk=False)
        _to_disk(archive.root)
        _point(archive.public / "dists", f".dists/{new.number:06}", workshop)
        _point_to_keyrings(archive, settings, new, workshop)
    tidy(archive, new.number)


def _paragraphs(
    archive: Archive, new: Publish, incoming: Iterable[Incoming], before: Path, workshop: Path
) -> Mapping[str, str]:
    """Return the paragraphs of all packages; new ones are copied to the workshop's pool and indexed there."""
    known = indexing.paragraphs_of(before)
    files = {one.package: one.file for one in incoming}
    (workshop / "pool").mkdir()
    lacking = [package for package in new.packages if package.path not in known]
    for package in lacking:
        _stage(archive.public / package.path, files.get(package), workshop / package.path, package)
    return {**known, **(indexing.paragraphs_from(workshop) if lacking else {})}


def _stage(there: Path, incoming: Path | None, target: Path, package: Package) -> None:
    """Put a package into the workshop: from where it comes, or the one that the pool has kept."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if incoming:
        if there.is_file() and not same(there, package.sha256):
            hint = "raise its version: an epoch is no part of the name, and going back needs the other one"
            raise BuildError(f"{package} has the file name of another package that is kept, {there}", hint)
        shutil.copyfile(incoming, target)
        target.chmod(0o644)
    elif there.is_file():
        os.link(there, target)
    else:
        raise BuildError(f"{there} is gone, and {package} cannot be published without it", "publish it again")


def same(file: Path, sha256: str) -> bool:
    """Return whether a file has this content."""
    return hashlib.sha256(file.read_bytes()).hexdigest() == sha256


def _fill_pool(archive: Archive, staged: Path) -> None:
    """Move packages into the pool, where nothing that is served needs another file of that name."""
    for file in sorted(path for path in staged.rglob("*.deb") if path.is_file()):
        target = archive.public / "pool" / file.relative_to(staged)
        target.parent.mkdir(parents=True, exist_ok=True)
        file.replace(target)


def _point(link: Path, target: str, workshop: Path) -> None:
    made = workshop / "link"
    made.symlink_to(target)
    made.replace(link)


def _point_to_keyrings(archive: Archive, settings: Settings, new: Publish, workshop: Path) -> None:
    """Let each release's keyring package be found under a name that never changes."""
    for release, package in keyrings(settings, new).items():
        link = archive.public / f"{package.name}_{release}.deb"
        if not link.is_symlink() or str(link.readlink()) != package.path:
            _point(link, package.path, workshop)


def keyrings(settings: Settings, publish: Publish) -> Mapping[str, Package]:
    """Return the last keyring package of each release."""
    name = settings.keyring
    return {package.release: package for package in publish.packages if package.name == name}


def _interrupted(archive: Archive, served: int) -> bool:
    """Whether a publish ended between its first change outside of the workshop and the switch."""
    return any(not place.name.isdigit() or int(place.name) > served for place in (archive.public / ".dists").glob("*"))


def tidy(archive: Archive, served: int) -> None:
    """Delete what no publish needs that is kept: packages, then what told of them, and indexes."""
    kept = archive.remembered(served, KEPT_PUBLISHES)
    for number in sorted({*archive.numbers()} - {*kept}):
        for package in archive.only_in(number, kept):
            _remove(archive.public / package.path, archive.public / "pool")
        archive.history_file(number).unlink()
    _tidy_indexes(archive, served)


def clean(archive: Archive, served: int) -> None:
    """Delete all of publishes that never came to be. What tells of them, their indexes, goes last."""
    for number in archive.numbers():
        if number > served:
            archive.history_file(number).unlink()
    kept = {package.path for number in archive.numbers() for package in archive.read(number).packages}
    for file in (archive.public / "pool").rglob("*.deb"):
        if str(file.relative_to(archive.public)) not in kept:
            _remove(file, archive.public / "pool")
    _tidy_indexes(archive, served)


def _tidy_indexes(archive: Archive, served: int) -> None:
    for place in (archive.public / ".dists").glob("*"):
        if not place.name.isdigit() or not served - KEPT_INDEXES <= int(place.name) <= served:
            shutil.rmtree(place)


def _remove(file: Path, top: Path) -> None:
    """Delete a file, and the directories above it that are empty then."""
    file.unlink(missing_ok=True)
    _remove_empty(file.parent, top)


def _remove_empty(directory: Path, top: Path) -> None:
    with suppress(OSError):
        while directory != top:
            directory.rmdir()
            directory = directory.parent


def _to_disk(place: Path) -> None:
    """Wait until all that was written is on the disk, syncfs(2): the switch must not be there before."""
    descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(descriptor):
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error))
    finally:
        os.close(descriptor)
