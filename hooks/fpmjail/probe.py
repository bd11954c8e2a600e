# SPDX-License-Identifier: MIT
"""Asks the probes, PHP scripts inside the image, what works in a jail: one per capability, over FastCGI.

What a probe says comes out of a process that the site controls. It is parsed strictly, its text is made printable,
and it can do no more than to praise or blame its own site.
"""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import re
import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from fpmjail import fastcgi, holdings, image, program, reach, systemd
from fpmjail.fastcgi import DeadlineExceeded, FastcgiError, Response, Unreachable, WorkerDied
from fpmjail.layout import Layout
from fpmjail.site import BIND, DEDICATED, Profile, Site

DIRECTORY = "/usr/share/fpmjail/probes"  # inside every image
PATIENCE = 10.0  # seconds for one probe: it may wait for a busy pool
UNHURRIED = 60.0  # seconds where nobody is kept waiting: a server in the middle of an upgrade is slow
LONGEST_TEXT = 300
ARGUMENTS = "FPMJAIL_ARGUMENTS"
NONCE = "FPMJAIL_NONCE"
BOUNDARY = "fpmjail-probe"
UPLOAD = b"fpmjail upload probe\n"

HOST_FILES = {"dns": ("/etc/resolv.conf", "/etc/hosts"), "services": ("/etc/services", "/etc/protocols")}
EXTENSIONS_OF_PACKAGE = {
    "mysql": ("mysqli", "pdo_mysql"),
    "opcache": ("Zend OPcache",),
    "pgsql": ("pgsql", "pdo_pgsql"),
    "sqlite3": ("sqlite3", "pdo_sqlite"),
    "xml": ("dom", "simplexml", "xml", "xmlreader", "xmlwriter", "xsl"),
}
DEATHS = {
    "locales": "a locale of another glibc can do this",
    "timezones": "without /usr/share/zoneinfo date() ends in SIGSEGV",
    "charsets": "a gconv module of another glibc can do this",
}

# What these ask for is the jail's own: the server's shell and mailer are others, and theirs might send the mail.
JAIL_ALONE = frozenset({"mail", "restricted-shell"})
SHUT_OUT = "open_basedir keeps PHP from the probes of fpmjail"

WHOLE = ""  # the name of a fault of the probe as a whole
SEAL = "seal"  # the probe that belongs to no capability: it asks every jail what it keeps in
MOST_SEEN = 20_000  # names in the jail that it looks at

Arguments = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Result:
    """What one probe found: `findings` says what is wrong, nothing when it passed; `seconds` is how long it took.

    `answered` is False when the probe never ran, so that nothing is known about the capability itself. `faulty` are the
    names of the checks that failed, `WHOLE` where the probe itself did.
    """

    capability: str
    passed: bool
    findings: tuple[str, ...] = ()
    seconds: float = 0.0
    answered: bool = True
    faulty: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Expectation:
    """What the probes of one jail compare with; `present` and `hosts` are what the server itself has.

    `place` is the directory of the probes as this PHP has to be asked for it, `patience` the seconds that one may take.
    """

    version: str
    generation: str
    charsets: tuple[str, ...]
    extensions: tuple[str, ...] = ()
    directories: tuple[str, ...] = ()
    present: frozenset[str] = frozenset()
    hosts: tuple[str, ...] = ()
    dns: str = "resolver"
    proc: str = "none"
    locales: tuple[str, ...] = ()
    timezones: tuple[str, ...] = ()
    sockets: tuple[tuple[str, tuple[str, ...]], ...] = ()
    shell: bool = False
    programs: tuple[Mapping[str, object], ...] = ()
    writable: tuple[str, ...] = ()
    closed: tuple[str, ...] = ()
    ids: tuple[int, int] = (-1, -1)
    place: str = DIRECTORY
    isolation: str = DEDICATED
    relay: str = ""
    patience: float = PATIENCE
    holdings: tuple[tuple[str, Arguments], ...] = ()


