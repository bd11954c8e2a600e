# SPDX-License-Identifier: GPL-2.0-or-later
"""All names and paths of one site, gathered for the templates."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from fpmjail_deb import names
from fpmjail_deb.mounts import Mount, mounts
from fpmjail_deb.site import Isolation, Site


@dataclass(frozen=True, slots=True)
class Inside:
    """The site's places as PHP sees them."""

    base: str
    document_root: str
    logs: str


@dataclass(frozen=True, slots=True)
class SiteNames:
    """Absolute paths on the server, but for `share`: that is where the package ships its data, without the /.

    `walled` is the directory around all that is the site's, `slow_log` the file of FPM's slow log.
    """

    package: str
    base: str
    document_root: str
    jail: str
    walled: str
    logs: str
    slow_log: str
    inside: Inside
    bound: tuple[str, ...]
    mounts: tuple[Mount, ...]
    socket: str
    state: str
    switched_off: str
    drop_ins: str
    share: str
    service_unit: str
    standby_unit: str
    socket_unit: str
    slice_unit: str
    certificate_unit: str

    @property
    def base_mounts(self) -> tuple[str, ...]:
        """Return the units that may mount the base, or a directory above it, from a disk of its own."""
        base = PurePosixPath(self.base)
        return tuple(f"{names.unit_path_escape(str(path))}.mount" for path in (base, *base.parents[:-1]))

    @property
    def mount_units(self) -> tuple[str, ...]:
        """Return the units of the mounts, the image's first."""
        return tuple(mount.unit for mount in self.mounts)

    @property
    def writable(self) -> tuple[str, ...]:
        """Return what PHP may write, as it sees it: nothing there can be executed."""
        return (self.inside.base, self.inside.logs, "/tmp", "/var/lib/php/sessions")


def site_names(site: Site) -> SiteNames:
    """Return the names of a site."""
    name = site.name
    shared = site.isolation is Isolation.SHARED
    jail = names.chroot_directory(name) if shared else names.jail_directory(name)
    outside = jail if shared else ""
    inside = Inside(
        base=names.base_directory(name),
        document_root=f"{names.base_directory(name)}/{site.web.document_root}",
        logs=names.log_directory(name),
    )
    return SiteNames(
        package=names.package(name),
        base=f"{outside}{inside.base}",
        document_root=f"{outside}{inside.document_root}",
        jail=jail,
        walled=jail if shared else inside.base,
        logs=f"{outside}{inside.logs}",
        # Debian's master opens it as root, so never where the site can write.
        slow_log=f"{names.log_directory(name)}.slow.log" if shared else f"{inside.logs}/slow.log",
        inside=inside,
        bound=() if shared else (inside.base, inside.logs),
        mounts=mounts(site, jail),
        socket=names.socket_path(name),
        state=f"/var/lib/fpmjail/sites/{name}",
        switched_off=f"/var/lib/fpmjail/sites/{name}/switched-off",
        drop_ins=f"/etc/fpmjail/sites/{name}",
        share=f"usr/share/fpmjail/sites/{name}",
        service_unit=names.service_unit(name),
        standby_unit=names.standby_unit(name),
        socket_unit=names.socket_unit(name),
        slice_unit=names.slice_unit(name),
        certificate_unit=names.certificate_unit(name),
    )


def made_directories(site: Site) -> tuple[str, ...]:
    """Return the directories below the base that `fpmjail configure` makes, children before their parents."""
    root = PurePosixPath(site.web.document_root)
    paths = {root, *(root / directory for directory in site.writable)}
    chain = {path for leaf in paths for path in (leaf, *leaf.parents)} - {PurePosixPath(".")}
    return tuple(str(path) for path in sorted(chain, key=lambda path: (-len(path.parts), str(path))))


def isolation_change(site: Site, chosen: SiteNames) -> dict[str, object]:
    """Return the isolation that the site does not have, and how an administrator gets from there to the one it has."""
    shared = site.isolation is Isolation.SHARED
    data, aside = names.base_directory(site.name), f"{names.base_directory(site.name)}.former"
    there = f"{names.chroot_directory(site.name)}{data}"
    moves = (
        (f"mv -T {data} {aside}", f"mkdir -p {PurePosixPath(there).parent}", f"mv -T {aside} {there}")
        if shared
        else (f"mv -T {data} {aside}", f"mv -T {aside}{data} {data}")
    )
    steps = (
        f"apt purge {chosen.package}",
        *moves,
        f"usermod --home {chosen.base} {site.user}",
        f"apt install {chosen.package}",
    )
    other = Isolation.DEDICATED if shared else Isolation.SHARED
    return {"other_isolation": other.value, "isolation_steps": steps}
