# SPDX-License-Identifier: GPL-2.0-or-later
"""One profile with every capability, whose image is built from the small server of `world`."""

from __future__ import annotations

from pathlib import Path

import world

from fpmjail import image, image_build
from fpmjail.layout import Layout
from fpmjail.manifest import Manifest
from fpmjail.site import Profile

PROFILE = world.profile(*world.EVERYTHING)
ID = PROFILE.id


def build(layout: Layout, profile: Profile = PROFILE) -> Manifest:
    found = world.want(layout, profile)
    owners = dict.fromkeys(found.sources, ("libc6:amd64", "2.41-1"))
    return image_build.build(layout, profile, found, owners)


def renew(layout: Layout) -> Manifest:
    """Build, and switch to it."""
    manifest = build(layout)
    image.switch(layout, ID, manifest.digest)
    return manifest


def change(layout: Layout, path: str, content: str) -> None:
    """As dpkg does it: a new file takes the name of the old one."""
    new = world.put(layout.root, f"{path}.dpkg-new", content)
    new.rename(layout.root / path)


def place(layout: Layout, digest: str, path: str = "") -> Path:
    """Where something is in a generation."""
    return layout.image(ID) / digest / path


def names(layout: Layout) -> set[str]:
    return {path.name for path in layout.image(ID).iterdir()}
