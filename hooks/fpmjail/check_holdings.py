# SPDX-License-Identifier: MIT
"""Judges what probes cannot see: dictionaries that nobody installed, what of the server a jail with its /usr shows."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from fpmjail import holdings, image
from fpmjail.finding import CHOSEN, Finding, declared, good, origin, warning
from fpmjail.layout import Layout
from fpmjail.site import BIND, Site

PROGRAMS = ("bin", "sbin", "games", "local/bin", "local/sbin")
SPELLERS = {"enchant": ("hunspell", "hunspell-LANGUAGE"), "pspell": ("aspell", "aspell-LANGUAGE")}


@dataclass(frozen=True, slots=True)
class Visible:
    """What a directory like /usr has: programs, and files that would lend their owner's rights elsewhere."""

    programs: int
    lending: tuple[str, ...]


def check(layout: Layout, site: Site) -> tuple[Finding, ...]:
    """Look at what the site declared and judge it."""
    current = image.current(layout, site.profile.id) or "none"
    told = holdings.told(layout, site.profile, current)
    found = judge_dictionaries(site, told.get("spelling"))
    return (*found, judge_visible(site, visible(layout.host("/usr")))) if site.profile.libraries == BIND else found


def judge_dictionaries(site: Site, told: holdings.Arguments | None) -> tuple[Finding, ...]:
    """Which languages can be spelled is the administrator's choice; none at all is worth a word."""
    if told is None:
        return ()
    lacking = [SPELLERS[name] for name in SPELLERS if name in site.php.extensions and not told[SPELLERS[name][0]]]
    if not lacking:
        languages = {str(language) for found in told.values() if isinstance(found, list) for language in found}
        return (good("capability", "dictionaries", ", ".join(sorted(languages)) or "no speller was asked for"),)
    seen = f"this server has no dictionary for {' and '.join(name for name, _ in lacking)}"
    fix = f"apt install {' '.join(package for _, package in lacking)}"
    return (replace(warning("capability", "dictionaries", seen, fix), origin=declared(site, CHOSEN)),)


def judge_visible(site: Site, seen: Visible) -> Finding:
    """`libraries: bind` shows the site much; what could do harm is inert there."""
    inert = f", {len(seen.lending)} of them set-uid or set-gid, which counts for nothing there" if seen.lending else ""
    words = f"the site can run the {seen.programs} programs of this server{inert}"
    return replace(good("files", "/usr", words), origin=origin(site, "jail.libraries"))


@cache
def visible(usr: Path) -> Visible:
    """Count once what all sites see."""
    programs = sum(1 for name in PROGRAMS for _ in _files(usr / name))
    lending = tuple(sorted(path for path, mode in _files(usr) if mode & (stat.S_ISUID | stat.S_ISGID)))
    return Visible(programs, lending)


def _files(directory: Path) -> Iterator[tuple[str, int]]:
    """Every regular file at any depth with its mode."""
    for place, _, names in os.walk(directory):
        for name in names:
            path = f"{place}/{name}"
            status = os.lstat(path)
            if stat.S_ISREG(status.st_mode):
                yield path, status.st_mode
