# SPDX-License-Identifier: GPL-2.0-or-later
"""What containers cannot show: AppArmor, and limits of cgroups of version 2, on a machine with Debian's own kernel.

`rich` asks its jail for nearly all that there is, `quiet` for nothing; both are under their profiles. `open` has none
of the walls that its description does not need to name, by a drop-in as an administrator might write one, and only its
profile is left.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.lifecycle import extras
from tests.lifecycle.container import Container
from tests.lifecycle.packages import build_debs
from tests.lifecycle.server import build_site
from tests.machine.installed import archive
from tests.machine.machine import Machine

# systemd's mount units ask udev for the device that they lie on.
PACKAGES = (
    "udev", "apparmor", "phpX-imagick", "phpX-ldap", "phpX-enchant", "phpX-pspell", "php-pear", "git",
    "fonts-dejavu-core", "libldap-common", "hunspell-en-us", "aspell-en",
)  # fmt: skip
HEAD = "maintainer: Web Team <web@example.org>\n"
RICH = f"""\
site: rich
{HEAD}domains: [rich.example.org]
php:
  extensions: [apcu, curl, enchant, gd, imagick, intl, ldap, mbstring, mysql, pspell, xml, zip]
  settings: {{memory_limit: 2G}}
  pool: {{slow_log: 5s, max_children: 12}}
  limits: {{memory: 200M, tasks: 30, temporary: 32M}}
jail:
  charsets: [ISO-8859-15, CP1252]
  locales: [de_DE.UTF-8]
  mysql: socket
  proc: private
  shell: sh
  programs: [/usr/bin/curl]
  capabilities: [git, pear]
  mail: {{relay: "mail.example.org:25", from: web@example.org}}
  network: {{deny: all, allow: [127.0.0.2/32]}}
  apparmor: enforce
writable: [uploads]
cron: [{{name: note, schedule: yearly, command: php note.php}}]
"""
QUIET = f"site: quiet\n{HEAD}domains: [quiet.example.org]\njail: {{apparmor: enforce}}\n"
OPEN = f"site: open\n{HEAD}domains: [open.example.org]\njail: {{apparmor: enforce}}\n"
OPENED = """\
[Service]
NoExecPaths=
BindPaths=/var/www/quiet /opt/secret
ProtectSystem=no
ReadWritePaths=
"""
BOMB = "b() { b | b & }; b; sleep 1000"
PAGES = {
    "index": "<?php echo 'hello from ', php_sapi_name();",
    "note": "<?php echo file_put_contents('/tmp/note', PHP_SAPI);",
    "network": "<?php $one = @stream_socket_client('tcp://' . $_GET['to'] . ':80', $code, $words, 5);"
    " echo $one ? 'open' : $words;",
    "memory": "<?php $all = []; while (true) { $all[] = str_repeat('x', 1 << 20); }",
    "bomb": f"<?php proc_open(['/bin/sh', '-c', '{BOMB}'], [], $pipes); echo 'lit'; sleep(5);",
    "attack": "<?php $seen = [];"
    " foreach (['/opt/secret/key', '/var/www/quiet/htdocs/index.php'] as $file) {"
    "   $seen[] = @file_get_contents($file) === false ? 'refused' : 'read'; }"
    " copy('/usr/bin/php', '/tmp/program'); chmod('/tmp/program', 0755);"
    " $one = @proc_open(['/tmp/program', '-r', 'echo 1;'], [1 => ['pipe', 'w']], $pipes);"
    " $seen[] = $one && stream_get_contents($pipes[1]) === '1' ? 'ran' : 'refused';"
    " $seen[] = @file_put_contents('/var/www/quiet/htdocs/planted.php', 'x') ? 'written' : 'refused';"
    " echo implode(' ', $seen);",
}


def settle(container: Container) -> None:
    """Give every site its pages, and take the walls of `open` away."""
    for site in ("rich", "quiet", "open"):
        for name, code in PAGES.items():
            container.write(f"/var/www/{site}/htdocs/{name}.php", code)
    container.shell("mkdir /opt/secret && echo secret > /opt/secret/key && chmod -R a+rX /opt/secret")
    container.shell("chmod 0777 /var/www/quiet/htdocs; mkdir -p /var/lib/fpmjail/jails/open/opt/secret")
    container.shell("mkdir -p /var/lib/fpmjail/jails/open/var/www/quiet")
    container.write("/etc/systemd/system/site-open-jail.service.d/opened.conf", OPENED)


@pytest.fixture(scope="module")
def server(release: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine that has booted with three sites installed."""
    directory = tmp_path_factory.mktemp("machine")
    described = {"rich": RICH, "quiet": QUIET, "open": OPEN}
    sites = [build_site(text, directory / "dist", release, f"{name}.yaml") for name, text in described.items()]
    debs = [*extras.debs(release, PACKAGES), *build_debs(release).glob("fpmjail_*.deb"), *sites]
    with Machine(release, archive(release, debs, directory, settle)) as machine:
        yield machine


