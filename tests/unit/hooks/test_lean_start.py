# SPDX-License-Identifier: GPL-2.0-or-later
"""What each command loads, and what a site costs that is configured beside many: counted, not timed."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
from test_site_json import EXAMPLE, read

from fpmjail import apache, dropin, files, site, systemd, web
from fpmjail.layout import Layout
from fpmjail.systemd import Answer
from tests.lifecycle import trees

RARE = {"http.client", "ssl", "email", "ctypes", "asyncio", "concurrent.futures", "xml", "sqlite3", "logging",
        "unittest", "difflib"}  # fmt: skip
"""What few commands need, and what takes a millisecond or many to load."""
COMMANDS = {
    "configure": ("configure", "run", "places", "web"),
    "trigger": ("run", "refresh", "watched"),
    "refresh": ("run", "refresh", "systemd"),
    "status": ("status",),
}
LOAD = """
import importlib, sys
sys.path.insert(0, "hooks")
import fpmjail.cli
for name in sys.argv[1:]:
    importlib.import_module(f"fpmjail.{name}")
print(*sys.modules)
"""


def loaded(*modules: str) -> set[str]:
    command = [sys.executable, "-I", "-S", "-c", LOAD, *modules]
    return {*subprocess.run(command, cwd=trees.CHECKOUT, capture_output=True, text=True, check=True).stdout.split()}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_loads_nothing_that_it_rarely_needs(command: str) -> None:
    seen = loaded(*COMMANDS[command])
    assert "fpmjail.layout" in seen
    assert not seen & RARE


def test_a_refresh_that_finds_nothing_to_do_loads_nothing_of_the_work() -> None:
    work = {"renewal", "wanted", "closure", "elf", "prove", "probe", "fastcgi", "check", "capability", "masters"}
    assert not loaded("run", "refresh") & {f"fpmjail.{name}" for name in work}


def imported(path: Path) -> set[str]:
    """The first part of the name of every module that a file imports, at its top or in a function."""
    nodes = list(ast.walk(ast.parse(path.read_bytes())))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    return {name.split(".")[0] for name in names}


def test_the_runtime_needs_no_package_beside_python_itself() -> None:
    files = [*(trees.CHECKOUT / "hooks").rglob("*.py"), trees.CHECKOUT / "hooks/bin/fpmjail"]
    foreign = {path.name: imported(path) - sys.stdlib_module_names - {"fpmjail"} for path in files}
    assert len(files) > 50 and not any(foreign.values()), foreign


def test_of_many_sites_only_those_that_name_the_account_are_understood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = Layout(tmp_path)
    for name in ("example", "other", "third"):
        place = layout.sites / name / "site.json"
        place.parent.mkdir(parents=True)
        place.write_text(json.dumps(EXAMPLE).replace("example", name))
    read_in_full = []
    real = site.load

    def load(path: Path) -> site.Site:
        read_in_full.append(path.parent.name)
        return real(path)

    monkeypatch.setattr(site, "load", load)
    (found,) = site.naming(layout, "_site-other")
    assert found.name == "other" and read_in_full == ["other"]


@pytest.mark.parametrize(("answers", "tests"), [([True], 1), ([False, False], 2)])
def test_apache_is_asked_once_unless_it_refuses(
    answers: list[bool], tests: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def run(command: list[str], timeout: float = 0) -> Answer:
        asked.append(command)
        return Answer(0 if answers[len(asked) - 1] else 1, "AH00526: Syntax error on line 1")

    wanted = read(EXAMPLE)
    (tmp_path / "apache2.conf").touch()
    monkeypatch.setattr(apache, "CONFIGURATION", tmp_path)
    monkeypatch.setattr(systemd, "run", run)
    monkeypatch.setattr(apache, "installed", lambda: True)
    monkeypatch.setattr(apache, "enable_modules", lambda site: ())
    monkeypatch.setattr(apache, "candidate", lambda *_: "")
    monkeypatch.setattr(apache, "proven_dropins", lambda *_: tmp_path / "apache.conf")
    monkeypatch.setattr(files, "replace_file", lambda *_: None)
    monkeypatch.setattr(dropin, "read", lambda _: ())
    words = web.server(wanted).apply(Layout(tmp_path), wanted, on=False).words
    assert len(asked) == tests
    assert bool(words) == (tests == 2)
