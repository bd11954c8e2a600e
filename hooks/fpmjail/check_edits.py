# SPDX-License-Identifier: MIT
"""What an administrator can have changed in a site's package: drop-ins of its service alone, owners of its code."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from fpmjail import systemd, walk
from fpmjail.facts import Entry
from fpmjail.finding import Finding, good, listed, origin, warning
from fpmjail.judges import described, exposed
from fpmjail.layout import Layout
from fpmjail.site import Site

LISTS = "var/lib/dpkg/info"


def judge_drop_ins(site: Site, first: Sequence[Path], standby: Sequence[Path]) -> Finding:
    """What the service has, its standby must have: it serves alone while the service is replaced."""
    wrong = [f"{path} is not in force for the standby" for path in lacking(first, standby)]
    wrong += [f"{path} is in force for the standby alone" for path in lacking(standby, first)]
    if not wrong:
        return good("settings", "units", f"drop-ins of the service: {len(first)}, in force for the standby as well")
    fix = f"move it to /etc/systemd/system/{site.units.service}.d, or: systemctl edit {site.units.standby}"
    return warning("settings", "units", listed(wrong), f"{fix}; systemctl daemon-reload")


def lacking(some: Sequence[Path], others: Sequence[Path]) -> list[Path]:
    """Of some drop-ins those that others have neither as the same file nor with the same text."""
    texts = {text(path) for path in others}
    return [path for path in some if path not in others and text(path) not in texts]


def text(path: Path) -> str:
    """What a drop-in says; a name of its own when it cannot be read."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return f"\0{path}"


def judge_code(site: Site, entries: Iterable[Entry]) -> tuple[Finding, ...]:
    """Code that the package brought must be root's, or the site can change it and dpkg unpacks no new version."""
    found = list(entries)
    if not found:
        return ()
    wrong = [described(one) for one in found if exposed(one)]
    if not wrong:
        return (good("files", "code", f"{len(found)} names of the package, all root's"),)
    root, package = site.paths.document_root, site.package
    seen = f"what {package} brought was given away: {listed(wrong)}"
    fix = f"mv -T {root} {root}.former; apt install --reinstall {package}; copy back what visitors brought"
    return (replace(warning("files", "code", seen, fix), origin=origin(site, "code")),)


def check(layout: Layout, site: Site) -> tuple[Finding, ...]:
    """Look at both."""
    return (*judge_code(site, code(layout, site)), *drop_ins(site))


def drop_ins(site: Site) -> tuple[Finding, ...]:
    """Ask systemd for the drop-ins of the service and of any standby."""
    if not site.units.standby or not systemd.running():
        return ()
    standby = site.units.standby.replace("@.", "@0.")
    found = systemd.of_each("DropInPaths", site.units.service, standby)
    paths = [tuple(map(Path, found.get(unit, "").split())) for unit in (site.units.service, standby)]
    return (judge_drop_ins(site, *paths),)


def code(layout: Layout, site: Site) -> tuple[Entry, ...]:
    """What dpkg has unpacked in the document root, its directories too, as it is now; no link is followed. What is gone
    is nobody's."""
    root = str(site.paths.document_root)
    try:
        lines = layout.host(f"/{LISTS}/{site.package}.list").read_text(errors="surrogateescape").splitlines()
    except OSError:
        return ()
    names: dict[str, list[str]] = {}
    for line in lines:
        if line == root or line.startswith(f"{root}/"):
            directory, _, name = line.rpartition("/")
            names.setdefault(directory, []).append(name)
    return tuple(found for place, own in names.items() for found in walk.named(layout.host(place), own))
