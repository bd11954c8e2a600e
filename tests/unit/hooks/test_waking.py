# SPDX-License-Identifier: GPL-2.0-or-later
"""How many sites stay awake that were woken only to be looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from test_site_json import EXAMPLE, read

from fpmjail import handover, systemd, waking
from fpmjail.layout import Layout
from fpmjail.site import Site

UNITS = {name: f"site-{name}-jail.service" for name in ("a", "b", "c")}


def site(name: str, idle_after: int = 600) -> Site:
    one = read(EXAMPLE)
    units = replace(one.units, service=UNITS[name], standby=f"site-{name}-jail-standby@.service")
    return replace(one, name=name, units=units, php=replace(one.php, idle_after=idle_after))


@pytest.mark.parametrize(
    ("meminfo", "masters"),
    [
        ("MemTotal:       33554432 kB\nMemAvailable:   16777216 kB\n", 512),
        ("MemAvailable:   131072 kB\n", waking.FEW),
        ("MemTotal: 1 kB\n", waking.FEW),
    ],
)
def test_masters_take_half_of_the_memory_that_is_available_or_are_a_few(meminfo: str, masters: int) -> None:
    assert waking.room(meminfo) == masters


class Server:
    """Services that run, and those that are put to rest."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, place: Path, room: int, *up: str) -> None:
        (place / "run/fpmjail").mkdir(parents=True)
        self.layout, self.up, self.rested = Layout(place), {UNITS[name]: 1 for name in up}, list[str]()
        monkeypatch.setattr(systemd, "running", lambda: True)
        monkeypatch.setattr(systemd, "up", self.running)
        monkeypatch.setattr(waking, "allowed", lambda: room)
        monkeypatch.setattr(handover, "rest", lambda layout, one, pid: self.rested.append(one.name))

    def running(self, *patterns: str) -> Mapping[str, int]:
        return dict(self.up)

    def look(self, *sites: Site) -> list[list[str]]:
        """Look at sites, which wakes them; the turns in which that was done."""
        turns = []
        for turn in waking.in_turns(self.layout, sites):
            self.up |= {one.units.service: 1 for one in turn}
            turns.append([one.name for one in turn])
        return turns


def test_sites_that_there_is_room_for_stay_awake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(monkeypatch, tmp_path, 3)
    assert server.look(site("a"), site("b"), site("c")) == [["a", "b", "c"]]
    assert server.rested == []


def test_of_more_sites_those_that_were_idle_are_idle_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(monkeypatch, tmp_path, 2, "b")
    assert server.look(site("a"), site("b"), site("c")) == [["a", "b"], ["c"]]
    assert server.rested == ["a", "c"]


def test_a_busy_site_whose_master_was_replaced_meanwhile_stays_awake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server(monkeypatch, tmp_path, 1, "a")
    turns = waking.in_turns(server.layout, [site("a"), site("b")])
    next(turns)
    server.layout.leaving.mkdir()
    (server.layout.leaving / UNITS["a"]).write_text("1")  # a hand-over told the first master to end
    server.up[UNITS["a"]] = 2
    server.up[UNITS["b"]] = 3
    assert [[one.name for one in turn] for turn in turns] == [["b"]]
    assert server.rested == []


def test_sites_sleep_again_when_the_look_at_them_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(monkeypatch, tmp_path, 1)
    turns = waking.in_turns(server.layout, [site("a"), site("b")])
    (first,) = next(turns)
    server.up[first.units.service] = 1
    with pytest.raises(RuntimeError):
        turns.throw(RuntimeError())
    assert server.rested == ["a"]


def test_a_site_that_is_never_to_be_idle_stays_awake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(monkeypatch, tmp_path, 1)
    assert server.look(site("a", idle_after=0), site("b")) == [["a"], ["b"]]
    assert server.rested == ["b"]
