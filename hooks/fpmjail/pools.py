# SPDX-License-Identifier: MIT
"""Debian's own PHP-FPM, whose master all shared sites have in common: its pools, its test, its reload.

One file that it cannot use, and this master ends at its next reload, with every site of it, while `systemctl reload`
says 0. So nothing is reloaded before all of it was tested, and then it is looked whether it came back.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fpmjail import connections, facts, files, masters, systemd
from fpmjail.layout import Layout
from fpmjail.site import Site

GRACE = 20  # seconds that requests in flight have at a reload; all sites wait for them
MARGIN = 15.0  # seconds beyond those until a master has to be back
LONGEST_WAIT = 600.0  # seconds: dpkg waits as long, whatever an administrator allows a request
QUIET = 10.0  # seconds to wait for a moment without any request
STABLE = 0.5  # seconds after which a master that came back stays
LONGEST_ADDRESS = 107  # bytes of sun_path, unix(7)
GRACE_FILE = "fpmjail-grace.conf"
GRACE_TEXT = f"""\
; Made by fpmjail while this PHP serves sites with `isolation: shared`; it goes with the last of them.
; Without it a reload breaks off every request in flight. Set process_control_timeout in php-fpm.conf, and this file
; goes at the next `fpmjail configure`.
[global]
process_control_timeout = {GRACE}s
"""
SECTION = re.compile(r"\s*\[\s*([^\]]+?)\s*\]")
LISTEN = re.compile(r"\s*(?:listen|pm\.status_listen)\s*=\s*[\"']?([^\"';\s]+)")
TIMEOUT = re.compile(r"\s*process_control_timeout\s*=(?:\s*[\"']?(\d{1,9})([smhd]?)[\"']?\s*(?:;.*)?$)?")
UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
SAID = re.compile(r"^(?:\[\d[^]]*\] )?(?:ERROR|ALERT): (.*)$", re.MULTILINE)
OF_POOL = re.compile(r"\[pool ([^]]+)\] ")
AT_LINE = re.compile(r"\[(/[^]]+:\d+)\] ?")
ESTABLISHED = "01"  # st of /proc/net/tcp, proc(5)


@dataclass(frozen=True, slots=True)
class Pool:
    """One pool of a configuration: its name, the addresses on which it listens, the line where it begins."""

    name: str
    listen: tuple[str, ...]
    place: str


def service(version: str) -> str:
    """Debian's unit."""
    return f"php{version}-fpm.service"


def program(version: str) -> str:
    """Debian's php-fpm."""
    return f"/usr/sbin/php-fpm{version}"


def installed(version: str) -> bool:
    """False when Debian's php-fpm is not there, whatever is left of its configuration."""
    return Path(program(version)).exists()


def main(layout: Layout, version: str) -> Path:
    """The configuration that includes all pools."""
    return layout.host(f"/etc/php/{version}/fpm/php-fpm.conf")


def directory(layout: Layout, version: str) -> Path:
    """Where the pools stand."""
    return layout.host(f"/etc/php/{version}/fpm/pool.d")


def link(layout: Layout, site: Site) -> Path:
    """By this link Debian's master has the pool of a site."""
    return directory(layout, site.php.version) / f"{site.package}.conf"


def text_file(layout: Layout, site: Site) -> Path:
    """The proven text of a site's pool."""
    return layout.site_state(site.name) / "pool.conf"


def linked(layout: Layout, site: Site) -> bool:
    """True when Debian's master gets the pool at its next start or reload."""
    return link(layout, site).is_symlink()


