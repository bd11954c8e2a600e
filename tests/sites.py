# SPDX-License-Identifier: GPL-2.0-or-later
"""Site descriptions that several kinds of tests start from, and their plans."""

from __future__ import annotations

from pathlib import Path

from fpmjail_deb.contents import File, PackagePlan
from fpmjail_deb.description import read_site
from fpmjail_deb.plan import Build, plan
from fpmjail_deb.release import RELEASES
from fpmjail_deb.site import Site

EXAMPLES = Path(__file__).parents[1] / "examples"
EPOCH = 1767225600
BUILD = Build(EPOCH)
SHORT = "site: shop\nmaintainer: Ann Other <ann@example.org>\ndomains: [shop.example.org]\n"


def shop(more: str = "") -> Site:
    """A site described by as little as possible, and by `more` lines of YAML."""
    return read_site((SHORT + more).encode(), "shop.yaml")


def planned(site: Site, release: str = "trixie") -> PackagePlan:
    """The plan of a site."""
    return plan(site, RELEASES[release], BUILD)


def file(package: PackagePlan, ending: str) -> File:
    """The one file of a package whose path ends like this."""
    (found,) = (entry for entry in package.files if entry.path.endswith(ending))
    return found


def text(package: PackagePlan, ending: str) -> str:
    """The text of the one file whose path ends like this."""
    return file(package, ending).content.decode()


def setting_lines(text: str) -> list[str]:
    """The lines of a configuration file that are no comments, without indentation."""
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and line[0] not in "#;"]


ACCEPTED_TIMES = (
    "daily", "weekly UTC", "Mon", "Mon..Fri", "Mon..Sun", "Sat,Sun 10:00", "02:30", "2:3:4", "*:0/15", "*:*",
    "*:*:*", "*:*:0/2", "0/23:0/59", "06..22/2:30", "*-*-* 02:30", "*-01,07-01", "01..06-01 12:00", "*-*~1",
    "*~28 23:59", "2026..2030-*-01/10", "Mon *-*-1..7 08:00:00", "Mon..Fri,Sun *-*-01,15 06..22/2:30 Europe/Berlin",
    "2040-12-31 23:59:59", "*-02-30", "*-*-31",
)  # fmt: skip
"""Times of jobs that a description may have."""
