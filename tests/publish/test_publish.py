# SPDX-License-Identifier: GPL-2.0-or-later
"""What a publish makes of a repository."""

from __future__ import annotations

import json
import re
import stat
import subprocess
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest
from debian.debian_support import Version

from fpmjail_deb import apt_ftparchive
from tests.fleet import KEYRING, ORIGIN, Published, fpmjail_deb, write_site, write_sites
from tests.publish.packages import deb, faults, versions


def test_a_new_repository_has_a_key_of_its_own_and_a_keyring_package_for_each_release(repository: Published) -> None:
    assert faults(repository) == []
    for release in ("trixie", "bookworm"):
        assert len(versions(repository, KEYRING, release)) == 1
        text = (repository.public / "dists" / release / "Release").read_text()
        assert f"Origin: {ORIGIN}\n" in text and f"Label: {ORIGIN}\n" in text and "Acquire-By-Hash: yes\n" in text
        assert (repository.public / f"{KEYRING}_{release}.deb").resolve().is_file()
    private = [repository.home, *(repository.home / "private-keys-v1.d").iterdir()]
    assert private[1:] and all(stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 for path in private)
    assert [path for path in repository.root.rglob("*") if "private" in path.name] == []


def test_each_release_has_its_own_builds_of_one_version(repository: Published, tmp_path: Path) -> None:
    for release in ("trixie", "bookworm"):
        deb(tmp_path / release, "0.1", "fpmjail", f"built on {release}", "amd64")
    said = repository.publish(tmp_path / "trixie", tmp_path / "bookworm")
    assert [one["release"] for one in said["added"]] == ["bookworm", "trixie"]
    assert faults(repository) == []
    arm64 = (repository.public / "dists/trixie/main/binary-arm64/Packages").read_text()
    assert "Package: fpmjail\n" not in arm64 and f"Package: {KEYRING}\n" in arm64


def test_only_what_is_new_is_published_and_nothing_new_is_no_publish(repository: Published, tmp_path: Path) -> None:
    deb(tmp_path, "1.0+deb13")
    assert repository.publish(tmp_path)["publish"] == 2
    before = (repository.public / "dists").readlink()
    said = repository.publish(tmp_path)
    assert (said["published"], said["publish"], said["unchanged"]) == (False, 2, 1)
    assert (repository.public / "dists").readlink() == before


def test_of_a_directory_the_newest_versions_are_meant(repository: Published, tmp_path: Path) -> None:
    for version in ("1.9+deb13", "1.10+deb13"):
        deb(tmp_path, version)
    repository.publish(tmp_path)
    assert versions(repository) == ["1.10+deb13"]


def test_so_many_versions_stay_as_were_asked_for(repository: Published, tmp_path: Path) -> None:
    for number in range(1, 5):
        repository.publish(deb(tmp_path, f"1.{number}+deb13"), "--keep", "2")
    assert versions(repository) == ["1.3+deb13", "1.4+deb13"]
    assert faults(repository) == []


def test_a_rollback_serves_what_was_before_with_a_later_date(repository: Published, tmp_path: Path) -> None:
    for number in (1, 2):
        repository.publish(deb(tmp_path, f"1.{number}+deb13"))
    release = repository.public / "dists/trixie/Release"
    before = release.read_text()
    said = repository.publish("--rollback", "2")
    assert [one["version"] for one in said["dropped"]] == ["1.2+deb13"]
    assert versions(repository) == ["1.1+deb13"]
    assert faults(repository) == []
    assert date(release.read_text()) > date(before)
    assert repository.publish("--rollback", "3")["added"][0]["version"] == "1.2+deb13"
    rows = json.loads(fpmjail_deb("publish", repository.root, "--list", "--json").stdout)
    assert [row["reason"] for row in rows[-2:]] == ["back to 2", "back to 3"] and rows[-1]["served"]


