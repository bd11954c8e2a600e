# SPDX-License-Identifier: GPL-2.0-or-later
"""From a profile to the list of what its image holds."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import world
from world import ARCH, LIB

from fpmjail.layout import Layout
from fpmjail.wanted import Item, Live, Wanted, wanted


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return world.make(tmp_path)


def everything(layout: Layout) -> Wanted:
    return world.want(layout, world.profile(*world.EVERYTHING))


def items(found: Wanted) -> dict[str, Item]:
    return {item.path: item for item in found.items}


def mine(layout: Layout, *rules: dict[str, object]) -> Wanted:
    """What one capability of an administrator finds."""
    return wanted(world.profile("mine"), world.define(layout, "mine", *rules), layout)


def test_php_comes_with_extensions_libraries_and_configuration(layout: Layout) -> None:
    found = everything(layout)
    assert (found.missing, found.warnings) == ((), ())
    assert {
        "usr/sbin/php-fpm8.4",
        "usr/bin/php8.4",
        "usr/lib/php/20240924/gd.so",
        f"{LIB}/libc.so.6",
        f"{LIB}/ld.so.2",
        f"{LIB}/libgd.so.3",
        f"{LIB}/libgd.so.3.1",
        "etc/php/8.4/fpm/php.ini",
        "etc/php/8.4/cli/conf.d/20-gd.ini",
        "etc/php/8.4/mods-available/gd.ini",
        "usr/share/fpmjail/probes/php.php",
    } <= set(items(found))


def test_links_stay_links_and_lead_to_something_in_the_image(layout: Layout) -> None:
    found = items(everything(layout))
    assert found["usr/lib64/ld.so.2"].target == f"/lib/{ARCH}/ld.so.2"
    assert found["usr/lib/ssl/cert.pem"].target == "/etc/ssl/certs/ca-certificates.crt"
    assert (found["usr/sbin/php-fpm"].target, found["usr/bin/php"].target) == ("php-fpm8.4", "php8.4")
    for item in found.values():
        if item.kind == "link":
            target = os.path.normpath(str(Path("/", item.path).parent / item.target))
            assert target.replace("/lib/", "/usr/lib/", 1 if target.startswith("/lib/") else 0)[1:] in found


def test_every_parent_is_a_directory_of_the_image(layout: Layout) -> None:
    found = items(everything(layout))
    for path in found:
        parent = str(Path(path).parent)
        assert parent == "." or found[parent].kind == "directory"
    assert {path.split("/")[0] for path in found} == {"usr", "etc"}


def test_modes_never_have_more_than_execution(layout: Layout) -> None:
    (layout.root / "usr/bin/php8.4").chmod(0o6755)
    (layout.root / "etc/services").chmod(0o666)
    found = items(everything(layout))
    assert found["usr/bin/php8.4"].mode == 0o755
    assert found["etc/services"].mode == 0o644
    assert {item.mode for item in found.values() if item.kind != "link"} == {0o755, 0o644}


def test_time_zones_are_complete_without_the_legacy_trees(layout: Layout) -> None:
    found = items(everything(layout))
    assert {"usr/share/zoneinfo/UTC", "usr/share/zoneinfo/Europe/Paris", "usr/share/zoneinfo/Zulu"} <= set(found)
    assert "usr/share/zoneinfo/right/UTC" not in found


def test_only_the_charsets_of_the_profile_come(layout: Layout) -> None:
    found = items(everything(layout))
    assert f"{LIB}/gconv/CP1252.so" in found
    assert f"{LIB}/gconv/gconv-modules.cache" in found
    assert f"{LIB}/gconv/CP1252.so" not in items(world.want(layout, world.profile("charsets", charsets=("UTF-8",))))


def test_live_files_are_no_part_of_the_image(layout: Layout) -> None:
    found = everything(layout)
    assert [live.name for live in found.live] == ["hosts", "localtime", "resolv.conf"]
    assert found.live[0] == Live("hosts", "/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n")
    assert not {"etc/hosts", "etc/localtime", "etc/resolv.conf"} & set(items(found))


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("usr/sbin/php-fpm8.4", "php: /usr/sbin/php-fpm8.4 is not there (package php8.4-fpm)"),
        ("usr/bin/php8.4", "php: /usr/bin/php8.4 is not there (package php8.4-cli)"),
        ("etc/services", "services: /etc/services is not there (package netbase)"),
        (
            "etc/ssl/certs/ca-certificates.crt",
            "tls: /etc/ssl/certs/ca-certificates.crt is not there (package ca-certificates)",
        ),
        (f"{LIB}/gconv/CP1252.so", f"charsets: /{LIB}/gconv/CP1252.so is not there (package libc6)"),
        (f"{LIB}/libgd.so.3.1", "php: library libgd.so.3 is needed by /usr/lib/php/20240924/gd.so and is not there"),
    ],
)
def test_what_is_not_on_the_host_is_missing_with_its_package(layout: Layout, path: str, words: str) -> None:
    (layout.root / path).unlink()
    assert words in [str(missing) for missing in everything(layout).missing]


def test_an_unknown_charset_is_missing(layout: Layout) -> None:
    found = world.want(layout, world.profile("charsets", charsets=("KLINGON",)))
    assert [str(missing) for missing in found.missing] == [
        "charsets: charset KLINGON is not known to glibc (package libc6)"
    ]


def test_an_unknown_capability_is_missing(layout: Layout) -> None:
    found = world.want(layout, world.profile("teleport"))
    assert [str(one) for one in found.missing] == [
        f"teleport: capability teleport is not defined in {layout.admin_capabilities}"
    ]


def test_a_dangling_ini_is_a_warning_as_it_is_for_php(layout: Layout) -> None:
    world.link(layout.root, "etc/php/8.4/fpm/conf.d/20-gone.ini", "/etc/php/8.4/mods-available/gone.ini")
    world.put(layout.root, "etc/php/8.4/mods-available/imagick.ini", "extension=imagick.so\n")
    world.link(layout.root, "etc/php/8.4/fpm/conf.d/20-imagick.ini", "/etc/php/8.4/mods-available/imagick.ini")
    found = everything(layout)
    assert found.missing == ()
    assert found.warnings == (
        "/etc/php/8.4/fpm/conf.d/20-gone.ini is not there",
        "/etc/php/8.4/fpm/conf.d/20-imagick.ini loads /usr/lib/php/20240924/imagick.so, which is not there",
    )


def test_a_file_that_not_everybody_may_read_is_not_spread(layout: Layout) -> None:
    world.put(layout.root, "etc/secret.key", mode=0o640)
    found = mine(layout, {"files": ["/etc/secret.key"]})
    assert "etc/secret.key" not in items(found)
    assert [str(one) for one in found.missing] == ["mine: /etc/secret.key is not readable for everybody (mode 0640)"]


@pytest.mark.parametrize("optional", [True, False])
def test_special_files_never_come(layout: Layout, optional: bool) -> None:
    os.mkfifo(layout.root / "etc/pipe")
    found = mine(layout, {"files": ["/etc/pipe"], "optional": optional})
    assert "etc/pipe" not in items(found)
    assert bool(found.missing) is not optional


def test_what_lies_elsewhere_is_copied_to_where_it_was_asked_for(layout: Layout) -> None:
    world.put(layout.root, "srv/conf/openssl.cnf")
    (layout.root / "etc/ssl/openssl.cnf").unlink()
    world.link(layout.root, "etc/ssl/openssl.cnf", "/srv/conf/openssl.cnf")
    item = items(everything(layout))["etc/ssl/openssl.cnf"]
    assert (item.kind, item.source) == ("file", "/srv/conf/openssl.cnf")


def test_a_linked_directory_on_the_way_is_in_the_image(layout: Layout) -> None:
    world.put(layout.root, "usr/share/data-2/file")
    world.link(layout.root, "usr/share/data", "data-2")
    found = items(mine(layout, {"files": ["/usr/share/data/*"]}))
    assert (found["usr/share/data"].kind, found["usr/share/data"].target) == ("link", "data-2")
    assert found["usr/share/data-2/file"].kind == "file"


def test_a_made_link_takes_the_place_of_the_hosts(layout: Layout) -> None:
    world.link(layout.root, "usr/bin/php", "/etc/alternatives/php")
    assert items(everything(layout))["usr/bin/php"].target == "php8.4"


def test_a_link_above_other_files_is_a_conflict(layout: Layout) -> None:
    found = mine(layout, {"files": ["/etc/ssl/openssl.cnf"]}, {"links": {"/etc/ssl": "elsewhere"}})
    assert [str(one) for one in found.missing] == ["mine: /etc/ssl/openssl.cnf cannot lie below the link /etc/ssl"]


def test_a_library_outside_the_default_directories_is_linked_into_them(layout: Layout) -> None:
    import elf

    world.put(layout.root, "etc/ld.so.conf", "/usr/local/lib\n")
    elf.write(layout.root / "usr/local/lib/libown.so.1", ("libc.so.6",))
    elf.write(layout.root / "usr/lib/mine.so", ("libown.so.1",))
    found = items(mine(layout, {"objects": ["/usr/lib/mine.so"]}))
    assert found["usr/local/lib/libown.so.1"].kind == "file"
    assert found[f"{LIB}/libown.so.1"].target == "/usr/local/lib/libown.so.1"


def test_everything_that_was_looked_at_is_an_input(layout: Layout) -> None:
    found = everything(layout)
    for path in (
        "/usr/share/fpmjail/capabilities",
        "/usr/share/fpmjail/capabilities/php.json",
        "/etc/fpmjail",
        "/etc/os-release",
        "/etc/php/8.4/fpm/conf.d",
        "/usr/share/zoneinfo/Europe",
        f"/{LIB}/libgd.so.3",
        f"/{LIB}/libgd.so.3.1",
        f"/{LIB}/gconv/gconv-modules",
    ):
        assert path in found.inputs
    assert found.inputs["/etc/os-release"] is None
    assert set(found.sources) <= set(found.inputs)
