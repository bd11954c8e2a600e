# SPDX-License-Identifier: GPL-2.0-or-later
"""The test bed's own decisions, without a container."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lifecycle import packages, repack, trees

CONTROL = """\
Source: example
Build-Depends: debhelper-compat (= 13),
 dh-python, python3-all:any <!nocheck>,
 pandoc | go-md2man,
Standards-Version: 4.7.0

Package: example
Depends: apache2, ${misc:Depends},
         python3 (>= 3.11)

Package: second
Depends: php-fpm | php-cgi
"""


def test_the_mirror_is_the_one_of_the_host() -> None:
    sources = "# deb http://old.example/debian x main\ndeb [signed-by=/k] http://near.example/debian/ trixie main\n"
    assert trees.mirror_in(sources) == trees.Mirror(main="http://near.example/debian")


def test_the_security_mirror_is_another_one() -> None:
    sources = "Types: deb\nURIs: https://a.example/debian-security\n\nTypes: deb\nURIs: https://a.example/debian\n"
    assert trees.mirror_in(sources) == trees.Mirror("https://a.example/debian", "https://a.example/debian-security")


def test_without_any_source_the_mirror_is_debians_own() -> None:
    assert trees.mirror_in("") == trees.Mirror("http://deb.debian.org/debian", "http://deb.debian.org/debian-security")


def test_only_options_that_say_how_to_reach_the_mirror_are_taken_over() -> None:
    wanted = ['Acquire::http::Proxy "http://p:1";', 'Acquire::Check-Valid-Until "false";']
    others = ['APT::Architecture "amd64";', 'Acquire::Languages "";']
    assert trees.acquire_options("\n".join([*others, *wanted])) == wanted


def test_relations_are_names_without_versions_profiles_and_alternatives() -> None:
    assert trees.relations_in(CONTROL, "Build-Depends") == ["debhelper", "dh-python", "pandoc", "python3-all"]


def test_relations_of_all_packages_are_found_and_variables_left_out() -> None:
    assert trees.relations_in(CONTROL, "Depends") == ["apache2", "php-fpm", "python3"]


def test_a_tree_of_an_unknown_release_is_refused() -> None:
    with pytest.raises(ValueError, match="no such tree"):
        trees.tree_of("sid", "server")


def test_a_repacked_package_depends_on_its_siblings_newer_version() -> None:
    control = "Package: b\nVersion: 1.0-1\nDepends: a (= 1.0-1), a:any (= 1.0-1), other (= 1.0-1), c (>= 1.0-1)\n"
    assert repack.with_newer_version(control, ["a", "b", "c"], 2) == (
        "Package: b\nVersion: 1.0-1+sp2\nDepends: a (= 1.0-1+sp2), a:any (= 1.0-1+sp2), other (= 1.0-1), c (>= 1.0-1)\n"
    )


def test_the_hash_of_a_checkout_follows_contents_names_and_executable_bits(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    (tmp_path / "b").write_text("1")
    hashes = [packages.content_hash(["a"], tmp_path), packages.content_hash(["b"], tmp_path)]
    (tmp_path / "a").chmod(0o755)
    hashes.append(packages.content_hash(["a"], tmp_path))
    (tmp_path / "a").write_text("2")
    hashes.append(packages.content_hash(["a"], tmp_path))
    assert len(set(hashes)) == 4
