# SPDX-License-Identifier: GPL-2.0-or-later
"""The machine that a bench ran on."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Machine:
    """Processor, cores, memory in GB, kernel, the machine's own system and that of the servers, load averages."""

    processor: str
    cores: int
    memory: float
    kernel: str
    system: str
    servers: str
    load: tuple[float, float, float]

    @property
    def words(self) -> str:
        """All of it in one sentence."""
        load = ", ".join(f"{value:.1f}" for value in self.load)
        return (
            f"{self.processor}, {self.cores} cores, {self.memory:.0f} GB, Linux {self.kernel}, {self.system}; "
            f"servers: Debian {self.servers}; load average at the end: {load}"
        )

    @property
    def busy(self) -> bool:
        """Whether others used the machine as well: a bench keeps all its cores busy, and not more."""
        return self.load[2] > self.cores * 1.5


def look(release: str) -> Machine:
    """Describe this machine, with servers of a release."""
    return Machine(
        processor=_found(r"^model name\s*: (.+)$", "/proc/cpuinfo") or platform.machine(),
        cores=len(os.sched_getaffinity(0)),
        memory=int(_found(r"^MemTotal:\s+(\d+) kB$", "/proc/meminfo")) / 1e6,
        kernel=platform.release(),
        system=_found(r'^PRETTY_NAME="(.+)"$', "/etc/os-release"),
        servers=release,
        load=os.getloadavg(),
    )


def _found(pattern: str, file: str) -> str:
    found = re.search(pattern, Path(file).read_text(), re.MULTILINE)
    return found[1].strip() if found else ""
