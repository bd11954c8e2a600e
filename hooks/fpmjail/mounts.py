# SPDX-License-Identifier: MIT
"""The mount table, and the only code that deletes trees.

Every usual way of deleting a tree deletes through a read-write bind mount of the same filesystem, even
`rm --one-file-system` and `shutil.rmtree`. The walker here opens each directory by openat2(2) with RESOLVE_NO_XDEV:
the kernel itself refuses to enter a mount or to follow a link.
"""

from __future__ import annotations

import errno
import os
import re
import sys
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from fpmjail.files import (
    RESOLVE_BENEATH,
    RESOLVE_NO_SYMLINKS,
    RESOLVE_NO_XDEV,
    Refused,
    UnsafePath,
    open_directory,
    openat2,
)

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_RESOLVE = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH
_DEEPEST = 100  # one descriptor is open per level; deeper trees are lifted to the top first


class Kept(Exception):
    """A tree was not removed, or not completely, because that could have harmed something else."""


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of /proc/self/mountinfo (proc(5)); `root` is the mounted directory of the filesystem."""

    device: str
    root: str
    target: str
    options: tuple[str, ...]
    shared: bool
    filesystem: str
    source: str


def _plain(field: str) -> str:
    if "\\" not in field:
        return field
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), field)


def parse(text: str) -> tuple[Mount, ...]:
    """The mounts in the text of mountinfo, in its order; spaces and the like are written as octal escapes there."""
    mounts = []
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        fields, rest = before.split(" "), after.split(" ")
        if len(fields) < 6 or len(rest) < 2:
            continue
        mounts.append(
            Mount(
                device=fields[2],
                root=_plain(fields[3]),
                target=_plain(fields[4]),
                options=tuple(fields[5].split(",")),
                shared=any(field.startswith("shared:") for field in fields[6:]),
                filesystem=rest[0],
                source=_plain(rest[1]),
            )
        )
    return tuple(mounts)


def current() -> tuple[Mount, ...]:
    """The mounts that this process sees now."""
    return parse(Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape"))


def unit(path: Path) -> str:
    """The unit that mounts something at a path (systemd.unit(5), string escaping)."""
    plain = str(path).strip("/")
    escaped = "".join(
        "-" if character == "/" else character if _kept(character, place) else _octets(character)
        for place, character in enumerate(plain)
    )
    return f"{escaped}.mount"


def _kept(character: str, place: int) -> bool:
    return character.isascii() and (character.isalnum() or character in ":_" or (character == "." and place > 0))


def _octets(character: str) -> str:
    return "".join(f"\\x{octet:02x}" for octet in character.encode())


def mounts_below(path: Path, mounts: tuple[Mount, ...] | None = None) -> tuple[Mount, ...]:
    """The mounts at `path` or below it, the deepest first: the order in which they can be unmounted."""
    place = str(path)
    table = current() if mounts is None else mounts
    found = [mount for mount in table if mount.target == place or mount.target.startswith(place.rstrip("/") + "/")]
    return tuple(reversed(found))


def of(path: Path, mounts: tuple[Mount, ...] | None = None) -> Mount | None:
    """The mount on which a path lies: the last of the deepest ones at or above it."""
    table = current() if mounts is None else mounts
    above = [mount for mount in table if path.is_relative_to(mount.target)]
    return max(reversed(above), key=lambda mount: len(mount.target), default=None)


def remove_tree(path: Path) -> bool:
    """Delete the directory `path` with all it holds; False if it is not there.

    Raises Kept if something is mounted at or below it, if a symbolic link stands on the way to it, or where the
    kernel does not offer openat2(2): then nothing, or only a part that was safe to delete, is gone.
    """
    blocking = mounts_below(path)
    if blocking:
        raise Kept(f"{path} is kept: {blocking[0].target} is mounted")
    try:
        parent = open_directory(path.parent)
    except FileNotFoundError:
        return False
    except UnsafePath as error:
        raise Kept(f"{path} is kept: {error}") from error
    try:
        return _remove_from(parent, path)
    finally:
        os.close(parent)


def discard(path: Path) -> None:
    """Delete a tree that is only in the way; one that cannot be deleted stays, and that is said on standard error.

    For what a later run tries again, where the reason for deleting it matters more than that it stays.
    """
    try:
        remove_tree(path)
    except (Kept, OSError) as error:
        print(f"fpmjail: {error}", file=sys.stderr, flush=True)


def _remove_from(parent: int, path: Path) -> bool:
    try:
        top = openat2(parent, path.name, _DIRECTORY, _RESOLVE)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise _reason(path, error) from error
    try:
        _empty(top, path)
    finally:
        os.close(top)
    os.rmdir(path.name, dir_fd=parent)
    return True


def _empty(top: int, path: Path) -> None:
    """Until nothing is left: directories that lie too deep were lifted to the top by the round before."""
    lifted = count()
    try:
        while os.listdir(top):
            _empty_directory(top, top, 0, lifted)
    except OSError as error:
        raise _reason(path, error) from error


def _empty_directory(directory: int, top: int, depth: int, lifted: count[int]) -> None:
    with os.scandir(directory) as entries:
        found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_directory in found:
        if not is_directory:
            os.unlink(name, dir_fd=directory)
        elif depth >= _DEEPEST:
            os.rename(name, f".deep-{next(lifted)}-{os.getpid()}", src_dir_fd=directory, dst_dir_fd=top)
        else:
            _remove_directory(directory, name, top, depth, lifted)


def _remove_directory(directory: int, name: str, top: int, depth: int, lifted: count[int]) -> None:
    descriptor = openat2(directory, name, _DIRECTORY, _RESOLVE)
    try:
        _empty_directory(descriptor, top, depth + 1, lifted)
    finally:
        os.close(descriptor)
    os.rmdir(name, dir_fd=directory)


def _reason(path: Path, error: OSError) -> Kept:
    if isinstance(error, Refused):
        return Kept(f"{path} is kept: this kernel or container does not offer openat2, which makes deleting safe")
    if error.errno == errno.EXDEV:
        return Kept(f"{path} is kept: something is mounted below it")
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        return Kept(f"{path} is kept: it is not a directory, or it changed meanwhile")
    return Kept(f"{path} is kept: {error}")
