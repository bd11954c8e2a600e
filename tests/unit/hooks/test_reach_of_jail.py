# SPDX-License-Identifier: GPL-2.0-or-later
"""What a jail reaches outside of its image, and what `fpmjail check` says about it."""

from __future__ import annotations

import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest
import world

from fpmjail import check_reach, cost, facts, jail, masters, probe, reach, sandbox, state, systemd
from fpmjail.finding import Level
from fpmjail.jail import Absent, File, Link
from fpmjail.layout import Layout
from fpmjail.manifest import Entry
from fpmjail.probe import Result
from fpmjail.site import Jail, Site, parse
from tests.lifecycle import trees

GOLDEN = trees.CHECKOUT / "tests/golden/example/trixie"
MYSQL = (("mysql", Path("/run/mysqld")),)


@pytest.fixture
def site() -> Site:
    """The example site with the socket of MariaDB."""
    read = parse(next(GOLDEN.rglob("site.json")).read_bytes())
    return replace(read, jail=Jail("resolver", "none", MYSQL), origins=(("jail.mysql", "example.yaml:9:3"),))


def pieces(site: Site, dns: str, *image: str) -> dict[str, jail.Piece]:
    chosen = replace(site, jail=replace(site.jail, dns=dns))
    live = frozenset({"hosts", "resolv.conf", "localtime"})
    made = jail.skeleton(chosen, frozenset({"ssl", *image}), live, 995, 994)
    assert len({piece.path for piece in made}) == len(made)
    return {piece.path.removeprefix("etc/"): piece for piece in made if piece.path.startswith("etc/")}


def test_a_jail_with_a_resolver_has_the_hosts_files(site: Site) -> None:
    found = pieces(site, "resolver")
    assert isinstance(found["resolv.conf"], Link) and isinstance(found["hosts"], Link)
    assert isinstance(found["nsswitch.conf"], Absent)


def test_a_jail_with_the_hosts_file_alone_never_asks_loopback(site: Site) -> None:
    found = pieces(site, "hosts")
    assert isinstance(found["resolv.conf"], Absent) and isinstance(found["hosts"], Link)
    assert found["nsswitch.conf"] == File("etc/nsswitch.conf", "hosts: files\n")


def test_a_jail_without_names_knows_localhost(site: Site) -> None:
    found = pieces(site, "none")
    assert found["hosts"] == File("etc/hosts", "127.0.0.1 localhost\n::1 localhost\n")
    assert isinstance(found["resolv.conf"], Absent) and isinstance(found["localtime"], Link)


def test_an_administrators_nsswitch_conf_is_kept_only_with_the_resolver(site: Site) -> None:
    assert isinstance(pieces(site, "resolver", "nsswitch.conf")["nsswitch.conf"], Link)
    assert isinstance(pieces(site, "none", "nsswitch.conf")["nsswitch.conf"], File)


def test_what_another_choice_left_is_taken_away(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).symlink_to("nowhere") if name == "one" else (tmp_path / name).write_text("text")
        jail.put(tmp_path, Absent(name))
    jail.put(tmp_path, Absent("never"))
    assert list(tmp_path.iterdir()) == []


def test_a_command_of_the_site_reaches_what_its_service_reaches(site: Site) -> None:
    assert ("BindReadOnlyPaths", "-/run/mysqld") in sandbox.directives(site)


def test_probes_of_names_expect_what_the_jail_shall_know() -> None:
    there = frozenset({"/etc/resolv.conf", "/etc/hosts"})
    base = probe.Expectation("8.4", "none", (), present=there, hosts=("localhost",))
    told = {dns: probe.arguments("dns", replace(base, dns=dns)) for dns in ("resolver", "hosts", "none")}
    assert told["resolver"]["present"] == ["/etc/resolv.conf", "/etc/hosts"]
    assert told["hosts"] == {"dns": "hosts", "present": ["/etc/hosts"], "hosts": ["localhost"]}
    assert told["none"] == {"dns": "none", "present": [], "hosts": ["localhost"]}


def test_a_probe_of_a_server_is_told_its_sockets_and_others_what_was_declared() -> None:
    expected = probe.Expectation(
        "8.4", "none", (), proc="host", locales=("fr_FR.UTF-8",), timezones=("UTC",), sockets=(("redis", ("/r.sock",)),)
    )
    assert probe.arguments("redis", expected) == {"sockets": ["/r.sock"]}
    assert probe.arguments("mysql", expected) == {}
    assert probe.arguments("proc", expected) == {"proc": "host", "isolation": "dedicated"}
    assert probe.arguments("locales", expected) == {"locales": ["fr_FR.UTF-8"]}
    assert probe.arguments("timezones", expected) == {"timezones": ["UTC"], "isolation": "dedicated"}


def failed(words: str) -> Result:
    return Result("mysql", False, (words,))


