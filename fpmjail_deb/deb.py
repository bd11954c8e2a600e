# SPDX-License-Identifier: GPL-2.0-or-later
"""EFFECT: a plan becomes a .deb, which is opened again and compared with the plan before it gets its name."""

from __future__ import annotations

import errno
import io
import lzma
import os
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import ParamSpec, TypeVar

from debian.arfile import ArError
from debian.deb822 import Deb822
from debian.debfile import DebError, DebFile

from fpmjail_deb.contents import SCRIPTS, Directory, Entry, File, PackagePlan, Symlink
from fpmjail_deb.errors import BuildError, OutputError
from fpmjail_deb.metadata import control_files
from fpmjail_deb.tree import stage

BUILD_EACH = """
while [ $# -gt 0 ]; do
    SOURCE_DATE_EPOCH=$1 dpkg-deb --root-owner-group -Zxz -z0 --build "$2" "$4" 2>"$3" || rm -f "$4"
    shift 4
done
"""
"""Builds packages: for each the epoch, its directory, a file for what dpkg-deb complains of, and the package.

The compression is named, because the default differs between distributions; its bytes do not depend on the number of
processors. With so little to compress, the default level saves 700 bytes of 13 000 and takes four times as long (seen).
"""

WORKSHOP = ".fpmjail-deb-"
"""What the directories begin with in which packages are made; a killed build leaves one."""

MEMORY = Path("/dev/shm")
"""A file system in memory, shm_overview(7)."""

MEMORY_HINT = "is there enough memory? try fewer with -j"

P = ParamSpec("P")
T = TypeVar("T")

LARGEST_FILE = 16 * 1024 * 1024
"""The most bytes of one file that are read from a package: hundreds of times those of the largest."""


def build_package(plan: PackagePlan, output: Path) -> Path:
    """Write the package into the directory `output` and return its path.

    It appears there complete and proven, or not at all. Building the same plan again changes nothing. Raises
    BuildError when dpkg-deb fails, when what it wrote is not the plan, or when another package has that name already.
    """
    (built,) = build_packages([plan], output)
    if isinstance(built, BuildError):
        raise built
    return built


def build_packages(plans: Sequence[PackagePlan], output: Path) -> list[Path | BuildError]:
    """Do what `build_package` does for several plans; return the path of each package, or why there is none.

    One shell starts dpkg-deb for all of them: to start it from here takes half as long as its work (seen).
    """
    try:
        with _writing(output), _workshops(output) as workshops:
            staged = [_tried(_staged, plan, output, workshops, f"{number}") for number, plan in enumerate(plans)]
            _run_dpkg_deb([one for one in staged if isinstance(one, _Staged)])
            return [_tried(_finished, one) if isinstance(one, _Staged) else one for one in staged]
    except BuildError as error:
        return [error for _ in plans]


