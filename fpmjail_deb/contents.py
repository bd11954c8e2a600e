# SPDX-License-Identifier: GPL-2.0-or-later
"""A Debian package as a value: every path, every byte and every field of it, before anything is written.

All paths are relative to the root directory (`usr/share/...`), everything belongs to root:root.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from debian.debian_support import Version

from fpmjail_deb.errors import BuildError

SCRIPTS = ("preinst", "postinst", "prerm", "postrm")
ENABLED = ("etc/apache2/sites-enabled", "etc/nginx/sites-enabled")
FORBIDDEN = ("srv", "home", "run", "tmp", "lib", "bin", "sbin", *ENABLED)
"""Places that a site's package never ships anything into (Debian policy 9.1 and 10.1)."""

DATA = "var/www"
"""Below it each site has a directory, the only one that its package may ship code into."""

_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+")


@dataclass(frozen=True, slots=True, order=True)
class Directory:
    """A directory; other packages may ship it as well."""

    path: str
    mode: int = 0o755

    def __post_init__(self) -> None:
        _check_path(self.path)
        if self.mode != 0o755:
            raise BuildError(f"{self.path}: a packaged directory has mode 0755, not {self.mode:04o}")


@dataclass(frozen=True, slots=True, order=True)
class File:
    """A regular file; dpkg treats a conffile as the administrator's (policy 10.7.3)."""

    path: str
    content: bytes
    mode: int = 0o644
    conffile: bool = False

    def __post_init__(self) -> None:
        _check_path(self.path)
        if self.mode not in (0o644, 0o755):
            raise BuildError(f"{self.path}: a packaged file has mode 0644 or 0755, not {self.mode:04o}")
        if self.conffile != self.path.startswith("etc/"):
            raise BuildError(f"{self.path}: conffiles and files below /etc are the same set (policy 10.7)")

    @property
    def sha256(self) -> str:
        """Return the digest of the content."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True, slots=True, order=True)
class Symlink:
    """A symbolic link; `target` as it is stored."""

    path: str
    target: str

    def __post_init__(self) -> None:
        _check_path(self.path)
        if not self.target or not self.target.isprintable():
            raise BuildError(f"{self.path}: a link needs a target, not {self.target!r}")


Entry = Directory | File | Symlink
Code = tuple[File | Symlink, ...]
"""The code of a site, sorted by path."""


@dataclass(frozen=True, slots=True)
class PackagePlan:
    """All that a package is. `control` has no Installed-Size: `metadata` counts it from the entries.

    `epoch` is the time of every member, in seconds since 1970; `triggers` are the lines of deb-triggers(5).
    """

    control: tuple[tuple[str, str], ...]
    entries: tuple[Entry, ...]
    scripts: tuple[tuple[str, str], ...]
    epoch: int
    triggers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        paths = [entry.path for entry in self.entries]
        if paths != sorted(set(paths)):
            raise BuildError("the entries of a package are sorted by path, and no path stands there twice")
        known = {entry.path for entry in self.entries if isinstance(entry, Directory)}
        for path in paths:
            parent = str(PurePosixPath(path).parent)
            if parent not in known | {"."}:
                raise BuildError(f"{path}: its parent is not a directory of the package")
            _check_place(path, dict(self.control).get("Package", ""))
        _check_scripts(self.scripts)
        _check_control(dict(self.control))

    @property
    def package(self) -> str:
        """Return the name of the package."""
        return dict(self.control)["Package"]

    @property
    def version(self) -> str:
        """Return the whole Debian version."""
        return dict(self.control)["Version"]

    @property
    def file_name(self) -> str:
        """Return the name of the .deb, as archives expect it."""
        return f"{self.package}_{self.version}_{dict(self.control)['Architecture']}.deb"

    @property
    def files(self) -> tuple[File, ...]:
        """Return the regular files."""
        return tuple(entry for entry in self.entries if isinstance(entry, File))

    @property
    def conffiles(self) -> tuple[str, ...]:
        """Return the absolute paths of the conffiles."""
        return tuple(f"/{entry.path}" for entry in self.files if entry.conffile)

    def to_json(self) -> dict[str, object]:
        """Return the plan for people and programs that compare two of them; text stays readable."""
        return {
            "file": self.file_name,
            "control": dict(self.control),
            "scripts": dict(self.scripts),
            "conffiles": list(self.conffiles),
            "triggers": list(self.triggers),
            "epoch": self.epoch,
            "entries": [_entry_json(entry) for entry in self.entries],
        }


def with_parents(entries: tuple[File | Symlink, ...]) -> tuple[Entry, ...]:
    """Return the entries and all directories above them, sorted."""
    directories = {parent for entry in entries for parent in _above(entry.path)}
    return tuple(sorted((*entries, *map(Directory, directories)), key=lambda entry: entry.path))


def _above(path: str) -> Iterator[str]:
    """Yield the directories on the way to a plain path."""
    names = path.split("/")
    return ("/".join(names[:end]) for end in range(1, len(names)))


def _entry_json(entry: Entry) -> Mapping[str, object]:
    match entry:
        case Directory():
            return {"type": "directory", "path": entry.path, "mode": f"{entry.mode:04o}"}
        case Symlink():
            return {"type": "link", "path": entry.path, "target": entry.target}
        case File():
            facts = {"type": "file", "path": entry.path, "mode": f"{entry.mode:04o}", "conffile": entry.conffile}
            return {**facts, "sha256": entry.sha256, "size": len(entry.content), **_text_json(entry.content)}


def _text_json(content: bytes) -> Mapping[str, str]:
    try:
        return {"text": content.decode()}
    except UnicodeDecodeError:
        return {}


def _check_path(path: str) -> None:
    plain = str(PurePosixPath(path)) == path and not path.startswith("/") and ".." not in path.split("/")
    if not plain or path == "." or not path.isprintable():
        raise BuildError(f"{path!r} is not a plain path below the root directory")
    if any(path == place or path.startswith(f"{place}/") for place in FORBIDDEN):
        raise BuildError(f"{path}: nothing is ever shipped there")


def _check_place(path: str, package: str) -> None:
    """A site's package ships into the directory of the site, and beside it nothing."""
    own = f"{DATA}/{package.removeprefix('site-').removesuffix('-jail')}/"
    if path.startswith(f"{DATA}/") and not f"{path}/".startswith(own):
        raise BuildError(f"{path}: only what is below /{own} is the site's")


def _check_scripts(scripts: tuple[tuple[str, str], ...]) -> None:
    names = [name for name, _ in scripts]
    if names != sorted(set(names)) or not set(names) <= set(SCRIPTS):
        raise BuildError(f"not a set of maintainer scripts: {names}")
    for name, text in scripts:
        if not text.startswith("#!/bin/sh\n"):
            raise BuildError(f"{name}: maintainer scripts are for /bin/sh")


def _check_control(control: Mapping[str, str]) -> None:
    missing = [
        field for field in ("Package", "Version", "Architecture", "Maintainer", "Description") if field not in control
    ]
    if missing:
        raise BuildError(f"the control fields lack {', '.join(missing)}")
    if not _PACKAGE.fullmatch(control["Package"]):
        raise BuildError(f"{control['Package']!r} is not a package name")
    try:
        Version(control["Version"])
        good = control["Version"][0].isdigit()
    except ValueError:
        good = False
    if not good:
        raise BuildError(f"{control['Version']!r} is not a Debian version", "correct `version`")
