# SPDX-License-Identifier: MIT
"""Who listens on a TCP port of this host: two web servers cannot have the same one."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path

LISTENING = "0A"  # proc(5): TCP_LISTEN
TABLES = ("net/tcp", "net/tcp6")


def sockets(text: str, port: int) -> frozenset[str]:
    """The inodes of the sockets that listen on a port, out of the text of /proc/net/tcp or tcp6."""
    rows = (line.split() for line in text.splitlines()[1:])
    return frozenset(
        row[9] for row in rows if len(row) > 9 and row[3] == LISTENING and int(row[1].rpartition(":")[2], 16) == port
    )


def holders(port: int, proc: Path = Path("/proc")) -> tuple[str, ...]:
    """The names of the programs that listen on the port; a socket that belongs to no process we see is `?`."""
    inodes = frozenset[str]().union(*(sockets(_text(proc / name), port) for name in TABLES))
    if not inodes:
        return ()
    return tuple(sorted({_text(process / "comm").strip() or "?" for process in _owners(proc, inodes)})) or ("?",)


def ipv6() -> bool:
    """True when a program can listen on every IPv6 address of this host, so that `listen [::]:80` works."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::", 0))
    except OSError:
        return False
    return True


def _owners(proc: Path, inodes: frozenset[str]) -> Iterator[Path]:
    for process in proc.glob("[0-9]*"):
        if not inodes.isdisjoint(_open_sockets(process)):
            yield process


def _open_sockets(process: Path) -> Iterator[str]:
    try:
        for descriptor in (process / "fd").iterdir():
            if found := re.fullmatch(r"socket:\[([0-9]+)\]", str(descriptor.readlink())):
                yield found[1]
    except OSError:
        return  # the process has ended


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
