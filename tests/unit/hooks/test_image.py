# SPDX-License-Identifier: GPL-2.0-or-later
"""Generations: complete, immutable, switched by one rename."""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import world

from fpmjail import image, mounts
from fpmjail.image import Hold, ImageError, Manifest, NoSpace, SourceChanged
from fpmjail.layout import Layout
from fpmjail.mounts import Kept, Mount
from fpmjail.site import Profile
from fpmjail.wanted import Live

PROFILE = world.profile(*world.EVERYTHING)
ID = PROFILE.id


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return world.make(tmp_path)


def build(layout: Layout, profile: Profile = PROFILE) -> Manifest:
    found = world.want(layout, profile)
    owners = dict.fromkeys(found.sources, ("libc6:amd64", "2.41-1"))
    return image.build(layout, profile, found, owners)


def renew(layout: Layout) -> Manifest:
    manifest = build(layout)
    image.switch(layout, ID, manifest.digest)
    return manifest


def change(layout: Layout, path: str, content: str) -> None:
    """As dpkg does it: a new file takes the name of the old one."""
    new = world.put(layout.root, f"{path}.dpkg-new", content)
    new.rename(layout.root / path)


def place(layout: Layout, digest: str, path: str = "") -> Path:
    return layout.image(ID) / digest / path


def names(layout: Layout) -> set[str]:
    return {path.name for path in layout.image(ID).iterdir()}


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


def test_the_manifest_is_read_back(layout: Layout) -> None:
    manifest = build(layout)
    assert image.read_manifest(layout, ID, manifest.digest) == manifest
    entry = next(entry for entry in manifest.entries if entry.path == "etc/services")
    assert (entry.type, entry.mode, entry.package, entry.version) == ("file", "0644", "libc6:amd64", "2.41-1")
    assert (entry.source, entry.capability, entry.size) == ("/etc/services", "services", len("content\n"))
    assert json.loads((layout.image(ID) / "profile.json").read_text()) == {"id": ID, **PROFILE.content()}


def test_the_digest_names_the_content_and_nothing_else(layout: Layout, tmp_path: Path) -> None:
    manifest = renew(layout)
    os.utime(layout.root / "etc/services", (1, 1))
    assert build(layout).digest == manifest.digest
    change(layout, "etc/services", "other\n")
    assert build(layout).digest != manifest.digest


@pytest.mark.parametrize("damage", ["{", '{"format": 1}', "entry", "name"])
def test_a_damaged_manifest_is_none(layout: Layout, damage: str) -> None:
    manifest = build(layout)
    path = layout.image(ID) / f"{manifest.digest}.json"
    value = json.loads(path.read_text())
    if damage == "entry":
        value["entries"][0]["mode"] = "0777"
    if damage == "name":
        value["profile"] = "0" * 12
    path.write_text(json.dumps(value) if damage in ("entry", "name") else damage)
    assert image.read_manifest(layout, ID, manifest.digest) is None


def test_there_is_no_manifest_of_nothing(layout: Layout) -> None:
    assert image.read_manifest(layout, ID, None) is None
    assert image.read_manifest(layout, ID, "0" * 16) is None
    assert image.generations(layout, ID) == []


def test_nothing_is_built_when_something_is_missing(layout: Layout) -> None:
    manifest = renew(layout)
    (layout.root / "usr/sbin/php-fpm8.4").unlink()
    with pytest.raises(ImageError, match=r"php-fpm8.4 is not there \(package php8.4-fpm\)"):
        build(layout)
    assert image.current(layout, ID) == manifest.digest


# --- the cheap look ---


def test_nothing_changed_is_seen_without_thinking(layout: Layout) -> None:
    assert not image.unchanged(layout, ID)
    manifest = build(layout)
    assert image.known_digest(layout, ID) == manifest.digest
    assert not image.unchanged(layout, ID)
    image.switch(layout, ID, manifest.digest)
    assert image.unchanged(layout, ID)


