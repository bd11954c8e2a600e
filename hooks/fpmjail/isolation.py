# SPDX-License-Identifier: MIT
"""What one site reaches of another: the table of attempts, and what each outcome means. Pure: isolation_run.py acts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath

from fpmjail import inside
from fpmjail.fastcgi import Response
from fpmjail.probe import printable
from fpmjail.site import Site

MOST_PAIRS = 12  # every ordered pair up to this; more sites each meet one neighbour
UNTRIED = "untried: "
WEB = (80, 443)  # the web server is for everybody
LISTENING = "0A"  # proc(5): TCP_LISTEN

SERVER = {
    "cron": ("/etc/crontab", "/etc/cron.d", "/var/spool/cron"),
    "journal": ("/run/log/journal", "/var/log/journal", "/var/log/syslog", "/var/log/dpkg.log"),
    "journal's sockets": (
        "/run/systemd/journal/socket", "/run/systemd/journal/stdout", "/run/systemd/journal/dev-log", "/dev/log",
    ),
    "systemd": ("/run/systemd/private", "/run/systemd/system", "/run/systemd/units"),
    "D-Bus": ("/run/dbus/system_bus_socket",),
    "host files": ("/etc/shadow", "/etc/fpmjail", "/var/lib/fpmjail", "/var/lib/dpkg", "/etc/ssl/private"),
}  # fmt: skip
"""What of the server no site has any business with."""

SYSV = ("SysV memory", "SysV semaphores", "SysV queues")
NETWORK = ("abstract sockets", "the neighbour's loopback", "loopback services")
ATTEMPTS = (
    "files", "sessions", "directories", "links", "hard links", "/proc/PID/root", "descriptors",
    "OPcache code", "OPcache status", "opcache_reset", "APCu", *SYSV, "POSIX memory",
    "abstract sockets", "path sockets", "the neighbour's FastCGI", "PHP outside", "the neighbour's loopback",
    "loopback services", "signals", "ptrace", "processes of others", "environment of others", *SERVER, "notify socket",
    "the neighbour's database",
)  # fmt: skip

FIXES = {
    **dict.fromkeys(("OPcache code", "OPcache status", "opcache_reset"), "fpmjail configure {a}"),
    **dict.fromkeys(("signals", "ptrace", "environment of others"), "each site needs a user of its own: `user`"),
    "processes of others": "systemctl restart {units}; else jail.proc: none",
    "the neighbour's loopback": "this kernel filters no addresses (that needs cgroups of version 2): leave out `allow`",
    "loopback services": "this kernel filters no addresses (that needs cgroups of version 2): leave out `allow`",
}


class Fate(StrEnum):
    """What became of an attempt."""

    KEPT = "kept out"
    DESIGN = "by design"
    UNTRIED = "not tried"
    OPEN = "REACHED"


@dataclass(frozen=True, slots=True)
class Row:
    """One attempt, made by a page and by a command of the site; empty words say that it stayed out of reach."""

    name: str
    fate: Fate
    page: str
    command: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Met:
    """What site `source` reached of site `target`; `fault` says why nothing could be tried."""

    source: str
    target: str
    rows: tuple[Row, ...]
    fault: str = ""

    @property
    def good(self) -> bool:
        """True when all was tried, and nothing reached but what is shared by design."""
        return not self.fault and all(row.fate is not Fate.OPEN for row in self.rows)


def pairs(sites: Sequence[Site]) -> tuple[tuple[Site, Site], ...]:
    """Who tries to reach whom: each site every other one, or of many each its neighbour, with its like first."""
    everyone = tuple((a, b) for a in sites for b in sites if a.name != b.name)
    if len(everyone) <= MOST_PAIRS:
        return everyone
    ring = sorted(sites, key=lambda site: (site.isolation, site.name))
    return tuple(zip(ring, [*ring[1:], ring[0]], strict=True))


def outside(site: Site, path: str) -> str:
    """Where the host has what a site knows as `path`."""
    return path if inside.bound(site, path) else str(site.paths.jail / PurePosixPath(path).relative_to("/"))


def arguments(
    a: Site, b: Site, made: Mapping[str, object], name: str, pools: Iterable[str], services: Iterable[str]
) -> dict[str, object]:
    """What the attempts of `a` on `b` are told; `made` is what `b` says that it made."""
    session = str(made.get("session") or "")
    database = b.user.name if "mysql" in dict(a.jail.sockets) else ""
    writable = (Path(outside(b, path)) for path in ("/tmp", "/var/lib/php/sessions"))
    places = (b.paths.base, b.paths.logs, b.paths.jail, *writable)
    return {
        "mode": "try",
        "made": dict(made),
        "files": [outside(b, f"/tmp/{name}")],
        "sessions": [outside(b, session)] if session.startswith("/") else [],
        "directories": [str(place) for place in places],
        "sockets": [outside(b, f"/tmp/{name}.sock")],
        "fastcgi": [str(b.paths.socket)],
        "pools": list(pools),
        "services": [place for place in services if place != made.get("loopback")],
        "server": {what: list(paths) for what, paths in SERVER.items()},
        "user": database,
        "common": common(a, b),
    }


def common(a: Site, b: Site) -> bool:
    """True for two pools of one master."""
    return a.shared and b.shared and a.units.service == b.units.service


def services(*tables: str) -> tuple[str, ...]:
    """The addresses on loopback where something listens, out of the texts of /proc/net/tcp and tcp6 (proc(5))."""
    rows = [line.split() for text in tables for line in text.splitlines()[1:]]
    found = [row[1].split(":") for row in rows if len(row) > 3 and row[3] == LISTENING and ":" in row[1]]
    local = {(int(port, 16), _loopback(address)) for address, port in found if _loopback(address)}
    return tuple(f"{address}:{port}" for port, address in sorted(local) if port not in WEB)


def _loopback(address: str) -> str:
    """How something that listens at an address of proc(5) is reached on this host; empty where only from elsewhere."""
    if address in ("00000000", "0" * 32) or (address.endswith("7F") and len(address) == 8):
        return "127.0.0.1"
    return "[::1]" if address == "0" * 24 + "01000000" else ""


def read(nonce: str, body: bytes | str) -> dict[str, str]:
    """Words by attempt, empty for what stayed out of reach. Raises ValueError when it is no answer to this question."""
    answer = json.loads(body)
    checks = answer.get("checks") if isinstance(answer, dict) and answer.get("nonce") == nonce else None
    if not isinstance(checks, dict) or set(checks) != set(ATTEMPTS):
        raise ValueError("not an answer to what was asked")
    return {name: "" if checks[name] is True else printable(str(checks[name]) or "?") for name in ATTEMPTS}


def made(nonce: str, response: Response) -> dict[str, object]:
    """What the neighbour put where. Raises ValueError when it is no answer to this question."""
    answer = json.loads(response.body.partition(b"\n")[0]) if response.status == 200 else None
    if not isinstance(answer, dict) or answer.get("nonce") != nonce or not isinstance(answer.get("made"), dict):
        raise ValueError(f"PHP answered {response.status}: {printable(response.body[:200].decode(errors='replace'))}")
    return {str(name): value for name, value in answer["made"].items() if isinstance(value, str | int)}


def judge(a: Site, b: Site, page: Mapping[str, str], command: Mapping[str, str]) -> tuple[Row, ...]:
    """The rows of the table, in its order."""
    return tuple(_row(name, a, b, page.get(name, ""), command.get(name, "")) for name in ATTEMPTS)


def _row(name: str, a: Site, b: Site, page: str, command: str) -> Row:
    reached = {way for way, words in (("page", page), ("command", command)) if words and not words.startswith(UNTRIED)}
    if not reached:
        untried = page.startswith(UNTRIED) and command.startswith(UNTRIED)
        return Row(name, Fate.UNTRIED if untried else Fate.KEPT, page, command)
    close = design(name, a, b) if reached <= ways(name) else None
    if close is not None:
        return Row(name, Fate.DESIGN, page, command, close)
    fix = FIXES.get(name, "fpmjail check {a} names the wall that is missing; else: systemctl restart {units}")
    units = " ".join(filter(None, (*a.units.mounts, a.units.service)))
    return Row(name, Fate.OPEN, page, command, fix.format(a=a.name, units=units))


def ways(name: str) -> frozenset[str]:
    """By which way something may be reached by design: systemd gives each command memory of its own."""
    alone = name == "APCu" or name in SYSV
    return frozenset({"page"}) if alone else frozenset({"page", "command"})


def design(name: str, a: Site, b: Site) -> str | None:
    """How to close what `a` reaches by design; None for what nobody shall reach."""
    if name == "APCu" and common(a, b):
        return "isolation: dedicated; or nothing secret in APCu"
    if name in SYSV and a.shared and b.shared:
        return "isolation: dedicated; or the mode 0600 for segments and semaphores"
    if name in NETWORK and not denied(a, name):
        return "jail: {network: {deny: all}}" + (", with isolation: dedicated" if a.shared else "")
    if name == "processes of others" and a.jail.proc == "host":
        return "jail.proc: private"
    if name == "journal's sockets":
        return "nothing to do: it may write lines, to which journald adds the user, and read none"
    if name == "notify socket" and not a.shared:
        return "nothing to do: systemd heeds what the master says of its own service, and nobody else"
    return None


def denied(site: Site, name: str) -> bool:
    """True when a site's description leaves no way over the network to this."""
    walls = set(site.sandbox)
    if ("PrivateNetwork", "yes") in walls:
        return True
    allowed = [place for wall, place in walls if wall == "IPAddressAllow"]
    local = any(place == "localhost" or place.startswith("127.") for place in allowed)
    return name != "abstract sockets" and ("IPAddressDeny", "any") in walls and not local
