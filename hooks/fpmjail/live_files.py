# SPDX-License-Identifier: MIT
"""The live files of an image: resolv.conf, hosts, localtime, which follow the host without a new generation."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fpmjail.files import lock, make_public, replace_file
from fpmjail.layout import Layout

if TYPE_CHECKING:
    from fpmjail.wanted import Live

_LARGEST = 1 << 20


@dataclass(frozen=True, slots=True)
class Followed:
    """What `follow` did: names of files that got other content, and what it could not follow."""

    changed: tuple[str, ...]
    problems: tuple[str, ...]


def follow(layout: Layout, profile_id: str, live: Iterable[Live] | None = None) -> Followed:
    """Give the live files (resolv.conf, hosts, localtime) the host's present content, each by one rename.

    `live` is what `wanted` said; without it the list of the last build is taken. Where the host's file is missing or
    leads nowhere the last content stays, and only a first time gets the default. Their directory is missing when the
    power went while the image was taken away.
    """
    place = layout.image(profile_id)
    files = known(place) if live is None else [(one.name, one.source, one.default) for one in live]
    if files:
        make_public(place / "live")
    changed, problems = [], []
    # Not the lock of every change: what follows the host at once must not wait for a generation that is being built.
    with lock(layout.live_lock_file) if layout.run.is_dir() else nullcontext():
        for name, source, default in files:
            path = place / "live" / name
            content, problem = _content(layout, source, default, path.exists())
            if problem:
                problems.append(problem)
            if content is not None and replace_file(path, content):
                changed.append(name)
    return Followed(tuple(changed), tuple(problems))


def known(place: Path) -> list[tuple[str, str, str | None]]:
    """(name, path on the host, content for a missing one) of the live files of an image, as its last build had them."""
    try:
        known = json.loads((place / "inputs.json").read_bytes())["live"]
        return [(name, source, default) for name, source, default in known]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []


def _content(layout: Layout, source: str, default: str | None, exists: bool) -> tuple[bytes | None, str]:
    """(new content, None to leave it; problem, empty if there is none)."""
    from fpmjail.host import Host

    host = Host(layout.root)
    resolved = host.resolve(source)
    if resolved.is_file and resolved.status is not None and resolved.status.st_size <= _LARGEST:
        return host.read(source), ""
    if resolved.status is None and not resolved.links and default is None:
        return None, ""
    if resolved.status is None and not resolved.links and default:
        return default.encode(), ""
    first = None if exists or default is None else default.encode()
    kept = "its last content stays" if exists else "there is no older content"
    return first, f"{source} cannot be followed, {resolved.path} is no file; {kept}"
