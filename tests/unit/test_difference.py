# SPDX-License-Identifier: GPL-2.0-or-later
"""What a new package changes, in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fpmjail_deb import difference
from fpmjail_deb.contents import Entry, File, PackagePlan, Symlink
from fpmjail_deb.difference import Change, Difference
from tests.sites import planned, shop


def compared(before: str, after: str) -> Difference:
    """The packages of two descriptions of the shop."""
    return of(planned(shop(before)), planned(shop(after)))


def of(old: PackagePlan | None, new: PackagePlan) -> Difference:
    return Difference("site-shop-jail", "trixie", old, "old.deb", new, "shop.yaml")


def told(found: Difference) -> list[str]:
    return found.text().splitlines()


def test_the_same_description_makes_no_difference() -> None:
    found = compared("", "")
    assert not found.different
    assert (found.changes, found.consequences) == ((), ())


def test_comments_and_the_lines_they_name_are_no_difference() -> None:
    found = compared("uid: 4001\nversion: 1.0.0\n", "# a comment\nversion: 1.0.0\n\n\nuid: 4001\n")
    assert found.old != found.new
    assert not found.different


def test_a_higher_version_alone_is_one() -> None:
    found = compared("", "version: 1.0.1\n")
    assert found.different and found.changes == ()
    assert told(found) == [
        "site-shop-jail for trixie: 1.0.0+deb13 -> 1.0.1+deb13",
        "  from old.deb",
        "  to shop.yaml",
        "  nothing but the version",
    ]


def test_pool_and_settings_are_told_by_their_keys() -> None:
    found = compared(
        "php: {pool: {max_children: 8}, settings: {memory_limit: 128M}}\n",
        "version: 1.1\nphp: {pool: {max_children: 12}, settings: {memory_limit: 128M, post_max_size: 8M}}\n",
    )
    assert told(found)[3:] == [
        "  PHP pool",
        "    [site-shop-jail]",
        "      pm.max_children: 8 -> 12",
        "      + php_admin_value[post_max_size] = 8M",
        "  what follows",
        "    a new PHP takes the place of the old one: no request waits",
    ]


def test_the_virtual_host_is_told_with_its_blocks() -> None:
    found = compared("", "version: 1.1\naliases: [shop.example.net]\nphp: {pool: {request_timeout: 60s}}\n")
    lines = told(found)
    assert lines[lines.index("    <VirtualHost *:80>") :][:4] == [
        "    <VirtualHost *:80>",
        "      + ServerAlias shop.example.net",
        "    <VirtualHost *:80> <IfModule mod_proxy.c>",
        "      ProxyTimeout: 135 -> 75",
    ]
    assert "    <IfModule mod_ssl.c> <IfFile /etc/letsencrypt/live/shop.example.org/fullchain.pem>" in found.text()
    assert "    the web server is reloaded" in lines


def test_capabilities_packages_jobs_and_units_are_told() -> None:
    found = compared(
        "cron: [{name: old, schedule: daily, command: php a.php}]\n",
        "version: 1.1\njail: {charsets: [SJIS], mysql: socket, locales: [fr_FR.UTF-8]}\n",
    )
    lines = told(found)
    for line in (
        "      + locales",
        "      - CP1252",
        "      + SJIS",
        "    + sockets.mysql: /run/mysqld",
        "    - old.schedule: daily",
        "    - /usr/lib/systemd/system/site-shop-jail-cron-old.timer",
        "  unit site-shop-jail.service",
        "  script postinst",
    ):
        assert line in lines, found.text()


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("", "jail: {charsets: [SJIS]}", "the jail gets another image, built and tried first; then PHP starts anew"),
        (
            "",
            "php: {limits: {memory: 2G}}\njail: {proc: private}",
            "a new PHP takes the place of the old one: no request waits",
        ),
        ("isolation: shared", "isolation: shared\nphp: {pool: {max_children: 9}}", "PHP is reloaded"),
        ("", "user: _other", "files that belong to _site-shop stay so: give them to _other yourself"),
        ("", "web: {document_root: public}", "what is in /var/www/shop/htdocs stays there: move it yourself"),
        ("aliases: [a.org]", "", "a.org no longer leads to this site"),
        ("version: 2.0", "version: 1.9", "1.9+deb13 is lower than 2.0+deb13: apt installs it with --allow-downgrades"),
        ("", "uid: 4001", "`fpmjail-deb build` refuses this under the same version, 1.0.0+deb13: raise it"),
    ],
)
def test_what_needs_thought_is_said(before: str, after: str, words: str) -> None:
    assert [line for line in compared(before, after).consequences if line.startswith(words)]


def test_other_lines_of_a_description_make_nothing_happen() -> None:
    job = "cron: [{{name: {}, schedule: daily, command: php a.php}}]\n"
    found = compared(job.format("a"), "version: 1.1\n\n# a comment\n" + job.format("b"))
    assert found.changes and found.consequences == ()


def test_files_of_the_sites_own_code_are_no_configuration_of_the_server() -> None:
    package = planned(shop())
    place = "usr/share/doc/site-shop-jail/nginx.conf"
    texts = ((*package.entries, File(place, text)) for text in (b"\xff", b"\xfe"))
    old, new = (replace(package, entries=tuple(sorted(one, key=lambda entry: entry.path))) for one in texts)
    assert difference.changes(old, new) and difference.consequences(old, new) == ()


def test_a_move_to_private_mounts_is_no_hand_over() -> None:
    found = compared("", "version: 1.1\njail: {mounts: private}\n")
    assert "PHP starts anew, and requests wait for it" in found.consequences


def test_a_job_that_changes_starts_no_php_anew() -> None:
    job = "cron: [{{name: a, schedule: daily, command: php {}.php}}]\n"
    found = compared(job.format("a"), "version: 1.1\n" + job.format("b"))
    assert found.different and found.consequences == ()


def test_a_new_package_is_different_and_has_no_changes() -> None:
    found = of(None, planned(shop()))
    assert found.different and found.changes == ()
    assert found.text() == "site-shop-jail for trixie: 1.0.0+deb13 is new, there is none in old.deb"


def test_files_of_another_kind_mode_or_content_are_told() -> None:
    package = planned(shop())
    changed = replace(package, entries=tuple(map(_other, package.entries)))
    found = difference.changes(package, changed)
    assert Change("unit site-shop-jail.service", "", "mode", "0644", "0755") in found
    assert [one.subject for one in found if one.part == "file /usr/lib/sysusers.d/site-shop-jail.conf"] == ["SHA-256"]
    assert ("link to /usr/share/fpmjail/sites/shop/apache.conf", "link to /x") in [(one.old, one.new) for one in found]


def _other(entry: Entry) -> Entry:
    if isinstance(entry, File) and entry.path.endswith("jail.service"):
        return replace(entry, mode=0o755)
    if entry.path.endswith("sysusers.d/site-shop-jail.conf"):
        return File(entry.path, b"\xff")
    return replace(entry, target="/x") if isinstance(entry, Symlink) else entry


def test_programs_get_every_change() -> None:
    found = compared("", "version: 1.1\nphp: {pool: {max_children: 12}}\n").to_json()
    assert found == {
        "package": "site-shop-jail",
        "release": "trixie",
        "different": True,
        "old": {"version": "1.0.0+deb13", "from": "old.deb"},
        "new": {"version": "1.1+deb13", "from": "shop.yaml"},
        "changes": [
            {"part": "PHP pool", "where": "[site-shop-jail]", "subject": "pm.max_children", "old": "8", "new": "12"}
        ],
        "consequences": ["a new PHP takes the place of the old one: no request waits"],
    }


def test_lines_of_nginx_know_their_blocks() -> None:
    found = difference.lines("# no\nserver {\n  location / {\n    try_files $uri;\n  }\n  listen 80;\n}\n")
    assert [(line.text, line.where) for line in found] == [
        ("server {", ""),
        ("location / {", "server"),
        ("try_files $uri;", "server location /"),
        ("}", "server"),
        ("listen 80;", "server"),
        ("}", ""),
    ]
