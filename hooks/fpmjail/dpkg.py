# SPDX-License-Identifier: MIT
"""Waits until dpkg and apt have finished, without ever standing in their way."""

from __future__ import annotations

import fcntl
import os
import struct
import time
from pathlib import Path

LOCKS = (Path("/var/lib/dpkg/lock-frontend"), Path("/var/lib/dpkg/lock"))
FLOCK = struct.Struct("hhqqi4x")  # struct flock on 64-bit Linux (fcntl(2)): type, whence, start, length, pid
INTERVAL = 0.2  # seconds between two looks
QUIET = 1.0  # seconds without a lock: unattended-upgrades lets go of it for a moment between its steps


def held(path: Path) -> bool:
    """True when a process holds the lock. Only asks (F_GETLK): taking it would make apt fail."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        asked = FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        answered: int = FLOCK.unpack(fcntl.fcntl(descriptor, fcntl.F_GETLK, asked))[0]
        return answered != fcntl.F_UNLCK
    finally:
        os.close(descriptor)


def busy() -> bool:
    """True while dpkg or a front end of it works."""
    return any(map(held, LOCKS))


def wait() -> None:
    """Return once dpkg has been left alone for a while."""
    quiet_since = time.monotonic()
    while time.monotonic() - quiet_since < QUIET:
        if busy():
            quiet_since = time.monotonic()
        time.sleep(INTERVAL)
