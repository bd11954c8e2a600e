# SPDX-License-Identifier: GPL-2.0-or-later
"""Compiles the restricted shell and what tests it. A compiler that is missing is a failure."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.lifecycle.trees import CHECKOUT

SHELL = CHECKOUT / "hooks/shell"
HERE = CHECKOUT / "tests/shell"
STRICT = ("-std=c11", "-g", "-Wall", "-Wextra", "-Werror")
SANITIZED = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")


def compile_c(compiler: str, output: Path, *arguments: str | Path) -> Path:
    """Compile and link; every warning is an error, whose words are the failure's."""
    words = complaint(compiler, output, *arguments)
    assert not words, words
    return output


def complaint(compiler: str, output: Path, *arguments: str | Path) -> str:
    """What a compiler has to say, after its command; nothing when all is well."""
    command = [compiler, *STRICT, *map(str, arguments), "-o", str(output)]
    done = subprocess.run(command, capture_output=True, text=True)
    return f"{' '.join(command)}\n{done.stderr}" if done.returncode else ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a shell made of a line: its exit status, what it said, what the program it started saw, if it did."""

    status: int
    words: str
    record: bytes | None


@dataclass(frozen=True, slots=True)
class Workshop:
    """A directory with both shells, and programs that only write down what they were started with."""

    place: Path

    @property
    def shell(self) -> Path:
        return self.place / "restricted-sh"

    @property
    def programs(self) -> Path:
        return self.place / "programs"

    @property
    def log(self) -> Path:
        return self.place / "shell.log"

    @property
    def bin(self) -> Path:
        return self.place / "bin"

    def run(self, command: list[str | Path], status: int = 0, **more: str) -> Outcome:
        """Run a shell in a directory of its own, with three files as its descriptors 0, 1 and 2."""
        record = self.place / "record"
        record.unlink(missing_ok=True)
        work = str(self.place / "work")
        environment = {"PATH": str(self.bin), "PWD": work, "RECORD": str(record), "STATUS": str(status), **more}
        streams = [(self.place / name).open("w+b") for name in ("stdin", "stdout", "stderr")]
        done = subprocess.run(
            list(map(os.fsencode, command)),
            stdin=streams[0], stdout=streams[1], stderr=streams[2], env=environment, cwd=work,
        )  # fmt: skip
        words = (self.place / "stderr").read_text(errors="replace")
        for stream in streams:
            stream.close()
        return Outcome(done.returncode, words, record.read_bytes() if record.exists() else None)

    def restricted(self, line: bytes, status: int = 0, **more: str) -> Outcome:
        """What the restricted shell makes of a line."""
        return self.run([self.shell, "-c", os.fsdecode(line)], status, **more)

    def dash(self, line: bytes, status: int = 0, **more: str) -> Outcome:
        """What dash makes of it."""
        return self.run(["/bin/dash", "-c", os.fsdecode(line)], status, **more)


def workshop(place: Path) -> Workshop:
    """Compile everything and write the list of programs."""
    made = Workshop(place)
    made.bin.mkdir()
    (place / "work").mkdir()
    trusted = (f'-DPROGRAMS="{made.programs}"', "-DOWNER=geteuid()")
    compile_c("gcc", made.shell, "-O1", *SANITIZED, *trusted, *sorted(SHELL.glob("*.c")))
    compile_c("gcc", made.bin / "gs", "-O1", HERE / "record.c")
    for name in ("undeclared", "limited"):
        (made.bin / name).hardlink_to(made.bin / "gs")
    (made.bin / "no-program").write_text("echo a script without an interpreter\n")
    (made.bin / "no-program").chmod(0o755)
    programs = (made.bin / name for name in ("gs", "no-program", "missing", "limited -t -f* --version"))
    made.programs.write_text("\n".join(("# programs", f"log {made.log}", *map(str, programs), "")))
    return made
