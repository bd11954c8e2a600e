# SPDX-License-Identifier: GPL-2.0-or-later
"""libc6 and PHP are upgraded while visitors come, and one of them waits for a page that takes a minute."""

from __future__ import annotations

import time
from collections.abc import Iterator

from tests.bench import many, plain
from tests.bench.row import Aim, Bench, Compare, Line, Row
from tests.lifecycle import load
from tests.lifecycle.load import Load, Report
from tests.lifecycle.server import Server

SITES = 20
BUSY_SECONDS = 60.0
POOL = "php:\n  pool:\n    request_timeout: 5m\n"
FPM = "Debian's php-fpm without fpmjail"


def upgrade(bench: Bench) -> Iterator[Line]:
    """The same load and the same upgrade on a server with jails and on one with Debian's PHP-FPM alone."""
    sites = plain.names(bench.some(SITES))
    busy = min(BUSY_SECONDS, bench.seconds * 12)
    ours, theirs = [], []
    for _ in bench.rounds():
        with many.server(bench) as there:
            many.install(there, many.packages(bench, len(sites), POOL))
            ours.append(upgraded(there, sites, busy, 80))
        with many.server(bench) as there:
            many.unpack(there, many.packages(bench, len(sites), POOL))
            plain.without_jails(there, sites)
            theirs.append(upgraded(there, sites, busy, plain.PORT))
    what = f"libc6 and PHP upgraded under load, {len(sites)} sites"
    failed, others = (tuple(float(report.failed) for report in reports) for reports in (ours, theirs))
    reason = "; ".join(dict.fromkeys(failure for report in ours for failure in report.failures[:2]))
    answers = tuple(float(report.requests) for report in ours)
    yield Line(f"{what}: failed requests", "requests", failed, FPM, others, Aim(Compare.ALONE, 0), reason)
    yield Line(f"{what}: all requests", "requests", answers, FPM, tuple(float(report.requests) for report in theirs))
    slow, slower = (tuple(report.slowest_short for report in reports) for reports in (ours, theirs))
    yield Line(f"{what}: slowest short request", "s", slow, FPM, slower, Aim(Compare.ALONE, 1))


def upgraded(there: Server, sites: list[str], busy: float, port: int) -> Report:
    """What became of the requests: short ones to all sites, long ones to the first, one of them before and after."""
    plain.write_pages(there, sites, "load.php", load.PAGE)
    hosts = ",".join(f"{site}.example.org" for site in sites)
    requests = Load(
        there.container, host=hosts, path="/load.php", port=port, threads=4, slow_threads=1, slow_seconds=busy,
        timeout=busy * 3, pause=0.05,
    )  # fmt: skip
    with requests:
        time.sleep(min(2.0, busy / 2))  # the long one is under way
        there.bed.publish_upgrade("libc6", "php-common", round=2)
        there.apt("upgrade")
        settled(there)
    return requests.report()


def settled(there: Server) -> None:
    """Wait for the last word, where there is one."""
    if there.exists("/usr/bin/fpmjail") or there.exists("/usr/sbin/fpmjail"):
        there.settle()


UPGRADE = Row("upgrade", "an upgrade of libc6 and PHP under load", upgrade)
