# SPDX-License-Identifier: GPL-2.0-or-later
"""Rules between sites: what two sites of one server may not share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fpmjail_deb.errors import Problem, quote
from fpmjail_deb.site import Location, Site

Claim = tuple[str, str]
"""What only one site can have: a kind, and the one thing of that kind."""


def problems(sites: Iterable[Site]) -> tuple[Problem, ...]:
    """Return a problem for each site that claims what an earlier one has: name, account, user number, host names."""
    taken: dict[Claim, Location] = {}
    found: dict[Location, Problem] = {}
    for site in sites:
        for claim, key_path, place in _claims(site):
            if claim in taken:
                kind, thing = claim
                message = f"the {kind} {quote(thing)} is already that of {taken[claim]}"
                found.setdefault(place, Problem(place, key_path, message, f"give each site a {kind} of its own"))
            taken.setdefault(claim, place)
    return tuple(sorted(found.values()))


def _claims(site: Site) -> Iterator[tuple[Claim, str, Location]]:
    places = dict(site.origins)
    yield ("name", site.name), "site", places["site"]
    # An account that is not given follows from the name: the name is then what has to be changed.
    user = "user" if "user" in places else "site"
    yield ("user", site.user), user, places[user]
    if site.uid is not None:
        yield ("user number", str(site.uid)), "uid", places["uid"]
    for key, hosts in (("domains", site.domains), ("aliases", site.aliases)):
        for index, host in enumerate(hosts):
            path = f"{key}[{index}]"
            yield ("host name", host), path, places[path]
