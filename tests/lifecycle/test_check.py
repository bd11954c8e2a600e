# SPDX-License-Identifier: GPL-2.0-or-later
"""`fpmjail check` on a server where things are broken on purpose: the right row, YAML line and exit status."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.lifecycle.bed import Bed
from tests.lifecycle.server import HOMEPAGE, Server

DESCRIPTION = """\
site: example
version: 1.0.0
maintainer: Ann Other <ann@example.org>
domains: [example.org]
php:
  extensions: [curl, mbstring, xml]
jail:
  charsets: [CP1252]
  timezones: [Europe/Paris]
"""
JAIL = "/var/lib/fpmjail/jails/example"
SOCKET = "/run/fpmjail/example.sock"
SERVICE = "site-example-jail.service"
ZONE = "/usr/share/zoneinfo/Europe/Paris"
PROBES = "/usr/share/fpmjail/probes"
METRICS = "/var/lib/prometheus/node-exporter/fpmjail.prom"
LINE = re.compile(r"FPMJAIL (OK|WARNING|CRITICAL|UNKNOWN) - [^|\n]+( \| (\S+=[\d.]+s?;[\d.]*;[\d.]*;0 ?)+)?\n")

WHO = """<?php
require __DIR__ . '/probe.inc.php';
$probe = Fpmjail\\Probe::begin();
$secrets = @file_get_contents('/etc/shadow') ? 'open' : 'sealed';
$probe->check('who', static fn () => 'uid ' . posix_geteuid() . " $secrets");
$probe->answer();
"""

BAD_FOR_TLS = """<?php
if (ini_get('highlight.comment') === '#BAD' && str_ends_with($_SERVER['SCRIPT_NAME'], '/tls.php')) {
    http_response_code(500);
    exit('no TLS');
}
"""


@pytest.fixture(scope="module")
def server(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with one site, and nothing that runs PHP outside of jails: nothing to warn of."""
    bed.publish_own_packages()
    there = Server(bed, tmp_path_factory.mktemp("dist"))
    there.publish(DESCRIPTION, "example.yaml")
    there.install("site-example-jail")
    there.write_page("index.php", HOMEPAGE)
    there.shell(f"systemctl stop php{there.php}-fpm; mkdir -p {METRICS.rpartition('/')[0]}")
    there.settle()
    there.quiet()
    yield there


def row(server: Server, topic: str, name: str) -> dict[str, Any]:
    """One finding about the site."""
    return next(one for one in server.check() if (one["topic"], one["name"]) == (topic, name))


def nagios(server: Server, *arguments: str) -> tuple[int, str]:
    """Exit status and line of the plugin."""
    answer = server.run("fpmjail", "check", "--nagios", *(arguments or ("--all",)), check=False)
    assert LINE.fullmatch(answer.stdout), answer.output
    return answer.returncode, answer.stdout


def copies(server: Server) -> str:
    """Where the generation in use lies."""
    return f"{server.shell('readlink -f /var/lib/fpmjail/images/*/current').stdout.strip()}"


def test_a_fresh_server_has_nothing_but_good_rows_and_leaves_no_trace_of_the_look_outside(server: Server) -> None:
    found = server.check_all()
    assert set(found) == {"example", "(server)"}
    assert [one for rows in found.values() for one in rows if one["level"] != "good"] == []
    verdicts = {one["name"]: one["verdict"] for one in found["example"] if one["verdict"]}
    assert set(verdicts.values()) == {"ok", "better than outside"}, verdicts
    assert verdicts["timezones"] == verdicts["tls"] == verdicts["charsets"] == "ok"
    assert verdicts["php"] == "better than outside"  # there is a shell outside
    left = server.shell("ls /run/fpmjail; systemctl list-units --all --plain 'fpmjail-outside*' --no-legend").stdout
    assert "outside" not in left
    code, line = nagios(server)
    assert code == 0 and line.startswith("FPMJAIL OK - 1 site, "), line


def test_the_probes_run_outside_as_a_user_that_is_not_the_site_s(server: Server) -> None:
    server.shell(f"cp -a {PROBES}/services.php /root/services.php")
    server.write(f"{PROBES}/services.php", WHO)
    found = row(server, "capability", "services")
    server.shell(f"mv /root/services.php {PROBES}/services.php")
    uid = server.run("id", "-u", "_fpmjail-host").stdout.strip()
    assert uid != server.run("id", "-u", "_site-example").stdout.strip() != "0"
    assert found["outside"] == f"who: uid {uid} sealed", found


