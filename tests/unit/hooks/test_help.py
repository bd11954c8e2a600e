# SPDX-License-Identifier: GPL-2.0-or-later
"""The server's command: help, completion and manual know the same commands and options."""

from __future__ import annotations

import argparse
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from fpmjail import cli
from fpmjail import help as teach

HOUSE = Path(__file__).parents[3]
COMPLETIONS = HOUSE / "debian/completions"
BASH, FISH, ZSH = COMPLETIONS / "bash/fpmjail", COMPLETIONS / "fish/fpmjail.fish", COMPLETIONS / "zsh/_fpmjail"
MANUAL = (HOUSE / "debian/man/fpmjail.8.md").read_text()
HIDDEN = {"follow", "tend", "trigger"}
OF_SITES = {"check", "files", "exec", "refresh", "rollback", "configure", "enable", "disable", "remove"}


def commands() -> Mapping[str, argparse.ArgumentParser]:
    """The commands for people, each with its grammar."""
    for action in cli.parser()._actions:
        if isinstance(action, argparse._SubParsersAction):
            return {name: made for name, made in action.choices.items() if name not in HIDDEN}
    raise AssertionError("there are no commands")


def options(command: str) -> set[str]:
    """The long options of a command that help shows."""
    shown = (action for action in commands()[command]._actions if action.help != argparse.SUPPRESS)
    return {word for action in shown for word in action.option_strings if word.startswith("--")}


COMMANDS = pytest.mark.parametrize("command", commands())


def complete(sites: Path, *words: str) -> set[str]:
    """What bash offers for the last of some words."""
    script = 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _fpmjail; printf "%s\\n" "${COMPREPLY[@]}"'
    found = subprocess.run(
        ["bash", "--norc", "-c", script, "bash", str(BASH), "fpmjail", *words],
        env={"FPMJAIL_SITES": str(sites), "PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert found.stderr == ""
    return set(found.stdout.split())


def test_bash_completes_every_command(tmp_path: Path) -> None:
    assert complete(tmp_path, "") == {*commands(), "--help", "--version"}


@COMMANDS
def test_bash_completes_every_option_and_the_sites_that_are_installed(command: str, tmp_path: Path) -> None:
    for name in ("shop", "blog"):
        (tmp_path / name).mkdir()
    assert complete(tmp_path, command, "--") == options(command)
    assert complete(tmp_path, command, "s") == ({"shop"} if command in OF_SITES else set())


@COMMANDS
def test_fish_and_zsh_know_every_option_and_no_other(command: str) -> None:
    told = re.findall(r"'__fish_seen_subcommand_from ([a-z ]+)' -l ([a-z-]+)", FISH.read_text())
    assert {f"--{option}" for names, option in told if command in names.split()} == options(command) - {"--help"}
    [block] = re.findall(rf"^{command}\)\n(.*?);;", ZSH.read_text(), re.MULTILINE | re.DOTALL)
    assert set(re.findall(r"'(--[a-z-]+)", block)) == options(command)
    assert f"-a {command} -d '" in FISH.read_text() and f"'{command}:" in ZSH.read_text()


@COMMANDS
def test_help_says_what_each_argument_is_for_and_shows_examples(command: str) -> None:
    assert [action.dest for action in commands()[command]._actions if not action.help] == []
    shown = commands()[command].format_help()
    assert f"  fpmjail {command}" in shown.partition("examples:")[2] and "man 8 fpmjail" in shown
    assert set(teach.EXAMPLES) == set(commands())


@COMMANDS
def test_the_manual_explains_every_command_with_its_options(command: str) -> None:
    assert re.search(rf"^\*\*.*\b{command}\*\*", MANUAL, re.MULTILINE)
    assert [option for option in options(command) - {"--help"} if f"{option}**" not in MANUAL] == []
