# SPDX-License-Identifier: GPL-2.0-or-later
"""The life of a site from `apt install` to `apt purge`, in one server per release. The tests tell it in order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lifecycle import load
from tests.lifecycle.bed import Bed
from tests.lifecycle.load import Load
from tests.lifecycle.server import EXAMPLE, HOMEPAGE, Server

PACKAGE = "site-example-jail"
SERVICE = "site-example-jail.service"
NEWER = EXAMPLE.read_text().replace("version: 1.0.0", "version: 1.1.0")
ENABLED = "/etc/apache2/sites-enabled/site-example-jail.conf"


@pytest.fixture(scope="module")
def server(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that knows our repository, and nothing of ours installed."""
    bed.publish_own_packages()
    there = Server(bed, tmp_path_factory.mktemp("dist"))
    there.publish(EXAMPLE)
    yield there


def main_pid(server: Server) -> str:
    return server.run("systemctl", "show", "--value", "--property=MainPID", SERVICE).stdout.strip()


def test_apt_installs_a_site_that_answers_and_says_so(server: Server) -> None:
    answer = server.install(PACKAGE)
    assert "example: is ready; put its files into /var/www/example/htdocs" in answer.output
    server.write_page("index.php", HOMEPAGE)
    page = server.get("/")
    assert (page.status, page.body) == (200, "hello from fpm-fcgi own\n"), page


def test_check_finds_nothing_wrong_with_a_fresh_site(server: Server) -> None:
    assert server.faults() == []
    assert server.run("fpmjail", "check", "example").good
    assert server.run("fpmjail", "status", check=False).good


def test_the_copies_are_the_hosts_files(server: Server) -> None:
    seen = server.truth("example")
    assert seen["compared"] > 500 and (seen["stale"], seen["wrong"]) == ([], []), seen


def test_response_headers_of_the_description_reach_the_visitor_of_a_php_page(server: Server) -> None:
    assert "x-content-type-options: nosniff" in server.get("/").headers.lower()


def test_a_missing_script_is_a_plain_404_and_with_a_front_controller_a_page_of_its_own(server: Server) -> None:
    assert server.get("/missing/missing.php").body == "hello from fpm-fcgi own\n"
    server.run("mv", "/var/www/example/htdocs/index.php", "/root/index.php")
    page = server.get("/missing/missing.php")
    server.run("mv", "/root/index.php", "/var/www/example/htdocs/index.php")
    assert page.status == 404
    assert "was not found on this server" in page.body and "File not found." not in page.body


def test_paths_agree_inside_and_outside(server: Server) -> None:
    server.write_page(
        "paths.php", "<?php echo __FILE__, ' ', $_SERVER['DOCUMENT_ROOT'], ' ', $_SERVER['PATH_INFO'] ?? '';"
    )
    page = server.get("/paths.php/extra")
    assert page.body == "/var/www/example/htdocs/paths.php /var/www/example/htdocs /extra"


def test_a_chunked_request_reaches_php_whole(server: Server) -> None:
    server.write_page("length.php", "<?php echo strlen(file_get_contents('php://input'));")
    server.shell("head -c 3000000 /dev/zero >/root/body")
    sent = ("-H", "Transfer-Encoding: chunked", "-H", "Expect:", "--data-binary", "@/root/body")
    page = server.get("/length.php", "example.org", *sent)
    assert page.body == "3000000", page


def test_a_second_install_changes_nothing(server: Server) -> None:
    before = main_pid(server)
    server.apt("install", "--reinstall", PACKAGE)
    assert main_pid(server) == before
    assert server.faults() == []


def test_a_newer_version_replaces_the_older_one_while_the_site_stays_up(server: Server) -> None:
    server.write_page("load.php", load.PAGE)
    server.publish(NEWER, "example.yaml")
    with Load(server.container, host="example.org", path="/load.php") as requests:
        server.apt("upgrade")
    report = requests.report()
    assert server.run("dpkg-query", "-W", "-f", "${Version}", PACKAGE).stdout.startswith("1.1.0+deb")
    assert report.requests > 20 and not report.failed, report


def test_a_pool_drop_in_is_taken_over_and_survives_an_upgrade(server: Server) -> None:
    server.write("/etc/fpmjail/sites/example/fpm.d/memory.conf", "php_admin_value[memory_limit] = 77M\n")
    server.write_page("memory.php", "<?php echo ini_get('memory_limit');")
    assert server.get("/memory.php").body != "77M"
    assert any("not applied" in row for row in server.status()["sites"][0]["warnings"])
    server.run("fpmjail", "configure", "example")
    assert server.get("/memory.php").body == "77M"
    server.apt("install", "--reinstall", PACKAGE)
    assert server.get("/memory.php").body == "77M"


