# SPDX-License-Identifier: GPL-2.0-or-later
"""A shared site: its description, its chroot, its pool on the way into Debian's master, and what is wrong with it."""

from __future__ import annotations

import copy
import json
import stat
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fpmjail import (
    check_shared,
    configure,
    fpm,
    image,
    jail,
    mounting,
    mounts,
    places,
    pools,
    renewal,
    sandbox,
    shared,
    state,
    systemd,
)
from fpmjail.dropin import Part
from fpmjail.facts import Master, Process
from fpmjail.finding import Level
from fpmjail.image import Generation
from fpmjail.jail import Absent, Directory, File, Link, Node
from fpmjail.layout import Layout
from fpmjail.mounts import Mount
from fpmjail.places import SiteFault
from fpmjail.probe import SHUT_OUT, Result, of_site
from fpmjail.refresh import Mode, Task
from fpmjail.shared import Fresh
from fpmjail.site import Site, SiteError, parse
from fpmjail.state import State
from tests.lifecycle import trees

GOLDEN: dict[str, Any] = json.loads(next((trees.CHECKOUT / "tests/golden/club/trixie").rglob("site.json")).read_text())


def read(**changes: object) -> Site:
    """The golden site `club`, with fields changed; `a__b` is the field b of a."""
    content = copy.deepcopy(GOLDEN)
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = content
        for name in parents:
            place = place[name]
        place[last] = value
    return parse(json.dumps(content).encode())


@pytest.fixture
def site() -> Site:
    """The site as the generator describes it."""
    return read()


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A server with Debian's PHP-FPM."""
    (tmp_path / "etc/php/8.4/fpm/pool.d").mkdir(parents=True)
    return Layout(tmp_path)


def mounted(target: str, options: str = "ro,nosuid,nodev", root: str = "/", shared: bool = False) -> Mount:
    return Mount("8:1", root, target, tuple(options.split(",")), shared, "ext4", "/dev/sda1")


IMAGE = mounted("/var/www/club/.image", root=f"/var/lib/fpmjail/images/{GOLDEN['profile']['id']}")
PROC = mounted("/var/www/club/proc")
USR = mounted("/var/www/club/usr", root="/usr")


def test_places_are_known_as_php_sees_them(site: Site) -> None:
    assert site.shared and site.units.socket == ""
    assert site.paths.document_root == Path("/var/www/club/var/www/club/htdocs")
    assert site.inside.document_root == Path("/var/www/club/htdocs")
    assert site.inside.logs == Path("/var/log/fpmjail/club")
    assert of_site(Layout(), site).directories == ("/var/www/club/htdocs",)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("paths__jail", "/var/www/other", "paths.jail: must be /var/www/club"),
        ("paths__base", "/var/www/club/htdocs", "paths.base: must be /var/www/club/var/www/club"),
        ("paths__logs", "/var/log/fpmjail/club", "paths.logs: must be"),
        ("paths__inside__base", "/", "paths.inside.base"),
        ("paths__inside__document_root", "/var/www/club", "paths.inside.document_root: must be /var/www/club/htdocs"),
        ("units__service", "ssh.service", "units.service"),
        ("units__service", "php8.2-fpm.service", "units.service: must be php8.4-fpm.service"),
        ("units__socket", "site-club-jail.socket", "units.socket: must be null"),
        ("filesystem__bind", ["/etc"], "filesystem.bind: must be empty"),
        ("compat_link", "yes", "compat_link: must be true or false"),
    ],
)
def test_what_cannot_be_true_of_a_shared_site_is_refused(path: str, value: object, words: str) -> None:
    with pytest.raises(SiteError, match=words):
        read(**{path: value})


def skeleton(site: Site) -> dict[str, jail.Piece]:
    pieces = jail.skeleton(site, frozenset({"php", "ssl", "hosts"}), frozenset({"hosts"}), 995, 994)
    return {piece.path: piece for piece in pieces}


