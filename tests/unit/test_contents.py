# SPDX-License-Identifier: GPL-2.0-or-later
"""What no package plan can be."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fpmjail_deb.contents import Directory, File, PackagePlan, Symlink, with_parents
from fpmjail_deb.errors import BuildError
from tests.sites import planned, shop


@pytest.fixture(name="package")
def package_fixture() -> PackagePlan:
    return planned(shop())


@pytest.mark.parametrize("path", ["/usr/x", "usr/../x", "usr//x", "usr/x/", ".", "", "srv/x", "lib/x", "usr/a\nb"])
def test_a_path_is_plain_and_in_a_place_of_packages(path: str) -> None:
    with pytest.raises(BuildError):
        File(path, b"")


@pytest.mark.parametrize("mode", [0o600, 0o4755, 0o666, 0o777])
def test_a_file_has_an_ordinary_mode(mode: int) -> None:
    with pytest.raises(BuildError, match="mode"):
        File("usr/x", b"", mode)


def test_a_directory_has_an_ordinary_mode() -> None:
    with pytest.raises(BuildError, match="mode"):
        Directory("usr", 0o777)


def test_a_file_in_etc_is_a_conffile_and_no_other_is() -> None:
    with pytest.raises(BuildError, match="conffiles"):
        File("etc/x", b"")
    with pytest.raises(BuildError, match="conffiles"):
        File("usr/x", b"", conffile=True)


def test_a_link_has_a_target() -> None:
    with pytest.raises(BuildError, match="target"):
        Symlink("usr/x", "")


def test_entries_are_sorted_and_single(package: PackagePlan) -> None:
    with pytest.raises(BuildError, match="sorted"):
        replace(package, entries=tuple(reversed(package.entries)))
    with pytest.raises(BuildError, match="twice"):
        replace(package, entries=(*package.entries, package.entries[-1]))


def test_every_parent_is_in_the_package(package: PackagePlan) -> None:
    with pytest.raises(BuildError, match="parent"):
        replace(package, entries=(File("usr/x", b""),))


def test_parents_are_added_and_sorted() -> None:
    assert [entry.path for entry in with_parents((File("usr/b/x", b""), Symlink("usr/a", "b")))] == [
        "usr", "usr/a", "usr/b", "usr/b/x",
    ]  # fmt: skip


def test_scripts_are_known_and_for_sh(package: PackagePlan) -> None:
    with pytest.raises(BuildError, match="maintainer scripts"):
        replace(package, scripts=(("config", "#!/bin/sh\n"),))
    with pytest.raises(BuildError, match="/bin/sh"):
        replace(package, scripts=(("postinst", "#!/bin/bash\n"),))


@pytest.mark.parametrize(
    ("field", "value"), [("Package", "Shop"), ("Package", "a b"), ("Version", "1.0_bad"), ("Version", "1\n2")]
)
def test_control_fields_have_debians_form(package: PackagePlan, field: str, value: str) -> None:
    with pytest.raises(BuildError):
        replace(package, control=tuple((name, value if name == field else old) for name, old in package.control))


def test_a_package_without_a_maintainer_is_none(package: PackagePlan) -> None:
    with pytest.raises(BuildError, match="Maintainer"):
        replace(package, control=tuple(pair for pair in package.control if pair[0] != "Maintainer"))
