# SPDX-License-Identifier: MIT
"""Writing files so that neither a power cut nor a site's user can do harm.

Root never follows a path that somebody else can change: directories are opened without following any
symbolic link (openat2(2), or step by step where the kernel refuses it), and owners are set on descriptors.
"""

from __future__ import annotations

import errno
import fcntl
import grp
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

RESOLVE_NO_XDEV = 0x01
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
_OPENAT2 = 437  # the same number on every architecture of Debian 12 and 13
WEB_USER = WEB_GROUP = "www-data"  # Apache's and nginx's; base-passwd has it on every Debian
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class UnsafePath(Exception):
    """A path that somebody else than root could redirect, or that is not what it should be."""


class Refused(OSError):
    """The kernel or a container does not offer openat2(2)."""


class Locked(Exception):
    """Somebody else holds the lock."""


def openat2(directory: int, name: str, flags: int, resolve: int) -> int:
    """openat2(2): a descriptor of `name` below the descriptor `directory`.

    Raises `Refused` where the call is not offered, else the OSError of the kernel (ELOOP: a symbolic link, EXDEV:
    a mount or a way out).
    """
    import ctypes

    how = (ctypes.c_uint64 * 3)(flags | os.O_CLOEXEC, 0, resolve)
    library = ctypes.CDLL(None, use_errno=True)
    descriptor: int = library.syscall(
        ctypes.c_long(_OPENAT2), ctypes.c_int(directory), os.fsencode(name), ctypes.byref(how), ctypes.c_size_t(24)
    )
    if descriptor >= 0:
        return descriptor
    number = ctypes.get_errno()
    if number in (errno.ENOSYS, errno.EPERM):
        raise Refused(number, os.strerror(number), name)
    raise OSError(number, os.strerror(number), name)


def open_directory(path: Path) -> int:
    """A descriptor of the absolute directory `path`, reached from / without following a symbolic link.

    Raises UnsafePath for a symbolic link or something that is no directory, FileNotFoundError if it is missing.
    """
    parts = _parts(path)
    root = os.open("/", _DIRECTORY)
    try:
        return _open_below(root, parts) if parts else os.dup(root)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.EXDEV):
            raise UnsafePath(f"{path}: a symbolic link or not a directory stands on the way") from error
        raise
    finally:
        os.close(root)


def _parts(path: Path) -> tuple[str, ...]:
    if not path.is_absolute() or ".." in path.parts:
        raise UnsafePath(f"{path}: not an absolute path without `..`")
    return path.parts[1:]


def _open_below(root: int, parts: tuple[str, ...]) -> int:
    try:
        return openat2(root, "/".join(parts), _DIRECTORY, RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH)
    except Refused:
        return _open_step_by_step(root, parts)


def _open_step_by_step(root: int, parts: tuple[str, ...]) -> int:
    """What openat2(2) does at once, for kernels and containers without it."""
    descriptor = os.dup(root)
    for part in parts:
        try:
            following = os.open(part, _DIRECTORY, dir_fd=descriptor)
        finally:
            os.close(descriptor)
        descriptor = following
    return descriptor


def make_directory(path: Path, uid: int, gid: int, mode: int, *, adopt: bool = False) -> bool:
    """Make sure that `path` is a directory of `uid`:`gid`; True if anything was changed.

    Every directory above it must belong to root and be writable for root only (or sticky, as /tmp), so that nobody
    can exchange what is looked at. The mode is enforced on new directories and on root's own; a site's user may
    choose the mode of his. A directory that belongs to a third party is refused unless `adopt` is given.
    Raises UnsafePath, FileNotFoundError if the parent is missing.
    """
    parent = open_directory(path.parent)
    try:
        _check_ancestors(path.parent)
        made = _make(parent, path.name, mode)
        return _settle(parent, path, uid, gid, mode, made, adopt) or made
    finally:
        os.close(parent)


def make_run(directory: Path) -> None:
    """Make sure that /run/fpmjail is there, as in fpmjail.tmpfiles. Its set-group-ID bit gives a socket that systemd
    makes in it to the web server's group: for SocketGroup= systemd starts a process of its own for each socket, two
    thirds of a boot with 1000 sites (seen)."""
    make_directory(directory, 0, grp.getgrnam(WEB_GROUP).gr_gid, 0o2755)


def make_public(directory: Path) -> None:
    """Make sure that a directory below root's own is there, with those above it, for everybody to look into."""
    if not directory.is_dir():
        directory.mkdir(parents=True)
        directory.chmod(0o755)


