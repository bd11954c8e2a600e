# SPDX-License-Identifier: MIT
"""The walls around everything that runs as a site: its service's own directives, for one command more."""

from __future__ import annotations

from fpmjail.site import Site
from fpmjail.systemd import Answer, in_jail

SHARED_MEMORY = "/dev/shm:size=16M,nr_inodes=4096,mode=1777,nosuid,nodev,noexec"
# bookworm's systemd makes one that all may write, and execute in.
RUN = "/run:size=1M,nr_inodes=1024,mode=0755,nosuid,nodev,noexec"


def directives(site: Site) -> tuple[tuple[str, str], ...]:
    """What systemd-run(1) has to be told so that a command sees exactly what the site's workers see.

    "+" makes a path one below RootDirectory= (systemd.exec(5)).
    """
    writable = " ".join(f"+{path}" for path in site.filesystem.writable)
    return (
        *site.sandbox,
        *((("BindPaths", " ".join(map(str, site.filesystem.bind))),) if site.filesystem.bind else ()),
        *(("BindReadOnlyPaths", f"{source}:{place}") for source, place in site.filesystem.read_only),
        *(("BindReadOnlyPaths", f"-{directory}") for _, directory in site.jail.sockets),
        ("TemporaryFileSystem", RUN),
        ("TemporaryFileSystem", SHARED_MEMORY),
        ("ReadWritePaths", writable),
        ("NoExecPaths", writable),
    )


def run(site: Site, *command: str, timeout: float = 60.0) -> Answer:
    """Run a command inside the jail of a site, as the site's user."""
    return in_jail(site.paths.jail, site.user.name, site.user.group, directives(site), command, timeout)
