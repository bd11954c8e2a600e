# SPDX-License-Identifier: GPL-2.0-or-later
"""Keys below `jail` that contradict each other: mail, shell, network."""

from __future__ import annotations

from fpmjail_deb import mail, network
from fpmjail_deb.rules import Reading
from fpmjail_deb.schema import jail_keys, site_keys
from fpmjail_deb.site import Dns, Libraries, MailTls, Network, NetworkDeny, Shell
from fpmjail_deb.values import Check, Values, is_shared, place_of

_MAIL = (
    jail_keys.MAIL_RELAY, jail_keys.MAIL_FROM, jail_keys.MAIL_SENDER, jail_keys.MAIL_TLS, jail_keys.MAIL_USER,
    jail_keys.MAIL_TIMEOUT,
)  # fmt: skip


def _check_mail_is_whole(values: Values, reading: Reading) -> None:
    if not values.have(*_MAIL) or not any(row.path in reading.origins for row in _MAIL):
        return
    for row in (jail_keys.MAIL_RELAY, jail_keys.MAIL_FROM):
        if row.path not in reading.origins:
            message = f"{row.path.rpartition('.')[2]} is missing: mail needs a relay and a sender"
            hint = f"add `{row.path.rpartition('.')[2]}: {row.example}`"
            reading.refuse(place_of(reading, *_MAIL), row.path, message, hint)


def _check_mail_password(values: Values, reading: Reading) -> None:
    if not values.have(*_MAIL):
        return
    relay, row = values[jail_keys.MAIL_RELAY], jail_keys.MAIL_USER
    if relay and values[row] and values[jail_keys.MAIL_TLS] is MailTls.NONE and not mail.is_local(relay[0]):
        message = "without encryption the password could be read on its way"
        reading.refuse(reading.origins[row.path], row.path, message, "leave out `tls: none`, or the user")


def _check_mail_relay_has_a_name(values: Values, reading: Reading) -> None:
    if not values.have(*_MAIL, jail_keys.DNS):
        return
    relay, row = values[jail_keys.MAIL_RELAY], jail_keys.MAIL_RELAY
    known = relay is None or mail.is_address(relay[0]) or relay[0] == "localhost"
    if values[jail_keys.DNS] is Dns.NONE and not known:
        message = "with jail.dns: none the jail cannot resolve the name of the relay"
        reading.refuse(reading.origins[row.path], row.path, message, "write its address, or jail.dns: hosts")


def _check_mail_has_its_program(values: Values, reading: Reading) -> None:
    rows = (jail_keys.MAIL_RELAY, jail_keys.LIBRARIES)
    if values.have(*rows) and values[rows[0]] is not None and values[rows[1]] is Libraries.BIND:
        message = "with jail.libraries: bind the jail has the server's own sendmail, which knows no relay of the site"
        reading.refuse(reading.origins[rows[0].path], rows[0].path, message, "leave out jail.libraries: bind")


def _check_shell(values: Values, reading: Reading) -> None:
    rows = (jail_keys.SHELL, jail_keys.LIBRARIES)
    if values.have(*rows) and values[rows[0]] is Shell.RESTRICTED and values[rows[1]] is Libraries.BIND:
        message = "with jail.libraries: bind the jail has the server's own /bin/sh, which is not restricted"
        reading.refuse(place_of(reading, jail_keys.SHELL), jail_keys.SHELL.path, message, "leave one of them out")


_NETWORK = (jail_keys.NETWORK_DENY, jail_keys.NETWORK_ALLOW)


def _check_network(values: Values, reading: Reading) -> None:
    given = [row for row in _NETWORK if row.path in reading.origins]
    if not given or not values.have(*_NETWORK, site_keys.ISOLATION):
        return
    if is_shared(values):
        message = "in shared isolation PHP's network is that of Debian's PHP-FPM"
        reading.refuse(place_of(reading, *given), given[0].path, message, "leave it out, or take isolation: dedicated")
    elif values[jail_keys.NETWORK_DENY] is NetworkDeny.NONE and values[jail_keys.NETWORK_ALLOW]:
        row = jail_keys.NETWORK_ALLOW
        message = "nothing is denied, so there is nothing to allow"
        reading.refuse(reading.origins[row.path], row.path, message, "add `deny: all`, or leave it out")


def _check_network_has_the_relay(values: Values, reading: Reading) -> None:
    rows = (*_NETWORK, jail_keys.MAIL_RELAY)
    if not values.have(*rows) or values[jail_keys.MAIL_RELAY] is None:
        return
    if network.isolated(Network(values[jail_keys.NETWORK_DENY], values[jail_keys.NETWORK_ALLOW])):
        row = jail_keys.NETWORK_DENY
        message = "without any network the jail cannot reach the relay of jail.mail"
        reading.refuse(reading.origins[row.path], row.path, message, "add the relay's address to jail.network.allow")


CHECKS: tuple[Check, ...] = (
    _check_mail_is_whole,
    _check_mail_password,
    _check_mail_relay_has_a_name,
    _check_mail_has_its_program,
    _check_shell,
    _check_network,
    _check_network_has_the_relay,
)
