# SPDX-License-Identifier: GPL-2.0-or-later
"""site.json comes out of a package: every field is a stranger's."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fpmjail.layout import Layout
from fpmjail.site import Program, Site, SiteError, installed, load, parse, profile_id

PROFILE: dict[str, object] = {
    "php": "8.4",
    "capabilities": ["charsets", "php", "tls"],
    "charsets": ["CP1252"],
    "locales": [],
    "programs": [],
    "libraries": "image",
    "timezones": [],
}

EXAMPLE: dict[str, Any] = {
    "format": 1,
    "generator": "fpmjail-deb 0.1.0",
    "source": "example.yaml",
    "site": "example",
    "package": "site-example-jail",
    "version": "1.0.0+deb13",
    "release": "trixie",
    "isolation": "dedicated",
    "user": {"name": "_site-example", "group": "_site-example", "home": "/var/www/example", "uid": None},
    "profile": {"id": profile_id(PROFILE), **PROFILE},
    "paths": {
        "base": "/var/www/example",
        "document_root": "/var/www/example/htdocs",
        "jail": "/var/lib/fpmjail/jails/example",
        "logs": "/var/log/fpmjail/example",
        "socket": "/run/fpmjail/example.sock",
        "pool": "/usr/share/fpmjail/sites/example/pool.conf",
        "vhost": "/usr/share/fpmjail/sites/example/apache.conf",
        "inside": {
            "base": "/var/www/example",
            "document_root": "/var/www/example/htdocs",
            "logs": "/var/log/fpmjail/example",
        },
    },
    "compat_link": False,
    "units": {
        "service": "site-example-jail.service",
        "socket": "site-example-jail.socket",
        "mounts": ["var-lib-fpmjail-jails-example-.image.mount"],
        "paths": [],
    },
    "sandbox": [["NoNewPrivileges", "yes"], ["SystemCallFilter", "@system-service"]],
    "filesystem": {"bind": ["/var/www/example"], "writable": ["/var/www/example", "/tmp"]},
    "jail": {"dns": "hosts", "proc": "private", "shell": "none", "mail": None, "sockets": {"mysql": "/run/mysqld"}},
    "php": {"version": "8.4", "extensions": ["curl", "gd"], "request_timeout": 120},
    "web": {
        "server": "apache",
        "site": "site-example-jail",
        "domains": ["example.org", "*.example.org"],
        "modules": ["proxy_fcgi"],
        "htaccess": "safe",
        "tls": {"certificate": "/etc/a.pem", "key": "/etc/a.key", "redirect": True},
    },
    "writable": ["wp-content/uploads"],
    "environment": {"HOME": "/var/www/example", "APP_ENV": "a $b"},
    "cron": [
        {
            "name": "tick",
            "schedule": "*:0/5",
            "command": ["php", "a b"],
            "timer": "site-example-jail-cron-tick.timer",
            "service": "site-example-jail-cron-tick.service",
        }
    ],
    "sftp": {"configuration": "/usr/share/fpmjail/sites/example/sshd.conf"},
    "programs": [{"path": "/usr/bin/gs", "packages": ["ghostscript"]}],
    "origins": {"jail.charsets": "example.yaml:14:3"},
}


def changed(path: str, value: object) -> dict[str, Any]:
    """The example with one field changed; `path` is dotted."""
    content = copy.deepcopy(EXAMPLE)
    *parents, last = path.split(".")
    place: Any = content
    for name in parents:
        place = place[name]
    place[last] = value
    return content


def read(content: object) -> Site:
    return parse(json.dumps(content).encode())


def put(layout: Layout, directory: str, content: object) -> Path:
    path = layout.sites / directory / "site.json"
    path.parent.mkdir(parents=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


PROGRAMS = {**PROFILE, "programs": ["/usr/bin/gs"], "program_files": {"/usr/bin/gs": ["/usr/share/gs/**"]}}


def with_profile(content: dict[str, Any]) -> dict[str, Any]:
    return changed("profile", {"id": profile_id(content), **content})


def test_programs_and_their_files_are_part_of_the_profile() -> None:
    site = read(with_profile(PROGRAMS))
    assert site.profile.programs == ("/usr/bin/gs",)
    assert site.profile.program_files == (("/usr/bin/gs", ("/usr/share/gs/**",)),)
    assert site.profile.id != read(with_profile({**PROFILE, "programs": ["/usr/bin/gs"]})).profile.id
    assert read(EXAMPLE).programs == (Program("/usr/bin/gs", ("ghostscript",)),)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"programs": ["gs"]}, "profile.programs[0]"),
        ({"programs": ["/bin/gs"]}, "profile.programs[0]"),
        ({"programs": ["/usr/bin/../../root/x"]}, "no plain path"),
        ({"programs": ["/usr/bin/b", "/usr/bin/a"]}, "must be sorted"),
        ({"programs": []}, "`/usr/bin/gs` is not one of the programs"),
        ({"program_files": {}}, "must not be empty"),
        ({"program_files": {"/usr/bin/gs": []}}, "must be sorted, without repetition and without `..`"),
        ({"program_files": {"/usr/bin/gs": ["/usr/share/../../root/*"]}}, "must be sorted, without repetition"),
        ({"program_files": {"/usr/bin/gs": ["/var/lib/x"]}}, "is not allowed"),
    ],
)
def test_a_program_is_a_plain_path_below_usr(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(SiteError, match=re.escape(words)):
        read(with_profile({**PROGRAMS, **fields}))


def test_every_field_is_read() -> None:
    site = read(EXAMPLE)
    assert (site.name, site.profile.id, site.user.uid) == ("example", profile_id(PROFILE), None)
    assert site.sandbox == (("NoNewPrivileges", "yes"), ("SystemCallFilter", "@system-service"))
    assert site.web.tls is not None and site.web.tls.key == Path("/etc/a.key")
    assert site.writable == ("wp-content/uploads",)
    assert read(changed("web.tls", None)).web.tls is None
    assert site.environment == (("APP_ENV", "a $b"), ("HOME", "/var/www/example"))
    assert (site.cron[0].command, site.cron[0].timer) == (("php", "a b"), "site-example-jail-cron-tick.timer")
    assert site.sftp is not None and read(changed("sftp", None)).sftp is None


def test_the_profile_gives_back_what_its_id_is_made_of() -> None:
    assert read(EXAMPLE).profile.content() == PROFILE


def test_another_format_asks_for_a_newer_runtime() -> None:
    with pytest.raises(SiteError, match=r"format: is 2, this fpmjail reads 1; the site needs a newer fpmjail"):
        read(changed("format", 2))


@pytest.mark.parametrize("path", ["surprise", "web.surprise", "profile.surprise", "user.surprise"])
def test_an_unknown_key_asks_for_a_newer_runtime(path: str) -> None:
    with pytest.raises(SiteError, match=rf"{path}: is not known here; it needs a newer fpmjail"):
        read(changed(path, 1))


@pytest.mark.parametrize(
    ("path", "value"), [("isolation", "virtual"), ("web.server", "caddy"), ("profile.libraries", "host")]
)
def test_an_unknown_choice_asks_for_a_newer_runtime(path: str, value: str) -> None:
    with pytest.raises(SiteError, match=rf"{path}: `{value}` is not known here; it needs a newer fpmjail"):
        read(changed(path, value))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("site", "../etc"),
        ("site", "Example"),
        ("package", "bash"),
        ("user.name", "root"),
        ("user.uid", True),
        ("user.uid", 0),
        ("user.home", "/var/www/../../root"),
        ("paths.base", "relative"),
        ("paths.base", "/var/www/a\nb"),
        ("paths.document_root", "/etc"),
        ("paths.jail", "/var/lib/fpmjail/jails/other"),
        ("paths.socket", "/run/other.sock"),
        ("paths.logs", "/etc"),
        ("units.service", "apache2.service"),
        ("units.mounts", ["../x.mount"]),
        ("sandbox", [["NoNewPrivileges"]]),
        ("sandbox", [["X", "a\nExecStart=/bin/sh"]]),
        ("sandbox", {}),
        ("filesystem.bind", ["/a/../b"]),
        ("php.version", "8"),
        ("php.request_timeout", -1),
        ("web.domains", []),
        ("web.domains", ["a b"]),
        ("web.modules", ["../x"]),
        ("web.tls.redirect", "yes"),
        ("writable", ["../up"]),
        ("writable", ["/etc"]),
        ("environment", {"A=B": "x"}),
        ("environment", {"A": "x\ny"}),
        ("cron", [{**EXAMPLE["cron"][0], "command": []}]),
        ("cron", [{**EXAMPLE["cron"][0], "command": ["a\nb"]}]),
        ("cron", [{**EXAMPLE["cron"][0], "timer": "apt-daily.timer"}]),
        ("cron", [{**EXAMPLE["cron"][0], "service": "ssh.service"}]),
        ("cron", [{**EXAMPLE["cron"][0], "name": "Tick"}]),
        ("cron", [{**EXAMPLE["cron"][0], "surprise": 1}]),
        ("sftp", {"configuration": "/etc/passwd"}),
        ("origins", []),
        ("version", "1.0 rm"),
        ("jail.sockets", {"mysql": "/run/other"}),
        ("jail.sockets", {"oracle": "/run/mysqld"}),
        ("jail.dns", "all"),
        ("profile.timezones", ["Europe/../../etc"]),
        ("profile.locales", ["../fr_FR.UTF-8"]),
        ("profile.id", "0" * 12),
        ("profile.capabilities", ["php", "charsets"]),
        ("profile.charsets", ["CP1252", "CP1252"]),
    ],
)
def test_a_wrong_field_is_named(path: str, value: object) -> None:
    with pytest.raises(SiteError) as caught:
        read(changed(path, value))
    assert path.split(".")[-1] in str(caught.value)


@pytest.mark.parametrize("path", ["site", "profile", "web.tls.key", "units.mounts"])
def test_a_missing_field_is_named(path: str) -> None:
    content = changed(path, None)
    *parents, last = path.split(".")
    place: Any = content
    for name in parents:
        place = place[name]
    del place[last]
    with pytest.raises(SiteError, match=rf"{path}: is missing"):
        read(content)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"a": 1, "a": 2}', b"[" * 100_000, b'{"format": ' + b"9" * 5000],
)
def test_what_is_not_a_json_object_is_a_site_error(content: bytes) -> None:
    with pytest.raises(SiteError):
        parse(content)


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_a_site_error(content: bytes) -> None:
    with pytest.raises(SiteError):
        parse(content)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FIELDS = [*EXAMPLE, *(f"{name}.{key}" for name, value in EXAMPLE.items() if isinstance(value, dict) for key in value)]


@given(st.sampled_from([field for field in FIELDS if not field.startswith("origins.")]), JSON)
def test_any_value_in_any_field_is_taken_or_is_a_site_error(path: str, value: object) -> None:
    try:
        site = read(changed(path, value))
    except SiteError:
        return
    assert site.name == "example"
    assert "\n" not in repr(site)


def test_the_directory_must_have_the_name_of_the_site(tmp_path: Path) -> None:
    path = put(Layout(tmp_path), "other", EXAMPLE)
    with pytest.raises(SiteError, match=r"site other: .* describes another site, example"):
        load(path)


def test_a_huge_file_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = put(Layout(tmp_path), "example", " " * (1 << 20) + json.dumps(EXAMPLE))
    with pytest.raises(SiteError, match="is larger than"):
        load(path)


def test_one_broken_site_hides_no_other(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    put(layout, "broken", "{")
    put(layout, "example", EXAMPLE)
    (layout.sites / "empty").mkdir()
    (layout.sites / "directory/site.json").mkdir(parents=True)
    sites, errors = installed(layout)
    assert [site.name for site in sites] == ["example"]
    assert [error.site for error in errors] == ["broken", "directory"]


def test_a_server_without_sites_has_none(tmp_path: Path) -> None:
    assert installed(Layout(tmp_path)) == ([], [])
