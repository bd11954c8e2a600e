# SPDX-License-Identifier: GPL-2.0-or-later
"""Declared programs: what an image gets for them, and which cannot be in one."""

from __future__ import annotations

import copy
import json
import os
import pwd
from pathlib import Path
from typing import Any

import elf
import pytest
import test_site_json
import world
from world import LIB

from fpmjail import capability, configure, probe, program
from fpmjail.layout import Layout
from fpmjail.site import Profile
from fpmjail.wanted import Item, Wanted

SHIPPED = Path(__file__).parents[3] / "hooks/programs"
GS = "/usr/bin/gs"
DEFINITION: dict[str, Any] = {
    "format": 1,
    "name": "ghostscript",
    "programs": [GS],
    "package": "ghostscript",
    "rules": [{"files": ["/usr/share/gs/**"], "package": "libgs-common"}],
    "trial": {"arguments": ["-q"], "input": "quit", "output": "bye"},
}


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """The world with Ghostscript."""
    made = world.make(tmp_path)
    elf.write(tmp_path / "usr/bin/gs", ("libgs.so.10", "libc.so.6"), interpreter="/lib64/ld.so.2", mode=0o755)
    elf.write(tmp_path / LIB / "libgs.so.10", ("libc.so.6",))
    world.put(tmp_path, "usr/share/gs/init.ps")
    define(made, "ghostscript", False, **DEFINITION)
    return made


def define(layout: Layout, file: str, own: bool = False, **fields: Any) -> None:
    place = "etc/fpmjail/programs.d" if own else "usr/share/fpmjail/programs"
    world.put(layout.root, f"{place}/{file}.json", json.dumps(fields))


def profile(*programs: str, files: dict[str, tuple[str, ...]] | None = None, more: tuple[str, ...] = ()) -> Profile:
    names = tuple(sorted(("php", "programs", *more)))
    return Profile("0" * 12, "8.4", names, (), (), tuple(sorted(programs)), "image", (), tuple((files or {}).items()))


def want(layout: Layout, *programs: str, **more: Any) -> Wanted:
    return world.want(layout, profile(*programs, **more))


def items(found: Wanted) -> dict[str, Item]:
    return {item.path: item for item in found.items}


def lacking(found: Wanted) -> list[str]:
    return [str(one) for one in found.missing]


def script(layout: Layout, first: str, path: str = "usr/local/bin/own", mode: int = 0o755) -> str:
    world.put(layout.root, path, f"{first}\nprint\n")
    (layout.root / path).chmod(mode)
    return f"/{path}"


def test_a_program_comes_with_its_libraries_and_what_is_known_of_it(layout: Layout) -> None:
    found = want(layout, GS)
    assert lacking(found) == []
    assert {"usr/bin/gs", f"{LIB}/libgs.so.10", "usr/share/gs/init.ps"} <= set(items(found))
    assert {items(found)[path].capability for path in ("usr/bin/gs", f"{LIB}/libgs.so.10")} == {"programs/gs"}
    assert items(found)[f"{LIB}/libc.so.6"].capability == "php"
    assert "usr/bin/gs" not in items(want(layout))


def test_a_program_behind_alternatives_comes_with_its_links(layout: Layout) -> None:
    elf.write(layout.root / "usr/bin/convert-im7", mode=0o755)
    world.link(layout.root, "etc/alternatives/convert", "/usr/bin/convert-im7")
    world.link(layout.root, "usr/bin/convert", "/etc/alternatives/convert")
    found = items(want(layout, "/usr/bin/convert"))
    assert found["usr/bin/convert"].target == "/etc/alternatives/convert"
    assert {"etc/alternatives/convert", "usr/bin/convert-im7"} <= set(found)


def test_declared_files_come_with_the_libraries_of_plug_ins(layout: Layout) -> None:
    elf.write(layout.root / "usr/lib/gs/plug.so", ("libplug.so.1",))
    elf.write(layout.root / LIB / "libplug.so.1")
    world.put(layout.root, "usr/lib/gs/data")
    found = want(layout, GS, files={GS: ("/usr/lib/gs/**",)})
    assert {"usr/lib/gs/plug.so", "usr/lib/gs/data", f"{LIB}/libplug.so.1"} <= set(items(found))
    assert "programs/gs: /usr/lib/none/* is not there" in lacking(want(layout, GS, files={GS: ("/usr/lib/none/*",)}))


