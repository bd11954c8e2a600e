# SPDX-License-Identifier: GPL-2.0-or-later
"""Sites whose packages bring their code: it is root's, upgrades replace it, and what the site wrote outlives it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lifecycle.bed import Bed
from tests.lifecycle.container import Completed
from tests.lifecycle.server import Server

SITES = ("shared", "dedicated")
DESCRIPTION = """\
site: {site}
version: {version}
maintainer: Web Team <web@example.org>
domains: [{site}.example.org]
isolation: {site}
php: {{extensions: [mbstring]}}
writable: [files/up]
"""
PAGE = """<?php
require __DIR__ . '/lib/words.php';
file_put_contents('files/up/seen', $words);
$tried = [@file_put_contents(__FILE__, 'x'), @file_put_contents('new.php', 'x'), @unlink('lib/words.php'),
    @rename('files', 'other'), @symlink('/etc', 'planted'), @chmod('lib', 0777)];
echo $words, ' ', json_encode($tried), "\\n";
"""
REFUSED = "[false,false,false,false,false,false]"


@pytest.fixture(scope="module")
def server(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a site of each kind that brought the first version of its code."""
    bed.publish_own_packages()
    there = Server(bed, tmp_path_factory.mktemp("dist"))
    for site in SITES:
        publish(there, site, "1.0", "one")
    there.install(*(f"site-{site}-jail" for site in SITES))
    yield there


def publish(server: Server, site: str, version: str, words: str, code: bool = True) -> None:
    """Put a package into the repository whose start page says `words`."""
    web = server.directory / "dist/web"
    (web / "lib").mkdir(parents=True, exist_ok=True)
    (web / "index.php").write_text(PAGE)
    (web / "lib/words.php").write_text(f"<?php $words = '{words}';\n")
    (web / "lib" / f"{words}.php").write_text("")
    server.publish(DESCRIPTION.format(site=site, version=version) + ("code: web\n" if code else ""), f"{site}.yaml")
    (web / "lib" / f"{words}.php").unlink()


def root(site: str) -> Path:
    base = Path("/var/www", site)
    return (base / "var/www" / site if site == "shared" else base) / "htdocs"


def said(server: Server, site: str) -> str:
    return server.get("/", f"{site}.example.org").body.strip()


def owners(server: Server, path: Path) -> str:
    return server.run("stat", "-c", "%U %a", str(path)).stdout.strip()


def upgraded(server: Server, site: str, *, check: bool = True) -> Completed:
    return server.install(f"site-{site}-jail", check=check)


@pytest.mark.parametrize("site", SITES)
def test_code_answers_is_dpkgs_and_cannot_be_written_by_the_site(server: Server, site: str) -> None:
    assert said(server, site) == f"one {REFUSED}"
    assert f"site-{site}-jail: " in server.run("dpkg", "-S", f"{root(site)}/lib/words.php").stdout
    for path, expected in (("", "root 755"), ("lib", "root 755"), ("index.php", "root 644"), ("files", "root 755")):
        assert owners(server, root(site) / path) == expected
    assert owners(server, root(site) / "files/up") == f"_site-{site} 755"
    assert server.faults(site) == []


@pytest.mark.parametrize("site", SITES)
def test_an_upgrade_replaces_the_code_and_keeps_what_the_site_wrote(server: Server, site: str) -> None:
    server.write(str(root(site) / "files/up/photo"), "x")
    publish(server, site, "2.0", "two")
    upgraded(server, site)
    server.shell(
        f"for i in $(seq 300); do curl -s -H 'Host: {site}.example.org' http://127.0.0.1/ | grep -q ^two && exit; "
        "sleep 0.2; done; exit 1"
    )
    assert said(server, site) == f"two {REFUSED}"
    assert server.exists(str(root(site) / "files/up/photo"))
    assert not server.exists(str(root(site) / "lib/one.php")) and server.exists(str(root(site) / "lib/two.php"))


@pytest.mark.parametrize("site", SITES)
def test_a_link_that_was_planted_is_not_followed_by_dpkg(server: Server, site: str) -> None:
    """The site once had its document root for itself: apt must not unpack through what it left there."""
    server.shell(
        f"mkdir -p /srv/{site} && mv {root(site)}/lib {root(site)}/lib.away && cd {root(site)} && "
        f"chown _site-{site} . && runuser -u _site-{site} -- ln -s /srv/{site} lib && chown root ."
    )
    publish(server, site, "3.0", "three")
    refused = upgraded(server, site, check=False)
    assert not refused.good and f"{root(site)}/lib is not a directory that only root can write to" in refused.output
    assert server.shell(f"ls /srv/{site}").stdout == ""
    server.shell(f"cd {root(site)} && rm lib && mv lib.away lib")
    upgraded(server, site)
    assert server.exists(str(root(site) / "lib/three.php"))


@pytest.mark.parametrize("site", SITES)
def test_code_that_was_given_to_the_site_is_found_and_what_is_said_mends_it(server: Server, site: str) -> None:
    assert not [one for one in server.check(site) if one["name"] == "code" and one["level"] != "good"]
    server.run("chown", "-R", f"_site-{site}:", f"{root(site)}/lib")
    (found,) = [one for one in server.check(site) if one["name"] == "code"]
    assert found["level"] == "warning" and f"{root(site)}/lib (uid " in found["seen"], found
    move, reinstall, _ = found["fix"].split("; ")
    server.run(*move.split())
    server.run(*reinstall.replace("apt", "apt-get -y").split())
    server.shell(f"cp -a {root(site)}.former/files/up/. {root(site)}/files/up && rm -r {root(site)}.former")
    (found,) = [one for one in server.check(site) if one["name"] == "code"]
    assert found["level"] == "good" and server.faults(site) == []
    assert server.exists(str(root(site) / "files/up/photo"))


@pytest.mark.parametrize("site", SITES)
def test_removal_and_purge_take_the_code_and_keep_what_the_site_wrote(server: Server, site: str) -> None:
    server.apt("remove", f"site-{site}-jail")
    assert not server.exists(str(root(site) / "index.php")) and server.exists(str(root(site) / "files/up/photo"))
    server.apt("purge", f"site-{site}-jail")
    left = server.run("find", str(root(site)), "-type", "f").stdout.split()
    assert sorted(left) == [str(root(site) / "files/up" / name) for name in ("photo", "seen")]
