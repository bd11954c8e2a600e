# SPDX-License-Identifier: GPL-2.0-or-later
"""The short form of campaign.py: killed, and without power, at random moments; the next run repairs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lifecycle import campaign
from tests.lifecycle.bed import Bed
from tests.lifecycle.server import Server

SEED = 2026
TIMES = 1
KILLED = ("configure", "first build", "remove", "apt install", "apt purge")  # test_healing.py kills refreshes
CUT_OFF = ("refresh", "first build", "remove")


@pytest.fixture(scope="module")
def server(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One site whose state lies on a disk of its own."""
    with campaign.prepared(bed, tmp_path_factory.mktemp("dist")) as there:
        yield there


def test_what_is_killed_at_any_moment_is_finished_by_the_next_run(server: Server) -> None:
    tally = campaign.campaign(server, TIMES, SEED, {action: campaign.ABOUT[action] for action in KILLED})
    assert any(tally.interrupted.values()), tally


def test_a_power_cut_leaves_no_torn_generation_and_the_next_run_repairs(server: Server) -> None:
    tally = campaign.campaign(server, TIMES, SEED, {action: campaign.ABOUT[action] for action in CUT_OFF}, power=True)
    assert any(tally.interrupted.values()), tally
