# SPDX-License-Identifier: GPL-2.0-or-later
"""Throw-away Debian containers: a base tree below an overlay, systemd as PID 1, a network of its own.

    with Container("trixie", binds={"/path/here": "/srv/there"}) as server:
        server.write("/var/www/html/a.php", "<?php echo 1;")
        print(server.run("curl", "-s", "http://localhost/a.php").stdout)

For developers: `python3 -m tests.lifecycle.container shell trixie`, `... run bookworm -- dpkg -l`.
Needs root, systemd-nspawn, mmdebstrap; works on cgroup v1 "hybrid" hosts and on v2 hosts.
"""

from __future__ import annotations

import argparse
import itertools
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from tests.lifecycle import trees

ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
}
SUPERVISOR = Path(__file__).with_name("supervise.sh")
BOOT = re.compile(r"^nspawn (\d+)\r?$", re.MULTILINE)
BOOT_SECONDS = 60.0
TEAR_DOWN_SECONDS = 30.0

Binds = Mapping[str | Path, str]
_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class Completed:
    """What a command in a container wrote and how it ended."""

    command: str
    returncode: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        return self.stdout + self.stderr

    @property
    def good(self) -> bool:
        return self.returncode == 0


class CommandFailed(AssertionError):
    """A command in a container ended with another exit status than 0; the message holds all that it wrote."""

    def __init__(self, completed: Completed) -> None:
        super().__init__(
            f"{completed.command}\nexit status {completed.returncode}\n"
            f"--- standard output\n{completed.stdout}\n--- standard error\n{completed.stderr}"
        )
        self.completed = completed


class BootFailed(RuntimeError):
    """The container did not come up; the message holds its console."""


class System(ABC):
    """A Debian system that commands can be run on as root, wherever it is."""

    @abstractmethod
    def run(
        self,
        *argv: str,
        check: bool = True,
        timeout: float = 300,
        input: str = "",
        env: Mapping[str, str] | None = None,
    ) -> Completed:
        """Run a command to its end; `timeout` in seconds. Raises CommandFailed, TimeoutError."""

    def shell(self, script: str, *, check: bool = True, timeout: float = 300) -> Completed:
        """Run a POSIX shell script; the first command that fails ends it."""
        return self.run("sh", "-euc", script, check=check, timeout=timeout)

    def write(self, path: str, text: str, *, mode: int = 0o644) -> None:
        """Put a text file into the container; missing directories are made, root owns all of it."""
        script = 'mkdir -p "${1%/*}/" && cat >"$1" && chmod "$2" "$1"'
        self.run("sh", "-c", script, "write", path, f"{mode:o}", input=text)

    def read(self, path: str) -> str:
        """The text of a file in the container; CommandFailed if there is none."""
        return self.run("cat", path).stdout

    def exists(self, path: str) -> bool:
        """Whether there is anything at a path, a dangling link included."""
        return self.run("sh", "-c", '[ -e "$1" ] || [ -L "$1" ]', "exists", path, check=False).good

    def apt(self, *arguments: str, check: bool = True, timeout: float = 600) -> Completed:
        """`apt-get -y ARGUMENTS`, as an administrator would, without questions."""
        return self.run("apt-get", "-y", *arguments, check=check, timeout=timeout)

    def journal(self, *arguments: str, lines: int = 1000) -> str:
        """The last lines of the journal; `arguments` are journalctl's (`-u UNIT`)."""
        self.run("journalctl", "--sync", check=False)
        return self.run("journalctl", "--no-pager", f"--lines={lines}", *arguments, check=False).output


