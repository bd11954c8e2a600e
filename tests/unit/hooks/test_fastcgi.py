# SPDX-License-Identifier: GPL-2.0-or-later
"""The FastCGI client: what it sends, what it accepts, and that no answer can harm it."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fpmjail import fastcgi
from fpmjail.fastcgi import END_REQUEST, STDERR, STDOUT, Decoder, FastcgiError

HEAD = b"Content-Type: text/plain\r\n\r\n"
COMPLETE = struct.pack("!IB3x", 0, 0)


def record(kind: int, content: bytes, padding: int = 0, version: int = 1, request: int = 1) -> bytes:
    return struct.pack("!BBHHBx", version, kind, request, len(content), padding) + content + b"\0" * padding


def answer(body: bytes) -> bytes:
    return record(STDOUT, HEAD + body) + record(END_REQUEST, COMPLETE)


def pieces_of(whole: bytes, cuts: list[int]) -> Iterator[bytes]:
    places = sorted({min(cut, len(whole)) for cut in cuts} | {0, len(whole)})
    for start, end in pairwise(places):
        yield whole[start:end]


def params_in(request: bytes) -> dict[str, str]:
    """An independent reader of the params stream, as the specification words it (section 3.4)."""
    stream, at = b"", 0
    while at < len(request):
        _, kind, _, size, padding, _ = struct.unpack_from("!BBHHBB", request, at)
        stream += request[at + 8 : at + 8 + size] if kind == 4 else b""
        at += 8 + size + padding
    found, at = {}, 0
    while at < len(stream):
        sizes = []
        for _ in range(2):
            wide = stream[at] >> 7
            sizes.append(int.from_bytes(stream[at : at + 4], "big") & 0x7FFFFFFF if wide else stream[at])
            at += 4 if wide else 1
        name, value = stream[at : at + sizes[0]], stream[at + sizes[0] : at + sum(sizes)]
        found[name.decode()] = value.decode()
        at += sum(sizes)
    return found


@contextmanager
def fpm(directory: Path, behave: Callable[[socket.socket], None]) -> Iterator[Path]:
    """Somebody who listens like FPM and treats the first connection as `behave` says."""
    path = directory / "fpm.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1 << 16)
                behave(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield path
        thread.join(5)


@given(
    st.lists(st.tuples(st.sampled_from([STDOUT, STDERR]), st.binary(min_size=1, max_size=300), st.integers(0, 255))),
    st.lists(st.integers(0, 4000)),
)
def test_an_answer_means_the_same_however_it_is_cut(records: list[tuple[int, bytes, int]], cuts: list[int]) -> None:
    whole = b"".join(record(*one) for one in records) + record(END_REQUEST, COMPLETE)
    decoder = Decoder()
    for piece in pieces_of(whole, cuts):
        decoder.feed(piece)
    assert decoder.finished
    assert decoder.stdout == b"".join(content for kind, content, _ in records if kind == STDOUT)
    assert decoder.stderr == b"".join(content for kind, content, _ in records if kind == STDERR)


@given(st.lists(st.binary(max_size=200)))
def test_no_bytes_make_the_decoder_fail_otherwise_than_by_its_own_error(pieces: list[bytes]) -> None:
    decoder = Decoder(limit=100)
    try:
        for piece in pieces:
            decoder.feed(piece)
    except FastcgiError as error:
        assert str(error)
    else:
        assert len(decoder.stdout) + len(decoder.stderr) <= 100


@given(st.one_of(st.binary(), st.binary().map(lambda body: HEAD + body)))
def test_no_bytes_make_the_response_parser_fail_otherwise_than_by_its_own_error(stdout: bytes) -> None:
    try:
        response = fastcgi.parse_response(stdout)
    except FastcgiError as error:
        assert str(error)
    else:
        assert stdout.endswith(response.body)
        assert 0 <= response.status <= 999


@given(
    st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.text(max_size=400)),
    st.integers(0, 70000),
)
def test_parameters_of_any_length_arrive_as_they_were_given(params: dict[str, str], length: int) -> None:
    given_params = params | {"LONG": "x" * length}
    assert params_in(fastcgi.encode(given_params, b"")) == given_params


@pytest.mark.parametrize(
    ("received", "reason"),
    [
        (record(STDOUT, b"x", version=2), "version 2"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "not FastCGI"),
        (record(STDOUT, b"x", request=7), "request 7"),
        (record(11, b""), "type 11"),
        (record(END_REQUEST, b"short"), "5 bytes"),
        (record(END_REQUEST, struct.pack("!IB3x", 0, 2)), "overloaded"),
        (record(END_REQUEST, struct.pack("!IB3x", 0, 99)), "protocol status 99"),
        (record(END_REQUEST, COMPLETE) + b"x", "after the end"),
        (record(STDOUT, b"") + record(STDOUT, b"x"), "went on after its end"),
        (record(STDOUT, b"x" * 60) + record(STDERR, b"x" * 60), "larger than 100 bytes"),
    ],
)
def test_what_does_not_belong_in_an_answer_is_named(received: bytes, reason: str) -> None:
    with pytest.raises(FastcgiError, match=reason):
        Decoder(limit=100).feed(received)


def test_a_response_is_split_into_status_headers_and_body() -> None:
    response = fastcgi.parse_response(b"Status: 404 Not Found\r\nX-A: 1\r\nx-a: 2\r\n\r\na\r\n\r\nb", b"said")
    assert (response.status, response.body, response.stderr) == (404, b"a\r\n\r\nb", b"said")
    assert response.headers == (("status", "404 Not Found"), ("x-a", "1"), ("x-a", "2"))
    assert response.header("X-A") == "1"
    assert response.header("Location") is None


@pytest.mark.parametrize("stdout", [b"", b"no end", b"Bad Name: 1\r\n\r\n", b"Status: ok\r\n\r\n", b": x\r\n\r\n"])
def test_a_response_without_proper_headers_is_refused(stdout: bytes) -> None:
    with pytest.raises(FastcgiError):
        fastcgi.parse_response(stdout)


def test_a_request_gets_its_answer(tmp_path: Path) -> None:
    with fpm(tmp_path, lambda connection: connection.sendall(answer(b"hello"))) as path:
        response = fastcgi.request(path, {"SCRIPT_FILENAME": "/x.php"}, b"body", timeout=5)
    assert (response.status, response.body) == (200, b"hello")


def test_a_connection_that_ends_early_means_that_the_worker_died(tmp_path: Path) -> None:
    half = answer(b"hello")[:-4]
    with fpm(tmp_path, lambda connection: connection.sendall(half)) as path, pytest.raises(fastcgi.WorkerDied):
        fastcgi.request(path, {}, timeout=5)


def test_a_connection_that_is_reset_means_that_the_worker_died(tmp_path: Path) -> None:
    def crash(connection: socket.socket) -> None:
        connection.shutdown(socket.SHUT_RD)
        connection.close()

    with fpm(tmp_path, crash) as path, pytest.raises(fastcgi.WorkerDied):
        fastcgi.request(path, {"LONG": "x" * 4_000_000}, timeout=5)


def test_the_deadline_covers_an_answer_that_comes_drop_by_drop(tmp_path: Path) -> None:
    stop = threading.Event()

    def drip(connection: socket.socket) -> None:
        for byte in answer(b"x" * 1000):
            if stop.wait(0.02):
                return
            connection.sendall(bytes([byte]))

    started = time.monotonic()
    with fpm(tmp_path, drip) as path:
        with pytest.raises(fastcgi.DeadlineExceeded, match=r"within 0\.3 s"):
            fastcgi.request(path, {}, timeout=0.3)
        stop.set()
    assert time.monotonic() - started < 2


def test_a_socket_that_is_not_there_is_unreachable(tmp_path: Path) -> None:
    with pytest.raises(fastcgi.Unreachable, match="No such file"):
        fastcgi.request(tmp_path / "none.sock", {}, timeout=1)


def test_an_answer_without_end_is_cut_off(tmp_path: Path) -> None:
    def flood(connection: socket.socket) -> None:
        for _ in range(100):
            connection.sendall(record(STDOUT, b"x" * 60000))

    def serve(connection: socket.socket) -> None:
        with pytest.raises(OSError):
            flood(connection)

    with fpm(tmp_path, serve) as path, pytest.raises(FastcgiError, match="larger than 1000 bytes"):
        fastcgi.request(path, {}, timeout=5, limit=1000)
