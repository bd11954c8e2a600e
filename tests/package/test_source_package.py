# SPDX-License-Identifier: GPL-2.0-or-later
"""A site kept as a Debian source package: dpkg-buildpackage makes the package that `fpmjail-deb build` makes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from fpmjail_deb.contents import PackagePlan
from fpmjail_deb.deb import read_package
from tests.lifecycle.container import Completed, Container
from tests.lifecycle.packages import build_debs
from tests.package.parsers import SEEN_AS
from tests.sites import EXAMPLES

PACKAGE = "site-shop-jail"
WORK = "/srv/work"


@dataclass(frozen=True, slots=True)
class Made:
    """The same package from both ways, and the builder that made it."""

    builder: Container
    ours: Path
    theirs: Path


@pytest.fixture(scope="module")
def made(release: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """The example of a shop, from its description and from the tree that `source` wrote."""
    exchange = tmp_path_factory.mktemp("exchange")
    binds: dict[str | Path, str] = {build_debs(release): "/srv/debs", EXAMPLES: "/srv/examples"}
    with Container(release, "builder", binds=binds, writable={exchange: SEEN_AS}, boot=False) as builder:
        builder.shell(f"dpkg --install /srv/debs/fpmjail-deb_*.deb && mkdir {WORK} {SEEN_AS}/ours {SEEN_AS}/theirs")
        builder.shell(
            f"cd {WORK} && cp /srv/examples/shop.yaml . && mkdir -p web/lib && "
            "echo 'code: web' >>shop.yaml && echo '<?php' >web/index.php && echo '<?php' >web/lib/a.php"
        )
        builder.shell(f"cd {WORK} && fpmjail-deb source shop.yaml --release {release} -o tree")
        built = package(builder, "tree")
        builder.shell(f"cp {WORK}/{PACKAGE}_* {SEEN_AS}/theirs/")
        builder.shell(
            f"cd {WORK}/tree/debian && export SOURCE_DATE_EPOCH=$(dpkg-parsechangelog -l changelog -S Timestamp) && "
            f"fpmjail-deb build fpmjail.yaml --release {release} -o {SEEN_AS}/ours"
        )
        assert "dh_fpmjail" in built.output
        (ours,), (theirs,) = ((exchange / way).glob("*.deb") for way in ("ours", "theirs"))
        yield Made(builder, ours, theirs)


def package(builder: Container, tree: str, *, check: bool = True) -> Completed:
    """Build a tree as Debian's developers do."""
    command = f"cd {WORK}/{tree} && exec dpkg-buildpackage -us -uc"
    return builder.run("sh", "-c", command, check=check, env={"DEB_BUILD_OPTIONS": "nocheck"})


def contents(plan: PackagePlan) -> dict[str, object]:
    """All that a package holds, by path; a compressed changelog differs between gzip and Python."""
    return {entry.path: entry for entry in plan.entries if not entry.path.endswith("/changelog.gz")}


def test_both_packages_hold_the_same(made: Made) -> None:
    ours, theirs = read_package(made.ours), read_package(made.theirs)
    assert made.ours.name == made.theirs.name
    assert contents(theirs) == contents(ours)
    assert "var/www/shop/app/public/lib/a.php" in contents(theirs)
    assert theirs.scripts == ours.scripts and theirs.conffiles == ours.conffiles and theirs.epoch == ours.epoch
    assert dict(theirs.control) == dict(ours.control)


def test_the_control_archives_are_the_same(made: Made) -> None:
    script = (
        "for way in ours theirs; do cd {seen}/$way && rm -rf control && dpkg-deb --control *.deb control && "
        "cd control && sort -k2 md5sums | grep -v changelog.gz >sums && rm control md5sums; done; "
        "diff -r {seen}/ours/control {seen}/theirs/control && ls {seen}/theirs/control"
    )
    listed = made.builder.shell(script.format(seen=SEEN_AS)).stdout.split()
    assert {"conffiles", "postinst", "postrm", "preinst", "prerm", "sums"} <= set(listed)


def test_the_changelogs_say_the_same(made: Made) -> None:
    unpack = "dpkg-deb --fsys-tarfile {seen}/{way}/*.deb | tar -xO --wildcards '*/changelog.gz' | zcat"
    ours, theirs = (
        made.builder.shell(unpack.format(seen=SEEN_AS, way=way)).stdout.splitlines() for way in ("ours", "theirs")
    )
    assert ours[0] == theirs[0] and ours[-1] == theirs[-1]


def test_lintian_finds_no_error_and_no_warning_in_source_and_package(made: Made) -> None:
    result = made.builder.shell(
        f"cd {WORK} && lintian --allow-root --fail-on=error,warning --tag-display-limit=0 {PACKAGE}_*.changes",
        check=False,
    )
    assert result.good and not result.stdout, result.output


def test_the_add_on_is_found_by_its_name_alone(made: Made) -> None:
    """`dh $@` with dh-sequence-fpmjail, and `dh $@ --with fpmjail` without it."""
    made.builder.shell(
        f"cd {WORK} && cp -r tree named && sed -i 's/ --with fpmjail//' named/debian/rules && "
        "cp -r tree with && sed -i 's/, dh-sequence-fpmjail//' with/debian/control"
    )
    for tree in ("named", "with"):
        options = "$(grep -o -- '--with fpmjail' debian/rules || :)"
        asked = made.builder.shell(f"cd {WORK}/{tree} && dh binary --no-act {options}")
        assert "dh_installdeb\n   dh_fpmjail\n" in asked.stdout, asked.output


def test_a_mistake_in_the_description_ends_the_build_with_its_place(made: Made) -> None:
    made.builder.shell(f"cp -r {WORK}/tree {WORK}/bad && echo 'colour: red' >>{WORK}/bad/debian/fpmjail.yaml")
    answer = package(made.builder, "bad", check=False)
    assert answer.returncode and "debian/fpmjail.yaml:" in answer.output and "unknown key" in answer.output
