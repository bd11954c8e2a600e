# SPDX-License-Identifier: GPL-2.0-or-later
"""The attacks as files for a site: one PHP page for each group, and the programs that they bring."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tests.attacks.cases import Script
from tests.shell.compiled import compile_c

PAYLOADS = Path(__file__).parent / "payloads"


def page(scripts: Iterable[Script]) -> str:
    """A page that tries some attacks and answers `{"outcome": {NAME: EVIDENCE}, "faults": {NAME: WORDS}}`."""
    body = "".join(_function(script) for script in scripts)
    return f"{(PAYLOADS / 'prelude.php').read_text()}{body}echo json_encode(compact('outcome', 'faults'));\n"


def _function(script: Script) -> str:
    given = ("payloads", "foreign", "sockets", "masters", "outside")
    names = (*given, "start", "look", "forge", "libc", "say", "tell", "child")
    return (
        f"$own = __DIR__ . '/attack-{script.name}';\n"
        "@mkdir($own);\n"
        f"$outcome['{script.name}'] = mb_strcut($run(function () use (&$own, {_by_reference(names)}) {{"
        f"{script.code}}}), 0, 200);\n"
    )


def _by_reference(names: Iterable[str]) -> str:
    return ", ".join(f"&${name}" for name in names)


def compile_payloads(place: Path) -> tuple[Path, Path]:
    """A shared library and a static program for containers of any release."""
    library = compile_c("gcc", place / "library.so", "-shared", "-fPIC", PAYLOADS / "library.c")
    return library, compile_c("gcc", place / "program", "-static", PAYLOADS / "program.c")
