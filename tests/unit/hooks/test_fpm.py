# SPDX-License-Identifier: GPL-2.0-or-later
"""Pool drop-ins: what they may not say, and where FPM's complaints lead."""

from dataclasses import replace
from pathlib import Path

import pytest
from test_site_json import EXAMPLE, read

from fpmjail import fpm
from fpmjail.dropin import Part
from fpmjail.layout import Layout

OWN = Part("/usr/share/fpmjail/sites/example/pool.conf", "[site-example-jail]\nlisten = /run/fpmjail/example.sock\n")


@pytest.mark.parametrize(
    "line",
    [
        "[www]", " [global]", "listen = /tmp/x.sock", "listen.owner = root", "user=root", "group = root",
        "chroot = /", "chdir = /", "prefix = /x", "include = /etc/evil.conf",
    ],
)  # fmt: skip
def test_a_drop_in_cannot_change_what_the_jail_depends_on(line: str) -> None:
    refused = fpm.forbidden(Part("/etc/fpmjail/sites/example/fpm.d/a.conf", f"pm.max_children = 3\n{line}\n"))
    assert refused is not None
    assert refused.startswith("/etc/fpmjail/sites/example/fpm.d/a.conf:2: ")


@pytest.mark.parametrize(
    "line", ["pm.max_children = 3", "; listen = x", "php_admin_value[memory_limit] = 1G", "env[USERNAME] = x"]
)
def test_other_settings_are_the_admins_to_change(line: str) -> None:
    assert fpm.forbidden(Part("a.conf", line)) is None


def test_fpms_complaint_names_the_line_of_the_drop_in() -> None:
    parts = (OWN, Part("/etc/fpmjail/sites/example/fpm.d/a.conf", "pm.max_children = 3\nnonsense = 1\n"))
    number = fpm.text(parts).splitlines().index("nonsense = 1") + 1
    words = f"[23-Nov-2026 10:00:00] ERROR: [/etc/fpm.conf.new:{number}] unknown entry 'nonsense'\nmore"
    assert fpm.complaint(parts, words) == "/etc/fpmjail/sites/example/fpm.d/a.conf:2: unknown entry 'nonsense'"


@pytest.mark.parametrize("line", ["php_admin_value[memory_limit = 5", 'php_value[a] = "5', "[x"])
def test_a_syntax_error_which_fpm_tells_without_a_line_leads_to_what_is_left_open(line: str) -> None:
    words = "PHP:  syntax error, unexpected end of file, expecting ']' in Unknown on line 1\nERROR: failed to load"
    parts = (OWN, Part("/a.conf", '; it\'s "fine\nx = "1"\n'), Part("/b.conf", f"y = 1\n{line}\n"))
    assert fpm.complaint(parts, words) == "/b.conf:2: syntax error, unexpected end of file, expecting ']'"
    others = (OWN, Part("/a.conf", "x = a(b)\n"), Part("/b.conf", "y = 1\n"))
    assert fpm.complaint(others, words) == "/a.conf, /b.conf: syntax error, unexpected end of file, expecting ']'"


def test_a_complaint_without_a_line_is_passed_on() -> None:
    assert fpm.complaint((OWN,), "first\nERROR: FPM initialization failed") == "ERROR: FPM initialization failed"
    assert fpm.complaint((OWN,), "") == "php-fpm -t failed and said nothing"


def test_of_two_lines_for_a_setting_only_the_last_stays() -> None:
    own = Part("pool.conf", "php_admin_value[memory_limit] = 256M\nenv[A] = 1\nphp_value[A] = 1\npm = static\n")
    added = Part("a.conf", "php_value[memory_limit] = 77M\nenv[A] = 2\npm = ondemand\n")
    live = [line for line in fpm.text((own, added)).splitlines() if line and not line.startswith(";")]
    assert live == ["php_value[A] = 1", "pm = static", "php_value[memory_limit] = 77M", "env[A] = 2", "pm = ondemand"]


@pytest.mark.parametrize(
    ("line", "around"),
    [
        ("php_admin_value[auto_prepend_file] = /var/www/a/first.php", True),
        ('php_value[auto_append_file]="last.php"', True),
        ("; php_admin_value[auto_prepend_file] = /var/www/a/first.php", False),
        ("php_admin_value[auto_prepend_file] = none", False),
        ('php_admin_value[auto_prepend_file] = ""', False),
        ("php_admin_value[auto_prepend_file] =", False),
        ("php_admin_value[memory_limit] = 1G", False),
    ],
)
def test_code_of_the_site_around_every_script_is_known(line: str, around: bool) -> None:
    assert fpm.has_code_around(f"[a]\n{line}\npm = static\n") is around


def test_comments_of_a_pool_are_no_reason_for_a_new_php(tmp_path: Path) -> None:
    """They name lines of the description, which a line above them moves."""
    site = read(EXAMPLE)
    pool, live = tmp_path / "pool.conf", tmp_path / "fpm.conf"
    site = replace(site, paths=replace(site.paths, pool=pool))
    changes: list[str] = []

    def bring(text: str) -> bool:
        pool.write_text(text)
        return fpm.bring(Layout(tmp_path), site, live, lambda parts: None, lambda: changes.append(text)).changed

    assert bring("[a]\n; php.pool: a.yaml:3\npm = static\n")
    assert not bring("[a]\n; php.pool: a.yaml:4\npm = static\n")
    assert "a.yaml:4" in live.read_text() and len(changes) == 1
    assert bring("[a]\n; php.pool: a.yaml:4\npm = ondemand\n") and len(changes) == 2
