# SPDX-License-Identifier: GPL-2.0-or-later
"""A shared site answers every request as a dedicated one does, behind Apache and behind nginx."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.lifecycle.bed import Bed
from tests.lifecycle.server import Page, Server
from tests.lifecycle.test_nginx import DENIED, DESCRIPTION, FILES, REQUESTS, ask, eventually, values

MISSING = ("/missing.php", "/x.jpg/y.php", "/missing/x.php/y")
KINDS = {"dedicated": "apache", "sharedapache": "apache", "sharednginx": "nginx"}


def description(site: str) -> str:
    text = DESCRIPTION.format(site=site, server=KINDS[site])
    return text if site == "dedicated" else text.replace("domains", "isolation: shared\ndomains")


def root(site: str) -> str:
    return f"/var/www/{site}/htdocs" if site == "dedicated" else f"/var/www/{site}/var/www/{site}/htdocs"


@pytest.fixture(scope="module")
def server(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Three sites with the same files; Apache has the port first, then nginx."""
    bed.publish_own_packages()
    there = Server(bed, tmp_path_factory.mktemp("dist"))
    there.shell("head -c 20971520 /dev/urandom >/root/20M; systemctl unmask nginx")
    for site in KINDS:
        there.publish(description(site), f"{site}.yaml")
    there.install(*(f"site-{site}-jail" for site in KINDS))
    for site in KINDS:
        for name, text in FILES.items():
            there.shell(f"mkdir -p '{root(site)}/{name.rpartition('/')[0]}'")
            there.write(f"{root(site)}/{name}", text)
        there.shell(f"chown -R _site-{site}: {root(site)}")
    yield there


@pytest.fixture(scope="module")
def answers(server: Server) -> dict[str, dict[str, Page]]:
    """What each site said to the same requests."""
    seen = {site: said(server, site) for site in ("dedicated", "sharedapache")}
    denied(server, "sharedapache")
    server.shell("systemctl stop apache2; systemctl start nginx")
    server.run("fpmjail", "reload", check=False)
    assert eventually(lambda: server.get("/show.php", "sharednginx.example.org").status == 200)
    seen["sharednginx"] = said(server, "sharednginx")
    return seen


def said(server: Server, site: str) -> dict[str, Page]:
    """What a site says to all requests."""
    missing = {path: server.get(path, f"{site}.example.org", "--path-as-is") for path in MISSING}
    return missing | {name: ask(server, site, name) for name in REQUESTS}


def denied(server: Server, site: str) -> None:
    """Nothing that must not be shown or run is."""
    for path in DENIED:
        page = server.get(path, f"{site}.example.org", "--path-as-is")
        assert page.status == 403 and "secret" not in page.body and "run" not in page.body, (path, page)


@pytest.mark.parametrize("path", MISSING)
def test_a_script_that_is_not_there_is_never_phps_to_say(answers: dict[str, dict[str, Page]], path: str) -> None:
    """Apache gives such an address to the front controller, nginx a 404, for shared sites as for dedicated ones."""
    one, other = answers["dedicated"][path], answers["sharedapache"][path]
    assert (one.status, one.body.replace("dedicated", "sharedapache")) == (other.status, other.body)
    assert answers["sharednginx"][path].status == 404
    assert all("File not found." not in answers[site][path].body for site in KINDS)


@pytest.mark.parametrize("site", ["sharedapache", "sharednginx"])
@pytest.mark.parametrize("name", [name for name in REQUESTS if name != "chunked"])
def test_a_shared_site_gives_the_answer_of_a_dedicated_one(
    answers: dict[str, dict[str, Page]], name: str, site: str
) -> None:
    one, other = answers["dedicated"][name], answers[site][name]
    assert one.status == other.status
    assert one.body.replace("dedicated", site) == other.body
    for header in ("content-type", "x-content-type-options", "referrer-policy", "x-odd", "content-range"):
        assert values(one, header) == values(other, header) or not values(one, header)


def test_a_chunked_body_reaches_a_shared_site_whole(answers: dict[str, dict[str, Page]]) -> None:
    for site in ("sharedapache", "sharednginx"):
        assert json.loads(answers[site]["chunked"].body)["body"][0] == 3000000


def test_behind_nginx_nothing_is_shown_or_run_that_must_not_be(
    server: Server, answers: dict[str, dict[str, Page]]
) -> None:
    denied(server, "sharednginx")
    assert server.faults("sharednginx") == []


def test_drop_ins_of_nginx_are_proven_and_used(server: Server, answers: dict[str, dict[str, Page]]) -> None:
    place = "/etc/fpmjail/sites/sharednginx/nginx.d"
    server.write(f"{place}/hello.conf", 'add_header X-Hello "world" always;\n')
    server.run("fpmjail", "configure", "sharednginx")
    assert "x-hello: world" in server.get("/show.php", "sharednginx.example.org").headers.lower()
    server.write(f"{place}/zz-bad.conf", "\nnonsense on;\n")
    answer = server.run("fpmjail", "configure", "sharednginx")
    assert f"{place}/zz-bad.conf:2" in answer.output, answer.output
    assert "x-hello: world" in server.get("/show.php", "sharednginx.example.org").headers.lower()


def test_a_link_of_the_site_shows_nothing_of_others(server: Server, answers: dict[str, dict[str, Page]]) -> None:
    server.shell(f"ln -s /etc/passwd {root('sharednginx')}/passwd; ln -s / {root('sharednginx')}/root")
    server.shell(f"chown -h _site-sharednginx: {root('sharednginx')}/passwd {root('sharednginx')}/root")
    for path in ("/passwd", "/root/etc/passwd"):
        assert "_site-sharednginx" not in server.get(path, "sharednginx.example.org").body
