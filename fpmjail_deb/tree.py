# SPDX-License-Identifier: GPL-2.0-or-later
"""EFFECT: writes a plan into an empty directory, with modes and times that owe nothing to whoever runs it."""

from __future__ import annotations

import os
from pathlib import Path

from fpmjail_deb.contents import Directory, Entry, File, PackagePlan, Symlink
from fpmjail_deb.metadata import control_files


def stage(plan: PackagePlan, root: Path) -> None:
    """Write the plan below `root`, an empty directory, as dpkg-deb(1) wants it. Raises BuildError, OSError."""
    for entry in plan.entries:
        put_entry(entry, root)
    control = root / "DEBIAN"
    control.mkdir()
    for name, text, mode in control_files(plan):
        put_file(control / name, text.encode(), mode)
    control.chmod(0o755)
    root.chmod(0o755)
    _set_times(root, plan.epoch)


def put_entry(entry: Entry, root: Path) -> None:
    """Write one entry below a directory; a directory that is there already stays. Raises OSError."""
    path = root / entry.path
    match entry:
        case Directory():
            path.mkdir(exist_ok=True)
            path.chmod(entry.mode)
        case File():
            put_file(path, entry.content, entry.mode)
        case Symlink():
            path.symlink_to(entry.target)


def put_file(path: Path, content: bytes, mode: int) -> None:
    """Write one file with its mode. Raises OSError."""
    path.write_bytes(content)
    path.chmod(mode)


def _set_times(root: Path, epoch: int) -> None:
    for directory, directories, files in os.walk(root):
        for name in (*directories, *files):
            os.utime(f"{directory}/{name}", (epoch, epoch), follow_symlinks=False)
    os.utime(root, (epoch, epoch))
