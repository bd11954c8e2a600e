# SPDX-License-Identifier: GPL-2.0-or-later
"""The examples that people copy."""

from pathlib import Path

import pytest

from fpmjail_deb import fleet
from fpmjail_deb.description import read_site, warnings

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
