# SPDX-License-Identifier: MIT
"""A check of several sites: gathered once, then shown as tables, as JSON, or to monitoring."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from fpmjail import checked, holds, image, leftovers, outside, status, waking
from fpmjail import site as sites
from fpmjail.finding import Finding, Level
from fpmjail.layout import Layout
from fpmjail.site import Site

SERVER = "(server)"  # no site can have this name


class UnknownSite(Exception):
    """No site of this name is installed."""


@dataclass(frozen=True, slots=True)
class Copies:
    """The generation that a site uses; `built` in seconds since 1970, None when there is none."""

    profile: str
    built: float | None
    fresh: bool
    held: bool


@dataclass(frozen=True, slots=True)
class Checked:
    """One site, or with the name `SERVER` what belongs to none; `seconds` is how long the look took."""

    name: str
    findings: tuple[Finding, ...]
    seconds: float
    copies: Copies | None = None

    def count(self, level: Level) -> int:
        """How many findings have this level."""
        return sum(finding.level is level for finding in self.findings)


@dataclass(frozen=True, slots=True)
class Report:
    """A whole check: `problems` are sites whose site.json cannot be read; `when` it was made and the images were last
    compared with the server (`refreshed`, None for never) in seconds since 1970.
    """

    checked: tuple[Checked, ...]
    problems: tuple[str, ...]
    when: float
    refreshed: float | None = None

    def count(self, level: Level) -> int:
        """How many findings have this level, over all."""
        return sum(one.count(level) for one in self.checked)

    @property
    def level(self) -> Level:
        """The worst of it."""
        if self.problems or self.count(Level.BAD):
            return Level.BAD
        return Level.WARNING if self.count(Level.WARNING) else Level.GOOD


def gather(layout: Layout, names: Collection[str], *, all_sites: bool, compare: bool) -> Report:
    """Check the named sites, or all that are switched on, and then what belongs to none.

    `compare` asks the host's own PHP as well. Raises UnknownSite.
    """
    found, errors = sites.installed(layout)
    unknown = sorted(set(names) - {site.name for site in found} - {error.site for error in errors})
    if unknown:
        raise UnknownSite(f"no such site: {', '.join(unknown)}; see: fpmjail status")
    wanted = [site for site in found if site.name in names or (all_sites and status.is_on(layout, site))]
    wanted.sort(key=lambda site: site.profile.id)  # so that each image is read once
    problems = tuple(str(error) for error in errors if all_sites or error.site in names)
    seen = tuple(look(layout, wanted, compare))
    whole = (*seen, server(layout, found)) if all_sites else seen
    return Report(whole, problems, time.time(), refreshed(layout))


def refreshed(layout: Layout) -> float | None:
    """When the last refresh ended."""
    try:
        return layout.status_file.stat().st_mtime
    except OSError:
        return None


def look(layout: Layout, wanted: Sequence[Site], compare: bool) -> Iterator[Checked]:
    """Check sites one after another, all against the same PHP outside."""
    with outside.host(layout) if compare else nullcontext() as host:
        for turn in waking.in_turns(layout, wanted):
            yield from [check_site(layout, site, host) for site in turn]


def check_site(layout: Layout, site: Site, host: outside.Host | None) -> Checked:
    """Everything about one site; what was found is remembered for `fpmjail status`."""
    started = time.monotonic()
    findings = status.check_site(layout, site, host)
    checked.remember(layout, site.name, findings)
    return Checked(site.name, findings, time.monotonic() - started, copies(layout, site))


def server(layout: Layout, found: Collection[Site]) -> Checked:
    """What belongs to no site."""
    started = time.monotonic()
    findings = leftovers.check(layout, found)
    return Checked(SERVER, findings, time.monotonic() - started)


def copies(layout: Layout, site: Site) -> Copies:
    """The generation that a site uses."""
    current = image.current(layout, site.profile.id)
    manifest = image.read_manifest(layout, site.profile.id, current)
    fresh = current is not None and image.unchanged(layout, site.profile.id)
    built = moment(manifest.created) if manifest else None
    return Copies(site.profile.id, built, fresh, holds.read(layout, site.profile.id) is not None)


def moment(text: str) -> float | None:
    """A time in ISO form as seconds since 1970."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None


def as_json(report: Report) -> dict[str, Any]:
    """The findings by the names of the sites."""
    return {one.name: [asdict(finding) for finding in one.findings] for one in report.checked}
