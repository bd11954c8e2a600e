# SPDX-License-Identifier: GPL-2.0-or-later
"""Looking at the server's files, and remembering every look."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fpmjail.host import Host, stamp


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for directory in ("usr/lib/deep/er", "usr/share", "etc"):
        (tmp_path / directory).mkdir(parents=True)
    (tmp_path / "lib").symlink_to("usr/lib")
    (tmp_path / "usr/lib/real.so.1").write_text("x")
    (tmp_path / "usr/lib/link.so").symlink_to("real.so.1")
    (tmp_path / "usr/lib/absolute").symlink_to("/lib/link.so")
    (tmp_path / "usr/share/up").symlink_to("../../../../../usr/lib/deep")
    (tmp_path / "usr/lib/deep/file").write_text("x")
    (tmp_path / "usr/lib/deep/er/other").write_text("x")
    (tmp_path / "etc/loop").symlink_to("loop")
    (tmp_path / "etc/dangling").symlink_to("/nowhere/at/all")
    return tmp_path


def test_links_are_followed_inside_the_root_and_listed(root: Path) -> None:
    resolved = Host(root).resolve("/lib/absolute")
    assert resolved.path == "/usr/lib/real.so.1"
    assert resolved.links == (("/usr/lib/absolute", "/lib/link.so"), ("/usr/lib/link.so", "real.so.1"))
    assert resolved.is_file


def test_a_link_cannot_lead_out_of_the_root(root: Path) -> None:
    resolved = Host(root).resolve("/usr/share/up/file")
    assert (resolved.path, resolved.links) == (
        "/usr/lib/deep/file",
        (("/usr/share/up", "../../../../../usr/lib/deep"),),
    )


@pytest.mark.parametrize("path", ["/etc/loop", "/etc/dangling", "/etc/missing", "/usr/lib/real.so.1/below"])
def test_what_leads_nowhere_has_no_status(root: Path, path: str) -> None:
    assert Host(root).resolve(path).status is None


def test_the_root_is_a_directory(root: Path) -> None:
    assert Host(root).resolve("/").is_directory


def test_every_look_is_an_input_also_one_in_vain(root: Path) -> None:
    host = Host(root)
    host.resolve("/lib/link.so")
    host.resolve("/etc/missing")
    assert host.inputs == {
        "/lib": stamp((root / "lib").lstat()),
        "/usr/lib/link.so": stamp((root / "usr/lib/link.so").lstat()),
        "/usr/lib/real.so.1": stamp((root / "usr/lib/real.so.1").lstat()),
        "/etc/missing": None,
    }


def test_a_listed_directory_is_an_input(root: Path) -> None:
    host = Host(root)
    host.glob("/usr/lib/deep/*")
    assert host.inputs["/usr/lib/deep"] == stamp((root / "usr/lib/deep").lstat())


def test_a_stamp_betrays_a_change_that_keeps_size_and_time(root: Path) -> None:
    path = root / "usr/lib/real.so.1"
    before = stamp(path.lstat())
    status = path.lstat()
    path.write_text("y")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert stamp(path.lstat()) != before


@pytest.mark.parametrize(
    ("pattern", "exclude", "found"),
    [
        ("/lib/*.so*", (), ["/lib/link.so", "/lib/real.so.1"]),
        ("/lib/deep/**", (), ["/lib/deep/er/other", "/lib/deep/file"]),
        ("/lib/deep/**/o*", (), ["/lib/deep/er/other"]),
        ("/lib/deep/**", ("/lib/deep/er/*",), ["/lib/deep/file"]),
        ("/usr/share/up/*", (), ["/usr/share/up/er", "/usr/share/up/file"]),
        ("/lib/real.so.1", (), ["/lib/real.so.1"]),
        ("/lib/missing", (), []),
        ("/missing/*", (), []),
        ("/lib/real.so.1/*", (), []),
        ("/*/deep/fil?", (), ["/lib/deep/file", "/usr/deep/file"]),
    ],
)
def test_patterns_find_what_they_say(root: Path, pattern: str, exclude: tuple[str, ...], found: list[str]) -> None:
    (root / "usr/deep").mkdir()
    (root / "usr/deep/file").touch()
    assert Host(root).glob(pattern, exclude) == found


def test_what_dpkg_leaves_beside_a_file_is_not_found(root: Path) -> None:
    for name in (".hidden", "a.dpkg-new", "a.dpkg-old", "b.ucf-dist", "c~", "plain"):
        (root / "etc" / name).touch()
    assert Host(root).glob("/etc/[abcp.]*") == ["/etc/plain"]


def test_only_regular_files_are_read(root: Path) -> None:
    os.mkfifo(root / "etc/pipe")
    host = Host(root)
    assert host.read("/lib/absolute") == b"x"
    assert host.read("/etc/pipe") is None
    assert host.read("/etc/missing") is None