def test_a_missing_program_is_named_with_its_package(layout: Layout) -> None:
    (layout.root / "usr/bin/gs").unlink()
    assert lacking(want(layout, GS)) == ["programs/gs: /usr/bin/gs is not there (package ghostscript)"]
    assert lacking(want(layout, "/usr/bin/other")) == ["programs/other: /usr/bin/other is not there"]


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        (0o4755, "is set-id (mode 4755) and lives on rights that nothing in a jail can have"),
        (0o2755, "is set-id (mode 2755) and lives on rights that nothing in a jail can have"),
        (0o644, "is not executable for everybody (mode 0644)"),
        (0o754, "is not executable for everybody (mode 0754)"),
        (0o711, "is not readable for everybody (mode 0711)"),
    ],
)
def test_a_program_with_a_wrong_mode_is_refused(layout: Layout, mode: int, words: str) -> None:
    (layout.root / "usr/bin/gs").chmod(mode)
    assert lacking(want(layout, GS)) == [f"programs/gs: /usr/bin/gs {words} (package ghostscript)"]


def test_what_is_no_program_is_refused(layout: Layout) -> None:
    assert "is neither an ELF program nor a script" in lacking(want(layout, script(layout, "text")))[0]
    assert lacking(want(layout, "/usr/share/gs")) == ["programs/gs: /usr/share/gs is a directory"]


@pytest.mark.parametrize(
    "first", ["#!/usr/bin/perl -w", "#! /bin/perl", "#!/usr/bin/env perl", "#!/usr/bin/env -S perl -w"]
)
def test_a_script_brings_its_interpreter_and_what_is_known_of_that(layout: Layout, first: str) -> None:
    for name in ("perl", "env"):
        elf.write(layout.root / "usr/bin" / name, ("libc.so.6",), mode=0o755)
    world.put(layout.root, "usr/share/perl/strict.pm")
    define(layout, "perl", format=1, name="perl", programs=["/usr/bin/perl"], rules=[{"files": ["/usr/share/perl/**"]}])
    found = want(layout, script(layout, first))
    assert lacking(found) == []
    assert {"usr/local/bin/own", "usr/bin/perl", "usr/share/perl/strict.pm"} <= set(items(found))
    assert ("usr/bin/env" in items(found)) == ("env" in first)


def test_a_script_without_its_interpreter_is_refused_with_its_name(layout: Layout) -> None:
    words = "programs/lua: /usr/bin/lua is not there, and /usr/local/bin/own needs it"
    assert lacking(want(layout, script(layout, "#!/usr/bin/lua"))) == [words]
    assert lacking(want(layout, script(layout, "#!/usr/bin/php"))) == []


def test_a_shell_script_takes_a_shell(layout: Layout) -> None:
    own = script(layout, "#!/bin/sh -e")
    words = f"programs/own: {own} is a script for /usr/bin/sh: that takes `jail.shell: sh`"
    assert lacking(want(layout, own)) == [words]
    assert words not in lacking(want(layout, own, more=("shell",)))
    own = script(layout, "#!/usr/bin/env bash")
    elf.write(layout.root / "usr/bin/env", mode=0o755)
    elf.write(layout.root / "usr/bin/bash", mode=0o755)
    assert "is a script for the shell /usr/bin/bash: declare that as well" in lacking(want(layout, own))[0]
    assert lacking(want(layout, own, "/usr/bin/bash")) == []


def test_scripts_that_are_each_others_interpreters_come_to_an_end(layout: Layout) -> None:
    one = script(layout, "#!/usr/local/bin/two", "usr/local/bin/one")
    script(layout, "#!/usr/local/bin/three", "usr/local/bin/two")
    script(layout, "#!/usr/local/bin/two", "usr/local/bin/three")
    assert "leads back to itself" in lacking(want(layout, one))[0]


def test_everything_that_is_shipped_is_sound(tmp_path: Path) -> None:
    layout = world.make(tmp_path)
    for path in SHIPPED.glob("*.json"):
        world.put(tmp_path, f"usr/share/fpmjail/programs/{path.name}", path.read_text())
    for release in ("trixie", "bookworm"):
        programs, problems, _ = program.load(layout, release)
        assert problems == ()
        assert all(known.package for known in programs.values()) and programs[GS].trial
        assert programs["/usr/bin/pdftotext"].trial and programs["/usr/bin/pdftotext"].rules


