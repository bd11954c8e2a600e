# SPDX-License-Identifier: MIT
"""What is mounted into the jails of sites that are configured: systemd learns of their units, all are mounted with one
call, and what another version of a package had makes way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from fpmjail import cron, facts, handover, mounts, systemd, temporary
from fpmjail import site as sites
from fpmjail.arrival import UNITS, Arrival, Failures, each, under_dpkg, unit_fingerprint
from fpmjail.layout import Layout
from fpmjail.places import SiteFault
from fpmjail.site import Site


def make_room(site: Site) -> None:
    """The jail's /usr is a link into the image, or has the server's /usr mounted over it: the other kind goes, and so
    does a limited /tmp of the version before.

    Nothing runs in a dedicated site's jail meanwhile; systemd keeps the socket. A shared one's workers go on without it
    until the other kind is there. Raises SiteFault.
    """
    unmount(temporary.former(site, mounts.current()))
    place = site.paths.jail / "usr"
    bound = site.profile.libraries == sites.BIND
    if not (place.is_symlink() if bound else place.is_dir() and not place.is_symlink()):
        return
    if systemd.running() and not site.shared:
        handover.stop(site)
    unmount(mounts.mounts_below(place))
    if mounts.mounts_below(place):
        raise SiteFault(f"{place} is still mounted", f"umount it; {site.name} has another way to its programs now")
    place.unlink() if bound else place.rmdir()


def mount(layout: Layout, arrivals: Sequence[Arrival], failures: Failures) -> tuple[Arrival, ...]:
    """Let systemd read the units and mount the images; another one than before is mounted anew."""
    live = [one for one in arrivals if one.around.live]
    learn(live)
    ready = each(lambda one: clear(layout, one), arrivals, failures)
    mounted = mount_each([one for one in ready if one.around.live], failures)
    others = [one for one in ready if not one.around.live]
    return (*each(take_up, mounted, failures), *others)


def learn(arrivals: Sequence[Arrival]) -> None:
    """Let systemd read the units of sites, once for all of them and not at all if it knows them."""
    if arrivals:
        units = [UNITS / unit for one in arrivals for unit in units_of(one.site)]
        systemd.follow(units, systemd.loaded() if under_dpkg() else 0.0)


def units_of(site: Site) -> tuple[str, ...]:
    """The units that a site's package brings."""
    own = (site.units.socket, site.units.standby, "" if site.shared else site.units.service)
    return (*site.units.mounts, *site.units.paths, *cron.units(site), *filter(None, own))


def clear(layout: Layout, one: Arrival) -> Arrival:
    """Unmount what is not to be seen in the jail any more."""
    site = one.site
    if not one.around.live:
        return one
    another = one.before.profile not in ("", site.profile.id) or displaced(layout, site)
    if another:
        unmount_image(site)
    if site.filesystem.read_only and own_mounts(site):  # the version before had mount units
        handover.stop(site)
        unmount(own_mounts(site))
    return replace(one, remounted=another)


def mount_each(arrivals: Sequence[Arrival], failures: Failures) -> tuple[Arrival, ...]:
    """Mount what belongs into each jail: all with one call, or each for what it says."""
    units = [unit for one in arrivals for unit in one.site.units.mounts]
    if len(arrivals) > 1 and systemd.start(*units).good:
        return tuple(arrivals)
    return each(mount_one, arrivals, failures)


def mount_one(one: Arrival) -> Arrival:
    """Mount what belongs into one jail. Raises SiteFault."""
    mount_all(one.site)
    return one


def mount_all(site: Site) -> None:
    """Mount what belongs into the jail. Raises SiteFault, which names what cannot be mounted."""
    answer = systemd.start(*site.units.mounts)
    if answer.good:
        return
    failed = next((unit for unit in site.units.mounts if not systemd.active(unit)), site.units.mounts[0])
    what = {site.units.mounts[0]: "the image", temporary.unit(site): "its /tmp"}.get(failed, failed)
    raise SiteFault(f"{what} cannot be mounted: {answer.words}", f"see: systemctl status {failed!r}")


def take_up(one: Arrival) -> Arrival:
    """Let what runs see what was mounted anew. Raises SiteFault."""
    site = one.site
    if one.before.units != unit_fingerprint(site):
        resize(site)
    if one.remounted and not site.shared:
        systemd.systemctl("try-restart", site.units.service, *site.units.standbys)
    return one


def resize(site: Site) -> None:
    """Give a /tmp that is mounted its new limit. Raises SiteFault: it cannot be smaller than what lies in it."""
    fault = temporary.resize(site, UNITS, mounts.current())
    if fault:
        place = temporary.place(site)
        raise SiteFault(f"the limit of its /tmp cannot be set: {fault}", f"delete what is too much in {place}")


def displaced(layout: Layout, site: Site) -> bool:
    """Whether the jail shows a directory that no longer is the image: it was deleted, and made anew or restored."""
    place = site.paths.jail / ".image"
    shown = any(mount.target == str(place) for mount in own_mounts(site))
    return shown and facts.identity(place) != facts.identity(layout.image(site.profile.id))


def unmount_image(site: Site) -> None:
    """Make way for another image. Debian's master goes on serving others, and this site without an image for as long
    as it takes to mount the other one, so that alone goes, at once and however busy it is. A dedicated site's service
    is stopped, but a request that waits starts it again at once, and with it the mount that was to be stopped."""
    if not site.shared:
        systemd.systemctl("stop", site.units.service, *site.units.standbys, *temporary.others(site))
    for mount in own_mounts(site):
        if mount.target == str(site.paths.jail / ".image"):
            systemd.run(["umount", "--lazy", "--", mount.target])


def own_mounts(site: Site) -> tuple[mounts.Mount, ...]:
    """The mounts that are ours to unmount, the deepest first."""
    if not site.shared:
        return mounts.mounts_below(site.paths.jail)
    from fpmjail import shared

    return shared.mounted(site)


def unmount(left: Iterable[mounts.Mount]) -> None:
    """Unmount what is left in a jail, by force of MNT_DETACH when it is busy."""
    for mount in left:
        if not systemd.run(["umount", "--", str(mount.target)]).good:
            systemd.run(["umount", "--lazy", "--", str(mount.target)])