def parse(source: str, text: str) -> tuple[Pool, ...]:
    """The pools in the text of a file, without [global]."""
    found: list[tuple[str, list[str], str]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if section := SECTION.match(line):
            found.append((section[1], [], f"{source}:{number}"))
        elif found and (listen := LISTEN.match(line)):
            found[-1][1].append(listen[1].replace("$pool", found[-1][0]))
    return tuple(Pool(name, tuple(listen), place) for name, listen, place in found if name != "global")


def standing(layout: Layout, version: str, without: frozenset[Path] = frozenset()) -> tuple[Pool, ...]:
    """Every pool in the directory; a file that cannot be read is for FPM's own test to name."""
    paths = sorted(directory(layout, version).glob("*.conf"))
    texts = ((path, _text(path)) for path in paths if path not in without)
    return tuple(pool for path, text in texts for pool in parse(str(path), text))


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def clash(pools: Sequence[Pool]) -> str | None:
    """What is wrong among pools that FPM's own test does not mind, or None."""
    for number, pool in enumerate(pools):
        if fault := clash_of(pool, pools[:number]):
            return fault
    return None


def clash_of(pool: Pool, others: Iterable[Pool]) -> str | None:
    """Why a pool cannot be beside others: of two with one name or one address the later one takes it from the other.

    An address whose directory is missing or that is too long ends the master at its start.
    """
    keys = (f"[{pool.name}]", *pool.listen)
    for other in others:
        for key in keys:
            if key == f"[{other.name}]" or key in other.listen:
                return f"{pool.place}: {key} is in {other.place} already"
    return next((f"{pool.place}: {words}" for words in map(unusable, pool.listen) if words), None)


def unusable(address: str) -> str | None:
    """Why nobody can listen at the address of a unix socket, or None."""
    if not address.startswith("/"):
        return None
    if len(address.encode()) > LONGEST_ADDRESS:
        return f"{address} is longer than {LONGEST_ADDRESS} bytes"
    return None if Path(address).parent.is_dir() else f"there is no directory for {address}"


def fault(layout: Layout, version: str) -> str | None:
    """What would keep the master from coming back after a reload, with file and line, or None."""
    answer = systemd.run([program(version), "--test", "--fpm-config", str(main(layout, version))])
    pools = standing(layout, version)
    return clash(pools) if answer.good else complaint(answer.words, pools)


def complaint(words: str, pools: Iterable[Pool]) -> str:
    """What FPM's test said first, with the place of the pool that it names."""
    found = SAID.search(words)
    said = found[1].strip() if found else words.strip() or "php-fpm -t failed and said nothing"
    named = OF_POOL.match(said)
    place = next((pool.place for pool in pools if named and pool.name == named[1]), None)
    return f"{place}: {said[named.end() :]}" if named and place else AT_LINE.sub(r"\1: ", said, count=1)


def has_pools(layout: Layout, version: str) -> bool:
    """False when nothing is left for which the master could run: it would not start."""
    return bool(standing(layout, version))


def has_own_timeout(layout: Layout, version: str) -> bool:
    """True when an administrator has set how long a reload waits."""
    pools = directory(layout, version)
    others = (path for path in sorted(pools.glob("*.conf")) if path.name != GRACE_FILE)
    texts = map(_text, (main(layout, version), *others))
    return any(TIMEOUT.match(line) for text in texts for line in text.splitlines())


def longest_grace(layout: Layout, version: str) -> int:
    """The most seconds that requests in flight may have at a reload, by the files; the running master may have ours."""
    paths = (main(layout, version), *directory(layout, version).glob("*.conf"))
    found = (TIMEOUT.match(line) for path in paths for line in _text(path).splitlines())
    return max((GRACE, *(int(one[1]) * UNITS[one[2]] for one in found if one and one[1])))


def set_grace(layout: Layout, version: str) -> None:
    """Let reloads wait for requests in flight, as long as a shared site needs this and nobody has chosen otherwise."""
    place = directory(layout, version) / GRACE_FILE
    ours = any(path.is_symlink() for path in place.parent.glob("site-*-jail.conf"))
    if ours and not has_own_timeout(layout, version):
        files.replace_file(place, GRACE_TEXT.encode())
    else:
        place.unlink(missing_ok=True)


def at_work(addresses: Iterable[str], unix: Collection[str], tcp: str) -> bool:
    """Whether a connection to one of these addresses is open; `unix` are the Unix sockets that have one, `tcp` is the
    text of /proc/net/tcp (proc(5)).

    What accept(2) returns has the address of the socket that it came from.
    """
    listen = set(addresses)
    ports = {int(port) for address in listen if (port := address.rpartition(":")[2]).isdigit()}
    return not listen.isdisjoint(unix) or any(
        len(line) > 3 and line[3] == ESTABLISHED and int(line[1].rpartition(":")[2], 16) in ports
        for line in map(str.split, tcp.splitlines())
    )


def wait_for_quiet(layout: Layout, version: str, patience: float = QUIET) -> bool:
    """Wait for a moment in which no request is in flight; False when there was none."""
    addresses = [address for pool in standing(layout, version) for address in pool.listen]
    deadline = time.monotonic() + patience
    while at_work(addresses, connections.by_path(), _tables("tcp", "tcp6")):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _tables(*names: str) -> str:
    return "\n".join(_text(Path("/proc/net") / name) for name in names)


def reload(layout: Layout, version: str) -> bool:
    """Reload a running master in a quiet moment if there is one; True when it came back with what is there now."""
    unit = service(version)
    before = masters.start(systemd.main_pid(unit))
    patience = min(longest_grace(layout, version) + MARGIN, LONGEST_WAIT)
    wait_for_quiet(layout, version)
    if not systemd.systemctl("reload", unit).good:
        return False
    return _until(lambda: masters.start(systemd.main_pid(unit)) not in (before, b""), patience) and came(unit)


def start(version: str) -> bool:
    """Start the master, however often it failed before; True when it stays."""
    unit = service(version)
    systemd.systemctl("reset-failed", unit)
    return systemd.systemctl("start", unit).good and came(unit)


def came(unit: str) -> bool:
    """True when a master is ready, and still the same one a moment later."""
    if not _until(lambda: systemd.properties(unit, "ActiveState")["ActiveState"] == "active", GRACE + MARGIN):
        return False
    pid = systemd.main_pid(unit)
    begun = masters.start(pid)
    time.sleep(STABLE)
    return begun != b"" and masters.start(systemd.main_pid(unit)) == begun


def _until(true: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def outdated(version: str) -> tuple[str, ...]:
    """The files that the running master maps and that an upgrade has replaced."""
    return facts.deleted(facts.maps(systemd.main_pid(service(version)) if systemd.running() else 0))
