# SPDX-License-Identifier: GPL-2.0-or-later
"""site.json, format 1: all that the runtime on the server is told about a site."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from fpmjail_deb import mounts, programs
from fpmjail_deb import names as unit_names
from fpmjail_deb.capabilities import extensions
from fpmjail_deb.contents import PackagePlan
from fpmjail_deb.errors import BuildError
from fpmjail_deb.origins import Origins
from fpmjail_deb.pool import environment
from fpmjail_deb.profile import php_version, profile
from fpmjail_deb.reach import reach
from fpmjail_deb.release import Release
from fpmjail_deb.sandbox import sandbox
from fpmjail_deb.site import Htaccess, Isolation, Job, Program, Site, WebServer
from fpmjail_deb.site_names import SiteNames
from fpmjail_deb.virtual_host import apache_modules, host_names

FORMAT = 1
WIDTH = 110
TAB = "\t"


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
        "paths": _paths(site, names),
        "compat_link": site.compat_link,
        "units": _units(site, release, names),
        "sandbox": [list(directive) for directive in sandbox(site)],
        "filesystem": _filesystem(site, release, names),
        "jail": reach(site),
        "php": _php(site, release),
        "web": _web(site, names),
        "writable": list(site.writable),
        "environment": dict(environment(site, names.inside.base)),
        "cron": [_job(site, job) for job in site.cron],
        "programs": [_program(program, release) for program in site.jail.programs],
        "sftp": {"configuration": f"/{names.share}/sshd.conf"} if site.sftp else None,
        "origins": origins.table(),
    }


def text(value: object, indent: str = "") -> str:
    """Return JSON as people read it: a list that has room on a line stays on it."""
    if isinstance(value, Mapping):
        parts = [f"{json.dumps(key)}: {text(part, indent + TAB)}" for key, part in value.items()]
        return _block("{}", parts, indent)
    line = json.dumps(value)
    if not isinstance(value, list) or (len(line) < WIDTH and not any(isinstance(item, Mapping) for item in value)):
        return line
    return _block("[]", [text(item, indent + TAB) for item in value], indent)


def _block(brackets: str, parts: Sequence[str], indent: str) -> str:
    inside = f",\n{indent}{TAB}".join(parts)
    return f"{brackets[0]}\n{indent}{TAB}{inside}\n{indent}{brackets[1]}" if parts else brackets


def found_in(package: PackagePlan) -> Mapping[str, Any]:
    """Return the content of a package's site.json. Raises BuildError if it has none."""
    for file in package.files:
        if file.path.startswith("usr/share/fpmjail/sites/") and file.path.endswith("/site.json"):
            with suppress(ValueError):
                found = json.loads(file.content)
                if isinstance(found, dict):
                    return found
    raise BuildError(f"{package.file_name} has no site.json", "name a package that fpmjail-deb built")


def _paths(site: Site, names: SiteNames) -> Mapping[str, object]:
    return {
        "base": names.base,
        "document_root": names.document_root,
        "jail": names.jail,
        "logs": names.logs,
        "socket": names.socket,
        "pool": f"/{names.share}/pool.conf",
        "vhost": f"/{names.share}/{site.web.server.value}.conf",
        "inside": {
            "base": names.inside.base,
            "document_root": names.inside.document_root,
            "logs": names.inside.logs,
        },
    }


def _filesystem(site: Site, release: Release, names: SiteNames) -> Mapping[str, object]:
    bound = mounts.private(site, f"/var/lib/fpmjail/images/{profile(site, release)['id']}")
    read_only = [list(pair) for pair in bound]
    return {"bind": list(names.bound), "read_only": read_only, "writable": list(names.writable)}


def _units(site: Site, release: Release, names: SiteNames) -> Mapping[str, object]:
    shared = site.isolation is Isolation.SHARED
    return {
        "service": unit_names.php_service(php_version(site, release)) if shared else names.service_unit,
        "standby": None if shared else names.standby_unit,
        "socket": None if shared else names.socket_unit,
        "mounts": list(names.mount_units),
        "paths": [names.certificate_unit] if site.web.tls else [],
    }


def _php(site: Site, release: Release) -> Mapping[str, object]:
    return {
        "version": php_version(site, release),
        "extensions": list(extensions(site)),
        "request_timeout": site.php.pool.request_timeout,
        "idle_after": 0 if site.isolation is Isolation.SHARED else site.php.idle_after,
    }


def _web(site: Site, names: SiteNames) -> Mapping[str, object]:
    tls = site.web.tls
    # Only Apache reads .htaccess files.
    htaccess = site.web.htaccess if site.web.server is WebServer.APACHE else Htaccess.NONE
    return {
        "server": site.web.server.value,
        "site": names.package,
        "domains": list(host_names(site)),
        "modules": list(apache_modules(site)),
        "htaccess": htaccess.value,
        "tls": {"certificate": tls.certificate, "key": tls.key, "redirect": tls.redirect} if tls else None,
    }


def _job(site: Site, job: Job) -> Mapping[str, object]:
    return {
        "name": job.name,
        "schedule": job.schedule,
        "command": list(job.command),
        "timer": unit_names.cron_unit(site.name, job.name, "timer"),
        "service": unit_names.cron_unit(site.name, job.name, "service"),
    }


def _program(program: Program, release: Release) -> Mapping[str, object]:
    return {"path": program.path, "packages": list(programs.packages(program, release.codename))}
