# SPDX-License-Identifier: GPL-2.0-or-later
"""(Site, Release, Build) -> PackagePlan: the whole package as a value. No disk, no clock, no environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from fpmjail_deb import __version__, apparmor, capabilities, mail, maintscript, metadata, programs, reach, site_json
from fpmjail_deb import mounts as image_mounts
from fpmjail_deb import names as unit_names
from fpmjail_deb.contents import Code, Directory, File, PackagePlan, Symlink, with_parents
from fpmjail_deb.nginx_host import nginx_values
from fpmjail_deb.origins import Origins, origins
from fpmjail_deb.pool import environment, pool_values
from fpmjail_deb.profile import php_version, profile
from fpmjail_deb.release import Release
from fpmjail_deb.render import render
from fpmjail_deb.sandbox import sandbox
from fpmjail_deb.site import Isolation, Site, WebServer
from fpmjail_deb.site_names import SiteNames, isolation_change, made_directories, site_names
from fpmjail_deb.virtual_host import virtual_host_values

GENERATOR = f"fpmjail-deb {__version__}"
RUNTIME = "fpmjail (>= 0.1~)"
APACHE = "apache2 (>= 2.4.69~)"
"""Before, a .htaccess could read every site's files (CVE-2026-24072, CVE-2026-44119, CVE-2026-59797)."""
NGINX = "nginx"
UNITS = "usr/lib/systemd/system"


@dataclass(frozen=True, slots=True)
class Build:
    """What a package owes to the moment it is built.

    `epoch` is the time of all its files, in seconds since 1970, `generator` the program that its comments name, `where`
    the lines that they name: without it those of the description. `code` is what the site's code is at that moment.
    """

    epoch: int
    generator: str = GENERATOR
    where: Origins | None = None
    code: Code = ()


def plan(site: Site, release: Release, build: Build) -> PackagePlan:
    """Return the package of a site for a release. Raises BuildError for what a file's grammar cannot hold."""
    names, where = site_names(site), build.where or origins(site)
    values = {
        **_values(site, release, names, where),
        "generator": build.generator,
        "code_directories": _directories(build.code),
    }
    chosen = maintscript.snippets(
        certificate=site.web.tls is not None,
        sftp=site.sftp is not None,
        shared=site.isolation is Isolation.SHARED,
        programs=bool(site.jail.programs),
        code=bool(build.code),
        apparmor=apparmor.confined(site),
    )
    written = _written(site, release, build, names, where)
    return PackagePlan(
        control=_control(site, release, names),
        entries=with_parents((*_rendered(site, names, values), *written, *build.code)),
        scripts=maintscript.scripts(chosen, where, values),
        epoch=build.epoch,
        triggers=tuple(f"interest-noawait {path}" for path in programs.interests(site.jail.programs, release.codename)),
    )


def _directories(code: Code) -> tuple[str, ...]:
    """Return the directories that dpkg unpacks the code into, parents first."""
    return tuple(entry.path for entry in with_parents(code) if isinstance(entry, Directory))


def _values(site: Site, release: Release, names: SiteNames, where: Origins) -> Mapping[str, object]:
    """Return what the templates may use."""
    image = f"/var/lib/fpmjail/images/{profile(site, release)['id']}"
    return {
        "site": site,
        "names": names,
        "origins": where,
        "php": php_version(site, release),
        "shared": site.isolation is Isolation.SHARED,
        "service_unit": _service_unit(site, release, names),
        "pool": pool_values(site, names.inside.base),
        "environment": environment(site, names.inside.base),
        "web": virtual_host_values(site),
        "nginx": nginx_values(site, names.inside.document_root) if site.web.server is WebServer.NGINX else None,
        "sandbox": sandbox(site),
        "sockets": reach.sockets(site),
        "server_units": reach.SERVER_UNITS if reach.sockets(site) else (),
        "filesystem": {"bind": names.bound, "writable": names.writable},
        "writable_paths": " ".join(f"-+{path}" for path in names.writable),
        "image_source": image,
        "private_mounts": image_mounts.private(site, image),
        "temporary_inodes": image_mounts.temporary_inodes(site),
        "standby": False,
        "apparmor": apparmor.profile(site, release),
        "certificate_paths": _certificate_paths(site),
        "enabled_units": _enabled_units(site, names),
        "made_directories": made_directories(site),
        **isolation_change(site, names),
    }


