# SPDX-License-Identifier: MIT
"""Asks the same probes of the host's own PHP, outside of every jail: is it the jail that is at fault, or the server?

One FPM for each version of PHP, for the length of a check: a transient unit that sees the host as it is, as a user that
has nothing else to do. It is never the site's user: outside of its jail a process of the same uid would be a way out,
by /proc/PID/root. It runs nothing but the probes, which are root's, and only root can ask it: the socket lies in root's
own directory, with mode 0600. (DynamicUser= would do as well, but touches /etc, and that is watched.)
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from fpmjail import files, probe, prove, systemd
from fpmjail.layout import Layout
from fpmjail.probe import Expectation, Result
from fpmjail.prove import PRIVATE, Scratch
from fpmjail.site import Site

USER = "_fpmjail-host"
PREFIX = "outside-"
LONGEST = 600  # seconds; more than any check takes, so what a killed one left ends by itself
FORGOTTEN = 3600  # seconds after which a directory is nobody's any more


def confinement(scratch: Scratch) -> tuple[tuple[str, str], ...]:
    """The directives of the transient service: no rights and no traces, but no wall between it and the host."""
    return (
        ("Type", "notify"),
        ("User", USER),
        ("Group", USER),
        ("NoNewPrivileges", "yes"),
        ("ProtectSystem", "strict"),
        ("ProtectHome", "read-only"),
        ("RestrictSUIDSGID", "yes"),
        ("RemoveIPC", "yes"),
        ("CapabilityBoundingSet", ""),
        ("TemporaryFileSystem", f"/tmp:{PRIVATE}"),
        ("TemporaryFileSystem", f"/var/lib/php/sessions:{PRIVATE}"),
        ("Environment", f"FPM_SOCKETS={scratch.socket}=3"),
        ("StandardOutput", "null"),
        ("StandardError", f"truncate:{scratch.log}"),
        ("TimeoutStartSec", f"{prove.PATIENCE:g}"),
        ("TimeoutStopSec", "5"),
        ("RuntimeMaxSec", str(LONGEST)),
    )


def command(scratch: Scratch, version: str) -> list[str]:
    """The systemd-run(1) call that makes the socket and the service behind it."""
    service = [f"--property={name}={value}" for name, value in confinement(scratch)]
    socket = [
        f"--socket-property={pair}"
        for pair in (f"ListenStream={scratch.socket}", "SocketMode=0600", "RemoveOnStop=yes")
    ]
    names = [f"--unit={scratch.unit}", "--description=The server's own PHP, asked by fpmjail's probes"]
    program = f"/usr/sbin/php-fpm{version}"
    php = [program, "--nodaemonize", "--force-stderr", "--fpm-config", str(configuration(scratch))]
    return ["systemd-run", "--quiet", *names, *socket, *service, "--", *php]


def configuration(scratch: Scratch) -> Path:
    """Where FPM's configuration lies."""
    return scratch.root / "fpm.conf"


def start(scratch: Scratch, version: str) -> bool:
    """Start the host's PHP of this version; False where that does not work: then nothing is known of it."""
    with suppress(OSError, files.UnsafePath):
        files.make_directory(scratch.root, 0, 0, 0o755)
        files.replace_file(configuration(scratch), prove.pool(scratch.socket).encode())
        return not prove.start(scratch, command(scratch, version))
    return False


class Host:
    """The host's PHP as the probes see it; each version is started when it is first asked for."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._running: dict[str, Scratch | None] = {}
        self._known: dict[tuple[str, str, str], Result] = {}

    def ask(self, site: Site, name: str, expected: Expectation) -> Result | None:
        """What a probe finds when it is asked for as for this site; None where the host's PHP cannot be run."""
        told = probe.arguments(name, replace(expected, generation=""))
        key = site.php.version, name, json.dumps(told, sort_keys=True)
        if key not in self._known:
            scratch = self._started(site.php.version)
            if scratch is None:
                return None
            self._known[key] = probe.ask(scratch.socket, name, told, probe.patience(name, expected))
        return self._known[key]

    def _started(self, version: str) -> Scratch | None:
        if version not in self._running:
            scratch = Scratch(self._layout.run / f"{PREFIX}{secrets.token_hex(6)}")
            self._running[version] = scratch
            if not start(scratch, version):
                self._running[version] = None
                prove.remove(scratch)
        return self._running[version]

    def end(self) -> None:
        """Stop what was started."""
        for scratch in filter(None, self._running.values()):
            prove.remove(scratch)


@contextmanager
def host(layout: Layout) -> Iterator[Host | None]:
    """The host's PHP, for as long as a check lasts; None without systemd."""
    if not systemd.running():
        yield None
        return
    sweep(layout)
    there = Host(layout)
    try:
        yield there
    finally:
        there.end()


def sweep(layout: Layout) -> None:
    """Remove what checks that were killed left. After the clock was set nothing tells how old a directory is, so one
    whose PHP runs is somebody's; no PHP outlives LONGEST."""
    for root in layout.run.glob(f"{PREFIX}*"):
        scratch = Scratch(root)
        if abs(time.time() - root.stat().st_mtime) > FORGOTTEN and not systemd.active(f"{scratch.unit}.service"):
            prove.remove(scratch)
