# SPDX-License-Identifier: GPL-2.0-or-later
"""All names and paths of one site, gathered for the templates."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from fpmjail_deb import names
from fpmjail_deb.site import Site


@dataclass(frozen=True, slots=True)
class SiteNames:
    """Absolute paths on the server, but for `share`: that is where the package ships its data, without the /."""

    package: str
    base: str
    document_root: str
    jail: str
    image: str
    logs: str
    socket: str
    state: str
    switched_off: str
    drop_ins: str
    share: str
    service_unit: str
    socket_unit: str
    mount_unit: str
    slice_unit: str
    certificate_unit: str

    @property
    def base_mounts(self) -> tuple[str, ...]:
        """Return the units that may mount the base, or a directory above it, from a disk of its own."""
        base = PurePosixPath(self.base)
        return tuple(f"{names.unit_path_escape(str(path))}.mount" for path in (base, *base.parents[:-1]))

    @property
    def bound(self) -> tuple[str, ...]:
        """Return what the service sees of the host at the same path."""
        return (self.base, self.logs)

    @property
    def writable(self) -> tuple[str, ...]:
        """Return what PHP may write: nothing there can be executed."""
        return (*self.bound, "/tmp", "/var/lib/php/sessions")


def site_names(site: Site) -> SiteNames:
    """Return the names of a site."""
    name = site.name
    return SiteNames(
        package=names.package(name),
        base=names.base_directory(name),
        document_root=f"{names.base_directory(name)}/{site.web.document_root}",
        jail=names.jail_directory(name),
        image=names.image_directory(name),
        logs=names.log_directory(name),
        socket=names.socket_path(name),
        state=f"/var/lib/fpmjail/sites/{name}",
        switched_off=f"/var/lib/fpmjail/sites/{name}/switched-off",
        drop_ins=f"/etc/fpmjail/sites/{name}",
        share=f"usr/share/fpmjail/sites/{name}",
        service_unit=names.service_unit(name),
        socket_unit=names.socket_unit(name),
        mount_unit=names.mount_unit(name),
        slice_unit=names.slice_unit(name),
        certificate_unit=names.certificate_unit(name),
    )


def made_directories(site: Site) -> tuple[str, ...]:
    """Return the directories below the base that `fpmjail configure` makes, children before their parents."""
    root = PurePosixPath(site.web.document_root)
    paths = {root, *(root / directory for directory in site.writable)}
    chain = {path for leaf in paths for path in (leaf, *leaf.parents)} - {PurePosixPath(".")}
    return tuple(str(path) for path in sorted(chain, key=lambda path: (-len(path.parts), str(path))))
