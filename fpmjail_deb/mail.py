# SPDX-License-Identifier: GPL-2.0-or-later
"""Mail out of a jail: the rules of `jail.mail`, and what the package says of it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from types import MappingProxyType

from fpmjail_deb.rules import MAIL_ADDRESS, RejectedError, ScalarRule, free_text, host_name, word
from fpmjail_deb.site import Mail, MailTls, Site

PORTS: Mapping[MailTls, int] = MappingProxyType({MailTls.NONE: 25, MailTls.STARTTLS: 587, MailTls.TLS: 465})
"""Where a relay listens if nobody says otherwise (RFC 5321, 6409, 8314)."""

SENDMAIL = "/usr/sbin/sendmail -t -i"
PACKAGE = "msmtp"
LONGEST_USER = 200

_PORT = re.compile(r"[1-9][0-9]{0,4}")
_ADDRESS = re.compile(rf"(?!.*%){MAIL_ADDRESS}")  # msmtp puts something in place of %U

Relay = tuple[str, int | None]


def relay() -> ScalarRule[Relay]:
    """HOST or HOST:PORT, the host a name or an address; one of version 6 stands in brackets before a port."""

    def convert(text: str) -> Relay:
        host, port = _split(text)
        if port is not None and not (_PORT.fullmatch(port) and int(port) < 2**16):
            raise RejectedError("a port is a number from 1 to 65535")
        return (host if is_address(host) else host_name().convert(host)), int(port) if port else None

    return ScalarRule("a mail server such as smtp.example.org:587", convert, {"type": "string", "maxLength": 270})


def _split(text: str) -> tuple[str, str | None]:
    if "://" in text:
        raise RejectedError("write the host name, and the port behind a colon")
    if is_address(text):
        return text, None
    host, colon, port = text.rpartition(":")
    if not colon:
        return text, None
    return host.removeprefix("[").removesuffix("]") if host.startswith("[") else host, port


def is_address(host: str) -> bool:
    """Whether a relay is named by its number."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_local(host: str) -> bool:
    """Whether a relay is the server itself: nobody is on the way."""
    return host == "localhost" or (is_address(host) and ipaddress.ip_address(host).is_loopback)


def address() -> ScalarRule[str]:
    """An address without a name."""

    def hint(text: str) -> str:
        return "write the address alone, without a name and <>" if "<" in text else ""

    return word("a mail address such as web@example.org", _ADDRESS, hint)


def user() -> ScalarRule[str]:
    """The name at the relay."""
    rule = free_text("one line of ASCII", LONGEST_USER, ascii_only=True)

    def convert(text: str) -> str:
        if '"' in text or "\\" in text:
            raise RejectedError('write it without " and \\')
        return rule.convert(text)

    return ScalarRule(rule.expected, convert, rule.schema)


def described(site: Site) -> dict[str, object] | None:
    """Return the part of site.json, None for a site without mail; `domain` is how it greets the relay."""
    mail = site.jail.mail
    if mail is None:
        return None
    return {
        "host": mail.host,
        "port": mail.port,
        "tls": mail.tls.value,
        "from": mail.sender,
        "fixed": mail.fixed,
        "user": mail.user,
        "timeout": mail.timeout,
        "domain": site.domains[0],
    }


def made(relay: Relay, tls: MailTls | None, sender: str, fixed: bool, user: str | None, timeout: int) -> Mail:
    """Return the values of a site with the defaults that depend on others."""
    host, port = relay
    chosen = tls or (MailTls.NONE if is_local(host) else MailTls.STARTTLS)
    return Mail(host, port or PORTS[chosen], chosen, sender, fixed, user, timeout)
