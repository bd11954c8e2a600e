# SPDX-License-Identifier: GPL-2.0-or-later
"""The AppArmor profile of a site: what stands in it, and who has one."""

from __future__ import annotations

import re

import pytest

from fpmjail_deb.apparmor import directives, files
from tests.sites import planned, shop, text

PATH = "etc/apparmor.d/site-shop-jail"
ENFORCED = "jail: {apparmor: enforce}\n"


def profile(extra: str = ENFORCED, release: str = "trixie") -> str:
    """The profile of a shop that also says this."""
    return text(planned(shop(extra), release), PATH)


def rules(profile_text: str) -> dict[str, str]:
    """The permissions of each path in a profile."""
    found = re.findall(r"^\t(/\S*) ([a-z]+),$", profile_text, re.MULTILINE)
    return dict(found)


def test_a_site_has_no_profile_unless_it_asks_for_one() -> None:
    assert files(shop()) == {} and directives(shop()) == ()
    assert "AppArmor" not in text(planned(shop()), "-jail.service")


@pytest.mark.parametrize("unit", ["-jail.service", "-standby@.service", "-cron-tidy.service"])
def test_everything_that_runs_for_the_site_is_under_its_profile_where_there_is_one(unit: str) -> None:
    package = planned(shop(ENFORCED + "cron: [{name: tidy, schedule: daily, command: php tidy.php}]\n"))
    assert "\nAppArmorProfile=-site-shop-jail\n" in text(package, unit)


def test_the_profile_is_a_file_of_the_administrators() -> None:
    assert f"/{PATH}" in planned(shop(ENFORCED)).conffiles


def test_what_a_site_can_write_is_never_run_nor_loaded() -> None:
    found = rules(profile())
    writable = {path for path, permissions in found.items() if "w" in permissions}
    assert {"/var/www/shop/**", "/tmp/**", "/var/lib/php/sessions/**"} <= writable
    assert not any(set("xm") & set(found[path]) for path in writable)
    assert {path for path, permissions in found.items() if "x" in permissions} == {"/.image/**", "/usr/bin/kill"}


def test_the_servers_own_programs_can_be_run_where_the_jail_has_them() -> None:
    assert rules(profile("jail: {apparmor: enforce, libraries: bind}\n"))["/usr/**"] == "mrix"


def test_a_profile_that_only_complains_says_so() -> None:
    assert "flags=(attach_disconnected, complain)" in profile("jail: {apparmor: complain}\n")
    assert "complain)" not in profile()


@pytest.mark.parametrize(("release", "abi"), [("bookworm", "3.0"), ("trixie", "4.0")])
def test_a_profile_asks_for_what_its_releases_apparmor_knows(release: str, abi: str) -> None:
    assert f"abi <abi/{abi}>,\n" in profile(release=release)


def test_ptrace_is_for_the_slow_log_alone() -> None:
    assert "trace, readby" not in profile()
    assert "ptrace (read, trace, readby, tracedby) peer=site-shop-jail," in profile(
        ENFORCED + "php: {pool: {slow_log: 5s}}\n"
    )


def test_servers_that_the_site_may_ask_are_in_the_profile() -> None:
    assert "/run/mysqld/**" not in rules(profile())
    assert rules(profile("jail: {apparmor: enforce, mysql: socket}\n"))["/run/mysqld/**"] == "rw"
