# SPDX-License-Identifier: GPL-2.0-or-later
"""libFuzzer on the parser of the restricted shell; for hours: `python3 -m tests.shell.soak SECONDS`."""

from __future__ import annotations

import secrets
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.shell import compiled


def fuzz(place: Path, *options: str) -> str:
    """Run libFuzzer on the parser, beginning with the corpus; `options` say how long. What it has found, with the
    command, or nothing."""
    target = compiled.compile_c(
        "clang", place / "fuzz", "-O1", "-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all",
        f"-I{compiled.SHELL}", compiled.HERE / "fuzz.c", compiled.SHELL / "command.c",
    )  # fmt: skip
    found = place / "found"
    found.mkdir()
    command: list[str | Path] = [target, *options, "-max_len=400", f"-dict={compiled.HERE / 'tokens.dict'}", found]
    done = subprocess.run([*command, compiled.HERE / "corpus"], cwd=place, stderr=subprocess.PIPE, text=True)
    return f"{shlex.join(map(str, command))}\n{done.stderr[-4000:]}" if done.returncode else ""


def main() -> None:
    """Fuzz for some seconds, each time in another order."""
    with tempfile.TemporaryDirectory() as directory:
        seed = secrets.randbelow(1 << 30) + 1
        found = fuzz(Path(directory), f"-max_total_time={sys.argv[1]}", f"-seed={seed}")
        if found:
            sys.exit(found)
        print(f"nothing found (seed {seed})")


if __name__ == "__main__":
    main()
