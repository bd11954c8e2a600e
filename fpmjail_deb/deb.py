# SPDX-License-Identifier: GPL-2.0-or-later
"""EFFECT: a plan becomes a .deb, which is opened again and compared with the plan before it gets its name."""

from __future__ import annotations

import os
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import sh
from debian.deb822 import Deb822
from debian.debfile import DebFile

from fpmjail_deb.contents import Directory, Entry, File, PackagePlan, Symlink
from fpmjail_deb.errors import BuildError
from fpmjail_deb.metadata import control_file, control_files
from fpmjail_deb.tree import stage

COMPRESSION = "xz"
"""Named, because the default differs between distributions; its bytes do not depend on the number of processors."""


def build_package(plan: PackagePlan, output: Path) -> Path:
    """Write the package into the directory `output` and return its path.

    It appears there complete and proven, or not at all. Building the same plan again changes nothing. Raises
    BuildError when dpkg-deb fails, when what it wrote is not the plan, or when another package has that name already.
    """
    target = output / plan.file_name
    try:
        output.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fpmjail-deb-", dir=output) as workshop:
            made = _made(plan, Path(workshop))
            compare(plan, made)
            _publish(made, target)
    except OSError as error:
        raise BuildError(f"{target} cannot be written: {error.strerror or error}") from error
    return target


def compare(plan: PackagePlan, package: Path) -> None:
    """Open a .deb and compare every name, mode, owner, time, link, byte and field with the plan. Raises BuildError."""
    with DebFile(str(package)) as found:
        _differ("control files", _planned_control(plan), _found_control(found))
        _differ("control fields", _fields(control_file(plan)), _fields(str(found.debcontrol().dump())))
        _differ("entries", _planned_entries(plan), dict(_found_entries(found.data.tgz())))


def _made(plan: PackagePlan, workshop: Path) -> Path:
    root, package = workshop / "root", workshop / "package.deb"
    root.mkdir()
    stage(plan, root)
    environment = {
        "PATH": os.defpath,
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "DPKG_COLORS": "never",
        "SOURCE_DATE_EPOCH": str(plan.epoch),
    }
    try:
        dpkg_deb = sh.Command("dpkg-deb")
        str(dpkg_deb("--root-owner-group", f"-Z{COMPRESSION}", "--build", str(root), str(package), _env=environment))
    except sh.CommandNotFound as error:
        raise BuildError("dpkg-deb is not installed", "install the package dpkg") from error
    except sh.ErrorReturnCode as error:
        words = " ".join(error.stderr.decode(errors="replace").split())
        raise BuildError(f"dpkg-deb cannot build {plan.file_name}: {words}") from error
    return package


def _publish(made: Path, target: Path) -> None:
    """Give the package its name unless that is taken: archives refuse a changed .deb under an old version."""
    os.chmod(made, 0o644)  # noqa: PTH101
    with made.open("rb") as file:
        os.fsync(file.fileno())
        content = file.read()
    if target.exists() and target.read_bytes() != content:
        raise BuildError(f"{target} is there already, with another content", "raise `version` in the site description")
    made.replace(target)
    with suppress(OSError):
        _sync_directory(target.parent)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _differ(what: str, planned: Mapping[str, object], found: Mapping[str, object]) -> None:
    """Raise BuildError when the package is not what was planned."""
    names = sorted(name for name in planned.keys() | found.keys() if planned.get(name) != found.get(name))
    if names:
        shown = ", ".join(f"{name}: planned {planned.get(name)!r}, found {found.get(name)!r}" for name in names[:3])
        raise BuildError(f"the package is not what was planned ({what}): {shown}", "this is a fault of fpmjail-deb")


def _fields(control: str) -> Mapping[str, object]:
    return dict(Deb822(control).items())


def _planned_control(plan: PackagePlan) -> Mapping[str, object]:
    return {name: (mode, text.encode()) for name, text, mode in control_files(plan)}


def _found_control(found: DebFile) -> Mapping[str, object]:
    archive = found.control.tgz()
    return {
        member.name.removeprefix("./"): (member.mode, _content(archive, member))
        for member in archive.getmembers()
        if member.isfile()
    }


def _planned_entries(plan: PackagePlan) -> Mapping[str, object]:
    return {entry.path: (*_planned(entry), "root", "root", plan.epoch) for entry in plan.entries}


def _planned(entry: Entry) -> tuple[object, ...]:
    match entry:
        case Directory():
            return "directory", entry.mode, ""
        case File():
            return "file", entry.mode, entry.content
        case Symlink():
            return "link", 0o777, entry.target


def _found_entries(archive: tarfile.TarFile) -> Iterator[tuple[str, object]]:
    for member in archive.getmembers():
        path = member.name.removeprefix("./").rstrip("/")
        if path not in ("", "."):
            yield path, (*_found(archive, member), member.uname, member.gname, member.mtime)


def _found(archive: tarfile.TarFile, member: tarfile.TarInfo) -> tuple[object, ...]:
    if member.isdir():
        return "directory", member.mode, ""
    if member.issym():
        return "link", member.mode, member.linkname
    return "file" if member.isfile() else "special", member.mode, _content(archive, member)


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    return file.read() if file else b""
