# SPDX-License-Identifier: GPL-2.0-or-later
"""The second wall of a dedicated site, on servers with AppArmor: a profile of what its processes may do.

Its file is a conffile of /etc/apparmor.d, where AppArmor's own service loads it at boot, before any site starts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fpmjail_deb import names
from fpmjail_deb.reach import sockets
from fpmjail_deb.release import Release
from fpmjail_deb.site import AppArmor, Isolation, Libraries, Site

DIRECTORY = "etc/apparmor.d"


@dataclass(frozen=True, slots=True)
class Profile:
    """What the template needs: `copies` hold programs and libraries, `sockets` are directories of servers, each with
    the key that asks for it."""

    name: str
    abi: str
    flags: str
    copies: tuple[str, ...]
    sockets: tuple[tuple[str, str], ...]
    traces: bool


def confined(site: Site) -> bool:
    """Return whether the site has a profile. A shared site's processes are Debian's master's, and stay with that."""
    return site.isolation is Isolation.DEDICATED and site.jail.apparmor is not AppArmor.OFF


def directives(site: Site) -> tuple[tuple[str, str], ...]:
    """Return what puts the profile in force. "-": the site starts without it where AppArmor is off, or refused it."""
    return (("AppArmorProfile", f"-{names.package(site.name)}"),) if confined(site) else ()


def profile(site: Site, release: Release) -> Profile:
    """Return the site's profile for a release."""
    complain = site.jail.apparmor is AppArmor.COMPLAIN
    bound = site.jail.libraries is Libraries.BIND
    return Profile(
        name=names.package(site.name),
        abi=release.apparmor,
        flags="attach_disconnected, complain" if complain else "attach_disconnected",
        copies=("/.image", "/usr") if bound else ("/.image",),
        sockets=tuple((f"jail.{server}", directory) for server, directory in sockets(site).items()),
        traces=site.php.pool.slow_log > 0,
    )


def files(site: Site) -> Mapping[str, str]:
    """Return the profile's template by its path in the package."""
    return {f"{DIRECTORY}/{names.package(site.name)}": "apparmor"} if confined(site) else {}