def _service_unit(site: Site, release: Release, names: SiteNames) -> str:
    """Return the unit that PHP runs in."""
    shared = site.isolation is Isolation.SHARED
    return unit_names.php_service(php_version(site, release)) if shared else names.service_unit


def _enabled_units(site: Site, names: SiteNames) -> tuple[str, ...]:
    socket = (names.socket_unit,) if site.isolation is Isolation.DEDICATED else ()
    certificate = (names.certificate_unit,) if site.web.tls else ()
    return (*socket, *certificate, *(unit_names.cron_unit(site.name, job.name, "timer") for job in site.cron))


def _certificate_paths(site: Site) -> tuple[str, ...]:
    """Return what changes with the certificate: the files, and their directories, where certbot exchanges links."""
    if site.web.tls is None:
        return ()
    files = (PurePosixPath(site.web.tls.certificate), PurePosixPath(site.web.tls.key))
    return tuple(sorted({str(path) for file in files for path in (file, file.parent)}))


def _rendered(site: Site, names: SiteNames, values: Mapping[str, object]) -> tuple[File, ...]:
    """Return the files that are made of templates."""
    templates = {
        f"{names.share}/pool.conf": "pool.conf",
        **_virtual_host(site, names),
        f"{UNITS}/{names.slice_unit}": "slice",
        f"usr/lib/sysusers.d/{names.package}.conf": "sysusers",
        f"usr/lib/tmpfiles.d/{names.package}.conf": "tmpfiles",
        f"etc/logrotate.d/{names.package}": "logrotate",
        f"usr/share/doc/{names.package}/copyright": "copyright",
    }
    if site.isolation is Isolation.DEDICATED:
        templates |= {
            f"{UNITS}/{names.service_unit}": "service",
            f"{UNITS}/{names.socket_unit}": "socket",
        }
    if site.isolation is Isolation.DEDICATED or site.code:
        templates[f"usr/share/lintian/overrides/{names.package}"] = "lintian-overrides"
    if site.web.tls:
        templates[f"{UNITS}/{names.certificate_unit}"] = "certificate.path"
    if site.sftp:
        templates |= {f"{names.share}/{name}": name for name in ("sshd.conf", "authorized_keys")}
    templates |= apparmor.files(site)
    return (
        *(_file(path, template, values) for path, template in templates.items()),
        *(_file(f"{UNITS}/{mount.unit}", mount.template, {**values, "mount": mount}) for mount in names.mounts),
        *_standby(site, names, values),
        *_jobs(site, values),
    )


def _standby(site: Site, names: SiteNames, values: Mapping[str, object]) -> tuple[File, ...]:
    """Return the service once more: it has the socket while the first one is replaced."""
    if site.isolation is Isolation.SHARED:
        return ()
    return (_file(f"{UNITS}/{names.standby_unit}", "service", {**values, "standby": True}),)


def _file(path: str, template: str, values: Mapping[str, object]) -> File:
    return File(path, render(template, values).encode(), conffile=path.startswith("etc/"))


def _jobs(site: Site, values: Mapping[str, object]) -> tuple[File, ...]:
    """Return a timer and a service for each job."""
    return tuple(
        _file(
            f"{UNITS}/{unit_names.cron_unit(site.name, job.name, kind)}",
            f"cron.{kind}",
            {**values, "job": job, "key": f"cron[{number}]"},
        )
        for number, job in enumerate(site.cron)
        for kind in ("timer", "service")
    )


def _virtual_host(site: Site, names: SiteNames) -> Mapping[str, str]:
    """Return the templates of the web server's files. What nginx can only have at times are files of their own."""
    if site.web.server is WebServer.APACHE:
        return {f"{names.share}/apache.conf": "apache.conf"}
    files = ("nginx", "nginx-ipv6", *(("nginx-tls", "nginx-tls-ipv6") if site.web.tls else ()))
    return {f"{names.share}/{file}.conf": f"{file}.conf" for file in files}


