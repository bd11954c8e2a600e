# SPDX-License-Identifier: MIT
"""Asks the probes, PHP scripts inside the image, what works in a jail: one per capability, over FastCGI.

What a probe says comes out of a process that the site controls. It is parsed strictly, its text is made printable,
and it can do no more than to praise or blame its own site.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fpmjail import fastcgi, image
from fpmjail.fastcgi import FastcgiError, Response, WorkerDied
from fpmjail.layout import Layout
from fpmjail.site import Profile, Site

DIRECTORY = "/usr/share/fpmjail/probes"  # inside every image
PATIENCE = 10.0  # seconds for one probe: it may wait for a busy pool
PATIENCE_FOR_ALL = 30.0
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
    "timezones": "without /usr/share/zoneinfo date() ends in SIGSEGV",
    "charsets": "a gconv module of another glibc can do this",
}

Arguments = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Result:
    """What one probe found: `findings` says what is wrong, nothing when it passed; `seconds` is how long it took."""

    capability: str
    passed: bool
    findings: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Expectation:
    """What the probes of one jail compare with; `present` and `hosts` are what the server itself has."""

    version: str
    generation: str
    charsets: tuple[str, ...]
    extensions: tuple[str, ...] = ()
    directories: tuple[str, ...] = ()
    present: frozenset[str] = frozenset()
    hosts: tuple[str, ...] = ()


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
            }
        case "charsets":
            return {"charsets": list(expected.charsets)}
        case "uploads":
            return {"sha256": hashlib.sha256(UPLOAD).hexdigest()}
        case "dns" | "services":
            present = [path for path in HOST_FILES[name] if path in expected.present]
            return {"present": present, "hosts": list(expected.hosts) if "/etc/hosts" in present else []}
        case _:
            return {}


def body_of(name: str) -> tuple[str, bytes]:
    """The content type and body of the request: a browser's upload for `uploads`, else nothing (RFC 7578)."""
    if name != "uploads":
        return "", b""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="probe"; filename="probe.txt"\r\n\r\n'
    return f"multipart/form-data; boundary={BOUNDARY}", head.encode() + UPLOAD + f"\r\n--{BOUNDARY}--\r\n".encode()


def params(name: str, nonce: str, told: Arguments, content_type: str, length: int) -> dict[str, str]:
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
        "DOCUMENT_ROOT": DIRECTORY,
        "SCRIPT_NAME": f"/{name}.php",
        "SCRIPT_FILENAME": f"{DIRECTORY}/{name}.php",
        NONCE: nonce,
        ARGUMENTS: json.dumps(told),
    }


def ask(socket: Path, name: str, told: Arguments, timeout: float = PATIENCE) -> Result:
    """Run one probe behind a socket; never raises, whatever goes wrong is a finding. `timeout` in seconds."""
    started = time.monotonic()
    findings = _ask(socket, name, told, timeout)
    return Result(name, not findings, findings, time.monotonic() - started)


def _ask(socket: Path, name: str, told: Arguments, timeout: float) -> tuple[str, ...]:
    nonce = secrets.token_hex(16)
    content_type, body = body_of(name)
    try:
        asked = params(name, nonce, told, content_type, len(body))
        response = fastcgi.request(socket, asked, body, timeout=timeout)
    except WorkerDied:
        return (f"the worker died in this probe: {DEATHS.get(name, 'it crashed or was killed')}",)
    except FastcgiError as error:
        return (printable(str(error)),)
    return judge(nonce, response)


def judge(nonce: str, response: Response) -> tuple[str, ...]:
    """What is wrong according to a probe's answer; nothing when all is well."""
    if response.status != 200:
        return (f"PHP answered {response.status}: {_words(response)}",)
    try:
        answer = json.loads(response.body)
    except (ValueError, RecursionError):
        return (f"the probe did not answer in JSON: {_words(response)}",)
    if not isinstance(answer, dict) or answer.get("nonce") != nonce:
        return ("the answer does not carry this probe's nonce: somebody else answered",)
    return _faults(answer.get("checks"))


def _faults(checks: object) -> tuple[str, ...]:
    if not isinstance(checks, dict) or not checks:
        return ("the probe checked nothing",)
    return tuple(printable(f"{name}: {_fault(seen)}") for name, seen in checks.items() if seen is not True)


def _fault(seen: object) -> str:
    return seen if isinstance(seen, str) and seen else "failed without a word"


def _words(response: Response) -> str:
    said = b" ".join(part for part in (response.body[:LONGEST_TEXT], response.stderr[:LONGEST_TEXT]) if part)
    return printable(said.decode(errors="replace")) or "(nothing)"


def available(directory: Path, capabilities: Iterable[str]) -> tuple[str, ...]:
    """Those capabilities that have a probe; an admin's own capability needs none."""
    plain = (name for name in capabilities if re.fullmatch("[a-z0-9-]+", name))
    return tuple(name for name in plain if (directory / f"{name}.php").is_file())


def ask_all(
    socket: Path, names: Iterable[str], expected: Expectation, total: float = PATIENCE_FOR_ALL
) -> tuple[Result, ...]:
    """Run several probes one after another; `total` is the time for all of them in seconds."""
    deadline = time.monotonic() + total
    results = []
    for name in names:
        left = deadline - time.monotonic()
        if left > 0:
            results.append(ask(socket, name, arguments(name, expected), min(PATIENCE, left)))
        else:
            results.append(Result(name, False, (f"not asked: the probes before took {total:g} s",)))
    return tuple(results)


def loopback_names(hosts: str) -> tuple[str, ...]:
    """`localhost`, if the text of /etc/hosts gives 127.0.0.1 to it (hosts(5))."""
    for line in hosts.splitlines():
        fields = line.partition("#")[0].split()
        if fields[:1] == ["127.0.0.1"] and "localhost" in fields[1:]:
            return ("localhost",)
    return ()


def expectation(layout: Layout, profile: Profile, generation: str) -> Expectation:
    """What any jail with this profile and generation must show on this server."""
    files = {path for paths in HOST_FILES.values() for path in paths if layout.host(path).exists()}
    hosts = layout.host("/etc/hosts").read_text(errors="replace") if "/etc/hosts" in files else ""
    return Expectation(
        version=profile.php,
        generation=generation,
        charsets=profile.charsets,
        present=frozenset(files),
        hosts=loopback_names(hosts),
    )


def expectation_of(layout: Layout, site: Site) -> Expectation:
    """What the jail of an installed site must show."""
    generation = image.current(layout, site.profile.id) or "none"
    common = expectation(layout, site.profile, generation)
    return Expectation(
        version=common.version,
        generation=common.generation,
        charsets=common.charsets,
        extensions=extensions_of(site.php.extensions),
        directories=tuple(map(str, (site.paths.document_root, site.paths.logs))),
        present=common.present,
        hosts=common.hosts,
    )


def run(layout: Layout, site: Site, name: str) -> Result:
    """Run one probe of an installed site through its live socket; never raises."""
    return ask_all(site.paths.socket, (name,), expectation_of(layout, site))[0]


def run_all(layout: Layout, site: Site) -> tuple[Result, ...]:
    """Run the probe of every capability of an installed site; never raises."""
    names = available(layout.probes, site.profile.capabilities)
    return ask_all(site.paths.socket, names, expectation_of(layout, site))
