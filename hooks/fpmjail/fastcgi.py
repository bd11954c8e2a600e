# SPDX-License-Identifier: MIT
"""A small, strict FastCGI client: one request over one unix socket.

The answer comes from a process that the site controls, so every byte of it is untrusted: `Decoder` and
`parse_response` are pure and raise `FastcgiError` for anything that the specification does not allow.
Source: the FastCGI Specification 1.0, sections 3.3, 3.4, 5 and 8; RFC 3875 section 6 for the response.
"""

from __future__ import annotations

import socket as sockets
import struct
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

BEGIN_REQUEST, END_REQUEST, PARAMS, STDIN, STDOUT, STDERR = 1, 3, 4, 5, 6, 7
HEADER = struct.Struct("!BBHHBx")
VERSION = 1
RESPONDER = 1
REQUEST_ID = 1
LARGEST_CONTENT = 0xFFFF
LARGEST_ANSWER = 1 << 20
LARGEST_READ = 1 << 16
REFUSALS = {1: "cannot multiplex", 2: "overloaded", 3: "unknown role"}


class FastcgiError(Exception):
    """The request got no complete, well-formed answer."""


class Unreachable(FastcgiError):
    """Nobody listens at the socket, or this process may not connect."""


class DeadlineExceeded(FastcgiError):
    """The whole request took longer than its deadline."""


class WorkerDied(FastcgiError):
    """The connection ended before the answer did: the worker crashed or was killed."""


