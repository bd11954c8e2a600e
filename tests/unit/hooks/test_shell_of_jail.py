# SPDX-License-Identifier: GPL-2.0-or-later
"""The list of programs that the restricted shell of a jail believes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import world
from test_site_json import EXAMPLE, read

from fpmjail import shell
from fpmjail.jail import Absent, Directory, File
from fpmjail.manifest import Entry, Manifest
from fpmjail.site import Site

HELD = frozenset({"/usr/bin/gs", "/usr/local/bin/convert", "/usr/bin/convert", "/opt/tool/run"})
BARE: Site = read(EXAMPLE)


def manifest(*paths: str) -> Manifest:
    entries = tuple(Entry(path, "file", "0755", 1, "", "", f"/{path}", None, None, "programs") for path in paths)
    return Manifest("profile", "digest", "", entries)


def with_shell(choice: str, *capabilities: str, programs: tuple[str, ...] = ()) -> Site:
    profile = dataclasses.replace(BARE.profile, capabilities=capabilities, programs=programs)
    return dataclasses.replace(BARE, profile=profile, jail=dataclasses.replace(BARE.jail, shell=choice))


@pytest.mark.parametrize(
    ("name", "paths"),
    [
        ("gs", ("/usr/bin/gs", "/bin/gs")),
        ("/usr/bin/gs", ("/usr/bin/gs", "/bin/gs")),
        ("/bin/gs", ("/usr/bin/gs", "/bin/gs")),
        ("convert", ("/usr/local/bin/convert",)),
        ("/opt/tool/run", ("/opt/tool/run",)),
        ("absent", ("/usr/bin/absent", "/bin/absent")),
    ],
)
def test_a_program_is_known_by_all_of_its_paths(name: str, paths: tuple[str, ...]) -> None:
    assert shell.paths_of(name, HELD) == paths


def test_the_list_is_roots_and_names_the_log_and_the_declared_programs() -> None:
    site = with_shell("restricted", "restricted-shell", programs=("/usr/bin/gs", "gs"))
    directory, made = shell.pieces(site, manifest("usr/bin/gs"))
    assert directory == Directory("etc/fpmjail") and isinstance(made, File) and made.mode == 0o644
    assert made.text.splitlines()[1:] == [f"log {BARE.paths.logs}/shell.log", "/usr/bin/gs", "/bin/gs"]


def test_without_the_restricted_shell_no_list_is_left() -> None:
    for site in (with_shell("none"), with_shell("sh", "shell")):
        assert shell.pieces(site, manifest()) == (Absent("etc/fpmjail/programs"),)
        assert shell.of_profile(site.profile, manifest()) == ()


def test_a_candidate_is_tried_with_all_that_its_sites_might_start() -> None:
    site = with_shell("restricted", "restricted-shell", programs=("/usr/bin/gs",))
    _, made = shell.of_profile(site.profile, manifest("usr/bin/gs"))
    assert isinstance(made, File) and made.text.splitlines()[1:] == ["/usr/bin/gs", "/bin/gs"]


def test_the_image_of_a_restricted_shell_has_it_as_sh_and_no_library_for_it(tmp_path: Path) -> None:
    layout = world.make(tmp_path)
    world.put(tmp_path, "usr/lib/fpmjail/restricted-sh", "static", 0o755)
    found = world.want(layout, world.profile("restricted-shell"))
    assert not found.missing
    held = {item.path: item.target for item in found.items if item.kind != "directory" and item.capability != "fpmjail"}
    assert held == {
        "usr/bin/sh": "../lib/fpmjail/restricted-sh",
        "usr/lib/fpmjail/restricted-sh": "",
    }


def test_a_whole_shell_is_dash_with_its_libraries(tmp_path: Path) -> None:
    import elf

    layout = world.make(tmp_path)
    elf.write(tmp_path / "usr/bin/dash", ("libc.so.6",), interpreter="/lib64/ld.so.2", mode=0o755)
    paths = {item.path: item.target for item in world.want(layout, world.profile("shell")).items}
    assert paths["usr/bin/sh"] == "dash"
    assert {"usr/bin/dash", f"{world.LIB}/libc.so.6", f"{world.LIB}/ld.so.2"} <= set(paths)


def test_a_missing_shell_is_named_with_its_package(tmp_path: Path) -> None:
    layout = world.make(tmp_path)
    (missing,) = world.want(layout, world.profile("restricted-shell")).missing
    assert str(missing) == "restricted-shell: /usr/lib/fpmjail/restricted-sh is not there (package fpmjail)"
