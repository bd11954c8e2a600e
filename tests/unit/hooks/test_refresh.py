# SPDX-License-Identifier: GPL-2.0-or-later
"""The rule book of a refresh."""

import mmap
import os
from pathlib import Path

import pytest
import world

from fpmjail.image_build import SourceChanged
from fpmjail.layout import Layout
from fpmjail.masters import generations, left_behind
from fpmjail.refresh import GOOD, Decision, Mode, Outcome, Task, line
from fpmjail.renewal import Facts, decide, explain, look, run

READY = Facts(current="0" * 16, missing=(), unfinished=(), held=None)


def facts(**changes: object) -> Facts:
    values = {name: getattr(READY, name) for name in ("current", "missing", "unfinished", "held")}
    return Facts(**{**values, **changes})


@pytest.mark.parametrize(
    ("given", "decision"),
    [
        (READY, Decision.SWITCH),
        (facts(current=None), Decision.SWITCH),
        (facts(unfinished=("libc6",)), Decision.DEFERRED),
        (facts(missing=("php8.2",)), Decision.INCOMPLETE),
        (facts(held="by an administrator"), Decision.HELD),
        (facts(current=None, held="by an administrator"), Decision.SWITCH),
        (facts(missing=("php8.2",), unfinished=("libc6",)), Decision.DEFERRED),
        (facts(missing=("php8.2",), held="by an administrator"), Decision.INCOMPLETE),
    ],
)
def test_a_refresh_decides_by_its_rule_book(given: Facts, decision: Decision) -> None:
    assert decide(given) is decision


def test_an_image_never_shrinks_when_something_is_gone_from_the_host() -> None:
    assert decide(facts(missing=("/usr/sbin/php-fpm8.2",))) is not Decision.SWITCH
    assert Decision.INCOMPLETE not in GOOD


@pytest.mark.parametrize(
    ("needed", "current", "waits"), [(False, None, True), (True, None, False), (True, "0" * 16, True)]
)
def test_only_a_new_site_without_an_image_makes_do_with_unpacked_packages(
    needed: bool, current: str | None, waits: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout, profile = world.make(tmp_path), world.profile("php")
    task = Task(layout, profile, (), Mode(final=False, needed=needed))
    monkeypatch.setattr("fpmjail.image.current", lambda layout, profile_id: current)
    monkeypatch.setattr("fpmjail.packages._query", lambda root, *arguments: "php-xml half-configured\nlibc6 unpacked\n")
    seen = look(task, world.want(layout, profile), {"/usr/bin/php": ("php-xml", "1"), "/lib/libc.so.6": ("libc6", "2")})
    assert bool(seen.unfinished) == waits


@pytest.mark.parametrize(("changes", "decision"), [(2, Decision.SWITCH), (9, Decision.DEFERRED)])
def test_files_that_change_while_they_are_copied_are_copied_again_some_times(
    changes: int, decision: Decision, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = iter(range(changes))

    def renew(task: Task) -> Outcome:
        if next(left, None) is not None:
            raise SourceChanged("/etc/services changed while it was copied")
        return task.kept(Decision.SWITCH)

    monkeypatch.setattr("fpmjail.renewal.renew", renew)
    task = Task(world.make(tmp_path), world.profile("php"), (), Mode(final=False))
    assert run(task).decision is decision


def test_a_decision_names_what_it_waits_for() -> None:
    given = facts(unfinished=("libc6", "php8.4-fpm"))
    assert explain(given, decide(given)) == ("not fully installed yet: libc6, php8.4-fpm",)


def test_the_line_for_the_admin_says_what_happened_and_why() -> None:
    outcome = Outcome("0123456789ab", Decision.REFUSED, "a", "a", ("timezones: the worker died",))
    assert line(outcome) == (
        "image 0123456789ab keeps its generation: the new one failed its test: timezones: the worker died"
    )
    assert not outcome.good


def test_the_generations_that_a_master_maps_are_read_from_its_maps() -> None:
    maps = (
        "7f00-7f01 r-xp 0 fe:00 12 /var/lib/fpmjail/images/0123456789ab/aaaabbbbccccdddd/usr/lib/libc.so.6\n"
        "7f02-7f03 r-xp 0 fe:00 13 /1111222233334444/usr/sbin/php-fpm8.4\n"
        "7f04-7f05 rw-p 0 00:01 14 /dev/zero (deleted)\n"
    )
    assert generations(maps) == {"aaaabbbbccccdddd", "1111222233334444"}


def test_a_generation_stays_as_long_as_a_master_that_ends_with_its_last_request_maps_it(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    assert left_behind(layout) == set()
    file = tmp_path / "0123456789abcdef/usr/lib.so"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"code")
    layout.leaving.mkdir(parents=True)
    (layout.leaving / "site-example-jail.service").write_text(f"{os.getpid()}")
    (layout.leaving / "site-other-jail.service").write_text("4194305")  # beyond what the kernel gives
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, prot=mmap.PROT_READ):
        assert left_behind(layout) == {"0123456789abcdef"}
    assert left_behind(layout) == set()
