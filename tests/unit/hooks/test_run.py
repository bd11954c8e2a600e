# SPDX-License-Identifier: GPL-2.0-or-later
"""What status.json remembers, and that a trigger never fails."""

import fcntl
import subprocess
import sys
from pathlib import Path

import pytest

from fpmjail import dpkg, run, state
from fpmjail.layout import Layout
from fpmjail.refresh import Decision, Outcome


def outcome(decision: Decision) -> Outcome:
    return Outcome("0123456789ab", decision, "a" * 16, "b" * 16, ("libc6 2.41-1 -> 2.41-2",))


def test_what_happened_stays_in_the_history_and_idle_runs_do_not(layout: Layout) -> None:
    run.remember(layout, [outcome(Decision.SWITCH)])
    run.remember(layout, [outcome(Decision.CURRENT)])
    known = run.recall(layout)
    assert [entry["decision"] for entry in known["history"]] == ["SWITCH"]
    assert known["latest"]["0123456789ab"]["decision"] == "CURRENT"


def test_the_history_does_not_grow_for_ever(layout: Layout) -> None:
    for _ in range(run.REMEMBERED + 5):
        run.remember(layout, [outcome(Decision.SWITCH)])
    assert len(run.recall(layout)["history"]) == run.REMEMBERED


def test_an_outcome_that_cannot_be_written_down_is_said_and_stops_nothing(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("fpmjail.files.replace_file", full)
    (said,) = run.remember(layout, [outcome(Decision.SWITCH)])
    assert said.startswith("the outcome cannot be written down: ") and "No space left" in said


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"latest": 3}', '{"latest": {}, "history": null}'])
def test_a_damaged_status_file_counts_as_empty(layout: Layout, damage: str) -> None:
    layout.status_file.write_text(damage)
    assert run.recall(layout) == {"latest": {}, "history": []}


def test_a_trigger_ends_well_whatever_happens(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(*_: object) -> None:
        raise RuntimeError("the disk is on fire")

    monkeypatch.setattr(run, "once", explode)
    said: list[str] = []
    run.trigger(layout, frozenset({"ldconfig"}), said.append)
    assert said == ["RuntimeError: the disk is on fire; see: fpmjail status"]


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"version": '])
def test_a_damaged_state_counts_as_never_configured(layout: Layout, damage: str) -> None:
    (layout.state / "example").mkdir()
    (layout.state / "example/state.json").write_text(damage)
    assert state.read(layout, "example") is None


def test_a_state_of_a_newer_runtime_is_read_as_far_as_it_is_known(layout: Layout) -> None:
    (layout.state / "example").mkdir()
    (layout.state / "example/state.json").write_text('{"version": "1.0", "novelty": 3}')
    assert state.read(layout, "example") == state.State(version="1.0")


def test_dpkgs_lock_is_seen_without_being_taken(tmp_path: Path) -> None:
    lock = tmp_path / "lock-frontend"
    lock.touch()
    assert not dpkg.held(lock)
    holder = "import fcntl, sys; f = open(sys.argv[1], 'r+'); fcntl.lockf(f, fcntl.LOCK_EX); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", holder, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert dpkg.held(lock)
        process.communicate(b"\n")
    assert not dpkg.held(lock)
    with lock.open("r+") as file:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_lock_that_is_not_there_is_not_held(tmp_path: Path) -> None:
    assert not dpkg.held(tmp_path / "missing")