def _check_ancestors(path: Path) -> None:
    """Top down: once a directory is only root's to write, what was seen below it cannot be exchanged."""
    for directory in (*reversed(path.parents), path):
        descriptor = open_directory(directory)
        try:
            _check_trusted(directory, os.fstat(descriptor))
        finally:
            os.close(descriptor)


def _check_trusted(path: Path, status: os.stat_result) -> None:
    if status.st_uid not in (0, os.geteuid()):
        raise UnsafePath(f"{path}: belongs to uid {status.st_uid}, not to root")
    if status.st_mode & 0o022 and not status.st_mode & stat.S_ISVTX:
        raise UnsafePath(f"{path}: writable for others than root (mode {stat.S_IMODE(status.st_mode):04o})")


def _make(parent: int, name: str, mode: int) -> bool:
    with suppress(FileExistsError):
        os.mkdir(name, mode, dir_fd=parent)
        return True
    return False


def _settle(parent: int, path: Path, uid: int, gid: int, mode: int, made: bool, adopt: bool) -> bool:
    try:
        descriptor = os.open(path.name, _DIRECTORY, dir_fd=parent)
    except OSError as error:
        raise UnsafePath(f"{path}: is there and is not a directory") from error
    try:
        status = os.fstat(descriptor)
        ours = (0, os.geteuid(), uid)
        if status.st_uid not in ours and not adopt:
            raise UnsafePath(f"{path}: is there and belongs to uid {status.st_uid}")
        owner = _set_owner(descriptor, status, uid, gid)
        enforce = made or owner or uid in (0, os.geteuid())
        return _set_mode(descriptor, status, mode) or owner if enforce else owner
    finally:
        os.close(descriptor)


def _set_owner(descriptor: int, status: os.stat_result, uid: int, gid: int) -> bool:
    if (status.st_uid, status.st_gid) == (uid, gid):
        return False
    os.fchown(descriptor, uid, gid)
    return True


def _set_mode(descriptor: int, status: os.stat_result, mode: int) -> bool:
    if stat.S_IMODE(status.st_mode) == mode:
        return False
    os.fchmod(descriptor, mode)
    return True


def replace_file(path: Path, content: bytes, mode: int = 0o644, gid: int | None = None) -> bool:
    """Make `path` a file with this content by temporary name, fsync and rename; False if it already was.

    `gid` None is this process's own group, or that of a directory with the set-group-ID bit.
    """
    if _is_file(path, content, mode, gid):
        return False
    temporary = _temporary(path)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if gid is not None:
                os.fchown(file.fileno(), -1, gid)
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)
    return True


def replace_json(path: Path, value: object) -> bool:
    """As `replace_file`, with a value as JSON on one line."""
    import json

    return replace_file(path, json.dumps(value, separators=(",", ":")).encode() + b"\n")


def _is_file(path: Path, content: bytes, mode: int, gid: int | None) -> bool:
    try:
        status = path.lstat()
        alike = stat.S_ISREG(status.st_mode) and stat.S_IMODE(status.st_mode) == mode
        alike = alike and gid in (None, status.st_gid)
        return alike and status.st_size == len(content) and path.read_bytes() == content
    except FileNotFoundError:
        return False


def is_temporary(path: Path) -> bool:
    """Whether this is the name under which a file is written before it gets its own."""
    return path.name.startswith(".") and path.name.endswith(".new")


def _temporary(path: Path) -> Path:
    """One name per target: whoever writes holds the lock, so a leftover is of a killed run and goes."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    return temporary


def replace_link(path: Path, target: str) -> bool:
    """Make `path` a symbolic link to `target` by one rename(2); False if it already was."""
    with suppress(OSError):
        if str(path.readlink()) == target:
            return False
    temporary = _temporary(path)
    temporary.symlink_to(target)
    temporary.rename(path)
    sync_directory(path.parent)
    return True


def touch(path: Path) -> None:
    """Make `path` exist and set its time to now; a symbolic link is refused (ELOOP)."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)
    try:
        os.utime(descriptor)
    finally:
        os.close(descriptor)


def sync_directory(path: Path) -> None:
    """fsync(2) of a directory: the names in it survive a power cut."""
    descriptor = os.open(path, _DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_filesystem(path: Path) -> None:
    """syncfs(2): all data of the filesystem of `path` is on the disk; an OSError says what was lost (ENOSPC, EIO)."""
    import ctypes

    descriptor = os.open(path, _DIRECTORY)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(ctypes.c_int(descriptor)):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(path))
    finally:
        os.close(descriptor)


@contextmanager
def lock(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold flock(2) on `path`, which is made if missing. Raises Locked if it is taken and `wait` is False."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as error:
            raise Locked(f"{path} is held by another run") from error
        yield
    finally:
        os.close(descriptor)
