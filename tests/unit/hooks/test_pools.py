# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's own PHP-FPM: which pools it has, what would end it, whether a request is in flight."""

from __future__ import annotations

from pathlib import Path

import pytest

from fpmjail import masters, pools, systemd
from fpmjail.layout import Layout
from fpmjail.pools import Pool
from fpmjail.systemd import Answer

WWW = "; comment\n[www]\nuser = www-data\nlisten = /run/php/php8.4-fpm.sock ; here\n\n[ global ]\nlisten = x\n"
UNIX = {"/run/php/other.sock": 1}
TCP = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:2328 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 0100007F:2329 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
"""


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A server with Debian's www pool."""
    directory = tmp_path / "etc/php/8.4/fpm/pool.d"
    directory.mkdir(parents=True)
    (directory / "www.conf").write_text(WWW)
    (directory.parent / "php-fpm.conf").write_text("[global]\n;process_control_timeout = 3\n")
    return Layout(tmp_path)


def put(layout: Layout, name: str, text: str) -> Path:
    place = pools.directory(layout, "8.4") / name
    place.write_text(text)
    return place


def test_pools_are_read_with_their_addresses_and_places() -> None:
    text = f"{WWW}[$x]\nlisten='/run/php/$pool.sock'\npm.status_listen = 127.0.0.1:9001\n"
    assert pools.parse("w.conf", text) == (
        Pool("www", ("/run/php/php8.4-fpm.sock",), "w.conf:2"),
        Pool("$x", ("/run/php/$x.sock", "127.0.0.1:9001"), "w.conf:8"),
    )


def test_a_file_can_be_left_out_of_what_stands_there(layout: Layout) -> None:
    other = put(layout, "site-a-jail.conf", "[site-a-jail]\nlisten = /run/fpmjail/a.sock\n")
    assert [pool.name for pool in pools.standing(layout, "8.4")] == ["site-a-jail", "www"]
    assert [pool.name for pool in pools.standing(layout, "8.4", frozenset({other}))] == ["www"]


def test_of_two_pools_with_one_name_or_address_the_later_one_is_named(tmp_path: Path) -> None:
    first = Pool("a", (f"{tmp_path}/a.sock",), "a.conf:1")
    assert pools.clash([first, Pool("b", (f"{tmp_path}/b.sock",), "b.conf:1")]) is None
    assert (
        pools.clash([first, Pool("a", (f"{tmp_path}/b.sock",), "b.conf:7")]) == "b.conf:7: [a] is in a.conf:1 already"
    )
    said = pools.clash([first, Pool("b", (f"{tmp_path}/a.sock",), "b.conf:1")])
    assert said == f"b.conf:1: {tmp_path}/a.sock is in a.conf:1 already"


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("/nonexistent/x.sock", "there is no directory for /nonexistent/x.sock"),
        (f"/tmp/{'x' * 110}", "is longer than 107 bytes"),
        ("127.0.0.1:9000", None),
        ("9000", None),
        ("/tmp/x.sock", None),
    ],
)
def test_an_address_where_nobody_can_listen_is_named(address: str, words: str | None) -> None:
    said = pools.unusable(address)
    assert said == words or (said and words and words in said)


def test_fpms_complaint_leads_to_the_file_that_an_administrator_can_edit() -> None:
    found = (Pool("foreign", (), "/etc/php/8.4/fpm/pool.d/f.conf:4"),)
    head = "[23-Nov-2026 18:29:12] NOTICE: hello\n[23-Nov-2026 18:29:12] ERROR: "
    assert (
        pools.complaint(f"{head}[/etc/f.conf:8] unknown entry 'x'\nmore", found) == "/etc/f.conf:8: unknown entry 'x'"
    )
    said = pools.complaint(f"{head}[pool foreign] cannot get uid for user 'nobody-here'", found)
    assert said == "/etc/php/8.4/fpm/pool.d/f.conf:4: cannot get uid for user 'nobody-here'"
    assert pools.complaint("", ()) == "php-fpm -t failed and said nothing"


