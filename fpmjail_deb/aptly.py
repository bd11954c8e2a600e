# SPDX-License-Identifier: GPL-2.0-or-later
"""EFFECT: publishes through aptly: a snapshot for each release and publish, to which what is published is switched.

aptly's database and pool lie in the repository's directory. Each release is published below a directory of its own,
because aptly has one pool for all that lies beside each other, and builds of one source differ in the releases. A
publish is told of in the history once all releases were switched; one that was interrupted is made again as another.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from fpmjail_deb.archive import Archive, write_whole
from fpmjail_deb.external import ExternalError, run
from fpmjail_deb.indexing import ARCHITECTURES
from fpmjail_deb.publish_options import APTLY
from fpmjail_deb.repository import KEPT_PUBLISHES, Incoming, Publish, Settings
from fpmjail_deb.signing import Key


@dataclass(frozen=True, slots=True)
class Aptly:
    """aptly with a configuration of its own; `key` signs."""

    archive: Archive
    origin: str
    label: str
    key: Key

    def configure(self) -> None:
        """Write aptly's configuration, so that the command works by hand as well."""
        endpoint = {"rootDir": str(self.archive.public), "linkMethod": "hardlink"}
        configuration = {
            "rootDir": str(self.archive.root / "aptly"),
            "gpgProvider": "gpg",
            "skipContentsPublishing": True,
            "FileSystemPublishEndpoints": {"public": endpoint},
        }
        write_whole(self.archive.root / "aptly.json", json.dumps(configuration, indent=2) + "\n")

    def __call__(self, *words: str) -> str:
        """Run one of its commands. Raises BuildError."""
        configuration = f"-config={self.archive.root / 'aptly.json'}"
        variables = {"GNUPGHOME": str(self.key.home)}
        return run([APTLY, configuration, *words], variables=variables).decode()

    def snapshot(self, release: str, publish: Publish) -> str:
        """Return the name of a publish's snapshot."""
        return f"{self.prefix(release)}{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(publish.date))}"

    def prefix(self, release: str) -> str:
        """Return what the names of a release's snapshots begin with."""
        return f"{self.origin.lower()}-{release}-"

    def snapshots(self, release: str) -> list[str]:
        """Return the snapshots of a release."""
        names = self("snapshot", "list", "-raw").split()
        return [name for name in names if name.startswith(self.prefix(release))]

    def forget(self, *words: str) -> None:
        """Drop a repository or snapshot that may not be there, or still be in use."""
        with suppress(ExternalError):
            self(*words)


def current(archive: Archive) -> int:
    """Return the number of the publish that is served, 0 if there is none."""
    return max(archive.numbers(), default=0)


def publish(archive: Archive, settings: Settings, new: Publish, incoming: Sequence[Incoming], key: Key) -> None:
    """Make a publish the one that is served. Raises BuildError; one release may have been switched by then."""
    aptly = Aptly(archive, new.origin, new.label, key)
    aptly.configure()
    with archive.workshop() as workshop:
        key.try_to_sign(workshop)
    for release in new.releases:
        _take_snapshot(aptly, release, new, [one for one in incoming if one.package.release == release])
    for release in new.releases:
        _switch(aptly, release, aptly.snapshot(release, new))
    archive.save(new)
    _copy_keyrings(archive, settings, new)
    _tidy(aptly, new)


def _take_snapshot(aptly: Aptly, release: str, new: Publish, incoming: Sequence[Incoming]) -> None:
    """Take the snapshot of a release: what the last publishes had, what comes, and of these what shall be there."""
    repository, arriving, mixed = (f"{aptly.origin.lower()}_{release}_{name}" for name in ("in", "arriving", "mixed"))
    name = aptly.snapshot(release, new)
    leftovers = [("snapshot", arriving), ("snapshot", mixed), ("snapshot", name), ("repo", repository)]
    for kind, left in leftovers:
        aptly.forget(kind, "drop", "-force", left)
    aptly("repo", "create", "-component=main", repository)
    if incoming:
        aptly("repo", "add", repository, *(str(one.file) for one in incoming))
    aptly("snapshot", "create", arriving, "from", "repo", repository)
    aptly("snapshot", "merge", "-no-remove", mixed, arriving, *_sources(aptly, release, new))
    wanted = [f"{one.name}_{one.version}_{one.architecture}" for one in new.packages if one.release == release]
    aptly("snapshot", "filter", mixed, name, *wanted)
    for kind, left in (("snapshot", mixed), ("snapshot", arriving), ("repo", repository)):
        aptly(kind, "drop", "-force", left)


def _sources(aptly: Aptly, release: str, new: Publish) -> Iterable[str]:
    """Return the snapshots of before that have a package of the new publish: the last one's, or also older ones'."""
    there = set(aptly.snapshots(release))
    lacking = {one for one in new.packages if one.release == release}
    for number in sorted(aptly.archive.numbers(), reverse=True):
        before = aptly.archive.read(number)
        name = aptly.snapshot(release, before)
        if name in there and lacking & set(before.packages):
            lacking -= set(before.packages)
            yield name


def _switch(aptly: Aptly, release: str, snapshot: str) -> None:
    place = f"filesystem:public:{release}"
    published = f"{place} {release}" in aptly("publish", "list", "-raw").splitlines()
    options = ["-batch", f"-gpg-key={aptly.key.fingerprint}", "-skip-contents"]
    if published:
        aptly("publish", "switch", *options, release, place, snapshot)
        return
    identity = [f"-origin={aptly.origin}", f"-label={aptly.label}", f"-suite={release}", f"-distribution={release}"]
    architectures = f"-architectures={','.join(ARCHITECTURES)}"  # packages for all are in each
    aptly("publish", "snapshot", *options, "-acquire-by-hash", *identity, architectures, snapshot, place)


def _copy_keyrings(archive: Archive, settings: Settings, new: Publish) -> None:
    """Let each release's keyring package be found under a name that never changes."""
    for package in new.packages:
        if package.name == settings.keyring:
            source = archive.root / "keyrings" / package.file_name
            made = archive.public / f".{package.name}_{package.release}.new"
            made.unlink(missing_ok=True)
            os.link(source, made)
            made.replace(archive.public / f"{package.name}_{package.release}.deb")
            made.unlink(missing_ok=True)  # rename(2) does nothing when both are the same file


def _tidy(aptly: Aptly, served: Publish) -> None:
    """Drop what cannot be gone back to any more."""
    archive = aptly.archive
    stay = archive.remembered(served.number, KEPT_PUBLISHES)
    for number in {*archive.numbers()} - {*stay}:
        archive.history_file(number).unlink()
    kept = [archive.read(number) for number in stay]
    for release in served.releases:
        for name in set(aptly.snapshots(release)) - {aptly.snapshot(release, one) for one in kept}:
            aptly.forget("snapshot", "drop", name)
    aptly("db", "cleanup")
