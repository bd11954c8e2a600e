# SPDX-License-Identifier: GPL-2.0-or-later
"""The control part of a package, read back with python-debian."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import replace

import pytest
from debian.changelog import Changelog
from debian.deb822 import Deb822
from hypothesis import given
from hypothesis import strategies as st

from fpmjail_deb.contents import PackagePlan
from fpmjail_deb.errors import BuildError
from fpmjail_deb.metadata import changelog, conffiles, control_file, extended_description, installed_size, md5sums
from tests.sites import EPOCH, file, planned, shop

PLAN = planned(shop())


def with_field(name: str, value: str) -> PackagePlan:
    return replace(PLAN, control=tuple((field, value if field == name else old) for field, old in PLAN.control))


def test_the_control_file_says_what_the_plan_says() -> None:
    read = Deb822(control_file(PLAN))
    assert dict(read) == {**dict(PLAN.control), "Installed-Size": str(installed_size(PLAN))}
    assert list(read)[:4] == ["Package", "Version", "Architecture", "Maintainer"]


@given(st.text(max_size=60))
def test_no_value_adds_a_field_or_a_paragraph(value: str) -> None:
    fields = set(Deb822(control_file(PLAN)))
    try:
        written = control_file(with_field("Homepage", value))
    except BuildError:
        assert not value.isprintable() or not value.strip()
        return
    assert [set(paragraph) for paragraph in Deb822.iter_paragraphs(written)] == [fields]
    assert Deb822(written)["Homepage"] == value.strip()


@pytest.mark.parametrize("value", ["", " ", "a\nDepends: evil", "a\n\n b", "a\n", "a\x00"])
def test_a_value_that_would_leave_its_field_is_refused(value: str) -> None:
    with pytest.raises(BuildError, match="Description"):
        control_file(with_field("Description", value))


def test_the_installed_size_counts_every_entry() -> None:
    sizes = [-(-len(entry.content) // 1024) for entry in PLAN.files]
    assert installed_size(PLAN) == sum(sizes) + len(PLAN.entries) - len(PLAN.files)


def test_logrotates_stanza_is_the_only_conffile() -> None:
    assert conffiles(PLAN) == "/etc/logrotate.d/site-shop-jail\n"


def test_every_file_has_its_md5sum_under_its_own_name() -> None:
    package = planned(replace(shop(), name="my-shop"))
    sums = {path: digest for digest, path in (line.split("  ", 1) for line in md5sums(package).splitlines())}
    mount = "usr/lib/systemd/system/var-lib-fpmjail-jails-my\\x2dshop-.image.mount"
    assert sums[mount] == hashlib.md5(file(package, ".mount").content).hexdigest()
    assert "etc/apache2/sites-available/site-my-shop-jail.conf" not in sums


def test_the_changelog_is_one_entry_of_the_packages_version() -> None:
    compressed = changelog("site-shop-jail", "1.0+deb13", "trixie", "Ann <ann@example.org>", "Made.", EPOCH)
    (block,) = Changelog(gzip.decompress(compressed).decode(), strict=True)
    assert (str(block.version), block.distributions, block.author) == ("1.0+deb13", "trixie", "Ann <ann@example.org>")
    assert block.date == "Thu, 01 Jan 2026 00:00:00 +0000"
    assert block.changes() == ["", "  * Made.", ""]


def test_a_long_change_is_wrapped_as_dch_does() -> None:
    compressed = changelog("p", "1", "trixie", "Ann <a@example.org>", "word " * 40, EPOCH)
    lines = gzip.decompress(compressed).decode().splitlines()
    assert max(len(line) for line in lines) <= 80
    assert lines[2].startswith("  * word") and lines[3].startswith("    word")


def test_compressed_bytes_tell_neither_time_nor_name() -> None:
    header = changelog("p", "1", "trixie", "Ann <a@example.org>", "Made.", EPOCH)[:10]
    assert header == b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff"


def test_a_description_is_wrapped_into_paragraphs() -> None:
    assert extended_description("Synopsis", ("one", "two " * 30)).split("\n")[:4] == [
        "Synopsis", " one", " .", " " + "two " * 18 + "two",
    ]  # fmt: skip