def test_an_administrator_adds_to_what_is_known_or_replaces_it(layout: Layout) -> None:
    define(layout, "mine", own=True, format=1, name="mine", programs=[GS, "/usr/bin/x"], rules=[{"files": ["/etc/gs"]}])
    known = capability.load(layout).programs
    assert [rule.patterns for rule in known[GS].rules] == [("/usr/share/gs/**",), ("/etc/gs",)]
    assert (known[GS].package, known[GS].trial, known["/usr/bin/x"].trial) == (
        "ghostscript", program.Trial(("-q",), "quit", "bye"), None,
    )  # fmt: skip
    define(layout, "mine", own=True, format=1, name="mine", programs=[GS], rules=[], replace=True, trial={"input": "x"})
    assert capability.load(layout).programs[GS] == program.Known("", (), program.Trial((), "x", ""))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"programs": []}, "`programs` must be a list of paths below /usr"),
        ({"programs": ["gs"]}, "`programs` must be a list of paths below /usr"),
        ({"programs": ["/usr/bin/../gs"]}, "`programs` must be a list of paths below /usr"),
        ({"package": 1}, "`package` must be a string"),
        ({"trial": []}, "`trial` must be an object with arguments, input, output"),
        ({"trial": {"command": "x"}}, "`trial` must be an object with arguments, input, output"),
        ({"trial": {"arguments": "x"}}, "`trial`: `arguments` must be a list of strings"),
        ({"probe": "php.php"}, "`probe` is for capabilities; a program has a `trial`"),
        ({"rules": [{"declared-programs": True}]}, "`declared-programs` is for capabilities"),
        ({"format": 2}, "`format` must be 1"),
        ({"zzz": 1}, "`zzz` is not known"),
        ({"rules": [{}]}, "rules[0] must have exactly one of"),
    ],
)
def test_a_mistake_is_named_and_changes_nothing_else(layout: Layout, fields: dict[str, Any], words: str) -> None:
    define(layout, "mine", own=True, **{**DEFINITION, **fields})
    found = capability.load(layout)
    [problem] = found.problems
    assert words in str(problem) and "/etc/fpmjail/programs.d/mine.json" in str(problem)
    assert len(found.programs[GS].rules) == 1


@pytest.mark.parametrize("content", ["", "[]", "1", "[" * 100000])
def test_no_content_stops_the_others(layout: Layout, content: str) -> None:
    world.put(layout.root, "etc/fpmjail/programs.d/mine.json", content)
    found = capability.load(layout)
    assert len(found.problems) == 1 and GS in found.programs


def test_definitions_are_inputs_of_the_image(layout: Layout) -> None:
    assert {"/usr/share/fpmjail/programs/ghostscript.json", "/etc/fpmjail"} <= set(want(layout, GS).inputs)


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> None:
    """The runtime's account is whoever runs the tests."""
    monkeypatch.setattr(pwd, "getpwnam", lambda name: pwd.getpwuid(os.getuid()))


@pytest.mark.parametrize(
    ("code", "good"),
    [
        ("cat; echo $1", True),
        ("cat; exit 1", False),
        ("echo other", False),
        ("echo $1 >&2; cat", True),
    ],
)
@pytest.mark.usefixtures("account")
def test_a_program_that_is_broken_outside_is_not_tried_inside(tmp_path: Path, code: str, good: bool) -> None:
    world.put(tmp_path, "usr/bin/own", f"#!/bin/sh\n{code}\n")
    (tmp_path / "usr/bin/own").chmod(0o755)
    told = {"path": "/usr/bin/own", "arguments": ["word"], "input": "typed", "output": "typed"}
    found = program.sound(Layout(tmp_path), (told, {"path": "/usr/bin/x", "linked": True}))
    assert [one["path"] for one in found] == (["/usr/bin/own"] if good else []) + ["/usr/bin/x"]
    assert program.sound(Layout(tmp_path), ({**told, "path": "/usr/bin/none"},)) == ()


def test_each_program_gives_the_probe_more_time() -> None:
    expected = probe.Expectation("8.4", "0" * 16, (), programs=({}, {}))
    assert probe.patience("programs", expected) == probe.patience("php", expected) + 2


def test_a_program_that_is_lost_is_an_apt_install_away_and_one_that_fails_is_not() -> None:
    content = copy.deepcopy(test_site_json.EXAMPLE)
    content["origins"] = {"jail.programs": "example.yaml:9:3"}
    site = test_site_json.read(content)
    lost = configure.way_out(site, ("not on this server: programs/gs: /usr/bin/gs is not there",))
    assert lost == "apt install ghostscript, or correct `jail.programs` in example.yaml:9:3"
    failed = configure.way_out(site, ("programs: /usr/bin/gs: it ended with status 1",))
    assert failed == "correct `jail.programs` in example.yaml:9:3"
    assert configure.way_out(site, ("charsets: X is not known",)) == "install or correct what is named there"


def test_the_probe_tries_what_is_known_and_looks_at_the_libraries_of_the_rest(layout: Layout) -> None:
    own = script(layout, "#!/usr/bin/perl")
    elf.write(layout.root / "usr/bin/tool", interpreter="/lib64/ld.so.2", mode=0o755)
    elf.write(layout.root / "usr/bin/static", mode=0o755)
    told = probe.of_server(layout, profile(GS, own, "/usr/bin/static", "/usr/bin/tool"), "0" * 16).programs
    assert told == (
        {"path": GS, "arguments": ["-q"], "input": "quit", "output": "bye"},
        {"path": "/usr/bin/static", "linked": False},
        {"path": "/usr/bin/tool", "linked": True},
        {"path": own, "linked": False},
    )
    expected = probe.Expectation("8.4", "0" * 16, (), programs=told)
    assert probe.arguments("programs", expected) == {"programs": list(told)}