def test_a_broken_probe_is_the_probe_s_fault_and_never_reaches_a_jail(server: Server) -> None:
    server.shell(f"cp -a {PROBES}/services.php /root/services.php; echo '<?php nonsense(' >{PROBES}/services.php")
    found = row(server, "capability", "services")
    assert (found["level"], found["verdict"]) == ("good", "better than outside"), found
    answer = server.run("fpmjail", "refresh", check=False)
    assert not answer.good and "services" in answer.output
    code, line = nagios(server)
    assert code == 1 and "hold" in line, line
    server.run("fpmjail", "check", "--all", "--prometheus", METRICS)
    assert re.search(r'^fpmjail_image_held\{site="example",profile="\w+"\} 1$', server.read(METRICS), re.MULTILINE)
    server.shell(f"mv /root/services.php {PROBES}/services.php")
    server.run("fpmjail", "refresh")
    assert nagios(server)[0] == 0


def test_a_deleted_copy_is_broken_in_the_jail_with_the_line_that_asked_for_it_and_refresh_verify_mends_it(
    server: Server,
) -> None:
    server.shell(f"rm {copies(server)}{ZONE}")
    found = row(server, "capability", "timezones")
    assert (found["level"], found["verdict"], found["outside"]) == ("bad", "broken in the jail", "works"), found
    assert found["origin"] == "example.yaml:9" and "fpmjail refresh" in found["fix"], found
    whole = row(server, "generation", "copies")
    assert whole["level"] == "bad" and "Europe/Paris" in whole["seen"] and "--verify" in whole["fix"], whole
    code, line = nagios(server)
    assert code == 2 and "timezones broken in the jail" in line, line
    shown = server.run("fpmjail", "check", "example", check=False)
    assert shown.returncode == 1 and re.search(
        r"timezones +works +fails +broken in the jail +example.yaml:9", shown.stdout
    )
    answer = server.run("fpmjail", "refresh", "--verify")
    assert "is damaged and will be made anew" in answer.output
    assert server.faults() == []
    seen = server.truth()
    assert not (seen["stale"] or seen["wrong"] or seen["deleted"]) and seen["mapped"] == [seen["generation"]], seen


def test_what_is_broken_on_the_host_as_well_is_not_blamed_on_the_jail(server: Server) -> None:
    copy = f"{copies(server)}{ZONE}"
    server.shell(f"cp -a {ZONE} /root/zone; rm {ZONE} {copy}")
    found = row(server, "capability", "timezones")
    assert (found["level"], found["verdict"]) == ("bad", "broken on the server as well"), found
    assert found["origin"] == "example.yaml:9" and "Europe/Paris" in found["outside"], found
    server.shell(f"cp -a /root/zone {ZONE}; fpmjail refresh --verify")
    assert server.faults() == []
    server.shell(f"rm {ZONE}")
    found = row(server, "capability", "timezones")
    assert (found["level"], found["verdict"]) == ("good", "better than outside"), found
    server.shell(f"mv /root/zone {ZONE}; fpmjail refresh")


@pytest.mark.parametrize(
    ("harm", "repair", "topic", "name", "seen"),
    [
        (f"chmod 777 {JAIL}", f"chmod 755 {JAIL}", "files", "jail", "mode 0777"),
        (f"chown games {JAIL}/etc", f"chown root {JAIL}/etc", "files", "jail", f"{JAIL}/etc"),
        ("chmod 775 /var/lib/fpmjail", "chmod 755 /var/lib/fpmjail", "files", "parents", "/var/lib/fpmjail (uid 0"),
        (f"chmod 666 {SOCKET}", f"chmod 660 {SOCKET}", "socket", "owner", "0666"),
        (f"chgrp root {SOCKET}", f"chgrp www-data {SOCKET}", "socket", "owner", "gid 0"),
        (
            f"setpriv --reuid _site-example --clear-groups --regid _site-example sh -c "
            f"'mkdir -p {JAIL}/tmp/a/b; cp /bin/true {JAIL}/tmp/a/b/su; chmod 4755 {JAIL}/tmp/a/b/su'",
            f"rm -r {JAIL}/tmp/a", "files", "planted", f"{JAIL}/tmp/a/b/su (uid ",
        ),
        (
            "cp /bin/true /var/www/example/htdocs/su; chmod 6755 /var/www/example/htdocs/su",
            "rm /var/www/example/htdocs/su", "files", "planted", "mode 6755",
        ),
        (
            "systemd-run -q --unit=stray --uid=_site-example sleep 60", "systemctl stop stray",
            "processes", "place", "has its root elsewhere",
        ),
        (
            "systemd-run -q --unit=stray --uid=_site-example -p SupplementaryGroups=adm "
            f"-p RootDirectory={JAIL} -p MountAPIVFS=yes /usr/bin/php -n -r 'sleep(60);'",
            "systemctl stop stray", "processes", "place", "is in group 4",
        ),
    ],
)  # fmt: skip
def test_each_golden_rule_that_is_broken_is_named(
    server: Server, harm: str, repair: str, topic: str, name: str, seen: str
) -> None:
    server.shell(harm)
    try:
        found = row(server, topic, name)
        assert found["level"] == "bad" and seen in found["seen"] and found["fix"], found
        code, line = nagios(server)
        assert code == 2 and line.startswith("FPMJAIL CRITICAL - "), line
    finally:
        server.shell(repair)
    assert row(server, topic, name)["level"] == "good"