CHANGES: dict[str, Callable[[Layout], object]] = {
    "a file": lambda layout: change(layout, "etc/services", "other\n"),
    "a file of the same size": lambda layout: change(layout, "etc/services", "CONTENT\n"),
    "a file in place": lambda layout: (layout.root / "etc/services").write_text("CONTENT\n"),
    "a file gone": lambda layout: (layout.root / "etc/services").unlink(),
    "a new extension": lambda layout: world.put(layout.root, "etc/php/8.4/fpm/conf.d/30-new.ini"),
    "a new zone": lambda layout: world.put(layout.root, "usr/share/zoneinfo/Europe/Vienna"),
    "a link": lambda layout: change(layout, "usr/lib/ssl/cert.pem", "x"),
    "what was not there": lambda layout: world.put(layout.root, "etc/gai.conf"),
    "a definition": lambda layout: change(layout, "usr/share/fpmjail/capabilities/tls.json", "{}"),
    "an administrator's definition": lambda layout: world.put(layout.root, "etc/fpmjail/capabilities.d/x.json", "{}"),
    "the release": lambda layout: world.put(layout.root, "etc/os-release", "VERSION_CODENAME=forky\n"),
    "a damaged manifest": lambda layout: (layout.image(ID) / f"{image.current(layout, ID)}.json").write_text("{"),
    "no list of inputs": lambda layout: (layout.image(ID) / "inputs.json").unlink(),
    "a damaged list of inputs": lambda layout: (layout.image(ID) / "inputs.json").write_text("[]"),
    "no current": lambda layout: (layout.image(ID) / "current").unlink(),
    "a mode": lambda layout: (layout.root / "etc/services").chmod(0o600),
}


@pytest.mark.parametrize("name", CHANGES)
def test_every_change_is_seen(layout: Layout, name: str) -> None:
    renew(layout)
    assert image.unchanged(layout, ID)
    CHANGES[name](layout)
    assert not image.unchanged(layout, ID)


