# SPDX-License-Identifier: GPL-2.0-or-later
"""What an image must hold: sites with the same profile share one image on the server."""

from __future__ import annotations

import hashlib
import json

from fpmjail_deb.capabilities import capabilities
from fpmjail_deb.release import Release
from fpmjail_deb.site import Site

LENGTH = 12


def php_version(site: Site, release: Release) -> str:
    """Return the PHP version that the site runs on this release."""
    return site.php.version or release.php


def profile(site: Site, release: Release) -> dict[str, object]:
    """Return the profile as it stands in site.json; its id is a digest of all the rest."""
    content: dict[str, object] = {
        "php": php_version(site, release),
        "capabilities": list(capabilities(site)),
        "charsets": sorted(set(site.jail.charsets)),
        "locales": sorted(set(site.jail.locales)),
        "programs": sorted(program.path for program in site.jail.programs),
        "libraries": site.jail.libraries.value,
        "timezones": [] if site.jail.timezones is None else sorted({"UTC", *site.jail.timezones}),
    }
    files = {program.path: sorted(program.files) for program in site.jail.programs if program.files}
    if files:  # a profile without any keeps its id
        content["program_files"] = dict(sorted(files.items()))
    return {"id": profile_id(content), **content}


def profile_id(content: dict[str, object]) -> str:
    """Return the first 12 hex digits of SHA-256 over the canonical JSON of a profile without its id."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:LENGTH]
