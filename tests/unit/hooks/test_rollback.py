# SPDX-License-Identifier: GPL-2.0-or-later
"""The way back: what it brings back, when there is none, and that a dry run changes nothing."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
import world

from fpmjail import cli, holds, image, image_build, masters, renewal, rollback
from fpmjail import site as sites
from fpmjail.layout import Layout
from fpmjail.manifest import Manifest
from fpmjail.rollback import Change, NoWayBack

PROFILE = world.profile(*world.EVERYTHING)
GOLDEN = Path(__file__).parents[2] / "golden/minimal/trixie/usr/share/fpmjail/sites/minimal/site.json"
SITE = replace(sites.load(GOLDEN), name="minimal", profile=PROFILE)


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """A server with one site, nothing of which runs."""
    made = world.make(tmp_path)
    made.run.mkdir(parents=True)
    monkeypatch.setattr(sites, "installed", lambda layout: ([SITE], []))
    monkeypatch.setattr(masters, "running", lambda layout, members: ())
    return made


def renew(layout: Layout, content: str, version: str) -> Manifest:
    """A generation with another /etc/services, of another version of its package, switched to."""
    world.put(layout.root, "etc/services", content)
    want = world.want(layout, PROFILE)
    manifest = image_build.build(layout, PROFILE, want, {"/etc/services": ("netbase", version)})
    image.switch(layout, PROFILE.id, manifest.digest)
    return manifest


def test_a_rollback_says_which_versions_come_back_and_holds_them(layout: Layout) -> None:
    old, new = renew(layout, "old\n", "6.4"), renew(layout, "new\n", "6.5")
    result = rollback.rollback(layout, "minimal")
    assert result.way is not None and result.good
    assert (result.way.now, result.way.then) == (new.digest, old.digest) and result.way.sites == ("minimal",)
    assert result.way.packages == (Change("netbase", "6.5", "6.4"),)
    assert "netbase 6.5 -> 6.4" in result.words
    assert image.current(layout, PROFILE.id) == old.digest
    hold = holds.read(layout, PROFILE.id)
    assert hold is not None and hold.manual and hold.digest == new.digest


@pytest.mark.parametrize("target", ["minimal", PROFILE.id, PROFILE.id[:4]])
def test_an_image_is_named_by_a_site_or_by_the_beginning_of_its_id(layout: Layout, target: str) -> None:
    assert sites.with_image(layout, target) == (SITE,)
    assert cli.named_profiles(layout, [target]) == {PROFILE.id}


def test_a_refresh_of_what_is_not_there_is_refused(layout: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = cli.parser().parse_args(["refresh", "shopp"])
    assert cli.refresh(arguments, layout) == 2
    assert "shopp: no such site or image; see: fpmjail status" in capsys.readouterr().err


def test_the_way_back_is_to_the_generation_before_whatever_the_clock_did(layout: Layout) -> None:
    made = [renew(layout, f"{number}\n", f"6.{number}") for number in range(4)]
    for number, manifest in enumerate(made):
        os.utime(layout.image(PROFILE.id) / manifest.digest, (9000 - number, 9000 - number))
    way = rollback.rollback(layout, "minimal", dry_run=True).way
    assert way is not None and (way.now, way.then) == (made[3].digest, made[2].digest)


def test_a_dry_run_says_the_same_and_changes_nothing(layout: Layout) -> None:
    renew(layout, "old\n", "6.4")
    new = renew(layout, "new\n", "6.5")
    words = rollback.rollback(layout, "minimal", dry_run=True).words
    assert "would go back from" in words[0] and "netbase 6.5 -> 6.4" in words
    assert image.current(layout, PROFILE.id) == new.digest and holds.read(layout, PROFILE.id) is None


def test_where_no_package_differs_the_files_are_named(layout: Layout) -> None:
    renew(layout, "old\n", "6.4")
    renew(layout, "new\n", "6.4")
    assert "/etc/services as it was" in rollback.rollback(layout, "minimal", dry_run=True).words


def test_a_damaged_generation_is_no_way_back(layout: Layout) -> None:
    old, new = renew(layout, "old\n", "6.4"), renew(layout, "new\n", "6.5")
    (layout.image(PROFILE.id) / old.digest / "etc/services").write_text("torn")
    with pytest.raises(NoWayBack, match="is damaged: etc/services"):
        rollback.rollback(layout, "minimal")
    assert image.current(layout, PROFILE.id) == new.digest


def test_without_an_older_generation_or_a_complete_one_in_use_there_is_no_way_back(layout: Layout) -> None:
    only = renew(layout, "old\n", "6.4")
    with pytest.raises(NoWayBack, match="no generation but the current one"):
        rollback.rollback(layout, "minimal")
    (layout.image(PROFILE.id) / f"{only.digest}.json").write_text("torn")
    with pytest.raises(NoWayBack, match="fpmjail refresh --verify"):
        rollback.rollback(layout, "minimal")


def test_a_hold_that_is_not_there_cannot_be_released(layout: Layout) -> None:
    renew(layout, "old\n", "6.4")
    with pytest.raises(NoWayBack, match="is not held"):
        rollback.release(layout, "minimal")


def test_a_dry_release_leaves_the_hold(layout: Layout) -> None:
    renew(layout, "old\n", "6.4")
    holds.write(layout, PROFILE.id, "0" * 16, "by hand", manual=True)
    assert "would no longer be held" in rollback.release(layout, "minimal", dry_run=True).words[0]
    assert holds.read(layout, PROFILE.id) is not None


def test_machines_get_the_same_as_people(layout: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    renew(layout, "old\n", "6.4")
    renew(layout, "new\n", "6.5")
    arguments = cli.parser().parse_args(["rollback", "minimal", "--dry-run", "--json"])
    assert cli.rollback(arguments, layout) == 0
    seen = json.loads(capsys.readouterr().out)
    assert seen["done"] is False and seen["good"] is True
    assert seen["way"]["packages"] == [{"package": "netbase", "now": "6.5", "then": "6.4"}]


def test_a_refusal_names_what_is_kept_back(layout: Layout) -> None:
    old, new = renew(layout, "old\n", "6.4"), renew(layout, "new\n", "6.5")
    assert renewal.withheld(old, new) == ("kept back: netbase 6.4 -> 6.5",)
    assert renewal.withheld(None, new) == () and renewal.withheld(old, old) == ()
