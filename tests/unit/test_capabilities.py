# SPDX-License-Identifier: GPL-2.0-or-later
"""What a description says of capabilities and libraries, and what the package makes of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fpmjail_deb import capabilities
from fpmjail_deb.contents import Symlink
from fpmjail_deb.errors import DescriptionError
from fpmjail_deb.release import RELEASES
from fpmjail_deb.site_warnings import warnings
from tests.sites import planned, setting_lines, shop, text

NO_EXTENSIONS = "php: {extensions: []}\n"


def described(more: str) -> dict[str, Any]:
    return dict(json.loads(text(planned(shop(more)), "/site.json")))


def declared(more: str) -> set[str]:
    """What the profile has that every jail has not."""
    return set(described(more)["profile"]["capabilities"]) - set(capabilities.ALWAYS)


def depends(more: str) -> set[str]:
    return {part.partition(" ")[0] for part in dict(planned(shop(more)).control)["Depends"].split(", ")}


def refused(more: str) -> str:
    with pytest.raises(DescriptionError) as error:
        shop(more)
    return str(error.value)


def test_nothing_is_there_unless_it_is_asked_for() -> None:
    assert declared("") == set()
    assert described("")["profile"]["libraries"] == "image"


@pytest.mark.parametrize(
    ("extension", "found"),
    [
        ("imagick", {"imagick", "fonts"}),
        ("ldap", {"ldap"}),
        ("enchant", {"spelling"}),
        ("pspell", {"spelling"}),
        ("curl", set()),
    ],
)
def test_an_extension_brings_what_it_would_miss(extension: str, found: set[str]) -> None:
    assert declared(f"php: {{extensions: [{extension}]}}\n") == found


@pytest.mark.parametrize(
    ("name", "packages"),
    [
        ("fonts", {"fonts-dejavu-core"}),
        ("git", {"git"}),
        ("imagick", {"php8.4-imagick", "fonts-dejavu-core"}),
        ("ldap", {"php8.4-ldap", "libldap-common"}),
        ("pear", {"php-pear"}),
        ("spelling", {"php8.4-enchant"}),
        (
            "full",
            {
                "fonts-dejavu-core", "git", "libldap-common", "locales", "php-pear",
                "php8.4-enchant", "php8.4-imagick", "php8.4-ldap", "php8.4-pspell",
            },
        ),
        ("our-own", set()),
    ],
)  # fmt: skip
def test_a_capability_brings_the_packages_that_it_needs(name: str, packages: set[str]) -> None:
    assert depends(f"{NO_EXTENSIONS}jail: {{capabilities: [{name}]}}\n") - depends(NO_EXTENSIONS) == packages


def test_whoever_has_one_speller_gets_no_other() -> None:
    more = "php: {extensions: [pspell]}\njail: {capabilities: [spelling]}\n"
    assert described(more)["php"]["extensions"] == ["pspell"]


def test_full_is_every_word_of_the_list() -> None:
    assert declared("jail: {capabilities: [full]}\n") == set(capabilities.CHOICE)
    assert set(capabilities.CHOICE["full"].includes) == set(capabilities.CHOICE) - {"full"}


def test_every_release_has_the_extensions_that_capabilities_need() -> None:
    needed = {extension for chosen in capabilities.CHOICE.values() for extension in chosen.extensions}
    assert all(needed | set(capabilities.IMPLIED) <= release.extensions for release in RELEASES.values())


def test_an_administrators_own_name_is_taken_and_one_that_resembles_ours_is_asked_about() -> None:
    site = shop("jail: {capabilities: [our-own, imagik]}\n")
    assert declared("jail: {capabilities: [our-own, imagik]}\n") == {"our-own", "imagik"}
    (warning,) = warnings(site)
    assert warning.key_path == "jail.capabilities[1]"
    assert "capabilities.d/imagik.json" in warning.message and warning.hint == 'did you mean "imagick"?'


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("tls", "every jail has it: leave it out"),
        ("locales", "say it with jail.locales"),
        ("mysql", "say it with jail.mysql"),
        ("bind", "say it with jail.libraries: bind"),
        ("ImageMagick", 'did you mean "imagick"?'),
        ("Fonts", 'did you mean "fonts"?'),
        ("../x", "use a-z, 0-9 and dash"),
    ],
)
def test_what_is_no_word_of_the_list_is_refused_with_what_to_do(name: str, words: str) -> None:
    assert words in refused(f'jail: {{capabilities: ["{name}"]}}\n')


def test_a_site_with_fonts_has_a_place_where_they_are_remembered() -> None:
    pool = text(planned(shop("jail: {capabilities: [fonts]}\n")), "/pool.conf")
    assert "env[XDG_CACHE_HOME] = /tmp/.cache" in pool
    assert "XDG_CACHE_HOME" not in text(planned(shop()), "/pool.conf")
    own = text(planned(shop("php: {env: {XDG_CACHE_HOME: /x}}\njail: {capabilities: [fonts]}\n")), "/pool.conf")
    assert "env[XDG_CACHE_HOME] = /x" in own


def test_the_servers_usr_is_a_mount_that_nothing_can_be_deleted_through() -> None:
    package = planned(shop("jail: {libraries: bind}\n"))
    unit = "var-lib-fpmjail-jails-shop-usr.mount"
    lines = setting_lines(text(package, unit))
    assert {"What=/usr", "Where=/var/lib/fpmjail/jails/shop/usr", "Options=bind,ro,nosuid,nodev,private"} <= set(lines)
    service = setting_lines(text(package, "/site-shop-jail.service"))
    assert f"Wants=var-lib-fpmjail-jails-shop-.image.mount {unit}" in service
    assert any(line.startswith("ExecStart=/usr/sbin/php-fpm8.4 ") for line in service)
    assert described("jail: {libraries: bind}\n")["units"]["mounts"][1] == unit
    assert declared("jail: {libraries: bind}\n") == {"bind"}


def test_with_the_servers_usr_its_danger_is_named() -> None:
    (warning,) = warnings(shop("jail: {libraries: bind}\n"))
    assert warning.key_path == "jail.libraries" and "every program of the server" in warning.message


def test_a_restricted_shell_cannot_take_the_place_of_the_servers_own() -> None:
    assert "leave one of them out" in refused("jail: {libraries: bind, shell: restricted}\n")
    assert "shell" in declared("jail: {libraries: bind, shell: sh}\n")


def test_a_chroot_has_the_servers_usr_by_a_mount_that_debians_php_wants_and_does_not_require() -> None:
    package = planned(shop("isolation: shared\njail: {libraries: bind}\n"))
    unit = "var-www-shop-usr.mount"
    lines = setting_lines(text(package, unit))
    assert {"What=/usr", "Where=/var/www/shop/usr", "Options=bind,ro,nosuid,nodev,private"} <= set(lines)
    assert "Before=php8.4-fpm.service" in lines
    links = {entry.path: entry.target for entry in package.entries if isinstance(entry, Symlink)}
    assert links[f"usr/lib/systemd/system/php8.4-fpm.service.wants/{unit}"] == f"../{unit}"
    assert not [path for path in links if ".requires/" in path]


def test_jobs_of_a_shared_site_wait_for_the_servers_usr() -> None:
    more = "isolation: shared\njail: {libraries: bind}\ncron: [{name: a, schedule: daily, command: php a.php}]\n"
    lines = setting_lines(text(planned(shop(more)), "-cron-a.service"))
    assert "Wants=var-www-shop-.image.mount var-www-shop-usr.mount" in lines


def test_both_kinds_of_site_with_the_servers_usr_have_one_image() -> None:
    profile = described("jail: {libraries: bind}\n")["profile"]
    assert described("isolation: shared\njail: {libraries: bind}\n")["profile"] == profile


@pytest.mark.parametrize("isolation", ["dedicated", "shared"])
def test_what_the_servers_usr_makes_pointless_is_refused_in_both_isolations(isolation: str) -> None:
    bound = f"isolation: {isolation}\njail: {{libraries: bind, "
    assert "jail.shell: with jail.libraries: bind" in refused(bound + "shell: restricted}\n")
    assert "with jail.libraries: bind" in refused(bound + "mail: {relay: localhost, from: a@example.org}}\n")


def test_copies_need_no_second_mount() -> None:
    package = planned(shop())
    assert not [entry.path for entry in package.files if entry.path.endswith("-usr.mount")]
    assert any(
        line.startswith("ExecStart=/usr/sbin/php-fpm --") for line in setting_lines(text(package, "jail.service"))
    )
