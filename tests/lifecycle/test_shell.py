# SPDX-License-Identifier: GPL-2.0-or-later
"""The shells of jails on a real server: none, the restricted one, dash; one site walks through all of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.lifecycle.bed import Bed
from tests.lifecycle.server import Server

SITE = """site: example
maintainer: Ann Other <ann@example.org>
domains: [example.org]
php: {extensions: [mbstring]}
"""
PAGE = r"""<?php
$said = [];
set_error_handler(function ($level, $words) use (&$said) { $said['warning'] = $words; return true; });
$said['exec'] = exec($_GET['line'], $lines, $status);
$said += ['lines' => $lines, 'status' => $status ?? null];
header('Content-Type: application/json');
echo json_encode($said);
"""
PROBE = "restricted-shell"


@pytest.fixture(scope="module")
def server(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One site, without a shell at first."""
    bed.publish_own_packages()
    there = Server(bed, tmp_path_factory.mktemp("dist"))
    there.publish(SITE, "example.yaml")
    there.install("site-example-jail")
    there.write_page("run.php", PAGE)
    yield there


def run(server: Server, line: str) -> dict[str, Any]:
    """What exec() of PHP makes of a line."""
    page = server.get("/run.php", "example.org", "--get", "--data-urlencode", f"line={line}")
    assert page.status == 200, page
    return dict(json.loads(page.body))


def change(server: Server, version: str, shell: str) -> None:
    """The next version of the site, with another shell."""
    server.publish(f"{SITE}version: {version}\njail: {{shell: {shell}}}\n", "example.yaml")
    server.apt("upgrade")


def capability(server: Server, name: str) -> list[str]:
    return [found["level"] for found in server.check() if (found["topic"], found["name"]) == ("capability", name)]


def test_the_runtime_is_a_package_of_this_architecture_with_a_static_shell(server: Server) -> None:
    shown = server.run("dpkg-query", "-W", "-f", "${Architecture} ${Multi-Arch} ${Built-Using}", "fpmjail").stdout
    architecture, foreign, built_using = shown.split(" ", 2)
    assert architecture == server.run("dpkg", "--print-architecture").stdout.strip() and foreign == "foreign"
    assert built_using.startswith("glibc (= ")
    assert server.run("/usr/lib/fpmjail/restricted-sh", "-c", "id", check=False).returncode == 126


def test_without_a_shell_nothing_starts_and_the_probe_says_so(server: Server) -> None:
    assert run(server, "true")["warning"] == "exec(): Unable to fork [true]"
    asked = "from fpmjail import probe, site; from fpmjail.layout import Layout; layout = Layout();"
    asked += "known = site.load(layout.sites / 'example/site.json');"
    asked += f"print(*probe.run(layout, known, '{PROBE}').findings, sep='\\n')"
    words = server.run("env", "PYTHONPATH=/usr/share/fpmjail", "python3", "-c", asked).stdout
    assert "exec: exec(): Unable to fork ['true' 2>&1]" in words, words
    assert "popen" in words and "proc_open" in words


def test_the_restricted_shell_starts_nothing_that_was_not_declared(server: Server) -> None:
    change(server, "1.1.0", "restricted")
    assert run(server, "true >/dev/null 2>&1") == {"exec": "", "lines": [], "status": 0}
    assert capability(server, PROBE) == ["good"]
    for line in ("id", "true | cat", "true; id", "/usr/bin/php -v", "true $HOME", "true >/tmp/a"):
        assert run(server, line) == {"exec": "", "lines": [], "status": 126}, line
    assert run(server, "true && id 2>&1")["status"] == 126
    assert server.faults() == []


def test_what_was_refused_stands_in_the_sites_log_and_in_the_journal(server: Server) -> None:
    words = "sh: refused: one command only: no pipes, no lists, nothing in the background (character 6): true | cat"
    logged = server.read("/var/log/fpmjail/example/shell.log").splitlines()
    assert [line for line in logged if line.endswith(words)], logged
    journal = server.run("journalctl", "-u", "site-example-jail.service", "-o", "cat", "--no-pager").stdout
    assert words in journal.splitlines()


def test_an_administrators_command_meets_the_same_shell(server: Server) -> None:
    assert server.run("fpmjail", "exec", "example", "--", "sh", "--programs").stdout == ""
    refused = server.run("fpmjail", "exec", "example", "--", "sh", "-c", "id", check=False)
    assert refused.returncode == 126 and "not one of the site's programs" in refused.output


def test_the_site_cannot_change_the_list_of_programs(server: Server) -> None:
    code = "file_put_contents('/etc/fpmjail/programs', '/usr/bin/php'); echo fileowner('/etc/fpmjail/programs');"
    tried = server.run("fpmjail", "exec", "example", "--", "php", "-r", code, check=False)
    assert "Read-only file system" in tried.output and tried.stdout.endswith("0")


def test_all_that_the_image_holds_of_the_restricted_shell_is_one_small_file(server: Server) -> None:
    entries = json.loads(server.run("fpmjail", "files", "example", "--json").stdout)
    (shell,) = [entry for entry in entries if entry["path"] == "usr/lib/fpmjail/restricted-sh"]
    assert shell["package"].startswith("fpmjail") and shell["size"] < 1_200_000, shell
    assert [entry["target"] for entry in entries if entry["path"] == "usr/bin/sh"] == ["../lib/fpmjail/restricted-sh"]


def test_dash_does_all_that_a_shell_does_and_leaves_no_list(server: Server) -> None:
    change(server, "1.2.0", "sh")
    assert run(server, "for i in 1 2; do echo $i; done | { read a; read b; echo $b$a; }")["lines"] == ["21"]
    assert capability(server, "shell") == ["good"] and capability(server, PROBE) == []
    assert not server.exists("/var/lib/fpmjail/jails/example/etc/fpmjail/programs")
    assert server.faults() == []


def test_without_the_shell_again_nothing_of_it_is_left(server: Server) -> None:
    change(server, "1.3.0", "none")
    assert "Unable to fork" in run(server, "true")["warning"]
    assert not server.run("fpmjail", "exec", "example", "--", "sh", "-c", "true", check=False).good
    server.apt("purge", "site-example-jail")
    assert not server.exists("/var/lib/fpmjail/jails/example")