def test_reloads_wait_for_requests_while_a_shared_site_is_there(layout: Layout) -> None:
    place = pools.directory(layout, "8.4") / pools.GRACE_FILE
    pools.set_grace(layout, "8.4")
    assert not place.exists()
    (pools.directory(layout, "8.4") / "site-a-jail.conf").symlink_to("/nonexistent")
    pools.set_grace(layout, "8.4")
    assert "process_control_timeout = 20s" in place.read_text()
    assert pools.parse("g", place.read_text()) == ()


def test_an_administrators_own_timeout_counts(layout: Layout) -> None:
    (pools.directory(layout, "8.4") / "site-a-jail.conf").symlink_to("/nonexistent")
    pools.set_grace(layout, "8.4")
    pools.main(layout, "8.4").write_text("[global]\nprocess_control_timeout = 3\n")
    pools.set_grace(layout, "8.4")
    assert not (pools.directory(layout, "8.4") / pools.GRACE_FILE).exists()


@pytest.mark.parametrize(
    ("setting", "seconds"),
    [
        ("process_control_timeout = 90", 90),
        ("process_control_timeout=90s", 90),
        ("  process_control_timeout = '2m' ; patient", 120),
        ('process_control_timeout = "1h"', 3600),
        ("process_control_timeout = 1d", 86400),
        ("process_control_timeout = 3", pools.GRACE),
        ("process_control_timeout = 0", pools.GRACE),
        (";process_control_timeout = 90", pools.GRACE),
        ("process_control_timeout = 90w", pools.GRACE),
        ("process_control_timeout = soon", pools.GRACE),
        ("process_control_timeout =", pools.GRACE),
        (f"process_control_timeout = {'9' * 5000}", pools.GRACE),
        ("", pools.GRACE),
    ],
)
def test_the_longest_wait_that_the_files_allow_is_known(layout: Layout, setting: str, seconds: int) -> None:
    pools.main(layout, "8.4").write_text(f"[global]\n{setting}\n")
    assert pools.longest_grace(layout, "8.4") == seconds
    put(layout, "z.conf", "[global]\nprocess_control_timeout = 100000\n")
    assert pools.longest_grace(layout, "8.4") == 100000


@pytest.mark.parametrize(
    ("setting", "seconds"),
    [("", 35), ("process_control_timeout = 2m\n", 135), ("process_control_timeout = 1d\n", 600)],
)
def test_a_reload_waits_as_long_as_requests_in_flight_may_take_and_some_more(
    layout: Layout, monkeypatch: pytest.MonkeyPatch, setting: str, seconds: int
) -> None:
    clock, begun = [0.0], 1000.0
    pools.main(layout, "8.4").write_text(f"[global]\n{setting}")
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    monkeypatch.setattr("time.sleep", lambda duration: clock.append(clock.pop() + 1))
    monkeypatch.setattr(pools, "wait_for_quiet", lambda *_: True)
    monkeypatch.setattr(systemd, "systemctl", lambda *_: Answer(0, ""))
    monkeypatch.setattr(systemd, "properties", lambda *_: {"ActiveState": "active", "MainPID": "7"})
    monkeypatch.setattr(masters, "start", lambda pid: b"new" if clock[0] >= begun else b"old")
    assert not pools.reload(layout, "8.4") and clock[0] == seconds + 1
    begun = clock[0] + seconds
    assert pools.reload(layout, "8.4")


@pytest.mark.parametrize(
    ("address", "busy"),
    [
        ("/run/php/php8.4-fpm.sock", False),
        ("/run/php/other.sock", True),
        ("127.0.0.1:9000", False),
        ("127.0.0.1:9001", True),
        ("9001", True),
        ("", False),
    ],
)
def test_a_connection_that_is_open_is_seen_by_its_address(address: str, busy: bool) -> None:
    assert pools.at_work([address], UNIX, TCP) is busy


def test_nothing_in_flight_is_waited_for_no_longer_than_patience(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "at_work", lambda *_: True)
    assert not pools.wait_for_quiet(layout, "8.4", 0.05)
    monkeypatch.setattr(pools, "at_work", lambda *_: False)
    assert pools.wait_for_quiet(layout, "8.4", 0.05)
