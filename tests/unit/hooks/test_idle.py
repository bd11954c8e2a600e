# SPDX-License-Identifier: GPL-2.0-or-later
"""Which sites rest, and who has a site's socket: decided from what the kernel and systemd say."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fpmjail import handover, idle, systemd
from fpmjail.handover import Standing
from fpmjail.idle import Rest
from fpmjail.layout import Layout
from fpmjail.site import Site, parse

GOLDEN = Path(__file__).parents[2] / "golden/example"
SERVICE = "site-example-jail.service"
FIRST, SECOND = "site-example-jail-standby@01ab.service", "site-example-jail-standby@99ff.service"
STATUS = "Name:\t\udcff\nvoluntary_ctxt_switches:\t5\n"


@pytest.fixture
def site() -> Site:
    return parse(next(GOLDEN.rglob("site.json")).read_bytes())


def test_a_process_with_any_bytes_in_its_name_is_counted(tmp_path: Path) -> None:
    for name, text in (("task/7/children", "8"), ("stat", "7 (\udcff) S" + " 9" * 9), ("../8/status", STATUS)):
        (tmp_path / "7" / name).resolve().parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "7" / name).resolve().write_bytes(os.fsencode(text))
    assert idle.counted(7, tmp_path) == "7 9 8:5"


def test_a_rest_goes_on_only_while_nothing_is_counted_and_nothing_is_in_flight() -> None:
    before = {"same": Rest("1", 10.0), "other": Rest("1", 10.0), "busy": Rest("1", 10.0), "gone": Rest("1", 10.0)}
    now = {"same": "1", "other": "2", "busy": "1", "new": "1"}
    assert idle.remember(before, now, ["busy"], 70.0) == {
        "same": Rest("1", 10.0), "other": Rest("2", 70.0), "busy": Rest("1", 70.0), "new": Rest("1", 70.0),
    }  # fmt: skip


def test_a_rest_from_before_the_boot_begins_anew() -> None:
    assert idle.remember({"a": Rest("1", 9000.0)}, {"a": "1"}, [], 70.0) == {"a": Rest("1", 70.0)}


def test_a_site_is_due_after_its_time_and_never_with_zero(site: Site) -> None:
    assert site.php.idle_after == 600
    assert [idle.due(site, Rest("", 100.0), clock) for clock in (699.0, 700.0)] == [False, True]
    assert not idle.due(replace(site, php=replace(site.php, idle_after=0)), Rest("", 0.0), 1e9)


def test_what_is_counted_stays_while_a_child_waits_and_is_nothing_without_a_master() -> None:
    with subprocess.Popen(["sh", "-c", "sleep 300; exit 0"]) as shell:
        deadline = time.monotonic() + 60
        while ":" not in idle.counted(shell.pid) or idle.counted(shell.pid) != idle.counted(shell.pid):
            assert time.monotonic() < deadline
        (child,) = Path(f"/proc/{shell.pid}/task/{shell.pid}/children").read_text().split()
        assert f" {child}:" in idle.counted(shell.pid)
        os.kill(int(child), signal.SIGKILL)
    assert idle.counted(shell.pid) == ""


def test_workers_that_came_and_went_between_two_looks_are_seen(tmp_path: Path) -> None:
    def process(faults: int) -> str:
        place = tmp_path / "7"
        (place / "task/7").mkdir(parents=True, exist_ok=True)
        (place / "task/7/children").write_text("")
        (place / "stat").write_text(f"7 (php) fpm) S 1 7 7 0 -1 4194560 100 {faults} 0 0 1 2 3 4\n")
        return idle.counted(7, tmp_path)

    assert process(250) == "7 250" and process(260) == "7 260"


def test_the_damaged_memory_of_the_last_look_is_none(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    for text in ("", "[]", '{"a": 1}', '{"a": ["x"]}'):
        layout.idle_file.parent.mkdir(parents=True, exist_ok=True)
        layout.idle_file.write_text(text)
        assert idle.recall(layout) == {}
    layout.idle_file.write_text(json.dumps({"a": ["x", 3]}))
    assert idle.recall(layout) == {"a": Rest("x", 3.0)}


@pytest.mark.parametrize(
    ("pids", "leaving", "expected", "serving"),
    [
        ({}, {}, Standing(0, False, ()), 0),
        ({SERVICE: 5}, {}, Standing(5, False, ()), 5),
        ({SERVICE: 5}, {SERVICE: 4}, Standing(5, False, ()), 5),
        ({SERVICE: 5}, {SERVICE: 5}, Standing(5, True, ()), 0),
        ({SERVICE: 5, FIRST: 6}, {SERVICE: 5}, Standing(5, True, ((FIRST, 6),)), 6),
        ({SERVICE: 5, FIRST: 6, SECOND: 7}, {FIRST: 6}, Standing(5, False, ((SECOND, 7),)), 5),
        ({"site-example-jail-standby.service": 8, "site-other-jail.service": 9}, {}, Standing(0, False, ()), 0),
    ],
)  # fmt: skip
def test_new_requests_go_to_who_was_not_told_to_end(
    site: Site, pids: dict[str, int], leaving: dict[str, int], expected: Standing, serving: int
) -> None:
    found = handover.stand(site, pids, leaving)
    assert (found, found.serving) == (expected, serving)


class Systemd:
    """Services that start and end at once, or do not."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, stays: bool = False, starts: bool = True) -> None:
        self.pids, self.said, self.stays, self.starts, self.next = {SERVICE: 5}, [""][:0], stays, starts, 100
        monkeypatch.setattr(systemd, "up", lambda *patterns: dict(self.pids))
        monkeypatch.setattr(systemd, "main_pid", lambda unit: self.pids.get(unit, 0))
        monkeypatch.setattr(systemd, "systemctl", self.systemctl)
        monkeypatch.setattr(handover, "GRACE", 0.0)

    def systemctl(self, *words: str, timeout: float = 0) -> systemd.Answer:
        action, unit = words[0], words[-1]
        self.said.append(f"{action} {'first' if unit == SERVICE else 'standby'}")
        if action == "start" and not self.starts:
            return systemd.Answer(1, "exited")
        if action == "start":
            self.next += 1
            self.pids[unit] = self.next
        elif action == "stop" or (action == "kill" and not (self.stays and unit == SERVICE)):
            self.pids.pop(unit, None)
        return systemd.Answer(0, "")


def test_a_standby_answers_before_the_first_one_is_told_to_end(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, layout = Systemd(monkeypatch), Layout(tmp_path)
    layout.run.mkdir(parents=True)
    assert handover.hand_over(layout, site, lambda pid: pid > 100) == ""
    assert there.said == ["start standby", "kill first", "start first", "kill standby"]
    assert list(there.pids) == [SERVICE]


def test_a_standby_that_is_not_what_it_should_be_goes_and_the_first_one_stays(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = Systemd(monkeypatch)
    assert "does not run from" in handover.hand_over(Layout(tmp_path), site, lambda pid: False)
    there.starts = False
    assert handover.hand_over(Layout(tmp_path), site, lambda pid: True) == "no new master: exited"
    assert there.pids == {SERVICE: 5} and "kill first" not in there.said


def test_a_long_request_leaves_the_rest_to_a_later_look(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout, there = Layout(tmp_path), Systemd(monkeypatch, stays=True)
    layout.run.mkdir(parents=True)
    assert handover.hand_over(layout, site, lambda pid: True) == ""
    assert handover.look(layout, site).serving == 101 and there.pids[SERVICE] == 5
    assert handover.settle(layout, [site], dict(there.pids)) == {}
    assert there.said == ["start standby", "kill first", "kill first"], "once more, as the first time may not have come"
    del there.pids[SERVICE]
    assert handover.settle(layout, [site], dict(there.pids)) == {}
    assert there.said[3:] == ["start first", "kill standby"]
    assert handover.settle(layout, [site], dict(there.pids)) == {} and not list(layout.leaving.iterdir())


def test_a_hand_over_that_was_killed_leaves_no_master_of_an_older_generation(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout, there = Layout(tmp_path), Systemd(monkeypatch)
    layout.run.mkdir(parents=True)
    there.pids[FIRST] = 6
    torn = handover.look(layout, site)
    assert torn.torn and torn.serving == 5
    assert handover.settle(layout, [site], dict(there.pids)) == {}
    assert there.said == ["kill first", "start first", "kill standby"]
    assert list(there.pids) == [SERVICE] and there.pids[SERVICE] > 100


def test_systemd_reads_units_anew_only_if_they_changed_since_it_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(systemd, "systemctl", lambda *words: said.append(words[0]))
    unit = tmp_path / "a.service"
    unit.write_text("")
    os.utime(unit, (0, 0))
    for known, times in ((0.0, 1), (time.time() - 60, 2), (time.time() + 3600, 3)):
        systemd.follow([unit, tmp_path / "none"], known)
        assert said == ["daemon-reload"] * times
    changed = unit.lstat().st_ctime
    monkeypatch.setattr(time, "time", lambda: changed + 100)
    systemd.follow([unit], changed + 50)
    assert said == ["daemon-reload"] * 3


@pytest.mark.parametrize("jump", [-86400.0, -1.0, 1.0, 315360000.0])
def test_a_clock_that_was_set_since_systemd_read_its_units_tells_nothing_about_what_came_first(
    monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    moments = "UnitsLoadTimestamp=Fri 2026-11-27 05:53:55.250000 UTC\nUnitsLoadTimestampMonotonic=100000000"
    read = datetime(2026, 11, 27, 5, 53, 55, 250000, UTC).timestamp()
    monkeypatch.setattr(systemd, "run", lambda command: systemd.Answer(0, moments))
    monkeypatch.setattr(time, "monotonic", lambda: 160.0)
    monkeypatch.setattr(time, "time", lambda: read + 60.0)
    assert systemd.loaded() == read
    monkeypatch.setattr(time, "time", lambda: read + 60.0 + jump)
    assert systemd.loaded() == 0.0


@pytest.mark.parametrize("text", ["", "n/a", "Fri 2026-11-27 05:53:55 CET", "Fri 2026-99-27 05:53:55 UTC"])
def test_a_time_that_cannot_be_read_is_none(text: str) -> None:
    assert systemd.moment(text) == 0.0


def test_masters_are_those_that_are_up_when_the_lock_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []
    answers = iter([{"site-a-jail.service": 1}, {"site-a-jail.service": 2}])
    (tmp_path / "run/fpmjail").mkdir(parents=True)
    monkeypatch.setattr(systemd, "up", lambda *patterns: next(answers))
    monkeypatch.setattr(handover, "settle", lambda layout, running, pids: {})
    monkeypatch.setattr(idle, "stop_idle", lambda layout, running, pids, clock: seen.append(pids))
    idle.tend(Layout(tmp_path), 0.0)
    assert seen == [{"site-a-jail.service": 2}]
