# SPDX-License-Identifier: GPL-2.0-or-later
"""The generations of an image: switched by one rename, pruned, removed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import world
from images import ID, build, change, names, place, renew

from fpmjail import image, mounts
from fpmjail.image import ImageError
from fpmjail.layout import Layout
from fpmjail.mounts import Kept, Mount


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return world.make(tmp_path)


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
