# SPDX-License-Identifier: GPL-2.0-or-later
"""What one site does, or bad luck with it, costs no other site and takes down no wall."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from arrivals import arriving, named

from fpmjail import (
    announcing,
    apparmor,
    configure,
    files,
    handover,
    image,
    jail,
    masters,
    mounts,
    places,
    regression,
    renewal,
    run,
    starting,
    state,
    systemd,
    takedown,
    waking,
)
from fpmjail import site as sites
from fpmjail.arrival import Arrival, Surroundings
from fpmjail.layout import Layout
from fpmjail.manifest import Manifest
from fpmjail.places import Account
from fpmjail.refresh import Mode, Task
from fpmjail.state import State
from fpmjail.systemd import Answer


class Reported:
    """In place of a path: tells who makes it."""

    def __init__(self, report: Path) -> None:
        self.report = report

    def mkdir(self, **_: object) -> None:
        text = f"{os.getresuid()} {os.getresgid()} {os.getgroups()}"
        os.write(self.descriptor, text.encode())

    def __enter__(self) -> Reported:
        self.descriptor = os.open(self.report, os.O_WRONLY | os.O_CREAT)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.descriptor)


def test_what_makes_a_sites_directories_has_its_rights_and_cannot_be_stopped_by_it(tmp_path: Path) -> None:
    """A signal reaches a process whose real or saved user is the sender's (kill(2))."""
    with Reported(tmp_path / "seen") as path:
        places.make_as_user(path, Account("site", 4321, 4322, "/", "/"))  # type: ignore[arg-type]
    assert (tmp_path / "seen").read_text() == "(0, 4321, 0) (0, 4322, 0) []"


