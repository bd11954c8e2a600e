# SPDX-License-Identifier: GPL-2.0-or-later
"""Where services cannot start: image builds in a chroot, and hosts whose policy-rc.d denies everything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lifecycle.bed import Bed
from tests.lifecycle.container import Container
from tests.lifecycle.packages import build_debs
from tests.lifecycle.repository import MOUNT_POINT, Repository, SigningKey
from tests.lifecycle.server import EXAMPLE, Server, build_site

NEXT = EXAMPLE.read_text().replace("version: 1.0.0", "version: 1.1.0").replace("256M", "77M")
IMAGE = "/var/lib/fpmjail/jails/example"


@pytest.fixture
def chroot(release: str, tmp_path: Path, signing_key: SigningKey) -> Iterator[Container]:
    """A tree without a running systemd that knows a repository with the runtime and one site."""
    repository = Repository(tmp_path, "sites", suite=release, key=signing_key)
    repository.publish(*build_debs(release).glob("*.deb"), build_site(EXAMPLE, tmp_path / "dist", release))
    with Container(release, binds={tmp_path: MOUNT_POINT}, boot=False) as container:
        repository.add_to(container)
        yield container


def test_a_site_installs_upgrades_and_purges_in_a_chroot_without_systemd(chroot: Container) -> None:
    answer = chroot.apt("install", "site-example-jail")
    assert "systemd is not running here" in answer.output
    assert chroot.run("readlink", f"{IMAGE}/usr").stdout.strip() == ".image/current/usr"
    assert "site-example-jail" in chroot.read(f"{IMAGE}/etc/fpm.conf")
    assert chroot.exists("/etc/apache2/sites-enabled/site-example-jail.conf")
    assert chroot.exists("/etc/systemd/system/sockets.target.wants/site-example-jail.socket")
    chroot.apt("install", "--reinstall", "site-example-jail")
    chroot.apt("purge", "site-example-jail", "fpmjail")
    assert not chroot.exists(IMAGE)


def test_policy_rc_d_that_denies_everything_is_obeyed_without_an_error(
    fresh_bed: Bed, tmp_path_factory: pytest.TempPathFactory
) -> None:
    server = Server(fresh_bed, tmp_path_factory.mktemp("dist"))
    fresh_bed.publish_own_packages()
    server.publish(EXAMPLE)
    server.write("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", mode=0o755)
    answer = server.install("site-example-jail")
    assert "policy-rc.d forbids it" in answer.output
    assert server.run("systemctl", "is-active", "site-example-jail.socket", check=False).stdout.strip() != "active"
    server.run("rm", "/usr/sbin/policy-rc.d")
    server.run("fpmjail", "configure", "example")
    server.run("fpmjail", "reload")
    assert server.faults() == []
    server.write_page("index.php", "<?php echo ini_get('memory_limit');")
    before = server.get("/").body
    server.publish(NEXT)
    server.write("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", mode=0o755)
    assert "policy-rc.d forbids it" in server.install("site-example-jail").output
    assert server.get("/").body == before == "256M"
    server.run("rm", "/usr/sbin/policy-rc.d")
    server.run("fpmjail", "configure", "example")
    assert server.get("/").body == "77M"