def _tried(step: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T | BuildError:
    try:
        return step(*arguments, **named)
    except BuildError as error:
        return error


@contextmanager
def _writing(target: Path) -> Iterator[None]:
    """Raises OutputError with the name of the target when it cannot be written."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"{target} cannot be written: {error.strerror or error}") from error


def compare(plan: PackagePlan, package: Path) -> None:
    """Open a .deb and compare every name, mode, owner, time, link, byte and field with the plan. Raises BuildError."""
    with DebFile(str(package)) as found:
        _differ("control files", _planned_control(plan), _found_control(_unpacked(found, "control.tar.xz")))
        _differ("entries", _planned_entries(plan), dict(_found_entries(_unpacked(found, "data.tar.xz"))))


def _unpacked(package: DebFile, name: str) -> tarfile.TarFile:
    """Return an archive of a package that was made here, out of memory: in one piece it takes half the time."""
    try:
        content = lzma.decompress(package.getmember(name).read())
        return tarfile.open(fileobj=io.BytesIO(content), mode="r:")
    except _UNREADABLE as error:
        raise BuildError(f"dpkg-deb made a package without a whole {name}: {error}") from error


def read_package(path: Path) -> PackagePlan:
    """Return what a package of this program's holds, as it was planned. Raises BuildError for anything else."""
    if not path.is_file():
        raise BuildError(f"{path} is no file", "name a .deb that fpmjail-deb built")
    try:
        with DebFile(str(path)) as package:
            return _planned_as(package)
    except _UNREADABLE as error:
        message = f"{path} is not a package that fpmjail-deb built: {error}"
        raise BuildError(message, "name another, or remove it and build it again") from error


_UNREADABLE = (
    ArError, BuildError, DebError, EOFError, LookupError, OSError, ValueError,
    lzma.LZMAError, tarfile.TarError, zlib.error,
)  # fmt: skip


def _planned_as(package: DebFile) -> PackagePlan:
    fields = Deb822(package.control.get_content("control", encoding="utf-8"))
    archive = package.data.tgz()
    members = [member for member in archive.getmembers() if _path(member) not in ("", ".")]
    control = package.control.tgz()
    scripts = {_path(member): _content(control, member).decode() for member in control.getmembers()}
    return PackagePlan(
        control=tuple((name, value) for name, value in fields.items() if name != "Installed-Size"),
        entries=tuple(sorted((_entry(archive, member) for member in members), key=attrgetter("path"))),
        scripts=tuple((name, scripts[name]) for name in sorted(SCRIPTS) if name in scripts),
        epoch=int(members[0].mtime),
    )


def _entry(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Entry:
    path = _path(member)
    if member.isdir():
        return Directory(path, member.mode)
    if member.issym():
        return Symlink(path, member.linkname)
    if not member.isfile() or member.size > LARGEST_FILE:
        raise BuildError(f"{path} is no file of a site")
    return File(path, _content(archive, member), member.mode, conffile=path.startswith("etc/"))


def _path(member: tarfile.TarInfo) -> str:
    return member.name.removeprefix("./").rstrip("/")


@dataclass(frozen=True, slots=True)
class _Staged:
    """A plan that is written into the directory `root`; what dpkg-deb makes of it gets the name `target`."""

    plan: PackagePlan
    target: Path
    root: Path
    package: Path

    @property
    def words(self) -> Path:
        """Return where dpkg-deb's complaints are."""
        return self.root.with_name(f"{self.root.name}.words")


def _staged(plan: PackagePlan, output: Path, workshops: Sequence[Path], name: str) -> _Staged:
    """Write a plan into the first of the directories that has room. Raises BuildError."""
    target = output / plan.file_name
    for workshop in workshops[:-1]:
        with suppress(OSError):
            return _Staged(plan, target, _written(plan, workshop / name), workshops[-1] / f"{name}.deb")
    with _writing(target):
        return _Staged(plan, target, _written(plan, workshops[-1] / name), workshops[-1] / f"{name}.deb")


def _written(plan: PackagePlan, root: Path) -> Path:
    root.mkdir()
    stage(plan, root)
    return root


def _run_dpkg_deb(staged: Sequence[_Staged]) -> None:
    """Let dpkg-deb make the packages, one after the other. Raises BuildError if it is not installed.

    Where one cannot be made there is none, and dpkg-deb's words.
    """
    import sh  # brings asyncio along, and publish only reads packages

    environment = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "TZ": "UTC", "DPKG_COLORS": "never"}
    each = [word for one in staged for word in (f"{one.plan.epoch}", one.root, one.words, one.package)]
    try:
        sh.Command("dpkg-deb")
        # Nobody reads what the shell says; of Python's files none is open in it anyway (PEP 446).
        shell = sh.sh(
            "-c", BUILD_EACH, "sh", *each,
            _env=environment, _bg=True, _bg_exc=False, _new_session=True,
            _no_out=True, _no_err=True, _tty_out=False, _close_fds=False,
        )  # fmt: skip
    except sh.CommandNotFound as error:
        raise BuildError("dpkg-deb is not installed", "install the package dpkg") from error
    try:
        shell.wait()
    except sh.ErrorReturnCode as error:
        raise BuildError(f"the shell that starts dpkg-deb was killed: {type(error).__name__}", MEMORY_HINT) from None
    except BaseException:
        with suppress(ProcessLookupError):
            shell.kill_group()
        raise


def _finished(one: _Staged) -> Path:
    """Prove what dpkg-deb made, and give it its name. Raises BuildError."""
    with _writing(one.target):
        if not one.package.exists():
            raise _refused(one.plan.file_name, " ".join(one.words.read_text(errors="replace").split()))
        compare(one.plan, one.package)
        _publish(one.package, one.target)
    return one.target


def _refused(name: str, words: str) -> BuildError:
    kind = OutputError if os.strerror(errno.ENOSPC) in words else BuildError
    return kind(f"dpkg-deb cannot build {name}: {words}")


@contextmanager
def _workshops(output: Path) -> Iterator[Sequence[Path]]:
    """Make directories to work in: in memory, if there is such a file system, as on a disk it takes five times as long
    (seen); and beside the packages."""
    output.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        places = []
        with suppress(OSError):
            places.append(stack.enter_context(_workshop(MEMORY, f"{WORKSHOP}{os.getpid()}-")))
        places.append(stack.enter_context(_workshop(output, WORKSHOP)))
        yield tuple(map(Path, places))


def _workshop(place: Path, prefix: str) -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix=prefix, dir=place, ignore_cleanup_errors=True)


def sweep(output: Path) -> None:
    """Delete what killed builds left in an output directory, which nobody else may use meanwhile, and in memory."""
    for left in output.glob(f"{WORKSHOP}*"):
        shutil.rmtree(left, ignore_errors=True)
    for left in MEMORY.glob(f"{WORKSHOP}*-*"):
        process = left.name.removeprefix(WORKSHOP).partition("-")[0]
        with suppress(OSError):
            if left.lstat().st_uid == os.getuid() and not Path("/proc", process).exists():
                shutil.rmtree(left)


def _publish(made: Path, target: Path) -> None:
    """Give the package its name unless that is taken: archives refuse a changed .deb under an old version."""
    os.chmod(made, 0o644)  # noqa: PTH101
    with made.open("rb") as file:
        os.fsync(file.fileno())
    try:
        _name(made, target)
    except FileExistsError:
        if target.read_bytes() != made.read_bytes():
            hint = "raise `version` in the site description"
            raise BuildError(f"{target} is there already, with another content", hint) from None


def _name(made: Path, target: Path) -> None:
    """Give a file a second name, which fails if somebody else has taken that, at whatever moment."""
    try:
        target.hardlink_to(made)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if target.exists():
            raise FileExistsError(target) from None
        made.replace(target)


def _differ(what: str, planned: Mapping[str, object], found: Mapping[str, object]) -> None:
    """Raise BuildError when the package is not what was planned."""
    names = sorted(name for name in planned.keys() | found.keys() if planned.get(name) != found.get(name))
    if names:
        shown = ", ".join(f"{name}: planned {planned.get(name)!r}, found {found.get(name)!r}" for name in names[:3])
        raise BuildError(f"the package is not what was planned ({what}): {shown}", "this is a fault of fpmjail-deb")


def _planned_control(plan: PackagePlan) -> Mapping[str, object]:
    return {name: (mode, text.encode()) for name, text, mode in control_files(plan)}


def _found_control(archive: tarfile.TarFile) -> Mapping[str, object]:
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
        path = _path(member)
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
