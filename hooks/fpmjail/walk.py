# SPDX-License-Identifier: MIT
"""Walks trees that a site's user can change while root looks: by descriptors, no link followed, no mount entered."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from fpmjail import files
from fpmjail.facts import Entry

DEEPEST = 60  # levels: one descriptor is open for each
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_RESOLVE = files.RESOLVE_NO_SYMLINKS | files.RESOLVE_BENEATH | files.RESOLVE_NO_XDEV

Enter = Callable[[Entry], bool]


def below(root: Path, enter: Enter = lambda entry: True) -> Iterator[Entry]:
    """Everything below a directory, itself not; `enter` says for each directory whether to go in.

    What vanishes or cannot be entered meanwhile is left out. Nothing when `root` is missing, or a link stands on the
    way to it.
    """
    try:
        descriptor = files.open_directory(root)
    except (OSError, files.UnsafePath):
        return
    try:
        yield from _below(descriptor, str(root), enter, 0)
    finally:
        os.close(descriptor)


def named(directory: Path, names: Iterable[str]) -> tuple[Entry, ...]:
    """Some names of a directory, as far as they are there; nothing when a link stands on the way to it."""
    try:
        descriptor = files.open_directory(directory)
    except (OSError, files.UnsafePath):
        return ()
    try:
        return tuple(found for name in names if (found := _entry(descriptor, name, f"{directory}/{name}")))
    finally:
        os.close(descriptor)


def _entry(directory: int, name: str, path: str) -> Entry | None:
    try:
        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
    except OSError:
        return None
    return Entry(path, status.st_mode, status.st_uid, status.st_gid)


def _below(directory: int, path: str, enter: Enter, depth: int) -> Iterator[Entry]:
    for name in _names(directory):
        found = _entry(directory, name, f"{path}/{name}")
        if found is None:
            continue
        yield found
        if stat.S_ISDIR(found.mode) and depth < DEEPEST and enter(found):
            yield from _inside(directory, name, found.path, enter, depth)


def _names(directory: int) -> list[str]:
    with suppress(OSError):
        return sorted(os.listdir(directory))
    return []


def _inside(directory: int, name: str, path: str, enter: Enter, depth: int) -> Iterator[Entry]:
    try:
        descriptor = _open(directory, name)
    except OSError:
        return
    try:
        yield from _below(descriptor, path, enter, depth + 1)
    finally:
        os.close(descriptor)


def _open(directory: int, name: str) -> int:
    try:
        return files.openat2(directory, name, _DIRECTORY, _RESOLVE)
    except files.Refused:
        return os.open(name, _DIRECTORY, dir_fd=directory)
