# SPDX-License-Identifier: GPL-2.0-or-later
"""How jobs are told of, and which timers are of jobs that are no more."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from test_site_json import EXAMPLE, read

from fpmjail import cron, state, systemd
from fpmjail.cron import Fate
from fpmjail.layout import Layout
from fpmjail.site import Site

SITE: Site = read(EXAMPLE)
FATE = Fate(SITE.cron[0], True, True, False, "Mon 2026-11-23 17:00:34 UTC", "success", "0", "")


@pytest.mark.parametrize(
    ("fate", "outcome", "failed"),
    [
        (FATE, "good", False),
        (replace(FATE, last=""), "never ran", False),
        (replace(FATE, running=True), "running", False),
        (replace(FATE, result="exit-code", status="9"), "exit-code, status 9", True),
        (replace(FATE, result="oom-kill", status="9"), "oom-kill, status 9", True),
    ],
)
def test_the_last_run_is_told_in_a_few_words(fate: Fate, outcome: str, failed: bool) -> None:
    assert (fate.outcome, fate.failed) == (outcome, failed)


def test_timers_are_stopped_before_what_they_start() -> None:
    assert cron.units(SITE) == ("site-example-jail-cron-tick.timer", "site-example-jail-cron-tick.service")


def test_only_dangling_links_of_this_site_are_of_former_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr(systemd, "run", lambda command, timeout=0.0: calls.append(" ".join(command)))
    monkeypatch.setattr(systemd, "running", lambda: False)
    (tmp_path / "unit").touch()
    links = {"tick": "gone", "old": "gone", "x-jail-cron-y": "unit"}
    for job, target in links.items():
        (tmp_path / f"site-example-jail-cron-{job}.timer").symlink_to(tmp_path / target)
    (tmp_path / "site-other-jail-cron-old.timer").symlink_to(tmp_path / "gone")
    assert cron.forget_former(SITE, tmp_path) == ("site-example-jail-cron-old.timer",)
    assert not (tmp_path / "site-example-jail-cron-old.timer").is_symlink()
    assert any("deb-systemd-helper purge site-example-jail-cron-old.timer" in call for call in calls)
    assert len(list(tmp_path.iterdir())) == 4


def test_the_mark_that_keeps_timers_off_comes_and_goes(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.site_state("example").mkdir(parents=True)
    for off in (True, True, False, False):
        state.mark(layout, "example", off)
        assert (layout.site_state("example") / "switched-off").exists() == off