def printable(text: str, longest: int = LONGEST_TEXT) -> str:
    """One line that no terminal can misunderstand, at most `longest` characters."""
    line = "".join(character if character.isprintable() else " " for character in text)
    line = " ".join(line.split())
    return line if len(line) <= longest else line[: longest - 1] + "…"


def extensions_of(packages: Iterable[str]) -> tuple[str, ...]:
    """The names that PHP gives to the extensions of the packages phpX.Y-NAME."""
    return tuple(name for package in packages for name in EXTENSIONS_OF_PACKAGE.get(package, (package,)))


def arguments(name: str, expected: Expectation) -> dict[str, object]:
    """What the probe NAME is told."""
    match name:
        case "php":
            return {
                "version": expected.version,
                "generation": expected.generation,
                "extensions": list(expected.extensions),
                "directories": list(expected.directories),
                "shell": expected.shell,
            }
        case "charsets":
            return {"charsets": list(expected.charsets)}
        case "uploads":
            return {"sha256": hashlib.sha256(UPLOAD).hexdigest()}
        case "dns":
            return dns_arguments(expected)
        case "services":
            return {"present": [path for path in HOST_FILES[name] if path in expected.present]}
        case "bind":
            return {"isolation": expected.isolation}
        case "proc":
            return {"proc": expected.proc, "isolation": expected.isolation}
        case "mail":
            return {"relay": expected.relay}
        case "seal":
            uid, gid = expected.ids
            seen = {"writable": list(expected.writable), "closed": list(expected.closed)}
            return {**seen, "uid": uid, "gid": gid, "most": MOST_SEEN, "isolation": expected.isolation}
        case "locales":
            return {"locales": list(expected.locales)}
        case "timezones":
            return {"timezones": list(expected.timezones), "isolation": expected.isolation}
        case "programs":
            return {"programs": list(expected.programs)}
        case _ if name in dict(expected.holdings):
            return dict(dict(expected.holdings)[name])
        case _ if name in dict(expected.sockets):
            return {"sockets": list(dict(expected.sockets)[name])}
        case _:
            return {}


def dns_arguments(expected: Expectation) -> dict[str, object]:
    """What the probe of host names is told: without a resolver the jail must have none of its own accord."""
    wanted = {"resolver": ("/etc/resolv.conf", "/etc/hosts"), "hosts": ("/etc/hosts",), "none": ()}[expected.dns]
    present = [path for path in wanted if path in expected.present]
    known = list(expected.hosts) if "/etc/hosts" in present else ["localhost"] if expected.dns == "none" else []
    return {"dns": expected.dns, "present": present, "hosts": known}


def body_of(name: str) -> tuple[str, bytes]:
    """The content type and body of the request: a browser's upload for `uploads`, else nothing (RFC 7578)."""
    if name != "uploads":
        return "", b""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="probe"; filename="probe.txt"\r\n\r\n'
    return f"multipart/form-data; boundary={BOUNDARY}", head.encode() + UPLOAD + f"\r\n--{BOUNDARY}--\r\n".encode()


def params(
    name: str, nonce: str, told: Arguments, content_type: str, length: int, place: str = DIRECTORY
) -> dict[str, str]:
    """The CGI variables of the request (RFC 3875, section 4.1)."""
    return {
        "GATEWAY_INTERFACE": "CGI/1.1",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_SOFTWARE": "fpmjail",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "REMOTE_ADDR": "127.0.0.1",
        "REQUEST_METHOD": "POST" if length else "GET",
        "REQUEST_URI": f"/{name}.php",
        "QUERY_STRING": "",
        "CONTENT_TYPE": content_type,
        "CONTENT_LENGTH": str(length) if length else "",
        "DOCUMENT_ROOT": place,
        "SCRIPT_NAME": f"/{name}.php",
        "SCRIPT_FILENAME": f"{place}/{name}.php",
        NONCE: nonce,
        ARGUMENTS: json.dumps(told),
    }


