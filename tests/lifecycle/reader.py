# SPDX-License-Identifier: GPL-2.0-or-later
"""Somebody who does what the manual says, line by line as it stands there, on a machine that builds and on a server."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.lifecycle.container import CommandFailed, Container
from tests.lifecycle.manual import Block, sections
from tests.lifecycle.packages import build_debs

SUFFIX = {"trixie": "deb13", "bookworm": "deb12"}
CHECKOUT, HOME = "/srv/checkout", "/srv/home"
# The network between the two machines: what is sent to the server's root arrives in his directory, which is /srv/home.
SCP = '#!/bin/sh\nset -eu\nwhile [ $# -gt 1 ]; do cp "$1" /srv/home/; shift; done\nexpr "$1" : "root@.*:$"\n'
WHO = {"DEBFULLNAME": "Ann Other", "DEBEMAIL": "ann@example.org"}
STATUSES = {"fpmjail-deb check wrong.yaml": (2,), "fpmjail-deb diff ": (0, 1)}
"""How commands end that may not end with 0, by how they begin."""
DONE = frozenset({"make deb\n"})
"""Commands of a checkout that the tests' own machine has done."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Both machines of one release; /srv is the same on both. The one that builds is in a checkout after `make deb`."""

    builder: Container
    server: Container

    @property
    def release(self) -> str:
        """The release of both."""
        return self.server.release

    @property
    def suffix(self) -> str:
        """What the versions of its packages end with."""
        return SUFFIX[self.release]

    def prepare(self, place: Path) -> None:
        """Make the checkout, a network, and a reader who says yes; `place` is /srv on both machines."""
        place.chmod(0o755)
        (place / "home").mkdir()
        shutil.copytree(build_debs(self.release), place / "checkout/build" / self.release)
        self.builder.write("/usr/local/bin/scp", SCP, mode=0o755)
        for machine in (self.builder, self.server):
            machine.write("/etc/apt/apt.conf.d/90yes", 'APT::Get::Assume-Yes "true";\n')

    def follow(self, page: str, section: str, other: Mapping[str, str] | None = None) -> str:
        """Do what a section says, and compare; all that was printed. `other` words are read for some of the page's."""
        printed = said = ""
        for block in self.blocks(page, section, other):
            if block.kind == "sh":
                said = self._type(block)
                printed += said
            elif block.kind == "yaml" and not said:
                self._write(block)
            elif block.kind == "text":
                assert missing(block.text, said) == [], said
        return printed

    def blocks(self, page: str, section: str, other: Mapping[str, str] | None = None) -> list[Block]:
        """The blocks of a section, for this release."""
        found = sections(page)[section]
        assert found, f"{page} shows nothing in the section {section}"
        return [Block(block.kind, self._translated(block.text, other or {})) for block in found]

    def _translated(self, text: str, other: Mapping[str, str]) -> str:
        """What is meant on this release: the manual is written for trixie."""
        php = self.server.php
        here = {"trixie": self.release, "deb13": self.suffix, "php8.4": f"php{php}", "php/8.4": f"php/{php}"}
        for word, meant in {**here, **other}.items():
            text = text.replace(word, meant)
        return text

    def _write(self, block: Block) -> None:
        """Write a description into a file of its name. Behind a command it would be what the command wrote."""
        if found := re.match(r"site: (\S+)\n", block.text):
            self.builder.write(f"{CHECKOUT}/{found[1]}.yaml", block.text)

    def _type(self, block: Block) -> str:
        building = "fpmjail-deb" in block.text or block.text.startswith("scp ")
        machine, there = (self.builder, CHECKOUT) if building else (self.server, HOME)
        return "".join(_typed(machine, there, line) for line in block.lines() if line not in DONE)


def missing(shown: str, seen: str) -> list[str]:
    """The lines of a page that do not come in their order in what was printed; `...` stands for anything."""
    lines = (" ".join(line.split()) for line in seen.splitlines())
    wanted = [" ".join(line.split()) for line in shown.splitlines() if line != "..."]
    patterns = [re.escape(line).replace(r"\.\.\.", ".*") for line in wanted]
    return [pattern for pattern in patterns if not any(re.fullmatch(pattern, line) for line in lines)]


def _typed(machine: Container, there: str, line: str) -> str:
    done = machine.run("sh", "-c", f"cd {there}\n{line}", check=False, timeout=600, env=WHO)
    expected = next((statuses for start, statuses in STATUSES.items() if line.startswith(start)), (0,))
    if done.returncode not in expected:
        raise CommandFailed(done)
    return f"$ {line}{done.output}"
