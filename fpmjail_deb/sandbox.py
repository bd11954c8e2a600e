# SPDX-License-Identifier: GPL-2.0-or-later
"""The walls around PHP as one list of systemd directives (systemd.exec(5)), for the service and for site.json.

None names a path of the site: whoever runs something else for the site adds those. Understood by systemd 252.
"""

from __future__ import annotations

from collections.abc import Iterator

from fpmjail_deb import apparmor, names, network
from fpmjail_deb.reach import PROC
from fpmjail_deb.site import Isolation, Site

Directive = tuple[str, str]

_WALLS: tuple[Directive, ...] = (
    ("UMask", "0022"),  # 0027 would make uploads unreadable for the web server
    ("MountAPIVFS", "yes"),
    ("CapabilityBoundingSet", ""),
    ("AmbientCapabilities", ""),
    ("NoNewPrivileges", "yes"),
    ("PrivateUsers", "yes"),
    ("PrivateMounts", "yes"),
    ("PrivateDevices", "yes"),
    ("PrivateIPC", "yes"),
    ("RemoveIPC", "yes"),
    ("KeyringMode", "private"),
    ("ProtectSystem", "strict"),
    ("ProtectHome", "yes"),
    ("ProtectClock", "yes"),
    ("ProtectHostname", "yes"),
    ("ProtectKernelTunables", "yes"),
    ("ProtectKernelModules", "yes"),
    ("ProtectKernelLogs", "yes"),
    ("ProtectControlGroups", "yes"),
    ("RestrictNamespaces", "yes"),
    ("RestrictRealtime", "yes"),
    ("RestrictSUIDSGID", "yes"),
    ("LockPersonality", "yes"),
    ("LimitCORE", "0"),
    ("SystemCallArchitectures", "native"),
    ("SystemCallFilter", "@system-service"),
    ("SystemCallFilter", "~@privileged @resources"),
)

_SLOW_LOG: Directive = ("SystemCallFilter", "ptrace process_vm_readv")
"""FPM's master looks into a slow worker; without these calls its slow log kills it (SIGSYS, seen)."""

_ERROR: Directive = ("SystemCallErrorNumber", "EPERM")
"""A forbidden call fails; without it chgrp() in a script would kill the worker (seen)."""


def sandbox(site: Site) -> tuple[Directive, ...]:
    """Return the directives in the order in which systemd must read them: later filters change earlier ones."""
    slow_log = (_SLOW_LOG,) if site.php.pool.slow_log else ()
    return (
        ("Slice", names.slice_unit(site.name)),
        *_WALLS,
        *network.directives(site.jail.network),
        *_limits(site),
        *PROC[site.jail.proc],
        *apparmor.directives(site),
        *slow_log,
        _ERROR,
    )


def _limits(site: Site) -> Iterator[Directive]:
    """The kernel's own limits, which hold where the slice's do not: on hosts without cgroups of version 2.

    LimitNPROC= counts the processes of the site's user; pages of a shared site are no business of this list.
    """
    yield "LimitNOFILE", str(site.php.limits.open_files)
    if site.isolation is Isolation.DEDICATED:
        yield "LimitNPROC", str(site.php.limits.tasks)
