# SPDX-License-Identifier: GPL-2.0-or-later
"""The manual becomes a site in which every page can be reached and every link leads somewhere."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fpmjail_deb import cli, schema

HOUSE = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; --strict fails for a link that leads nowhere and for a page without a place."""
    directory = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(directory)]
    built = subprocess.run(command, cwd=HOUSE, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    return directory


def test_every_page_is_in_the_navigation(site: Path) -> None:
    index = (site / "index.html").read_text()
    pages = {f"{path.stem}.html" for path in (HOUSE / "docs").glob("*.md")} - {"index.html"}
    assert {page for page in pages if f'href="{page}"' not in index} == set()


def test_the_reference_explains_every_key(site: Path) -> None:
    page = html.unescape((site / "reference/fpmjail-site.5.html").read_text())
    assert [row.path for row in schema.FIELDS if f"<strong>{row.path}</strong>" not in page] == []


def test_the_reference_explains_every_command(site: Path) -> None:
    page = (site / "reference/fpmjail-deb.1.html").read_text()
    assert [one.name for one in cli.COMMANDS if f"<strong>{one.name}</strong>" not in page] == []


def test_every_example_is_shown_and_linked(site: Path) -> None:
    page = (site / "reference/examples.html").read_text()
    for path in (HOUSE / "examples").glob("*.yaml"):
        assert f'id="{path.stem}"' in page
    assert 'href="reference/examples.html#wordpress"' in (site / "wordpress.html").read_text()


def test_nothing_but_the_manual_is_on_the_site(site: Path) -> None:
    assert not list(site.rglob("*.py"))
    text = "".join(path.read_text() for path in site.rglob("*.html"))
    assert not re.search(r"src=\"https?:", text), "the manual is read without a network"
