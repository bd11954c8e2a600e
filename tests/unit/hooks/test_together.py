# SPDX-License-Identifier: GPL-2.0-or-later
"""Which sites are configured together with the first one of a run of dpkg, and what is told once for all of them."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from arrivals import named
from test_site_json import EXAMPLE, read

from fpmjail import (
    configure,
    foregone,
    packages,
    places,
    state,
    systemd,
    together,
)
from fpmjail.arrival import Failures
from fpmjail.layout import Layout
from fpmjail.places import SiteFault
from fpmjail.state import State
from fpmjail.systemd import Answer
from fpmjail.together import Package
from tests.sites import planned, shop

NEEDS = "fpmjail (>= 0.1~), php8.4-fpm"
LEADER = Package("site-a-jail", "install", "half-configured", "", NEEDS)
PENDING = {"dpkg", "--configure", "--pending"}


def waiting(name: str, state: str = "unpacked", needs: str = NEEDS) -> Package:
    return Package(f"site-{name}-jail", "install", state, "", needs)


@pytest.mark.parametrize(
    ("other", "together_with_it"),
    [
        (waiting("b"), True),
        (waiting("b", "installed"), False),
        (waiting("b", "half-installed"), False),
        (replace(waiting("b"), want="hold"), True),
        (replace(waiting("b"), want="deinstall"), False),  # dpkg passes over it
        (replace(waiting("b"), known="1.0"), True),
        (waiting("b", needs=f"{NEEDS}, php8.4-ldap"), False),  # which dpkg may not have configured yet
    ],
)
def test_what_waits_and_needs_the_same_is_configured_with_the_first(other: Package, together_with_it: bool) -> None:
    assert (together.companions("a", (LEADER, other), PENDING) == (other,)) is together_with_it


def test_only_what_dpkg_was_told_to_configure_is_configured() -> None:
    both = (LEADER, waiting("b"), waiting("c"))
    assert together.companions("a", both, {"dpkg", "--configure", "site-a-jail"}) == ()
    assert together.companions("a", both, {"dpkg", "-i", "site-a-jail", "site-c-jail"}) == both[2:]
    assert together.companions("a", both, {"dpkg", "-a"}) == both[1:]


def test_outside_of_its_own_configuration_a_site_is_alone() -> None:
    for other in ("installed", "half-installed", "unpacked"):  # such as in abort-upgrade
        assert together.companions("a", (replace(LEADER, state=other), waiting("b")), PENDING) == ()


def test_the_command_line_of_dpkg_names_packages_or_their_files() -> None:
    script = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    files = ["/srv/site-b-jail_1.0_all.deb", "site-c-jail:all"]
    with subprocess.Popen(["python3", "-c", script, *files], stdout=subprocess.PIPE, text=True) as dpkg:
        assert dpkg.stdout
        found = together.named(f"{dpkg.stdout.readline().strip()} 1")
        dpkg.kill()
    assert {"site-b-jail", "site-c-jail"} <= found
    assert together.named("0 0") == frozenset()


def test_what_dpkg_says_of_packages_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = "site-a-jail\tinstall\thalf-configured\t\tx, y | z\nsite-b-jail\tinstall\tunpacked\t1.0\tx\nbroken\n"
    monkeypatch.setattr(packages, "_query", lambda *_: lines)
    assert together.found(Layout()) == (
        Package("site-a-jail", "install", "half-configured", "", "x, y | z"),
        Package("site-b-jail", "install", "unpacked", "1.0", "x"),
    )


class Units:
    """Units of which some are enabled, some masked, and some switched off by an administrator, and who was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, on: str = "", masked: str = "", switched_off: str = "") -> None:
        self.on, self.masked, self.switched_off = set(on), set(masked), set(switched_off)
        self.asked: list[str] = []
        monkeypatch.setattr(systemd, "run", self.run)
        monkeypatch.setattr(systemd, "enabled", lambda: frozenset(self.on))
        monkeypatch.setattr(together, "known", lambda layout, name: named(name))
        monkeypatch.setattr(together, "enabled", lambda site: (site.name,))
        monkeypatch.setattr(together, "make_accounts", lambda users: None)

    def run(self, words: list[str]) -> Answer:
        action, units = next(
            (action, words[words.index(action) + 1 :])
            for action in ("preset", "update-state", "enable", "was-enabled")
            if action in words
        )
        self.asked.append(f"{action} {' '.join(units)}")
        if action == "was-enabled":
            return Answer(int(units[0] in self.switched_off), "")
        if action == "preset" and not self.masked & set(units):
            self.on |= set(units)
        return Answer(0, "")


