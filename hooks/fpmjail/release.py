# SPDX-License-Identifier: MIT
"""Which release of Debian this server has, and whether a site's package was made for it."""

from __future__ import annotations

import re

from fpmjail import packages
from fpmjail.layout import Layout
from fpmjail.site import Site

CODENAME = re.compile(r"^VERSION_CODENAME=[\"']?([a-z]+)[\"']?$", re.MULTILINE)


def codename(layout: Layout) -> str:
    """The codename in os-release(5), empty when it says none (testing and unstable do not, nor does a damaged one)."""
    try:
        text = layout.host("/etc/os-release").read_text(errors="replace")
    except OSError:
        return ""
    found = CODENAME.search(text)
    return found[1] if found else ""


def stranger(layout: Layout, site: Site) -> str | None:
    """What to do about a site whose package is for another release of Debian than this server has, or None."""
    here = codename(layout)
    if here in ("", site.release):
        return None
    return (
        f"version {site.version} is for Debian {site.release}, this server has {here}: "
        f"put the version for {here} into your repository (fpmjail-deb build makes it), then: {install(site)}"
    )


def way_back(layout: Layout, site: Site) -> str:
    """What is left of a site whose package goes, and how it comes back."""
    again = f"fpmjail configure {site.name}" if packages.installed(site.package, layout.root) else install(site)
    return f"its data stays in {site.paths.base}; to have it back: {stranger(layout, site) or again}"


def finish(layout: Layout, site: Site) -> str:
    """The command that configures a site of which nothing is known: an installation that failed is dpkg's to finish,
    a site that was taken out by hand is not."""
    if packages.installed(site.package, layout.root):
        return f"fpmjail configure {site.name}"
    return f"dpkg --configure {site.package}"


def install(site: Site) -> str:
    """The command that brings a site, or its newest version."""
    return f"apt install {site.package}"