def date(release: str) -> datetime:
    """The time of a Release file."""
    [found] = re.findall(r"^Date: (.*)$", release, re.MULTILINE)
    return parsedate_to_datetime(found)


def test_from_valid_for_on_each_publish_says_until_when_it_is_good(repository: Published, tmp_path: Path) -> None:
    assert valid_days(repository) is None
    assert repository.publish("--valid-for", "2w")["published"]
    assert valid_days(repository) == 14
    repository.publish(deb(tmp_path, "1.1+deb13"))
    assert valid_days(repository) == 14
    assert repository.publish("--valid-for", "never")["published"]
    assert valid_days(repository) is None
    assert not repository.publish()["published"]


def valid_days(repository: Published) -> float | None:
    """The days between the two times of a Release file."""
    text = (repository.public / "dists/trixie/InRelease").read_text()
    found = dict(re.findall(r"^(Date|Valid-Until): (.*)$", text, re.MULTILINE))
    if "Valid-Until" not in found:
        return None
    until, since = (parsedate_to_datetime(found[name]) for name in ("Valid-Until", "Date"))
    return (until - since).total_seconds() / 86400


def test_a_rollback_goes_to_other_packages_not_to_what_was_signed_again(repository: Published, tmp_path: Path) -> None:
    for number in (1, 2):
        repository.publish(deb(tmp_path, f"1.{number}+deb13"))
    repository.publish("--valid-for", "7d")
    assert [one["version"] for one in repository.publish("--rollback")["dropped"]] == ["1.2+deb13"]


def test_signing_again_pushes_nothing_out_that_can_be_gone_back_to(
    repository: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apt_ftparchive, "KEPT_PUBLISHES", 2)
    for number in (1, 2):
        repository.publish(deb(tmp_path, f"1.{number}+deb13"), "--keep", "1")
    repository.publish("--valid-for", "7d")
    for _ in range(4):
        assert repository.publish()["reason"] == "signed again"
    rows = json.loads(fpmjail_deb("publish", repository.root, "--list", "--json").stdout)
    assert [(row["publish"], row["served"]) for row in rows] == [(1, False), (2, False), (3, False), (8, True)]
    assert repository.publish("--rollback")["added"][0]["version"] == "1.1+deb13"
    rows = json.loads(fpmjail_deb("publish", repository.root, "--list", "--json").stdout)
    assert [row["publish"] for row in rows] == [2, 3, 9]
    assert faults(repository) == []


def test_a_release_in_which_nothing_changed_keeps_what_its_servers_have(repository: Published, tmp_path: Path) -> None:
    before = {release: signed(repository, release) for release in ("trixie", "bookworm")}
    repository.publish(deb(tmp_path, "1.0+deb13"))
    assert signed(repository, "bookworm") == before["bookworm"]
    assert not set(signed(repository, "trixie")) & set(before["trixie"])
    repository.publish("--valid-for", "7d")
    assert not set(signed(repository, "bookworm")) & set(before["bookworm"])
    assert faults(repository) == []


def signed(repository: Published, release: str) -> list[tuple[str, str, int]]:
    """What apt asks for first, each file with the time by which it finds out whether that is new."""
    files = [repository.public / "dists" / release / name for name in ("InRelease", "Release", "Release.gpg")]
    return [(file.name, file.read_text(), int(file.stat().st_mtime)) for file in files]


def test_a_release_that_is_published_again_with_the_same_packages_is_signed_again(repository: Published) -> None:
    before = signed(repository, "trixie")
    assert repository.publish("--valid-for", "never")["published"]
    assert not set(signed(repository, "trixie")) & set(before)


def test_keyring_packages_that_nothing_tells_of_are_looked_at_and_stay(repository: Published, tmp_path: Path) -> None:
    made_of = repository.root / "keyrings/made-of.json"
    before = made_of.read_text()
    for damage in ("", "{}", "[1]"):
        made_of.write_text(damage)
        assert repository.publish()["added"] == []
        assert made_of.read_text() == before


