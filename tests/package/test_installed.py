# SPDX-License-Identifier: GPL-2.0-or-later
"""The installed generator of each release: its own smoke test, a fleet, shell completion, schemas."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

import pytest

from tests.lifecycle.container import Container
from tests.lifecycle.packages import build_debs
from tests.lifecycle.trees import CHECKOUT

FULL = "/mnt/full"


@pytest.fixture(scope="module")
def workshop(release: str) -> Iterator[Container]:
    """A builder with the package fpmjail-deb installed, and the checkout's examples and tests beside it."""
    with Container(
        release, "builder", binds={build_debs(release): "/srv/debs", CHECKOUT: "/srv/checkout"}, boot=False
    ) as container:
        container.shell("dpkg --install /srv/debs/fpmjail-deb_*.deb")
        yield container


def built(workshop: Container, output: str, *options: str) -> dict[str, str]:
    """The SHA-256 of each package of the example of a fleet, built into a directory."""
    workshop.run("fpmjail-deb", "build", "/srv/checkout/examples/fleet", "-o", output, *options, env=DAY)
    lines = workshop.shell(f"cd {output} && sha256sum *.deb").stdout.splitlines()
    return {name: digest for digest, name in (line.split() for line in lines)}


DAY = {"SOURCE_DATE_EPOCH": "1795435200"}


def test_the_smoke_test_of_the_source_package_passes(workshop: Container) -> None:
    smoke = "mkdir /srv/smoke && AUTOPKGTEST_TMP=/srv/smoke sh /srv/checkout/debian/tests/generate"
    assert workshop.shell(smoke, check=False).good


def test_a_fleet_has_the_same_bytes_from_one_process_and_from_four(workshop: Container) -> None:
    one = built(workshop, "/srv/one", "-j1")
    assert sorted(one) == [f"site-{name}-jail_20261123.1+deb13_all.deb" for name in ("map", "portal", "society")]
    assert built(workshop, "/srv/four", "-j4") == one
    assert all(len(digest) == hashlib.sha256().digest_size * 2 for digest in one.values())


def test_a_full_disk_leaves_no_half_package_and_the_next_build_makes_the_rest(workshop: Container) -> None:
    workshop.shell(
        f"mkdir {FULL} && mount -t tmpfs -o size=64k tmpfs {FULL} && head -c 40000 /dev/zero >{FULL}/ballast"
    )
    try:
        result = workshop.run("fpmjail-deb", "build", "/srv/checkout/examples/fleet", "-o", FULL, check=False)
        assert result.returncode == 1
        assert "No space left on device" in result.stderr
        assert "1 site failed" in result.stderr
        left = workshop.shell(f"ls -A {FULL}").stdout.split()
        assert all(name == "ballast" or name.endswith(".deb") for name in left)
        for name in left:
            if name.endswith(".deb"):
                workshop.run("dpkg-deb", "--contents", f"{FULL}/{name}")
        workshop.shell(f"rm {FULL}/ballast")
        workshop.run("fpmjail-deb", "build", "/srv/checkout/examples/fleet", "-o", FULL)
        assert len(workshop.shell(f"ls -A {FULL}").stdout.split()) == 3
    finally:
        workshop.shell(f"umount {FULL}")


def test_a_directory_that_cannot_be_written_is_told_once(workshop: Container) -> None:
    workshop.shell("mkdir /mnt/sealed && mount -t tmpfs -o ro tmpfs /mnt/sealed")
    try:
        result = workshop.run("fpmjail-deb", "build", "/srv/checkout/examples/fleet", "-o", "/mnt/sealed", check=False)
    finally:
        workshop.shell("umount /mnt/sealed")
    assert result.returncode == 1
    assert result.stderr.splitlines()[0].endswith("cannot be written: Read-only file system")
    assert result.stderr.splitlines()[1:] == ["fpmjail-deb: 0 packages made, 0 unchanged, 1 site failed, 2 not tried"]


def test_the_shells_find_their_completion(workshop: Container) -> None:
    for place in (
        "bash-completion/completions/fpmjail-deb",
        "zsh/vendor-completions/_fpmjail-deb",
        "fish/vendor_completions.d/fpmjail-deb.fish",
    ):
        assert "fpmjail-deb" in workshop.read(f"/usr/share/{place}")


def test_the_schemas_are_there_for_editors(workshop: Container) -> None:
    site = json.loads(workshop.read("/usr/share/fpmjail-deb/site.schema.json"))
    defaults = json.loads(workshop.read("/usr/share/fpmjail-deb/defaults.schema.json"))
    assert site["required"] == ["site", "domains"]
    assert defaults["required"] == [] and "domains" not in defaults["properties"]
    for option, found in (((), site), (("--defaults",), defaults)):
        assert json.loads(workshop.run("fpmjail-deb", "schema", *option).stdout) == found
