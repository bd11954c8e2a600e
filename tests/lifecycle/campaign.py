# SPDX-License-Identifier: GPL-2.0-or-later
"""SIGKILL and power cuts at random moments of what fpmjail does: `python3 -m tests.lifecycle.campaign NUMBER`.

The power is cut by ext4 itself: EXT4_IOC_SHUTDOWN without a flush of the journal (what xfstests' `godown` does) drops
whatever was not committed, at that moment, and fails everything after it. Then the filesystem is unmounted, mounted
again with the recovery of its journal, and the site is started as a boot does it. Only /var/lib/fpmjail lies on that
disk: what systemd, Apache and dpkg keep is not cut.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.lifecycle.bed import Bed, booted
from tests.lifecycle.repository import SigningKey
from tests.lifecycle.server import EXAMPLE, Server

SITE, PACKAGE = "example", "site-example-jail"
STANDBYS = "site-example-jail-standby@*.service"
PAGE = "<?php echo 'up ', file_get_contents(__DIR__ . '/data.txt');"
DATA = "data of the site"
STATE = "/var/lib/fpmjail"
INI = "/etc/php/{php}/fpm/php.ini"
CUT = f"""
import fcntl, os, struct
disk = os.open("{STATE}", os.O_RDONLY)
fcntl.ioctl(disk, 0x8004587D, struct.pack("I", 2))  # EXT4_IOC_SHUTDOWN, EXT4_GOING_FLAGS_NOLOGFLUSH
"""
# dpkg goes on when apt is killed, and what dpkg has started when dpkg is.
KILL = """
pkill -KILL -x 'apt-get|dpkg' || true
pkill -KILL -f '/var/lib/[d]pkg/info/|[b]in/fpmjail ' || true
while pgrep -x 'apt-get|dpkg' >/dev/null; do sleep 0.05; done
"""
# What runs from the disk or holds it, as a machine without power runs nothing.
OFF = f"""
systemctl stop {PACKAGE}.socket {PACKAGE}.service '{STANDBYS}' 'run-*.service' 'fpmjail-*.service' 2>/dev/null || true
for mount in $(systemctl list-units --plain --no-legend --type=mount | cut -d' ' -f1 | grep '^var-lib-fpmjail-'); do
    systemctl stop "$mount" || true
done
for try in $(seq 100); do
    umount -R {STATE} 2>/dev/null || true
    mountpoint -q {STATE} || exit 0
    sleep 0.1
