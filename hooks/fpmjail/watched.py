# SPDX-License-Identifier: MIT
"""What a complete look depended on, for glance.py: stamps are of before the look, so that no change can be missed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress

from fpmjail import glance, live_files, refresh
from fpmjail.glance import Known
from fpmjail.host import Host
from fpmjail.layout import Layout
from fpmjail.refresh import Decision, Outcome
from fpmjail.site import Site


def surroundings(layout: Layout) -> Known:
    """The sites that are installed. Taken before they are read."""
    return stamps((str(layout.sites), *map(str, layout.sites.glob("*/site.json"))))


def servers(sites: Iterable[Site]) -> Known:
    """The directories of database servers: one that is made anew is another one."""
    return stamps({str(directory) for site in sites for _, directory in site.jail.sockets})


def sources(layout: Layout) -> Known:
    """What the live files depend on, every link on the way included. Taken before they are followed, or the change that
    comes between would never be seen."""
    host = Host(layout.root)
    for place in layout.images.glob("*"):
        for _, source, _ in live_files.known(place):
            host.resolve(source)
    return rooted(layout, host.inputs)


def live(layout: Layout) -> Known:
    """The live files themselves. Nobody but us writes them."""
    places = layout.images.glob("*")
    return stamps(str(place / "live" / name) for place in places for name, _, _ in live_files.known(place))


def stamps(paths: Iterable[str]) -> Known:
    """The present stamp of each path."""
    return {path: glance.stamp(path) for path in paths}


def rooted(layout: Layout, known: Known) -> Known:
    """Paths of the host as paths of this machine; they differ in tests only."""
    root = str(layout.root).rstrip("/")
    return {root + path: seen for path, seen in known.items()}


def of_image(layout: Layout, profile_id: str) -> Known:
    """What the generation in use was made of, as it was then, and that no switch or hold is open."""
    place = layout.image(profile_id)
    found = json.loads((place / "inputs.json").read_bytes())
    known = {path: tuple(seen) if seen else None for path, seen in found["inputs"].items()}
    own = {str(place / name): tuple(seen) for name, seen in found["generation"].items()}
    here = (place / "inputs.json", place / "current", place / "hold.json", refresh.pending(layout, profile_id))
    return {**rooted(layout, known), **own, **stamps(map(str, here))}


def remember(layout: Layout, outcomes: Sequence[Outcome], before: Known, followed: Known) -> None:
    """After a complete look that found nothing to do: leave the list for the next one."""
    place = str(layout.run / "glance")
    if any(outcome.decision is not Decision.CURRENT or outcome.words for outcome in outcomes):
        return
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        images = [of_image(layout, outcome.profile) for outcome in outcomes]
        known = {path: seen for one in (*images, before) for path, seen in one.items()}
        glance.write([outcome.profile for outcome in outcomes], known, followed, place)


def forget(layout: Layout) -> None:
    """Let the next look be a complete one."""
    (layout.run / "glance").unlink(missing_ok=True)


def follow(layout: Layout) -> tuple[str, ...]:
    """Bring the live files of every image up to date; what changed, and what cannot be followed."""
    words: list[str] = []
    before = sources(layout)
    for place in sorted(layout.images.glob("*/inputs.json")):
        followed = live_files.follow(layout, place.parent.name)
        words += [f"image {place.parent.name} follows {name}" for name in followed.changed]
        words += followed.problems
    renew(layout, before | live(layout))
    return tuple(words)


def renew(layout: Layout, followed: Known) -> None:
    """Put other stamps of the live files into the list; the rest stays as it was seen."""
    place = str(layout.run / "glance")
    lines = glance.read(place)
    if lines is not None:
        end = lines.index("")
        with suppress(OSError):
            glance.replace(place, [*lines[:2], *map(glance.line, followed.items()), *lines[end:]])