def ask(socket: Path, name: str, told: Arguments, timeout: float = PATIENCE, place: str = DIRECTORY) -> Result:
    """Run one probe behind a socket; never raises, whatever goes wrong is a finding. `timeout` in seconds."""
    started = time.monotonic()
    answered = True
    try:
        found = _ask(socket, name, told, timeout, place)
        answered = found.get(WHOLE) != SHUT_OUT
    except WorkerDied:
        found = {WHOLE: f"the worker died in this probe: {DEATHS.get(name, 'it crashed or was killed')}"}
    except FastcgiError as error:
        found = {WHOLE: printable(str(error))}
        answered = not isinstance(error, Unreachable | DeadlineExceeded)
    return Result(name, not found, words(found), time.monotonic() - started, answered, tuple(found))


def _ask(socket: Path, name: str, told: Arguments, timeout: float, place: str) -> dict[str, str]:
    nonce = secrets.token_hex(16)
    content_type, body = body_of(name)
    asked = params(name, nonce, told, content_type, len(body), place)
    return faults(nonce, fastcgi.request(socket, asked, body, timeout=timeout))


def judge(nonce: str, response: Response) -> tuple[str, ...]:
    """What is wrong according to a probe's answer, in words; nothing when all is well."""
    return words(faults(nonce, response))


def words(found: Mapping[str, str]) -> tuple[str, ...]:
    """Faults by the names of their checks as sentences."""
    return tuple(printable(f"{name}: {seen}" if name else seen) for name, seen in found.items())


def faults(nonce: str, response: Response) -> dict[str, str]:
    """What is wrong by the names of the checks, `WHOLE` for the probe itself; nothing when all is well."""
    if b"open_basedir restriction" in response.stderr:
        return {WHOLE: SHUT_OUT}
    if response.status != 200:
        return {WHOLE: f"PHP answered {response.status}: {_words(response)}"}
    try:
        answer = json.loads(response.body)
    except (ValueError, RecursionError):
        return {WHOLE: f"the probe did not answer in JSON: {_words(response)}"}
    if not isinstance(answer, dict) or answer.get("nonce") != nonce:
        return {WHOLE: "the answer does not carry this probe's nonce: somebody else answered"}
    return _faults(answer.get("checks"))


def _faults(checks: object) -> dict[str, str]:
    if not isinstance(checks, dict) or not checks:
        return {WHOLE: "the probe checked nothing"}
    return {printable(name) or "?": _fault(seen) for name, seen in checks.items() if seen is not True}


def _fault(seen: object) -> str:
    return seen if isinstance(seen, str) and seen else "failed without a word"


def _words(response: Response) -> str:
    said = b" ".join(part for part in (response.body[:LONGEST_TEXT], response.stderr[:LONGEST_TEXT]) if part)
    return printable(said.decode(errors="replace")) or "(nothing)"


def available(directory: Path, capabilities: Iterable[str]) -> tuple[str, ...]:
    """Those capabilities that have a probe; an admin's own capability needs none."""
    plain = (name for name in capabilities if re.fullmatch("[a-z0-9-]+", name))
    return tuple(name for name in plain if (directory / f"{name}.php").is_file())


def ask_all(socket: Path, names: Iterable[str], expected: Expectation) -> tuple[Result, ...]:
    """Run several probes one after another, PHP's own first. Where the first cannot run, the rest is not asked."""
    results: list[Result] = []
    for name in sorted(names, key=lambda name: (name != "php", name)):
        told, time_limit = arguments(name, expected), patience(name, expected)
        results.append(ask(socket, name, told, time_limit, place=expected.place))
        if not results[-1].answered:
            break
    return tuple(results)


def patience(name: str, expected: Expectation) -> float:
    """How long a probe may take, in seconds: programs are run one after another."""
    return expected.patience + (len(expected.programs) if name == "programs" else 0)


