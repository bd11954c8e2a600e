# SPDX-License-Identifier: GPL-2.0-or-later
"""A /tmp with a limit: told apart from the other mounts, judged on the host and as PHP sees it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from test_check import IMAGE, JAIL, MASTER, SITE

from fpmjail import judges, mounting, mounts, systemd, temporary
from fpmjail.facts import Master
from fpmjail.mounts import Mount
from fpmjail.places import SiteFault
from fpmjail.site import Site
from fpmjail.systemd import Answer

UNIT = "var-lib-fpmjail-jails-example-tmp.mount"
LIMITED = replace(SITE, units=replace(SITE.units, mounts=("image.mount", UNIT)))
TMP = Mount("0:77", "/", f"{JAIL}/tmp", ("rw", "nosuid", "nodev", "noexec"), False, "tmpfs", "tmpfs")


def master(device: str) -> Master:
    return replace(MASTER, mounts=(*MASTER.mounts, replace(TMP, target="/tmp", device=device)))


def faults(site: Site, table: list[Mount], running: Master | None = None) -> str:
    return "; ".join(one.seen for one in judges.judge_mounts(site, table, running) if not one.good)


def test_a_limited_tmp_is_the_one_writable_mount_that_is_right() -> None:
    assert faults(LIMITED, [IMAGE, TMP]) == ""
    assert faults(LIMITED, [IMAGE, TMP], master("0:77")) == ""
    assert faults(LIMITED, [IMAGE, TMP, replace(TMP, target=f"{JAIL}/tmp/x")]) == f"{JAIL}/tmp/x is mounted read-write"
    assert faults(SITE, [IMAGE, TMP]) == f"{JAIL}/tmp is mounted read-write"


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        ([], f"{JAIL}/tmp is mounted 0 times, expected once"),
        ([TMP, TMP], f"{JAIL}/tmp is mounted 2 times, expected once"),
        ([replace(TMP, options=("rw", "nosuid", "nodev"))], f"{JAIL}/tmp is not noexec"),
        ([replace(TMP, filesystem="ext4")], f"{JAIL}/tmp is ext4, expected tmpfs"),
        ([replace(TMP, shared=True)], f"{JAIL}/tmp is a shared mount"),
    ],
)
def test_a_limit_that_does_not_hold_is_bad(table: list[Mount], fault: str) -> None:
    assert faults(LIMITED, [IMAGE, *table], master("0:77")) == fault


@pytest.mark.parametrize("running", [MASTER, master("0:78")])
def test_a_master_that_still_has_another_tmp_is_bad(running: Master) -> None:
    assert faults(LIMITED, [IMAGE, TMP], running) == f"PHP writes to another /tmp than {JAIL}/tmp"


def test_a_tmp_in_memory_goes_with_its_limit_and_nothing_else_does() -> None:
    assert temporary.former(SITE, [IMAGE, TMP]) == (TMP,)
    assert temporary.former(LIMITED, [IMAGE, TMP]) == ()
    assert temporary.former(SITE, [replace(TMP, filesystem="ext4"), replace(TMP, target=f"{JAIL}-two/tmp")]) == ()
    assert temporary.former(replace(SITE, isolation="shared"), [TMP]) == ()
    assert mounts.unit(temporary.place(SITE)) == UNIT and temporary.others(LIMITED) == ("image.mount",)


@pytest.mark.parametrize(
    ("failed", "words"),
    [("image.mount", "the image cannot be mounted: no"), (UNIT, "its /tmp cannot be mounted: no")],
)
def test_what_cannot_be_mounted_is_named(monkeypatch: pytest.MonkeyPatch, failed: str, words: str) -> None:
    monkeypatch.setattr(systemd, "start", lambda *units: Answer(1, "no"))
    monkeypatch.setattr(systemd, "active", lambda unit: unit != failed)
    with pytest.raises(SiteFault, match=words) as fault:
        mounting.mount_all(LIMITED)
    assert failed in fault.value.hint


def test_a_limit_below_what_lies_in_tmp_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / UNIT).write_text("[Mount]\nOptions=size=1M,nr_inodes=9,uid=_site-example,nosuid\n")
    asked = ["mount", "-o", "remount,size=1M,nr_inodes=9", "--", f"{JAIL}/tmp"]
    monkeypatch.setattr(mounting, "UNITS", tmp_path)
    monkeypatch.setattr(mounts, "current", lambda: (IMAGE, TMP))
    monkeypatch.setattr(systemd, "run", lambda words: Answer(int(words != asked), "?"))
    mounting.resize(LIMITED)
    monkeypatch.setattr(systemd, "run", lambda words: Answer(32, "Too small a size for current use"))
    mounting.resize(SITE)
    with pytest.raises(SiteFault, match=r"cannot be set: Too small") as fault:
        mounting.resize(LIMITED)
    assert fault.value.hint == f"delete what is too much in {JAIL}/tmp"
    monkeypatch.setattr(mounts, "current", lambda: (IMAGE,))
    mounting.resize(LIMITED)
