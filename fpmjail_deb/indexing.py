# SPDX-License-Identifier: GPL-2.0-or-later
"""EFFECT: writes the indexes of a publish: Packages, Release, and every index under its hash.

A package's paragraph is taken from the publish before, if it is in there: apt-ftparchive opens new packages only.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fpmjail_deb.errors import BuildError
from fpmjail_deb.external import run
from fpmjail_deb.repository import Package, Publish, Settings

ARCHITECTURES = ("amd64", "arm64")
"""Those that servers may have; more if there are packages for them. A server of none would be told that with every
update."""

COMPONENT = "main"
DAY = 24 * 3600
_HASH = re.compile(r"^ ([0-9a-f]{64}) +[0-9]+ ([\w./-]+)$", re.MULTILINE)

Paragraphs = Mapping[str, str]
"""Paragraphs of Packages files, by the path of the package."""

Listed = Sequence[tuple[Package, str]]
"""Packages with their paragraphs, in the order of the index."""


@dataclass(frozen=True, slots=True)
class Index:
    """A file that a Release file names; `name` is its path from there."""

    name: str
    size: int
    sha256: str


def paragraphs_of(dists: Path) -> Paragraphs:
    """Return the paragraphs of a publish's indexes."""
    texts = {index.read_text() for index in dists.glob("*/*/binary-*/Packages")}
    return {path: paragraph for text in texts for path, paragraph in _split(text).items()}


def paragraphs_from(tree: Path) -> Paragraphs:
    """Return the paragraphs of the packages below pool/ of a directory. Raises BuildError when one is no package."""
    return _split(run(["apt-ftparchive", "packages", "pool"], place=tree).decode())


def _split(text: str) -> Paragraphs:
    paragraphs = (paragraph.strip("\n") for paragraph in text.split("\n\n"))
    return {_field(paragraph, "Filename"): paragraph for paragraph in paragraphs if paragraph}


def _field(paragraph: str, name: str) -> str:
    """Return the value of a field; lines that go on with another one begin with a space."""
    _, found, rest = f"\n{paragraph}".partition(f"\n{name}: ")
    if not found:
        raise BuildError(f"apt-ftparchive wrote a paragraph without {name}: {paragraph[:80]!r}")
    return rest.partition("\n")[0]


def listed(packages: Iterable[Package], paragraphs: Paragraphs) -> Listed:
    """Return each package with its paragraph.

    Raises BuildError when a package has none, or is not what it was when it was read first.
    """
    return [(package, _paragraph(package, paragraphs)) for package in packages]


def _paragraph(package: Package, paragraphs: Paragraphs) -> str:
    paragraph = paragraphs.get(package.path)
    if paragraph is None or _field(paragraph, "SHA256") != package.sha256:
        raise BuildError(f"{package} changed while it was published", "publish it again")
    return paragraph


def write(dists: Path, publish: Publish, listed: Listed, settings: Settings, before: Path) -> list[Path]:
    """Write the indexes of all releases into an empty directory; return the Release files that are to be signed.

    A release in which nothing changed keeps what was signed `before`, with its time: its servers see at once that there
    is nothing to fetch. Where nothing changed at all, everything is to be signed again.
    """
    releases = {release: _write_release(dists / release, release, publish, listed, settings)
                for release in publish.releases}  # fmt: skip
    kept = [name for name, text in releases.items() if _undated(text) == _undated(_read(before / name / "Release"))]
    changed = [name for name in releases if name not in kept] or list(releases)
    for name in (name for name in releases if name not in changed):
        _keep(dists / name, before / name)
    return [dists / name / "Release" for name in changed]