@dataclass(frozen=True, slots=True)
class Response:
    """One CGI response; header names are lower case, in the order in which they came."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    stderr: bytes

    def header(self, name: str) -> str | None:
        """The first header of this name, or None."""
        return next((value for known, value in self.headers if known == name.lower()), None)


def _record(kind: int, content: bytes) -> bytes:
    return HEADER.pack(VERSION, kind, REQUEST_ID, len(content), 0) + content


def _stream(kind: int, content: bytes) -> bytes:
    pieces = [content[at : at + LARGEST_CONTENT] for at in range(0, len(content), LARGEST_CONTENT)]
    return b"".join(_record(kind, piece) for piece in [*pieces, b""])


def _length(size: int) -> bytes:
    return struct.pack("!B", size) if size < 0x80 else struct.pack("!I", size | 0x80000000)


def _pair(name: str, value: str) -> bytes:
    raw_name, raw_value = name.encode(errors="surrogateescape"), value.encode(errors="surrogateescape")
    return _length(len(raw_name)) + _length(len(raw_value)) + raw_name + raw_value


def encode(params: Mapping[str, str], body: bytes) -> bytes:
    """The bytes of one responder request that asks for the connection to be closed after the answer."""
    begin = _record(BEGIN_REQUEST, struct.pack("!HB5x", RESPONDER, 0))
    pairs = b"".join(_pair(name, value) for name, value in params.items())
    return begin + _stream(PARAMS, pairs) + _stream(STDIN, body)


@dataclass(slots=True)
class Decoder:
    """Collects the records of one answer; `limit` is the most content, in bytes, that it accepts."""

    limit: int = LARGEST_ANSWER
    stdout: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)
    finished: bool = False
    _pending: bytearray = field(default_factory=bytearray)
    _closed: set[int] = field(default_factory=set)

    def feed(self, received: bytes) -> None:
        """Takes the next bytes in pieces of any size; raises FastcgiError at the first that cannot belong there."""
        self._pending += received
        while (record := self._next_record()) is not None:
            self._take(*record)
        if self.finished and self._pending:
            raise FastcgiError("more bytes came after the end of the answer")

    def _next_record(self) -> tuple[int, bytes] | None:
        if self.finished or len(self._pending) < HEADER.size:
            return None
        version, kind, request, size, padding = HEADER.unpack_from(self._pending)
        _require_known(version, kind, request)
        end = HEADER.size + size
        if len(self._pending) < end + padding:
            return None
        content = bytes(self._pending[HEADER.size : end])
        del self._pending[: end + padding]
        return kind, content

    def _take(self, kind: int, content: bytes) -> None:
        if kind == END_REQUEST:
            _require_complete(content)
            self.finished = True
            return
        if kind in self._closed:
            raise FastcgiError("a stream went on after its end")
        if not content:
            self._closed.add(kind)
        target = self.stdout if kind == STDOUT else self.stderr
        target += content
        if len(self.stdout) + len(self.stderr) > self.limit:
            raise FastcgiError(f"the answer is larger than {self.limit} bytes")


def _require_known(version: int, kind: int, request: int) -> None:
    if version != VERSION:
        raise FastcgiError(f"not FastCGI: version {version} where 1 was expected")
    if request != REQUEST_ID:
        raise FastcgiError(f"an answer to request {request}, which nobody made")
    if kind not in (STDOUT, STDERR, END_REQUEST):
        raise FastcgiError(f"a record of type {kind} does not belong in an answer")


def _require_complete(content: bytes) -> None:
    if len(content) != 8:
        raise FastcgiError(f"an end record of {len(content)} bytes where 8 were expected")
    protocol_status = content[4]
    if protocol_status:
        reason = REFUSALS.get(protocol_status, f"protocol status {protocol_status}")
        raise FastcgiError(f"PHP-FPM refused the request: {reason}")


def parse_response(stdout: bytes, stderr: bytes = b"") -> Response:
    """Splits a CGI response into status, headers and body; raises FastcgiError where it is none (RFC 3875, 6.2)."""
    head, separator, body = stdout.partition(b"\r\n\r\n")
    if not separator:
        raise FastcgiError("the answer has no header block")
    headers = tuple(_parse_header(line) for line in head.split(b"\r\n"))
    status = next((value for name, value in headers if name == "status"), "200")
    return Response(_parse_status(status), headers, body, stderr)


def _parse_header(line: bytes) -> tuple[str, str]:
    name, separator, value = line.decode("latin-1").partition(":")
    if not separator or not name or not name.isascii() or not name.isprintable() or " " in name:
        raise FastcgiError(f"a malformed header line: {line[:80]!r}")
    return name.lower(), value.strip(" \t")


def _parse_status(value: str) -> int:
    code = value[:3]
    if not (len(code) == 3 and code.isascii() and code.isdigit() and value[3:4] in ("", " ")):
        raise FastcgiError(f"a malformed status: {value[:80]!r}")
    return int(code)


def request(
    socket: Path, params: Mapping[str, str], body: bytes = b"", *, timeout: float, limit: int = LARGEST_ANSWER
) -> Response:
    """Asks the FPM behind `socket` once; `timeout` is in seconds and covers everything, connecting included.

    Raises Unreachable, DeadlineExceeded, WorkerDied, or FastcgiError itself for an answer that is malformed.
    """
    deadline = time.monotonic() + timeout
    with sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM | sockets.SOCK_CLOEXEC) as connection:
        try:
            _connect(connection, socket, deadline)
            return _exchange(connection, encode(params, body), deadline, limit)
        except TimeoutError as error:
            raise DeadlineExceeded(f"no complete answer within {timeout:g} s") from error


@contextmanager
def conversation(socket: Path, params: Mapping[str, str], *, timeout: float) -> Iterator[Response]:
    """Ask, and go on once the first line of the answer's body is there; the script runs until the end of the block.

    It notices then that nobody listens any more. `timeout` in seconds is for that first line. Raises as `request`
    does.
    """
    deadline = time.monotonic() + timeout
    with sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM | sockets.SOCK_CLOEXEC) as connection:
        try:
            _connect(connection, socket, deadline)
            response = _first_line(connection, encode(params, b""), deadline)
        except TimeoutError as error:
            raise DeadlineExceeded(f"no answer within {timeout:g} s") from error
        except (ConnectionResetError, BrokenPipeError) as error:
            raise WorkerDied("the connection was reset before the answer began") from error
        yield response


def _first_line(connection: sockets.socket, question: bytes, deadline: float) -> Response:
    decoder = Decoder()
    connection.sendall(question)
    while not (decoder.finished or b"\n" in bytes(decoder.stdout).partition(b"\r\n\r\n")[2]):
        connection.settimeout(_remaining(deadline))
        received = connection.recv(LARGEST_READ)
        if not received:
            raise WorkerDied("the connection was closed before the answer began")
        decoder.feed(received)
    return parse_response(bytes(decoder.stdout), bytes(decoder.stderr))


def _connect(connection: sockets.socket, socket: Path, deadline: float) -> None:
    connection.settimeout(_remaining(deadline))
    try:
        connection.connect(str(socket))
    except TimeoutError:
        raise
    except OSError as error:
        raise Unreachable(f"{socket}: {error.strerror or error}") from error


def _exchange(connection: sockets.socket, question: bytes, deadline: float, limit: int) -> Response:
    decoder = Decoder(limit)
    try:
        connection.settimeout(_remaining(deadline))
        connection.sendall(question)
        while not decoder.finished:
            connection.settimeout(_remaining(deadline))
            received = connection.recv(LARGEST_READ)
            if not received:
                raise WorkerDied("the connection was closed before the answer was complete")
            decoder.feed(received)
    except (ConnectionResetError, BrokenPipeError) as error:
        raise WorkerDied("the connection was reset before the answer was complete") from error
    return parse_response(bytes(decoder.stdout), bytes(decoder.stderr))


def _remaining(deadline: float) -> float:
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds
