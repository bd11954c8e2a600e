# SPDX-License-Identifier: GPL-2.0-or-later
"""PHP of many sites is started: what is told once for all, who gets a new master, and who sleeps again."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from arrivals import arriving, named
from test_site_json import EXAMPLE, read

from fpmjail import (
    announcing,
    files,
    fpm,
    handover,
    masters,
    mounting,
    probe,
    sandbox,
    starting,
    systemd,
    waking,
)
from fpmjail.arrival import Arrival, Failures
from fpmjail.layout import Layout
from fpmjail.places import SiteFault
from fpmjail.probe import Result
from fpmjail.site import Site
from fpmjail.state import State
from fpmjail.systemd import Answer


def test_what_is_idle_is_seen_before_anything_is_stopped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    server = Running(monkeypatch, tmp_path, room=8)
    server.up["b.service"] = 0  # on its way up
    monkeypatch.setattr(systemd, "running", lambda: True)
    seen = starting.look(server.layout, [server.arrive(name) for name in "abc"])
    assert [one.site.name for one in seen if one.idle] == ["c"]
    off = replace(server.arrive("d"), known=State(disabled=True))
    always = server.arrive("e")
    always = replace(always, site=replace(always.site, php=replace(always.site.php, idle_after=0)))
    assert not any(one.idle for one in starting.look(server.layout, [off, always]))


def test_a_mark_that_nobody_has_taken_for_long_does_not_put_a_site_to_rest(tmp_path: Path) -> None:
    place = tmp_path / "a"
    place.write_bytes(announcing.SLEPT)
    assert announcing.taken(place) == announcing.SLEPT and announcing.taken(place) is None
    place.write_bytes(announcing.SLEPT)
    os.utime(place, (1, 1))
    assert announcing.taken(place) == b""


def test_each_outdated_socket_is_open_again_before_the_next_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def systemctl(*words: str) -> Answer:
        asked.append(f"{words[0]} {words[-1]}")
        return Answer(0, "")

    monkeypatch.setattr(systemd, "systemctl", systemctl)
    monkeypatch.setattr(starting, "socket_fingerprint", lambda site: "new")
    for name in "ab":
        one = replace(arriving(name), known=State(socket="old"))
        units = replace(one.site.units, socket=f"{name}.socket", standby="")
        starting.open_anew(replace(one, site=replace(one.site, units=units)))
    assert asked == ["stop a.socket", "start a.socket", "stop b.socket", "start b.socket"]


def test_all_is_mounted_with_one_call_and_one_by_one_when_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []

    def start(*units: str) -> Answer:
        asked.append(units)
        return Answer(0 if len(units) < 3 and "b.mount" not in units else 1, "no")

    def mounted(name: str) -> Arrival:
        one = arriving(name)
        return replace(one, site=replace(one.site, units=replace(one.site.units, mounts=(f"{name}.mount",))))

    monkeypatch.setattr(systemd, "start", start)
    monkeypatch.setattr(systemd, "active", lambda unit: False)
    failures: Failures = {}
    left = mounting.mount_each([mounted("a"), mounted("b"), mounted("c")], failures)
    assert asked == [("a.mount", "b.mount", "c.mount"), ("a.mount",), ("b.mount",), ("c.mount",)]
    assert [one.site.name for one in left] == ["a", "c"] and "cannot be mounted: no" in str(failures["b"])


@pytest.mark.parametrize(("dropins", "started", "tests"), [(0, True, 0), (0, False, 1), (1, True, 1)])
def test_a_new_pool_without_drop_ins_is_proven_by_its_first_start(
    dropins: int, started: bool, tests: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = read(EXAMPLE)
    pool, jail = tmp_path / "pool.conf", tmp_path / "jail"
    pool.write_text("[site-example-jail]\n")
    (jail / "etc").mkdir(parents=True)
    site = replace(site, paths=replace(site.paths, pool=pool, jail=jail))
    layout = Layout(tmp_path)
    (tmp_path / "run").mkdir()
    fpm.dropin_directory(layout, site).mkdir(parents=True)
    for number in range(dropins):
        (fpm.dropin_directory(layout, site) / f"{number}.conf").write_text("pm.max_children = 3\n")
    asked: list[str] = []

    def run(site: Site, *words: str) -> Answer:
        asked.append(words[0])
        return Answer(0, "")

    monkeypatch.setattr(sandbox, "run", run)
    monkeypatch.setattr(systemd, "running", lambda: True)
    assert fpm.apply(layout, site, provable=True, started=started).changed
    assert len(asked) == tests and (jail / "etc/fpm.conf").exists()
    assert fpm.untaken(layout, site).exists(), "until a master has proven it"
    assert not fpm.apply(layout, site, provable=True, started=started).changed
    assert starting.is_changed(layout, replace(arriving("example"), known=State(), site=site))


def test_a_new_pool_that_fpm_refuses_is_named_by_what_fpm_says(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = Result("php", False, ("nobody answers",))
    monkeypatch.setattr(probe, "run", lambda *_: failed)
    monkeypatch.setattr(fpm, "own_fault", lambda site: "pool.conf:3: unknown entry 'x'")
    failures: Failures = {}
    assert starting.prove_each(Layout(), [arriving("a"), arriving("b")], (), failures, print) == ()
    assert all("PHP-FPM refuses the pool" in str(failures[name]) for name in "ab")
    assert isinstance(failures["a"], SiteFault) and "unknown entry 'x'" in str(failures["a"])


def test_who_waits_for_many_sites_is_told_every_few_seconds_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 1000, 4))
    monkeypatch.setattr("fpmjail.starting.time.monotonic", lambda: next(clock))
    said: list[str] = []
    progress = starting.Progress("PHP was started for", said.append)
    assert list(progress.counted(range(8), 8)) == list(range(8))
    assert said == [f"PHP was started for {number} of 8 sites" for number in (3, 6)]


class Running:
    """Two sites that run, one of them changed, and two that sleep; what a start does to them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, place: Path, room: int) -> None:
        self.layout, self.replaced, self.rested = Layout(place), list[str](), list[str]()
        self.up = {"a.service": 1, "b.service": 2}
        monkeypatch.setattr(systemd, "systemctl", lambda *_: Answer(0, ""))
        monkeypatch.setattr(systemd, "up", lambda *_: dict(self.up))
        monkeypatch.setattr(starting, "open_anew", lambda one: None)
        monkeypatch.setattr(starting, "unit_fingerprint", lambda site: "new" if site.name == "b" else "")
        monkeypatch.setattr(masters, "renew", lambda layout, site: self.replaced.append(site.name))
        monkeypatch.setattr(waking, "allowed", lambda: room)
        monkeypatch.setattr(probe, "run", self.ask)
        monkeypatch.setattr(handover, "rest", lambda layout, site, pid: self.rested.append(site.name))

    def ask(self, layout: Layout, site: Site, probe: str) -> Result:
        self.up.setdefault(site.units.service, 9)
        return Result("php", True, ())

    def arrive(self, name: str) -> Arrival:
        one = replace(arriving(name), idle=f"{name}.service" not in self.up)
        units = replace(one.site.units, service=f"{name}.service", standby=f"{name}-standby@.service")
        php = replace(one.site.php, idle_after=600)
        return replace(one, site=replace(one.site, units=units, php=php), known=State())