def test_indexes_of_before_are_still_found_by_their_hash(repository: Published, tmp_path: Path) -> None:
    release = repository.public / "dists/trixie/Release"
    hashes = set(re.findall(r"[0-9a-f]{64}", release.read_text()))
    repository.publish(deb(tmp_path, "1.0+deb13"))
    there = {path.name for path in (repository.public / "dists/trixie").rglob("by-hash/SHA256/*")}
    assert hashes <= there


def test_what_no_publish_needs_any_more_goes_from_the_pool(
    repository: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apt_ftparchive, "KEPT_PUBLISHES", 2)
    for number in range(5):
        repository.publish(deb(tmp_path, f"1.{number}+deb13"), "--keep", "1")
    pool = sorted(path.name for path in (repository.public / "pool").rglob("site-*.deb"))
    assert pool == [f"site-a-jail_1.{number}+deb13_all.deb" for number in (2, 3, 4)]
    assert faults(repository) == []


def test_a_file_that_an_earlier_publish_needs_is_never_overwritten(repository: Published, tmp_path: Path) -> None:
    repository.publish(deb(tmp_path / "first", "1.0+deb13"))
    repository.publish("--remove", "site-a-jail")
    said = fpmjail_deb("publish", repository.root, deb(tmp_path / "second", "1:1.0+deb13"), status=1).stderr
    assert "has the file name of another package that is kept" in said and "raise its version" in said
    assert repository.publish("--rollback", "2")["added"][0]["version"] == "1.0+deb13"
    assert faults(repository) == []


def test_a_package_is_taken_out_and_a_dry_run_changes_nothing(repository: Published, tmp_path: Path) -> None:
    repository.publish(deb(tmp_path, "1.0+deb13"))
    before = sorted(str(path) for path in repository.root.rglob("*"))
    said = repository.publish("--remove", "site-a-jail", "--dry-run")
    assert (said["published"], len(said["dropped"])) == (False, 1)
    assert sorted(str(path) for path in repository.root.rglob("*")) == before
    repository.publish("--remove", "site-a-jail")
    assert versions(repository) == []


def test_sites_without_their_runtime_are_told_of(repository: Published, tmp_path: Path) -> None:
    [warning] = repository.publish(deb(tmp_path, "1.0+deb13"))["warnings"]
    assert warning.startswith("trixie has sites, and not the package fpmjail")
    assert repository.publish(deb(tmp_path, "1.0+deb13", "fpmjail"))["warnings"] == []


def test_the_next_build_takes_its_versions_from_the_repository(repository: Published, tmp_path: Path) -> None:
    write_sites(tmp_path / "sites", 1)
    fpmjail_deb("build", tmp_path / "sites", "-o", tmp_path / "one")
    first = repository.publish(tmp_path / "one")["added"]
    fpmjail_deb("build", tmp_path / "sites", "-o", tmp_path / "two", "--against", repository.root)
    assert list((tmp_path / "two").iterdir()) == []
    write_site(tmp_path / "sites", "s000", "php: {settings: {memory_limit: 96M}}\n")
    fpmjail_deb("build", tmp_path / "sites", "-o", tmp_path / "two", "--against", repository.root)
    second = repository.publish(tmp_path / "two")["added"]
    before, after = ([Version(one["version"]) for one in found] for found in (first, second))
    assert len(before) == len(after) == 2 and max(before) < min(after)


def test_a_renewed_key_reaches_servers_with_the_next_publish(repository: Published, tmp_path: Path) -> None:
    fingerprint = json.loads((repository.root / "settings.json").read_text())["key"]
    renew = ["gpg", "--homedir", repository.home, "--batch", "--quick-set-expire", fingerprint, "9y"]
    subprocess.run(renew, check=True, capture_output=True)
    said = repository.publish()
    assert sorted(one["package"] for one in said["added"]) == [KEYRING, KEYRING]
    assert len(versions(repository, KEYRING)) == 2