def modules(listing: str) -> tuple[str, ...]:
    """The extensions in the output of `php-fpm -m`; complaints about others that do not load come before the list."""
    _, _, listed = listing.partition("[PHP Modules]\n")
    return tuple(sorted({line for line in listed.splitlines() if line and not line.startswith("[")}))


def loopback_names(hosts: str) -> tuple[str, ...]:
    """`localhost`, if the text of /etc/hosts gives 127.0.0.1 to it (hosts(5))."""
    for line in hosts.splitlines():
        fields = line.partition("#")[0].split()
        if fields[:1] == ["127.0.0.1"] and "localhost" in fields[1:]:
            return ("localhost",)
    return ()


def of_candidate(layout: Layout, profile: Profile, generation: str) -> Expectation:
    """What PHP out of a generation must show: all that the server's own PHP of this version has, no less and no more.

    So what is wrong with the server's PHP itself, or was switched off there, is no fault of the generation.
    """
    loaded = modules(systemd.run([f"/usr/sbin/php-fpm{profile.php}", "-m"], UNHURRIED).words)
    common = of_server(layout, profile, generation)
    charsets = profile.charsets if "iconv" in loaded else ()
    programs = program.sound(layout, common.programs)
    return replace(common, extensions=loaded, charsets=charsets, programs=programs, patience=UNHURRIED)


def of_site(layout: Layout, site: Site) -> Expectation:
    """What the jail of an installed site must show: all that its description asks for."""
    generation = image.current(layout, site.profile.id) or "none"
    return replace(
        of_server(layout, site.profile, generation),
        extensions=extensions_of(site.php.extensions),
        directories=(str(site.inside.document_root),),
        dns=site.jail.dns,
        proc=site.jail.proc,
        relay=f"{site.jail.mail.host}:{site.jail.mail.port}" if site.jail.mail else "",
        sockets=tuple((name, reach.sockets(layout, name)) for name, _ in site.jail.sockets),
        writable=tuple(map(str, site.filesystem.writable)),
        ids=account_ids(site.user.name),
        # PHP remembers where a link led, and a shared master outlives the switch of an image.
        place=f"/.image/{generation}{DIRECTORY}" if site.shared and site.profile.libraries != BIND else DIRECTORY,
        isolation=site.isolation,
    )


def account_ids(name: str) -> tuple[int, int]:
    """uid and gid of an account; -1, which nobody has, when it is missing."""
    try:
        found = pwd.getpwnam(name)
    except KeyError:
        return -1, -1
    return found.pw_uid, found.pw_gid


def of_server(layout: Layout, profile: Profile, generation: str) -> Expectation:
    """What every jail with this profile has in common with this server."""
    files = {path for paths in HOST_FILES.values() for path in paths if layout.host(path).exists()}
    hosts = layout.host("/etc/hosts").read_text(errors="replace") if "/etc/hosts" in files else ""
    return Expectation(
        version=profile.php,
        # With the server's own /usr the probes are the server's own, too.
        generation="" if profile.libraries == BIND else generation,
        charsets=profile.charsets,
        locales=profile.locales,
        timezones=profile.timezones,
        present=frozenset(files),
        closed=("/usr",) if profile.libraries == BIND else (),  # the server's own, with all that it has
        holdings=tuple(holdings.told(layout, profile, generation).items()),
        shell=profile.libraries == BIND or os.path.lexists(layout.image(profile.id) / generation / "usr/bin/sh"),
        hosts=loopback_names(hosts),
        programs=program.trials(layout, profile),
    )


def run(layout: Layout, site: Site, name: str) -> Result:
    """Run one probe of an installed site through its live socket; never raises."""
    return ask_all(site.paths.socket, (name,), of_site(layout, site))[0]


def run_all(layout: Layout, site: Site) -> tuple[Result, ...]:
    """Run the probe of every capability of an installed site, and the one that looks at its walls; never raises."""
    names = available(layout.probes, (*site.capabilities, SEAL))
    return ask_all(site.paths.socket, names, of_site(layout, site))
