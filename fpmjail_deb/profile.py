# SPDX-License-Identifier: GPL-2.0-or-later
"""What an image must hold: sites with the same profile share one image on the server."""

from __future__ import annotations

import hashlib
import json

from fpmjail_deb.release import Release
from fpmjail_deb.site import Shell, Site

CAPABILITIES = (
    "charsets", "dns", "locale-c", "php", "services", "sessions", "temporary-files", "timezones", "tls", "uploads",
)  # fmt: skip
"""What every dedicated jail can do. What a jail reaches outside of its image is no part of the profile."""

SHELLS = {Shell.NONE: (), Shell.RESTRICTED: ("restricted-shell",), Shell.SH: ("shell",)}

LENGTH = 12


def php_version(site: Site, release: Release) -> str:
    """Return the PHP version that the site runs on this release."""
    return site.php.version or release.php


def profile(site: Site, release: Release) -> dict[str, object]:
    """Return the profile as it stands in site.json; its id is a digest of all the rest."""
    content: dict[str, object] = {
        "php": php_version(site, release),
        "capabilities": capabilities(site),
        "charsets": sorted(set(site.jail.charsets)),
        "locales": sorted(set(site.jail.locales)),
        "programs": [],
        "libraries": "image",
        "timezones": [] if site.jail.timezones is None else sorted({"UTC", *site.jail.timezones}),
    }
    return {"id": profile_id(content), **content}


def capabilities(site: Site) -> list[str]:
    """Return all that the jail of a site can do by what is in its image, sorted."""
    locales = ("locales",) if site.jail.locales else ()
    return sorted({*CAPABILITIES, *locales, *SHELLS[site.jail.shell]})


def profile_id(content: dict[str, object]) -> str:
    """Return the first 12 hex digits of SHA-256 over the canonical JSON of a profile without its id."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:LENGTH]
