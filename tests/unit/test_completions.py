# SPDX-License-Identifier: GPL-2.0-or-later
"""Shell completion, manual and --help know the same commands and options."""

from __future__ import annotations

import argparse
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from fpmjail_deb import cli
from fpmjail_deb.release import RELEASES

HOUSE = Path(__file__).parents[2]
BASH = HOUSE / "debian/completions/bash/fpmjail-deb"
FISH = HOUSE / "debian/completions/fish/fpmjail-deb.fish"
ZSH = HOUSE / "debian/completions/zsh/_fpmjail-deb"
SHORT = {"--output": "-o", "--jobs": "-j"}
MANUAL = (HOUSE / "debian/man/fpmjail-deb.1.md").read_text()


def commands() -> Mapping[str, argparse.ArgumentParser]:
    """The words of the command line, each with its grammar."""
    for action in cli.parser()._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    raise AssertionError("there are no commands")


def options(command: str) -> set[str]:
    """The long options of a command."""
    return {
        word for action in commands()[command]._actions for word in action.option_strings if word.startswith("--")
    } - {"--help"}


COMMANDS = pytest.mark.parametrize("command", commands())


def complete(*words: str, place: Path = HOUSE) -> list[str]:
    """What bash offers for the last of some words."""
    script = (
        'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _fpmjail_deb; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    arguments = ["bash", "--norc", "-c", script, "bash", str(BASH), "fpmjail-deb", *words]
    found = subprocess.run(arguments, cwd=place, capture_output=True, text=True, check=True)
    assert found.stderr == ""
    return found.stdout.splitlines() if found.stdout.strip() else []


def test_bash_completes_every_command() -> None:
    assert set(complete("")) == {*commands(), "--help", "--version"}
    assert complete("bu") == ["build"]


@COMMANDS
def test_bash_completes_every_option_and_no_other(command: str) -> None:
    assert set(complete(command, "--")) == options(command) | {"--help"}


def test_bash_completes_releases() -> None:
    assert set(complete("build", "--release", "")) == set(RELEASES)


def test_bash_completes_descriptions_packages_and_directories(tmp_path: Path) -> None:
    for name in ("a.yaml", "b.yml", "c.deb", "d.txt", "with space.yaml"):
        (tmp_path / name).touch()
    (tmp_path / "sites").mkdir()
    descriptions = {"a.yaml", "b.yml", "with space.yaml", "sites"}
    assert set(complete("build", "", place=tmp_path)) == descriptions
    assert set(complete("diff", "", place=tmp_path)) == descriptions | {"c.deb"}
    assert complete("build", "--against", "", place=tmp_path) == ["sites"]
    assert complete("build", "-o", "", place=tmp_path) == ["sites"]


@COMMANDS
def test_fish_and_zsh_know_every_command_with_its_words(command: str) -> None:
    about = next(one.about for one in cli.COMMANDS if one.name == command)
    assert f"-a {command} -d '{about}'" in FISH.read_text()
    assert f"'{command}:{about}'" in ZSH.read_text()


@COMMANDS
def test_fish_knows_every_option_and_no_other(command: str) -> None:
    assert set(fish_options(command)) == options(command)


def fish_options(command: str) -> Iterator[str]:
    for line in FISH.read_text().splitlines():
        found = re.search(r"'__fish_seen_subcommand_from ([a-z ]+)'.* -l ([a-z-]+)", line)
        if found and command in found[1].split():
            yield f"--{found[2]}"


@COMMANDS
def test_zsh_knows_every_option_and_no_other(command: str) -> None:
    [block] = re.findall(rf"^{command}\)\n(.*?);;", ZSH.read_text(), re.MULTILINE | re.DOTALL)
    assert set(re.findall(r"--[a-z-]+", block.replace("$release", "--release"))) == options(command) | {"--help"}


@COMMANDS
def test_the_manual_explains_every_command_with_its_options(command: str) -> None:
    synopsis = next(line for line in MANUAL.splitlines() if line.startswith(f"**fpmjail-deb** **{command}**"))
    for option in options(command):
        assert f"**{SHORT.get(option, option)}**" in synopsis
        assert f"**{option}**" in MANUAL.partition("# COMMANDS")[2]
    assert re.search(rf"^\*\*{command}\*\*.*\n:   ", MANUAL, re.MULTILINE)


@COMMANDS
def test_help_says_what_each_option_is_for(command: str) -> None:
    assert all(action.help for action in commands()[command]._actions)
