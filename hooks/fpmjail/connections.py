# SPDX-License-Identifier: MIT
"""How many connections each Unix socket has, asked of the kernel by sock_diag(7).

A site may bind a socket with any bytes in its name. /proc/net/unix shows them as they are, a line break too, so that a
name could pass for the connection of another site; sock_diag tells names with their lengths.
"""

from __future__ import annotations

import os
import re
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

TABLE = Path("/proc/net/unix")
ROW = re.compile(r"[0-9a-f]+: [0-9A-F]{8} [0-9A-F]{8} ([0-9A-F]{8}) [0-9A-F]{4} [0-9A-F]{2} +[0-9]+ (.+)")
LISTENS = 0x10000  # /proc/net/unix, __SO_ACCEPTCON

# linux/netlink.h, linux/sock_diag.h, linux/unix_diag.h
SOCK_DIAG, BY_FAMILY, DUMP = 4, 20, 0x301
ERROR, DONE = 2, 3
EVERY_STATE, LISTEN = 0xFFFFFFFF, 10
NAME, QUEUE = 0, 4  # attributes; a listener's queue holds those that were not accepted yet
SHOW = 1 << NAME | 1 << QUEUE
REQUEST = struct.Struct("=IHHII BBHIIIII")  # nlmsghdr, unix_diag_req
HEADER, MESSAGE, ATTRIBUTE = struct.Struct("=IH"), struct.Struct("=16x2xB13x"), struct.Struct("=HH")
PATIENCE, LARGEST = 5.0, 1 << 17

Rows = Iterator[tuple[str, int]]


def by_path() -> dict[str, int]:
    """The connections of each socket, accepted or waiting, by its path."""
    found: dict[str, int] = {}
    try:
        rows = [row for answer in answers() for row in told(answer)]
    except OSError:  # a kernel without CONFIG_UNIX_DIAG
        rows = list(listed(TABLE.read_bytes().decode(errors="replace")))
    for path, number in rows:
        if number:
            found[path] = found.get(path, 0) + number
    return found


def answers() -> Iterator[bytes]:
    """What the kernel says about all Unix sockets, message by message. Raises OSError if it does not."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, SOCK_DIAG) as kernel:
        kernel.settimeout(PATIENCE)
        asked = (socket.AF_UNIX, 0, 0, EVERY_STATE, 0, SHOW, EVERY_STATE, EVERY_STATE)
        kernel.send(REQUEST.pack(REQUEST.size, BY_FAMILY, DUMP, 1, 0, *asked))
        while True:
            for kind, message in parts(kernel.recv(LARGEST), HEADER):
                if kind == DONE:
                    return
                if kind == ERROR:
                    raise OSError(-struct.unpack_from("=i", message, 16)[0], "sock_diag")
                yield message


def told(message: bytes) -> Rows:
    """The socket of one message, with how many connections that is."""
    (state,) = MESSAGE.unpack_from(message)
    values = dict(parts(message[MESSAGE.size :], ATTRIBUTE))
    path = os.fsdecode(values.get(NAME, b"")[ATTRIBUTE.size :].rstrip(b"\0"))
    waiting = values.get(QUEUE, b"")[ATTRIBUTE.size :]
    yield path, struct.unpack_from("=I", waiting)[0] if state == LISTEN and waiting else int(state != LISTEN)


def parts(data: bytes, head: struct.Struct) -> Iterator[tuple[int, bytes]]:
    """Messages or attributes with their kinds: each begins with its length, and the next one after a multiple of 4."""
    while len(data) >= head.size:
        length, kind = head.unpack_from(data)
        yield kind, data[:length]
        data = data[max(head.size, (length + 3) & ~3) :]


def listed(table: str) -> Rows:
    """The same out of the text of /proc/net/unix."""
    for line in table.split("\n"):
        row = ROW.match(line)
        if row:
            yield row[2], int(not int(row[1], 16) & LISTENS)
