# SPDX-License-Identifier: GPL-2.0-or-later
"""What a jail can reach and see beside its own files: database servers, host names, /proc."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from fpmjail_deb import mail
from fpmjail_deb.site import Proc, ServerSocket, Site

DIRECTORIES: Mapping[str, str] = MappingProxyType(
    {"mysql": "/run/mysqld", "postgresql": "/run/postgresql", "redis": "/run/redis"}
)
"""Where Debian's packages put each server's socket. Never the socket itself: each start of the server makes one."""

SERVER_UNITS_OF: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "mysql": ("mariadb.service", "mysql.service"),
        "postgresql": ("postgresql.service",),
        "redis": ("redis-server.service",),
    }
)
SERVER_UNITS = tuple(unit for units in SERVER_UNITS_OF.values() for unit in units)
"""Whoever starts with one of these starts after it, so that its directory is there."""

PROC: Mapping[Proc, tuple[tuple[str, str], ...]] = MappingProxyType(
    {
        Proc.NONE: (("ProtectProc", "invisible"), ("ProcSubset", "pid")),
        Proc.PRIVATE: (("ProtectProc", "invisible"), ("ProcSubset", "all")),
        Proc.HOST: (("ProtectProc", "default"), ("ProcSubset", "all")),
    }
)
"""What the jail sees of /proc, in systemd's words, systemd.exec(5)."""


def sockets(site: Site) -> dict[str, str]:
    """Return the directory of each server's socket that the site has, by the server's name."""
    chosen = {"mysql": site.jail.mysql, "postgresql": site.jail.postgresql, "redis": site.jail.redis}
    return {name: DIRECTORIES[name] for name, choice in chosen.items() if choice is ServerSocket.SOCKET}


def reach(site: Site) -> dict[str, object]:
    """Return the group `jail` of site.json."""
    choices = {"dns": site.jail.dns, "proc": site.jail.proc, "shell": site.jail.shell}
    words = {name: choice.value for name, choice in choices.items()}
    return {**words, "mail": mail.described(site), "sockets": sockets(site)}
