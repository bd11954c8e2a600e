# SPDX-License-Identifier: GPL-2.0-or-later
"""A site that takes all it can get: the limits of its description hold, and its neighbour goes on."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator

import pytest

from tests.lifecycle.bed import Bed
from tests.lifecycle.server import HOMEPAGE, Server

GREEDY = """\
site: greedy
maintainer: Web Team <web@example.org>
domains: [greedy.example.org]
php:
  extensions: [mbstring, xml]
  settings: {memory_limit: 64M}
  limits: {memory: 512M, tasks: 40, cpu_weight: 20, io_weight: 30, open_files: 200, temporary: 32M}
cron:
  - {name: note, schedule: yearly, command: php note.php}
  - {name: limits, schedule: yearly, command: php limits.php}
jail: {shell: sh, network: {deny: all, allow: [localhost, 192.0.2.0/24]}}
"""
QUIET = """\
site: quiet
maintainer: Web Team <web@example.org>
domains: [quiet.example.org]
php: {extensions: [mbstring, xml]}
jail: {network: {deny: all}}
"""
BOMB = "b() { b | b & }; b; sleep 1000"
PAGES = {
    "bomb": f"<?php proc_open(['/bin/sh', '-c', '{BOMB}'], [], $pipes); echo 'lit'; while (true) {{ sleep(1); }}",
    "memory": "<?php $all = []; while (true) { $all[] = str_repeat('x', 1 << 20); }",
    "shm": "<?php echo @file_put_contents('/dev/shm/all', str_repeat('x', 20 << 20)) === 20 << 20 ? 'all' : 'refused';",
    "files": "<?php $all = []; while (($one = @fopen('/etc/passwd', 'r')) && count($all) < 9999) { $all[] = $one; }"
    " echo count($all);",
    "network": "<?php $one = @stream_socket_client('tcp://127.0.0.1:80', $code, $words, 5);"
    " echo $one ? 'open' : $words;",
    "limits": "<?php echo json_encode(posix_getrlimit());",
    "blocks": "<?php $n = 0; $one = str_repeat('x', 1 << 20);"
    " while (@file_put_contents('/tmp/block' . $n, $one) === 1 << 20 && $n < 99) { $n++; } echo $n;",
    "names": "<?php $n = 0; while (@touch('/tmp/name' . $n) && $n < 9999) { $n++; } echo $n;",
    "clear": "<?php array_map('unlink', glob('/tmp/[bn]*'));",
    "note": "<?php echo file_put_contents('/tmp/kept', disk_total_space('/tmp') >> 20);",
    "kept": "<?php echo @file_get_contents('/tmp/kept') . '/' . (disk_total_space('/tmp') >> 20);",
    "upload": "<?php session_start(); $_SESSION['n'] = ($_SESSION['n'] ?? 0) + 1;"
    " echo $_FILES['one']['size'], ' ', strlen(file_get_contents($_FILES['one']['tmp_name'])), ' ', $_SESSION['n'];",
    "jit": "<?php echo ini_get('pcre.jit'), preg_match('/^(a+)+b$/', str_repeat('a', 12) . 'b'), "
    "error_get_last()['message'] ?? '';",
}


@pytest.fixture(scope="module")
def server(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Two sites on one server, one of them hostile."""
    bed.publish_own_packages()
    there = Server(bed, tmp_path_factory.mktemp("dist"))
    there.publish(GREEDY, "greedy.yaml")
    there.publish(QUIET, "quiet.yaml")
    there.install("site-greedy-jail", "site-quiet-jail")
    for site in ("greedy", "quiet"):
        there.write_page("index.php", HOMEPAGE, site)
        for name, code in PAGES.items():
            there.write_page(f"{name}.php", code, site)
    yield there


def shown(server: Server, unit: str, *names: str) -> dict[str, str]:
    """What `systemctl show` says of a unit."""
    words = server.run("systemctl", "show", f"--property={','.join(names)}", unit).stdout
    return dict(line.split("=", 1) for line in words.splitlines())


def answers(server: Server, page: str, site: str = "greedy") -> str:
    return server.get(f"/{page}.php", f"{site}.example.org").body


