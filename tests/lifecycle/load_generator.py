# SPDX-License-Identifier: GPL-2.0-or-later
"""Sends requests until standard input ends, then prints what failed, as JSON. Runs inside the container.

Standard library only: `python3 load_generator.py --host example.org --path /load.php`. Every request is a new
connection; the page must echo its token (see `load.PAGE`).
"""

from __future__ import annotations

import argparse
import http.client
import json
import secrets
import sys
import threading
import time
from dataclasses import dataclass, field


@dataclass
class Tally:
    """What was sent so far; shared by all threads."""

    requests: int = 0
    slow_requests: int = 0
    failed: int = 0
    slowest: float = 0.0
    failures: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, seconds: float, busy: float, failure: str) -> None:
        with self.lock:
            self.requests += 1
            self.slow_requests += busy > 0
            self.slowest = max(self.slowest, seconds)
            if failure:
                self.failed += 1
                self.failures.append(f"{time.strftime('%H:%M:%S')} after {seconds:.2f} s (busy {busy:g}): {failure}")

    def as_json(self) -> str:
        with self.lock:
            values = {name: getattr(self, name) for name in ("requests", "slow_requests", "failed")}
            return json.dumps({**values, "slowest": round(self.slowest, 3), "failures": self.failures[:100]})


def request(options: argparse.Namespace, busy: float) -> str:
    """Send one request; what is wrong with its answer, empty if nothing."""
    token = secrets.token_hex(8)
    connection = http.client.HTTPConnection(options.address, options.port, timeout=options.timeout)
    try:
        connection.request(
            "GET", f"{options.path}?token={token}&busy={busy:g}", headers={"Host": options.host, "Connection": "close"}
        )
        answer = connection.getresponse()
        body = answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        connection.close()
    if answer.status != 200:
        return f"status {answer.status}: {body[:200]}"
    return "" if body == f"token {token}\n" else f"wrong body: {body[:200]!r}"


def send(options: argparse.Namespace, busy: float, tally: Tally, ended: threading.Event) -> None:
    """Send requests one after the other, with a pause between, until `ended`."""
    while not ended.is_set():
        started = time.monotonic()
        failure = request(options, busy)
        tally.add(time.monotonic() - started, busy, failure)
        ended.wait(options.pause)


def main() -> int:
    """Send until standard input ends, let the last answers arrive, print the tally."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--host", required=True, help="the Host header")
    parser.add_argument("--path", required=True)
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=80)
    parser.add_argument("--threads", type=int, default=3, help="threads that send short requests")
    parser.add_argument("--slow-threads", type=int, default=1, help="threads that send slow ones")
    parser.add_argument("--slow-seconds", type=float, default=4.0, help="how long PHP is busy with a slow one")
    parser.add_argument("--pause", type=float, default=0.02, help="seconds between two requests of a thread")
    parser.add_argument("--timeout", type=float, default=30.0, help="seconds after which a request has failed")
    options = parser.parse_args()
    tally, ended = Tally(), threading.Event()
    durations = [0.0] * options.threads + [options.slow_seconds] * options.slow_threads
    threads = [threading.Thread(target=send, args=(options, busy, tally, ended)) for busy in durations]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    ended.set()
    for thread in threads:
        thread.join()
    print(tally.as_json())
    return 0


if __name__ == "__main__":
    sys.exit(main())
