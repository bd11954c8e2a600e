# SPDX-License-Identifier: MIT
"""Switches a site off, or takes it down for good: out of the web server first, then units, processes, mounts."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

from fpmjail import (
    apparmor,
    checked,
    cron,
    facts,
    files,
    fpm,
    image,
    inside,
    mounts,
    places,
    release,
    sftp,
    state,
    systemd,
    web,
)
from fpmjail import site as sites
from fpmjail.arrival import Say
from fpmjail.layout import Layout
from fpmjail.mounting import own_mounts, unmount
from fpmjail.site import Site


def withdraw(layout: Layout, site: Site) -> None:
    """Leave nothing of a site switched on."""
    web.disable(layout, site)
    sftp.withdraw(layout, site)
    if systemd.running():
        cron.stop(site)
        own = () if site.shared else (site.units.socket, site.units.service, *site.units.standbys)
        units = (*site.units.paths, *own)
        if units:
            systemd.systemctl("stop", *units)
    fpm.untaken(layout, site).unlink(missing_ok=True)
    if site.shared:
        from fpmjail import shared

        shared.withdraw(layout, site)


def end_commands(layout: Layout, site: Site, say: Say) -> None:
    """Nobody gets in any more, and who is in goes: SFTP, `fpmjail exec`. The account is the site's alone."""
    for words in filter(None, (sftp.reload(layout),)):
        say(words)
    if systemd.running():
        inside.stop_all(site)
        end_processes(site)


def remove(layout: Layout, name: str, say: Say) -> None:
    """What `apt remove` needs: out of the web server, out of systemd, no process and no mount left. Data stays."""
    site = sites.load(layout.sites / name / "site.json")
    with files.lock(layout.lock_file):
        for words in filter(None, (web.disable(layout, site), web.reload(site))):
            say(words)
        withdraw(layout, site)
        settle_pools(layout, site, say)
        end_commands(layout, site, say)
        if systemd.running() and site.units.mounts:
            systemd.systemctl("stop", *site.units.mounts)
        unmount(own_mounts(site))
        for mount in own_mounts(site):
            say(f"{mount.target} is still mounted; umount it")
        state.forget(layout, name)
        checked.forget(layout, name)
        drop_image(layout, site, say)
    apparmor.forget(site)
    off = f"; it is switched off then: fpmjail enable {name}" if state.marked(layout, name) else ""
    say(release.way_back(layout, site) + off)


def end_processes(site: Site) -> None:
    """Kill what still runs as the site's user; the account is the site's alone, `configure` saw to that."""
    owner = places.account(site.user.name)
    if owner is None or owner.uid == 0:
        return
    for process in facts.processes(owner.uid):
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)


def settle_pools(layout: Layout, site: Site, say: Say) -> None:
    """Let Debian's master take up, or forget, the pool of a shared site."""
    if not site.shared:
        return
    from fpmjail import shared

    known, _ = sites.installed(layout)
    for words in shared.settle(layout, known):
        say(words)
    shared.clear(layout, site)


def profiles(layout: Layout, site: Site) -> set[str]:
    """The image that a site asks for, and the one that it has until its new version is configured."""
    known = state.read(layout, site.name)
    return {site.profile.id, known.profile if known else ""}


def drop_image(layout: Layout, site: Site, say: Say) -> None:
    """Delete the image when this was the last site that used it; copies are made again when needed.

    A site that cannot be read, because it was made for a newer fpmjail perhaps, may be using it.
    """
    known, unreadable = sites.installed(layout)
    others = [one for one in known if one.name != site.name]
    if unreadable or any(site.profile.id in profiles(layout, one) for one in others):
        return
    try:
        image.remove(layout, site.profile.id)
    except mounts.Kept as error:
        say(str(error))
