# SPDX-License-Identifier: GPL-2.0-or-later
"""Small packages, and what a server would say of a repository."""

from __future__ import annotations

import hashlib
import re
import subprocess
from pathlib import Path

from fpmjail_deb.contents import File, PackagePlan, with_parents
from fpmjail_deb.deb import build_package
from tests.fleet import Published

EPOCH = 1767225600


def deb(directory: Path, version: str, name: str = "site-a-jail", text: str = "", architecture: str = "all") -> Path:
    """Build a package with a text in it."""
    control = (
        ("Package", name),
        ("Version", version),
        ("Architecture", architecture),
        ("Maintainer", "Web Team <web@example.org>"),
        ("Section", "web"),
        ("Priority", "optional"),
        ("Description", "a package"),
    )
    file = File(f"usr/share/doc/{name}/text", f"{text or version}\n".encode())
    return build_package(PackagePlan(control, with_parents((file,)), (), EPOCH), directory)


def faults(repository: Published) -> list[str]:
    """Everything that a server would not take: signatures, indexes and packages that are not as they are said to be."""
    found = []
    for suite in sorted((repository.public / "dists").iterdir()):
        signed = suite / "InRelease"
        for words in ([signed], [suite / "Release.gpg", suite / "Release"]):
            command = ["gpg", "--homedir", str(repository.home), "--batch", "--verify", *map(str, words)]
            checked = subprocess.run(command, capture_output=True)
            found += [f"{signed}: {checked.stderr.decode()}"] if checked.returncode else []
        if (suite / "Release").read_text() not in signed.read_text():
            found.append(f"{signed} and Release differ")
        for sha256, size, name in re.findall(r"^ ([0-9a-f]{64}) +(\d+) (\S+)$", signed.read_text(), re.MULTILINE):
            index = suite / name
            for file in (index, index.parent / "by-hash/SHA256" / sha256):
                found += [] if _is(file, sha256, int(size)) else [f"{file} is not what {signed} says"]
            if index.name == "Packages":
                found += _package_faults(repository, index)
    return found


def _package_faults(repository: Published, index: Path) -> list[str]:
    return [
        f"{index}: {row['Filename']}"
        for row in paragraphs(index)
        if not _is(repository.public / row["Filename"], row["SHA256"], int(row["Size"]))
    ]


def paragraphs(index: Path) -> list[dict[str, str]]:
    """The fields of every package of an index."""
    texts = [text for text in index.read_text().split("\n\n") if text.strip()]
    return [dict(re.findall(r"^(\S+): (.*)$", text, re.MULTILINE)) for text in texts]


def _is(file: Path, sha256: str, size: int) -> bool:
    try:
        content = file.read_bytes()
    except OSError:
        return False
    return len(content) == size and hashlib.sha256(content).hexdigest() == sha256


def versions(repository: Published, name: str = "site-a-jail", release: str = "trixie") -> list[str]:
    """The versions of a package that servers find, oldest first."""
    index = repository.public / "dists" / release / "main/binary-amd64/Packages"
    return [row["Version"] for row in paragraphs(index) if row["Package"] == name]
