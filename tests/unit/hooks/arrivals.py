# SPDX-License-Identifier: GPL-2.0-or-later
"""Sites on their way to being configured, for tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from test_site_json import EXAMPLE, read

from fpmjail.arrival import Arrival, Surroundings
from fpmjail.places import Account
from fpmjail.site import Site


def named(name: str) -> Site:
    site = read(EXAMPLE)
    return replace(site, name=name, web=replace(site.web, site=f"site-{name}-jail"))


def arriving(name: str, say: Callable[[str], None] = print) -> Arrival:
    owner = Account(f"_site-{name}", 901, 901, f"/var/www/{name}", "/usr/sbin/nologin")
    return Arrival(named(name), owner, None, Surroundings(systemd=True, live=True), say)
