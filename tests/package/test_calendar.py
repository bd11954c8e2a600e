# SPDX-License-Identifier: GPL-2.0-or-later
"""Every time of a job that we take is one that systemd takes."""

from __future__ import annotations

import itertools
import random

from fpmjail_deb.schedule import SHORTHANDS, from_cron, is_calendar
from tests.lifecycle.container import Container
from tests.sites import ACCEPTED_TIMES

REFUSED = 'while IFS= read -r time; do systemd-analyze calendar "$time" >/dev/null 2>&1 || echo "$time"; done'
PARTS = ("*", "0", "05", "7..9", "0/5", "1,3,9..11", "1..12/3", "1/11")


def taken(limit: int) -> list[str]:
    """Combinations of parts that we take, a few of each shape."""
    dates = [f"{month}{sign}{day}" for month, sign, day in itertools.product(PARTS, "-~", PARTS)]
    times = [":".join(parts) for parts in itertools.product(PARTS, repeat=2)]
    days = ("Mon", "Mon..Fri", "Sat,Sun", "Mon..Wed,Fri..Sun")
    crons = [from_cron(" ".join(fields)) or "" for fields in itertools.product(("*", "1-5", "*/7", "3"), repeat=5)]
    combined = [f"{day} {date} {time}" for day, date, time in zip(itertools.cycle(days), dates, times, strict=False)]
    found = [text for text in (*dates, *times, *crons, *combined) if is_calendar(text)]
    return random.Random(7).sample(found, limit)


def test_systemd_takes_every_time_that_we_take(builder: Container) -> None:
    times = [*ACCEPTED_TIMES, *SHORTHANDS, *taken(250)]
    answer = builder.run("sh", "-c", REFUSED, input="\n".join(times) + "\n")
    assert answer.stdout == ""
