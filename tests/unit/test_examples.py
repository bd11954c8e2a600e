# SPDX-License-Identifier: GPL-2.0-or-later
"""The examples that people copy."""

from pathlib import Path

import pytest

from fpmjail_deb import fleet
from fpmjail_deb.description import read_site
from fpmjail_deb.folder import read_folder
from fpmjail_deb.site import AUTOMATIC, WebServer
from fpmjail_deb.site_warnings import warnings

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_a_good_description_called_after_its_file(path: Path) -> None:
    site = read_site(path.read_bytes(), path.name)
    assert site.name == path.stem
    assert warnings(site) == ()


def test_the_examples_fit_on_one_server() -> None:
    assert fleet.problems(read_site(path.read_bytes(), path.name) for path in EXAMPLES) == ()


def test_the_smallest_example_has_three_lines() -> None:
    [minimal] = [path for path in EXAMPLES if path.stem == "minimal"]
    assert len(minimal.read_text().splitlines()) == 3


def test_the_example_of_a_fleet_has_no_mistake_and_uses_its_defaults() -> None:
    folder = read_folder([Path(EXAMPLES[0].parent, "fleet")])
    assert folder.problems == fleet.problems(folder.sites) == ()
    sites = {site.name: site for site in folder.sites}
    assert sorted(sites) == ["map", "portal", "society"]
    assert [dict(sites[name].web.headers).get("X-Frame-Options") for name in sorted(sites)] == [
        None, "SAMEORIGIN", "SAMEORIGIN",
    ]  # fmt: skip
    assert sites["portal"].web.server is WebServer.NGINX
    assert {site.version for site in folder.sites} == {AUTOMATIC}