def test_new_units_are_enabled_with_three_calls_however_many(monkeypatch: pytest.MonkeyPatch) -> None:
    units = Units(monkeypatch)
    together.prepare(Layout(), [waiting("b"), waiting("c")])
    assert units.asked == ["preset b c", "update-state b c", "enable b c"]


def test_a_masked_unit_keeps_no_other_from_being_enabled(monkeypatch: pytest.MonkeyPatch) -> None:
    units = Units(monkeypatch, masked="c")
    together.prepare(Layout(), [waiting("b"), waiting("c")])
    assert units.asked == ["preset b c", "enable b", "enable c"]


def test_units_of_new_versions_are_enabled_unless_an_administrator_switched_them_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    units = Units(monkeypatch, on="b", switched_off="d")
    packages = [replace(waiting(name), known="1.0") for name in "bcd"]
    together.prepare(Layout(), [*packages, waiting("e")])
    assert units.asked == [
        "was-enabled c",
        "was-enabled d",
        "preset c e",
        "update-state b c e",
        "enable b c e",
        "update-state d",
    ]


def test_units_that_links_of_the_administrators_directory_want_are_enabled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(systemd, "LINKS", tmp_path)
    assert systemd.enabled() == frozenset()
    for name in ("sockets.target.wants/a.socket", "timers.target.wants/a.timer", "c.service", "a.service.d/b.conf"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).symlink_to("/dev/null")
    assert systemd.enabled() == {"a.socket", "a.timer"}