def test_of_sites_that_are_upgraded_only_a_changed_one_that_runs_gets_a_new_master(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server = Running(monkeypatch, tmp_path, room=8)
    failures: Failures = {}
    up = starting.start(server.layout, [server.arrive(name) for name in "abcd"], failures, print)
    assert [one.site.name for one in up] == ["a", "b", "c", "d"] and not failures
    assert server.replaced == ["b"] and server.rested == []


def test_sites_that_are_woken_sleep_again_where_memory_has_no_room_for_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server = Running(monkeypatch, tmp_path, room=1)
    starting.start(server.layout, [server.arrive(name) for name in "abcd"], {}, print)
    assert server.rested == ["d"], "c has room, a and b ran before"


def test_a_site_that_slept_sleeps_again_after_the_upgrade_of_its_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DPKG_MAINTSCRIPT_NAME", "postinst")
    server = Running(monkeypatch, tmp_path, room=8)
    new = replace(server.arrive("d"), known=None)
    up = starting.start(server.layout, [*(server.arrive(name) for name in "abc"), new], {}, print)
    assert [one.site.name for one in up if one.slept] == ["c"], "a and b ran before, d is new"
    assert server.rested == [], "it is looked at once more when the web server knows it"


def test_after_it_was_announced_a_site_that_slept_is_idle_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    layout, sites = Layout(tmp_path), [named(name) for name in "abc"]
    (tmp_path / "run").mkdir()
    files.make_run(layout.run)
    said: list[list[str]] = []
    rested: list[list[str]] = []
    monkeypatch.setattr(announcing, "announce_some", lambda layout, some, say: said.append([one.name for one in some]))
    monkeypatch.setattr(waking, "put_back", lambda layout, some: rested.append([one.name for one in some]))
    announcing.expect(layout, "a", slept=False)
    announcing.expect(layout, "b", slept=True)
    announcing.announce(layout, sites, print)
    assert (said, rested) == ([["a", "b"]], [["b"]])
    announcing.announce(layout, sites, print)
    assert (said, rested) == ([["a", "b"]], [["b"]]), "each is announced once"
