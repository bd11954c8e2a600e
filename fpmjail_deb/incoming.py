# SPDX-License-Identifier: GPL-2.0-or-later
"""EFFECT: finds packages to publish, and asks each what it is and which Debian it is for."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from debian.arfile import ArError
from debian.deb822 import Deb822
from debian.debfile import DebError, DebFile

from fpmjail_deb.errors import BuildError, UsageError
from fpmjail_deb.release import RELEASES
from fpmjail_deb.repository import Incoming, Package, newest


def find(places: Iterable[Path], release: str | None, known: Iterable[Package]) -> list[Incoming]:
    """Return the packages named, and the newest of each below directories.

    `release` is for those that do not say themselves; what is in `known` is not opened. Raises UsageError.
    """
    by_content = {(package.sha256, package.file_name): package for package in known}
    found: list[Incoming] = []
    for place in places:
        if place.is_dir():
            found += _newest([_read(file, release, by_content) for file in sorted(_below(place))])
        else:
            found.append(_read(place, release, by_content))
    return list({one.package: one for one in found}.values())


def _below(place: Path) -> Iterator[Path]:
    for directory, directories, files in os.walk(place):
        directories[:] = [name for name in directories if not name.startswith(".")]
        yield from (Path(directory, name) for name in files if name.endswith(".deb"))


def _newest(found: list[Incoming]) -> list[Incoming]:
    chosen = set(newest((one.package for one in found), 1))
    return [one for one in found if one.package in chosen]


def _read(file: Path, release: str | None, known: Mapping[tuple[str, str], Package]) -> Incoming:
    try:
        sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
        same = known.get((sha256, file.name))
        if same:
            return Incoming(same, file)
        with DebFile(str(file)) as package:
            fields = Deb822(package.control.get_content("control", encoding="utf-8"))
        name, version, architecture = (fields[field] for field in ("Package", "Version", "Architecture"))
    except (ArError, DebError, EOFError, LookupError, OSError, ValueError) as error:
        raise UsageError(f"{file} is no Debian package: {error}", "name packages, or directories with some") from error
    codename = release_of(version) or release or _directory_of(file)
    if codename is None:
        hint = f"--release {'|'.join(sorted(RELEASES))}; or put it into a directory with the name of the release"
        raise BuildError(f"{file}: {name} {version} does not say which Debian it is for", hint)
    return Incoming(Package(name, version, architecture, codename, sha256), file)


def release_of(version: str) -> str | None:
    """Return the release that a version is for, by its ending: 1.0.0+deb13 is for trixie."""
    return next((one.codename for one in RELEASES.values() if version.endswith((one.suffix, _older(one.suffix)))), None)


def _older(suffix: str) -> str:
    return suffix.replace("+", "~")


def _directory_of(file: Path) -> str | None:
    return next((part for part in reversed(file.absolute().parts[:-1]) if part in RELEASES), None)
