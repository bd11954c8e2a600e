# SPDX-License-Identifier: GPL-2.0-or-later
"""The parsers: what each is given, and how it may refuse it. Anything else that it raises is a defect."""

from __future__ import annotations

import json
import struct
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fpmjail import (
    capability,
    checked,
    facts,
    fastcgi,
    holds,
    image,
    live_files,
    mounts,
    pools,
    probe,
    program,
    run,
    site,
    state,
)  # fmt: skip
from fpmjail.layout import Layout
from fpmjail.manifest import Entry, digest_of
from tests.lifecycle.trees import CHECKOUT

Parser = Callable[[bytes], object]


@dataclass(frozen=True, slots=True)
class Target:
    """A parser, the errors by which it refuses, and good input to start from."""

    parser: Parser
    seeds: tuple[bytes, ...]
    refusals: tuple[type[Exception], ...] = ()

    def survives(self, content: bytes) -> None:
        """Parse; whatever is raised that is no refusal goes on."""
        try:
            self.parser(content)
        except self.refusals as refusal:
            assert str(refusal), "a refusal without words"


def _contents(pattern: str) -> tuple[bytes, ...]:
    return tuple(path.read_bytes() for path in sorted(CHECKOUT.glob(pattern)))


def _record(kind: int, content: bytes) -> bytes:
    return fastcgi.HEADER.pack(1, kind, 1, len(content), 0) + content


PAGE = b"Status: 200 OK\r\nContent-Type: application/json\r\n\r\n"
CHECKS = json.dumps({"nonce": "n", "checks": {"one": True, "two": "a fault"}}).encode()
ANSWER = _record(7, b"a warning") + _record(6, PAGE + CHECKS) + _record(6, b"") + _record(3, struct.pack("!IB3x", 0, 0))
MOUNTINFO = rb"""24 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
41 24 8:1 /var/lib/images/a\040b /jails/x/.image ro,nosuid,nodev - ext4 /dev/sda1 rw
42 41 0:44 / /jails/x/.image/deep rw master:3 propagate_from:1 - tmpfs tmp\134fs rw
"""
MAPS = b"7f0-7f1 r-xp 0 08:01 5 /usr/x (deleted)\n"
POOL = b"[global]\nerror_log = /dev/null\n[site-a-jail]\nuser = _site-a\nlisten = /run/a.sock\nphp_value[a] = b\n"
ENTRY: dict[str, Any] = {
    "path": "usr/x", "type": "file", "mode": "0644", "size": 1, "sha256": "0" * 64, "source": "/usr/x", "target": None,
    "package": "x", "version": "1", "capability": "php",
}  # fmt: skip
DIGEST = digest_of([Entry(**ENTRY)])
MANIFEST = json.dumps({"profile": "p", "digest": DIGEST, "created": "2026-01-01", "entries": [ENTRY]}).encode()
INPUTS = json.dumps(
    {"format": 1, "fpmjail": "0", "digest": "d", "generation": {"d.json": [1, 2]}, "inputs": {"/etc/x": [1]},
     "live": [["hosts", "/etc/hosts", None]]}
).encode()  # fmt: skip
HOLD = json.dumps({"digest": "d", "reason": "r", "since": "s", "manual": True}).encode()
STATE = json.dumps({"version": "1", "profile": "p", "pool_refused": None, "disabled": True}).encode()
CHECKED = json.dumps({"when": "2026-01-01", "bad": 0, "warning": 2}).encode()
RUN = json.dumps({"latest": {"when": "w"}, "history": [{"when": "w"}]}).encode()


def _answer(content: bytes) -> object:
    decoder = fastcgi.Decoder(limit=100_000)
    decoder.feed(content)
    return probe.faults("n", fastcgi.parse_response(bytes(decoder.stdout), bytes(decoder.stderr)))


def _text(content: bytes) -> str:
    return content.decode(errors="surrogateescape")


def _stored(place: str, read: Callable[[Layout], object]) -> Parser:
    """A parser of a file below a root of its own."""

    def parser(content: bytes) -> object:
        with _root() as layout:
            path = layout.root / place
            path.parent.mkdir(parents=True)
            path.write_bytes(content)
            return read(layout)

    return parser


@contextmanager
def _root() -> Iterator[Layout]:
    with tempfile.TemporaryDirectory() as directory:
        yield Layout(Path(directory))


def _known_state(layout: Layout) -> object:
    known = state.read(layout, "s")
    assert known is None or (isinstance(known.version + known.profile, str) and known.disabled in (True, False))
    return known


_IMAGE = "var/lib/fpmjail/images/p"
TARGETS = {
    "FastCGI answers": Target(_answer, (ANSWER,), (fastcgi.FastcgiError,)),
    "site.json": Target(
        site.parse, _contents("tests/golden/*/trixie/usr/share/fpmjail/sites/*/site.json"), (site.SiteError,)
    ),
    "capabilities": Target(
        lambda content: capability.parse(content, "trixie"), _contents("hooks/capabilities/*.json"), (capability.Wrong,)
    ),
    "programs": Target(
        lambda content: program.define(content, "trixie"), _contents("hooks/programs/*.json"), (capability.Wrong,)
    ),
    "state.json": Target(_stored("var/lib/fpmjail/sites/s/state.json", _known_state), (STATE,)),
    "manifests": Target(
        _stored(f"{_IMAGE}/{DIGEST}.json", lambda layout: image.read_manifest(layout, "p", DIGEST)), (MANIFEST,)
    ),
    "inputs": Target(_stored(f"{_IMAGE}/inputs.json", lambda layout: image.known_digest(layout, "p")), (INPUTS,)),
    "live files": Target(
        _stored(f"{_IMAGE}/inputs.json", lambda layout: live_files.known(layout.image("p"))), (INPUTS,)
    ),
    "holds": Target(_stored(f"{_IMAGE}/hold.json", lambda layout: holds.read(layout, "p")), (HOLD,)),
    "the last check": Target(
        _stored(str(checked.place(Layout(Path("/")), "s")).lstrip("/"), lambda layout: checked.recall(layout, "s")),
        (CHECKED,),
    ),
    "the last refreshes": Target(_stored(str(Layout(Path("/")).status_file).lstrip("/"), run.recall), (RUN,)),
    "mountinfo": Target(lambda content: mounts.parse(_text(content)), (MOUNTINFO,)),
    "pools": Target(lambda content: pools.parse("a.conf", _text(content)), (POOL,)),
    "/proc/PID/maps": Target(lambda content: facts.mapped_files(_text(content)), (MAPS,)),
}
"""By name."""
