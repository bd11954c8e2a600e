# SPDX-License-Identifier: GPL-2.0-or-later
"""Every name that a site NAME brings with it: package, user, units, paths. Pure functions.

`site-NAME-jail` names package, units, pool and virtual host alike, so that one word finds all of a site.
"""

from __future__ import annotations

import re

LONGEST_USER = 31  # useradd(8) allows 32; utmp shows 31

SITE_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,24}")
USER_NAME = re.compile(r"_[a-z0-9][a-z0-9-]{0,29}")
PACKAGE_FILE = re.compile(rf"(?P<package>site-{SITE_NAME.pattern}-jail)_(?P<version>[0-9A-Za-z.+~]+)_all\.deb")
JOB_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,29}")

DEBIAN_USERS = frozenset({"_apt", "_chrony", "_flatpak", "_lldpd", "_rpc", "_ssh"})
"""Accounts of Debian's own packages that would pass for a site's."""

FOREIGN_SITES = {"html": "/var/www/html is the web server's own"}
"""Names whose base directory belongs to somebody else, each with the reason."""

_UNESCAPED = frozenset("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ:_.")


def package(name: str) -> str:
    """Return the name of the site's package, which pool and virtual host share."""
    return f"site-{name}-jail"


def user(name: str) -> str:
    """Return the site's user and group unless its description names another."""
    return f"_site-{name}"


def base_directory(name: str) -> str:
    """Return the directory of the site's data: root's, never deleted."""
    return f"/var/www/{name}"


def log_directory(name: str) -> str:
    """Return the directory of PHP's error log and slow log."""
    return f"/var/log/fpmjail/{name}"


def jail_directory(name: str) -> str:
    """Return the root directory of the site's jail."""
    return f"/var/lib/fpmjail/jails/{name}"


def chroot_directory(name: str) -> str:
    """Return the root directory of a shared site's PHP: around the site's data, at the same path again."""
    return f"/var/www/{name}"


def php_service(version: str) -> str:
    """Return the unit of Debian's PHP-FPM."""
    return f"php{version}-fpm.service"


def socket_path(name: str) -> str:
    """Return the socket on which PHP answers the web server."""
    return f"/run/fpmjail/{name}.sock"


def service_unit(name: str) -> str:
    """Return the unit of the site's PHP-FPM."""
    return f"{package(name)}.service"


def standby_unit(name: str) -> str:
    """Return the template of the units that serve while the site's PHP-FPM is replaced."""
    return f"{package(name)}-standby@.service"


def socket_unit(name: str) -> str:
    """Return the unit that holds the site's socket."""
    return f"{package(name)}.socket"


def certificate_unit(name: str) -> str:
    """Return the path unit that waits for the site's certificate."""
    return f"{package(name)}-certificate.path"


def cron_unit(name: str, job: str, kind: str) -> str:
    """Return the unit of one of the site's jobs; `kind` is timer or service."""
    return f"{package(name)}-cron-{job}.{kind}"


def mount_unit(path: str) -> str:
    """Return the unit that mounts something at a path; the path must make its name, systemd.mount(5)."""
    return f"{unit_path_escape(path)}.mount"


def slice_unit(name: str) -> str:
    """Return the slice of the site's processes, a child of fpmjail.slice: an unescaped dash would nest deeper."""
    return f"fpmjail-{unit_escape(name)}.slice"


def unit_escape(text: str) -> str:
    """Return text as part of a unit name, like `systemd-escape TEXT`."""
    return "".join(
        "-" if byte == "/" else byte if byte in _UNESCAPED and (index or byte != ".") else f"\\x{ord(byte):02x}"
        for index, byte in enumerate(text.encode().decode("latin-1"))
    )


def unit_path_escape(path: str) -> str:
    """Return a path as part of a unit name, like `systemd-escape --path PATH`; "/" becomes "-".

    Raises ValueError for a path with a ".." in it, as systemd-escape does.
    """
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise ValueError(f'a unit cannot be named after {path!r}: it has a ".." in it')
    return unit_escape("/".join(parts)) or "-"
