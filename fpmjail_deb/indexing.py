# SPDX-License-Identifier: GPL-2.0-or-later
"""EFFECT: writes the indexes of a publish: Packages, Release, signatures, and every index under its hash.

A package's paragraph is taken from the publish before, if it is in there: apt-ftparchive opens new packages only.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from fpmjail_deb.errors import BuildError
from fpmjail_deb.external import run
from fpmjail_deb.repository import Package, Publish, Settings
from fpmjail_deb.signing import Key

ARCHITECTURES = ("amd64", "arm64")
"""Those that servers may have; more if there are packages for them. A server of none would be told that with every
update."""

COMPONENT = "main"
DAY = 24 * 3600

Paragraphs = Mapping[str, str]
"""Paragraphs of Packages files, by the path of the package."""


def paragraphs_of(dists: Path) -> Paragraphs:
    """Return the paragraphs of a publish's indexes."""
    found: dict[str, str] = {}
    for index in sorted(dists.glob("*/*/binary-*/Packages")):
        found |= _split(index.read_text())
    return found


def paragraphs_from(tree: Path) -> Paragraphs:
    """Return the paragraphs of the packages below pool/ of a directory. Raises BuildError when one is no package."""
    return _split(run(["apt-ftparchive", "packages", "pool"], place=tree).decode())


def _split(text: str) -> Paragraphs:
    paragraphs = (paragraph for paragraph in text.split("\n\n") if paragraph.strip())
    return {_field(paragraph, "Filename"): paragraph.strip("\n") for paragraph in paragraphs}


def _field(paragraph: str, name: str) -> str:
    found = re.search(rf"^{name}: (.*)$", paragraph, re.MULTILINE)
    if not found:
        raise BuildError(f"apt-ftparchive wrote a paragraph without {name}: {paragraph[:80]!r}")
    return found[1]


def check_paragraphs(packages: Iterable[Package], paragraphs: Paragraphs) -> None:
    """Raises BuildError when a package has no paragraph, or is not what it was when it was read first."""
    for package in packages:
        paragraph = paragraphs.get(package.path)
        if paragraph is None or _field(paragraph, "SHA256") != package.sha256:
            raise BuildError(f"{package} changed while it was published", "publish it again")


def write(dists: Path, publish: Publish, paragraphs: Paragraphs, settings: Settings, key: Key) -> None:
    """Write the indexes of all releases into an empty directory, signed."""
    for release in publish.releases:
        packages = [package for package in publish.packages if package.release == release]
        suite = dists / release
        architectures = sorted({*ARCHITECTURES, *(one.architecture for one in packages)} - {"all"})
        for architecture in architectures:
            _write_packages(suite / COMPONENT / f"binary-{architecture}", architecture, packages, paragraphs)
        _write_release(suite, release, architectures, publish, settings)
        key.sign(suite / "Release")
        for index in _indexes(suite):
            _link(index, index.parent / "by-hash/SHA256" / hashlib.sha256(index.read_bytes()).hexdigest())


def _write_packages(place: Path, architecture: str, packages: Sequence[Package], paragraphs: Paragraphs) -> None:
    chosen = (paragraphs[one.path] for one in packages if one.architecture in (architecture, "all"))
    text = "".join(f"{paragraph}\n\n" for paragraph in chosen).encode()
    place.mkdir(parents=True)
    (place / "Packages").write_bytes(text)
    (place / "Packages.gz").write_bytes(gzip.compress(text, 6, mtime=0))


def _write_release(
    suite: Path, release: str, architectures: Sequence[str], publish: Publish, settings: Settings
) -> None:
    fields = {
        "Origin": publish.origin,
        "Label": publish.label,
        "Suite": release,
        "Codename": release,
        "Date": _date(publish.date),
        "Acquire-By-Hash": "yes",
        "Architectures": " ".join(architectures),
        "Components": COMPONENT,
    }
    options = [f"-oAPT::FTPArchive::Release::{name}={value}" for name, value in fields.items()]
    hashes = [f"-oAPT::FTPArchive::{name}=false" for name in ("MD5", "SHA1", "SHA512")]
    text = run(["apt-ftparchive", *options, *hashes, "release", "."], place=suite)
    (suite / "Release").write_bytes(_valid_until(publish, settings) + text)


def _valid_until(publish: Publish, settings: Settings) -> bytes:
    """Return a field that apt-ftparchive takes from nobody: its own ValidTime counts from its own clock."""
    until = publish.date + settings.validity * DAY
    return f"Valid-Until: {_date(until)}\n".encode() if settings.validity else b""


def _date(seconds: int) -> str:
    return time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime(seconds))


def keep_hashes(dists: Path, before: Path) -> None:
    """Link the indexes of an earlier publish under their hashes: a server that has its InRelease still finds them."""
    for suite in (one for one in dists.iterdir() if (before / one.name).is_dir()):
        for index in _indexes(before / suite.name):
            place = suite / index.parent.relative_to(before / suite.name)
            if place.is_dir():
                _link(index, place / "by-hash/SHA256" / hashlib.sha256(index.read_bytes()).hexdigest())


def _indexes(suite: Path) -> list[Path]:
    return sorted(path for path in suite.glob("*/binary-*/Packages*") if path.is_file())


def _link(file: Path, name: Path) -> None:
    name.parent.mkdir(parents=True, exist_ok=True)
    if not name.exists():
        os.link(file, name)