def _write_release(suite: Path, release: str, publish: Publish, listed: Listed, settings: Settings) -> str:
    """Write Packages files and the Release file of one release; return what that says."""
    mine = [(package, paragraph) for package, paragraph in listed if package.release == release]
    architectures = sorted({*ARCHITECTURES, *(package.architecture for package, _ in mine)} - {"all"})
    indexes = _write_packages(suite, architectures, mine)
    for index in indexes:
        _link(suite / index.name, (suite / index.name).parent / "by-hash/SHA256" / index.sha256)
    text = _release(release, architectures, indexes, publish, settings)
    (suite / "Release").write_text(text)
    for file in (path for path in suite.rglob("*") if path.is_file()):
        os.utime(file, (publish.date, publish.date))
    return text


def _write_packages(suite: Path, architectures: Iterable[str], mine: Listed) -> list[Index]:
    """Write what each architecture has; where all packages are for all of them, it is compressed once."""
    packed: dict[bytes, bytes] = {}
    indexes = []
    for architecture in architectures:
        chosen = [text for package, text in mine if package.architecture in (architecture, "all")]
        text = "".join(f"{paragraph}\n\n" for paragraph in chosen).encode()
        packed[text] = packed.get(text) or gzip.compress(text, 6, mtime=0)
        for name, content in (("Packages", text), ("Packages.gz", packed[text])):
            file = suite / COMPONENT / f"binary-{architecture}" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
            sha256 = hashlib.sha256(content).hexdigest()
            indexes.append(Index(str(file.relative_to(suite)), len(content), sha256))
    return indexes


def _release(
    release: str, architectures: Iterable[str], indexes: Iterable[Index], publish: Publish, settings: Settings
) -> str:
    """Return a Release file, in the order and form of apt-ftparchive(1)."""
    until = publish.date + settings.validity * DAY
    fields = {
        **({"Valid-Until": _date(until)} if settings.validity else {}),
        "Acquire-By-Hash": "yes",
        "Architectures": " ".join(architectures),
        "Codename": release,
        "Components": COMPONENT,
        "Date": _date(publish.date),
        "Label": publish.label,
        "Origin": publish.origin,
        "Suite": release,
    }
    lines = [f"{name}: {value}" for name, value in fields.items()]
    hashes = [f" {index.sha256} {index.size:>16} {index.name}" for index in indexes]
    return "\n".join([*lines, "SHA256:", *hashes, ""])


def date_signed(releases: Iterable[Path], publish: Publish) -> None:
    """Give what was signed the time of the publish, as its Release files say it.

    apt asks for an InRelease that is newer than the one it has, in whole seconds (RFC 9110, 13.1.3): of two that were
    written in one second it would never fetch the second. The times of publishes always differ.
    """
    for release in releases:
        for name in ("InRelease", "Release.gpg"):
            os.utime(release.with_name(name), (publish.date, publish.date))


def _undated(release: str) -> str:
    """Return a Release file but for its own time. One that says until when it is good is another with every publish."""
    return re.sub(r"^Date: .*\n", "", release, flags=re.MULTILINE)


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except FileNotFoundError:
        return ""


def _keep(suite: Path, before: Path) -> None:
    """Take over what was signed, and the time at which the indexes that it names were new."""
    date = (before / "Release").stat().st_mtime
    for file in (path for path in suite.rglob("*") if path.is_file()):
        os.utime(file, (date, date))
    for name in ("Release", "InRelease", "Release.gpg"):
        (suite / name).unlink(missing_ok=True)
        os.link(before / name, suite / name)


def _date(seconds: int) -> str:
    return time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime(seconds))


def keep_hashes(dists: Path, before: Path) -> None:
    """Link the indexes of an earlier publish under their hashes: a server that has its InRelease still finds them."""
    for suite in dists.iterdir():
        for sha256, name in _HASH.findall(_read(before / suite.name / "Release")):
            index, place = before / suite.name / name, (suite / name).parent
            if place.is_dir() and index.is_file():
                _link(index, place / "by-hash/SHA256" / sha256)


def _link(file: Path, name: Path) -> None:
    name.parent.mkdir(parents=True, exist_ok=True)
    if not name.exists():
        os.link(file, name)