class Container(System):
    """A Debian system of its own, from `__enter__` to `__exit__`; nothing of it stays.

    `boot=False` starts no systemd: a bare chroot for package builds and for maintainer scripts without a service
    manager. `binds` are read-only, `writable` are not. There is a loopback interface, but no network.
    """

    def __init__(
        self,
        release: str,
        kind: str = "server",
        *,
        binds: Binds | None = None,
        writable: Binds | None = None,
        boot: bool = True,
    ) -> None:
        self.release, self.kind, self.boot = release, kind, boot
        self.name = f"fpmjail-{release}-{os.getpid()}-{next(_numbers)}"
        self._binds, self._writable = dict(binds or {}), dict(writable or {})
        # Appended to, wherever we read: the container's output has the same offset.
        self._console = tempfile.TemporaryFile("a+")  # noqa: SIM115 - closed by stop()
        self._supervisor: subprocess.Popen[bytes] | None = None
        self.init = self._boots = 0
        self.boot_seconds = 0.0

    @property
    def php(self) -> str:
        """The release's own PHP version."""
        return trees.PHP[self.release]

    def __enter__(self) -> Container:
        tree = trees.base_tree(self.release, self.kind)
        started = time.monotonic()
        try:
            self._start(tree)
            self._await_init(started + BOOT_SECONDS)
            self._await_running(started + BOOT_SECONDS)
        except BaseException:
            self.stop()
            raise
        self.boot_seconds = time.monotonic() - started
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None and issubclass(kind, Exception) and self.boot:
            print(f"--- journal of {self.name}\n{self.journal(lines=300)}", file=sys.stderr)
        self.stop()

    def stop(self) -> None:
        """Kill everything in the container at once; the supervisor takes mounts and cgroups away."""
        supervisor, self._supervisor = self._supervisor, None
        if supervisor is not None:
            assert supervisor.stdin is not None
            supervisor.stdin.close()
            supervisor.wait(TEAR_DOWN_SECONDS)
        self._console.close()

    def reboot(self, seconds: float = BOOT_SECONDS) -> None:
        """`systemctl reboot`, and wait that long until it is up again; what is on the disk stays."""
        deadline = time.monotonic() + seconds
        self.run("systemctl", "--no-block", "reboot", check=False)
        self.init = 0
        self._await_init(deadline)
        self._await_running(deadline)

    def _start(self, tree: trees.Tree) -> None:
        command = ["unshare", "--mount", "--propagation", "private", "sh", str(SUPERVISOR), self.name, str(tree.root)]
        self._supervisor = subprocess.Popen(
            [*command, *self._nspawn_arguments()],
            stdin=subprocess.PIPE,
            stdout=self._console,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for us; we then end the container in order
        )

    def _nspawn_arguments(self) -> list[str]:
        binds = [f"--bind-ro={source}:{target}" for source, target in self._binds.items()]
        binds += [f"--bind={source}:{target}" for source, target in self._writable.items()]
        program = ["--boot"] if self.boot else ["--as-pid2", "sleep", "infinity"]
        return ["--rlimit=NOFILE=1048576", "--console=pipe", "--link-journal=no", "--private-network", *binds, *program]

    def console(self) -> str:
        """All that the container's console showed so far."""
        self._console.seek(0)
        return self._console.read()

    def _await_init(self, deadline: float) -> None:
        """Find the container's first process: the child of nspawn that has become systemd (or the chroot's init)."""
        expected = "systemd" if self.boot else "(sd-stubinit)"
        while not self.init:
            self._check_start(deadline)
            if nspawn := self._nspawn():
                children = _read(Path(f"/proc/{nspawn}/task/{nspawn}/children")).split()
                found = [child for child in children if _read(Path(f"/proc/{child}/comm")).strip() == expected]
                self.init = int(found[0]) if found else 0
                self._boots += 1 if found else 0
            time.sleep(0.02)

    def _nspawn(self) -> str:
        """The process id of systemd-nspawn, which the supervisor prints at each boot; empty until then."""
        boots = BOOT.findall(self.console())
        return boots[-1] if len(boots) > self._boots else ""

    def _await_running(self, deadline: float) -> None:
        """Wait until systemd says `running` or `degraded`: every service of the boot was started or has failed."""
        state = "" if self.boot else "running"
        while state not in ("running", "degraded"):
            self._check_start(deadline)
            time.sleep(0.05)
            state = self.run("systemctl", "is-system-running", check=False).stdout.strip()

    def _check_start(self, deadline: float) -> None:
        assert self._supervisor is not None
        nspawn = self._nspawn()
        ended = nspawn and _read(Path(f"/proc/{nspawn}/stat")).rpartition(")")[2][1:2] in ("", "Z")
        if ended or self._supervisor.poll() is not None or time.monotonic() > deadline:
            raise BootFailed(f"{self.name} did not come up:\n{self.console()[-8000:]}")

    def command(self, *argv: str, env: Mapping[str, str] | None = None) -> list[str]:
        """The host's command that runs `argv` in the container, with a clean environment plus `env`."""
        assignments = [f"{name}={value}" for name, value in {**ENVIRONMENT, **(env or {})}.items()]
        namespaces = ["--mount", "--uts", "--ipc", "--net", "--pid"]
        enter = ["nsenter", "--target", str(self.init), *namespaces, "--root", "--wdns=/", "--"]
        return [*enter, "env", "-i", *assignments, *argv]

    def run(
        self,
        *argv: str,
        check: bool = True,
        timeout: float = 300,
        input: str = "",
        env: Mapping[str, str] | None = None,
    ) -> Completed:
        """Run a command to its end, as root; `timeout` in seconds.

        Raises CommandFailed if it ends with another status than 0 (unless `check` is false), TimeoutError if it lasts
        too long: it is killed then.
        """
        with self.popen(*argv, env=env, stdin=subprocess.PIPE) as process:
            try:
                stdout, stderr = process.communicate(input, timeout)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                stdout, stderr = process.communicate()
                raise TimeoutError(f"{shlex.join(argv)} ran for over {timeout} s:\n{stdout}{stderr}") from None
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                raise
        completed = Completed(shlex.join(argv), process.returncode, stdout, stderr)
        if check and not completed.good:
            raise CommandFailed(completed)
        return completed

    def popen(
        self, *argv: str, env: Mapping[str, str] | None = None, stdin: int = subprocess.DEVNULL
    ) -> subprocess.Popen[str]:
        """Start a command and leave it running; both outputs are pipes, the process group is its own."""
        return subprocess.Popen(
            self.command(*argv, env=env),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )


