# SPDX-License-Identifier: GPL-2.0-or-later
"""What a generation holds is read back as it was written, or not at all."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
import world
from images import ID, PROFILE, build, change, renew

from fpmjail import image
from fpmjail.layout import Layout
from fpmjail.manifest import Difference, difference


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return world.make(tmp_path)


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


def test_the_difference_of_two_generations(layout: Layout) -> None:
    old = build(layout)
    change(layout, "etc/services", "other\n")
    world.put(layout.root, "usr/share/zoneinfo/Vienna")
    (layout.root / "usr/share/zoneinfo/Zulu").unlink()
    new = build(layout)
    found = difference(old, new)
    assert found.added == ("usr/share/zoneinfo/Vienna",)
    assert found.removed == ("usr/share/zoneinfo/Zulu",)
    assert found.changed == ("etc/services",)
    assert len(difference(None, new).added) == len(new.entries)
    owned = replace(new, entries=tuple(replace(entry, package="other") for entry in new.entries))
    assert difference(new, owned) == Difference((), (), ())
