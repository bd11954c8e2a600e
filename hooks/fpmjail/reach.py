# SPDX-License-Identifier: MIT
"""What a site reaches outside of its image: the sockets of database servers, host names.

A service gets a server's socket DIRECTORY into its namespace when it starts. The server's own restart makes a new
socket in the same directory, which is seen at once; but a directory that came after the service started, or was
deleted and made again, is another one, and then a new master takes over, while the old one ends its requests.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from fpmjail import facts, handover, systemd
from fpmjail.host import Host
from fpmjail.layout import Layout
from fpmjail.site import SERVER_DIRECTORIES, Site

PATIENCE = 3.0  # seconds to connect
RESOLVER = "/etc/resolv.conf"
NO_NAMES = "127.0.0.1 localhost\n::1 localhost\n"
FILES_ONLY = "hosts: files\n"
# Without resolv.conf glibc asks 127.0.0.1, so that a name server there would answer after all.
HIDDEN: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "resolver": frozenset(),
        "hosts": frozenset({"resolv.conf", "nsswitch.conf"}),
        "none": frozenset({"resolv.conf", "nsswitch.conf", "hosts"}),
    }
)


@dataclass(frozen=True, slots=True)
class Server:
    """How Debian names a server: `sockets` is a pattern in its directory, `access` says who may connect."""

    package: str
    unit: str
    sockets: str
    access: str


SERVERS: Mapping[str, Server] = MappingProxyType(
    {
        "mysql": Server("mariadb-server", "mariadb", "mysqld.sock", "chmod 0777 the socket, as MariaDB makes it"),
        "postgresql": Server(
            "postgresql", "postgresql", ".s.PGSQL.[0-9]*", "unix_socket_permissions = 0777 in postgresql.conf"
        ),
        "redis": Server(
            "redis-server", "redis-server", "*.sock",
            "unixsocket /run/redis/redis-server.sock and unixsocketperm 777, with a password, in redis.conf",
        ),
    }
)  # fmt: skip


def own_files(dns: str) -> dict[str, str]:
    """The files of /etc by name that a jail has for itself instead of the image's, for this choice of `jail.dns`."""
    switch = {"nsswitch.conf": FILES_ONLY} if dns != "resolver" else {}
    return switch | ({"hosts": NO_NAMES} if dns == "none" else {})


def sockets(layout: Layout, name: str) -> tuple[str, ...]:
    """The sockets of a server that are there now."""
    directory = layout.host(str(SERVER_DIRECTORIES[name]))
    return tuple(sorted(str(path) for path in directory.glob(SERVERS[name].sockets) if path.is_socket()))


def listening(paths: Iterable[str]) -> bool:
    """Whether somebody accepts connections on one of these sockets."""
    return any(_accepts(path) for path in paths)


def _accepts(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as client:
        client.settimeout(PATIENCE)
        try:
            client.connect(path)
        except OSError:
            return False
        return True


def estranged(site: Site, pid: int) -> tuple[Path, ...]:
    """The server directories of this host that the site's master does not see, or sees a deleted one of.

    Below /proc/PID/root nothing but root's own directories stands on the way.
    """
    return tuple(directory for _, directory in site.jail.sockets if _differs(directory, pid))


def _differs(directory: Path, pid: int) -> bool:
    outside = facts.identity(directory)
    return outside is not None and facts.identity(Path(f"/proc/{pid}/root{directory}")) != outside


def heal(layout: Layout, sites: Iterable[Site], say: Callable[[str], None]) -> None:
    """Renew the PHP of running sites for whom a server arrived, or came back as another directory."""
    for site in sites:
        if site.shared:
            from fpmjail import shared

            if systemd.running():
                shared.heal(site, say)
            continue
        pid = handover.look(layout, site).serving if systemd.running() else 0
        lost = estranged(site, pid) if pid else ()
        if lost:
            from fpmjail import masters

            fault = masters.renew(layout, site)
            say(f"{site.name}: {fault or 'renewed'}, to see {', '.join(map(str, lost))}")


def resolver_fault(layout: Layout) -> str:
    """Why the jails cannot follow the host's resolv.conf, or an empty string; one that is missing is no fault."""
    found = Host(layout.root).resolve(RESOLVER)
    if found.is_file or (found.status is None and not found.links):
        return ""
    return f"{RESOLVER} leads to {found.path}, which is no file"