def test_a_directory_is_made_as_the_site_where_only_the_site_may(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    os.chown(tmp_path / "own", 4321, 4322)
    tmp_path.chmod(0o755)
    for directory in tmp_path.parents[:-2]:
        directory.chmod(0o755)
    places.make_as_user(tmp_path / "own/a/b", Account("site", 4321, 4322, "/", "/"))
    places.make_as_user(tmp_path / "denied", Account("site", 4321, 4322, "/", "/"))
    made = (tmp_path / "own/a/b").stat()
    assert (made.st_uid, made.st_gid) == (4321, 4322) and not (tmp_path / "denied").exists()


def test_the_state_of_a_site_is_read_and_written_under_one_lock(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else `fpmjail disable`, which waits for it, would be undone by what was read before."""
    steps: list[str] = []

    def locked(step: str, result: Any) -> Any:
        with pytest.raises(files.Locked), files.lock(layout.lock_file, wait=False):
            pass
        steps.append(step)
        return result

    one = arriving("a")
    monkeypatch.setattr(configure, "arriving", lambda *_: locked("read", one))
    monkeypatch.setattr(configure, "place", lambda *_: one)
    monkeypatch.setattr(configure, "bring_up", lambda *_: locked("done", (one,)))
    monkeypatch.setattr(configure, "recorded", lambda *_: locked("written", one))
    assert configure.configure_all(layout, {"a": print}) == {}
    assert steps == ["read", "done", "written"]


def test_a_site_that_was_switched_off_stays_off_when_its_package_goes_and_comes_again(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sites, "load", lambda path: named("a"))
    monkeypatch.setattr(places, "check_account", lambda *_: arriving("a").owner)
    monkeypatch.setattr(configure, "surroundings", lambda site: Surroundings(systemd=True, live=True))

    def on() -> bool:
        return configure.arriving(layout, "a", print, {}).on

    assert on()
    state.set_disabled(layout, "a", True)
    assert state.read(layout, "a") is None, "nothing is known of a site that was never configured"
    state.forget(layout, "a")
    assert not on() and configure.remember(layout, configure.arriving(layout, "a", print, {})).disabled
    state.set_disabled(layout, "a", False)
    assert on()


@pytest.mark.parametrize(
    ("proven", "state", "may"),
    [("other", "active", True), ("", "active", True), ("same", "active", False), ("same", "activating", True)],
)
def test_a_site_that_keeps_its_workers_busy_takes_down_no_wall_of_apparmor(
    proven: str, state: str, may: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a profile that PHP never ran under, or one under which no PHP comes up."""
    monkeypatch.setattr(apparmor, "fingerprint", lambda site: "same")
    monkeypatch.setattr(systemd, "properties", lambda unit, *names: {"ActiveState": state})
    assert starting.may_loosen(replace(arriving("a"), known=State(apparmor=proven))) is may


def test_the_profile_that_php_ran_under_is_known_by_its_text_and_the_administrators(tmp_path: Path) -> None:
    where = apparmor.Places(profiles=tmp_path, kernel=tmp_path)
    site = replace(named("a"), sandbox=(("AppArmorProfile", "-site-a-jail"),))
    (tmp_path / "profiles").write_text("site-a-jail (enforce)\n")
    (tmp_path / "site-a-jail").write_text("profile\n")
    (tmp_path / "local").mkdir()
    seen = [apparmor.fingerprint(site, where)]
    (tmp_path / "local/site-a-jail").write_text("/srv/** r,\n")
    seen.append(apparmor.fingerprint(site, where))
    (tmp_path / "profiles").write_text("site-a-jail (complain)\n")
    seen.append(apparmor.fingerprint(site, where))
    assert len(set(seen)) == 3 and seen[2] == ""


def test_a_refresh_that_fails_keeps_neither_the_last_word_nor_the_web_servers_from_coming(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def explode(*_: object) -> None:
        raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")

    def systemctl(*words: str) -> Answer:
        asked.append(" ".join(words))
        return Answer(0, "")

    monkeypatch.setattr(run, "once", explode)
    monkeypatch.setattr(run, "web", lambda layout, say: asked.append("web"))
    monkeypatch.setattr(systemd, "running", lambda: True)
    monkeypatch.setattr(systemd, "systemctl", systemctl)
    said: list[str] = []
    run.trigger(layout, frozenset({"ldconfig", run.WEB_RELOAD}), said.append)
    assert asked == [f"start --no-block {run.LAST_WORD}", "web"]
    assert len(said) == 1 and said[0].startswith("UnicodeDecodeError: ")


def test_a_jail_that_cannot_get_its_links_keeps_no_other_from_them(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def make(layout: Layout, site: sites.Site, manifest: object) -> None:
        if site.name == "a":
            raise KeyError("getpwnam(): name not found: '_site-a'")
        made.append(site.name)

    profile = named("a").profile
    for name in "ab":
        state.write(layout, name, State(profile=profile.id))
        layout.host(str(named(name).paths.jail) + "/.image").mkdir(parents=True, exist_ok=True)
    monkeypatch.setattr(jail, "make", make)
    task = Task(layout, profile, (named("a"), named("b")), Mode())
    words = renewal.renew_jails(task, None, Manifest(profile.id, "0" * 16, "", ()))
    assert made == ["b"] and len(words) == 1
    assert words[0].startswith("site a lacks links of its /etc: KeyError: ") and "fpmjail configure a" in words[0]


TLS = ("capability", "tls")


@pytest.fixture
def woken(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Sites that are woken and laid down again; those whose names begin with b have no PHP, with t no TLS."""
    awake: list[str] = []
    laid: list[str] = []

    def look(layout: Layout, running: list[masters.Master]) -> dict[str, regression.Faults]:
        names = [master.site.name for master in running]
        awake.extend(names)
        faults = {"b": {regression.PHP: "no answer"}, "t": {TLS: "no certificate"}}
        return {name: faults.get(name[0], {}) for name in names}

    def lay_down(layout: Layout, site: sites.Site) -> None:
        laid.append(site.name)
        assert len(awake) - len(laid) < masters.AT_ONCE, "no more are awake than memory has room for"

    monkeypatch.setattr(regression, "look", look)
    monkeypatch.setattr(waking, "lay_down", lay_down)
    return laid


@pytest.mark.parametrize(
    ("idle", "needed", "keeps"),
    [
        ("g1", 1, True),  # one site alone is worse off, and one of those that sleep is well
        ("b1 g1 g2 g3", 1, True),
        ("b1", 1, False),  # it is not the only one
        ("t1 t2 t3 t4", 1, False),  # they complain of the same
        ("g1 g2", 3, False),  # too few sleep to say anything
        ("", 1, False),
        (" ".join(f"g{number}" for number in range(50)), 20, True),
    ],
)
def test_the_one_site_that_is_awake_brings_no_old_generation_back_for_those_that_sleep(
    idle: str, needed: int, keeps: bool, layout: Layout, woken: list[str]
) -> None:
    stuck = {"evil": {TLS: "no certificate"}}
    assert regression.outvoted(layout, [named(name) for name in idle.split()], needed, stuck) is keeps
    assert len(woken) == len(set(woken)) <= needed + regression.DOUBTS, "no more are asked than it takes"


def test_only_sites_that_are_on_and_have_the_image_are_asked(layout: Layout) -> None:
    site = named("a")
    for name, known in {
        "up": State(profile=site.profile.id),
        "idle": State(profile=site.profile.id),
        "off": State(profile=site.profile.id, disabled=True),
        "other": State(profile="0123456789ab"),
    }.items():
        state.write(layout, name, known)
    members = tuple(named(name) for name in ("up", "idle", "off", "other", "new"))
    task = Task(layout, site.profile, members, Mode())
    assert [one.name for one in renewal.asleep(task, [masters.Master(named("up"), 7)])] == ["idle"]


def test_an_image_is_kept_for_a_site_that_has_it_until_its_new_version_is_configured(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed: list[str] = []
    last, other = named("a"), named("b")
    moved = replace(other, profile=replace(other.profile, id="0123456789ab"))
    monkeypatch.setattr(sites, "installed", lambda layout: ([last, moved], []))
    monkeypatch.setattr(image, "remove", lambda layout, profile_id: removed.append(profile_id))
    state.write(layout, "b", State(profile=last.profile.id))
    takedown.drop_image(layout, last, print)
    assert removed == []
    state.write(layout, "b", State(profile="0123456789ab"))
    takedown.drop_image(layout, last, print)
    assert removed == [last.profile.id]


def test_an_image_that_a_chroot_outside_of_the_jails_shows_is_not_removed(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = layout.image("0123456789ab")
    place.mkdir(parents=True)
    shown = layout.root / "var/www/b/.image"
    shown.parent.mkdir(parents=True)
    shown.symlink_to(place)
    mount = mounts.Mount("0:1", "/", str(shown), (), False, "ext4", "/dev/vda")
    monkeypatch.setattr(mounts, "current", lambda: (mount,))
    with pytest.raises(mounts.Kept, match="is mounted at"):
        image.remove(layout, "0123456789ab")
    monkeypatch.setattr(mounts, "current", tuple)
    assert image.remove(layout, "0123456789ab") and not place.exists()


def test_a_hand_over_that_ends_while_the_marks_are_read_is_no_fault(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout.leaving.mkdir(parents=True)
    (layout.leaving / "site-a-jail.service").write_text("7")
    (layout.leaving / "site-b-jail.service").symlink_to("gone")
    assert handover.leaving(layout) == {"site-a-jail.service": 7}


@pytest.mark.parametrize(
    ("around", "kept"), [(Surroundings(systemd=True, live=False), True), (Surroundings(False, False), False)]
)
def test_what_policy_rc_d_keeps_from_being_taken_up_counts_as_not_taken_up(
    around: Surroundings, kept: bool, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    one: Arrival = replace(arriving("a"), around=around, known=State(units="before", socket="before"))
    monkeypatch.setattr(announcing, "expect", lambda *_: None)
    now = configure.remember(layout, one)
    assert ((now.units, now.socket) == ("before", "before")) is kept
