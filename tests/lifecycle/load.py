# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests sent to a website while a test does something to it: did any of them fail?

server.write("/var/www/example/htdocs/load.php", load.PAGE)
with Load(server, host="example.org", path="/load.php") as requests:
    server.apt("upgrade")
report = requests.report()
assert report.requests > 100 and not report.failed, report
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from tests.lifecycle.container import Container

PAGE = """\
<?php
header('Content-Type: text/plain');
$end = microtime(true) + (float) ($_GET['busy'] ?? 0);
while (microtime(true) < $end) {
    usleep(2000); // a signal would cut one long sleep short
}
echo 'token ', preg_replace('/[^0-9a-f]/', '', $_GET['token'] ?? ''), "\\n";
"""
GENERATOR = Path(__file__).with_name("load_generator.py")
PLACES = "/usr/local/lib/load_generator"  # one each: another one may be starting from its own
END_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Report:
    """What was sent: counts, the slowest answer and the slowest one to a short request in seconds, and each failure
    (the first 100) with its time of day."""

    requests: int
    slow_requests: int
    failed: int
    slowest: float
    slowest_short: float
    failures: tuple[str, ...]


class Load:
    """Requests from inside the container, from `__enter__` to `__exit__`; `options` are the generator's.
    `host` may be several with commas between: short requests go to all of them, slow ones to the first.

    `Load(server, host="example.org", path="/load.php", threads=2, slow_seconds=6)`
    """

    def __init__(self, container: Container, *, host: str, path: str, **options: float) -> None:
        self._container = container
        words = [f"--{name.replace('_', '-')}={value:g}" for name, value in options.items()]
        self._place = f"{PLACES}-{id(self):x}.py"
        self._command = ["python3", self._place, f"--host={host}", f"--path={path}", *words]
        self._process: subprocess.Popen[str] | None = None
        self._report: Report | None = None

    def __enter__(self) -> Load:
        self._container.write(self._place, GENERATOR.read_text())
        self._process = self._container.popen(*self._command, stdin=subprocess.PIPE)
        assert self._process.stdout is not None and self._process.stdout.readline() == "started\n"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        with self._process as process:
            stdout, stderr = process.communicate("", END_SECONDS)
        if process.returncode != 0:
            raise RuntimeError(f"the load generator itself failed:\n{stdout}{stderr}")
        values = json.loads(stdout)
        self._report = Report(**{**values, "failures": tuple(values["failures"])})

    def report(self) -> Report:
        """The result; only after the `with` block."""
        assert self._report is not None, "still sending"
        return self._report
