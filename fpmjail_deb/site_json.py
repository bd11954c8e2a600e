# SPDX-License-Identifier: GPL-2.0-or-later
"""site.json, format 1: all that the runtime on the server is told about a site."""

from __future__ import annotations

from collections.abc import Mapping

from fpmjail_deb.origins import Origins
from fpmjail_deb.profile import php_version, profile
from fpmjail_deb.reach import reach
from fpmjail_deb.release import Release
from fpmjail_deb.sandbox import sandbox
from fpmjail_deb.site import Site
from fpmjail_deb.site_names import SiteNames
from fpmjail_deb.virtual_host import apache_modules, host_names

FORMAT = 1


def site_json(site: Site, release: Release, names: SiteNames, origins: Origins, generator: str) -> dict[str, object]:
    """Return the content of site.json."""
    return {
        "format": FORMAT,
        "generator": generator,
        "source": origins.source,
        "site": site.name,
        "package": names.package,
        "version": f"{site.version}{release.suffix}",
        "release": release.codename,
        "isolation": site.isolation.value,
        "user": {"name": site.user, "group": site.user, "home": names.base, "uid": site.uid},
        "profile": profile(site, release),
        "paths": _paths(names),
        "units": _units(site, names),
        "sandbox": [list(directive) for directive in sandbox(site)],
        "filesystem": {"bind": list(names.bound), "writable": list(names.writable)},
        "jail": reach(site),
        "php": _php(site, release),
        "web": _web(site, names),
        "writable": list(site.writable),
        "origins": origins.table(),
    }


def _paths(names: SiteNames) -> Mapping[str, str]:
    return {
        "base": names.base,
        "document_root": names.document_root,
        "jail": names.jail,
        "logs": names.logs,
        "socket": names.socket,
        "pool": f"/{names.share}/pool.conf",
        "vhost": f"/{names.share}/apache.conf",
    }


def _units(site: Site, names: SiteNames) -> Mapping[str, object]:
    return {
        "service": names.service_unit,
        "socket": names.socket_unit,
        "mounts": [names.mount_unit],
        "paths": [names.certificate_unit] if site.web.tls else [],
    }


def _php(site: Site, release: Release) -> Mapping[str, object]:
    return {
        "version": php_version(site, release),
        "extensions": sorted(set(site.php.extensions)),
        "request_timeout": site.php.pool.request_timeout,
    }


def _web(site: Site, names: SiteNames) -> Mapping[str, object]:
    tls = site.web.tls
    return {
        "server": site.web.server.value,
        "site": names.package,
        "domains": list(host_names(site)),
        "modules": list(apache_modules(site)),
        "htaccess": site.web.htaccess.value,
        "tls": {"certificate": tls.certificate, "key": tls.key, "redirect": tls.redirect} if tls else None,
    }
