# SPDX-License-Identifier: GPL-2.0-or-later
"""Kills publishes at every moment: before each thing that they do to the disk, and before each program that they run.

python3 -m tests.publish.killed REPOSITORY GNUPGHOME SCRATCH DEB    prints one line of JSON for each moment
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from pathlib import Path

from fpmjail_deb.cli import main
from tests.fleet import Published
from tests.publish.packages import faults, versions

CHANGES = frozenset(
    ("os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.mkdir", "os.chmod", "subprocess.Popen")
)


def killed_before(moment: int, words: list[str]) -> int:
    """Run the program in a process of its own, and kill it before one of its changes; its exit status, or -9."""
    child = os.fork()
    if child == 0:
        left = moment

        def watch(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal left
            writes = event == "open" and len(arguments) == 3 and int(str(arguments[2] or 0)) & os.O_ACCMODE
            if event in CHANGES or writes:
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(watch)
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1)
        os._exit(main(words))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def one_moment(moment: int, repository: Published, scratch: Path, deb: str) -> dict[str, object]:
    """What a server finds after a kill at a moment, and after the next publish."""
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.copytree(repository.root, scratch, symlinks=True)
    copy = Published.__new__(Published)
    copy.root, copy.home = scratch, repository.home
    words = ["publish", str(scratch), deb, "--json"]
    status = killed_before(moment, words)
    after_kill = {"versions": versions(copy), "faults": faults(copy)}
    again = killed_before(0, words)
    left = sorted(path.name for path in scratch.iterdir() if path.name.startswith(".publishing"))
    after_next = {"status": again, "versions": versions(copy), "faults": faults(copy), "left": left}
    return {"moment": moment, "status": status, "killed": after_kill, "next": after_next}


def run() -> None:
    """Try one moment after the other, until a publish lives to its end."""
    root, home, scratch, deb = sys.argv[1:]
    repository = Published.__new__(Published)
    repository.root, repository.home = Path(root), Path(home)
    moment, status = 0, -signal.SIGKILL
    while status == -signal.SIGKILL:
        moment += 1
        found = one_moment(moment, repository, Path(scratch), deb)
        status = int(str(found["status"]))
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    run()
