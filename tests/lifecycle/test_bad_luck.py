# SPDX-License-Identifier: GPL-2.0-or-later
"""Hosts that are not ready: one clear sentence, a way out, no other site touched, and apt repairs it afterwards."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from tests.lifecycle.bed import Bed
from tests.lifecycle.server import EXAMPLE, HOMEPAGE, Server

PACKAGE = "site-example-jail"
OTHER = """\
site: other
maintainer: Web Team <web@example.org>
domains: [other.example.org]
"""

OTHER_CHARSETS = """\
site: example
version: 2.0.0
maintainer: Web Team <web@example.org>
domains: [example.org]
jail:
  charsets: [EUC-JP]
"""
NOT_INSTALLABLE = OTHER_CHARSETS.replace("2.0.0", "3.0.0") + "php:\n  extensions: [ldap]\n"


@pytest.fixture(scope="module")
def server(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with another site, which must not notice anything."""
    bed.publish_own_packages()
    there = Server(bed, tmp_path_factory.mktemp("dist"))
    there.publish(OTHER, "other.yaml")
    there.install("site-other-jail")
    there.write_page("index.php", HOMEPAGE, site="other")
    there.publish(EXAMPLE)
    yield there


@pytest.fixture(autouse=True)
def the_other_site_is_untouched(server: Server) -> Iterator[None]:
    """Before and after every test the neighbour works."""
    yield
    assert server.get("/", "other.example.org").status == 200
    server.apt("purge", PACKAGE)
    server.shell("rm -rf /var/www/example; userdel _site-example 2>/dev/null || true")


def test_an_account_with_another_home_is_refused_and_left_alone(server: Server) -> None:
    server.run("useradd", "--system", "--home-dir", "/home/somebody", "_site-example")
    answer = server.install(PACKAGE, check=False)
    assert not answer.good
    assert "the account _site-example was there before, with home /home/somebody" in answer.output
    assert "/home/somebody" in server.run("getent", "passwd", "_site-example").stdout
    server.run("usermod", "--home", "/var/www/example", "_site-example")
    server.run("dpkg", "--configure", PACKAGE)
    assert server.faults() == []


def test_a_document_root_of_somebody_else_is_named_and_not_taken(server: Server) -> None:
    server.shell("mkdir -p /var/www/example/htdocs && chown games /var/www/example/htdocs")
    answer = server.install(PACKAGE)
    assert "/var/www/example/htdocs belongs to uid" in answer.output
    assert server.run("stat", "-c", "%U", "/var/www/example/htdocs").stdout.strip() == "games"


def test_a_document_root_that_is_a_link_is_refused(server: Server) -> None:
    server.shell("mkdir -p /var/www/example && ln -s /etc /var/www/example/htdocs")
    answer = server.install(PACKAGE, check=False)
    assert not answer.good and "is a symbolic link" in answer.output
    assert server.run("stat", "-c", "%U", "/etc").stdout.strip() == "root"
    server.shell("rm /var/www/example/htdocs")
    server.apt("-f", "install")
    assert server.faults() == []


def test_apache_that_is_off_is_said_and_the_site_answers_once_it_runs(server: Server) -> None:
    server.run("systemctl", "stop", "apache2")
    answer = server.install(PACKAGE)
    assert "Apache is not running" in answer.output
    server.run("systemctl", "start", "apache2")
    assert server.faults() == []


def test_a_foreign_broken_virtual_host_is_named_and_stops_nothing(server: Server) -> None:
    server.write("/etc/apache2/sites-enabled/foreign.conf", "Nonsense on\n")
    server.write("/etc/fpmjail/sites/example/apache.d/late.conf", "Header always set X-Late yes\n")
    answer = server.install(PACKAGE)
    assert "Apache's configuration was broken before" in answer.output
    assert "line 1 of /etc/apache2/sites-enabled/foreign.conf" in answer.output
    server.run("rm", "/etc/apache2/sites-enabled/foreign.conf")
    server.run("fpmjail", "reload")
    assert server.faults() == []
    assert "X-Late: yes" in server.get("/").headers


def test_a_port_443_that_is_taken_keeps_tls_off_and_apache_up(server: Server) -> None:
    listener = server.container.popen(
        "python3", "-c", "import socket, time; s = socket.create_server(('', 443)); time.sleep(60)"
    )
    server.shell(
        "mkdir -p /etc/letsencrypt/live/example.org && cd /etc/letsencrypt/live/example.org && openssl req -x509 "
        "-newkey ed25519 -nodes -subj /CN=example.org -days 9 -keyout privkey.pem -out fullchain.pem 2>/dev/null"
    )
    answer = server.install(PACKAGE)
    assert "port 443 is taken by another program" in answer.output
    assert server.run("systemctl", "is-active", "apache2").stdout.strip() == "active"
    os.killpg(listener.pid, signal.SIGKILL)
    listener.communicate()
    server.run("fpmjail", "reload")
    page = server.run("curl", "-sk", "--resolve", "example.org:443:127.0.0.1", "-o", "/dev/null", "-w", "%{http_code}",
                      "https://example.org/").stdout  # fmt: skip
    assert page in ("200", "403", "404")
    assert server.get("/").status in (301, 302, 308)
    server.shell("rm -r /etc/letsencrypt && a2dismod -q -m ssl; systemctl reload apache2")


def test_a_certificate_that_appears_is_taken_up_by_itself(server: Server) -> None:
    server.install(PACKAGE)
    server.write_page("index.php", HOMEPAGE)
    assert server.get("/").status == 200
    server.shell(
        "mkdir -p /etc/letsencrypt/live/example.org && cd /etc/letsencrypt/live/example.org && openssl req -x509 "
        "-newkey ed25519 -nodes -subj /CN=example.org -days 9 -keyout privkey.pem -out new.pem 2>/dev/null && "
        "mv new.pem fullchain.pem"
    )
    server.shell(
        "for i in $(seq 60); do curl -sk -m 5 --resolve example.org:443:127.0.0.1 https://example.org/ | grep -q hello "
        "&& exit 0; sleep 0.5; done; exit 1"
    )
    assert server.get("/").status in (301, 302, 308)
    server.write_page(".well-known/acme-challenge/token", "proof")
    assert server.get("/.well-known/acme-challenge/token").body == "proof"
    server.shell("rm -r /etc/letsencrypt && a2dismod -q -m ssl; systemctl reload apache2")


def test_a_full_disk_stops_the_new_site_with_a_sentence_and_apt_repairs_it_later(server: Server) -> None:
    server.publish(OTHER_CHARSETS, "example.yaml")
    server.run("mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", "/var/lib/fpmjail/images")
    answer = server.install(PACKAGE, check=False)
    server.run("umount", "/var/lib/fpmjail/images")
    assert not answer.good
    assert "no space for the image" in answer.output and "MB are free" in answer.output
    assert not server.exists("/etc/apache2/sites-enabled/site-example-jail.conf")
    server.apt("-f", "install")
    assert server.faults() == []


def test_a_php_that_apt_cannot_install_leaves_everything_as_it_was(server: Server) -> None:
    server.publish(NOT_INSTALLABLE, "example.yaml")
    answer = server.install(PACKAGE, check=False)
    assert not answer.good and f"php{server.php}-ldap" in answer.output
    assert not server.exists("/usr/share/fpmjail/sites/example")