def execute(server: Server, site: str, page: str) -> str:
    """What a page says when it is run as a command."""
    return server.run("fpmjail", "exec", site, "--", "php", f"{page}.php").stdout


def neighbour_goes_on(server: Server) -> bool:
    return answers(server, "index", "quiet") == "hello from fpm-fcgi own\n"


@pytest.mark.parametrize("site", ["greedy", "quiet"])
def test_the_exposure_of_a_sealed_master_is_one_at_most(server: Server, site: str) -> None:
    unit = f"site-{site}-jail.service"
    words = server.shell(f"systemd-analyze security --no-pager {unit} | tail -1").stdout
    exposure = re.search(r": (\d+\.\d) ", words)
    assert exposure and float(exposure[1]) <= 1.0, words


def test_the_limits_of_the_description_are_set(server: Server) -> None:
    weights = {"MemoryMax": "536870912", "TasksMax": "40", "CPUWeight": "20", "IOWeight": "30"}
    assert shown(server, "fpmjail-greedy.slice", *weights) == weights
    limits = {"LimitNOFILE": "200", "LimitNPROC": "40", "LimitCORE": "0", "MemoryDenyWriteExecute": "yes"}
    assert shown(server, "site-greedy-jail.service", *limits) == limits
    network = shown(server, "site-greedy-jail.service", "IPAddressAllow", "IPAddressDeny")
    assert {"127.0.0.0/8", "192.0.2.0/24"} <= set(network["IPAddressAllow"].split()), network
    assert {"0.0.0.0/0", "::/0"} <= set(network["IPAddressDeny"].split()), network


def test_jobs_and_commands_have_the_limits_of_pages(server: Server) -> None:
    job = "site-greedy-jail-cron-limits"
    server.run("systemctl", "start", f"{job}.service")
    pages = json.loads(answers(server, "limits"))
    assert (pages["hard openfiles"], pages["hard maxproc"], pages["hard core"]) == (200, 40, 0)
    assert json.loads(server.container.journal("-t", job, "-o", "cat").strip()) == pages
    assert json.loads(execute(server, "greedy", "limits")) == pages
    walls = ("SystemCallFilter", "RestrictAddressFamilies", "IPAddressAllow", "Slice")
    assert shown(server, f"{job}.service", *walls) == shown(server, "site-greedy-jail.service", *walls)
    for site in ("greedy", "quiet"):
        assert execute(server, site, "network") == answers(server, "network", site)


def test_a_fork_bomb_ends_at_the_limit_and_the_neighbour_goes_on(server: Server) -> None:
    asked = ("curl", "-s", "-m", "20", "-H", "Host: greedy.example.org", "http://127.0.0.1/bomb.php")
    started = server.container.popen(*asked)
    counted, refused, deadline = [0], False, time.monotonic() + 60
    while not refused and time.monotonic() < deadline:
        counted.append(int(server.shell("pgrep -c -u _site-greedy || true").stdout))
        assert neighbour_goes_on(server)
        refused = "Cannot fork" in server.container.journal("-t", "site-greedy-jail")
    server.run("systemctl", "kill", "--signal=KILL", "site-greedy-jail.service")
    server.run("systemctl", "restart", "site-greedy-jail.service")
    started.communicate(timeout=60)
    assert refused and max(counted) <= 45, counted
    assert answers(server, "index") == "hello from fpm-fcgi own\n"


def test_a_memory_hog_dies_alone(server: Server) -> None:
    page = server.get("/memory.php", "greedy.example.org")
    assert page.status == 500
    assert "Allowed memory size of 67108864 bytes" in server.read("/var/log/fpmjail/greedy/php.log")
    assert neighbour_goes_on(server) and answers(server, "index") == "hello from fpm-fcgi own\n"


def test_shared_memory_and_open_files_have_an_end(server: Server) -> None:
    assert answers(server, "shm") == "refused" and neighbour_goes_on(server)
    assert answers(server, "shm", "quiet") == "refused"
    server.run("systemctl", "restart", "site-greedy-jail.service")
    assert 150 < int(answers(server, "files")) < 200
    assert 900 < int(answers(server, "files", "quiet")) < 1024


def test_a_site_without_network_reaches_none_and_is_reached_all_the_same(server: Server) -> None:
    assert answers(server, "network", "quiet") != "open"
    assert answers(server, "network") == "open"  # localhost is allowed
    assert neighbour_goes_on(server)


