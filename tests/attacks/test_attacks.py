# SPDX-License-Identifier: GPL-2.0-or-later
"""Every attack in tests/attacks ends as it says, on real servers; docs/attacks.md shows how."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.attacks import browsing, native, scripts, table, visits
from tests.attacks.cases import NGINX, PHP_PLACES, Script
from tests.attacks.ground import Ground, verdicts
from tests.attacks.table import Outcomes
from tests.lifecycle.bed import Bed

GROUPS: dict[str, dict[str, Script]] = {"scripts": scripts.SCRIPTS, "native": native.SCRIPTS}


@pytest.fixture(scope="module")
def ground(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    yield Ground(bed, tmp_path_factory.mktemp("ground"))


@pytest.fixture(scope="module")
def seen(ground: Ground) -> Outcomes:
    """All attacks, in one go: the outcomes by case and place."""
    before = ground.fingerprint()
    outcomes: Outcomes = {}
    for group, cases in GROUPS.items():
        for place in PHP_PLACES:
            answer = ground.attack(place, group)
            assert answer["faults"] == [], (place, group, answer)
            _add(outcomes, place, verdicts(answer, cases))
    for place in browsing.SITES:
        if place != NGINX:
            _add(outcomes, place, _visited(ground, place))
    ground.switch_to_nginx()
    _add(outcomes, NGINX, _visited(ground, NGINX))
    assert ground.fingerprint() == before, "an attack changed an image, the server's /usr or another site's files"
    return outcomes


def _visited(ground: Ground, place: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for cases in (visits.FIRST, {visit.name: visit for visit in visits.LATER}):
        browsing.plant(ground, cases.values(), place)
        found |= browsing.verdicts(browsing.browse(ground, cases, place), cases)
    return found


def _add(outcomes: Outcomes, place: str, found: dict[str, str]) -> None:
    for name, word in found.items():
        outcomes.setdefault(name, {})[place] = word


def test_every_attack_ends_as_expected(seen: Outcomes, release: str, pytestconfig: pytest.Config) -> None:
    if pytestconfig.getoption("update_golden"):
        table.record(release, seen)
    cases: tuple[table.Case, ...] = (*scripts.SCRIPTS.values(), *native.SCRIPTS.values(), *visits.VISITS.values())
    wanted = table.expectations(cases)
    surprises = {
        f"{name}, {place}": f"expected {word}, seen {seen[name].get(place, 'nothing')}"
        for name, places in wanted.items()
        for place, word in places.items()
        if seen[name].get(place) != word
    }
    assert surprises == {}, json.dumps(surprises, indent=1)


def test_the_manual_has_what_was_seen(seen: Outcomes, release: str) -> None:
    recorded = table.recorded()[release]
    assert {name: recorded.get(name) for name in seen} == seen, "make attacks-table"


@pytest.mark.parametrize("name", sorted(native.ROOTS))
def test_root_in_the_same_chroot_gets_out_by_the_same_code(ground: Ground, name: str) -> None:
    assert ground.attack_as_root(native.SCRIPTS[name]) != ""


def test_the_sites_still_work(ground: Ground, seen: Outcomes) -> None:
    assert ground.server.get("/config.php?open=1", "engine.example.org").body.endswith("ready")
    assert ground.server.run("fpmjail", "check", "engine", check=False).good
