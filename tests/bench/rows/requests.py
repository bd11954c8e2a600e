# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests: the first to an idle site, and thousands to a jail and to the same PHP without one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from tests.bench import many, plain
from tests.bench.row import Aim, Bench, Compare, Line, Row
from tests.lifecycle import manual, trees
from tests.lifecycle.browser import Browser
from tests.lifecycle.server import Server

SMALL = "<?php echo 'hello ', strlen(date('c')), \"\\n\";\n"
REPORT = """
done = function(summary, latency)
  local bad = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.status
    + summary.errors.timeout
  io.stderr:write(string.format('{"p50": %g, "p99": %g, "rate": %g, "bad": %d}',
    latency:percentile(50) / 1000, latency:percentile(99) / 1000, summary.requests / summary.duration * 1e6, bad))
end
"""
HOST = "blog.example.org"
THEME = {"trixie": "wordpress-theme-twentytwentyfive", "bookworm": "wordpress-theme-twentytwentythree"}
WORDPRESS = trees.CHECKOUT / "examples/wordpress.yaml"
PASSWORD = "correct horse battery staple"
TURNS = 10
DEBIAN = "Debian's php-fpm without a jail"


@dataclass(frozen=True, slots=True)
class Speed:
    """What one run of wrk saw: latencies in ms, requests a second."""

    p50: float
    p99: float
    rate: float


def first(bench: Bench) -> Iterator[Line]:
    """The service is stopped, its socket stays: the first request starts PHP, the next is warm."""
    with many.server(bench) as there:
        many.install(there, many.packages(bench, 1))
        (site,) = plain.names(1)
        plain.write_pages(there, [site], "small.php", SMALL)
        cold, warm = [], []
        for _ in bench.rounds():
            for _ in range(TURNS):
                there.run("systemctl", "stop", f"site-{site}-jail.service")
                cold.append(asked(there, site))
                warm.append(median(asked(there, site) for _ in range(5)))
    aim = Aim(Compare.MORE, 300)
    yield Line("first request of an idle site", "ms", tuple(cold), "a warm request", tuple(warm), aim)


def asked(there: Server, site: str) -> float:
    """Milliseconds until the small page is complete."""
    page = ["curl", "-sf", "-o", "/dev/null", "-w", "%{time_total}", "-H", f"Host: {site}.example.org"]
    return float(there.run(*page, "http://127.0.0.1/small.php").stdout) * 1000


def latency(bench: Bench) -> Iterator[Line]:
    """A small script and WordPress's front page, in turn from the jail and from Debian's PHP-FPM."""
    with many.server(bench, "wrk") as there:
        many.install(there, many.packages(bench, 1))
        (site,) = plain.names(1)
        plain.write_pages(there, [site], "small.php", SMALL)
        plain.add(there, [site])
        yield from compared(bench, there, "small script", f"{site}.example.org", "/small.php")
    with many.server(bench, "wrk", "php", "wordpress", "phpX-bcmath", "phpX-imagick", THEME[bench.release]) as there:
        wordpress(there)
        plain.add(there, ["wordpress"])
        yield from compared(bench, there, "WordPress's front page", HOST, "/")


def compared(bench: Bench, there: Server, what: str, host: str, path: str) -> Iterator[Line]:
    """The lines of one page."""
    there.write("/root/report.lua", REPORT)
    for port in (80, plain.PORT):
        wrk(there, host, path, port, bench.seconds)  # both are warm
    ours: list[Speed] = []
    theirs: list[Speed] = []
    for number in bench.rounds():
        # who comes first changes, so that a machine that slows down hits both alike
        for port, speeds in ((80, ours), (plain.PORT, theirs))[:: 1 if number % 2 else -1]:
            speeds.append(wrk(there, host, path, port, bench.seconds))
    for name, unit, compare in (("p50", "ms", Compare.PERCENT), ("p99", "ms", Compare.PERCENT),
                                ("rate", "requests/s", Compare.LESS)):  # fmt: skip
        mine, other = (tuple(getattr(speed, name) for speed in speeds) for speeds in (ours, theirs))
        shown = "requests a second" if name == "rate" else name
        yield Line(f"{what}, {shown}", unit, mine, DEBIAN, other, Aim(compare, 2), noise(mine, other))


def noise(ours: tuple[float, ...], rival: tuple[float, ...]) -> str:
    """What is to be said of a difference that is smaller than that of the rival with itself."""
    spread = (max(rival) - min(rival)) / median(rival) * 100
    difference = abs(median(ours) / median(rival) - 1) * 100
    return (
        ""
        if difference <= 2 or difference > spread
        else ("The difference is smaller than that between two runs of the rival.")
    )


def wrk(there: Server, host: str, path: str, port: int, seconds: float) -> Speed:
    """One run: a thread with four connections, each keeps asking."""
    command = [
        "wrk",
        "-t1",
        "-c4",
        f"-d{round(seconds)}s",
        "--timeout",
        "20s",
        "-s",
        "/root/report.lua",
        "-H",
        f"Host: {host}",
    ]
    found = json.loads(there.run(*command, "-H", f"Host: {host}", f"http://127.0.0.1:{port}{path}").stderr)
    assert not found.pop("bad"), f"{host}:{port}{path} failed"
    return Speed(**found)


def wordpress(there: Server) -> None:
    """WordPress as docs/wordpress.md installs it, up to its front page."""
    there.shell("systemctl unmask mariadb; systemd-tmpfiles --create mariadb.conf; systemctl start mariadb")
    there.shell(f"echo 127.0.0.1 {HOST} >>/etc/hosts")
    there.publish(WORDPRESS, "wordpress.yaml")
    there.shell(manual.commands("wordpress.md", "WordPress from Debian's archive"), timeout=900)
    there.run("systemctl", "stop", "site-wordpress-jail-cron-wp-cron.timer")
    for section in ("The files", "The database"):
        there.shell(manual.commands("wordpress.md", section))
    browser = Browser(there, HOST)
    database = {"dbname": "wordpress", "uname": "_site-wordpress", "pwd": "", "dbhost": "localhost", "prefix": "wp_"}
    browser.post("/wp-admin/setup-config.php?step=2", {**database, "language": "", "noapi": "1"})
    there.shell(manual.commands("wordpress.md", "Jobs"))
    browser.submit(
        browser.get("/wp-admin/install.php?language=en_US"), weblog_title="Jailed", user_name="ann",
        admin_password=PASSWORD, admin_password2=PASSWORD, pw_weak="on", admin_email="ann@example.org",
        Submit="Install WordPress",
    )  # fmt: skip
    page = browser.get("/")
    assert page.status == 200 and "Jailed" in page.text, page


FIRST = Row("first", "the first request of an idle site", first)
LATENCY = Row("latency", "latency and throughput, jail against no jail", latency)
