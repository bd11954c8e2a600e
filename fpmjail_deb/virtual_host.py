# SPDX-License-Identifier: GPL-2.0-or-later
"""What the virtual host says beyond the site description."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fpmjail_deb.errors import BuildError, quote
from fpmjail_deb.site import Htaccess, Site, WebServer

INDEX = ("index.php", "index.html")
PROXY_MARGIN = 15
"""Seconds that the web server waits longer than FPM lets a request run, so that FPM's answer wins."""

_HEADER_NAME = re.compile(r"[A-Za-z0-9-]+")


@dataclass(frozen=True, slots=True)
class VirtualHostValues:
    """`fallback` is FallbackResource's argument: a URL path or `disabled`; `proxy_timeout` is in seconds."""

    server_name: str
    server_aliases: tuple[str, ...]
    directory_index: tuple[str, ...]
    fallback: str
    proxy_timeout: int


def host_names(site: Site) -> tuple[str, ...]:
    """Return every name that the site answers to, the main one first."""
    return tuple(dict.fromkeys((*site.domains, *site.aliases)))


def virtual_host_values(site: Site) -> VirtualHostValues:
    """Return the values. Raises BuildError for a header that cannot be sent."""
    for name, _ in site.web.headers:
        if not _HEADER_NAME.fullmatch(name):
            raise BuildError(f"web.headers: {quote(name)} is not the name of a header", "use letters, digits and -")
    first, *others = host_names(site)
    front = site.web.front_controller
    index = tuple(dict.fromkeys((*((front,) if front and "/" not in front else ()), *INDEX)))
    return VirtualHostValues(
        server_name=first,
        server_aliases=tuple(others),
        directory_index=index,
        fallback=f"/{front}" if front else "disabled",
        proxy_timeout=site.php.pool.request_timeout + PROXY_MARGIN,
    )


def apache_modules(site: Site) -> tuple[str, ...]:
    """Return the modules, beyond those that Apache cannot be without, that this site's virtual host speaks to."""
    if site.web.server is not WebServer.APACHE:
        return ()
    modules = {"dir", "headers", "proxy_fcgi", "setenvif"}
    if site.web.htaccess is Htaccess.SAFE:
        modules |= {"alias"}
    if site.web.htaccess is Htaccess.ALL:
        modules |= {"alias", "rewrite"}
    if site.web.tls:
        modules |= {"ssl", "rewrite"} if site.web.tls.redirect else {"ssl"}
    return tuple(sorted(modules))
