# SPDX-License-Identifier: GPL-2.0-or-later
"""Two sites of one server share no name, account, number or host name."""

import pytest

from fpmjail_deb import fleet
from fpmjail_deb.description import read_site
from fpmjail_deb.site import Site


def site(name: str, more: str = "", file: str = "") -> Site:
    """Read a short description."""
    domains = "" if "domains:" in more else f"domains: [{name}.org]\n"
    return read_site(f"site: {name}\nmaintainer: A <a@b.org>\n{domains}{more}".encode(), file or f"{name}.yaml")


def said(*sites: Site) -> list[str]:
    """Return what is said about some sites on one server."""
    return [str(problem) for problem in fleet.problems(sites)]


def test_different_sites_are_no_problem() -> None:
    assert said(site("a", "uid: 200"), site("b", "uid: 201"), site("c")) == []


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ("user: _site-a", 'b.yaml:4:1: user: the user "_site-a" is already that of a.yaml:1:1'),
        ("uid: 200", 'b.yaml:4:1: uid: the user number "200" is already that of a.yaml:4:1'),
        ("domains: [b.org, a.org]", 'b.yaml:3:18: domains[1]: the host name "a.org" is already that of a.yaml:3:11'),
        ("aliases: [a.net]", 'b.yaml:4:11: aliases[0]: the host name "a.net" is already that of a.yaml:5:11'),
        ("aliases: [a.org]", 'b.yaml:4:11: aliases[0]: the host name "a.org" is already that of a.yaml:3:11'),
    ],
)
def test_what_another_site_has_is_told_with_both_places(more: str, problem: str) -> None:
    [found] = said(site("a", "uid: 200\naliases: [a.net]"), site("b", more))
    assert found.startswith(problem)
    assert found.endswith(" of its own")


def test_an_account_that_follows_from_the_name_leads_to_the_name() -> None:
    [found] = said(site("a", "user: _site-b"), site("b"))
    assert found.startswith('b.yaml:1:1: site: the user "_site-b" is already that of a.yaml:4:1')


def test_the_same_name_is_told_once() -> None:
    [found] = said(site("a"), site("a", "domains: [other.org]", file="copy.yaml"))
    assert found.startswith('copy.yaml:1:1: site: the name "a" is already that of a.yaml:1:1')


def test_each_of_three_sites_is_compared_with_the_first() -> None:
    found = said(site("a", "uid: 200"), site("b", "uid: 200"), site("c", "uid: 200"))
    assert [problem.partition(":")[0] for problem in found] == ["b.yaml", "c.yaml"]


@pytest.mark.parametrize("host", ["www.a.org", "x.y.a.org", '"*.b.a.org"'])
def test_a_name_that_the_wildcard_of_another_site_covers_is_told(host: str) -> None:
    [found] = said(site("a", 'aliases: ["*.a.org"]'), site("b", f"aliases: [{host}]"))
    name = host.strip('"')
    message = f'b.yaml:4:11: aliases[0]: the host name "{name}" is covered by "*.a.org" of a.yaml:4:11; '
    assert found.startswith(message)


def test_a_wildcard_of_a_later_file_covers_names_too() -> None:
    [found] = said(site("a", "aliases: [www.b.org]"), site("b", 'aliases: ["*.b.org"]'))
    assert found.startswith('a.yaml:4:11: aliases[0]: the host name "www.b.org" is covered by "*.b.org" of b.yaml:4:11')


@pytest.mark.parametrize("host", ["a.org", "ba.org", "a.org.net"])
def test_a_wildcard_covers_only_what_is_below_it(host: str) -> None:
    assert said(site("x", 'aliases: ["*.a.org"]'), site("b", f"aliases: [{host}]")) == []


def test_a_site_may_have_names_below_its_own_wildcard() -> None:
    assert said(site("a", 'aliases: ["*.a.org", www.a.org]')) == []


def test_nginx_knows_the_more_precise_name() -> None:
    nginx = "\nweb: {server: nginx}"
    one, other = 'aliases: ["*.a.org"]', "aliases: [www.a.org]"
    assert said(site("a", one + nginx), site("b", other + nginx)) == []
    assert len(said(site("a", one + nginx), site("b", other))) == 1


def test_two_jobs_that_would_be_one_unit_are_told() -> None:
    job = "cron: [{{name: {}, schedule: daily, command: php a.php}}]"
    [found] = said(site("a", job.format("b-jail-cron-c")), site("a-jail-cron-b", job.format("c")))
    assert found.startswith(
        'a-jail-cron-b.yaml:4:8: cron[0]: the timer "site-a-jail-cron-b-jail-cron-c.timer" is already that of a.yaml:4'
    )


def test_both_sites_of_a_clash_are_named() -> None:
    [clash] = fleet.clashes([site("a"), site("b"), site("c", "domains: [a.org]")])
    assert clash.sites == ("a", "c")
