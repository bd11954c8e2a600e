# SPDX-License-Identifier: GPL-2.0-or-later
"""The facts about releases agree with each other."""

import pytest
from debian.debian_support import Version

from fpmjail_deb.release import BUILT_IN, PART_OF, RELEASES, Release


def test_a_newer_release_has_the_newer_package() -> None:
    releases = sorted(RELEASES.values(), key=lambda release: int(release.number))
    versions = [Version(f"1.0.0{release.suffix}") for release in releases]
    assert versions == sorted(versions)
    assert len(set(versions)) == len(versions)


@pytest.mark.parametrize("release", RELEASES.values(), ids=RELEASES.keys())
def test_a_release_ships_its_own_php_and_its_suffix_is_its_number(release: Release) -> None:
    assert RELEASES[release.codename] is release
    assert release.php in release.php_versions
    assert release.suffix == f"+deb{release.number}"


@pytest.mark.parametrize("release", RELEASES.values(), ids=RELEASES.keys())
def test_what_people_mean_by_another_name_is_there(release: Release) -> None:
    assert set(PART_OF.values()) <= release.extensions
    assert not set(PART_OF) & release.extensions
    assert not BUILT_IN & release.extensions
