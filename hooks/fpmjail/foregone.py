# SPDX-License-Identifier: MIT
"""What became of sites that were configured together with the first one of their run of dpkg.

dpkg configures one package after another. The first of many sites configures all that wait (together.py) and leaves
here what there is to say about each; the postinst of each only says that. It counts for the same run of dpkg and the
same description, and once. Whatever is in doubt is done again. Like glance.py, this loads next to nothing.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from fpmjail import __version__
from fpmjail.glance import replace, stamp

DIRECTORY = "/run/fpmjail/foregone"
DESCRIPTIONS = "/usr/share/fpmjail/sites"
HEAD = f"fpmjail {__version__}"
START = 19  # /proc/PID/stat after the name: when the process started, in ticks since the boot; proc(5)


def run_of_dpkg() -> str:
    """Which dpkg runs the maintainer script that runs us; an empty string outside of one."""
    if "DPKG_MAINTSCRIPT_NAME" not in os.environ:
        return ""
    with suppress(OSError, IndexError):
        dpkg = fields(os.getppid())[1]
        return f"{dpkg} {fields(int(dpkg))[START]}"
    return ""


def fields(pid: int) -> list[str]:
    """What the kernel tells of a process, from its state on."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - as in glance.py
        return file.read().rpartition(") ")[2].split()


def head(name: str, run: str) -> list[str]:
    """What has to be the same for words to count."""
    return [HEAD, run, str(stamp(f"{DESCRIPTIONS}/{name}/site.json"))]


def leave(name: str, run: str, fault: str, words: list[str], place: str = DIRECTORY) -> None:
    """Leave what there is to say about a site, and the fault that keeps it from being configured, empty for none."""
    replace(f"{place}/{name}", ["\0".join([*head(name, run), fault, *words])])


def take(name: str, place: str = DIRECTORY) -> tuple[str, list[str]] | None:
    """What was left about a site, once; None when that does not count."""
    run = run_of_dpkg()
    try:
        with open(f"{place}/{name}", encoding="utf-8", errors="surrogateescape") as file:  # noqa: PTH123
            parts = file.read().split("\0")
        os.unlink(f"{place}/{name}")  # noqa: PTH108
    except (OSError, ValueError):
        return None
    return (parts[3], parts[4:]) if run and len(parts) > 3 and parts[:3] == head(name, run) else None


def answer(name: str) -> int | None:
    """Say what was left about a site; the exit status, None when the site has to be configured."""
    left = take(name)
    if left is None:
        return None
    fault, words = left
    for text in words:
        say(f"{name}: {text}")
    if fault:
        print(f"fpmjail: {name}: {fault}", file=sys.stderr, flush=True)
    return 1 if fault else 0


def say(text: str) -> None:
    """As cli.py does it: a line for the admin, and for the journal."""
    print(f"fpmjail: {text}", flush=True)
    import syslog

    syslog.openlog("fpmjail")
    syslog.syslog(syslog.LOG_NOTICE, text)