def _available(site: Site, names: SiteNames) -> Symlink:
    """Return the link by which the web server's administrator finds the virtual host."""
    place = {
        WebServer.APACHE: f"etc/apache2/sites-available/{names.package}.conf",
        WebServer.NGINX: f"etc/nginx/sites-available/{names.package}",
    }
    return Symlink(place[site.web.server], f"/{names.share}/{site.web.server.value}.conf")


def _written(
    site: Site, release: Release, build: Build, names: SiteNames, where: Origins
) -> tuple[File | Symlink, ...]:
    """Return what no template makes."""
    description = site_json.site_json(site, release, names, where, build.generator)
    change = f"Made by {build.generator} from {where.source} for {release.codename}."
    version = f"{site.version}{release.suffix}"
    log = metadata.changelog(names.package, version, release.codename, site.maintainer, change, build.epoch)
    return (
        File(f"{names.share}/site.json", f"{site_json.text(description)}\n".encode()),
        File(f"usr/share/doc/{names.package}/changelog.gz", log),
        _available(site, names),
        *_drop_ins(site, names),
        *_wants(site, release, names),
    )


def _drop_ins(site: Site, names: SiteNames) -> tuple[Symlink, ...]:
    """Return the link by which an administrator's drop-ins for the service hold for the standby, from the first one on
    to the last (systemd.unit(5); it follows such a link, and one that leads nowhere is no fault)."""
    if site.isolation is Isolation.SHARED:
        return ()
    return (Symlink(f"{UNITS}/{names.standby_unit}.d", f"/etc/systemd/system/{names.service_unit}.d"),)


def _wants(site: Site, release: Release, names: SiteNames) -> tuple[Symlink, ...]:
    """Return the links by which Debian's units start a shared site's mounts. Wanted, never required: nothing of one
    site may stop them for all."""
    if site.isolation is Isolation.DEDICATED:
        return ()
    php = _service_unit(site, release, names)
    return tuple(
        Symlink(f"{UNITS}/{wanting}.wants/{mount.unit}", f"../{mount.unit}")
        for mount in names.mounts
        for wanting in (php, *mount.servers)
    )


def _control(site: Site, release: Release, names: SiteNames) -> tuple[tuple[str, str], ...]:
    return (
        ("Package", names.package),
        ("Version", f"{site.version}{release.suffix}"),
        ("Architecture", "all"),
        ("Maintainer", site.maintainer),
        ("Depends", ", ".join(_depends(site, release))),
        ("Section", "web"),
        ("Priority", "optional"),
        ("Homepage", f"https://{site.domains[0]}/"),
        ("Description", metadata.extended_description(site.description, _paragraphs(site, names))),
    )


def _depends(site: Site, release: Release) -> tuple[str, ...]:
    php = f"php{php_version(site, release)}"
    extensions = [f"{php}-{extension}" for extension in capabilities.extensions(site)]
    server = APACHE if site.web.server is WebServer.APACHE else NGINX
    declared = (("locales", site.jail.locales), (mail.PACKAGE, site.jail.mail), ("openssh-server", site.sftp))
    owners = {name for program in site.jail.programs for name in programs.packages(program, release.codename)}
    others = {*capabilities.packages(site), *owners, *(package for package, wanted in declared if wanted)}
    return (RUNTIME, f"{php}-fpm", *extensions, server, *sorted(others))


def _outlives(site: Site, names: SiteNames) -> str:
    """Return what is said of the site's files."""
    if site.code:
        return f"It brings the site's code to {names.document_root}. What the site writes there outlives the package."
    return f"The website itself lies in {names.document_root}; it is not part of this package and outlives it."


def _paragraphs(site: Site, names: SiteNames) -> tuple[str, ...]:
    outlives = _outlives(site, names)
    if site.isolation is Isolation.SHARED:
        return (
            f"Virtual host, pool and chroot of the website {site.domains[0]}. PHP runs as {site.user} in Debian's "
            f"PHP-FPM and sees of this server only {names.jail}, with copies of what it needs, which the fpmjail "
            "package keeps up to date.",
            outlives,
        )
    return (
        f"Virtual host, PHP-FPM and jail of the website {site.domains[0]}. PHP runs as {site.user} behind systemd's "
        f"walls and sees of this server only {names.base}, its logs, and copies of what it needs, "
        "which the fpmjail package keeps up to date.",
        outlives,
    )
