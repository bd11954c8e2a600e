# SPDX-License-Identifier: GPL-2.0-or-later
"""EFFECT: finds packages to publish, and asks each what it is and which Debian it is for."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from fpmjail_deb.errors import BuildError, UsageError
from fpmjail_deb.external import ExternalError, Started, start
from fpmjail_deb.release import RELEASES
from fpmjail_deb.repository import Incoming, Package, newest

AT_ONCE = 8
"""So many packages are asked at the same time."""

FIELDS = ("Package", "Version", "Architecture")


def find(places: Iterable[Path], release: str | None, known: Iterable[Package]) -> list[Incoming]:
    """Return the packages named, and the newest of each below directories.

    `release` is for those that do not say themselves; what is in `known` is not opened. Raises UsageError.
    """
    by_content = {(package.sha256, package.file_name): package for package in known}
    found: list[Incoming] = []
    for place in places:
        if place.is_dir():
            found += _newest(_read(sorted(_below(place)), release, by_content))
        else:
            found += _read([place], release, by_content)
    return list({one.package: one for one in found}.values())


def _below(place: Path) -> Iterator[Path]:
    for directory, directories, files in os.walk(place):
        directories[:] = [name for name in directories if not name.startswith(".")]
        yield from (Path(directory, name) for name in files if name.endswith(".deb"))


def _newest(found: list[Incoming]) -> list[Incoming]:
    chosen = set(newest((one.package for one in found), 1))
    return [one for one in found if one.package in chosen]


def _read(files: Sequence[Path], release: str | None, known: Mapping[tuple[str, str], Package]) -> list[Incoming]:
    hashes = {file: _sha256(file) for file in files}
    unknown = [file for file, sha256 in hashes.items() if (sha256, file.name) not in known]
    controls = dict(zip(unknown, _controls(unknown), strict=True))
    return [
        Incoming(known.get((sha256, file.name)) or _package(file, controls[file], release, sha256), file)
        for file, sha256 in hashes.items()
    ]


def _sha256(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise _no_package(file, str(error)) from error


def _controls(files: Sequence[Path]) -> Iterator[list[str]]:
    """Yield the FIELDS of each package, as dpkg-deb reads them. Raises UsageError."""
    for begin in range(0, len(files), AT_ONCE):
        some = files[begin : begin + AT_ONCE]
        asked = [start(["dpkg-deb", "--field", str(file), *FIELDS]) for file in some]
        yield from map(_fields, some, asked)


def _fields(file: Path, asked: Started) -> list[str]:
    try:
        lines = asked.output().decode().splitlines()
    except (ExternalError, ValueError) as error:
        raise _no_package(file, str(error)) from error
    fields = dict(line.split(": ", 1) for line in lines if ": " in line)
    if lacking := [field for field in FIELDS if field not in fields]:
        raise _no_package(file, f"it has no {lacking[0]}")
    return [fields[field] for field in FIELDS]


def _no_package(file: Path, why: str) -> UsageError:
    return UsageError(f"{file} is no Debian package: {why}", "name packages, or directories with some")


def _package(file: Path, fields: Sequence[str], release: str | None, sha256: str) -> Package:
    name, version, architecture = fields
    codename = release_of(version) or release or _directory_of(file)
    if codename is None:
        hint = f"--release {'|'.join(sorted(RELEASES))}; or put it into a directory with the name of the release"
        raise BuildError(f"{file}: {name} {version} does not say which Debian it is for", hint)
    return Package(name, version, architecture, codename, sha256)


def release_of(version: str) -> str | None:
    """Return the release that a version is for, by its ending: 1.0.0+deb13 is for trixie."""
    return next((one.codename for one in RELEASES.values() if version.endswith((one.suffix, _older(one.suffix)))), None)


def _older(suffix: str) -> str:
    return suffix.replace("+", "~")


def _directory_of(file: Path) -> str | None:
    return next((part for part in reversed(file.absolute().parts[:-1]) if part in RELEASES), None)
