# SPDX-License-Identifier: MIT
"""Talks to systemd: the only module that calls systemctl and systemd-run."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

LINKS = Path("/etc/systemd/system")
POLICY = Path("/usr/sbin/policy-rc.d")
CLOCK_SET = 0.05  # seconds of difference from which the clock was set; what ntpd slews both clocks follow
DENIED = 101  # invoke-rc.d(8): "action forbidden by policy"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command said; `words` is both of its streams, stripped."""

    status: int
    words: str

    @property
    def good(self) -> bool:
        """True when the command ended with status 0."""
        return self.status == 0


def run(command: Sequence[str], timeout: float | None = None) -> Answer:
    """Run a command and never raise: a missing program is status 127, a late one 124 (as timeout(1) says).

    Without a `timeout` it has two minutes, and a second for each word: one call may be about many units.
    """
    timeout = 120.0 + len(command) if timeout is None else timeout
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout
        )
    except FileNotFoundError:
        return Answer(127, f"{command[0]}: not installed")
    except subprocess.TimeoutExpired:
        return Answer(124, f"{command[0]}: no answer after {timeout:g} seconds")
    return Answer(done.returncode, done.stdout.decode(errors="replace").strip())


def running() -> bool:
    """True when systemd is PID 1 here: not in a chroot, not while an image is being built (sd_booted(3))."""
    return Path("/run/systemd/system").is_dir()


def permitted(unit: str, action: str) -> bool:
    """What the admin's policy-rc.d says (invoke-rc.d(8)); without one that can be run everything is permitted."""
    return not os.access(POLICY, os.X_OK) or run([str(POLICY), unit.removesuffix(".service"), action]).status != DENIED


def systemctl(*arguments: str, timeout: float | None = None) -> Answer:
    """`systemctl --quiet ARGUMENTS`, without its second program that waits for questions about passwords."""
    return run(["systemctl", "--quiet", "--no-ask-password", *arguments], timeout)


def start(*units: str) -> Answer:
    """Start units, of which there may be none."""
    return systemctl("start", *units) if units else Answer(0, "")


def active(unit: str) -> bool:
    """True when the unit is up, or on its way up or through a reload."""
    return properties(unit, "ActiveState")["ActiveState"] in {"active", "reloading", "activating"}


def enabled() -> frozenset[str]:
    """The units that a target wants by a link of the administrator's directory. systemd, asked for UnitFileState, looks
    through all its directories for each unit anew."""
    return frozenset(path.name for path in LINKS.glob("*.wants/*"))


def properties(unit: str, *names: str) -> dict[str, str]:
    """The named properties of a unit as systemd prints them; an unknown one is an empty string."""
    answer = run(["systemctl", "show", "--property", ",".join(names), unit])
    shown = dict(line.split("=", 1) for line in answer.words.splitlines() if "=" in line)
    return {name: shown.get(name, "") for name in names}


def loaded() -> float:
    """When systemd last read all its units, in seconds since 1970; 0 when it does not tell, or when the clock was set
    since: then a file's time says nothing about what came first."""
    names = ("UnitsLoadTimestamp", "UnitsLoadTimestampMonotonic")
    answer = run(["systemctl", "show", "--timestamp=us+utc", f"--property={','.join(names)}"])
    shown = dict(line.split("=", 1) for line in answer.words.splitlines() if "=" in line)
    then, since_boot = moment(shown.get(names[0], "")), shown.get(names[1], "")
    if not then or not since_boot.isdigit():
        return 0.0
    now = time.time() - time.monotonic() + int(since_boot) / 1e6
    return then if abs(now - then) < CLOCK_SET else 0.0


def moment(text: str) -> float:
    """Seconds since 1970 of a time in systemd's format us+utc (systemd.time(7)); 0 for anything else."""
    try:
        _, day, clock, zone = text.split()
        return datetime.fromisoformat(f"{day}T{clock}+00:00").timestamp() if zone == "UTC" else 0.0
    except ValueError:
        return 0.0


def follow(units: Iterable[Path], known: float) -> None:
    """Let systemd read its units unless it has done so since these changed: the first of many packages that dpkg has
    unpacked does it for all of them. What dpkg writes has any time of modification, but a true ctime."""
    changed = [path.lstat().st_ctime for path in units if path.is_symlink() or path.exists()]
    if not changed or not max(changed) + 0.1 < known <= time.time():
        systemctl("daemon-reload")


def up(*patterns: str) -> dict[str, int]:
    """The services that have a process, by pattern, with the main one; two calls however many there are (0 for a
    service whose main process is about to come)."""
    states = "--state=active,activating,reloading,deactivating"
    found = run(["systemctl", "list-units", "--plain", "--no-legend", "--full", "--type=service", states, *patterns])
    units = [line.split()[0] for line in found.words.splitlines() if line.strip()] if found.good else []
    return {unit: int(pid or 0) for unit, pid in of_each("MainPID", *units).items()} if units else {}


def states(*units: str) -> dict[str, str]:
    """The state of each unit, in one call."""
    return of_each("ActiveState", *units)


def of_each(name: str, *units: str) -> dict[str, str]:
    """One property of each unit, as systemd prints it."""
    shown = run(["systemctl", "show", f"--property=Id,{name}", *units]).words.split("\n\n")
    fields = (dict(line.split("=", 1) for line in text.splitlines() if "=" in line) for text in shown)
    return {one["Id"]: one.get(name, "") for one in fields if "Id" in one}


def main_pid(unit: str) -> int:
    """The main process of a service, 0 when it has none."""
    return int(properties(unit, "MainPID")["MainPID"] or 0)


def in_jail(
    jail: Path,
    user: str,
    group: str,
    directives: Iterable[tuple[str, str]],
    command: Sequence[str],
    timeout: float = 60.0,
) -> Answer:
    """Run one command as the site, inside its jail, behind the same directives as its service, and wait for it."""
    confinement = [("RootDirectory", str(jail)), ("User", user), ("Group", group), ("MountAPIVFS", "yes"), *directives]
    options = [option for name, value in confinement for option in ("--property", f"{name}={value}")]
    return run(["systemd-run", "--quiet", "--pipe", "--wait", "--collect", *options, "--", *command], timeout)