def test_the_chroot_has_its_devices_and_the_directories_of_its_servers(site: Site) -> None:
    pieces = skeleton(site)
    assert pieces["dev/null"] == Node("dev/null", 1, 3)
    assert isinstance(pieces["run/mysqld"], Directory)
    account = pieces["etc/passwd"]
    assert isinstance(account, File) and ":/var/www/club:" in account.text
    assert "var/www/club/var" in pieces and isinstance(pieces["var/www/club/var"], Absent)


def test_the_compatible_link_leads_three_levels_up_and_only_ours_is_taken_away(tmp_path: Path, site: Site) -> None:
    wanted = skeleton(replace(site, compat_link=True))["var/www/club/var"]
    assert wanted == Link("var/www/club/var", "../..")
    (tmp_path / "var/www/club").mkdir(parents=True)
    for target, left in (("../..", False), ("/srv", True)):
        (tmp_path / "var/www/club/var").symlink_to(target)
        jail.put(tmp_path, skeleton(site)["var/www/club/var"])
        assert (tmp_path / "var/www/club/var").is_symlink() is left


def test_a_witness_answers_nobody_without_a_nonce_and_names_its_site(site: Site) -> None:
    witness = skeleton(site)[jail.WITNESS]
    assert isinstance(witness, File)
    assert "{{" not in witness.text and "'club'" in witness.text and "http_response_code(404)" in witness.text


def test_only_a_device_with_its_numbers_and_mode_is_right(tmp_path: Path) -> None:
    node = Node("null", 1, 3)
    assert not jail.is_node(tmp_path / "null", node)
    (tmp_path / "null").write_text("")
    assert not jail.is_node(tmp_path / "null", node)
    assert jail.is_node(Path("/dev/null"), node) == (stat.S_IMODE(Path("/dev/null").stat().st_mode) == 0o666)


def test_directories_around_data_and_logs_come_parents_first(site: Site) -> None:
    found = list(map(str, places.around(site)))
    assert found[0] == "/var/www/club" and found == sorted(found)
    assert set(found) == {
        "/var/www/club", "/var/www/club/var", "/var/www/club/var/www",
        "/var/www/club/var/log", "/var/www/club/var/log/fpmjail",
    }  # fmt: skip


def test_a_command_binds_nothing_but_the_servers(site: Site) -> None:
    names = [name for name, _ in sandbox.directives(site)]
    assert "BindPaths" not in names and ("BindReadOnlyPaths", "-/run/mysqld") in sandbox.directives(site)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("php_admin_flag[opcache.validate_root] = off", "opcache.validate_root keeps"),
        ("php_value[opcache.restrict_api] =", "opcache.restrict_api keeps"),
        ("slowlog = /var/www/club/var/www/club/htdocs/x", "slowlog is opened by root"),
        ("access.log = log/x", "access.log is opened by root"),
        ("access.log = '/var/log/../www/club/tmp/x'", "access.log is opened by root"),
        ("slowlog = /var/log/club.log", None),
        ("; slowlog = /var/www/club/x", None),
        ("php_admin_value[opcache.memory_consumption] = 8", None),
    ],
)
def test_a_drop_in_cannot_weaken_a_master_of_many(site: Site, line: str, words: str | None) -> None:
    said = shared.weakening(site, Part("a.conf", f"pm = static\n{line}\n"))
    assert said is None if words is None else said is not None and said.startswith(f"a.conf:2: {words}")


def test_a_complaint_about_a_candidate_leads_to_the_drop_in() -> None:
    parts = (Part("pool.conf", "[a]\npm = static"), Part("a.conf", "nonsense = 1"))
    words = "[23-Nov-2026 18:29:12] ERROR: [/tmp/x/pool.conf:6] unknown entry 'nonsense'"
    assert shared.located(parts, Path("/tmp/x/pool.conf"), words) == "a.conf:1: unknown entry 'nonsense'"
    words = "[23-Nov-2026 18:29:12] ERROR: [pool a] please specify user and group other than root"
    assert shared.located(parts, Path("/tmp/x/pool.conf"), words) == "please specify user and group other than root"


