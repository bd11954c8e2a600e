# SPDX-License-Identifier: GPL-2.0-or-later
"""A whole machine: Debian's kernel, with AppArmor and cgroups of version 2, under qemu without hardware's help.

    with Machine("trixie", installed) as server:
        print(server.run("aa-enabled").stdout)

It has no network but loopback. `installed` is what `installed.py` made: what is there beside the base tree.
"""

from __future__ import annotations

import itertools
import json
import os
import shlex
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.lifecycle import trees
from tests.lifecycle.container import ENVIRONMENT, BootFailed, CommandFailed, Completed, System
from tests.machine.disk import disk

MEMORY = 1536  # MiB
BOOT_SECONDS = 600.0  # 20 s of a processor's time, which the machine may have to share
TIME_FACTOR = 5  # how much slower than in a container a command may be


class Machine(System):
    """A running machine, from `__enter__` to `__exit__`; nothing of it stays. Commands may run at the same time."""

    def __init__(self, release: str, installed: Path) -> None:
        self.release, self.installed = release, installed
        self.seconds = 0.0
        self._directory = tempfile.TemporaryDirectory(prefix="fpmjail-machine-")
        self._place = Path(self._directory.name)
        self._process: subprocess.Popen[bytes] | None = None
        self._port: socket.socket | None = None
        self._numbers = itertools.count()
        self._answers: dict[int, dict[str, Any]] = {}
        self._news = threading.Condition()

    @property
    def php(self) -> str:
        """The release's own PHP version."""
        return trees.PHP[self.release]

    def __enter__(self) -> Machine:
        try:
            self._start()
            self._await_agent(time.monotonic() + BOOT_SECONDS)
            self.run("systemctl", "is-system-running", "--wait", check=False)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Pull the plug; `seconds` is then the processor's time that the machine took."""
        if self._port is not None:
            self._port.close()
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            _, _, usage = os.wait4(self._process.pid, 0)
            self._process.returncode = -9
            self.seconds = usage.ru_utime + usage.ru_stime
        self._directory.cleanup()

    def _start(self) -> None:
        files = disk(self.release)
        drives = (files.file, self.installed)
        command = [
            "qemu-system-x86_64", "-machine", "q35", "-cpu", "qemu64,+ssse3,+sse4.1,+sse4.2,+popcnt",
            # The machine's clock counts instructions: how busy this one is makes nothing time out there.
            "-accel", "tcg", "-icount", "shift=3",
            "-m", str(MEMORY), "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-kernel", str(files.kernel), "-initrd", str(files.initrd),
            "-append", "console=ttyS0 quiet panic=-1 rw systemd.show_status=no mitigations=off",
            "-serial", f"file:{self._place / 'console'}",
            *(word for file in drives for word in
              ("-drive", f"file={file},if=virtio,format=raw,cache=unsafe,snapshot=on")),
            "-device", "virtio-serial-pci", "-device", "virtserialport,chardev=agent,name=agent",
            "-chardev", f"socket,id=agent,path={self._place / 'agent'},server=on,wait=off",
        ]  # fmt: skip
        log = (self._place / "qemu").open("wb")
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        log.close()

    def console(self) -> str:
        """What kernel and qemu said."""
        files = (self._place / "console", self._place / "qemu")
        return "".join(file.read_text(errors="replace") for file in files if file.exists())

    def _await_agent(self, deadline: float) -> None:
        """Connect, and ask until the agent answers: what comes before there is one is lost."""
        assert self._process is not None
        while not (self._place / "agent").exists():
            self._check(deadline)
            time.sleep(0.05)
        self._port = socket.socket(socket.AF_UNIX)
        self._port.connect(str(self._place / "agent"))
        threading.Thread(target=self._listen, args=(self._port,), daemon=True).start()
        while True:
            self._check(deadline)
            try:
                self._ask(["true"], "", {}, 2.0)
            except TimeoutError:
                continue
            return

    def _check(self, deadline: float) -> None:
        assert self._process is not None
        if self._process.poll() is not None or time.monotonic() > deadline:
            raise BootFailed(f"the machine did not come up:\n{self.console()[-8000:]}")

    def _listen(self, port: socket.socket) -> None:
        with suppress(OSError), port.makefile("rb") as lines:
            for line in lines:
                found = json.loads(line)
                with self._news:
                    self._answers[found["id"]] = found
                    self._news.notify_all()

    def _ask(self, argv: list[str], text: str, environment: Mapping[str, str], timeout: float) -> dict[str, Any]:
        assert self._port is not None
        number = next(self._numbers)
        asked = {"id": number, "argv": argv, "input": text, "env": dict(environment), "timeout": timeout}
        self._port.sendall(json.dumps(asked).encode() + b"\n")
        with self._news:
            # The machine's own clock counts; it may be late to say so.
            if not self._news.wait_for(lambda: number in self._answers, timeout * 2):
                raise TimeoutError(f"{shlex.join(argv)}: no answer after {timeout * 2:g} s:\n{self.console()[-4000:]}")
            return self._answers.pop(number)

    def run(
        self,
        *argv: str,
        check: bool = True,
        timeout: float = 300,
        input: str = "",
        env: Mapping[str, str] | None = None,
    ) -> Completed:
        """Run a command to its end, as root. Raises CommandFailed, TimeoutError, as a container does."""
        found = self._ask(list(argv), input, {**ENVIRONMENT, **(env or {})}, timeout * TIME_FACTOR)
        if found["late"]:
            raise TimeoutError(f"{shlex.join(argv)} ran for too long:\n{found['stdout']}{found['stderr']}")
        completed = Completed(shlex.join(argv), found["returncode"], found["stdout"], found["stderr"])
        if check and not completed.good:
            raise CommandFailed(completed)
        return completed
