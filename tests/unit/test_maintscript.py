# SPDX-License-Identifier: GPL-2.0-or-later
"""The maintainer scripts as text; what they do is shown in tests/package and tests/lifecycle."""

from __future__ import annotations

import re

import pytest

from fpmjail_deb.maintscript import IGNORED, Event, snippets
from fpmjail_deb.resources import templates_directory
from tests.sites import planned, shop

SCRIPTS = dict(planned(shop()).scripts)
WITHOUT_TLS = dict(planned(shop("web: {tls: none}\n")).scripts)


def fences(script: str) -> list[str]:
    return re.findall(r"^\t# begin (\S+) \(", script, re.MULTILINE)


def test_a_site_has_every_script() -> None:
    assert list(SCRIPTS) == ["postinst", "postrm", "preinst", "prerm"]


def test_snippets_run_in_their_order() -> None:
    assert fences(SCRIPTS["preinst"]) == ["isolation"]
    assert fences(SCRIPTS["postinst"]) == ["foregone", "accounts", "units", "configure", "reload"]
    assert fences(SCRIPTS["prerm"]) == ["remove", "slice"]
    assert fences(SCRIPTS["postrm"]) == [
        "left-on", "reload-units", "purge-alone", "purge-jail", "purge-state", "purge-base", "purge-virtual-host",
        "purge-units",
        "purge-parents",
    ]  # fmt: skip


def test_every_fence_is_closed() -> None:
    for script in SCRIPTS.values():
        assert re.findall(r"^\t# end (\S+)$", script, re.MULTILINE) == fences(script)


def test_every_snippet_says_where_it_comes_from() -> None:
    script = dict(planned(shop("user: _shop\n")).scripts)["postinst"]
    assert "# begin accounts (templates/maintscript/postinst-accounts, user: shop.yaml:4, uid: default)" in script


def test_every_template_is_a_snippet() -> None:
    used = {
        snippet.template
        for known in (True, False)
        for snippet in snippets(known, sftp=known, shared=known, programs=known, code=known, apparmor=known)
    }
    there = {f"maintscript/{path.name}" for path in (templates_directory() / "maintscript").iterdir()}
    assert used == there - {f"maintscript/{part}" for part in ("script", "mounted", "remove-empty", "unlink")}


@pytest.mark.parametrize("more", ["", "jail: {programs: [gs]}\n"])
def test_no_argument_of_dpkg_means_two_things(more: str) -> None:
    for script in dict(planned(shop(more)).scripts).values():
        words = [word for case in re.findall(r"^([a-z |-]+)\)$", script, re.MULTILINE) for word in case.split(" | ")]
        assert len(words) == len(set(words)) and ("triggered" in words) == ("# postinst of" in script), words
    for script, ignored in IGNORED.items():
        handled = {word for event in Event if event.value[0] == script for word in event.value[1]}
        assert handled & {*ignored} <= {"triggered", "install"}


def test_a_site_with_programs_asks_for_a_refresh_when_dpkg_tells_of_them() -> None:
    assert "refresh" not in fences(SCRIPTS["postinst"])
    script = dict(planned(shop("jail: {programs: [gs]}\n")).scripts)["postinst"]
    _, _, handler = script.partition("\ntriggered)\n")
    assert handler.split("\n\t;;")[0].splitlines()[-2] == "\tdpkg-trigger --no-await fpmjail-refresh || true"
    assert "(templates/maintscript/postinst-refresh, jail.programs: shop.yaml:4)" in handler


def test_the_timers_of_jobs_are_enabled_and_forgotten_with_the_package() -> None:
    jobs = "[{name: a, schedule: daily, command: php a.php}]"
    scripts = dict(planned(shop(f"cron: {jobs}\nsftp: true\n")).scripts)
    assert "enable_unit site-shop-jail-cron-a.timer\n" in scripts["postinst"]
    assert "deb-systemd-helper purge site-shop-jail-cron-a.timer" in scripts["postrm"]
    assert "/etc/ssh/sshd_config.d/site-shop-jail.conf\n" in scripts["postrm"]
    assert "sshd" not in SCRIPTS["postrm"]


def test_the_first_installation_enables_all_units_with_one_call_of_debs_helper() -> None:
    first, _, later = SCRIPTS["postinst"].partition("\n\telse\n\t\tenable_unit ")
    calls = first.partition('\tif [ "$1" = configure ] && [ -z "$2" ]\n')[2].splitlines()
    names = "site-shop-jail.socket site-shop-jail-certificate.path"
    assert [call.strip() for call in calls if "deb-systemd-helper " in call] == [
        f"deb-systemd-helper enable {names} >/dev/null || true"
    ]
    assert later.startswith("site-shop-jail.socket\n")


@pytest.mark.parametrize("isolation", ["dedicated", "shared"])
def test_what_a_run_for_many_sites_left_on_goes_although_prerm_was_not_called(isolation: str) -> None:
    script = dict(planned(shop(f"isolation: {isolation}\n")).scripts)["postrm"]
    removed, _, purged = script.partition("\npurge)\n")
    for text in (removed, purged):
        assert "sites-enabled" in text and ("pool.d" in text) is (isolation == "shared")
    (stopped,) = re.findall(r"deb-systemd-invoke stop (.*) >/dev/null", removed)
    assert stopped.endswith(".mount fpmjail-shop.slice")
    assert ("site-shop-jail.socket" in stopped) is (isolation == "dedicated")


def test_the_path_unit_of_a_site_that_had_a_certificate_is_forgotten() -> None:
    assert fences(WITHOUT_TLS["postinst"]) == ["former-units", "foregone", "accounts", "units", "configure", "reload"]
    assert "enable_unit site-shop-jail-certificate.path\n" in SCRIPTS["postinst"]
    assert "enable_unit site-shop-jail-certificate.path\n" not in WITHOUT_TLS["postinst"]
    assert "deb-systemd-helper purge site-shop-jail-certificate.path" in WITHOUT_TLS["postinst"]


def test_only_postinst_can_stop_an_installation() -> None:
    assert "\tfpmjail configure shop\n" in SCRIPTS["postinst"]
    assert "elif ! fpmjail remove shop\n" in SCRIPTS["prerm"]


@pytest.mark.parametrize("name", ["preinst", "postinst", "prerm"])
def test_an_unknown_argument_is_an_error(name: str) -> None:
    assert f'echo "{name} of site-shop-jail: unknown argument: $1" >&2\n\texit 1\n' in SCRIPTS[name]


def test_postrm_takes_any_argument() -> None:
    assert "unknown argument" not in SCRIPTS["postrm"]


def test_a_purge_needs_only_essential_packages() -> None:
    assert not re.search(r"(?<![/\w-])fpmjail ", re.sub(r"^\t*#.*", "", SCRIPTS["postrm"], flags=re.MULTILINE))
    assert not re.search(r"\b(python3?|perl|awk|userdel|deluser|rm -r)\b", SCRIPTS["postrm"])


def test_scripts_are_as_debian_writes_them() -> None:
    for script in SCRIPTS.values():
        assert "set -e\n" in script
        assert "set -u" not in script
        assert not re.search(r"(^|[\s;&|(])/(usr/)?s?bin/(?!sh\b)", script.removeprefix("#!/bin/sh"))
        assert not re.search(r"[ \t]+$", script, re.MULTILINE)
        assert "\n\n\n" not in script
