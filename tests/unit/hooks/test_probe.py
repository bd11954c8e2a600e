# SPDX-License-Identifier: GPL-2.0-or-later
"""What probes are told, and how their answers are believed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from email import message_from_bytes
from email.policy import HTTP
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fpmjail import fastcgi, probe
from fpmjail.fastcgi import Response

NONCE = "0123456789abcdef" * 2
PROBES = Path(__file__).parents[3] / "hooks/probes"
SPINE = ["charsets", "dns", "locale-c", "php", "services", "sessions", "temporary-files", "timezones", "tls", "uploads"]
EXPECTED = probe.Expectation(
    version="8.4",
    generation="0123456789abcdef",
    charsets=("CP1252",),
    extensions=("curl",),
    directories=("/var/www/example/htdocs",),
    present=frozenset({"/etc/hosts", "/etc/services"}),
    hosts=("localhost",),
)


def page(body: bytes, status: int = 200, stderr: bytes = b"") -> Response:
    return Response(status, (), body, stderr)


def said(checks: object, nonce: str = NONCE) -> Response:
    return page(json.dumps({"nonce": nonce, "checks": checks}).encode())


def test_every_capability_of_a_site_has_a_probe() -> None:
    assert list(probe.available(PROBES, SPINE)) == SPINE


def test_a_capability_without_a_probe_is_not_asked(tmp_path: Path) -> None:
    (tmp_path / "php.php").touch()
    assert probe.available(tmp_path, ["fonts", "php", "../php"]) == ("php",)


def test_checks_that_are_all_true_leave_nothing_to_say() -> None:
    assert probe.judge(NONCE, said({"a": True, "b": True})) == ()


def test_a_check_that_failed_is_quoted() -> None:
    assert probe.judge(NONCE, said({"a": True, "CP1252": "iconv(): Wrong encoding"})) == (
        "CP1252: iconv(): Wrong encoding",
    )


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (page(b"File not found.\n", 404, b"Primary script unknown"), "404: File not found. Primary script unknown"),
        (page(b"", 500), "500: (nothing)"),
        (page(b"<br>Fatal error"), "did not answer in JSON: <br>Fatal error"),
        (page(b"[" * 100000), "did not answer in JSON"),
        (page(b"[]"), "nonce"),
        (said({"a": True}, nonce="f" * 32), "somebody else"),
        (said({}), "checked nothing"),
        (said([True]), "checked nothing"),
        (said({"a": 1}), "a: failed without a word"),
        (said({"a": ""}), "a: failed without a word"),
        (said({"a": False}), "a: failed without a word"),
    ],
)
def test_an_answer_that_proves_nothing_is_a_failure(response: Response, reason: str) -> None:
    findings = probe.judge(NONCE, response)
    assert len(findings) == 1
    assert reason in findings[0]


@given(st.text())
def test_no_text_can_steer_a_terminal_or_break_a_line(text: str) -> None:
    line = probe.printable(text)
    assert line == "" or line.isprintable()
    assert len(line) <= probe.LONGEST_TEXT


@given(st.recursive(st.none() | st.booleans() | st.text(), lambda inner: st.dictionaries(st.text(), inner)))
def test_only_true_is_good_whatever_json_comes_back(checks: object) -> None:
    passed = probe.judge(NONCE, said(checks)) == ()
    assert passed == (isinstance(checks, dict) and checks != {} and all(seen is True for seen in checks.values()))


def test_each_probe_is_told_only_what_it_compares() -> None:
    assert probe.arguments("charsets", EXPECTED) == {"charsets": ["CP1252"]}
    assert probe.arguments("dns", EXPECTED) == {"dns": "resolver", "present": ["/etc/hosts"], "hosts": ["localhost"]}
    assert probe.arguments("services", EXPECTED)["present"] == ["/etc/services"]
    assert probe.arguments("tls", EXPECTED) == {}
    assert probe.arguments("php", EXPECTED) == {
        "version": "8.4",
        "generation": "0123456789abcdef",
        "extensions": ["curl"],
        "directories": ["/var/www/example/htdocs"],
        "shell": False,
    }


def test_a_host_without_a_hosts_file_asks_for_no_name() -> None:
    bare = probe.Expectation(version="8.4", generation="", charsets=(), hosts=("localhost",))
    assert probe.arguments("dns", bare) == {"dns": "resolver", "present": [], "hosts": []}


def test_the_upload_is_what_a_browser_sends() -> None:
    content_type, body = probe.body_of("uploads")
    message = message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body, policy=HTTP)
    (part,) = message.iter_parts()
    assert part.get_param("name", header="content-disposition") == "probe"
    content = part.get_payload(decode=True)
    assert isinstance(content, bytes)
    assert hashlib.sha256(content).hexdigest() == probe.arguments("uploads", EXPECTED)["sha256"]


def test_package_names_become_the_names_that_php_knows() -> None:
    assert probe.extensions_of(["curl", "mysql"]) == ("curl", "mysqli", "pdo_mysql")


def test_the_server_s_own_extensions_are_read_without_its_complaints() -> None:
    listing = (
        "Warning: PHP Startup: Unable to load dynamic library 'gone'\n"
        "[PHP Modules]\nCore\ncurl\nZend OPcache\n\n[Zend Modules]\nZend OPcache\n"
    )
    assert probe.modules(listing) == ("Core", "Zend OPcache", "curl")
    assert probe.modules("php-fpm8.4: not installed") == ()


@pytest.mark.parametrize(
    ("hosts", "names"),
    [
        ("127.0.0.1 localhost\n", ("localhost",)),
        ("127.0.0.1\tme.example.org localhost # home\n", ("localhost",)),
        ("# 127.0.0.1 localhost\n::1 localhost\n", ()),
        ("", ()),
    ],
)
def test_only_a_hosts_file_that_names_localhost_promises_it(hosts: str, names: tuple[str, ...]) -> None:
    assert probe.loopback_names(hosts) == names


def test_a_probe_is_asked_with_a_fresh_nonce_and_its_path_in_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Mapping[str, str]] = []

    def request(_: Path, params: Mapping[str, str], body: bytes, *, timeout: float) -> Response:
        seen.append(params)
        return said({"a": True}, nonce=params["FPMJAIL_NONCE"])

    monkeypatch.setattr(fastcgi, "request", request)
    results = [probe.ask(Path("/s"), "charsets", {"charsets": ["CP1252"]}) for _ in range(2)]
    assert all(result.passed for result in results)
    assert seen[0]["SCRIPT_FILENAME"] == "/usr/share/fpmjail/probes/charsets.php"
    assert json.loads(seen[0]["FPMJAIL_ARGUMENTS"]) == {"charsets": ["CP1252"]}
    assert seen[0]["FPMJAIL_NONCE"] != seen[1]["FPMJAIL_NONCE"]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (fastcgi.WorkerDied("reset"), "the worker died in this probe: without /usr/share/zoneinfo"),
        (fastcgi.DeadlineExceeded("no complete answer within 10 s"), "within 10 s"),
        (fastcgi.Unreachable("/s: No such file or directory"), "No such file"),
    ],
)
def test_a_request_that_fails_is_a_finding(fault: Exception, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def request(*_: object, **__: object) -> Response:
        raise fault

    monkeypatch.setattr(fastcgi, "request", request)
    result = probe.ask(Path("/s"), "timezones", {})
    assert not result.passed
    assert reason in result.findings[0]


def answering(faults: Mapping[str, Exception]) -> object:
    def request(_: Path, params: Mapping[str, str], body: bytes, *, timeout: float) -> Response:
        name = params["SCRIPT_NAME"].strip("/").removesuffix(".php")
        if name in faults:
            raise faults[name]
        return said({"a": True}, nonce=params["FPMJAIL_NONCE"])

    return request


def test_php_itself_is_asked_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fastcgi, "request", answering({}))
    results = probe.ask_all(Path("/s"), ("charsets", "php", "tls"), EXPECTED)
    assert [result.capability for result in results] == ["php", "charsets", "tls"]
    assert all(result.passed and result.answered for result in results)


def test_php_that_may_not_open_the_probes_says_why_once(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = b"PHP Warning:  open_basedir restriction in effect. File(/.image/x) is not within"
    monkeypatch.setattr(fastcgi, "request", lambda *_, **__: page(b"No input file specified.", 404, stderr))
    (result,) = probe.ask_all(Path("/s"), ("php", "tls"), EXPECTED)
    assert result.findings == (probe.SHUT_OUT,)
    assert not result.answered


@pytest.mark.parametrize("fault", [fastcgi.Unreachable("refused"), fastcgi.DeadlineExceeded("late")])
def test_where_nobody_answers_the_rest_is_not_asked(fault: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fastcgi, "request", answering({"php": fault}))
    (result,) = probe.ask_all(Path("/s"), ("charsets", "php", "tls"), EXPECTED)
    assert (result.capability, result.passed, result.answered) == ("php", False, False)


def test_a_worker_that_dies_does_not_keep_the_others_from_being_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fastcgi, "request", answering({"charsets": fastcgi.WorkerDied("gone")}))
    results = probe.ask_all(Path("/s"), ("charsets", "php", "tls"), EXPECTED)
    assert [(result.capability, result.passed) for result in results] == [
        ("php", True),
        ("charsets", False),
        ("tls", True),
    ]