@pytest.mark.parametrize(
    ("kind", "text", "line"),
    [
        ("fpm.d", "; fine\nnonsense = 1\n", 2),
        ("fpm.d", "listen = /tmp/x.sock\n", 1),
        ("fpm.d", ";\nphp_admin_value[memory_limit = 5\n", 2),
        ("apache.d", "\n\nNonsense on\n", 3),
    ],
)
def test_a_broken_drop_in_is_named_and_the_site_stays_up(server: Server, kind: str, text: str, line: int) -> None:
    place = f"/etc/fpmjail/sites/example/{kind}/zz-broken.conf"
    server.write(place, text)
    answer = server.apt("install", "--reinstall", PACKAGE)
    assert f"{place}:{line}" in answer.output or f"line {line} of {place}" in answer.output, answer.output
    assert server.get("/memory.php").body == "77M"
    assert any("not applied" in row for row in server.status()["sites"][0]["warnings"])
    server.run("rm", place)
    server.run("fpmjail", "configure", "example")
    assert server.status()["sites"][0]["warnings"] == []


def test_an_apache_drop_in_is_proven_and_used(server: Server) -> None:
    server.write("/etc/fpmjail/sites/example/apache.d/hello.conf", 'Header always set X-Hello "world"\n')
    server.run("fpmjail", "configure", "example")
    server.run("fpmjail", "reload")
    assert "x-hello: world" in server.get("/").headers.lower()


def test_a_site_that_the_admin_disabled_stays_disabled(server: Server) -> None:
    server.run("a2dissite", "-q", PACKAGE)
    answer = server.apt("install", "--reinstall", PACKAGE)
    assert "stays off because an administrator disabled it" in answer.output
    assert not server.exists(ENABLED)
    server.run("a2ensite", "-q", PACKAGE)
    server.run("systemctl", "reload", "apache2")


def test_fpmjail_disable_outlives_an_upgrade(server: Server) -> None:
    server.run("fpmjail", "disable", "example")
    server.apt("install", "--reinstall", PACKAGE)
    assert main_pid(server) == "0"
    assert not server.exists("/run/fpmjail/example.sock") and not server.exists(ENABLED)
    server.run("fpmjail", "enable", "example")
    assert server.get("/memory.php").body == "77M"


def test_the_site_answers_after_a_restart_of_all_its_units(server: Server) -> None:
    server.run("systemctl", "stop", SERVICE, "site-example-jail.socket", "var-lib-fpmjail-jails-example-.image.mount")
    server.run("systemctl", "start", "site-example-jail.socket")
    assert server.get("/memory.php").body == "77M"
    assert server.faults() == []


def test_remove_leaves_the_data_and_nothing_that_runs(server: Server) -> None:
    server.apt("remove", PACKAGE)
    assert main_pid(server) in ("0", "")
    assert not server.exists(ENABLED) and not server.exists("/run/fpmjail/example.sock")
    assert "/var/lib/fpmjail/jails" not in server.read("/proc/self/mountinfo")
    assert server.read("/var/www/example/htdocs/index.php") == HOMEPAGE
    assert server.run("systemctl", "is-active", "apache2").stdout.strip() == "active"
    assert server.run("pgrep", "-u", "_site-example", check=False).stdout == ""


def test_a_removed_site_comes_back_with_its_drop_ins(server: Server) -> None:
    answer = server.install(PACKAGE)
    assert "example: http://example.org/ answers 200" in answer.output
    assert server.get("/memory.php").body == "77M"
    assert server.faults() == []


def test_purge_deletes_what_was_made_and_keeps_data_and_foreign_files(server: Server) -> None:
    server.write("/var/www/example/foreign.txt", "mine")
    server.shell("ln -s /etc/passwd /var/www/example/htdocs/link && touch /var/log/fpmjail/example/notes.txt")
    before = server.shell("cd /var/www/example && find . -type f -exec sha256sum {} + | sort").stdout
    usr = server.shell("find /usr/lib -xdev -type f | wc -l").stdout
    answer = server.apt("purge", PACKAGE)
    assert server.shell("cd /var/www/example && find . -type f -exec sha256sum {} + | sort").stdout == before
    assert server.exists("/var/log/fpmjail/example/notes.txt")
    for kept in ("/var/www/example", "/var/log/fpmjail/example", "/etc/fpmjail/sites/example"):
        assert kept in answer.output
    assert not server.exists("/var/lib/fpmjail/jails/example")
    assert not server.exists("/var/lib/fpmjail/sites/example")
    assert not server.exists("/etc/logrotate.d/site-example-jail")
    assert int(server.shell("find /usr/lib -xdev -type f | wc -l").stdout) >= int(usr) - 10
    assert server.run("getent", "passwd", "_site-example").good


def test_a_purged_site_can_be_installed_again(server: Server) -> None:
    server.install(PACKAGE)
    page = server.get("/index.php")
    assert (page.status, page.body) == (200, "hello from fpm-fcgi own\n")
    assert server.faults() == []


def test_one_broken_site_does_not_stop_another(server: Server) -> None:
    other = Path("examples/minimal.yaml").read_text()
    server.publish(other, "minimal.yaml")
    server.shell("mkdir -p /var/www/minimal && chown www-data /var/www/minimal")
    answer = server.install("site-minimal-jail", check=False)
    assert not answer.good
    assert "/var/www/minimal cannot be root's own directory" in answer.output
    assert "chown root:root /var/www/minimal" in answer.output
    assert not server.exists("/etc/apache2/sites-enabled/site-minimal-jail.conf")
    assert server.get("/index.php").status == 200
    server.shell("chown root:root /var/www/minimal")
    assert "minimal: is ready" in server.apt("-f", "install").output
    assert server.faults("minimal") == []
    assert server.faults() == []
