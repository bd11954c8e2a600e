# SPDX-License-Identifier: GPL-2.0-or-later
"""EFFECT: finds and opens packages that were built before. Nothing but the packages themselves tells what was built."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fpmjail_deb.contents import Code, PackagePlan
from fpmjail_deb.location import Location
from fpmjail_deb.names import PACKAGE_FILE
from fpmjail_deb.origins import Origins
from fpmjail_deb.plan import Build, plan
from fpmjail_deb.release import RELEASES, Release
from fpmjail_deb.site import Site
from fpmjail_deb.site_code import read_code
from fpmjail_deb.site_json import found_in


@dataclass(frozen=True, slots=True)
class Published:
    """A package that exists; `version` has no suffix of the release."""

    version: str
    release: str
    path: Path


def find(directory: Path, *, deep: bool) -> Iterator[tuple[str, Published]]:
    """Yield the package name of each site's package in a directory, and where it is; `deep` looks below it as well."""
    for place, directories, files in os.walk(directory):
        if not deep:
            directories.clear()
        for file in files:
            yield from _named(file, Path(place))


def by_package(found: Iterable[tuple[str, Published]]) -> Mapping[str, Sequence[Published]]:
    """Return what was found by the name of the package."""
    packages: dict[str, list[Published]] = defaultdict(list)
    for package, published in found:
        packages[package].append(published)
    return packages


def _named(file: str, place: Path) -> Iterator[tuple[str, Published]]:
    match = PACKAGE_FILE.fullmatch(file)
    for release in RELEASES.values():
        if match and match["version"].endswith(release.suffix):
            version = match["version"].removesuffix(release.suffix)
            yield match["package"], Published(version, release.codename, place / file)


def same_content(site: Site, release: Release, package: PackagePlan) -> bool:
    """Whether a package is what the site's would be, at whatever time it was built and from whatever lines.

    The lines that comments name, the program's version and the time are taken from the package, so that a comment more
    in a description, a new release of the program or another day are no change as long as nothing comes of them.
    """
    made = built_as(package)
    return made is not None and plan(site, release, replace(made, code=read_code(site))) == package


def built_at(site: Site, epoch: int, now: int, code: Code | None = None) -> Build:
    """Return how a package is built: with code at `now`, else at `epoch`, in seconds since 1970. Raises BuildError.

    PHP's OPcache and browsers tell another version of a file by its time.
    """
    return Build(now if site.code else epoch, code=read_code(site) if code is None else code)


def built_as(package: PackagePlan) -> Build | None:
    """Return how a package was built, or None if it does not say so."""
    facts = found_in(package)
    try:
        return Build(package.epoch, facts["generator"], Origins(facts["source"], _places(facts["origins"])))
    except (LookupError, TypeError, ValueError, AttributeError):
        return None


def _places(table: Mapping[str, str]) -> tuple[tuple[str, Location], ...]:
    parts = ((key, place.rsplit(":", 2)) for key, place in table.items())
    return tuple((key, Location(file, int(line), int(column))) for key, (file, line, column) in parts)
