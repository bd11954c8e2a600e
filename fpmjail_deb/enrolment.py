# SPDX-License-Identifier: GPL-2.0-or-later
"""EFFECT: makes the keyring packages that are not published yet as they have to be.

What each was made of is remembered, so that most publishes neither open them nor ask gpg for the public key.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass
from pathlib import Path

from fpmjail_deb import __version__, apt_ftparchive, incoming
from fpmjail_deb.archive import Archive, write_whole
from fpmjail_deb.release import RELEASES, Release
from fpmjail_deb.repository import Incoming, Package, Publish, Settings
from fpmjail_deb.signing import Key


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What keyring packages are made of; `listing` is what gpg lists of the key: names, dates, and what it may."""

    archive: Archive
    settings: Settings
    key: Key
    listing: str

    @property
    def place(self) -> Path:
        """Return the directory of all that were made."""
        return self.archive.root / "keyrings"

    def lacking(self, last: Publish, releases: Iterable[str], now: int) -> list[Incoming]:
        """Return the packages that have to be published, made at a time in seconds since 1970."""
        known, made_of = apt_ftparchive.keyrings(self.settings, last), self._read()
        unsure = [name for name in releases if name not in known or not self._is_sure(known[name], made_of)]
        if not unsure:
            return []
        public = self.key.public()
        made = [
            self._make(RELEASES[name], last, public, now)
            for name in unsure
            if name not in known or not self._still_true(known[name], public)
        ]
        present = {**known, **{one.package.release: one.package for one in made}}
        self._write({package.file_name: self._digest(package) for package in present.values()})
        return made

    def _is_sure(self, package: Package, made_of: Mapping[str, str]) -> bool:
        return made_of.get(package.file_name) == self._digest(package) and (self.place / package.file_name).is_file()

    def _digest(self, package: Package) -> str:
        origin = [__version__, *map(str, astuple(self.settings)), self.listing, package.sha256]
        return hashlib.sha256(json.dumps(origin).encode()).hexdigest()

    def _read(self) -> Mapping[str, str]:
        try:
            known: Mapping[str, str] = dict(json.loads((self.place / "made-of.json").read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return {}
        return known

    def _write(self, made_of: Mapping[str, str]) -> None:
        self.place.mkdir(exist_ok=True)
        write_whole(self.place / "made-of.json", json.dumps(made_of, indent=1) + "\n")

    def _still_true(self, package: Package, public: bytes) -> bool:
        from fpmjail_deb import deb, keyring  # with templates: seldom needed

        file = self.place / package.file_name
        return file.is_file() and keyring.same(deb.read_package(file), self.settings, public)

    def _make(self, release: Release, last: Publish, public: bytes, now: int) -> Incoming:
        from fpmjail_deb import deb, keyring, versions

        highest = last.highest.get((release.codename, self.settings.keyring, "all"))
        version = versions.automatic(highest[0].removesuffix(release.suffix) if highest else None, now)
        plan = keyring.plan(self.settings, release, public, version, now)
        (self.place / plan.file_name).unlink(missing_ok=True)  # of a publish that was not finished: nobody has it
        (found,) = incoming.find([deb.build_package(plan, self.place)], release.codename, ())
        return found
