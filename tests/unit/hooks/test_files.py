# SPDX-License-Identifier: GPL-2.0-or-later
"""Root never follows a path that somebody else can change."""

from __future__ import annotations

import errno
import os
import stat
import threading
from pathlib import Path

import pytest

from fpmjail import files
from fpmjail.files import (
    Locked,
    Refused,
    UnsafePath,
    lock,
    make_directory,
    open_directory,
    replace_file,
    replace_link,
    touch,
)

UID, GID = os.geteuid(), os.getegid()


def names(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.fixture(params=["openat2", "step by step"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to open a directory: with openat2(2), and where a container refuses it."""
    if request.param != "openat2":

        def refuse(directory: int, name: str, flags: int, resolve: int) -> int:
            raise Refused(errno.ENOSYS, "refused", name)

        monkeypatch.setattr(files, "openat2", refuse)
    return str(request.param)


def test_a_directory_is_opened(way: str, tmp_path: Path) -> None:
    descriptor = open_directory(tmp_path)
    assert os.fstat(descriptor).st_ino == tmp_path.stat().st_ino
    os.close(descriptor)
    os.close(open_directory(Path("/")))


def test_a_symbolic_link_on_the_way_is_refused(way: str, tmp_path: Path) -> None:
    (tmp_path / "real/below").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")
    for path in ("link", "link/below"):
        with pytest.raises(UnsafePath, match="symbolic link"):
            open_directory(tmp_path / path)


def test_a_file_is_no_directory(way: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UnsafePath):
        open_directory(tmp_path / "file")


def test_a_missing_directory_is_not_found(way: str, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_directory(tmp_path / "missing/below")


@pytest.mark.parametrize("path", ["relative", "/tmp/../etc"])
def test_only_plain_absolute_paths_are_opened(path: str) -> None:
    with pytest.raises(UnsafePath, match="absolute"):
        open_directory(Path(path))


def test_opening_leaves_no_descriptor_behind(way: str, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for path in (tmp_path / "link/x", tmp_path / "missing"):
        with pytest.raises((UnsafePath, FileNotFoundError)):
            open_directory(path)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_directory_is_made_once(tmp_path: Path) -> None:
    assert make_directory(tmp_path / "new", UID, GID, 0o770)
    assert mode(tmp_path / "new") == 0o770
    assert not make_directory(tmp_path / "new", UID, GID, 0o770)


def test_the_mode_does_not_depend_on_the_umask(tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        make_directory(tmp_path / "new", UID, GID, 0o755)
    finally:
        os.umask(old)
    assert mode(tmp_path / "new") == 0o755


def test_the_mode_of_roots_own_directory_is_put_right(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir(mode=0o700)
    assert make_directory(tmp_path / "old", UID, GID, 0o755)
    assert mode(tmp_path / "old") == 0o755


def test_no_directory_is_made_below_one_that_others_can_write(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(UnsafePath, match="writable for others"):
        make_directory(tmp_path / "open/new", UID, GID, 0o755)
    (tmp_path / "open").chmod(0o1777)
    assert make_directory(tmp_path / "open/new", UID, GID, 0o755)


def test_a_planted_link_is_not_taken_for_the_directory(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir(mode=0o700)
    (tmp_path / "planted").symlink_to("target")
    with pytest.raises(UnsafePath):
        make_directory(tmp_path / "planted", UID, GID, 0o777)
    with pytest.raises(UnsafePath):
        make_directory(tmp_path / "planted/new", UID, GID, 0o755)
    assert mode(tmp_path / "target") == 0o700
    assert not (tmp_path / "target/new").exists()


class _Status:
    """A status as fstat(2) gives it, of another owner."""

    def __init__(self, uid: int, permissions: int = 0o755) -> None:
        self.st_uid, self.st_gid, self.st_mode = uid, uid, stat.S_IFDIR | permissions


def test_a_directory_of_a_third_party_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "theirs"
    place.mkdir()
    real, inode, given = os.fstat, place.stat().st_ino, []

    def fstat(descriptor: int) -> os.stat_result | _Status:
        status = real(descriptor)
        return _Status(4711) if status.st_ino == inode else status

    monkeypatch.setattr(os, "fstat", fstat)
    monkeypatch.setattr(os, "fchown", lambda descriptor, uid, gid: given.append((uid, gid)))
    with pytest.raises(UnsafePath, match="belongs to uid 4711"):
        make_directory(place, UID, GID, 0o755)
    with pytest.raises(UnsafePath, match="belongs to uid 4711, not to root"):
        make_directory(place / "below", UID, GID, 0o755)
    assert given == []
    assert make_directory(place, 12, 13, 0o755, adopt=True)
    assert given == [(12, 13)]


def test_a_user_may_choose_the_mode_of_his_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "his"
    place.mkdir(mode=0o700)
    real, inode = os.fstat, place.stat().st_ino

    def fstat(descriptor: int) -> os.stat_result | _Status:
        status = real(descriptor)
        return _Status(4711, 0o700) if status.st_ino == inode else status

    monkeypatch.setattr(os, "fstat", fstat)
    assert not make_directory(place, 4711, 4711, 0o755)
    assert mode(place) == 0o700


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert replace_file(path, b"one")
    inode = path.stat().st_ino
    assert not replace_file(path, b"one")
    assert path.stat().st_ino == inode
    assert replace_file(path, b"two", 0o600)
    assert (path.read_bytes(), mode(path), names(tmp_path)) == (b"two", 0o600, ["file"])


def test_a_wrong_mode_is_put_right(tmp_path: Path) -> None:
    path = tmp_path / "file"
    replace_file(path, b"one")
    path.chmod(0o666)
    assert replace_file(path, b"one")
    assert mode(path) == 0o644


def test_replacing_replaces_a_link_and_not_its_target(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("precious")
    (tmp_path / "link").symlink_to("target")
    assert replace_file(tmp_path / "link", b"new")
    assert (tmp_path / "target").read_text() == "precious"
    assert not (tmp_path / "link").is_symlink()


def test_a_leftover_of_a_killed_run_does_not_disturb(tmp_path: Path) -> None:
    (tmp_path / ".file.new").symlink_to("/etc/passwd")
    assert replace_file(tmp_path / "file", b"new")
    assert names(tmp_path) == ["file"]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace_file(tmp_path / "file", b"old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="full"):
        replace_file(tmp_path / "file", b"new")
    assert (names(tmp_path), (tmp_path / "file").read_bytes()) == (["file"], b"old")


def test_a_link_is_replaced_by_a_rename(tmp_path: Path) -> None:
    path = tmp_path / "current"
    assert replace_link(path, "one")
    assert not replace_link(path, "one")
    assert replace_link(path, "two")
    assert (str(path.readlink()), names(tmp_path)) == ("two", ["current"])


def test_touching_makes_a_file_and_sets_its_time(tmp_path: Path) -> None:
    path = tmp_path / "mark"
    touch(path)
    os.utime(path, (0, 0))
    touch(path)
    assert path.stat().st_mtime > 1


def test_touching_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        touch(tmp_path / "link")
    assert not (tmp_path / "elsewhere").exists()


def test_only_one_holds_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with lock(path), pytest.raises(Locked), lock(path, wait=False):
        pytest.fail("the lock was taken twice")
    with lock(path, wait=False):
        assert path.exists()


def test_waiting_for_the_lock_ends_when_it_is_free(tmp_path: Path) -> None:
    path, order = tmp_path / "lock", []

    def second() -> None:
        with lock(path):
            order.append("second")

    with lock(path):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.1)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]
