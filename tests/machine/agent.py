# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs inside the machine as root: commands come in by a virtio port, one JSON object a line, answers go out so."""

import json
import os
import signal
import subprocess
import sys
import threading
from typing import Any

LOCK = threading.Lock()


def main(path: str) -> None:
    """Answer for ever; several commands may run at a time."""
    port = os.open(path, os.O_RDWR)
    with os.fdopen(os.dup(port), "rb") as lines:
        for line in lines:
            threading.Thread(target=answer, args=(port, json.loads(line)), daemon=True).start()


def answer(port: int, asked: dict[str, Any]) -> None:
    """Run one command to its end."""
    late = False
    try:
        with subprocess.Popen(
            asked["argv"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env=asked["env"],
            cwd="/",
            start_new_session=True,
        ) as process:
            try:
                stdout, stderr = process.communicate(asked["input"], asked["timeout"])
            except subprocess.TimeoutExpired:
                late = True
                os.killpg(process.pid, signal.SIGKILL)
                stdout, stderr = process.communicate()
        status = process.returncode
    except OSError as error:
        stdout, stderr, status = "", str(error), 127
    content = {"id": asked["id"], "returncode": status, "stdout": stdout, "stderr": stderr, "late": late}
    data = json.dumps(content).encode() + b"\n"
    with LOCK:
        while data:
            data = data[os.write(port, data) :]


if __name__ == "__main__":
    main(sys.argv[1])