@pytest.mark.parametrize(
    ("profile", "sandbox", "along"),
    [
        (None, (), True),
        ("", (), True),
        (read(EXAMPLE).profile.id, (), True),
        ("another", (), False),
        (None, (("AppArmorProfile", "-site-b"),), False),
    ],
)
def test_a_site_with_another_image_or_a_conffile_of_apparmor_waits_for_its_own_turn(
    profile: str | None,
    sandbox: tuple[tuple[str, str], ...],
    along: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    site = replace(read(EXAMPLE), sandbox=sandbox)
    monkeypatch.setattr(together, "known", lambda layout, name: site)
    monkeypatch.setattr(state, "read", lambda layout, name: None if profile is None else State(profile=profile))
    assert together.can_go_along(Layout(tmp_path), "b") is along
    drop_in = Layout(tmp_path).admin_sites / "b/apache.d/10.conf.dpkg-new"
    drop_in.parent.mkdir(parents=True)
    drop_in.touch()
    assert not together.can_go_along(Layout(tmp_path), "b"), "dpkg puts it in place just before its postinst"
    drop_in.unlink()
    monkeypatch.setattr(together, "known", lambda layout, name: None)
    assert together.can_go_along(Layout(tmp_path), "b"), "what is wrong with it is said with it"


def test_a_site_that_gets_another_image_leads_no_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = read(EXAMPLE)
    monkeypatch.setattr(together, "found", lambda layout: (LEADER, waiting("b")))
    monkeypatch.setattr(together, "named", lambda run: frozenset({"--pending"}))
    monkeypatch.setattr(together, "known", lambda layout, name: site)
    before = {"a": State(profile=site.profile.id)}
    monkeypatch.setattr(state, "read", lambda layout, name: before.get(name))
    assert together.with_it(Layout(tmp_path), "a", "RUN") == (waiting("b"),)
    before["a"] = State(profile="another")
    assert together.with_it(Layout(tmp_path), "a", "RUN") == ()


def test_a_site_that_was_configured_in_this_run_goes_along_with_no_second_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = Layout(tmp_path)
    (tmp_path / "run").mkdir()
    monkeypatch.setattr(together, "found", lambda layout: (LEADER, waiting("b"), waiting("c")))
    monkeypatch.setattr(together, "named", lambda run: frozenset({"--pending"}))
    foregone.begin(layout, "RUN")
    foregone.leave(layout, "b", "RUN", fault=False, lines=[])
    assert together.with_it(layout, "a", "RUN") == (waiting("c"),)
    assert together.with_it(layout, "a", "ANOTHER RUN") == (waiting("b"), waiting("c"))


class Accounts:
    """systemd-sysusers with so many numbers left below 1000; a configuration can be one that it does not understand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, left: int, broken: str = "") -> None:
        self.left, self.broken = left, broken
        self.made: dict[str, str] = {}
        self.asked: list[list[str]] = []
        monkeypatch.setattr(systemd, "run", self.run)
        monkeypatch.setattr(places, "account", self.made.get)

    def run(self, words: list[str]) -> Answer:
        self.asked.append(words)
        numbers, *configurations = words[1:]
        if self.broken in configurations:
            return Answer(1, "")
        room = self.left - len(self.made) if "system" in numbers else len(configurations)
        self.made.update((f"_{one.removesuffix('-jail.conf')}", numbers) for one in configurations[:room])
        return Answer(0, "")


USERS = {f"site-{name}-jail": f"_site-{name}" for name in "bcd"}


def test_accounts_are_made_with_one_call_however_many(monkeypatch: pytest.MonkeyPatch) -> None:
    accounts = Accounts(monkeypatch, left=3)
    together.make_accounts(USERS)
    assert sorted(accounts.made) == sorted(USERS.values()) and len(accounts.asked) == 1


def test_accounts_that_find_no_system_number_get_a_further_one(monkeypatch: pytest.MonkeyPatch) -> None:
    accounts = Accounts(monkeypatch, left=1)
    together.make_accounts(USERS)
    numbers = [Path(place).name for _, place in sorted(accounts.made.items())]
    assert numbers == ["system-accounts.conf", "further-accounts.conf", "further-accounts.conf"]


def test_an_account_that_cannot_be_made_keeps_nobody_else_from_one(monkeypatch: pytest.MonkeyPatch) -> None:
    accounts = Accounts(monkeypatch, left=3, broken="site-b-jail.conf")
    together.make_accounts(USERS)
    assert sorted(accounts.made) == ["_site-c", "_site-d"]


def test_a_first_site_that_fails_keeps_the_others_from_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def run(words: list[str]) -> Answer:
        asked.append(words)
        return Answer(0, "")

    (tmp_path / "run").mkdir()
    layout = Layout(tmp_path)
    monkeypatch.setattr(systemd, "run", run)
    monkeypatch.setattr(foregone, "run_of_dpkg", lambda: "7 8")
    monkeypatch.setattr(together, "named", lambda run: frozenset({"--pending"}))
    monkeypatch.setattr(together, "found", lambda layout: (LEADER, waiting("b"), waiting("c")))
    failures = {"a": SiteFault("no", "do"), "c": SiteFault("never", "do this")}
    monkeypatch.setattr(configure, "configure_all", lambda layout, tellers: tellers["b"]("words") or failures)
    with pytest.raises(SiteFault, match="no"):
        together.configure(layout, "a", print)
    assert asked[-1] == ["dpkg-trigger", "--no-await", "fpmjail-reload"]
    assert (layout.foregone / "b").read_text() == "7 8\ngood\nfpmjail: b: words\n"
    assert (layout.foregone / "c").read_text() == "7 8\nbad\nfpmjail: c: never\n  do this\n"


def test_when_all_at_once_does_not_work_each_is_configured_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(layout: Layout, tellers: Mapping[str, object]) -> Failures:
        raise MemoryError("too many")

    alone: list[str] = []
    (tmp_path / "run").mkdir()
    layout = Layout(tmp_path)
    monkeypatch.setattr(systemd, "run", lambda words: Answer(0, ""))
    monkeypatch.setattr(foregone, "run_of_dpkg", lambda: "7 8")
    monkeypatch.setattr(together, "named", lambda run: frozenset({"--pending"}))
    monkeypatch.setattr(together, "found", lambda layout: (LEADER, waiting("b")))
    monkeypatch.setattr(configure, "configure_all", never)
    monkeypatch.setattr(configure, "configure", lambda layout, name, say: alone.append(name))
    said: list[str] = []
    together.configure(layout, "a", said.append)
    assert alone == ["a"] and said[-1] == "the others are configured one after another: MemoryError: too many"
    assert together.with_it(layout, "a", "7 8") == (), "nor does the next one try"


def test_the_units_are_those_that_the_package_enables() -> None:
    script = dict(planned(shop("cron: [{name: night, command: [php, x.php], schedule: daily}]\n")).scripts)["postinst"]
    site = read(EXAMPLE)
    for unit in together.enabled(site):
        assert unit.replace("example", "shop").rpartition("-cron-")[0] in script
    assert len(together.enabled(site)) == 1 + len(site.units.paths) + len(site.cron)
