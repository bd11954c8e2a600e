# SPDX-License-Identifier: GPL-2.0-or-later
"""The mount table, and the only code that deletes trees."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from fpmjail import files, mounts
from fpmjail.files import Refused
from fpmjail.mounts import Kept, Mount, mounts_below, parse, remove_tree

TABLE = r"""24 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 24 0:5 / /proc rw,nosuid shared:2 master:7 - proc proc rw
41 24 8:1 /var/lib/images/a\040b /jails/x/.image ro,nosuid,nodev - ext4 /dev/sda1 rw
42 41 0:44 / /jails/x/.image/deep rw - tmpfs tmp\134fs rw
43 24 0:45 / /jails/x.other rw - tmpfs none rw
broken line
"""


def mount(target: str) -> Mount:
    return Mount("8:1", "/", target, ("rw",), False, "ext4", "/dev/sda1")


def test_the_mount_table_is_read_with_its_escapes() -> None:
    table = parse(TABLE)
    assert [one.target for one in table] == ["/", "/proc", "/jails/x/.image", "/jails/x/.image/deep", "/jails/x.other"]
    assert table[2] == Mount(
        "8:1", "/var/lib/images/a b", "/jails/x/.image", ("ro", "nosuid", "nodev"), False, "ext4", "/dev/sda1"
    )
    assert (table[0].shared, table[1].shared, table[3].source) == (True, True, r"tmp\fs")


def test_the_own_mount_table_has_a_root() -> None:
    assert "/" in [one.target for one in mounts.current()]


def test_mounts_below_come_deepest_first_and_names_that_begin_alike_do_not_count() -> None:
    table = parse(TABLE)
    assert [one.target for one in mounts_below(Path("/jails/x"), table)] == ["/jails/x/.image/deep", "/jails/x/.image"]
    assert [one.target for one in mounts_below(Path("/jails/x/.image/deep"), table)] == ["/jails/x/.image/deep"]
    assert len(mounts_below(Path("/"), table)) == 5


def test_a_tree_is_removed_and_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious/inner").mkdir(parents=True)
    (tmp_path / "precious/file").write_text("x")
    tree = tmp_path / "tree"
    (tree / "a/b").mkdir(parents=True)
    (tree / "a/file").write_text("x")
    (tree / "a/link").symlink_to(tmp_path / "precious")
    (tree / "dangling").symlink_to("nowhere")
    os.mkfifo(tree / "pipe")
    assert remove_tree(tree)
    assert not tree.exists()
    assert (tmp_path / "precious/file").exists()


def test_removing_what_is_not_there_is_no_error(tmp_path: Path) -> None:
    assert not remove_tree(tmp_path / "missing")
    assert not remove_tree(tmp_path / "missing/below")


def test_a_tree_deeper_than_the_limit_of_descriptors_is_removed(tmp_path: Path) -> None:
    top = os.open(tmp_path, os.O_RDONLY)
    os.mkdir("tree", dir_fd=top)
    here = os.open("tree", os.O_RDONLY, dir_fd=top)
    for _ in range(1500):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    os.close(top)
    assert remove_tree(tmp_path / "tree")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("inner", ["", "/a/b"])
def test_a_tree_with_a_mount_is_kept_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inner: str) -> None:
    (tmp_path / "tree/a/b").mkdir(parents=True)
    monkeypatch.setattr(mounts, "current", lambda: (mount(f"{tmp_path}/tree{inner}"),))
    with pytest.raises(Kept, match="is mounted"):
        remove_tree(tmp_path / "tree")
    assert (tmp_path / "tree/a/b").is_dir()


def test_what_is_only_in_the_way_is_kept_too_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tree = tmp_path / "tree"
    (tree / "below").mkdir(parents=True)

    def refuse(*asked: object) -> int:
        raise Refused(errno.EPERM, "no")

    monkeypatch.setattr(mounts, "openat2", refuse)
    mounts.discard(tree)
    assert f"fpmjail: {tree} is kept: this kernel or container does not offer openat2" in capsys.readouterr().err
    assert (tree / "below").is_dir()
    monkeypatch.undo()
    mounts.discard(tree)
    assert not tree.exists()


def test_a_link_on_the_way_keeps_the_tree(tmp_path: Path) -> None:
    (tmp_path / "real/tree/file").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")
    with pytest.raises(Kept, match="symbolic link"):
        remove_tree(tmp_path / "link/tree")
    with pytest.raises(Kept):
        remove_tree(tmp_path / "link")
    assert (tmp_path / "real/tree/file").is_dir()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (Refused(errno.ENOSYS, "no"), "does not offer openat2"),
        (OSError(errno.EXDEV, "no"), "something is mounted below it"),
        (OSError(errno.EIO, "input/output error"), "input/output error"),
    ],
)
def test_what_the_kernel_refuses_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, words: str
) -> None:
    (tmp_path / "tree/below").mkdir(parents=True)
    (tmp_path / "tree/below/file").touch()
    real = files.openat2

    def refuse(directory: int, name: str, flags: int, resolve: int) -> int:
        if name == "below":
            raise error
        return real(directory, name, flags, resolve)

    monkeypatch.setattr(mounts, "openat2", refuse)
    with pytest.raises(Kept, match=words):
        remove_tree(tmp_path / "tree")
    assert (tmp_path / "tree/below/file").exists()
