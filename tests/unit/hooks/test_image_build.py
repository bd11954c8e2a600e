# SPDX-License-Identifier: GPL-2.0-or-later
"""Building a generation: complete, on top of what is there, whatever the disk or a kill does."""

from __future__ import annotations

import errno
import os
import random
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
import world
from images import ID, PROFILE, build, change, names, place, renew

from fpmjail import image, image_build
from fpmjail.image import ImageError
from fpmjail.image_build import NoSpace, SourceChanged
from fpmjail.layout import Layout


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return world.make(tmp_path)


def test_a_generation_is_a_complete_copy(layout: Layout) -> None:
    manifest = build(layout)
    assert image.verify(layout, manifest) == ()
    copy, source = place(layout, manifest.digest, "etc/services"), layout.root / "etc/services"
    assert copy.read_bytes() == source.read_bytes()
    assert (copy.stat().st_mtime_ns, copy.stat().st_ino != source.stat().st_ino) == (source.stat().st_mtime_ns, True)
    assert str(place(layout, manifest.digest, "usr/sbin/php-fpm").readlink()) == "php-fpm8.4"
    assert image.current(layout, ID) is None


def test_modes_do_not_depend_on_the_umask(layout: Layout) -> None:
    old = os.umask(0o077)
    try:
        manifest = build(layout)
    finally:
        os.umask(old)
    for path in place(layout, manifest.digest).rglob("*"):
        assert path.is_symlink() or stat.S_IMODE(path.stat().st_mode) in (0o755, 0o644)
    for directory in (layout.images, layout.image(ID), layout.image(ID) / "live", place(layout, manifest.digest)):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o755


def test_nothing_is_built_when_something_is_missing(layout: Layout) -> None:
    manifest = renew(layout)
    (layout.root / "usr/sbin/php-fpm8.4").unlink()
    with pytest.raises(ImageError, match=r"php-fpm8.4 is not there \(package php8.4-fpm\)"):
        build(layout)
    assert image.current(layout, ID) == manifest.digest


def test_equal_files_are_shared_with_the_generation_before(layout: Layout) -> None:
    old = renew(layout)
    change(layout, "etc/services", "other\n")
    new = renew(layout)
    shared, other = "usr/share/zoneinfo/UTC", "etc/services"
    assert place(layout, old.digest, shared).samefile(place(layout, new.digest, shared))
    assert not place(layout, old.digest, other).samefile(place(layout, new.digest, other))
    assert place(layout, old.digest, other).read_text() == "content\n"
    assert image.verify(layout, old) == image.verify(layout, new) == ()


def test_a_damaged_copy_is_not_passed_on(layout: Layout) -> None:
    old = renew(layout)
    copy = place(layout, old.digest, "usr/share/zoneinfo/UTC")
    status = copy.stat()
    copy.write_text("CONTENT\n")
    os.utime(copy, ns=(status.st_atime_ns, status.st_mtime_ns))
    change(layout, "etc/services", "other\n")
    assert image.verify(layout, renew(layout)) == ()


def test_a_damaged_generation_is_exchanged_at_once(layout: Layout) -> None:
    manifest = renew(layout)
    place(layout, manifest.digest, "etc/services").write_text("evil\n")
    place(layout, manifest.digest, "etc/added").write_text("evil\n")
    place(layout, manifest.digest, "etc/protocols").unlink()
    assert image.verify(layout, manifest) == ("etc/added", "etc/protocols", "etc/services")
    assert build(layout).digest == manifest.digest
    assert image.verify(layout, manifest) == ()
    assert not [name for name in names(layout) if name.startswith(".build-")]


def test_a_sound_generation_is_left_alone(layout: Layout) -> None:
    manifest = renew(layout)
    inode = place(layout, manifest.digest).stat().st_ino
    again = build(layout)
    assert place(layout, again.digest).stat().st_ino == inode
    assert image.unchanged(layout, ID)


def test_a_lost_manifest_comes_back_and_its_generation_was_never_away(layout: Layout) -> None:
    manifest = renew(layout)
    inode = place(layout, manifest.digest).stat().st_ino
    (layout.image(ID) / f"{manifest.digest}.json").unlink()
    assert image.current(layout, ID) is None
    build(layout)
    assert image.current(layout, ID) == manifest.digest
    assert place(layout, manifest.digest).stat().st_ino == inode


def test_what_killed_runs_left_is_swept(layout: Layout) -> None:
    manifest = renew(layout)
    home = layout.image(ID)
    (home / ".build-1/usr").mkdir(parents=True)
    (home / "0123456789abcdef/usr").mkdir(parents=True)
    (home / "fedcba9876543210.json").write_text("{}")
    build(layout)
    fixed = {"live", "profile.json", "inputs.json", "current"}
    assert names(layout) == fixed | {manifest.digest, f"{manifest.digest}.json"}


