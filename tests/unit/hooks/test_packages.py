# SPDX-License-Identifier: GPL-2.0-or-later
"""dpkg's own answers, asked of a database in a temporary directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from fpmjail.packages import UNPACKED, PackageError, owners, parse_owners, spellings, unfinished

PARAGRAPH = """Package: {name}
Status: {status}
Maintainer: Nobody <nobody@example.org>
Architecture: all
Version: {version}
{more}Description: nothing

"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    database = tmp_path / "var/lib/dpkg"
    for directory in ("info", "updates", "triggers"):
        (database / directory).mkdir(parents=True)
    packages = {
        "libc": ("install ok installed", "2.41-1", ["/lib/x/libc.so.6", "/usr/share/odd[name]"]),
        "php": ("install ok unpacked", "8.4-1", ["/usr/bin/php", "/usr/share/shared"]),
        "tz": ("install ok triggers-pending", "1", ["/usr/share/shared"]),
        "fpmjail": ("install ok half-configured", "0.1", []),
    }
    more = {"triggers-pending": "Triggers-Pending: ldconfig\n"}
    paragraphs = [
        PARAGRAPH.format(name=name, status=status, version=version, more=more.get(status.split()[-1], ""))
        for name, (status, version, _) in packages.items()
    ]
    (database / "status").write_text("".join(paragraphs))
    for name, (_, _, paths) in packages.items():
        (database / f"info/{name}.list").write_text("/.\n" + "".join(f"{path}\n" for path in paths))
    (database / "info/format").write_text("1\n")
    (database / "diversions").write_text("/usr/bin/php\n/usr/bin/php.real\ntz\n")
    return tmp_path


def test_owners_are_found_in_both_spellings_of_merged_usr(root: Path) -> None:
    found = owners(["/usr/lib/x/libc.so.6", "/usr/share/odd[name]", "/etc/nobodys", "/usr/share/shared"], root)
    assert found["/usr/lib/x/libc.so.6"] == ("libc", "2.41-1")
    assert found["/usr/share/odd[name]"] == ("libc", "2.41-1")
    assert found["/usr/share/shared"][0] in ("php", "tz")
    assert "/etc/nobodys" not in found


def test_a_diverted_file_still_has_its_owner(root: Path) -> None:
    assert owners(["/usr/bin/php"], root) == {"/usr/bin/php": ("php", "8.4-1")}


def test_nothing_asked_is_nothing_found(tmp_path: Path) -> None:
    assert owners([], tmp_path) == {}
    assert unfinished([], tmp_path) == []


def test_unfinished_packages_are_named_and_the_runtime_is_not(root: Path) -> None:
    assert unfinished(["libc", "tz", "php", "fpmjail", "gone"], root) == ["gone", "php"]


def test_an_image_that_is_not_there_needs_no_more_than_unpacked_packages(root: Path) -> None:
    assert unfinished(["libc", "tz", "php", "gone"], root, UNPACKED) == ["gone"]


def test_a_database_that_cannot_be_read_is_an_error_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "dpkg-query"
    program.write_text("#!/bin/sh\necho broken >&2\nexit 2\n")
    program.chmod(0o755)
    monkeypatch.setattr("fpmjail.packages.PROGRAM", str(program))
    with pytest.raises(PackageError, match="broken"):
        owners(["/etc/x"], tmp_path)
    monkeypatch.setattr("fpmjail.packages.PROGRAM", str(tmp_path / "missing"))
    with pytest.raises(PackageError, match="No such file"):
        unfinished(["x"], tmp_path)


def test_the_answer_of_dpkg_is_read_line_by_line() -> None:
    output = """diversion by tz from: /usr/bin/php
diversion by tz to: /usr/bin/php.real
local diversion from: /usr/bin/x
libc6:amd64, libc6:i386: /usr/share/doc
base: /etc/with: colon
dpkg-query: no path found matching pattern /nothing
"""
    assert parse_owners(output, {"libc6:amd64": "1", "base": "2"}) == {
        "/usr/share/doc": ("libc6:amd64", "1"),
        "/etc/with: colon": ("base", "2"),
    }


def test_only_merged_directories_have_two_spellings() -> None:
    assert spellings("/usr/lib/a") == ("/usr/lib/a", "/lib/a")
    assert spellings("/usr/share/a") == ("/usr/share/a",)
    assert spellings("/usr/libexec/a") == ("/usr/libexec/a",)
    assert spellings("/etc/lib/a") == ("/etc/lib/a",)
