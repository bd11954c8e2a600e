# SPDX-License-Identifier: GPL-2.0-or-later
"""Who has a port."""

from __future__ import annotations

import socket
from pathlib import Path

from world import put

from fpmjail import ports

TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0
   1: 0100007F:0050 0100007F:9000 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 100 0 0 10 0
   2: 00000000:01BB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1 0 100 0 0 10 0
"""


def test_only_sockets_that_listen_count() -> None:
    assert ports.sockets(TABLE, 80) == {"4711"}
    assert ports.sockets(TABLE, 443) == {"4713"}
    assert ports.sockets(TABLE, 8080) == frozenset()


def test_the_program_that_holds_a_port_is_named(tmp_path: Path) -> None:
    put(tmp_path, "net/tcp", TABLE)
    put(tmp_path, "17/comm", "apache2\n")
    (tmp_path / "17/fd").mkdir()
    (tmp_path / "17/fd/3").symlink_to("socket:[4711]")
    put(tmp_path, "18/comm", "other\n")
    assert ports.holders(80, tmp_path) == ("apache2",)
    assert ports.holders(443, tmp_path) == ("?",)
    assert ports.holders(22, tmp_path) == ()


def test_this_very_process_is_found_by_its_port() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        assert ports.holders(listening.getsockname()[1]) == ()
        listening.listen()
        assert ports.holders(listening.getsockname()[1]) == (Path("/proc/self/comm").read_text().strip(),)
