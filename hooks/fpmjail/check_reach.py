# SPDX-License-Identifier: MIT
"""Judges what a jail reaches outside of itself: database servers, host names, /proc. Pure but for `check`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from fpmjail import check_mail, mail, reach
from fpmjail.finding import Finding, bad, compared, good, origin, warning, words_outside
from fpmjail.judges import judge_capability
from fpmjail.layout import Layout
from fpmjail.probe import Result
from fpmjail.site import SERVER_DIRECTORIES, Site

Outside = Mapping[str, Result | None]


def check(layout: Layout, site: Site, results: Sequence[Result], outside: Outside) -> tuple[Finding, ...]:
    """Every finding of these probes, the servers' among them, and what can be seen without asking PHP.

    `outside` is what the same probes found outside of the jail, as far as they were asked there.
    """
    return (
        *(found for result in results for found in _judge(layout, site, result, outside.get(result.capability))),
        *judge_resolver(site, reach.resolver_fault(layout)),
        *judge_proc(site),
    )


def _judge(layout: Layout, site: Site, result: Result, outside: Result | None) -> tuple[Finding, ...]:
    if result.capability == mail.CAPABILITY:
        return check_mail.check(layout, site, result)
    if result.capability not in dict(site.jail.sockets) or result.passed or not result.answered:
        return (judge_capability(site, result, outside),)
    found = judge_server(site, result, reach.listening(reach.sockets(layout, result.capability)))
    return (replace(found, outside=words_outside(outside), verdict=compared(result, outside)),)


def judge_server(site: Site, result: Result, listening: bool) -> Finding:
    """A probe that did not reach a database server; one that does not run is no fault of the site's."""
    name = result.capability
    server, directory = reach.SERVERS[name], SERVER_DIRECTORIES[name]
    if not listening:
        seen = f"nothing listens in {directory}: {server.package} is not installed, or not running"
        fix = f"apt install {server.package}, or: systemctl start {server.unit}; the site need not be restarted"
        found = warning("capability", name, seen, fix)
    elif any("Permission denied" in words for words in result.findings):
        found = bad("capability", name, "; ".join(result.findings), server.access)
    else:
        fix = "fpmjail refresh" if site.shared else f"systemctl restart {site.units.service}"
        found = bad("capability", name, "; ".join(result.findings), fix)
    return replace(found, origin=origin(site, f"jail.{name}"))


def judge_resolver(site: Site, fault: str) -> tuple[Finding, ...]:
    """A resolv.conf that leads nowhere: the jail keeps the last one, which was right once."""
    if site.jail.dns != "resolver":
        return ()
    if not fault:
        return (good("capability", "resolver", "follows the server's resolv.conf"),)
    fix = "put resolv.conf right, or start what writes it, such as systemd-resolved; the jails follow by themselves"
    return (warning("capability", "resolver", f"{fault}; the jail keeps the last one", fix),)


def judge_proc(site: Site) -> tuple[Finding, ...]:
    """`proc: host` is the admin's decision, and a leak."""
    if site.jail.proc != "host":
        return ()
    seen = "`host` shows the site every process of this server, with its command line"
    return (replace(warning("mounts", "/proc", seen, "proc: private"), origin=origin(site, "jail.proc")),)