def test_accounts_in_the_group_of_the_web_server_are_named(server: Server) -> None:
    server.shell("adduser --quiet games www-data")
    found = row(server, "socket", "owner")
    assert found["level"] == "warning" and "games" in found["seen"], found
    server.shell(found["fix"])
    assert row(server, "socket", "owner")["level"] == "good"
    server.shell("useradd --gid www-data upload")
    found = row(server, "socket", "owner")
    assert found["level"] == "warning" and "upload" in found["seen"], found
    server.shell(found["fix"].replace("GROUP", "users"))
    assert row(server, "socket", "owner")["level"] == "good"


def test_a_run_directory_that_lost_its_group_is_mended_as_check_says(server: Server) -> None:
    server.shell("chmod 755 /run/fpmjail; chgrp root /run/fpmjail; systemctl stop " + SERVICE)
    server.shell("systemctl restart site-example-jail.socket")
    found = row(server, "socket", "owner")
    assert found["level"] == "bad" and "gid 0" in found["seen"], found
    server.shell(found["fix"])
    assert row(server, "socket", "owner")["level"] == "good"
    server.shell(f"chmod 755 /run/fpmjail; chgrp root /run/fpmjail {SOCKET}")
    server.run("fpmjail", "configure", "example")
    assert row(server, "socket", "owner")["level"] == "good"
    assert server.faults() == []


def test_a_site_whose_socket_was_stopped_under_it_comes_back_when_it_is_configured(server: Server) -> None:
    server.shell(f"systemctl start {SERVICE}; systemctl stop site-example-jail.socket; systemctl is-active {SERVICE}")
    server.run("fpmjail", "configure", "example")
    assert server.faults() == []


def test_a_directory_that_can_be_written_and_was_not_declared_is_seen_from_inside(server: Server) -> None:
    unit = SERVICE
    server.write(f"/etc/systemd/system/{unit}.d/open.conf", "[Service]\nTemporaryFileSystem=/opt:mode=777\n")
    server.shell(f"mkdir -p {JAIL}/opt; systemctl daemon-reload; systemctl restart {unit}")
    found = row(server, "inside", "seal")
    assert found["level"] == "bad" and "writable, and not declared: /opt" in found["seen"], found
    server.shell(f"rm -r /etc/systemd/system/{unit}.d; systemctl daemon-reload; systemctl restart {unit}")
    server.shell(f"rmdir {JAIL}/opt")
    assert server.faults() == []


def test_what_belongs_to_no_site_is_said(server: Server) -> None:
    server.shell("mkdir -p /var/lib/fpmjail/jails/gone /var/lib/fpmjail/images/0123456789ab")
    found = {one["name"]: one for one in server.check_all()["(server)"]}
    assert "/var/lib/fpmjail/jails/gone" in found["jails"]["seen"]
    assert "/var/lib/fpmjail/images/0123456789ab" in found["images"]["seen"]
    assert nagios(server)[0] == 1
    server.shell("rmdir /var/lib/fpmjail/jails/gone /var/lib/fpmjail/images/0123456789ab")


def test_node_exporter_reads_the_metrics(server: Server) -> None:
    server.run("fpmjail", "check", "--all", "--prometheus", METRICS)
    assert server.run("stat", "-c", "%U %a", METRICS).stdout == "root 644\n"
    server.run(
        "systemd-run", "-q", "--unit=exporter", "prometheus-node-exporter", "--collector.disable-defaults",
        "--collector.textfile", f"--collector.textfile.directory={METRICS.rpartition('/')[0]}",
        "--web.listen-address=127.0.0.1:9100",
    )  # fmt: skip
    page = server.run(
        "curl", "-sS", "--retry", "50", "--retry-delay", "0", "--retry-max-time", "20", "--retry-connrefused",
        "http://127.0.0.1:9100/metrics",
    ).stdout  # fmt: skip
    server.run("systemctl", "stop", "exporter")
    assert "node_textfile_scrape_error 0" in page
    assert 'fpmjail_check_ok{capability="timezones",site="example"} 1' in page
    assert re.search(r'^fpmjail_generation_age_seconds\{profile="\w+",site="example"\} [\d.e+]+$', page, re.MULTILINE)
    assert page.count("fpmjail_rule_ok{") > 20
    wrong = server.run("fpmjail", "check", "--all", "--prometheus", "/tmp/metrics.txt", check=False)
    assert wrong.returncode == 2 and "must end in .prom" in wrong.stderr


