# SPDX-License-Identifier: GPL-2.0-or-later
"""EFFECT: reads the code that a site's package brings along from the disk.

dpkg unpacks as root, so nothing of it may lie where the site's user can write: he would put a link there.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from fpmjail_deb import references
from fpmjail_deb.contents import Code, File, Symlink
from fpmjail_deb.errors import BuildError, Problem, printable
from fpmjail_deb.site import Site
from fpmjail_deb.site_names import site_names

LARGEST = 16 * 1024 * 1024
"""The most bytes of one file: what `deb.read_package` reads again."""

LEFT_OUT = frozenset({".git", ".gitattributes", ".gitignore", ".gitkeep", ".gitmodules", ".hg", ".svn", ".bzr", "CVS"})
"""What version control keeps beside the code; a visitor could read all of its history there."""


def code_directory(site: Site) -> Path | None:
    """Return where a site's code lies: beside the description, or beside the directory `debian` that has it."""
    if site.code is None:
        return None
    beside = Path(site.file).absolute().parent
    return (beside.parent if beside.name == "debian" else beside) / site.code


def read_code(site: Site) -> Code:
    """Return the entries that a site's code becomes, sorted by path. Raises BuildError."""
    directory = code_directory(site)
    if directory is None:
        return ()
    try:
        found = tuple(_found(directory, PurePosixPath(), site))
    except OSError as error:
        raise refused(site, f"{error.filename or directory} cannot be read: {error.strerror or error}") from error
    if not found:
        raise refused(site, f"there is no file in {directory}")
    return tuple(sorted(found, key=lambda entry: entry.path))


def _found(directory: Path, below: PurePosixPath, site: Site) -> Iterator[File | Symlink]:
    for entry in sorted(os.scandir(directory / below), key=lambda entry: entry.name):
        path = below / entry.name
        if entry.name in LEFT_OUT:
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _found(directory, path, site)
        else:
            _refuse_writable(path, site)
            yield _entry(directory, path, site)


def _entry(directory: Path, path: PurePosixPath, site: Site) -> File | Symlink:
    place = f"{site_names(site).document_root.lstrip('/')}/{path}"
    status = (directory / path).lstat()
    if stat.S_ISLNK(status.st_mode):
        return Symlink(place, _target(directory, path, site))
    if not stat.S_ISREG(status.st_mode):
        raise refused(site, f"{printable(str(path))} is neither a file nor a directory nor a link")
    if status.st_size > LARGEST:
        raise refused(site, f"{path} has {status.st_size} bytes, more than {LARGEST}", "keep it elsewhere")
    return File(place, (directory / path).read_bytes(), 0o755 if status.st_mode & stat.S_IXUSR else 0o644)


def _target(directory: Path, path: PurePosixPath, site: Site) -> str:
    """Return where a link leads: to the code itself, or it would show what is not the site's."""
    target = str((directory / path).readlink())
    inside = os.path.normpath(path.parent / target)
    if target.startswith("/") or inside.split("/")[0] == "..":
        raise refused(site, f"{printable(str(path))} is a link that leads out of the code", "make it a file")
    return target


def _refuse_writable(path: PurePosixPath, site: Site) -> None:
    for directory in map(PurePosixPath, site.writable):
        if path.is_relative_to(directory) or directory.is_relative_to(path):
            message = f"{printable(str(path))} lies where the site can write (writable: {directory})"
            raise refused(site, message, "take it out: root unpacks nothing there")


def refused(site: Site, message: str, hint: str = "correct the path or the code") -> BuildError:
    """Return the error that names the line with the site's code."""
    places = dict(site.origins)
    problem = Problem(places.get("code", places["site"]), "code", message, hint)
    return BuildError(f"{problem}; {references.see([problem])}")
