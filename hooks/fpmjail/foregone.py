# SPDX-License-Identifier: MIT
"""What became of sites that were configured together with the first one of their run of dpkg.

dpkg configures one package after another. The first of many sites configures all that wait (together.py) and leaves
here what there is to say about each; the postinst of each says that and does nothing else. It counts in the same run of
dpkg only: the postinst compares who runs it, without starting a program.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from fpmjail import files
from fpmjail.layout import Layout
from fpmjail.output import UNDER_DPKG

PARENT, START = 1, 19  # /proc/PID/stat after the name: the parent, and the start in ticks since the boot; proc(5)
GOOD, BAD = "good", "bad"


def run_of_dpkg() -> str:
    """Process id and start of the dpkg that runs the maintainer script that runs us; empty outside of one."""
    if UNDER_DPKG not in os.environ:
        return ""
    with suppress(OSError, IndexError):
        dpkg = fields(str(os.getppid()))[PARENT]
        return f"{dpkg} {fields(dpkg)[START]}"
    return ""


def fields(pid: str) -> list[str]:
    """What the kernel tells of a process, from its state on."""
    return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(") ")[2].split()


def begin(layout: Layout, run: str) -> None:
    """Forget what was left in other runs."""
    files.make_run(layout.run)
    files.make_directory(layout.foregone, 0, 0, 0o755)
    for place in layout.foregone.iterdir():
        if not told(layout, place.name, run):
            place.unlink()


def told(layout: Layout, name: str, run: str) -> bool:
    """True for a site about which something was left in this run."""
    try:
        return (layout.foregone / name).read_text(errors="replace").partition("\n")[0] == run
    except FileNotFoundError:
        return False


def leave(layout: Layout, name: str, run: str, fault: bool, lines: Iterable[str]) -> None:
    """Leave the lines about a site, and whether a fault keeps it from being configured."""
    content = "\n".join((run, BAD if fault else GOOD, *lines, ""))
    files.replace_file(layout.foregone / name, content.encode(errors="replace"))
