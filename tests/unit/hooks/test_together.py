# SPDX-License-Identifier: GPL-2.0-or-later
"""Sites that are configured together: which ones, what is told once for all, and that one that fails stops no other."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from test_site_json import EXAMPLE, read

from fpmjail import (
    announcing,
    apache,
    arrival,
    configure,
    files,
    foregone,
    fpm,
    handover,
    masters,
    mounting,
    packages,
    places,
    probe,
    sandbox,
    starting,
    state,
    systemd,
    together,
    waking,
    web,
)
from fpmjail.arrival import Arrival, Failures, Surroundings
from fpmjail.layout import Layout
from fpmjail.places import Account, SiteFault
from fpmjail.probe import Result
from fpmjail.site import Site
from fpmjail.state import State
from fpmjail.systemd import Answer
from fpmjail.together import Package
from fpmjail.vhost import Applied, VirtualHostFault
from tests.lifecycle import trees
from tests.sites import planned, shop

NEEDS = "fpmjail (>= 0.1~), php8.4-fpm"
LEADER = Package("site-a-jail", "install", "half-configured", "", NEEDS)
PENDING = {"dpkg", "--configure", "--pending"}


def waiting(name: str, state: str = "unpacked", needs: str = NEEDS) -> Package:
    return Package(f"site-{name}-jail", "install", state, "", needs)


def named(name: str) -> Site:
    site = read(EXAMPLE)
    return replace(site, name=name, web=replace(site.web, site=f"site-{name}-jail"))


def arriving(name: str, say: Callable[[str], None] = print) -> Arrival:
    owner = Account(f"_site-{name}", 901, 901, f"/var/www/{name}", "/usr/sbin/nologin")
    return Arrival(named(name), owner, None, Surroundings(systemd=True, live=True), say)


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


def test_the_units_are_those_that_the_package_enables() -> None:
    script = dict(planned(shop("cron: [{name: night, command: [php, x.php], schedule: daily}]\n")).scripts)["postinst"]
    site = read(EXAMPLE)
    for unit in together.enabled(site):
        assert unit.replace("example", "shop").rpartition("-cron-")[0] in script
    assert len(together.enabled(site)) == 1 + len(site.units.paths) + len(site.cron)


POSTINST = dict(planned(shop()).scripts)["postinst"]
BEGIN, END = "# begin foregone", "# end foregone"


def said(directory: Path, content: str, argument: str = "configure", former: str = "") -> tuple[int, str]:
    """Run the postinst's snippet as dpkg would; its exit status, 77 for one that went on, and what it said. In the
    content RUN is what the snippet must find there."""
    snippet = POSTINST[POSTINST.index(BEGIN) : POSTINST.index(END)].replace("/run/fpmjail/foregone", str(directory))
    script = directory / "script"
    script.write_text(f"set -e\n{snippet}\nexit 77\n")
    stat = 'IFS= read -r stat </proc/$$/stat; rest=${stat##*) }; set -- $rest; run="$$ ${20}"'
    (directory / "template").write_text(content)
    dpkg = (
        f'{stat}; sed "s/RUN/$run/" {directory}/template >{directory}/shop; sh {script} {argument} "{former}"; exit $?'
    )
    done = subprocess.run(["bash", "-c", dpkg], capture_output=True, text=True)
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_a_postinst_says_what_became_of_its_site_and_does_nothing_else(tmp_path: Path) -> None:
    assert said(tmp_path, "RUN\ngood\n") == (0, "")
    assert said(tmp_path, "RUN\ngood\nfpmjail: shop: a \\ b\n  c\n") == (0, "fpmjail: shop: a \\ b\n  c\n")


def test_a_postinst_fails_for_the_fault_of_its_own_site(tmp_path: Path) -> None:
    assert said(tmp_path, "RUN\nbad\nfpmjail: shop: no\n  do that\n") == (1, "fpmjail: shop: no\n  do that\n")


@pytest.mark.parametrize("run", ["1 1", "RUN1", "", "$PPID 1"])
def test_what_another_run_of_dpkg_left_does_not_count(tmp_path: Path, run: str) -> None:
    assert said(tmp_path, f"{run}\ngood\nfpmjail: shop: words\n") == (77, "")


def test_a_new_version_says_what_became_of_its_site_as_a_new_site_does(tmp_path: Path) -> None:
    assert said(tmp_path, "RUN\ngood\nfpmjail: shop: words\n", former="1.0") == (0, "fpmjail: shop: words\n")
    assert said(tmp_path, "RUN\nbad\nfpmjail: shop: no\n", former="1.0") == (1, "fpmjail: shop: no\n")
    assert said(tmp_path, "7 8\ngood\n", former="1.0") == (77, "")


def test_what_an_old_version_had_is_looked_after_before_a_new_one_says_what_became_of_its_site() -> None:
    postinst = dict(planned(shop("web: {tls: none}\n")).scripts)["postinst"]
    assert postinst.index("# begin former-units") < postinst.index("# begin foregone")


def test_a_site_whose_upgrade_was_given_up_is_configured_by_its_own_postinst(tmp_path: Path) -> None:
    assert said(tmp_path, "RUN\ngood\n", "abort-upgrade", "1.0") == (77, "")


def test_what_is_left_is_what_a_postinst_reads(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    (tmp_path / "run").mkdir()
    foregone.begin(layout, "RUN")
    foregone.leave(layout, "shop", "RUN", fault=True, lines=["fpmjail: shop: no\n  do that"])
    foregone.leave(layout, "other", "RUN", fault=False, lines=[])
    there = tmp_path / "there"
    there.mkdir()
    assert said(there, (layout.foregone / "shop").read_text()) == (1, "fpmjail: shop: no\n  do that\n")
    assert said(there, (layout.foregone / "other").read_text()) == (0, "")
    foregone.begin(layout, "RUN")
    assert len(list(layout.foregone.iterdir())) == 2, "other sites of the same run, with other needs"
    foregone.begin(layout, "RUN2")
    assert list(layout.foregone.iterdir()) == []


def test_the_run_of_dpkg_is_found_two_steps_above(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import sys\nsys.path.insert(0, 'hooks')\nfrom fpmjail import foregone\n"
        "print(foregone.run_of_dpkg(), sys.argv[1], foregone.fields(sys.argv[1])[foregone.START])\n"
    )
    script = f"sh -c 'python3 -I {program} $1; :' postinst $$; :"
    monkeypatch.setenv("DPKG_MAINTSCRIPT_NAME", "postinst")
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True, cwd=trees.CHECKOUT)
    *found, number, start = done.stdout.split()
    assert found == [number, start]
    monkeypatch.delenv("DPKG_MAINTSCRIPT_NAME")
    assert foregone.run_of_dpkg() == ""


def test_a_step_that_fails_for_one_site_is_taken_for_the_others() -> None:
    failures: Failures = {}

    def step(one: Arrival) -> Arrival:
        if one.site.name == "b":
            raise OSError(28, "No space left on device")
        return one

    left = arrival.each(step, [arriving("a"), arriving("b"), arriving("c")], failures)
    assert [one.site.name for one in left] == ["a", "c"]
    assert "No space left" in str(failures.pop("b")) and not failures


def test_what_nobody_thought_of_stops_the_site_that_it_happens_to_alone() -> None:
    failures: Failures = {}

    def step(one: Arrival) -> Arrival:
        if one.site.name == "b":
            raise KeyError("www-data")
        return one

    left = arrival.each(step, [arriving("a"), arriving("b"), arriving("c")], failures)
    assert [one.site.name for one in left] == ["a", "c"]
    assert "KeyError: 'www-data' (arrival.py:" in str(failures["b"]), "the last place of ours"


def test_a_site_of_which_nothing_can_be_known_stops_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def known(layout: Layout, name: str, *_: object) -> Arrival:
        if name == "b":
            raise files.UnsafePath("/var/lib/fpmjail belongs to uid 905")
        return arriving(name)

    monkeypatch.setattr(configure, "arriving", known)
    failures: Failures = {}
    found = configure.looked_at(Layout(tmp_path), dict.fromkeys("abc", print), failures)
    assert [one.site.name for one in found] == ["a", "c"] and "belongs to uid 905" in str(failures["b"])


def test_what_a_comment_of_a_unit_says_is_no_reason_to_replace_anything(tmp_path: Path) -> None:
    unit, other = tmp_path / "a.socket", tmp_path / "b.socket"
    unit.write_text("# made by fpmjail-deb 1.0 from a.yaml\n[Socket]\n")
    other.write_text("# made by fpmjail-deb 1.1 from sites/a.yaml\n[Socket]\n")
    assert arrival.fingerprint(unit) == arrival.fingerprint(other) != arrival.fingerprint(tmp_path / "none")
    other.write_text("# made by fpmjail-deb 1.1 from sites/a.yaml\n[Socket]\nBacklog=3\n")
    assert arrival.fingerprint(unit) != arrival.fingerprint(other)


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


@pytest.fixture
def tests_of_apache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """An Apache that refuses the sites whose names begin with `bad`, and the texts that it was asked to test."""
    asked: list[str] = []

    def verdict(text: str) -> Answer:
        asked.append(text)
        return Answer(int("bad" in text), "AH00526: Syntax error on line 1")

    monkeypatch.setattr(apache, "installed", lambda: True)
    monkeypatch.setattr(apache, "enable_modules", lambda site: ())
    monkeypatch.setattr(apache, "candidate", lambda site, *_: site.name)
    monkeypatch.setattr(apache, "verdict_with", verdict)
    monkeypatch.setattr(apache, "verdict", lambda main: Answer(0, ""))
    monkeypatch.setattr(apache, "proven_dropins", lambda layout, site: tmp_path / site.name)
    monkeypatch.setattr(apache, "CONFIGURATION", tmp_path)
    monkeypatch.setattr(apache, "STATE", tmp_path)
    monkeypatch.setattr(files, "make_directory", lambda path, *_: path.mkdir(exist_ok=True))  # not root's
    (tmp_path / "sites-enabled").mkdir()
    (tmp_path / "sites-available").mkdir()
    for name in ("a", "b", "c", "d", "e", "f", "g", "h", "bad"):
        (tmp_path / f"sites-available/site-{name}-jail.conf").touch()
    return asked


def test_a_virtual_host_that_cannot_be_read_stops_no_other(
    tests_of_apache: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def candidate(site: Site, *_: object) -> str:
        if site.name == "b":
            raise PermissionError(13, "Permission denied", "apache.conf")
        return site.name

    monkeypatch.setattr(apache, "candidate", candidate)
    monkeypatch.setattr(web, "leave", lambda layout, site: None)
    results = web.apply_all(Layout(tmp_path), [(named(name), True) for name in "abc"])
    assert isinstance(results.pop("b"), PermissionError)
    assert results == {"a": Applied(), "c": Applied()}


def test_a_site_that_cannot_leave_another_web_server_stops_no_other(
    tests_of_apache: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def leave(layout: Layout, site: Site) -> None:
        if site.name == "b":
            raise KeyError("nginx")

    monkeypatch.setattr(web, "leave", leave)
    results = web.apply_all(Layout(tmp_path), [(named(name), True) for name in "abc"])
    assert isinstance(results.pop("b"), KeyError)
    assert results == {"a": Applied(), "c": Applied()}


def test_many_virtual_hosts_are_tested_once_and_linked_as_a2ensite_does(
    tests_of_apache: list[str], tmp_path: Path
) -> None:
    sites = [(named(name), True) for name in "abcdefgh"]
    results = apache.apply_all(Layout(tmp_path), sites)
    assert results == {name: Applied() for name in "abcdefgh"}
    assert tests_of_apache == ["\n".join("abcdefgh")]
    for name in (f"site-{letter}-jail" for letter in "abcdefgh"):
        link = tmp_path / f"sites-enabled/{name}.conf"
        assert str(link.readlink()) == f"../sites-available/{name}.conf" and link.exists()
        assert (tmp_path / "site/enabled_by_maint" / name).read_text() == ""


def test_a_site_that_is_linked_again_has_one_record_of_who_did_it(tests_of_apache: list[str], tmp_path: Path) -> None:
    former = tmp_path / "site/disabled_by_maint/site-a-jail"
    former.parent.mkdir(parents=True)
    former.touch()
    assert apache.enable(named("a")) is None and not former.exists()
    (tmp_path / "site/disabled_by_admin").mkdir()
    (tmp_path / "site/disabled_by_admin/site-b-jail").touch()
    assert "an administrator disabled it" in str(apache.enable(named("b")))
    assert "is not there" in str(apache.enable(named("z")))


def test_a_bad_virtual_host_among_many_is_found_by_halves(tests_of_apache: list[str], tmp_path: Path) -> None:
    names = ["a", "b", "c", "d", "e", "bad", "g", "h"]
    results = apache.apply_all(Layout(tmp_path), [(named(name), True) for name in names])
    assert isinstance(results.pop("bad"), VirtualHostFault)
    assert results == {name: Applied() for name in names if name != "bad"}
    assert len(tests_of_apache) == 1 + 2 + 2 + 2, "all, halves three times"
    assert not (tmp_path / "sites-enabled/site-bad-jail.conf").exists()


def test_a_configuration_that_was_broken_before_is_tested_no_further(
    tests_of_apache: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apache, "verdict", lambda main: Answer(1, "foreign"))
    results = apache.apply_all(Layout(tmp_path), [(named(name), True) for name in ("bad", "b")])
    words = ("Apache's configuration was broken before: foreign",)
    assert results == {name: Applied(words) for name in ("bad", "b")} and len(tests_of_apache) == 1


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
