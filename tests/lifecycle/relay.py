# SPDX-License-Identifier: GPL-2.0-or-later
"""A mail relay for tests, run inside a container: it takes every message and writes it down, one JSON object in a line.

usage: relay.py PORT FILE [--tls CERTIFICATE KEY] [--login USER PASSWORD] [--silent]

With --tls it speaks TLS from the start, with --login only to who logs in (AUTH PLAIN), --silent never says a word.
"""

from __future__ import annotations

import argparse
import base64
import json
import socketserver
import ssl
import time
from pathlib import Path


class Session(socketserver.StreamRequestHandler):
    """One client (RFC 5321)."""

    server: Relay
    recipients: list[str]

    def handle(self) -> None:
        """Talk until the client has enough."""
        if self.server.told.silent:
            time.sleep(60)
            return
        self.welcome, self.sender, self.recipients = not self.server.told.login, "", []
        self.say("220 relay.example.org ESMTP")
        while line := self.rfile.readline().decode().strip():
            verb, _, rest = line.partition(" ")
            answer = getattr(self, f"on_{verb.lower()}", lambda rest: "250 as you like")(rest)
            self.say(answer)
            if verb.upper() == "QUIT":
                return

    def say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())

    def on_ehlo(self, rest: str) -> str:
        self.greeting = rest
        return "250-relay.example.org\r\n250-AUTH PLAIN\r\n250 8BITMIME" if self.server.told.login else "250 relay"

    def on_auth(self, rest: str) -> str:
        _, user, password = base64.b64decode(rest.partition(" ")[2]).decode().split("\0")
        self.welcome = [user, password] == self.server.told.login
        return "235 welcome" if self.welcome else "535 who are you?"

    def on_mail(self, rest: str) -> str:
        self.sender = rest.partition(":")[2].split()[0].strip("<>")
        return "250 go on" if self.welcome else "530 log in first"

    def on_rcpt(self, rest: str) -> str:
        self.recipients.append(rest.partition(":")[2].split()[0].strip("<>"))
        return "250 go on"

    def on_data(self, rest: str) -> str:
        self.say("354 end with a dot")
        lines = []
        while (line := self.rfile.readline()) != b".\r\n":
            lines.append(line.removeprefix(b"."))
        message = b"".join(lines).decode("latin-1")
        kept = {"greeting": self.greeting, "sender": self.sender, "recipients": self.recipients, "message": message}
        with self.server.told.file.open("a") as file:
            file.write(json.dumps(kept) + "\n")
        return "250 stored"

    def on_quit(self, rest: str) -> str:
        return "221 bye"


class Relay(socketserver.ThreadingTCPServer):
    """The server; `told` is what the command line said."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, told: argparse.Namespace) -> None:
        self.told = told
        super().__init__(("127.0.0.1", told.port), Session)
        if told.tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*told.tls)
            self.socket = context.wrap_socket(self.socket, server_side=True)


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("file", type=Path)
    parser.add_argument("--tls", nargs=2)
    parser.add_argument("--login", nargs=2)
    parser.add_argument("--silent", action="store_true")
    with Relay(parser.parse_args()) as relay:
        relay.serve_forever()


if __name__ == "__main__":
    main()
