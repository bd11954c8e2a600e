# SPDX-License-Identifier: GPL-2.0-or-later
"""A site built by debhelper from its source package is installed, answers, and is purged as any other."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lifecycle.bed import Bed
from tests.lifecycle.container import Container
from tests.lifecycle.packages import build_debs
from tests.lifecycle.server import EXAMPLE, HOMEPAGE, Server

PACKAGE = "site-example-jail"


def built_by_debhelper(release: str, place: Path) -> Path:
    """The package of the example, made by dpkg-buildpackage."""
    binds: dict[str | Path, str] = {build_debs(release): "/srv/debs", EXAMPLE.parent: "/srv/examples"}
    with Container(release, "builder", binds=binds, writable={place: "/srv/out"}, boot=False) as builder:
        builder.shell(
            "dpkg --install /srv/debs/fpmjail-deb_*.deb && cd /srv/out && "
            f"fpmjail-deb source /srv/examples/example.yaml --release {release} -o tree && "
            "cd tree && dpkg-buildpackage -b -us -uc"
        )
    [deb] = place.glob("*.deb")
    return deb


def test_a_package_made_by_debhelper_lives_like_one_made_by_build(
    fresh_bed: Bed, tmp_path_factory: pytest.TempPathFactory
) -> None:
    server = Server(fresh_bed, tmp_path_factory.mktemp("dist"))
    fresh_bed.sites.publish(built_by_debhelper(fresh_bed.release, tmp_path_factory.mktemp("tree")))
    fresh_bed.publish_own_packages()
    server.install(PACKAGE)
    server.write_page("index.php", HOMEPAGE)
    assert server.get().body == "hello from fpm-fcgi own\n"
    assert server.faults() == []
    server.apt("purge", PACKAGE)
    assert server.exists("/var/www/example/htdocs/index.php")
    assert not server.exists("/var/lib/fpmjail/jails/example") and not server.exists("/usr/share/fpmjail/sites/example")
