# SPDX-License-Identifier: GPL-2.0-or-later
"""EFFECT: what dh_fpmjail(1) does for one package: the plan of its site goes into the package's directory.

Changelog, copyright, control file and sums are debhelper's own work.
Of a tree by `fpmjail-deb source` the result is the package of `build`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from email.utils import parsedate_to_datetime
from pathlib import Path

from debian.changelog import Changelog, ChangelogParseError

from fpmjail_deb import names, references
from fpmjail_deb.contents import Directory, PackagePlan
from fpmjail_deb.description import read_site
from fpmjail_deb.errors import BuildError, DescriptionError
from fpmjail_deb.metadata import conffiles, triggers
from fpmjail_deb.plan import Build, plan
from fpmjail_deb.release import RELEASES, Release
from fpmjail_deb.site import AUTOMATIC, Site
from fpmjail_deb.site_code import read_code
from fpmjail_deb.tree import put_entry, put_file

OWN_WORK = ("changelog.gz", "copyright")
"""What dh_installchangelogs and dh_installdocs install below usr/share/doc."""


def main(arguments: Sequence[str]) -> int:
    """Stage a site: description, package, its directory, its file of substitution variables. 0 good, 1 failed."""
    description, package, directory, variables = arguments
    try:
        stage_site(Path(description), package, Path(directory), Path(variables))
    except DescriptionError as error:
        print(*references.told(error.problems), sep="\n", file=sys.stderr)
        return 1
    except (BuildError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def stage_site(description: Path, package: str, directory: Path, variables: Path) -> None:
    """Write a site's files and scripts below the package's directory. Raises BuildError, DescriptionError, OSError."""
    site = read_site(description.read_bytes(), str(description))
    if names.package(site.name) != package:
        message = f"{description}: the package of the site {site.name} is {names.package(site.name)}, not {package}"
        raise BuildError(message, "give it that name in debian/control")
    changelog = _changelog(Path("debian/changelog"))
    release = _release(changelog, site)
    made = plan(_with_version(site, changelog, release), release, Build(_epoch(changelog), code=read_code(site)))
    _put(made, directory)
    _put_control(made, directory / "DEBIAN")
    _put_variable(variables, dict(made.control)["Depends"])


def _changelog(path: Path) -> Changelog:
    try:
        return Changelog(path.read_text(encoding="utf-8"), max_blocks=1, strict=True)
    except ChangelogParseError as error:
        raise BuildError(f"{path}: {error}", "dch(1) writes it") from error


def _release(changelog: Changelog, site: Site) -> Release:
    """Return the release that the changelog is for; for `unstable` and its kin the one that builds."""
    wanted = str(changelog.distributions)
    name = wanted if wanted in RELEASES else _own_release()
    if name not in site.releases:
        message = f"debian/changelog is for {wanted}, this is {name}: the site is for {', '.join(site.releases)}"
        raise BuildError(message, "name a release of the site in debian/changelog")
    return RELEASES[name]


def _own_release() -> str:
    lines = Path("/etc/os-release").read_text().splitlines()
    return dict(line.partition("=")[::2] for line in lines).get("VERSION_CODENAME", "").strip('"')


def _with_version(site: Site, changelog: Changelog, release: Release) -> Site:
    version = str(changelog.full_version).removesuffix(release.suffix)
    given = dict(site.origins).get("version")
    if given and site.version not in (AUTOMATIC, version):
        message = f"{given}: version: found {site.version}, but debian/changelog says {version}"
        raise BuildError(message, "leave it out of the description: the changelog counts")
    return replace(site, version=version)


def _epoch(changelog: Changelog) -> int:
    """Return the time of all files, in seconds since 1970, as dpkg-buildpackage exports it."""
    date = parsedate_to_datetime(str(changelog.date))
    return int(os.environ.get("SOURCE_DATE_EPOCH") or date.timestamp())


def _put(made: PackagePlan, directory: Path) -> None:
    own = {f"usr/share/doc/{made.package}/{name}" for name in OWN_WORK}
    for entry in made.entries:
        if entry.path in own:
            continue
        if not isinstance(entry, Directory) and os.path.lexists(directory / entry.path):
            raise BuildError(f"{directory / entry.path} is there already", "the jail's files have their own names")
        put_entry(entry, directory)


def _put_control(made: PackagePlan, control: Path) -> None:
    control.mkdir(exist_ok=True)
    for name, text in made.scripts:
        if (control / name).exists():
            message = f"{made.package} has a {name} already, which debian/{name} or another command of debhelper made"
            raise BuildError(message, "the jail's package has its own: put the rest into another package")
        put_file(control / name, text.encode(), 0o755)
    for name, text in (("conffiles", conffiles(made)), ("triggers", triggers(made))):
        _add_lines(control / name, text)


def _add_lines(path: Path, text: str) -> None:
    there = path.read_text() if path.exists() else ""
    new = "".join(line for line in text.splitlines(keepends=True) if line not in there.splitlines(keepends=True))
    if new:
        put_file(path, (there + new).encode(), 0o644)


def _put_variable(path: Path, depends: str) -> None:
    lines = path.read_text().splitlines() if path.exists() else []
    kept = [line for line in lines if not line.startswith("fpmjail:Depends=")]
    path.write_text("\n".join([*kept, f"fpmjail:Depends={depends}"]) + "\n")
