# SPDX-License-Identifier: GPL-2.0-or-later
"""Who is connected to which Unix socket, whatever names others give to theirs."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from fpmjail import connections

TABLE = """\
Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01 11111 /run/fpmjail/example.sock
0000000000000000: 00000003 00000000 00000000 0001 03 22222 /run/fpmjail/example.sock
0000000000000000: 00000002 00000000 00000000 0001 02     0 /run/fpmjail/example.sock
0000000000000000: 00000002 00000000 00010000 0001 01 33333 /run/fpmjail/other.sock
0000000000000000: 00000003 00000000 00000000 0001 03 44444
0000000000000000: 00000003 00000000 00000000 0001 03 55555 /run/a name with spaces
"""
FORGED = "a\n0: 00000003 00000000 00000000 0001 03 1 /run/fpmjail/other.sock"
NAMES = ("\udcff", "\0a\na b c zz e f g h", "\0\x85 1: 0 0 zz", FORGED)


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A socket with one connection that was accepted and two that wait, among others with names of any kind."""
    monkeypatch.chdir(tmp_path)
    Path(FORGED).parent.mkdir(parents=True)
    place = str(tmp_path / "example.sock")
    with ExitStack() as stack:

        def made() -> socket.socket:
            return stack.enter_context(socket.socket(socket.AF_UNIX))

        for name in (*NAMES, place):
            listener = made()
            listener.bind(os.fsencode(name))
            listener.listen()
        for _ in range(3):
            made().connect(place)
        stack.enter_context(listener.accept()[0])
        yield place


def test_connections_that_were_accepted_and_those_that_wait_count_and_the_listener_does_not(example: str) -> None:
    assert connections.by_path()[example] == 3


def test_no_name_of_a_socket_passes_for_a_connection_of_another(example: str) -> None:
    assert "/run/fpmjail/other.sock" not in connections.by_path()


def test_a_kernel_without_sock_diag_is_asked_for_its_table(example: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "SOCK_DIAG", 31)  # no such protocol
    with pytest.raises(OSError, match="not supported"):
        list(connections.answers())
    assert connections.by_path()[example] == 3


def test_the_table_is_read_line_by_line() -> None:
    counts = [(path, number) for path, number in connections.listed(TABLE + "\nzz\n\udcff: x\n") if number]
    example, spaces = "/run/fpmjail/example.sock", "/run/a name with spaces"
    assert counts == [(example, 1), (example, 1), (spaces, 1)]
