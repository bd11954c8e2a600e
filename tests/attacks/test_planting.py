# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever a site's user plants or exchanges while root works on his site, root touches nothing but the site."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.attacks import planting, table
from tests.attacks.cases import DEDICATED, OPEN, SHARED
from tests.attacks.planting import CASES, LAST, RACES, STEPS, Plot, Step
from tests.attacks.table import Outcomes
from tests.lifecycle.bed import Bed
from tests.lifecycle.server import Server

SITES = {DEDICATED: "", SHARED: "isolation: shared\n", "bystander": ""}
DESCRIPTION = """\
site: {site}
maintainer: Web Team <web@example.org>
domains: [{site}.example.org]
php: {{extensions: [mbstring]}}
jail: {{shell: restricted}}
writable: [uploads/deep, cache/lock]
{more}"""


@pytest.fixture(scope="module")
def server(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A hostile site of each isolation, one that is none of their business, and the bait."""
    bed.publish_own_packages()
    there = Server(bed, tmp_path_factory.mktemp("dist"))
    for site, more in SITES.items():
        there.publish(DESCRIPTION.format(site=site, more=more), f"{site}.yaml")
    there.install(*(f"site-{site}-jail" for site in SITES))
    there.shell("cd /root; apt-get download site-shared-jail site-dedicated-jail")
    there.shell("cd /root; for deb in site-*_*.deb; do mv $deb ${deb%%_*}.deb; done")
    there.shell(planting.BAIT)
    yield there


def naive(plot: Plot) -> str:
    """What a postinst without care does."""
    one = "mkdir -p $root/htdocs/uploads; chown _site-@: $root/htdocs/uploads"
    return plot.planted(Step("naive", "", f"for root in /var/www/@ /var/www/@/var/www/@; do {one}; done"))


@pytest.mark.parametrize("site", [SHARED, DEDICATED])
def test_a_command_without_care_would_be_seen(server: Server, site: str) -> None:
    assert naive(Plot(server, site)) == OPEN
    server.shell(f"rm -rf /srv/bait /var/www/{SHARED}/htdocs")  # there is no such directory in a chroot
    server.shell(planting.BAIT)


@pytest.fixture(scope="module")
def seen(server: Server) -> Outcomes:
    """All steps against both sites: with links in the way, and with names that are exchanged meanwhile."""
    outcomes: Outcomes = {}
    for site in planting.PLACES:
        plot = Plot(server, site)
        for step in STEPS:
            outcomes.setdefault(f"planted-{step.name}", {})[site] = plot.planted(step)
            outcomes.setdefault(f"racing-{step.name}", {})[site] = plot.raced(step)
        outcomes.setdefault(f"racing-{LAST.name}", {})[site] = plot.raced(LAST)
        plot.root_does("dpkg -i /root/site-@-jail.deb")
        outcomes.setdefault(f"planted-{LAST.name}", {})[site] = plot.planted(LAST)
        plot.root_does("dpkg -i /root/site-@-jail.deb")
    return outcomes


def test_root_touches_nothing_but_the_site(seen: Outcomes, release: str, pytestconfig: pytest.Config) -> None:
    if pytestconfig.getoption("update_golden"):
        table.record(f"{release}-planting", seen)
    assert {name: dict(step.expected) for name, step in (CASES | RACES).items()} == seen


def test_the_manual_has_what_was_seen(seen: Outcomes, release: str) -> None:
    recorded = table.recorded()[release]
    assert {name: recorded.get(name) for name in seen} == seen, "make attacks-table"


@pytest.mark.parametrize("site", [SHARED, DEDICATED])
def test_the_site_is_well_again_once_the_links_are_gone(seen: Outcomes, server: Server, site: str) -> None:
    server.run("fpmjail", "configure", site)
    assert server.faults(site) == []
