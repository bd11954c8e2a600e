# SPDX-License-Identifier: GPL-2.0-or-later
"""The control part of a package: control, conffiles, md5sums, changelog (python-debian writes the formats)."""

from __future__ import annotations

import gzip
import hashlib
import io
import textwrap
from datetime import UTC, datetime

from debian.changelog import Changelog
from debian.deb822 import Deb822

from fpmjail_deb.contents import Directory, File, PackagePlan, Symlink
from fpmjail_deb.errors import BuildError

KIBIBYTE = 1024


def control_file(plan: PackagePlan) -> str:
    """Return the control file. Raises BuildError for a value that would not stay in its field."""
    paragraph = Deb822()
    for name, value in plan.control:
        _check_value(name, value)
        paragraph[name] = value
        if name == "Maintainer":
            paragraph["Installed-Size"] = str(installed_size(plan))
    return str(paragraph.dump())


def installed_size(plan: PackagePlan) -> int:
    """Return KiB as dpkg-gencontrol counts them: each file rounded up, each other entry one (deb-substvars(5))."""
    return sum(_kibibytes(entry) for entry in plan.entries)


def conffiles(plan: PackagePlan) -> str:
    """Return the list of conffiles (deb-conffiles(5))."""
    return "".join(f"{path}\n" for path in plan.conffiles)


def triggers(plan: PackagePlan) -> str:
    """Return what dpkg tells the package of (deb-triggers(5))."""
    return "".join(f"{line}\n" for line in plan.triggers)


def md5sums(plan: PackagePlan) -> str:
    """Return the md5sums file; unlike md5sum(1) it does not escape the backslash of a unit's name."""
    return "".join(
        f"{hashlib.md5(file.content, usedforsecurity=False).hexdigest()}  {file.path}\n" for file in plan.files
    )


def control_files(plan: PackagePlan) -> tuple[tuple[str, str, int], ...]:
    """Return (name, text, mode) of every file of the control archive, sorted by name."""
    texts = (
        ("conffiles", conffiles(plan)),
        ("control", control_file(plan)),
        ("md5sums", md5sums(plan)),
        ("triggers", triggers(plan)),
    )
    data = tuple((name, text, 0o644) for name, text in texts if text)
    return tuple(sorted((*data, *((name, text, 0o755) for name, text in plan.scripts))))


def changelog(package: str, version: str, codename: str, author: str, change: str, epoch: int) -> bytes:
    """Return a compressed Debian changelog of one entry. The compressed bytes depend on the text alone."""
    log = Changelog()
    log.new_block(
        package=package,
        version=version,
        distributions=codename,
        urgency="medium",
        author=author,
        date=datetime.fromtimestamp(epoch, UTC).strftime("%a, %d %b %Y %H:%M:%S +0000"),
    )
    wrapped = textwrap.wrap(change, 76, break_long_words=False)
    for line in ("", *(f"{'  * ' if number == 0 else '    '}{text}" for number, text in enumerate(wrapped)), ""):
        log.add_change(line)
    return _compressed(str(log).encode())


def extended_description(synopsis: str, paragraphs: tuple[str, ...]) -> str:
    """Return a Description field: the synopsis, then wrapped paragraphs (policy 5.6.13)."""
    blocks = ["\n".join(f" {line}" for line in textwrap.wrap(paragraph, 76)) for paragraph in paragraphs]
    return "\n".join((synopsis, "\n .\n".join(blocks)))


def _compressed(content: bytes) -> bytes:
    buffer = io.BytesIO()
    # Unlike gzip.compress() this writes the same header in every version of Python.
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=buffer, mtime=0) as file:
        file.write(content)
    return buffer.getvalue()


def _kibibytes(entry: File | Directory | Symlink) -> int:
    return -(-len(entry.content) // KIBIBYTE) if isinstance(entry, File) else 1


def _check_value(name: str, value: str) -> None:
    first, *others = value.split("\n")
    if not first.strip() or not all(line.startswith(" ") and line.strip() for line in others):
        raise BuildError(f"the control field {name} cannot hold {value!r}")
    if not all(line.isprintable() for line in (first, *others)):
        raise BuildError(f"the control field {name} cannot hold the invisible characters of {value!r}")
