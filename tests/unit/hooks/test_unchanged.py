# SPDX-License-Identifier: GPL-2.0-or-later
"""One look tells whether the host still is what an image was built from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import world
from images import ID, build, change, renew

from fpmjail import image
from fpmjail.layout import Layout


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return world.make(tmp_path)


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