def test_another_version_of_the_runtime_looks_again(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    renew(layout)
    monkeypatch.setattr(image, "__version__", "99")
    assert not image.unchanged(layout, ID)


def test_live_files_do_not_ask_for_a_new_generation(layout: Layout) -> None:
    renew(layout)
    world.put(layout.root, "run/resolve/resolv.conf", "nameserver 192.0.2.9\n")
    world.put(layout.root, "etc/hosts", "127.0.0.1 other\n")
    assert image.unchanged(layout, ID)


# --- building on what is there ---


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
        image.build(layout, PROFILE, found, {})
    (layout.root / "etc/services").unlink()
    with pytest.raises(SourceChanged, match="/etc/services vanished"):
        image.build(layout, PROFILE, found, {})
    (layout.root / "etc/services").symlink_to("/etc/shadow")
    with pytest.raises(SourceChanged):
        image.build(layout, PROFILE, found, {})
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

    monkeypatch.setattr(image, "sync_filesystem", full)
    with pytest.raises(NoSpace, match=r"it needs up to \d+ MB, \d+ MB are free; the present one stays in use"):
        build(layout)
    assert names(layout) == before
    assert image.current(layout, ID) == manifest.digest


def test_a_disk_without_inodes_says_that_it_is_not_the_bytes(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = renew(layout)
    change(layout, "etc/services", "other\n")

    def full(path: Path) -> None:
        raise OSError(errno.ENOSPC, "full")

    known = os.statvfs(layout.root)
    few = os.statvfs_result((*known[:5], 1000, 3, 3, *known[8:]))
    monkeypatch.setattr(image, "sync_filesystem", full)
    monkeypatch.setattr(os, "statvfs", lambda path: few)
    with pytest.raises(NoSpace, match=r"no inodes are left .* it needs up to \d+, 3 are free"):
        build(layout)
    assert image.current(layout, ID) == manifest.digest


def test_another_error_of_the_disk_is_an_image_error(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: Path) -> None:
        raise OSError(errno.EIO, "broken disk")

    monkeypatch.setattr(image, "sync_filesystem", broken)
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
from fpmjail import image
from fpmjail.layout import Layout
from pathlib import Path
layout, profile = Layout(Path({root!r})), world.profile(*world.EVERYTHING)
manifest = image.build(layout, profile, world.want(layout, profile), {{}})
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


# --- switching ---


def test_a_switch_names_the_generation_before(layout: Layout) -> None:
    old = build(layout).digest
    assert image.switch(layout, ID, old) is None
    change(layout, "etc/services", "other\n")
    new = build(layout).digest
    assert image.switch(layout, ID, new) == old
    assert image.switch(layout, ID, new) is None
    assert image.current(layout, ID) == new
    assert [(one.digest, one.current) for one in image.generations(layout, ID)] == [(new, True), (old, False)]


def test_the_order_of_generations_does_not_depend_on_the_clock(layout: Layout) -> None:
    digests = []
    for number in range(4):
        change(layout, "etc/services", f"{number}\n")
        digests.append(renew(layout).digest)
        os.utime(place(layout, digests[-1]), (9000 - number, 9000 - number))  # the clock goes back with each
    assert [one.digest for one in image.generations(layout, ID)] == digests[::-1]
    change(layout, "etc/services", "1\n")
    assert renew(layout).digest == digests[1]
    assert [one.digest for one in image.generations(layout, ID)] == digests[::-1]


@pytest.mark.parametrize("damage", ["{", "[]", '{"number": "9"}', '{"number": null}'])
def test_generations_that_were_not_counted_are_older_than_those_that_were(layout: Layout, damage: str) -> None:
    digests = []
    for number in range(3):
        change(layout, "etc/services", f"{number}\n")
        digests.append(renew(layout).digest)
    for digest, moment in ((digests[0], 10**9), (digests[1], 2 * 10**9)):
        (layout.image(ID) / f"{digest}.json").write_text(damage)
        os.utime(place(layout, digest), (moment, moment))
    assert [one.digest for one in image.generations(layout, ID)] == [digests[2], digests[1], digests[0]]


@pytest.mark.parametrize("digest", ["0" * 16, "../../etc", ""])
def test_only_a_complete_generation_is_switched_to(layout: Layout, digest: str) -> None:
    manifest = renew(layout)
    with pytest.raises(ImageError, match="not there or not complete"):
        image.switch(layout, ID, digest)
    assert image.current(layout, ID) == manifest.digest


def test_pruning_keeps_what_is_used_and_what_is_named(layout: Layout) -> None:
    digests = []
    for number in range(4):
        change(layout, "etc/services", f"{number}\n")
        digests.append(renew(layout).digest)
    assert sorted(image.prune(layout, ID, {digests[1]})) == sorted((digests[0], digests[2]))
    assert [one.digest for one in image.generations(layout, ID)] == [digests[3], digests[1]]
    assert image.verify(layout, image.read_manifest(layout, ID, digests[1]) or pytest.fail()) == ()
    assert not {name for name in names(layout) if digests[0] in name}


def test_a_generation_that_cannot_be_removed_is_no_generation_any_more(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = renew(layout).digest
    change(layout, "etc/services", "other\n")
    renew(layout)

    def refuse(path: Path) -> bool:
        raise Kept("no openat2")

    monkeypatch.setattr(mounts, "remove_tree", refuse)
    with pytest.raises(Kept):
        image.prune(layout, ID, ())
    assert old not in [one.digest for one in image.generations(layout, ID)]


def test_an_image_that_nobody_uses_is_removed(layout: Layout) -> None:
    renew(layout)
    assert image.remove(layout, ID)
    assert not layout.image(ID).exists()
    assert not image.remove(layout, ID)


def test_what_is_left_of_an_image_when_the_power_goes_is_not_taken_for_one(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = renew(layout)
    assert image.known_digest(layout, ID) == manifest.digest
    copy = place(layout, manifest.digest, "etc/services")
    with monkeypatch.context() as patch:
        patch.setattr(mounts, "remove_tree", lambda path: copy.unlink())
        image.remove(layout, ID)
    assert image.known_digest(layout, ID) is None
    renew(layout)
    assert image.verify(layout, manifest) == ()


def test_an_image_that_is_mounted_is_kept(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = renew(layout)
    layout.jail("x").mkdir(parents=True)
    (layout.jail("x") / ".image").symlink_to(layout.image(ID))
    one = Mount("8:1", "/", str(layout.jail("x") / ".image"), ("ro",), False, "ext4", "none")
    monkeypatch.setattr(mounts, "current", lambda: (one,))
    with pytest.raises(Kept, match="is mounted at"):
        image.remove(layout, ID)
    assert image.verify(layout, manifest) == ()


def test_the_difference_of_two_generations(layout: Layout) -> None:
    old = build(layout)
    change(layout, "etc/services", "other\n")
    world.put(layout.root, "usr/share/zoneinfo/Vienna")
    (layout.root / "usr/share/zoneinfo/Zulu").unlink()
    new = build(layout)
    found = image.diff(old, new)
    assert found.added == ("usr/share/zoneinfo/Vienna",)
    assert found.removed == ("usr/share/zoneinfo/Zulu",)
    assert found.changed == ("etc/services",)
    assert len(image.diff(None, new).added) == len(new.entries)
    owned = replace(new, entries=tuple(replace(entry, package="other") for entry in new.entries))
    assert image.diff(new, owned) == image.Difference((), (), ())


def test_a_hold_is_remembered_until_it_is_cleared(layout: Layout) -> None:
    build(layout)
    assert image.hold(layout, ID) is None
    made = image.set_hold(layout, ID, "0" * 16, "bad", manual=True)
    assert image.hold(layout, ID) == made == Hold("0" * 16, "bad", made.since, True)
    (layout.image(ID) / "hold.json").write_text("{")
    assert image.hold(layout, ID) is None
    assert image.clear_hold(layout, ID)
    assert not image.clear_hold(layout, ID)


# --- live files ---


def live(layout: Layout, name: str) -> str:
    return (layout.image(ID) / "live" / name).read_text()


def test_live_files_follow_the_host(layout: Layout) -> None:
    found = world.want(layout, PROFILE)
    image.build(layout, PROFILE, found, {})
    first = image.follow_live(layout, ID, found.live)
    assert (first.changed, first.problems) == (("hosts", "localtime", "resolv.conf"), ())
    assert live(layout, "resolv.conf") == "nameserver 192.0.2.1\n"
    assert image.follow_live(layout, ID).changed == ()
    change(layout, "run/resolve/resolv.conf", "nameserver 192.0.2.2\n")
    assert image.follow_live(layout, ID).changed == ("resolv.conf",)
    assert live(layout, "resolv.conf") == "nameserver 192.0.2.2\n"


def test_the_directory_of_live_files_is_made_again(layout: Layout) -> None:
    renew(layout)
    shutil.rmtree(layout.image(ID) / "live")
    assert "hosts" in image.follow_live(layout, ID).changed
    assert (layout.image(ID) / "live").stat().st_mode & 0o777 == 0o755


def test_a_minimal_server_without_hosts_gets_localhost(layout: Layout) -> None:
    build(layout)
    (layout.root / "etc/hosts").unlink()
    assert image.follow_live(layout, ID).problems == ()
    assert live(layout, "hosts") == "127.0.0.1 localhost\n::1 localhost\n"


def test_a_server_without_localtime_is_no_problem(layout: Layout) -> None:
    build(layout)
    (layout.root / "etc/localtime").unlink()
    followed = image.follow_live(layout, ID)
    assert ("localtime" not in followed.changed, followed.problems) == (True, ())


def test_a_resolv_conf_that_leads_nowhere_keeps_its_last_content(layout: Layout) -> None:
    build(layout)
    (layout.root / "run/resolve/resolv.conf").rename(layout.root / "run/away")
    followed = image.follow_live(layout, ID)
    assert live(layout, "resolv.conf") == ""
    assert followed.problems == (
        "/etc/resolv.conf cannot be followed, /run/resolve/resolv.conf is no file; there is no older content",
    )
    (layout.root / "run/away").rename(layout.root / "run/resolve/resolv.conf")
    image.follow_live(layout, ID)
    (layout.root / "run/resolve/resolv.conf").unlink()
    assert image.follow_live(layout, ID).problems[0].endswith("its last content stays")
    assert live(layout, "resolv.conf") == "nameserver 192.0.2.1\n"


def test_a_pipe_in_the_place_of_a_live_file_does_not_block(layout: Layout) -> None:
    build(layout)
    os.mkfifo(layout.root / "etc/pipe")
    followed = image.follow_live(layout, ID, (Live("pipe", "/etc/pipe", None),))
    assert (followed.changed, len(followed.problems)) == ((), 1)


def test_nothing_is_followed_before_the_first_build(layout: Layout) -> None:
    assert image.follow_live(layout, ID) == image.Followed((), ())