def get(server: Machine, path: str, site: str = "rich") -> str:
    """What Apache answers, or nothing."""
    asked = ("curl", "-s", "-m", "120", "-H", f"Host: {site}.example.org", f"http://127.0.0.1/{path}")
    return server.run(*asked, check=False).stdout


def neighbour_goes_on(server: Machine) -> bool:
    return get(server, "index.php", "quiet") == "hello from fpm-fcgi"


def denied(server: Machine) -> str:
    """What AppArmor has refused since it was asked last."""
    return server.shell("dmesg --clear --read-clear 2>/dev/null || dmesg -c").stdout


def test_profiles_are_in_force_after_a_boot(server: Machine) -> None:
    profiles = server.run("cat", "/sys/kernel/security/apparmor/profiles").stdout
    assert {f"site-{site}-jail (enforce)" for site in ("rich", "quiet", "open")} <= set(profiles.splitlines())
    assert neighbour_goes_on(server)
    label = server.shell("cat /proc/$(systemctl show -P MainPID site-quiet-jail)/attr/current").stdout
    assert label.rstrip("\0\n") == "site-quiet-jail (enforce)"


def test_all_that_a_jail_can_do_works_under_its_profile(server: Machine) -> None:
    denied(server)
    for site in ("rich", "quiet"):
        answer = server.run("fpmjail", "check", site, "--json", check=False, timeout=600)
        found = json.loads(answer.stdout)[site]
        assert [one for one in found if one["level"] == "bad"] == []
        (wall,) = (one for one in found if one["name"] == "AppArmor")
        assert (wall["level"], wall["seen"]) == ("good", "the profile is in force")
    assert "DENIED" not in denied(server)


def test_jobs_and_commands_are_under_the_profile_and_work(server: Machine) -> None:
    server.run("systemctl", "start", "site-rich-jail-cron-note.service")
    seen = server.run("fpmjail", "exec", "rich", "--", "php", "-r", "echo file_get_contents('/tmp/note');"
                      " readfile('/proc/self/attr/current');").stdout  # fmt: skip
    assert seen.split() == ["clisite-rich-jail", "(enforce)"]


def test_what_other_walls_let_through_is_refused_by_the_profile_and_by_nothing_else(server: Machine) -> None:
    assert get(server, "attack.php", "open") == "refused refused refused refused"
    server.shell("apparmor_parser -r -C /etc/apparmor.d/site-open-jail")
    assert get(server, "attack.php", "open") == "read read ran written"
    server.shell("apparmor_parser -r /etc/apparmor.d/site-open-jail; rm /var/www/quiet/htdocs/planted.php")
    assert 'profile="site-open-jail"' in denied(server)


def test_a_broken_profile_keeps_no_site_from_starting(server: Machine) -> None:
    profile = "/etc/apparmor.d/site-quiet-jail"
    server.shell(f"printf site-quiet-jail > /sys/kernel/security/apparmor/.remove; echo '{{' >> {profile}")
    server.shell("systemctl restart site-quiet-jail")
    assert neighbour_goes_on(server)
    configured = server.run("fpmjail", "configure", "quiet")
    assert "no AppArmor profile" in configured.output and profile in configured.output
    found = json.loads(server.run("fpmjail", "check", "quiet", "--json", check=False).stdout)["quiet"]
    (wall,) = (one for one in found if one["name"] == "AppArmor")
    assert (wall["level"], wall["seen"]) == ("warning", "the profile is not loaded")
    server.shell(f"sed -i '$d' {profile} && fpmjail configure quiet && systemctl restart site-quiet-jail")
    assert neighbour_goes_on(server)


def test_a_memory_hog_is_stopped_by_its_limit_and_the_neighbour_goes_on(server: Machine) -> None:
    denied(server)
    assert "hello" not in get(server, "memory.php") and neighbour_goes_on(server)
    assert "Memory cgroup out of memory" in denied(server)
    assert get(server, "index.php") == "hello from fpm-fcgi"


def test_a_fork_bomb_is_stopped_by_its_limit_and_the_neighbour_goes_on(server: Machine) -> None:
    asked = "curl -s -m 60 -H 'Host: rich.example.org' http://127.0.0.1/bomb.php >/dev/null &"
    server.shell(asked)
    assert neighbour_goes_on(server)
    peak = server.shell("cat /sys/fs/cgroup/fpmjail.slice/fpmjail-rich.slice/pids.peak").stdout
    assert 25 <= int(peak) <= 30
    server.run("systemctl", "kill", "--signal=KILL", "site-rich-jail.service")
    server.run("systemctl", "restart", "site-rich-jail.service")
    assert get(server, "index.php") == "hello from fpm-fcgi"


def test_a_site_without_network_reaches_only_what_it_may(server: Machine) -> None:
    assert get(server, "network.php?to=127.0.0.1") != "open"
    assert get(server, "network.php?to=127.0.0.2") == "open"
    assert get(server, "network.php?to=127.0.0.1", "quiet") == "open"
