# SPDX-License-Identifier: GPL-2.0-or-later
"""What a description says of mail, and what the package makes of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fpmjail_deb.errors import DescriptionError
from tests.sites import planned, setting_lines, shop, text

RELAY = "relay: smtp.example.org, from: web@example.org"


def described(mail: str, more: str = "") -> dict[str, Any]:
    return dict(json.loads(text(planned(shop(f"jail: {{mail: {mail}{more}}}\n")), "/site.json")))


def refused(mail: str, more: str = "") -> str:
    with pytest.raises(DescriptionError) as error:
        shop(f"jail: {{mail: {mail}{more}}}\n")
    return str(error.value)


def test_without_a_relay_no_mail_is_sent() -> None:
    made = described("none")
    assert made["jail"]["mail"] is None and "mail" not in made["profile"]["capabilities"]
    pool = setting_lines(text(planned(shop()), "/pool.conf"))
    assert "php_admin_value[sendmail_path] = /nonexistent/no-mail-from-this-jail" in pool
    assert "msmtp" not in dict(planned(shop()).control)["Depends"].split(", ")


def test_two_lines_are_mail_with_the_shell_that_it_needs() -> None:
    made = described(f"{{{RELAY}}}")
    assert made["jail"]["mail"] == {
        "host": "smtp.example.org", "port": 587, "tls": "starttls", "from": "web@example.org", "fixed": False,
        "user": None, "timeout": 20, "domain": "shop.example.org",
    }  # fmt: skip
    assert {"mail", "restricted-shell"} <= set(made["profile"]["capabilities"])
    package = planned(shop(f"jail: {{mail: {{{RELAY}}}}}\n"))
    assert "msmtp" in dict(package.control)["Depends"].split(", ")
    pool = setting_lines(text(package, "/pool.conf"))
    assert "php_admin_value[sendmail_path] = '/usr/sbin/sendmail -t -i'" in pool


def test_a_whole_shell_is_not_replaced() -> None:
    capabilities = described(f"{{{RELAY}}}", ", shell: sh")["profile"]["capabilities"]
    assert "shell" in capabilities and "restricted-shell" not in capabilities


def test_sites_with_different_relays_share_one_image() -> None:
    other = described("{relay: 192.0.2.1, from: a@example.net, tls: none}")
    assert other["profile"] == described(f"{{{RELAY}}}")["profile"]


@pytest.mark.parametrize(
    ("relay", "more", "host", "port", "tls"),
    [
        ("smtp.example.org", "", "smtp.example.org", 587, "starttls"),
        ("smtp.example.org:25", "", "smtp.example.org", 25, "starttls"),
        ("smtp.example.org", ", tls: tls", "smtp.example.org", 465, "tls"),
        ("smtp.example.org", ", tls: none", "smtp.example.org", 25, "none"),
        ("localhost", "", "localhost", 25, "none"),
        ("127.0.0.1:2525", "", "127.0.0.1", 2525, "none"),
        ('"[::1]:2525"', "", "::1", 2525, "none"),
        ('"2001:db8::1"', "", "2001:db8::1", 587, "starttls"),
        ("localhost", ", tls: starttls", "localhost", 587, "starttls"),
    ],
)
def test_port_and_encryption_follow_from_the_relay(relay: str, more: str, host: str, port: int, tls: str) -> None:
    mail = described(f"{{relay: {relay}, from: web@example.org{more}}}")["jail"]["mail"]
    assert (mail["host"], mail["port"], mail["tls"]) == (host, port, tls)


@pytest.mark.parametrize(
    ("mail", "words"),
    [
        ("{relay: smtp.example.org}", "jail.mail.from: from is missing: mail needs a relay and a sender"),
        ("{from: web@example.org}", "jail.mail.relay: relay is missing"),
        ("{timeout: 5s}", "jail.mail.relay: relay is missing"),
        (f"{{{RELAY}, form: x}}", 'jail.mail.form: unknown key; did you mean "from"?'),
        ("smtp.example.org", "jail.mail: expected none, found"),
        ("{relay: smtp://smtp.example.org, from: a@b.org}", "write the host name, and the port behind a colon"),
        ('{relay: "smtp.example.org:smtp", from: a@b.org}', "a port is a number from 1 to 65535"),
        ('{relay: "smtp.example.org:65536", from: a@b.org}', "a port is a number from 1 to 65535"),
        ('{relay: "smtp.example.org\\nauth on", from: a@b.org}', "jail.mail.relay"),
        ('{relay: "smtp example", from: a@b.org}', "expected a mail server such as smtp.example.org:587"),
        ("{relay: smtp.example.org, from: Web <web@example.org>}", "write the address alone, without a name and <>"),
        ("{relay: smtp.example.org, from: web}", "expected a mail address such as web@example.org"),
        ("{relay: smtp.example.org, from: w%U@example.org}", "expected a mail address such as web@example.org"),
        (f"{{{RELAY}, user: 'a\"b'}}", 'write it without " and \\'),
        (f"{{{RELAY}, user: web, tls: none}}", "without encryption the password could be read on its way"),
        (f"{{{RELAY}, timeout: 0s}}", "expected a time such as 30s"),
        (f"{{{RELAY}, sender: me}}", "expected any or fixed"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_advice(mail: str, words: str) -> None:
    assert words in refused(mail)


def test_a_jail_without_names_needs_the_relays_address() -> None:
    assert "write its address, or jail.dns: hosts" in refused(f"{{{RELAY}}}", ", dns: none")
    for relay in ("192.0.2.1", "localhost"):
        assert described(f"{{relay: {relay}, from: a@b.org}}", ", dns: none")["jail"]["mail"]["host"] == relay


def test_a_local_relay_may_ask_for_a_password_without_encryption() -> None:
    assert described("{relay: localhost, from: a@b.org, user: web}")["jail"]["mail"]["user"] == "web"
