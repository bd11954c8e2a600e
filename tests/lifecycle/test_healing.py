# SPDX-License-Identifier: GPL-2.0-or-later
"""What is changed by hand reaches the sites, and what is interrupted repairs itself."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator

import pytest

from tests.lifecycle.bed import Bed
from tests.lifecycle.server import EXAMPLE, HOMEPAGE, Server

KILLS = 15
INI = "/etc/php/{php}/fpm/php.ini"


@pytest.fixture(scope="module")
def server(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with one site that is up."""
    bed.publish_own_packages()
    there = Server(bed, tmp_path_factory.mktemp("dist"))
    there.publish(EXAMPLE)
    there.install("site-example-jail")
    there.write_page("index.php", HOMEPAGE)
    assert there.get("/").status == 200
    yield there


def eventually(true: Callable[[], bool], seconds: float = 90.0) -> bool:
    """Whether something comes true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.3)
    return true()


def test_phpenmod_by_hand_reaches_the_site(server: Server) -> None:
    server.write_page("apcu.php", "<?php echo function_exists('apcu_store') ? 'on' : 'off';")
    before = server.get("/apcu.php").body
    tool = "phpdismod" if before == "on" else "phpenmod"
    server.run(tool, "-s", "fpm", "apcu")
    assert eventually(lambda: server.get("/apcu.php").body != before)
    back = "phpenmod" if tool == "phpdismod" else "phpdismod"
    server.run(back, "-s", "fpm", "apcu")
    assert eventually(lambda: server.get("/apcu.php").body == before)


def test_an_edit_of_php_ini_reaches_the_site(server: Server) -> None:
    server.write_page("ini.php", "<?php echo ini_get('highlight.comment');")
    server.shell(f"printf '\\nhighlight.comment = \"#123456\"\\n' >>{INI.format(php=server.php)}")
    assert eventually(lambda: server.get("/ini.php").body == "#123456")


def test_a_changed_resolv_conf_is_followed_without_a_new_generation(server: Server) -> None:
    server.write_page("resolv.php", "<?php echo file_get_contents('/etc/resolv.conf');")
    before = server.truth()["generation"]
    server.shell("echo 'nameserver 192.0.2.77' >/etc/resolv.conf.new && mv /etc/resolv.conf.new /etc/resolv.conf")
    assert eventually(lambda: "192.0.2.77" in server.get("/resolv.php").body)
    assert server.truth()["generation"] == before


def test_update_ca_certificates_by_hand_reaches_the_site(server: Server) -> None:
    server.write_page("ca.php", "<?php echo hash_file('sha256', '/etc/ssl/certs/ca-certificates.crt');")
    server.shell(
        "openssl req -x509 -newkey ed25519 -nodes -subj /CN=local -days 9 -keyout /dev/null "
        "-out /usr/local/share/ca-certificates/local.crt 2>/dev/null && update-ca-certificates"
    )
    wanted = server.run("sha256sum", "/etc/ssl/certs/ca-certificates.crt").stdout.split()[0]
    assert eventually(lambda: server.get("/ca.php").body == wanted)


def test_a_generation_that_fails_its_proof_is_never_switched_to(server: Server) -> None:
    zone, before = "/usr/share/zoneinfo/Europe/Paris", server.truth()["generation"]
    server.shell(f"cp -a {zone} /root/zone && head -c 500 /dev/urandom >{zone}")
    answer = server.run("fpmjail", "refresh", check=False)
    assert not answer.good and "timezones" in answer.output
    assert server.truth()["generation"] == before and server.get("/").status == 200
    assert any("held" in words for row in server.status()["images"] for words in row["warnings"])
    server.shell(f"mv /root/zone {zone}")
    server.run("fpmjail", "refresh")
    server.assert_true_to_host()
    assert server.status()["images"][0]["warnings"] == []


def test_an_image_never_shrinks_when_a_file_is_missing_on_the_host(server: Server) -> None:
    bundle, before = "/etc/ssl/certs/ca-certificates.crt", server.truth()["generation"]
    server.shell(f"mv {bundle} /root/bundle")
    answer = server.run("fpmjail", "refresh", check=False)
    assert not answer.good and bundle in answer.output
    assert server.container.read(f"/var/lib/fpmjail/jails/example/{bundle}").startswith("-----BEGIN CERTIFICATE")
    server.shell(f"mv /root/bundle {bundle}")
    server.run("fpmjail", "refresh")
    assert server.truth()["generation"] == before


def test_a_dry_run_says_what_would_happen_and_does_nothing(server: Server) -> None:
    server.quiet()
    before = server.truth()["generation"]
    server.shell(f"echo '; dry' >>{INI.format(php=server.php)}")
    answer = server.run("fpmjail", "refresh", "--dry-run")
    assert "switched to a new generation" in answer.stdout
    assert server.truth()["generation"] == before
    server.run("fpmjail", "refresh")
    assert server.truth()["generation"] != before
    server.shell("systemctl start fpmjail-refresh.path fpmjail-refresh.timer")


def test_a_killed_refresh_leaves_a_complete_generation_and_the_next_run_repairs(server: Server) -> None:
    ini = INI.format(php=server.php)
    server.quiet()
    chance = random.Random(2026)
    for number in range(KILLS):
        server.shell(f"echo '; {number}' >>{ini}")
        moment = chance.uniform(0.05, 1.6)
        server.run("timeout", "--signal=KILL", f"{moment:.3f}", "fpmjail", "refresh", check=False)
        seen = server.truth()
        assert not seen["wrong"] and seen["compared"] > 500, (number, moment, seen)
    assert server.get("/").status == 200
    server.run("fpmjail", "refresh")
    server.assert_true_to_host()
    assert server.faults() == []
    left = server.shell("ls -A /var/lib/fpmjail/images/*/ | grep -c build- || true").stdout.strip()
    assert left == "0"
    server.shell("systemctl start fpmjail-refresh.path fpmjail-refresh.timer")


def test_a_site_is_up_after_a_reboot(server: Server) -> None:
    server.container.reboot()
    assert server.get("/index.php").body == "hello from fpm-fcgi own\n"
    assert server.faults() == []


def test_a_data_directory_that_is_missing_at_boot_and_appears_later_heals_the_site_by_itself(server: Server) -> None:
    server.run("mv", "/var/www/example", "/var/www/example.away")
    server.container.reboot()
    server.run("systemctl", "start", "--no-block", "site-example-jail.service")
    time.sleep(3)
    assert server.get("/index.php").status != 200
    server.run("mv", "/var/www/example.away", "/var/www/example")
    assert eventually(lambda: server.get("/index.php").status == 200)
    assert server.faults() == []
