# SPDX-License-Identifier: GPL-2.0-or-later
"""The golden rules that need more than one look, what belongs to no site, and verdicts inside against outside."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from test_check import DIGEST, SITE, directory, file

from fpmjail import finding, golden, leftovers, outside, probe, regression, walk
from fpmjail.facts import Entry, Process
from fpmjail.finding import Level, Verdict
from fpmjail.golden import Planted
from fpmjail.layout import Layout
from fpmjail.mounts import Mount
from fpmjail.probe import Result
from fpmjail.prove import Scratch

WORKS = Result("tls", True)
DEAD = Result("tls", False, ("the worker died",), faulty=(probe.WHOLE,))


def fails(*checks: str) -> Result:
    return Result("tls", False, tuple(f"{name}: wrong" for name in checks), faulty=checks)


@pytest.mark.parametrize(
    ("inside", "beyond", "verdict"),
    [
        (WORKS, WORKS, Verdict.OK),
        (WORKS, None, Verdict.OK),
        (WORKS, fails("curl"), Verdict.BETTER),
        (fails("curl"), WORKS, Verdict.JAIL),
        (fails("curl"), None, Verdict.JAIL),
        (fails("curl"), fails("curl", "bundle"), Verdict.HOST),
        (fails("curl", "bundle"), fails("curl"), Verdict.JAIL),
        (fails("extensions"), fails("no shell"), Verdict.JAIL),
        (DEAD, WORKS, Verdict.JAIL),
        (DEAD, fails("curl"), Verdict.JAIL),
        (fails("curl"), DEAD, Verdict.HOST),
        (DEAD, DEAD, Verdict.HOST),
    ],
)
def test_the_jail_is_blamed_for_what_the_host_has_not(inside: Result, beyond: Result | None, verdict: Verdict) -> None:
    assert finding.compared(inside, beyond) is verdict


def test_the_look_outside_is_never_the_site_s_user_and_only_root_s_to_ask() -> None:
    scratch = Scratch(Path("/run/fpmjail/outside-abc"))
    command = outside.command(scratch, "8.4")
    assert "--property=User=_fpmjail-host" in command
    assert "--socket-property=SocketMode=0600" in command
    assert not [word for word in command if "RootDirectory" in word]
    assert command[command.index("--") + 1] == "/usr/sbin/php-fpm8.4"
    assert command[-1] == "/run/fpmjail/outside-abc/fpm.conf"


@pytest.mark.parametrize("mode", [stat.S_IFREG | 0o4755, stat.S_IFREG | 0o2755, stat.S_IFCHR | 0o600, stat.S_IFBLK])
def test_what_lends_rights_where_the_site_writes_is_bad(mode: int) -> None:
    found = Entry("/var/www/example/x", mode, 990, 990)
    assert golden.lends(found)
    judged = golden.judge_planted(SITE, Planted(5, True, (found,)))
    assert judged.level is Level.BAD and "/var/www/example/x (uid 990" in judged.seen


def test_set_gid_directories_sockets_and_plain_files_of_a_site_are_its_own() -> None:
    plain = (stat.S_IFDIR | 0o2775, stat.S_IFSOCK | 0o777, stat.S_IFIFO | 0o600, stat.S_IFREG | 0o666)
    assert not any(golden.lends(Entry("/x", mode, 990, 990)) for mode in plain)
    assert golden.judge_planted(SITE, Planted(100_000, False, ())).seen == "none in the first 100000 names"
    assert golden.judge_planted(SITE, Planted(1, True, ())).seen == "none in 1 name"


def process(**other: object) -> Process:
    return Process(7, "php-fpm", 990, 0, True, 2, groups=frozenset({991}), place=(1, 2), **other)  # type: ignore[arg-type]


def test_a_process_elsewhere_or_in_a_foreign_group_is_bad() -> None:
    assert golden.judge_place(SITE, [process()], 991, (1, 2)).good
    assert "root elsewhere" in golden.judge_place(SITE, [process()], 991, (1, 3)).seen
    assert "is in group 991" in golden.judge_place(SITE, [process()], 33, (1, 2)).seen


def test_every_directory_above_jail_image_and_socket_is_root_s() -> None:
    chain = [directory("/"), directory("/run")]
    assert golden.judge_parents(SITE, [chain, chain]).good
    assert not golden.judge_parents(SITE, [chain, [directory("/run/fpmjail", 0o775)]]).good
    assert not golden.judge_parents(SITE, [chain, [directory("/run/fpmjail", uid=990)]]).good


def test_a_damaged_copy_names_the_command_that_mends_it() -> None:
    assert golden.judge_copies(DIGEST, ()).good
    assert "refresh --verify" in golden.judge_copies(DIGEST, ("usr/lib/x",)).fix
    assert golden.judge_copies(None, ()).level is Level.BAD


def test_where_a_site_writes_is_found_on_the_host() -> None:
    assert golden.writable(SITE) == (Path("/var/www/example"), Path("/var/lib/fpmjail/jails/example/tmp"))


def test_a_walk_follows_no_link_and_goes_only_so_deep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a/b/c/d").mkdir(parents=True)
    (tmp_path / "out").symlink_to("/etc")
    monkeypatch.setattr(walk, "DEEPEST", 2)
    found = {os.path.relpath(entry.path, tmp_path) for entry in walk.below(tmp_path)}
    assert found == {"a", "a/b", "a/b/c", "out"}
    assert list(walk.below(tmp_path / "out")) == []
    assert list(walk.below(tmp_path / "missing")) == []


def test_a_directory_that_becomes_a_link_meanwhile_is_not_entered(tmp_path: Path) -> None:
    (tmp_path / "trap").mkdir()

    def exchange(entry: Entry) -> bool:
        (tmp_path / "trap").rmdir()
        (tmp_path / "trap").symlink_to("/etc")
        return True

    assert [Path(entry.path).name for entry in walk.below(tmp_path, exchange)] == ["trap"]


def mount(target: str) -> Mount:
    return Mount("8:1", "/", target, ("ro",), False, "ext4", "/dev/sda1")


def test_mounts_in_the_jail_of_no_site_are_leftovers() -> None:
    jails = Path("/var/lib/fpmjail/jails")
    table = [mount(f"{jails}/example/.image"), mount(f"{jails}/exam/.image"), mount("/var/lib/fpmjail")]
    judged = leftovers.judge_mounts(table, jails, {"example"})
    assert (judged.level, judged.seen) == (Level.WARNING, f"{jails}/exam/.image")
    assert leftovers.judge_mounts(table[:1], jails, {"example"}).good


def test_a_jail_that_a_removed_package_left_is_no_leftover(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    for name in ("example", "removed", "stranger"):
        layout.jail(name).mkdir(parents=True)
    lists = layout.host(leftovers.DPKG)
    lists.mkdir(parents=True)
    (lists / "site-removed-jail.list").touch()
    assert leftovers.strangers(layout, {"example"}) == [str(layout.jail("stranger"))]


def test_unfinished_work_is_a_leftover_once_nobody_can_be_at_it(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    for name, age in ((".build-1", 0.0), (".build-2", 2 * leftovers.AN_HOUR), (".build-3", -86400.0)):
        place = layout.image("a1b2c3d4e5f6") / name
        place.mkdir(parents=True)
        os.utime(place, (place.stat().st_atime, place.stat().st_mtime - age))
    old = [str(layout.image("a1b2c3d4e5f6") / name) for name in (".build-2", ".build-3")]
    assert sorted(leftovers.unfinished(layout)) == old


TLS, CHARSETS = ("capability", "tls"), ("capability", "charsets")


def test_only_what_a_new_generation_made_worse_counts_against_it() -> None:
    before = {"a": {}, "b": {TLS: "tls"}, "c": {regression.PHP: "php"}}
    after = {"a": {TLS: "tls"}, "b": {TLS: "tls"}, "c": {TLS: "tls"}, "new": {TLS: "tls"}}
    assert regression.compare(before, after) == {"a": {TLS: "tls"}}
    assert regression.compare(before, {"b": {TLS: "tls", CHARSETS: "charsets"}}) == {"b": {CHARSETS: "charsets"}}
    assert regression.lost(before, {"b": "silent", "c": "silent"}) == {"b": {regression.PHP: "silent"}}
    assert regression.words({"a": {TLS: "tls", CHARSETS: "charsets"}}) == {"a": "tls; charsets"}


def test_what_passes_by_itself_is_no_reason_to_go_back(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = [{"a": {TLS: "tls"}, "b": {TLS: "tls"}}, {"a": {}, "b": {TLS: "tls"}}]
    monkeypatch.setattr(regression, "look", lambda *_: looks.pop(0))
    monkeypatch.setattr("time.sleep", lambda _: None)
    assert regression.harmed(Layout(), {"a": {}, "b": {}}, ()) == {"b": {TLS: "tls"}}
    assert looks == []


def test_a_database_server_that_fails_meanwhile_is_not_the_generation_s_fault() -> None:
    down = finding.bad("capability", "mysql", "Permission denied", "fix")
    hold = finding.warning("generation", "hold", "held", "fix")
    broken = finding.bad("files", "jail", "mode 0777", "fix")
    assert regression.faults([down, hold, broken]) == {("files", "jail"): "files jail: mode 0777"}


def test_one_site_among_several_cannot_bring_the_old_generation_back() -> None:
    worse = {TLS: "tls"}
    assert regression.votes({"a": {}}, {"a": worse}) > 0
    assert regression.votes({"a": {}, "b": {}}, {"a": worse}) <= 0
    assert regression.votes({"a": {}, "b": {}, "c": {}}, {"a": worse, "c": worse}) > 0
    assert regression.votes({"a": {}, "b": {regression.PHP: "php"}}, {"a": worse}) > 0
    assert regression.votes({"a": {}}, {}) <= 0


def test_a_program_that_fails_after_its_upgrade_is_not_the_generation_s_fault() -> None:
    broken = finding.bad("capability", "programs", "/usr/bin/gs: it ended with status 1", "fix")
    assert regression.faults([broken]) == {}


def test_a_plain_file_is_not_a_parent() -> None:
    assert not golden.judge_parents(SITE, [[file("/run")]]).good