def test_a_file_that_changes_while_it_is_copied_stops_the_build(layout: Layout) -> None:
    found = world.want(layout, PROFILE)
    change(layout, "etc/services", "other\n")
    with pytest.raises(SourceChanged, match="/etc/services changed"):
        image_build.build(layout, PROFILE, found, {})
    (layout.root / "etc/services").unlink()
    with pytest.raises(SourceChanged, match="/etc/services vanished"):
        image_build.build(layout, PROFILE, found, {})
    (layout.root / "etc/services").symlink_to("/etc/shadow")
    with pytest.raises(SourceChanged):
        image_build.build(layout, PROFILE, found, {})
    assert names(layout) == {"live", "profile.json"}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_leaves_the_old_image_and_says_how_much_it_needs(
    layout: Layout, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    manifest = renew(layout)
    change(layout, "etc/services", "other\n")
    before = names(layout)

    def full(path: Path) -> None:
        raise OSError(number, "full")

    monkeypatch.setattr(image_build, "sync_filesystem", full)
    with pytest.raises(NoSpace, match=r"it needs up to \d+ MB, \d+ MB are free; the present one stays in use"):
        build(layout)
    assert names(layout) == before
    assert image.current(layout, ID) == manifest.digest


def test_a_disk_without_inodes_says_that_it_is_not_the_bytes(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = renew(layout)
    change(layout, "etc/services", "other\n")

    def full(path: Path) -> None:
        raise OSError(errno.ENOSPC, "full")

    known = os.statvfs(layout.root)
    few = os.statvfs_result((*known[:5], 1000, 3, 3, *known[8:]))
    monkeypatch.setattr(image_build, "sync_filesystem", full)
    monkeypatch.setattr(os, "statvfs", lambda path: few)
    with pytest.raises(NoSpace, match=r"no inodes are left .* it needs up to \d+, 3 are free"):
        build(layout)
    assert image.current(layout, ID) == manifest.digest


def test_another_error_of_the_disk_is_an_image_error(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: Path) -> None:
        raise OSError(errno.EIO, "broken disk")

    monkeypatch.setattr(image_build, "sync_filesystem", broken)
    with pytest.raises(ImageError, match="broken disk"):
        build(layout)
    assert names(layout) == {"live", "profile.json"}


def test_a_huge_file_is_refused(layout: Layout) -> None:
    os.truncate(layout.root / "etc/services", (512 << 20) + 1)
    with pytest.raises(ImageError, match="/etc/services is larger than 512 MiB"):
        build(layout)


RUN = """
import sys
sys.path[:0] = {path!r}
import world
from fpmjail import image, image_build
from fpmjail.layout import Layout
from pathlib import Path
layout, profile = Layout(Path({root!r})), world.profile(*world.EVERYTHING)
manifest = image_build.build(layout, profile, world.want(layout, profile), {{}})
image.switch(layout, profile.id, manifest.digest)
image.prune(layout, profile.id, ())
print("done")
"""


def test_a_builder_that_is_killed_at_any_moment_leaves_a_complete_image(layout: Layout) -> None:
    """Two files change together; whenever the builder dies, the image in use holds both old or both new."""
    home = Path(world.__file__).parent
    program = RUN.format(path=[str(home), str(home.parents[2] / "hooks")], root=str(layout.root))
    started = time.monotonic()
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    length, moments, killed = time.monotonic() - started, random.Random(4), 0
    for number in range(12):
        for path in ("etc/services", "usr/share/zoneinfo/UTC"):
            change(layout, path, f"{number}\n")
        builder = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
        time.sleep(moments.uniform(length * 0.3, length * 1.1))
        builder.kill()
        builder.communicate()
        killed += builder.returncode == -signal.SIGKILL
        digest = image.current(layout, ID)
        manifest = image.read_manifest(layout, ID, digest)
        assert digest and manifest and image.verify(layout, manifest) == ()
        pair = {place(layout, digest, path).read_text() for path in ("etc/services", "usr/share/zoneinfo/UTC")}
        assert len(pair) == 1
    assert killed
    digest = renew(layout).digest
    image.prune(layout, ID, ())
    assert names(layout) == {"live", "profile.json", "inputs.json", "current", digest, f"{digest}.json"}


def test_a_file_that_a_killed_run_did_not_finish_goes_with_the_next_build(layout: Layout) -> None:
    renew(layout)
    left = layout.image(ID) / f".{'0' * 16}.json.new"
    left.write_text("{")
    change(layout, "etc/services", "other\n")
    renew(layout)
    assert not left.exists()
