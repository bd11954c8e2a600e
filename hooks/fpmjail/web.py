# SPDX-License-Identifier: MIT
"""The web server of each site: the one place where Apache and nginx are told apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from fpmjail import apache, nginx, systemd
from fpmjail.layout import Layout
from fpmjail.site import Site
from fpmjail.vhost import Applied, Lacks, Result


class WebServer(Protocol):
    """What a module of a web server offers; its functions say what they do."""

    @property
    def NAME(self) -> str: ...

    @property
    def SERVICE(self) -> str: ...

    def apply(self, layout: Layout, site: Site, on: bool) -> Applied: ...

    def settle(self, layout: Layout, sites: Sequence[Site]) -> tuple[str, ...]: ...

    def lacks(self, layout: Layout, site: Site) -> Lacks: ...

    def dropin_directory(self, layout: Layout, site: Site) -> Path: ...

    def enabled(self, site: Site) -> bool: ...

    def disable(self, layout: Layout, site: Site) -> str | None: ...

    def reload(self) -> str | None: ...


SERVERS: Mapping[str, WebServer] = {"apache": apache, "nginx": nginx}


def server(site: Site) -> WebServer:
    """The module of the site's web server."""
    return SERVERS[site.web.server]


def apply_all(layout: Layout, wanted: Sequence[tuple[Site, bool]]) -> dict[str, Result]:
    """Prove and enable the virtual hosts of sites, each with whether it is on, and take them out of web servers that
    they were in before: what became of each, by its site's name.

    Apache, whose test takes longer with every site, is asked once for all of them.
    """
    results: dict[str, Result] = {site.name: fault for site, _ in wanted if (fault := left(layout, site))}
    going = [(site, on) for site, on in wanted if site.name not in results]
    results |= jointly(layout, [(site, on) for site, on in going if server(site) is apache])
    for site, on in going:
        if site.name not in results:
            results[site.name] = result_of(layout, site, on)
    return results


def jointly(layout: Layout, wanted: Sequence[tuple[Site, bool]]) -> Mapping[str, Result]:
    """What became of the sites of Apache; nothing when that cannot be said of all of them at once."""
    try:
        return apache.apply_all(layout, wanted)
    except Exception:  # each is then asked by itself, and says so of itself
        return {}


def result_of(layout: Layout, site: Site, on: bool) -> Result:
    """What became of one virtual host: whatever is wrong with it, it is wrong with this one alone."""
    try:
        return server(site).apply(layout, site, on)
    except Exception as error:  # whatever it is, it stops no other site
        return error


def left(layout: Layout, site: Site) -> Exception | None:
    """What kept the site from being taken out of other web servers."""
    try:
        leave(layout, site)
    except Exception as error:  # whatever it is, it stops no other site
        return error
    return None


def leave(layout: Layout, site: Site) -> None:
    """An older version of the package may have been for another web server: a link into nothing would break it."""
    for name, other in SERVERS.items():
        if name != site.web.server and other.enabled(site):
            other.disable(layout, site)
            if systemd.running() and systemd.active(other.SERVICE):
                other.reload()


def enabled(site: Site) -> bool:
    """True when the web server has the virtual host."""
    return server(site).enabled(site)


def disable(layout: Layout, site: Site) -> str | None:
    """Take the virtual host out; returns what went wrong."""
    return server(site).disable(layout, site)


def dropin_directory(layout: Layout, site: Site) -> Path:
    """Where the admin puts his own directives for the virtual host."""
    return server(site).dropin_directory(layout, site)


def lacks(layout: Layout, site: Site) -> Lacks:
    """What keeps the web server from serving the site as its description says."""
    return server(site).lacks(layout, site)


def reload(site: Site) -> str | None:
    """Test and reload the site's web server; returns what is in the way."""
    return server(site).reload()


def reload_all(layout: Layout, sites: Iterable[Site]) -> tuple[tuple[str, ...], str | None]:
    """Settle and reload, once, each web server that has one of these sites; (what to know, what is in the way)."""
    words: list[str] = []
    troubles: list[str] = []
    known = tuple(sites)
    for name, one in SERVERS.items():
        if own := [site for site in known if site.web.server == name]:
            words += one.settle(layout, own)
            troubles += filter(None, (one.reload(),))
    return tuple(words), "; ".join(troubles) or None
