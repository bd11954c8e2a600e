# SPDX-License-Identifier: GPL-2.0-or-later
"""EFFECT: opens what `fpmjail-deb diff` compares: packages that exist, and those that descriptions would make."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from debian.debian_support import Version

from fpmjail_deb import names
from fpmjail_deb.built_packages import Published, built_at, same_content
from fpmjail_deb.contents import Code, PackagePlan
from fpmjail_deb.deb import read_package
from fpmjail_deb.difference import Difference
from fpmjail_deb.errors import BuildError, UsageError, printable
from fpmjail_deb.plan import plan
from fpmjail_deb.release import RELEASES
from fpmjail_deb.site import AUTOMATIC, Site
from fpmjail_deb.site_json import found_in
from fpmjail_deb.versions import automatic

Compared = Mapping[str, PackagePlan | Site]
"""What stands on one side of a comparison, by release: a package, or the description of one."""


@dataclass(frozen=True, slots=True)
class Moment:
    """The time of packaged files and of automatic versions, in seconds since 1970."""

    epoch: int
    now: int


def with_published(
    sites: Iterable[Site],
    releases: Sequence[str],
    published: Mapping[str, Sequence[Published]],
    place: Path,
    moment: Moment,
) -> Iterator[Difference]:
    """Yield what each site's packages change against the last ones in a directory. Raises BuildError."""
    for site in sites:
        package = names.package(site.name)
        for release in (release for release in site.releases if release in releases):
            found = [one for one in published.get(package, ()) if one.release == release]
            last = max(found, key=lambda one: Version(one.version), default=None)
            old = read_package(last.path) if last else None
            new = planned(site, release, old, moment)
            yield Difference(package, release, old, printable(str(last.path if last else place)), new, site.file)


def packages(path: Path, read: Site | None, releases: Sequence[str]) -> Compared:
    """Return what a .deb or a description holds, by release. Raises UsageError for a .deb that cannot be read."""
    if read:
        return {release: read for release in read.releases if release in releases}
    try:
        package = read_package(path)
        release = str(found_in(package).get("release"))
    except BuildError as error:
        raise UsageError(str(error)) from error
    if release not in RELEASES:
        raise UsageError(f"{path} is for {release}, which this fpmjail-deb does not know", "upgrade fpmjail-deb")
    return {release: package}


def of_two(old: Compared, new: Compared, places: tuple[str, str], moment: Moment) -> Iterator[Difference]:
    """Yield the difference for each release that both are for. Raises UsageError if there is nothing to compare."""
    common = [release for release in new if release in old] or _upgrade(old, new, places)
    for release in common:
        one = old.get(release) or next(iter(old.values()))
        before = one if isinstance(one, PackagePlan) else planned(one, release, None, moment)
        other = new[release]
        after = other if isinstance(other, PackagePlan) else planned(other, release, before, moment)
        if before.package != after.package:
            raise UsageError(f"{before.package} and {after.package} are packages of different sites", "choose one site")
        yield Difference(after.package, release, before, places[0], after, places[1])


def _upgrade(old: Compared, new: Compared, places: tuple[str, str]) -> list[str]:
    """Return the release of a package that is compared with one for another release."""
    if all(isinstance(one, PackagePlan) for one in (*old.values(), *new.values())):
        return list(new)
    one, other = (f"{place} for {', '.join(found)}" for place, found in zip(places, (old, new), strict=True))
    raise UsageError(f"there is no release that both are for: {one}, {other}", "see `releases` in the description")


def planned(site: Site, release: str, old: PackagePlan | None, moment: Moment, code: Code | None = None) -> PackagePlan:
    """Return the package that a description makes; `old` is the last one, for a version that is made automatically.

    `code` is the site's code if it was read already.
    """
    facts = RELEASES[release]
    if site.version == AUTOMATIC:
        last = old.version.removesuffix(facts.suffix) if old else None
        unchanged = old and last and same_content(replace(site, version=last), facts, old)
        site = replace(site, version=last if unchanged and last else automatic(last, moment.now))
    return plan(site, facts, built_at(site, moment.epoch, moment.now, code))
