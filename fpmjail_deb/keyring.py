# SPDX-License-Identifier: GPL-2.0-or-later
"""The package that enrols a server: the repository's key, its source, and leave for unattended-upgrades. Pure."""

from __future__ import annotations

from dataclasses import replace

from fpmjail_deb import metadata
from fpmjail_deb.contents import File, PackagePlan, with_parents
from fpmjail_deb.release import RELEASES, Release
from fpmjail_deb.render import render
from fpmjail_deb.repository import Settings

SOURCE = """\
# {origin}: the packages of its websites. The server is enrolled as long as this file is here.
Types: deb
URIs: {url}
Suites: {release}
Components: main
Signed-By: /{key}
"""

UNATTENDED = """\
// unattended-upgrades takes what {origin} publishes, as it takes Debian's security updates.
// The list is appended to that of 50unattended-upgrades.
Unattended-Upgrade::Origins-Pattern {{
	"origin={origin},codename=${{distro_codename}}";
}};
"""

OVERRIDE = """\
# To enrol a server is what this package is for; who installs it asks for nothing else.
{package}: package-installs-apt-sources
"""


def plan(settings: Settings, release: Release, key: bytes, version: str, epoch: int) -> PackagePlan:
    """Return the keyring package of a release; `key` is the public one, `epoch` in seconds since 1970."""
    name = settings.keyring
    file = f"usr/share/keyrings/{name}.asc"
    url = settings.source(release.codename)
    values = {"origin": settings.origin, "url": url, "release": release.codename, "key": file, "package": name}
    log = metadata.changelog(
        name, f"{version}{release.suffix}", release.codename, settings.maintainer, f"Made for {settings.url}.", epoch
    )
    files = (
        File(file, key),
        _text(f"etc/apt/sources.list.d/{settings.origin.lower()}.sources", SOURCE.format(**values)),
        _text(f"etc/apt/apt.conf.d/52unattended-upgrades-{settings.origin.lower()}", UNATTENDED.format(**values)),
        _text(f"usr/share/doc/{name}/copyright", render("keyring-copyright", {"package": name})),
        _text(f"usr/share/lintian/overrides/{name}", OVERRIDE.format(**values)),
        File(f"usr/share/doc/{name}/changelog.gz", log),
    )
    control = _control(settings, name, f"{version}{release.suffix}")
    return PackagePlan(control=control, entries=with_parents(files), scripts=(), epoch=epoch)


def _text(path: str, text: str) -> File:
    return File(path, text.encode(), conffile=path.startswith("etc/"))


def _control(settings: Settings, name: str, version: str) -> tuple[tuple[str, str], ...]:
    about = (
        f"It brings the key that signs the packages of {settings.origin}, tells apt of {settings.url}, and lets "
        "unattended-upgrades take them: a server is enrolled by installing this package.",
    )
    return (
        ("Package", name),
        ("Version", version),
        ("Architecture", "all"),
        ("Maintainer", settings.maintainer),
        ("Recommends", "ca-certificates, unattended-upgrades"),
        ("Section", "misc"),
        ("Priority", "optional"),
        ("Description", metadata.extended_description(f"key and apt source of {settings.origin}", about)),
    )


def same(package: PackagePlan, settings: Settings, key: bytes) -> bool:
    """Whether a keyring package is what would be made now under its version."""
    for release in RELEASES.values():
        if package.version.endswith(release.suffix):
            made = plan(settings, release, key, package.version.removesuffix(release.suffix), package.epoch)
            return replace(made, triggers=package.triggers) == package
    return False