def test_what_the_master_has_is_remembered_once(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fpmjail.files.make_directory", lambda path, *_: path.mkdir(parents=True, exist_ok=True))
    assert shared.mark(layout, "8.4", Fresh("club", "old text"))
    assert not shared.mark(layout, "8.4", Fresh("club", "newer text"))
    assert shared.marked(layout, "8.4") == (Fresh("club", "old text"),)
    shared.forget(layout, "8.4", shared.marked(layout, "8.4"))
    assert shared.marked(layout, "8.4") == ()


def test_pools_that_do_not_come_back_get_what_they_had(
    layout: Layout, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fpmjail.systemd.active", lambda _: True)
    monkeypatch.setattr(pools, "reload", lambda *_: True)
    text = pools.text_file(layout, site)
    text.parent.mkdir(parents=True)
    text.write_text("new")
    new = pools.directory(layout, "8.4") / "site-new-jail.conf"
    for link in (new, pools.link(layout, site)):
        link.symlink_to(text)
    said = shared.undo(layout, "8.4", (Fresh("club", "old"), Fresh("new", "")), "php8.4-fpm.service did not come back")
    assert text.read_text() == "old" and pools.linked(layout, site) and not new.is_symlink()
    assert "taken back: it runs as before" in said


def test_only_our_own_mounts_of_a_chroot_are_ours_to_unmount(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    table = (IMAGE, PROC, mounted("/var/www/club/var/www/club/htdocs", "rw"), mounted("/var/www/clubhouse/.image"))
    monkeypatch.setattr(mounts, "current", lambda: table)
    assert [mount.target for mount in shared.mounted(site)] == ["/var/www/club/proc", "/var/www/club/.image"]


def with_usr(site: Site) -> Site:
    return replace(site, profile=replace(site.profile, libraries="bind"))


def test_the_servers_usr_is_ours_to_unmount_after_a_version_that_had_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mounts, "current", lambda: (IMAGE, USR, PROC))
    targets = ["/var/www/club/proc", "/var/www/club/usr", "/var/www/club/.image"]
    assert [[mount.target for mount in shared.mounted(one)] for one in (site, with_usr(site))] == [targets, targets]


def test_a_chroot_with_the_servers_usr_has_a_directory_for_it(site: Site) -> None:
    assert skeleton(site)["usr"] == Link("usr", ".image/current/usr")
    assert skeleton(with_usr(site))["usr"] == Directory("usr")
    assert skeleton(with_usr(site))["lib"] == Link("lib", "usr/lib")


def test_the_probes_of_a_chroot_with_the_servers_usr_are_the_servers_own(site: Site) -> None:
    assert of_site(Layout(), site).place.startswith("/.image/")
    assert of_site(Layout(), with_usr(site)).place == "/usr/share/fpmjail/probes"


def test_a_master_of_many_goes_on_while_one_site_changes_to_the_servers_usr(
    site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr(systemd, "running", lambda: True)
    monkeypatch.setattr(systemd, "systemctl", lambda *words: asked.append(words))
    (tmp_path / "usr").symlink_to(".image/current/usr")
    mounting.make_room(replace(with_usr(site), paths=replace(site.paths, jail=tmp_path)))
    assert not (tmp_path / "usr").is_symlink() and asked == []


def test_the_servers_usr_is_mounted_once_read_only_private_and_without_set_uid(site: Site) -> None:
    bound = with_usr(site)
    assert judged(bound, IMAGE, PROC, USR) == [Level.GOOD] * 3
    assert judged(bound, IMAGE, PROC, replace(USR, root="/")) == [Level.GOOD] * 3  # /usr is a filesystem of its own
    for wrong in (
        (), (USR, USR), (replace(USR, shared=True),), (replace(USR, root="/opt"),), (replace(USR, options=("ro",)),),
    ):  # fmt: skip
        assert judged(bound, IMAGE, PROC, *wrong) == [Level.GOOD, Level.BAD, Level.GOOD]
    writable = replace(USR, options=("rw", "nosuid", "nodev"))
    assert judged(bound, IMAGE, PROC, writable) == [Level.GOOD, Level.BAD, Level.BAD]


def judged(site: Site, *table: Mount, lost: tuple[str, ...] = ()) -> list[Level]:
    return [finding.level for finding in check_shared.judge_mounts(site, table, lost)]


def test_mounts_are_read_only_private_and_once_and_data_may_have_its_own(site: Site) -> None:
    volume = mounted("/var/www/club/var/www/club/htdocs", "rw")
    server = mounted("/var/www/club/run/mysqld")
    assert judged(site, IMAGE, PROC, server, volume) == [Level.GOOD, Level.GOOD]
    assert judged(site, IMAGE, PROC) == [Level.GOOD, Level.GOOD]
    assert judged(site, IMAGE) == [Level.BAD, Level.GOOD]
    assert judged(site, IMAGE, IMAGE, PROC)[0] is Level.BAD
    assert judged(site, IMAGE, replace(PROC, shared=True))[0] is Level.BAD
    assert judged(site, IMAGE, PROC, replace(server, options=("rw",))) == [Level.BAD, Level.BAD]
    assert judged(site, IMAGE, PROC, mounted("/var/www/club/opt", "rw")) == [Level.GOOD, Level.BAD]
    assert judged(site, IMAGE, PROC, lost=("/run/mysqld",))[0] is Level.BAD


WORKER = Process(7, "php-fpm8.4", 990, 0, False, 0, "/usr/sbin/php-fpm8.4", "/var/www/club")


@pytest.mark.parametrize(
    ("process", "words"),
    [
        (WORKER, ""),
        (replace(WORKER, root="/"), "is outside of /var/www/club"),
        (replace(WORKER, root="/", no_new_privileges=True, seccomp=2), ""),
        (replace(WORKER, capabilities=1), "has capabilities 1"),
        (replace(WORKER, root="/var/www/clubhouse"), "is outside of /var/www/club"),
    ],
)
def test_a_process_is_in_the_chroot_or_sealed(site: Site, process: Process, words: str) -> None:
    finding = check_shared.judge_processes(site, [process])
    assert finding.good if not words else words in finding.seen


def test_debians_master_runs_and_maps_no_replaced_file(site: Site) -> None:
    assert check_shared.judge_master(site, None).level is Level.BAD
    assert check_shared.judge_master(site, Master(1, ("/usr/lib/libc.so.6", "/dev/zero (deleted)"), ())).good
    assert check_shared.judge_accounts(site, Master(1, ("/usr/lib/libc.so.6",), ())).good
    shown = check_shared.judge_accounts(site, Master(1, ("/var/cache/nscd/passwd (deleted)",), ()))
    assert shown.level is Level.BAD and "maps /var/cache/nscd/passwd, so scripts" in shown.seen
    assert shown.fix.endswith("systemctl restart nscd && systemctl reload php8.4-fpm.service")
    seen = check_shared.judge_master(site, Master(1, ("/usr/lib/libc.so.6 (deleted)",), ())).seen
    assert "maps /usr/lib/libc.so.6 (deleted)" in seen


def test_a_pool_that_waits_and_a_broken_one_of_others_are_bad(site: Site) -> None:
    assert check_shared.judge_pool(site, None, None).good
    assert check_shared.judge_pool(site, "php8.4-fpm.service has not taken up its pool", None).level is Level.BAD
    assert "foreign.conf:3" in check_shared.judge_pool(site, None, "foreign.conf:3: unknown entry").seen


def test_code_of_another_site_is_bad_and_a_shut_out_witness_a_warning(site: Site) -> None:
    assert check_shared.judge_guards(site, Result("w", True)).good
    assert check_shared.judge_guards(site, Result("w", False, ("what ran is ...",))).level is Level.BAD
    shut = check_shared.judge_guards(site, Result("w", False, (SHUT_OUT,), answered=False))
    assert shut.level is Level.WARNING and "open_basedir" in shut.fix


def test_a_filesystem_without_devices_is_named(site: Site) -> None:
    assert check_shared.judge_devices(site, (), mounted("/", "rw")).good
    nodev = check_shared.judge_devices(site, (), mounted("/var", "rw,nodev"))
    assert nodev.level is Level.WARNING and "mount -o remount,dev /var" in nodev.fix
    assert "dev/null" in check_shared.judge_devices(site, ("dev/null",), mounted("/", "rw")).seen


def test_a_state_of_before_there_was_a_choice_is_dedicated(layout: Layout) -> None:
    place = layout.state / "club/state.json"
    place.parent.mkdir(parents=True)
    place.write_text('{"version": "1"}')
    known = state.read(layout, "club")
    assert known is not None and known.isolation == "dedicated"


def test_another_isolation_is_refused_with_the_way_to_it(site: Site) -> None:
    configure.refuse_another_isolation(site, None)
    configure.refuse_another_isolation(site, State(isolation="shared"))
    with pytest.raises(SiteFault) as refused:
        configure.refuse_another_isolation(site, State(isolation="dedicated"))
    assert "usermod --home /var/www/club/var/www/club _site-club" in refused.value.hint
    assert "move what lies in /var/www/club to /var/www/club/var/www/club" in refused.value.hint


def test_generations_that_a_worker_may_remember_are_kept(
    layout: Layout, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    known = [
        Generation("new", now - 10, True),
        Generation("old", now - 3000, False),
        Generation("older", now - 9000, False),
    ]
    monkeypatch.setattr(image, "generations", lambda *_: known)
    task = Task(layout, site.profile, (site,), Mode())
    assert renewal.remembered(task) == {"old"}
    assert renewal.remembered(replace(task, sites=(replace(site, isolation="dedicated"),))) == set()


def test_the_unit_of_a_mount_is_named_as_systemd_escapes_it() -> None:
    assert mounts.unit(Path("/var/www/my-shop/.image")) == r"var-www-my\x2dshop-.image.mount"
    assert mounts.unit(Path("/a b/é")) == r"a\x20b-\xc3\xa9.mount"
    assert mounts.unit(Path("/.x")) == r"\x2ex.mount"


def test_a_path_lies_on_the_deepest_mount_above_it() -> None:
    table = (mounted("/"), mounted("/var"), mounted("/var", "rw,nodev"), mounted("/var/www2"))
    found = mounts.of(Path("/var/www/club"), table)
    assert found is not None and found.options == ("rw", "nodev")


@pytest.fixture
def running(layout: Layout, site: Site, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A running master with one fresh pool; the list is what was done to it."""
    done: list[str] = []
    monkeypatch.setattr("fpmjail.files.make_directory", lambda path, *_: path.mkdir(parents=True, exist_ok=True))
    monkeypatch.setattr("fpmjail.systemd.running", lambda: True)
    monkeypatch.setattr("fpmjail.systemd.active", lambda _: True)
    monkeypatch.setattr("fpmjail.systemd.permitted", lambda *_: True)
    monkeypatch.setattr(pools, "fault", lambda *_: None)
    monkeypatch.setattr(pools, "reload", lambda *_: not done.append("reload"))  # type: ignore[func-returns-value]
    monkeypatch.setattr(shared, "answers", lambda *_: True)
    text = pools.text_file(layout, site)
    text.parent.mkdir(parents=True)
    text.write_text("[site-club-jail]\nlisten = /run/fpmjail/club.sock\n")
    pools.link(layout, site).symlink_to(text)
    shared.mark(layout, "8.4", Fresh("club", ""))
    return done


def test_fresh_pools_are_taken_up_by_one_reload(layout: Layout, site: Site, running: list[str]) -> None:
    shared.mark(layout, "8.4", Fresh("other", ""))
    assert shared.settle(layout, [site]) == () and running == ["reload"]
    assert shared.settle(layout, [site]) == () and running == ["reload"]


def test_a_master_that_would_end_is_not_reloaded_and_the_pool_waits(
    layout: Layout, site: Site, running: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "fault", lambda *_: "foreign.conf:2: unknown entry")
    (words,) = shared.settle(layout, [site])
    assert "is not reloaded, because it would end: foreign.conf:2: unknown entry" in words and running == []
    assert shared.waiting(layout, site) == "php8.4-fpm.service has not taken up its pool: foreign.conf:2: unknown entry"
    monkeypatch.setattr(pools, "fault", lambda *_: None)
    assert shared.settle(layout, [site]) == () and shared.waiting(layout, site) is None


def test_policy_rc_d_is_obeyed(layout: Layout, site: Site, running: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fpmjail.systemd.permitted", lambda *_: False)
    assert "policy-rc.d forbids to reload php8.4-fpm.service" in shared.settle(layout, [site])[0] and running == []


def test_a_site_that_does_not_answer_is_taken_back_alone(
    layout: Layout, site: Site, running: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "answers", lambda *_: False)
    (words,) = shared.settle(layout, [site])
    assert "PHP does not answer in php8.4-fpm.service with the new pools (club), so they were taken back" in words
    assert not pools.linked(layout, site) and running == ["reload", "reload"]
    assert shared.waiting(layout, site) == "its pool is off: fpmjail configure club"


def test_a_master_without_any_pool_is_stopped(
    layout: Layout, site: Site, running: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shared.forget(layout, "8.4", shared.marked(layout, "8.4"))
    shared.withdraw(layout, site)
    monkeypatch.setattr("fpmjail.systemd.systemctl", lambda *words: running.append(" ".join(words)))
    assert shared.settle(layout, []) == ("php8.4-fpm.service is stopped: it has no pool left",)
    assert running == ["stop php8.4-fpm.service"]


def test_a_pool_that_was_never_loaded_asks_for_no_reload_when_it_goes(
    layout: Layout, site: Site, running: list[str]
) -> None:
    shared.withdraw(layout, site)
    assert shared.marked(layout, "8.4") == () and shared.settle(layout, [site]) == () and running == []


def test_new_libraries_are_taken_up_only_when_that_is_asked(
    layout: Layout, site: Site, running: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shared.forget(layout, "8.4", shared.marked(layout, "8.4"))
    monkeypatch.setattr(pools, "outdated", lambda _: ("/usr/lib/libc.so.6 (deleted)",))
    assert shared.settle(layout, [site]) == () and running == []
    assert shared.settle(layout, [site], outdated=True) == () and running == ["reload"]


def test_a_pool_that_is_refused_leaves_nothing_to_wait_for(
    layout: Layout, site: Site, running: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shared.forget(layout, "8.4", shared.marked(layout, "8.4"))
    own = Path(layout.root / "pool.conf")
    own.write_text("[site-club-jail]\nnonsense = 1\n")
    monkeypatch.setattr(shared, "proven", lambda *_: "pool.conf:2: unknown entry")
    with pytest.raises(fpm.PoolFault, match="unknown entry"):
        shared.apply(layout, replace(site, paths=replace(site.paths, pool=own)), provable=True, on=True)
    assert shared.marked(layout, "8.4") == () and shared.waiting(layout, site) is None


def test_a_proven_pool_is_linked_and_waits_for_the_reload(
    layout: Layout, site: Site, running: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shared.settle(layout, [site])
    own = Path(layout.root / "pool.conf")
    own.write_text("[site-club-jail]\nlisten = /run/fpmjail/club.sock\npm = static\n")
    described = replace(site, paths=replace(site.paths, pool=own))
    monkeypatch.setattr(shared, "proven", lambda *_: None)
    assert shared.apply(layout, described, provable=True, on=True).changed
    assert [one.site for one in shared.marked(layout, "8.4")] == ["club"] and pools.linked(layout, site)
    shared.settle(layout, [site])
    assert not shared.apply(layout, described, provable=True, on=True).changed
    assert shared.marked(layout, "8.4") == ()


def test_workers_that_remember_where_usr_led_are_replaced(
    layout: Layout, site: Site, running: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Path(layout.root / "pool.conf")
    own.write_text("[site-club-jail]\nlisten = /run/fpmjail/club.sock\npm = static\n")
    described = replace(site, paths=replace(site.paths, pool=own))
    monkeypatch.setattr(shared, "proven", lambda *_: None)
    shared.apply(layout, described, provable=True, on=True)
    shared.settle(layout, [site])
    assert not shared.apply(layout, described, provable=True, on=True, remounted=True).changed
    assert [one.site for one in shared.marked(layout, "8.4")] == ["club"]