def test_regular_expressions_work_without_machine_code(server: Server) -> None:
    assert answers(server, "jit", "quiet") == "01"
    assert server.faults("quiet") == [] and server.faults("greedy") == []


TMP = "/var/lib/fpmjail/jails/greedy/tmp"


def uploads(server: Server) -> str:
    """What the neighbour makes of a megabyte, in a session that goes on."""
    jar = ("-b", "/root/cookies", "-c", "/root/cookies")
    return server.get("/upload.php", "quiet.example.org", "-H", "Expect:", "-F", "one=@/root/megabyte", *jar).body


def others_write(server: Server) -> None:
    """The full site answers, its neighbour and the host have room for theirs."""
    assert int(answers(server, "note", "quiet")) > 0 and neighbour_goes_on(server)
    server.shell("for place in /tmp /var/tmp /var/lib/fpmjail; do cp /root/megabyte $place/own && rm $place/own; done")
    assert answers(server, "index") == "hello from fpm-fcgi own\n"


def mounted(server: Server) -> str:
    """What is mounted at the greedy site's /tmp, and the options of that."""
    return " ".join(server.shell(f"findmnt -n -o FSTYPE,OPTIONS --mountpoint {TMP} || true").stdout.split())


def test_pages_jobs_and_commands_share_a_tmp_that_has_a_limit(server: Server) -> None:
    assert mounted(server).startswith("tmpfs rw,nosuid,nodev,noexec,")
    assert server.run("stat", "--format=%U:%G %a", TMP).stdout == "_site-greedy:_site-greedy 700\n"
    server.run("systemctl", "start", "site-greedy-jail-cron-note.service")
    assert answers(server, "kept") == "32/32"
    assert server.run("fpmjail", "exec", "greedy", "--", "php", "kept.php").stdout == "32/32"


def test_a_tmp_that_is_full_of_bytes_is_full_for_one_site_alone(server: Server) -> None:
    server.shell("head -c 1M /dev/zero > /root/megabyte; rm -f /root/cookies")
    assert 30 <= int(answers(server, "blocks")) <= 32
    assert [uploads(server), uploads(server)] == ["1048576 1048576 1", "1048576 1048576 2"]
    others_write(server)
    assert server.faults("quiet") == []
    answers(server, "clear")


def test_a_tmp_that_is_full_of_files_is_full_for_one_site_alone(server: Server) -> None:
    assert 2000 <= int(answers(server, "names")) <= 2048
    others_write(server)
    answers(server, "clear")


def upgrade(server: Server, version: str, limit: str) -> None:
    """Install the greedy site with another limit, or none."""
    server.publish(GREEDY.replace(", temporary: 32M", limit) + f"version: {version}\n", f"greedy-{version}.yaml")
    server.install("site-greedy-jail")


def test_another_limit_holds_at_once_and_keeps_what_is_in_tmp(server: Server) -> None:
    answers(server, "note")
    before = shown(server, "site-greedy-jail.service", "MainPID")
    upgrade(server, "1.0.1", ", temporary: 48M")
    assert shown(server, "site-greedy-jail.service", "MainPID") != before
    assert answers(server, "kept") == "32/48" and server.faults("greedy") == []


def test_a_limit_goes_and_comes_while_the_site_runs(server: Server) -> None:
    upgrade(server, "1.0.2", "")
    assert mounted(server) == "" and not answers(server, "kept").endswith("/48")
    upgrade(server, "1.0.3", ", temporary: 16M")
    assert answers(server, "kept") == "/16"


def test_a_limited_tmp_is_there_and_empty_after_a_reboot(server: Server) -> None:
    answers(server, "note")
    server.container.reboot()
    assert answers(server, "kept") == "/16", "with the first request, if no job was first"
    assert mounted(server).startswith("tmpfs rw,nosuid,nodev,noexec,")
    assert server.faults("greedy") == [] and neighbour_goes_on(server)


def test_a_removed_site_leaves_no_tmp_behind(server: Server) -> None:
    server.apt("remove", "site-greedy-jail")
    assert "jails/greedy" not in server.read("/proc/self/mountinfo") and neighbour_goes_on(server)
