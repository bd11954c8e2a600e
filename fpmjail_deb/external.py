# SPDX-License-Identifier: GPL-2.0-or-later
"""EFFECT: runs the programs of other packages; what they say when they fail becomes one sentence."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fpmjail_deb.errors import BuildError, OutputError

PACKAGES = {"apt-ftparchive": "apt-utils", "gpg": "gpg", "aptly": "aptly", "dpkg-deb": "dpkg"}
"""Which package of Debian has a program."""


class ExternalError(BuildError):
    """A program failed; `words` are its own, on one line."""

    def __init__(self, program: str, words: str) -> None:
        self.words = words
        super().__init__(f"{program}: {words}")


@dataclass(frozen=True, slots=True)
class Started:
    """A program that runs beside us; it has to be ended with `output`."""

    program: str
    process: subprocess.Popen[bytes]

    def output(self) -> bytes:
        """Wait for its end and return what it wrote. Raises ExternalError, or OutputError when the disk is full."""
        written, said = self.process.communicate()
        if self.process.returncode:
            words = " ".join(said.decode(errors="replace").split())
            if os.strerror(errno.ENOSPC) in words:
                message = f"{self.program} cannot write: {os.strerror(errno.ENOSPC)}"
                raise OutputError(message, "make room, and publish again")
            raise ExternalError(self.program, words or f"it ended with status {self.process.returncode}")
        return written


def start(command: Sequence[str], *, place: Path | None = None, variables: Mapping[str, str] | None = None) -> Started:
    """Start a program; what it writes waits for `output` in a pipe. Raises BuildError when it is not installed."""
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC", **(variables or {})}
    pipe, null = subprocess.PIPE, subprocess.DEVNULL
    try:
        process = subprocess.Popen(command, cwd=place, env=environment, stdin=null, stdout=pipe, stderr=pipe)
    except FileNotFoundError:
        program = command[0]
        raise BuildError(f"{program} is not installed", f"apt install {PACKAGES.get(program, program)}") from None
    return Started(command[0], process)


def run(command: Sequence[str], *, place: Path | None = None, variables: Mapping[str, str] | None = None) -> bytes:
    """Run a program and return what it wrote.

    Raises ExternalError when it fails, OutputError when the disk is full, BuildError when it is not installed.
    """
    return start(command, place=place, variables=variables).output()


def outputs(started: Sequence[Started]) -> list[bytes]:
    """Wait for the end of all, and then raise what the first that failed does; return what they wrote."""
    failures: list[BuildError] = []
    written = []
    for one in started:
        try:
            written.append(one.output())
        except BuildError as error:
            failures.append(error)
    if failures:
        raise failures[0]
    return written
