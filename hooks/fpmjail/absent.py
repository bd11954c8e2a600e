# SPDX-License-Identifier: MIT
"""Packages that a site needs and that were taken from under it: dpkg does that only when it is forced.

A dedicated site goes on with its copies, which no upgrade reaches any more; a shared one is down with Debian's PHP.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from fpmjail import image, packages
from fpmjail.layout import Layout
from fpmjail.site import Site

NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+")


def lost(layout: Layout, site: Site) -> tuple[str, ...]:
    """PHP's packages that are not there although the site's package, or another one that it needs, depends on them;
    with these also those that only one of them needs, as far as the image has files of them: apt wants all named.
    Nothing when dpkg cannot be asked."""
    ours = f"php{site.php.version}-"
    try:
        known = packages.needs((site.package, f"{ours}*"), layout.root)
    except packages.PackageError:
        return ()
    needed = {name for name in reached(site.package, known) - known.keys() if name.startswith(ours)}
    copies = {name for name in copied(layout, site) - known.keys() if name.startswith(ours)} if needed else set()
    return tuple(sorted(needed | copies))


def copied(layout: Layout, site: Site) -> set[str]:
    """The packages whose files are in the image of a site."""
    profile = site.profile.id
    manifest = image.read_manifest(layout, profile, image.current(layout, profile))
    entries = manifest.entries if manifest else ()
    return {entry.package.partition(":")[0] for entry in entries if entry.package}


def reached(start: str, known: Mapping[str, tuple[str, ...]]) -> set[str]:
    """The packages that one leads to; of alternatives one that is there, else the first."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += (chosen(relation, known) for relation in known.get(name, ()))
    return found


def chosen(relation: str, known: Mapping[str, tuple[str, ...]]) -> str:
    """The package that one relation leads to, by its name alone."""
    names = [named[0] for one in relation.split("|") if (named := NAME.match(one.strip()))]
    return next((name for name in names if name in known), names[0] if names else "")


def words(names: tuple[str, ...]) -> str:
    """What is wrong."""
    return f"no longer installed, though needed: {', '.join(names)}"


def install(names: tuple[str, ...]) -> str:
    """The command that brings them back."""
    return f"apt install {' '.join(names)}"
