# SPDX-License-Identifier: GPL-2.0-or-later
"""What a description says of sockets, names, /proc, locales and time zones, and what the package makes of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fpmjail_deb.errors import DescriptionError
from fpmjail_deb.site_warnings import warnings
from tests.sites import planned, setting_lines, shop, text


def described(more: str) -> dict[str, Any]:
    return dict(json.loads(text(planned(shop(more)), "/site.json")))


def service(more: str) -> list[str]:
    return setting_lines(text(planned(shop(more)), "-jail.service"))


def refused(more: str) -> str:
    with pytest.raises(DescriptionError) as error:
        shop(more)
    return str(error.value)


@pytest.mark.parametrize(
    ("name", "directory"), [("mysql", "/run/mysqld"), ("postgresql", "/run/postgresql"), ("redis", "/run/redis")]
)
def test_a_socket_is_the_servers_directory_and_the_site_starts_without_it(name: str, directory: str) -> None:
    more = f"jail: {{{name}: socket}}\n"
    assert f"BindReadOnlyPaths=-{directory}" in service(more)
    assert described(more)["jail"]["sockets"] == {name: directory}
    after = next(line for line in service(more) if line.startswith("After="))
    assert {"mariadb.service", "postgresql.service", "redis-server.service"} <= set(after.split())


def test_no_socket_is_bound_unless_it_is_asked_for() -> None:
    assert not [line for line in service("") if "/run/mysqld" in line or line.startswith("BindReadOnlyPaths")]
    assert described("")["jail"] == {"dns": "resolver", "proc": "none", "shell": "none", "mail": None, "sockets": {}}


def test_what_a_jail_reaches_is_no_reason_for_an_image_of_its_own() -> None:
    reaching = described("jail: {mysql: socket, dns: none, proc: host}\n")
    assert reaching["profile"] == described("")["profile"]


@pytest.mark.parametrize(
    ("choice", "lines"),
    [
        ("none", ["ProtectProc=invisible", "ProcSubset=pid"]),
        ("private", ["ProtectProc=invisible", "ProcSubset=all"]),
        ("host", ["ProtectProc=default", "ProcSubset=all"]),
    ],
)
def test_proc_is_what_the_description_says(choice: str, lines: list[str]) -> None:
    more = f"jail: {{proc: {choice}}}\n"
    assert [line for line in service(more) if line.startswith("Proc") or line.startswith("ProtectProc")] == lines
    pairs = [line.split("=", 1) for line in lines]
    assert [pair for pair in described(more)["sandbox"] if pair[0] in ("ProtectProc", "ProcSubset")] == pairs


def test_showing_every_process_is_a_warning_with_its_line() -> None:
    (warning,) = warnings(shop("jail: {proc: host}\n"))
    assert str(warning).startswith("shop.yaml:4:8: jail.proc: with host, the site sees every process")
    assert warnings(shop("jail: {proc: private}\n")) == ()


def test_locales_enter_the_profile_and_bring_the_package_that_defines_them() -> None:
    more = "jail: {locales: [fr_FR.UTF-8, de_DE.ISO-8859-15]}\n"
    profile = described(more)["profile"]
    assert profile["locales"] == ["de_DE.ISO-8859-15", "fr_FR.UTF-8"]
    assert "locales" in profile["capabilities"]
    assert "locales" in dict(planned(shop(more)).control)["Depends"].split(", ")
    assert "locales" not in dict(planned(shop()).control)["Depends"]


def test_time_zones_enter_the_profile_with_utc() -> None:
    assert described("jail: {timezones: [Europe/Paris]}\n")["profile"]["timezones"] == ["Europe/Paris", "UTC"]
    assert described("jail: {timezones: []}\n")["profile"]["timezones"] == ["UTC"]
    assert described("jail: {timezones: all}\n")["profile"] == described("")["profile"]
    assert described("")["profile"]["timezones"] == []


@pytest.mark.parametrize(
    ("written", "advice"),
    [
        ("fr_FR", 'did you mean "fr_FR.UTF-8"?'),
        ("fr-fr", 'did you mean "fr_FR.UTF-8"?'),
        ("fr_FR.utf8", 'did you mean "fr_FR.UTF-8"?'),
        ("sr_RS@latin", 'did you mean "sr_RS.UTF-8@latin"?'),
        ("C.UTF-8", "every jail has it"),
        ("../fr_FR.UTF-8", "expected a locale with its character set"),
    ],
)
def test_a_locale_that_cannot_be_meant_is_refused_with_advice(written: str, advice: str) -> None:
    assert advice in refused(f'jail: {{locales: ["{written}"]}}\n')


@pytest.mark.parametrize("written", ["Europe/../etc", "/etc/passwd", "europe/paris", "Europe/Paris/", "[]"])
def test_a_time_zone_is_a_name_and_no_path(written: str) -> None:
    assert "jail.timezones[0]: expected a time zone such as Europe/Paris" in refused(
        f"jail: {{timezones: [{written!r}]}}\n"
    )


def test_one_time_zone_alone_is_shown_how_to_be_a_list() -> None:
    assert "expected a list of time zones" in refused("jail: {timezones: Europe/Paris}\n")


def test_phps_own_time_zone_must_be_in_the_jail() -> None:
    settings = "php: {settings: {date.timezone: Europe/Rome}}\n"
    words = refused(settings + "jail: {timezones: [Europe/Paris]}\n")
    assert "php.settings.date.timezone: Europe/Rome is not among the time zones of the jail" in words
    assert shop(settings).jail.timezones is None
    assert shop(settings + "jail: {timezones: [Europe/Rome]}\n").jail.timezones == ("Europe/Rome",)
