# SPDX-License-Identifier: GPL-2.0-or-later
"""Sends each request of a JSON list as it is spelled, and prints all answers by case."""

import json
import socket
import sys
from typing import Any


def answer(request: dict[str, Any]) -> str:
    lines = [f"GET {request['path']} HTTP/1.1", f"Host: {request['host']}", "Connection: close", *request["headers"]]
    with socket.create_connection(("127.0.0.1", 80), timeout=60) as stream:
        stream.sendall(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
        return stream.makefile("rb").read().decode("latin-1")


answers: dict[str, str] = {}
for request in json.load(sys.stdin):
    answers[request["case"]] = answers.get(request["case"], "") + answer(request)
json.dump(answers, sys.stdout)
