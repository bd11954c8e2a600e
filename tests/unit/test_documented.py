# SPDX-License-Identifier: GPL-2.0-or-later
"""What the documents show can be copied."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fpmjail_deb.deb import build_package
from fpmjail_deb.description import read_site
from tests.documented import CHECKOUT, Shown, documents, numbered, shown
from tests.sites import planned

SHOWN = shown()
OF_A_SITE = "debian/fpmjail.yaml"
"""A file of the source packages that dh_fpmjail(1) is for, not of ours."""


def test_the_documents_show_descriptions() -> None:
    assert {one.where.partition(":")[0] for one in SHOWN} >= {"README.md", "debian/man/fpmjail-site.5.md"}
    assert any(one.whole for one in SHOWN)


@pytest.mark.parametrize("one", SHOWN, ids=lambda one: one.where)
def test_a_shown_description_becomes_a_package_for_each_of_its_releases(one: Shown, tmp_path: Path) -> None:
    site = numbered(read_site(one.text.encode(), one.where))
    assert [build_package(planned(site, release), tmp_path).exists() for release in site.releases]


def test_every_file_that_a_document_names_is_there() -> None:
    named = r"\]\(((?!https?:|mailto:|#)[^)#\s]+)|\b((?:examples|docs)/[a-z0-9/_-]+\.(?:yaml|md))\b"
    missing = []
    for document in documents():
        for link, path in re.findall(named, document.read_text()):
            place = document.parent / link if link else CHECKOUT / path
            if not place.exists() and path != OF_A_SITE:
                missing.append(f"{document.name}: {link or path}")
    assert missing == []