done
grep fpmjail /proc/self/mountinfo; fuser -vm {STATE} || true
exit 1
"""
ON = f"""
mount -t ext4 /dev/fault {STATE}
rm -rf /run/fpmjail/glance /run/fpmjail/requested /run/fpmjail/scratch*
systemctl reset-failed
systemctl start {PACKAGE}.socket 2>/dev/null || true
"""
# What is done, and how it is begun again from the state that an interrupted one left.
ACTIONS: Mapping[str, tuple[str, str]] = {
    "refresh": ("echo '; {number}' >>{ini}", "fpmjail refresh"),
    "configure": ("echo '; {number}' >>{ini}; rm -f {state}/sites/example/state.json", "fpmjail configure example"),
    "first build": ("fpmjail remove example >/dev/null", "fpmjail configure example"),
    "remove": ("true", "fpmjail remove example"),
    "apt install": ("apt-get -y remove {package}", "apt-get -y install {package}"),
    "apt purge": ("true", "apt-get -y purge {package}"),
}
# How long each of them takes where nobody has measured it, in seconds.
ABOUT: Mapping[str, float] = {
    "refresh": 2.0, "configure": 3.0, "first build": 4.0, "remove": 1.5, "apt install": 8.0, "apt purge": 3.0,
}  # fmt: skip
POWER = ("refresh", "configure", "first build", "remove")


class Lost(AssertionError):
    """Something did not survive."""


@dataclass
class Tally:
    """How often each action was interrupted, and how long an undisturbed one takes, in seconds."""

    seconds: dict[str, float] = field(default_factory=dict)
    interrupted: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        rows = (f"{name}: {count}, of {self.seconds[name]:.1f} s" for name, count in self.interrupted.items())
        return "\n".join(rows)


@contextmanager
def disk(directory: Path, megabytes: int = 2000) -> Iterator[str]:
    """A loop device with an empty ext4; its number."""
    image = directory / "disk.img"
    subprocess.run(["truncate", "-s", f"{megabytes}M", image], check=True)
    subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
    made = subprocess.run(["losetup", "--find", "--show", image], check=True, capture_output=True, text=True)
    loop = made.stdout.strip()
    try:
        yield loop.removeprefix("/dev/loop")
    finally:
        subprocess.run(["losetup", "--detach", loop], check=True)


@contextmanager
def prepared(bed: Bed, directory: Path) -> Iterator[Server]:
    """A server with one site and its state on a disk of its own."""
    bed.publish_own_packages()
    server = Server(bed, directory)
    server.install("fpmjail")
    with disk(directory) as number:
        server.shell(f"mknod /dev/fault b 7 {number}; mount -t ext4 /dev/fault {STATE}")
        server.publish(EXAMPLE)
        server.install(PACKAGE)
        server.shell("systemctl disable --now fpmjail-refresh.path fpmjail-live.path fpmjail-refresh.timer")
        server.write_page("index.php", PAGE)
        server.write_page("data.txt", DATA)
        assert_up(server)
        try:
            yield server
        finally:
            server.shell(OFF)


def assert_up(server: Server) -> None:
    """The site answers, with its data."""
    page = server.get("/")
    if page.body != f"up {DATA}":
        raise Lost(f"{page.status}: {page.body[:300]}")


def words(server: Server, action: str, number: int) -> tuple[str, str]:
    """The shell commands that prepare an action and do it."""
    values = {"number": number, "ini": INI.format(php=server.php), "package": PACKAGE, "state": STATE}
    prepare, act = ACTIONS[action]
    return prepare.format(**values), act.format(**values)


def measure(server: Server, action: str) -> float:
    """How long an undisturbed action takes, in seconds; everything is up again after it."""
    prepare, act = words(server, action, 0)
    server.shell(prepare)
    began = time.monotonic()
    server.shell(act)
    took = time.monotonic() - began
    repair(server, action)
    return took


def kill(server: Server, action: str, number: int, seconds: float) -> bool:
    """Do it and kill all of it after some seconds; whether it was still at work."""
    prepare, act = words(server, action, number)
    server.shell(prepare)
    with server.container.popen(*act.split()) as process:
        time.sleep(seconds)
        at_work = process.poll() is None
        server.shell(KILL)
        process.communicate(timeout=120)
    return at_work


def cut(server: Server, action: str, number: int, seconds: float) -> bool:
    """Do it and cut the power after some seconds, then switch it on again; whether it was still at work."""
    prepare, act = words(server, action, number)
    server.shell(prepare)
    with server.container.popen(*act.split()) as process:
        time.sleep(seconds)
        at_work = process.poll() is None
        server.run("python3", "-c", CUT)
        server.shell(KILL)
        process.communicate(timeout=120)
    server.shell(OFF)
    server.shell(ON)
    return at_work


def look(server: Server) -> None:
    """What has to be true at any moment, before anything was repaired: no torn copy is behind `current`."""
    if server.exists("/usr/share/fpmjail/sites/example/site.json"):
        manifest = server.run("fpmjail", "files", SITE, "--json", check=False)
        if manifest.good:
            seen = server.truth()
            if seen["wrong"] or seen["compared"] < 500:
                raise Lost(str(seen))


def repair(server: Server, action: str) -> None:
    """What an administrator, or the next run of apt and of the timer, does."""
    if action.startswith("apt"):
        server.shell("dpkg --configure -a; apt-get -y -f install")
        server.apt("install", PACKAGE)
    server.run("fpmjail", "configure", SITE)
    refreshed = server.run("fpmjail", "refresh", check=False)
    if not refreshed.good:
        raise Lost(refreshed.output)
    server.assert_true_to_host()
    assert_up(server)
    if server.run("dpkg", "--audit").output:
        raise Lost("dpkg is not whole")


def campaign(server: Server, times: int, seed: int, seconds: Mapping[str, float], power: bool = False) -> Tally:
    """Interrupt each action some times, at moments that are spread over how long it takes, in seconds."""
    chance, tally = random.Random(seed), Tally(dict(seconds), dict.fromkeys(seconds, 0))
    for number in range(times):
        for action, whole in seconds.items():
            moment = chance.uniform(0.02, 1.0) * whole
            try:
                tally.interrupted[action] += (cut if power else kill)(server, action, number, moment)
                look(server)
                repair(server, action)
            except BaseException:
                print(f"lost at {action}, {moment:.3f} of {whole:.1f} s, seed {seed}, number {number}")
                raise
    faults = server.faults()
    if faults:
        raise Lost(str(faults))
    return tally


def main() -> None:
    """Many of both, on both releases."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.lifecycle.campaign", description=main.__doc__)
    parser.add_argument("number", type=int, help="how many interruptions in all")
    number = parser.parse_args().number
    seed = random.SystemRandom().randrange(1 << 30)
    key = SigningKey()
    rounds = max(1, number // (2 * (len(ACTIONS) + len(POWER))))
    for release in ("trixie", "bookworm"):
        with tempfile.TemporaryDirectory() as name, booted(release, Path(name), key) as bed:
            (Path(name) / "dist").mkdir()
            with prepared(bed, Path(name) / "dist") as server:
                seconds = {action: measure(server, action) for action in ACTIONS}
                print(f"{release}, killed (seed {seed})\n{campaign(server, rounds, seed, seconds)}", flush=True)
                cuts = campaign(server, rounds, seed, {action: seconds[action] for action in POWER}, power=True)
                print(f"{release}, power cut\n{cuts}", flush=True)


if __name__ == "__main__":
    main()
