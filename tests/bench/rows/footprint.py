# SPDX-License-Identifier: GPL-2.0-or-later
"""What a further site takes: bytes on the disk, memory while it is idle and while it is busy."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator

from tests.bench import many, plain
from tests.bench.row import Aim, Bench, Compare, Line, Row
from tests.bench.rows.refresh import JAILS, make_jails
from tests.lifecycle.server import Server

SITES = 10
POOL = "php:\n  idle_after: 10s\n  pool:\n    idle_timeout: 5s\n"
SLEEP = "<?php for ($i = 0; $i < 30; $i++) usleep(100000); echo 'slept';\n"
DISK = """
import json, os, stat, sys
seen, content, blocks = set(), 0, 0
for top in sys.argv[1:]:
    for directory, directories, files in os.walk(top):
        directories[:] = [name for name in directories if name != ".image"]
        for path in (directory, *(os.path.join(directory, name) for name in (*files, *directories))):
            found = os.lstat(path)
            if (found.st_dev, found.st_ino) in seen:
                continue
            seen.add((found.st_dev, found.st_ino))
            content += found.st_size * stat.S_ISREG(found.st_mode)
            blocks += max(1, -(-found.st_size // 4096)) if stat.S_ISDIR(found.st_mode) else -(-found.st_size // 4096)
            blocks -= stat.S_ISLNK(found.st_mode) and found.st_size < 60
print(json.dumps([content, blocks * 4096]))
"""
PSS = """
import json, os
held = {"jails": 0, "debian": 0}
for pid in filter(str.isdigit, os.listdir("/proc")):
    try:
        name = open(f"/proc/{pid}/comm").read()
        group = open(f"/proc/{pid}/cgroup").read()
        lines = open(f"/proc/{pid}/smaps_rollup").read().splitlines()
    except OSError:
        continue
    if name.startswith("php-fpm"):
        kind = "jails" if "fpmjail.slice" in group else "debian"
        held[kind] += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
print(json.dumps(held))
"""
BLOCKS = (
    "Each small file and each directory takes a block of 4 kB, whatever is in it: 7 are dpkg's records of a package, "
    "15 the directories of a jail's root, 6 systemd's units."
)
PLACES = ("/etc", "/usr/lib", "/usr/share", "/var/lib/dpkg", "/var/lib/fpmjail", "/var/log/fpmjail", "/var/www",
          "/var/lib/systemd")  # fmt: skip


def disk(bench: Bench) -> Iterator[Line]:
    """What the server holds more after further sites: the bytes in files, and with them all blocks of ext4."""
    further = max(1, bench.some(SITES) - 1)
    with many.server(bench, "jailkit") as there:
        debs = many.packages(bench, 1 + further)
        many.install(there, debs[:1])
        before = used(there, *PLACES)
        many.install(there, debs[1:])
        ours = [(after - then) / further / 1000 for after, then in zip(used(there, *PLACES), before, strict=True)]
        make_jails(there, 0, 1)
        jail = [value / 1000 for value in used(there, JAILS)]
    against, aim = "a jail of jailkit's with the same files", Aim(Compare.ALONE, 100)
    for what, mine, other in zip(("bytes in the files", "blocks of 4 kB"), ours, jail, strict=True):
        reason = BLOCKS if what.startswith("blocks") else ""
        yield Line(f"each further site on the disk, {what}", "kB", (mine,), against, (other,), aim, reason)


def used(there: Server, *places: str) -> list[int]:
    """Bytes in the files below some directories, and bytes of blocks: a directory has one, a short link none."""
    return list(json.loads(there.run("python3", "-c", DISK, *places).stdout))


def memory(bench: Bench) -> Iterator[Line]:
    """What the processes of all sites hold, divided by the sites; what they share with others counts in part."""
    sites = plain.names(bench.some(SITES))
    found: dict[str, list[float]] = {name: [] for name in ("idle", "busy", "plain idle", "plain busy")}
    for _ in bench.rounds():
        with many.server(bench) as there:
            many.install(there, many.packages(bench, len(sites), POOL))
            plain.write_pages(there, sites, "sleep.php", SLEEP)
            there.run("rm", f"/etc/php/{there.php}/fpm/pool.d/www.conf")  # the rival has the same pools, and no other
            plain.add(there, sites)
            wait_for_workers_to_end(there)
            wait_for_rest(there)
            idle, busy = held(there), while_busy(there, sites)
        for name, prefix in (("jails", ""), ("debian", "plain ")):
            found[f"{prefix}idle"].append(idle[name] / len(sites) / 1000)
            found[f"{prefix}busy"].append(busy[name] / len(sites) / 1000)
    against = "pool of Debian's shared master"
    for name, aim in (("idle", Aim(Compare.ALONE, 0)), ("busy", Aim(Compare.TIMES, 1.3))):
        mine, theirs = tuple(found[name]), tuple(found[f"plain {name}"])
        yield Line(f"memory of each of {len(sites)} {name} sites", "MB", mine, against, theirs, aim)


def wait_for_workers_to_end(there: Server) -> None:
    """Pools are on demand: a while after the last request only the masters are left."""
    deadline = time.monotonic() + 60
    while there.run("pgrep", "--full", "php-fpm: pool", check=False).good:
        assert time.monotonic() < deadline, "workers still wait for requests"
        time.sleep(0.5)


def wait_for_rest(there: Server) -> None:
    """Sites that nobody asks for have no process at all; the timer that sees to it looks once a minute."""
    deadline = time.monotonic() + 120
    while held(there)["jails"]:
        assert time.monotonic() < deadline, "masters of idle sites go on"
        there.run("fpmjail", "tend")
        time.sleep(3)


def held(there: Server) -> dict[str, float]:
    """Proportional set sizes in kB of all PHP-FPM in jails, and of Debian's own."""
    return dict(json.loads(there.run("python3", "-c", PSS).stdout))


def while_busy(there: Server, sites: list[str]) -> dict[str, float]:
    """The same while each site answers a request, first of the jails, then of Debian's master."""
    found = {}
    for kind, port in (("jails", 80), ("debian", plain.PORT)):
        asked = [visit(there, site, port) for site in sites]
        there.run("sleep", "1.5")
        found[kind] = held(there)[kind]
        answers = [process.communicate()[0] for process in asked]
        assert answers == ["slept"] * len(sites), answers
    return found


def visit(there: Server, site: str, port: int) -> subprocess.Popen[str]:
    """A request that is under way."""
    address = f"http://127.0.0.1:{port}/sleep.php"
    return there.container.popen("curl", "-sS", "-H", f"Host: {site}.example.org", address)


DISK_ROW = Row("disk", "bytes on disk of a further site", disk)
MEMORY = Row("memory", "memory of idle and of busy sites", memory)