def _read(path: Path) -> str:
    """A file of /proc, empty if its process is gone."""
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def arguments_parser() -> argparse.ArgumentParser:
    """The command line for developers."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.lifecycle.container", description=__doc__.split("\n")[0])
    parser.add_argument("action", choices=("shell", "run"), help="an interactive shell, or one command")
    parser.add_argument("release", choices=trees.RELEASES)
    parser.add_argument("--kind", choices=trees.KINDS, default="server", help="which base tree (default: server)")
    parser.add_argument(
        "--bind", action="append", default=[], metavar="SRC:DST", help="show a host directory, read-only"
    )
    parser.add_argument("--writable", action="append", default=[], metavar="SRC:DST", help="the same, writable")
    parser.add_argument("--no-boot", action="store_true", help="no systemd: a bare chroot")
    parser.epilog = "Then, for `run`: -- COMMAND [ARGUMENT...]. A command of a single word goes through sh -c."
    return parser


def _pairs(options: Sequence[str]) -> dict[str | Path, str]:
    return {Path(source).resolve(): target for source, _, target in (option.partition(":") for option in options)}


def _split(words: list[str]) -> tuple[list[str], list[str]]:
    """The words before and after the first `--`."""
    end = words.index("--") if "--" in words else len(words)
    return words[:end], words[end + 1 :]


def main() -> int:
    """Boot a container, run the command or a shell with this terminal, tear it down; the command's exit status."""
    before, after = _split(sys.argv[1:])
    options = arguments_parser().parse_args(before)
    argv = ["bash", "-l"] if options.action == "shell" or not after else after
    argv = ["sh", "-c", *argv] if len(argv) == 1 else argv
    with Container(
        options.release,
        options.kind,
        binds=_pairs(options.bind),
        writable=_pairs(options.writable),
        boot=not options.no_boot,
    ) as container:
        print(f"{container.name}: up after {container.boot_seconds:.1f} s", file=sys.stderr)
        return subprocess.run(container.command(*argv, env={"TERM": os.environ.get("TERM", "dumb")})).returncode


if __name__ == "__main__":
    sys.exit(main())
