# SPDX-License-Identifier: GPL-2.0-or-later
"""The rule of `sftp.keys`: public keys of OpenSSH, whole and of a kind that Debian's sshd takes."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import replace

from fpmjail_deb.rules import RejectedError, ScalarRule, free_text

KINDS = (
    "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa",
    "sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com",
)  # fmt: skip
LONGEST = 2000
_KEY = re.compile(rf"({'|'.join(re.escape(kind) for kind in KINDS)}) ([A-Za-z0-9+/]+={{0,2}})(?: ([ -~]*))?")
_ON_THE_SERVER = "keys with options belong into authorized_keys on the server"


def public_key() -> ScalarRule[str]:
    """One line of an id_ed25519.pub, sshd(8); no options: `command=` would be a way out."""

    def convert(text: str) -> str:
        found = _KEY.fullmatch(line.convert(text))
        if not found:
            raise RejectedError(_hint(text))
        if not _whole(found[1], found[2]):
            raise RejectedError("copy the whole line", f"the {found[1]} key is damaged or cut off")
        return text

    line = free_text("a public key such as ssh-ed25519 AAAA... ann@example.org", LONGEST)
    schema = {"type": "string", "pattern": f"^({'|'.join(map(re.escape, KINDS))}) ", "maxLength": LONGEST}
    return replace(line, convert=convert, schema=schema)


def _hint(text: str) -> str:
    if "PRIVATE KEY" in text:
        return "this is the private key, which nobody else may see: take the line in the file that ends in .pub"
    if text.startswith("ssh-dss "):
        return "sshd takes no DSA keys any more: ssh-keygen -t ed25519"
    if any(f" {kind} " in f" {text}" for kind in KINDS):
        return _ON_THE_SERVER
    return "take the line in the file that ends in .pub"


def _whole(kind: str, encoded: str) -> bool:
    """Whether the data is base64 of fields that fill it to its end, the first of them the kind (RFC 4253, 6.6)."""
    try:
        data = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        return False
    fields = []
    while data:
        length = int.from_bytes(data[:4], "big")
        if len(data) < 4 + length:
            return False
        fields.append(data[4 : 4 + length])
        data = data[4 + length :]
    return len(fields) > 1 and fields[0] == kind.encode()
