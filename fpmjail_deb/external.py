# SPDX-License-Identifier: GPL-2.0-or-later
"""EFFECT: runs the programs of other packages; what they say when they fail becomes one sentence."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from fpmjail_deb.errors import BuildError, OutputError

PACKAGES = {"apt-ftparchive": "apt-utils", "gpg": "gpg", "aptly": "aptly"}
"""Which package of Debian has a program."""


class ExternalError(BuildError):
    """A program failed; `words` are its own, on one line."""

    def __init__(self, program: str, words: str) -> None:
        self.words = words
        super().__init__(f"{program}: {words}")


def run(command: Sequence[str], *, place: Path | None = None, variables: Mapping[str, str] | None = None) -> bytes:
    """Run a program and return what it wrote.

    Raises ExternalError when it fails, OutputError when the disk is full, BuildError when it is not installed.
    """
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC", **(variables or {})}
    try:
        done = subprocess.run(command, cwd=place, env=environment, capture_output=True, stdin=subprocess.DEVNULL)
    except FileNotFoundError:
        program = command[0]
        raise BuildError(f"{program} is not installed", f"apt install {PACKAGES.get(program, program)}") from None
    if done.returncode:
        words = " ".join(done.stderr.decode(errors="replace").split())
        if os.strerror(errno.ENOSPC) in words:
            raise OutputError(f"{command[0]} cannot write: {os.strerror(errno.ENOSPC)}", "make room, and publish again")
        raise ExternalError(command[0], words or f"it ended with status {done.returncode}")
    return done.stdout
