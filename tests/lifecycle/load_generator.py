# SPDX-License-Identifier: GPL-2.0-or-later
"""Sends requests until standard input ends, then prints what failed, as JSON. Runs inside the container.

Standard library only: `python3 load_generator.py --host example.org --path /load.php`. Every request is a new
connection; the page must echo its token (see `load.PAGE`).
"""

from __future__ import annotations

import argparse
import http.client
import itertools
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
    slowest_short: float = 0.0
    failures: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, seconds: float, busy: float, failure: str) -> None:
        with self.lock:
            self.requests += 1
            self.slow_requests += busy > 0
            self.slowest = max(self.slowest, seconds)
            self.slowest_short = self.slowest_short if busy else max(self.slowest_short, seconds)
            if failure:
                self.failed += 1
                self.failures.append(f"{time.strftime('%H:%M:%S')} after {seconds:.2f} s (busy {busy:g}): {failure}")

    def as_json(self) -> str:
        with self.lock:
            values = {name: getattr(self, name) for name in ("requests", "slow_requests", "failed")}
            longest = {name: round(getattr(self, name), 3) for name in ("slowest", "slowest_short")}
            return json.dumps({**values, **longest, "failures": self.failures[:100]})


def request(options: argparse.Namespace, host: str, busy: float) -> str:
    """Send one request; what is wrong with its answer, empty if nothing."""
    token = secrets.token_hex(8)
    connection = http.client.HTTPConnection(options.address, options.port, timeout=options.timeout)
    try:
        connection.request(
            "GET", f"{options.path}?token={token}&busy={busy:g}", headers={"Host": host, "Connection": "close"}
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


def send(options: argparse.Namespace, hosts: list[str], busy: float, tally: Tally, ended: threading.Event) -> None:
    """Send requests to one host after the other, with a pause between, until `ended`."""
    for host in itertools.cycle(hosts):
        if ended.is_set():
            return
        started = time.monotonic()
        failure = request(options, host, busy)
        tally.add(time.monotonic() - started, busy, failure)
        ended.wait(options.pause)


def main() -> int:
    """Send until standard input ends, let the last answers arrive, print the tally."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--host", required=True, help="the Host header; of several (a,b) the first gets the slow ones")
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
    hosts = options.host.split(",")
    jobs = [(hosts[place % len(hosts) :] + hosts[: place % len(hosts)], 0.0) for place in range(options.threads)]
    jobs += [(hosts[:1], options.slow_seconds)] * options.slow_threads
    threads = [threading.Thread(target=send, args=(options, *job, tally, ended)) for job in jobs]
    for thread in threads:
        thread.start()
    print("started", flush=True)
    sys.stdin.read()
    ended.set()
    for thread in threads:
        thread.join()
    print(tally.as_json())
    return 0


if __name__ == "__main__":
    sys.exit(main())
