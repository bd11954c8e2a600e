# SPDX-License-Identifier: GPL-2.0-or-later
"""Rules between sites: what two sites of one server may not share.

Package, pool, socket, directories and mount unit are all made of the site's name, so that one name each is enough.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from fpmjail_deb import names
from fpmjail_deb.errors import Problem, quote
from fpmjail_deb.location import Location
from fpmjail_deb.site import Site, WebServer

Claim = tuple[str, str]
"""What only one site can have: a kind, and the one thing of that kind."""

HOST = "host name"


@dataclass(frozen=True, slots=True)
class Clash:
    """Two sites that cannot be on one server, by their names; the problem is told at the second one."""

    sites: tuple[str, str]
    problem: Problem


@dataclass(frozen=True, slots=True)
class Holder:
    """A site that claims something, and where it does so."""

    site: Site
    key_path: str
    place: Location


def problems(sites: Iterable[Site]) -> tuple[Problem, ...]:
    """Return a problem for each site that claims what an earlier one has: name, account, user number, host names."""
    return tuple(sorted(clash.problem for clash in clashes(sites)))


def clashes(sites: Iterable[Site]) -> tuple[Clash, ...]:
    """Return what each site has in common with an earlier one, once for each place in a description."""
    taken: dict[Claim, Holder] = {}
    found: dict[Location, Clash] = {}
    for site in sites:
        for claim, holder in _claims(site):
            if claim in taken:
                found.setdefault(holder.place, _same(claim, taken[claim], holder))
            taken.setdefault(claim, holder)
    for clash in _covered({host: holder for (kind, host), holder in taken.items() if kind == HOST}):
        found.setdefault(clash.problem.location, clash)
    return tuple(found.values())


def _same(claim: Claim, first: Holder, second: Holder) -> Clash:
    kind, thing = claim
    message = f"the {kind} {quote(thing)} is already that of {first.place}"
    return _clash(first, second, message, f"give each site a {kind} of its own")


def _clash(first: Holder, second: Holder, message: str, hint: str) -> Clash:
    return Clash((first.site.name, second.site.name), Problem(second.place, second.key_path, message, hint))


def _covered(hosts: dict[str, Holder]) -> Iterator[Clash]:
    """Yield host names that another site's wildcard covers.

    Apache takes the first virtual host that fits in the order of their files, wildcards included (seen;
    vhosts/details of its manual); nginx takes the most precise name wherever it stands (server_name of its
    manual), so there it is no clash.
    """
    for host, holder in hosts.items():
        parts = host.removeprefix("*.").split(".")
        above = range(0 if host.startswith("*.") else 1, len(parts))
        for wildcard in ("*." + ".".join(parts[index:]) for index in above):
            other = hosts.get(wildcard)
            if other and other.site.name != holder.site.name and not _both_nginx(other.site, holder.site):
                message = f"the {HOST} {quote(host)} is covered by {quote(wildcard)} of {other.place}"
                hint = "Apache shows the site whose file sorts first: list the names that each site has"
                yield _clash(other, holder, message, hint)


def _both_nginx(one: Site, other: Site) -> bool:
    return one.web.server is WebServer.NGINX and other.web.server is WebServer.NGINX


def _claims(site: Site) -> Iterator[tuple[Claim, Holder]]:
    places = dict(site.origins)

    def held(kind: str, thing: str, path: str) -> tuple[Claim, Holder]:
        return (kind, thing), Holder(site, path, places[path])

    yield held("name", site.name, "site")
    # An account that is not given follows from the name: the name is then what has to be changed.
    yield held("user", site.user, "user" if "user" in places else "site")
    if site.uid is not None:
        yield held("user number", str(site.uid), "uid")
    for key, hosts in (("domains", site.domains), ("aliases", site.aliases)):
        for index, host in enumerate(hosts):
            yield held(HOST, host, f"{key}[{index}]")
    # Job c of a-jail-cron-b, and job b-jail-cron-c of a, would be the same unit.
    for index, job in enumerate(site.cron):
        yield held("timer", names.cron_unit(site.name, job.name, "timer"), f"cron[{index}]")
