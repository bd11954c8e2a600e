# SPDX-License-Identifier: GPL-2.0-or-later
"""The shortest look: it says "nothing to do" only if that is so, and it loads nothing for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fpmjail import glance, live_files, watched
from fpmjail.layout import Layout
from tests.lifecycle import trees


@pytest.fixture
def place(tmp_path: Path) -> str:
    """A list of one watched file, one live file and one path that must not be there."""
    for name in ("watched", "live file"):
        (tmp_path / name).write_text("before")
    known = {str(tmp_path / name): glance.stamp(str(tmp_path / name)) for name in ("watched", "missing")}
    live = {str(tmp_path / "live file"): glance.stamp(str(tmp_path / "live file"))}
    glance.write(["a1b2c3d4e5f6"], known, live, str(tmp_path / "list"))
    return str(tmp_path / "list")


def test_nothing_has_changed(place: str) -> None:
    assert glance.quiet(place=place) == ["a1b2c3d4e5f6"]
    assert glance.quiet(live_only=True, place=place) == ["a1b2c3d4e5f6"]


def rewrite(path: Path) -> None:
    status = path.stat()
    path.write_text("behind")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # ctime betrays it


@pytest.mark.parametrize(
    ("change", "live_is_quiet"),
    [
        (lambda root: rewrite(root / "watched"), True),
        (lambda root: rewrite(root / "live file"), False),
        (lambda root: (root / "watched").unlink(), True),
        (lambda root: (root / "missing").symlink_to("/nowhere"), True),
        (lambda root: (root / "watched").rename(root / "missing"), True),
    ],
)
def test_whatever_changes_asks_for_a_complete_look(
    place: str, tmp_path: Path, change: Callable[[Path], object], live_is_quiet: bool
) -> None:
    change(tmp_path)
    assert glance.quiet(place=place) is None
    assert (glance.quiet(live_only=True, place=place) is not None) == live_is_quiet


@pytest.mark.parametrize("content", [None, "", "fpmjail 0.0.1\nx\n\n", "\0", "fpmjail"])
def test_a_list_of_another_version_or_none_says_nothing(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "list").write_text(content)
    assert glance.quiet(place=str(tmp_path / "list")) is None


def test_a_path_that_a_line_cannot_hold_keeps_the_list_from_being_written(tmp_path: Path) -> None:
    glance.write([], {"/a\nb": None}, {}, str(tmp_path / "list"))
    assert not (tmp_path / "list").exists()


@pytest.mark.parametrize(
    "words",
    [
        [], ["refresh", "--dry-run"], ["refresh", "a1b2c3d4e5f6"], ["trigger"], ["follow", "x"], ["check", "--all"],
        ["trigger", "ldconfig", "fpmjail-reload"],
    ],
)  # fmt: skip
def test_only_plain_looks_are_answered(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(glance, "quiet", lambda **_: ["a1b2c3d4e5f6"])
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert glance.answer(words) is None


def test_a_quiet_refresh_names_the_images_and_sets_the_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "status.json").touch()
    monkeypatch.setattr(glance, "STATUS", str(tmp_path / "status.json"))
    monkeypatch.setattr(glance, "quiet", lambda **_: ["a1b2c3d4e5f6"])
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert glance.answer(["refresh"]) == 0
    assert capsys.readouterr().out == "fpmjail: image a1b2c3d4e5f6 up to date\n"
    monkeypatch.setattr(glance, "STATUS", str(tmp_path / "missing"))
    assert glance.answer(["refresh"]) is None


def test_the_look_loads_no_module_but_its_own() -> None:
    script = (
        "import os, sys; before = set(sys.modules); sys.path.insert(0, 'hooks'); from fpmjail import glance; "
        "glance.quiet(place='/nowhere'); print(*sorted(set(sys.modules) - before))"
    )
    seen = subprocess.run(
        [sys.executable, "-I", "-c", script], cwd=trees.CHECKOUT, capture_output=True, text=True, check=True
    )
    assert seen.stdout.split() == ["__future__", "fpmjail", "fpmjail.glance"]


def test_a_live_file_that_changes_while_it_is_followed_is_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = Layout(tmp_path)
    source, place = layout.host("/etc/resolv.conf"), layout.image("a1b2c3d4e5f6")
    for directory in (source.parent, place / "live", layout.run):
        directory.mkdir(parents=True)
    source.write_text("first")
    live = [["resolv.conf", "/etc/resolv.conf", ""]]
    (place / "inputs.json").write_text(json.dumps({"live": live}))
    glance.write(["a1b2c3d4e5f6"], {}, {}, str(layout.run / "glance"))
    real = live_files.follow

    def follow(layout: Layout, profile_id: str) -> live_files.Followed:
        done = real(layout, profile_id)
        source.write_text("second, after the look")
        return done

    monkeypatch.setattr(live_files, "follow", follow)
    assert watched.follow(layout) == ("image a1b2c3d4e5f6 follows resolv.conf",)
    assert glance.quiet(live_only=True, place=str(layout.run / "glance")) is None
    monkeypatch.setattr(live_files, "follow", real)
    watched.follow(layout)
    assert (place / "live/resolv.conf").read_text() == "second, after the look"
    assert glance.quiet(live_only=True, place=str(layout.run / "glance")) == ["a1b2c3d4e5f6"]
