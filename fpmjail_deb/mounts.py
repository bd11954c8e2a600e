# SPDX-License-Identifier: GPL-2.0-or-later
"""What systemd mounts into a jail on the host: the image, the server's /usr and a limited /tmp where that is asked for,
and in a shared site's chroot /proc and servers' sockets.

A dedicated site's service has the last two in a mount namespace of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

from fpmjail_deb.names import mount_unit
from fpmjail_deb.reach import SERVER_UNITS_OF, sockets
from fpmjail_deb.rules import in_bytes
from fpmjail_deb.site import Isolation, Libraries, Mounts, Proc, Site

BYTES_PER_FILE = 16384  # as mke2fs(8) reckons
LEAST_FILES = 1024


@dataclass(frozen=True, slots=True)
class Mount:
    """One mount unit. `what` is empty for the image, whose directory only its profile tells.

    `servers` are the units with which a server's directory comes and goes.
    """

    template: str
    where: str
    what: str
    key: str
    servers: tuple[str, ...] = ()

    @property
    def unit(self) -> str:
        """Return the name of the unit."""
        return mount_unit(self.where)


def mounts(site: Site, jail: str) -> tuple[Mount, ...]:
    """Return the mounts in the jail, the image first; none for a site whose service has them all to itself."""
    if site.jail.mounts is Mounts.PRIVATE:
        return ()
    image = Mount("mount", f"{jail}/.image", "", "php.version")
    bound = site.jail.libraries is Libraries.BIND
    usr = (Mount("mount-usr", f"{jail}/usr", "/usr", "jail.libraries"),) if bound else ()
    if site.isolation is Isolation.DEDICATED:
        return (image, *usr, *_temporary(site, jail))
    proc = () if site.jail.proc is Proc.NONE else (Mount("mount-proc", f"{jail}/proc", "proc", "jail.proc"),)
    return (image, *usr, *proc, *_servers(site, jail))


def private(site: Site, image: str) -> tuple[tuple[str, str], ...]:
    """Return what the service binds read-only into its own view of the jail: the image, and the server's /usr."""
    if site.jail.mounts is Mounts.HOST:
        return ()
    bound = site.jail.libraries is Libraries.BIND
    return ((image, "/.image"), *((("/usr", "/usr"),) if bound else ()))


def temporary_inodes(site: Site) -> int:
    """Return how many files and directories a limited /tmp may hold; each takes a kilobyte that its size leaves out."""
    size = site.php.limits.temporary
    return max(LEAST_FILES, in_bytes(size) // BYTES_PER_FILE) if size else 0


def _temporary(site: Site, jail: str) -> tuple[Mount, ...]:
    limited = site.php.limits.temporary is not None
    return (Mount("mount-temporary", f"{jail}/tmp", "tmpfs", "php.limits.temporary"),) if limited else ()


def _servers(site: Site, jail: str) -> tuple[Mount, ...]:
    return tuple(
        Mount("mount-server", f"{jail}{directory}", directory, f"jail.{name}", SERVER_UNITS_OF[name])
        for name, directory in sockets(site).items()
    )
