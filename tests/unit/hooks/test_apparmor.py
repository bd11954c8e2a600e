# SPDX-License-Identifier: GPL-2.0-or-later
"""AppArmor on the server: a profile is loaded where that is possible, told where it is not, and never in the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from test_site_json import EXAMPLE, read

from fpmjail import apparmor, systemd
from fpmjail.apparmor import Places, Seen
from fpmjail.finding import Level
from fpmjail.site import Site
from fpmjail.systemd import Answer

BARE: Site = read(EXAMPLE)
NAME = BARE.package
SITE = replace(BARE, sandbox=(*BARE.sandbox, ("AppArmorProfile", f"-{NAME}")))
GOOD = Seen(on=True, there=True, disabled=False, wanted="enforce", loaded="enforce", running="enforce")


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """A server whose kernel has AppArmor on, with the site's profile among the files and none loaded."""
    found = Places(tmp_path / "apparmor.d", tmp_path / "kernel", tmp_path / "enabled", tmp_path / "proc")
    for directory in (found.profiles / "disable", found.kernel, found.processes / "7/attr"):
        directory.mkdir(parents=True)
    (found.profiles / NAME).write_text(f"profile {NAME} flags=(attach_disconnected) {{\n}}\n")
    (found.kernel / ".replace").touch()
    (found.kernel / "profiles").write_text("other (enforce)\n")
    found.switch.write_text("Y\n")
    (found.processes / "7/attr/current").write_text(f"{NAME} (enforce)\n")
    return found


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that were run; all went well."""
    made: list[list[str]] = []

    def run(command: Sequence[str], timeout: float = 0.0) -> Answer:
        made.append([*command])
        return Answer(0, "")

    monkeypatch.setattr(systemd, "run", run)
    return made


def in_force(places: Places, mode: str = "enforce") -> None:
    """Let the kernel have the profile."""
    (places.kernel / "profiles").write_text(f"other (enforce)\n{NAME} ({mode})\n")


def test_a_profile_is_loaded_as_debians_packages_do(places: Places, calls: list[list[str]]) -> None:
    assert apparmor.apply(SITE, places) == ()
    assert calls == [
        ["apparmor_parser", "--replace", "--skip-read-cache", "--write-cache", str(places.profiles / NAME)]
    ]


@pytest.mark.parametrize("reason", ["none asked for", "off", "no switch", "not ours to load", "no file", "disabled"])
def test_nothing_is_loaded_where_nothing_can_or_should_be(places: Places, calls: list[list[str]], reason: str) -> None:
    match reason:
        case "off":
            places.switch.write_text("N\n")
        case "no switch":
            places.switch.unlink()
        case "not ours to load":  # a container sees the switch of its host
            (places.kernel / ".replace").unlink()
        case "no file":
            (places.profiles / NAME).unlink()
        case "disabled":
            (places.profiles / "disable" / NAME).symlink_to(f"../{NAME}")
    assert apparmor.apply(BARE if reason == "none asked for" else SITE, places) == () and calls == []


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(1, "Warning: x\nAppArmor parser error at line 3: syntax error"), "at line 3: syntax error"),
        (Answer(1, ""), "apparmor_parser refuses it"),
        (Answer(127, "apparmor_parser: not installed"), "apt install apparmor"),
    ],
)
def test_a_profile_that_is_refused_is_told_and_stops_nothing(
    places: Places, monkeypatch: pytest.MonkeyPatch, answer: Answer, words: str
) -> None:
    monkeypatch.setattr(systemd, "run", lambda command, timeout=0.0: answer)
    (told,) = apparmor.apply(SITE, places)
    assert words in told and told.endswith("fpmjail configure example")


def test_a_profile_that_keeps_php_from_working_only_complains_until_that_is_taken_back(
    places: Places, calls: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fpmjail.files.make_directory", lambda path, *_: path.mkdir(exist_ok=True))
    assert apparmor.loosen(SITE, places) == "" and calls == []
    in_force(places)
    assert "only complains" in apparmor.loosen(SITE, places)
    link = places.profiles / "force-complain" / NAME
    assert link.resolve() == places.profiles / NAME and len(calls) == 1
    apparmor.tighten(SITE, places)
    assert not link.is_symlink() and len(calls) == 2


def test_a_removed_sites_profile_is_unloaded(places: Places) -> None:
    apparmor.forget(SITE, places)
    assert not (places.kernel / ".remove").exists()
    in_force(places)
    apparmor.forget(SITE, places)
    assert (places.kernel / ".remove").read_text() == NAME


def test_what_is_seen_is_what_kernel_files_and_process_say(places: Places) -> None:
    assert apparmor.look(SITE, None, places) == replace(GOOD, loaded="", running=None)
    in_force(places)
    assert apparmor.look(SITE, 7, places) == GOOD
    (places.processes / "7/attr/current").write_text("unconfined\n")
    (places.profiles / NAME).write_text(f"profile {NAME} flags=(attach_disconnected, complain) {{\n}}\n")
    assert apparmor.look(SITE, 7, places) == replace(GOOD, wanted="complain", running="")


@pytest.mark.parametrize(
    ("seen", "level", "words"),
    [
        (GOOD, Level.GOOD, "in force"),
        (replace(GOOD, running=None), Level.GOOD, "in force"),
        (replace(GOOD, wanted="complain", loaded="complain", running="complain"), Level.GOOD, "complains, as asked"),
        (replace(GOOD, on=False, loaded="", running=""), Level.GOOD, "off on this server"),
        (replace(GOOD, disabled=True, loaded=""), Level.WARNING, "switched off"),
        (replace(GOOD, there=False), Level.WARNING, "is gone"),
        (replace(GOOD, loaded="", running=""), Level.WARNING, "not loaded"),
        (replace(GOOD, running=""), Level.WARNING, "without the profile"),
        (replace(GOOD, loaded="complain", running="complain"), Level.WARNING, "complain, not enforce"),
    ],
)
def test_the_check_says_whether_the_second_wall_stands(seen: Seen, level: Level, words: str) -> None:
    found = apparmor.judge(SITE, seen)
    assert (found.level, found.topic, found.name) == (level, "walls", "AppArmor") and words in found.seen
    assert bool(found.fix) == (level is not Level.GOOD)


def test_a_site_without_a_profile_has_no_finding_about_one() -> None:
    assert apparmor.findings(BARE, None) == ()
