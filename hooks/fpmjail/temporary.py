# SPDX-License-Identifier: MIT
"""A site's /tmp with a limit: a file system in memory, mounted over the directory that is /tmp otherwise.

It belongs to the site's user and is the one read-write mount of ours below a jail: in memory, so that whatever deletes
through it deletes nothing that would be there after a boot.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from fpmjail import mounts, systemd
from fpmjail.finding import Finding, ruled
from fpmjail.mounts import Mount
from fpmjail.site import Site

FILESYSTEM = "tmpfs"
SIZES = re.compile(r"^Options=.*?\b(size=\w+,nr_inodes=\w+)", re.MULTILINE)
WALLS = ("nosuid", "nodev", "noexec")


def place(site: Site) -> Path:
    """Where it is, or would be."""
    return site.paths.jail / "tmp"


def unit(site: Site) -> str:
    """The unit that mounts it, an empty string for a site without a limit."""
    name = mounts.unit(place(site))
    return name if name in site.units.mounts else ""


def others(site: Site) -> tuple[str, ...]:
    """The units of the site's other mounts: what lies in /tmp has no part in what becomes of them."""
    return tuple(name for name in site.units.mounts if name != unit(site))


def former(site: Site, table: Sequence[Mount]) -> tuple[Mount, ...]:
    """What the version before had, if this one has no limit."""
    own = (mount for mount in table if mount.target == str(place(site)) and mount.filesystem == FILESYSTEM)
    return () if site.shared or unit(site) else tuple(own)


def resize(site: Site, units: Path, table: Sequence[Mount]) -> str:
    """Tell the kernel the limit that stands in the unit now; what lies there stays. Why that cannot be, or nothing.

    Not by `systemctl reload`, for which a mount(8) that failed is a success.
    """
    if not unit(site) or all(mount.target != str(place(site)) for mount in table):
        return ""
    sizes = SIZES.search((units / unit(site)).read_text(encoding="utf-8"))
    # All other options stay; a user's name is none that mount(8) of trixie takes here.
    answer = systemd.run(["mount", "-o", f"remount,{sizes[1]}", "--", str(place(site))]) if sizes else None
    return "" if answer is None or answer.good else answer.words


def judge(site: Site, table: Sequence[Mount], seen: Sequence[Mount] | None) -> tuple[Finding, ...]:
    """The limit holds on the host and in the master's view, `seen`, None when no master runs."""
    if not unit(site):
        return ()
    path = str(place(site))
    own = [mount for mount in table if mount.target == path]
    wrong = faults(path, own)
    shown = [mount.device for mount in seen or () if mount.target == "/tmp"][-1:]
    if not wrong and seen is not None and shown != [own[0].device]:
        wrong = [f"PHP writes to another /tmp than {path}"]
    fix = f"systemctl start '{unit(site)}'; systemctl restart {site.units.service}"
    return (ruled("mounts", "/tmp", wrong, f"{path}: in memory, {','.join(WALLS)}, private", fix),)


def faults(path: str, own: Sequence[Mount]) -> list[str]:
    """What is wrong with the mounts at the place of the site's /tmp."""
    if len(own) != 1:
        return [f"{path} is mounted {len(own)} times, expected once"]
    wrong = [f"{path} is not {option}" for option in WALLS if option not in own[0].options]
    if own[0].filesystem != FILESYSTEM:
        wrong.append(f"{path} is {own[0].filesystem}, expected {FILESYSTEM}")
    return [*wrong, *([f"{path} is a shared mount"] if own[0].shared else [])]
