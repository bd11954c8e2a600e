# SPDX-License-Identifier: GPL-2.0-or-later
"""EFFECT: serves a repository over HTTP, for a trial. What many servers update from is served by a web server."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from fpmjail_deb.errors import UsageError, quote

LOOPBACK = "127.0.0.1"
_PLACE = re.compile(r"(?:(?P<address>[0-9.]+|\[[0-9a-fA-F:.]+\]):)?(?P<port>[0-9]{1,5})")


class _Server(ThreadingHTTPServer):
    daemon_threads = True


class _Server6(_Server):
    address_family = socket.AF_INET6


def place(text: str) -> tuple[str, int]:
    """Return the address and port of PORT, ADDRESS:PORT or [ADDRESS]:PORT. Raises UsageError."""
    found = _PLACE.fullmatch(text)
    if not found or int(found["port"]) > 65535:
        raise UsageError(f"--serve: expected a port or ADDRESS:PORT, found {quote(text)}", "for example: --serve 8080")
    return (found["address"] or LOOPBACK).strip("[]"), int(found["port"])


def serve(directory: Path, address: str, port: int, ready: Callable[[str], None]) -> None:
    """Serve a directory until an interrupt; `ready` is told the address. Raises OSError when the port is taken."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(directory))
    with (_Server6 if ":" in address else _Server)((address, port), handler) as server:
        host = f"[{address}]" if ":" in address else address
        ready(f"http://{host}:{server.server_address[1]}")
        server.serve_forever()