def test_a_plugin_that_cannot_check_says_unknown(server: Server) -> None:
    for arguments in (("nowhere",), ("--nonsense",), ("--all", "--prometheus", "/nowhere/x.prom")):
        code, line = nagios(server, *arguments)
        assert code == 3 and line.startswith("FPMJAIL UNKNOWN - "), line
    answer = server.run("setpriv", "--reuid", "nobody", "--clear-groups", "fpmjail", "check", "--all", "--nagios",
                        check=False)  # fmt: skip
    assert answer.returncode == 3 and "only root" in answer.stdout, answer.output


def test_an_unknown_site_is_an_error_that_says_where_to_look(server: Server) -> None:
    answer = server.run("fpmjail", "check", "example", "nowhere", check=False)
    assert answer.returncode == 2
    assert answer.stderr == "fpmjail: no such site: nowhere; see: fpmjail status\n"


def test_a_generation_that_fails_the_check_of_a_site_is_rolled_back_and_said_everywhere(server: Server) -> None:
    ini, before = f"/etc/php/{server.php}/fpm/php.ini", copies(server)
    server.write_page("before.php", BAD_FOR_TLS)
    server.write("/etc/fpmjail/sites/example/fpm.d/own.conf",
                 "php_admin_value[auto_prepend_file] = /var/www/example/htdocs/before.php\n")  # fmt: skip
    server.run("fpmjail", "configure", "example")
    server.shell(f"cp -a {ini} /root/php.ini; printf '\\nhighlight.comment = \"#BAD\"\\n' >>{ini}")
    answer = server.run("fpmjail", "trigger", "ldconfig", env={"DPKG_MAINTSCRIPT_NAME": "postinst"})
    words = (
        "rolled back to its generation: the new one failed the check of a site: site example does not work with it: "
    )
    assert words + "capability tls" in answer.output
    assert words in server.container.journal("-t", "fpmjail")
    server.run("fpmjail", "refresh", "--wait", check=False)
    assert copies(server) == before and server.faults() == []
    status = server.status()
    assert any("held" in text and "capability tls" in text for text in status["images"][0]["warnings"]), status
    assert "bad" not in status["sites"][0]["check"], status
    server.shell(f"mv /root/php.ini {ini}; rm /etc/fpmjail/sites/example/fpm.d/own.conf; fpmjail refresh")
    server.run("fpmjail", "configure", "example")
    assert server.status()["images"][0]["warnings"] == []


def test_one_site_cannot_keep_a_new_generation_from_its_neighbours(server: Server) -> None:
    for name in ("second", "third"):
        text = DESCRIPTION.replace("site: example", f"site: {name}").replace("example.org]", f"{name}.example.net]")
        server.publish(text, f"{name}.yaml")
    server.install("site-second-jail", "site-third-jail")
    ini, before = f"/etc/php/{server.php}/fpm/php.ini", copies(server)
    server.write_page("before.php", BAD_FOR_TLS)
    server.write("/etc/fpmjail/sites/example/fpm.d/own.conf",
                 "php_admin_value[auto_prepend_file] = /var/www/example/htdocs/before.php\n")  # fmt: skip
    server.run("fpmjail", "configure", "example")
    server.shell(f"cp -a {ini} /root/php.ini; printf '\nhighlight.comment = \"#BAD\"\n' >>{ini}")
    answer = server.run("fpmjail", "refresh", check=False)
    assert "site example does not work with it: capability tls" in answer.output
    assert copies(server) != before
    server.shell(f"mv /root/php.ini {ini}; rm /etc/fpmjail/sites/example/fpm.d/own.conf; fpmjail refresh")
    server.run("fpmjail", "configure", "example")
    server.apt("purge", "site-second-jail", "site-third-jail")
    server.settle()
    assert server.faults() == []


def test_a_site_that_was_bad_before_does_not_stop_a_new_generation(server: Server) -> None:
    ini, before = f"/etc/php/{server.php}/fpm/php.ini", copies(server)
    server.write_page("before.php", "<?php if (str_ends_with($_SERVER['SCRIPT_NAME'], '/tls.php')) exit('no TLS');")
    server.write("/etc/fpmjail/sites/example/fpm.d/own.conf",
                 "php_admin_value[auto_prepend_file] = /var/www/example/htdocs/before.php\n")  # fmt: skip
    answer = server.run("fpmjail", "configure", "example")
    assert "capability tls: the probe did not answer in JSON" in answer.output  # a check follows every configure
    server.shell(f"echo '; new' >>{ini}; fpmjail refresh")
    assert copies(server) != before
    server.shell("rm /etc/fpmjail/sites/example/fpm.d/own.conf; fpmjail configure example")
    assert server.faults() == []