def test_a_server_that_does_not_run_is_a_warning_with_a_way_out(site: Site) -> None:
    found = check_reach.judge_server(site, failed("server: the server has no socket"), listening=False)
    assert (found.level, found.origin) == (Level.WARNING, "example.yaml:9")
    assert "apt install mariadb-server" in found.fix and "nothing listens in /run/mysqld" in found.seen


def test_a_server_that_runs_and_cannot_be_reached_is_a_fault(site: Site) -> None:
    gone = check_reach.judge_server(site, failed("No such file or directory"), listening=True)
    assert (gone.level, gone.fix) == (Level.BAD, "systemctl restart site-example-jail.service")
    shut = check_reach.judge_server(site, failed("/run/x: Permission denied"), listening=True)
    assert shut.level == Level.BAD and shut.fix == reach.SERVERS["mysql"].access


def test_showing_every_process_is_a_warning(site: Site) -> None:
    (found,) = check_reach.judge_proc(replace(site, jail=replace(site.jail, proc="host")))
    assert found.level == Level.WARNING
    assert check_reach.judge_proc(site) == ()


def test_a_dangling_resolv_conf_is_named_where_it_is_used(site: Site, tmp_path: Path) -> None:
    layout = world.make(tmp_path)
    assert reach.resolver_fault(layout) == ""
    (tmp_path / "run/resolve/resolv.conf").unlink()
    fault = reach.resolver_fault(layout)
    assert fault == "/etc/resolv.conf leads to /run/resolve/resolv.conf, which is no file"
    (found,) = check_reach.judge_resolver(site, fault)
    assert found.level == Level.WARNING
    assert check_reach.judge_resolver(replace(site, jail=replace(site.jail, dns="hosts")), fault) == ()
    (tmp_path / "etc/resolv.conf").unlink()
    assert reach.resolver_fault(layout) == ""


def test_a_socket_counts_when_somebody_accepts_on_it(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    directory = tmp_path / "run/postgresql"
    directory.mkdir(parents=True)
    (directory / ".s.PGSQL.5432.lock").write_text("1\n")
    assert reach.sockets(layout, "postgresql") == ()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(directory / ".s.PGSQL.5432"))
        paths = reach.sockets(layout, "postgresql")
        assert paths == (f"{directory}/.s.PGSQL.5432",) and not reach.listening(paths)
        server.listen()
        assert reach.listening(paths)


def test_a_directory_that_is_another_one_now_asks_for_a_restart(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    monkeypatch.setattr(systemd, "running", lambda: True)
    monkeypatch.setattr(systemd, "up", lambda *units: {units[0]: os.getpid()})
    monkeypatch.setattr(masters, "renew", lambda layout, site: done.append(site.name))
    here = replace(site, jail=replace(site.jail, sockets=(("mysql", tmp_path),)))
    said: list[str] = []
    reach.heal(Layout(tmp_path), [here], said.append)
    assert done == [] and said == []
    monkeypatch.setattr(facts, "identity", lambda path: (1, 2) if path == tmp_path else None)
    reach.heal(Layout(tmp_path), [here], said.append)
    assert done == ["example"]
    assert said == [f"example: renewed, to see {tmp_path}"]
    monkeypatch.setattr(facts, "identity", lambda path: None)
    assert reach.estranged(here, os.getpid()) == ()


def test_a_master_that_has_another_image_yet_is_not_waited_for(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = Layout(tmp_path)
    monkeypatch.setattr(systemd, "running", lambda: True)
    monkeypatch.setattr(systemd, "up", lambda *units: {"site-example-jail.service": 7})
    layout.site_state(site.name).mkdir(parents=True)
    state.write(layout, site.name, state.State(profile="0" * 12))
    assert masters.using(layout, [site], site.profile.id) == ()
    state.write(layout, site.name, state.State(profile=site.profile.id))
    assert [master.pid for master in masters.using(layout, [site], site.profile.id)] == [7]


def entry(path: str, size: int, capability: str, package: str | None) -> Entry:
    return Entry(path, "file", "0644", size, "", "", f"/{path}", package, "1", capability)


def test_costs_add_up_and_name_packages_once() -> None:
    link = replace(entry("c", 0, "php", "p"), type="link")
    found = [
        entry("a", 10, "php", "libc6:amd64"),
        entry("b", 5, "php", "libc6:amd64"),
        entry("d", 99, "tls", None),
        link,
    ]
    costs = cost.by_capability(found, ["php", "mysql"])
    assert [(one.capability, one.files, one.bytes, one.packages) for one in costs] == [
        ("tls", 1, 99, ()), ("php", 2, 15, ("libc6",)), ("mysql", 0, 0, ()),
    ]  # fmt: skip
    assert cost.text(costs).splitlines()[-1].split() == ["all", "3", "114", "B"]


@pytest.mark.parametrize(("number", "words"), [(999, "999 B"), (1500, "1.5 kB"), (137_000_000, "137.0 MB")])
def test_sizes_are_readable(number: int, words: str) -> None:
    assert cost.size(number) == words
