# SPDX-License-Identifier: GPL-2.0-or-later
"""A shell and programs in the chroot of a shared site."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.lifecycle.bed import Bed
from tests.lifecycle.server import Server
from tests.lifecycle.test_shell import PAGE, SITE, run

JAIL = "/var/www/example"
SHARED = SITE + "isolation: shared\njail: {shell: restricted, programs: [{name: openssl, packages: [openssl]}]}\n"


@pytest.fixture(scope="module")
def server(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A shared site with the restricted shell and one program."""
    bed.publish_own_packages()
    there = Server(bed, tmp_path_factory.mktemp("dist"))
    there.publish(SHARED, "example.yaml")
    there.install("site-example-jail")
    there.write_page("run.php", PAGE, "example", "var/www/example/htdocs")
    yield there


def test_a_declared_program_runs_and_nothing_else(server: Server) -> None:
    said: dict[str, Any] = run(server, "openssl version")
    assert said["status"] == 0 and said["exec"].startswith("OpenSSL 3"), said
    assert run(server, "id")["status"] == 126
    assert server.faults() == []


def test_what_was_refused_stands_in_the_sites_log(server: Server) -> None:
    assert "id" in server.read(f"{JAIL}/var/log/fpmjail/example/shell.log")


def test_an_administrators_command_finds_the_program(server: Server) -> None:
    assert server.run("fpmjail", "exec", "example", "--", "openssl", "version").stdout.startswith("OpenSSL 3")


def test_a_purge_leaves_nothing_of_the_chroot_but_the_data(server: Server) -> None:
    server.apt("purge", "site-example-jail")
    kept = [JAIL, f"{JAIL}/var", f"{JAIL}/var/www", f"{JAIL}{JAIL}", f"{JAIL}{JAIL}/htdocs"]
    assert server.run("find", JAIL).stdout.splitlines() == [*kept, f"{JAIL}{JAIL}/htdocs/run.php"]
