# SPDX-License-Identifier: GPL-2.0-or-later
"""What network a jail reaches: the rule of `jail.network.allow`, and the same in systemd's words."""

from __future__ import annotations

import ipaddress

from fpmjail_deb.rules import RejectedError, ScalarRule
from fpmjail_deb.site import Network, NetworkDeny

LOOPBACK = "localhost"
"""What systemd.resource-control(5) calls 127.0.0.0/8 and ::1."""

FAMILIES = "AF_UNIX AF_INET AF_INET6"


def reachable() -> ScalarRule[str]:
    """An address, a network, or `localhost`; systemd looks up no names."""

    def convert(text: str) -> str:
        if text == LOOPBACK:
            return text
        try:
            return _written(ipaddress.ip_network(text))
        except ValueError:
            raise RejectedError(_hint(text)) from None

    expected = "an address such as 192.0.2.7, a network such as 192.0.2.0/24, or localhost"
    pattern = "^(?:localhost|[0-9a-fA-F:.]+(?:/[0-9]{1,3})?)$"
    return ScalarRule(expected, convert, {"type": "string", "pattern": pattern})


def _written(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> str:
    return str(network.network_address) if network.prefixlen == network.max_prefixlen else str(network)


def _hint(text: str) -> str:
    try:
        return f'did you mean "{ipaddress.ip_network(text, strict=False)}"?'
    except ValueError:
        return "names are not looked up: write their addresses"


def isolated(network: Network) -> bool:
    """Whether the jail reaches nothing at all."""
    return network.deny is NetworkDeny.ALL and not network.allow


def directives(network: Network) -> tuple[tuple[str, str], ...]:
    """Return what limits the network. Without exceptions the jail has one of its own, in which nobody else is."""
    if network.deny is NetworkDeny.NONE:
        return (("RestrictAddressFamilies", FAMILIES),)
    if isolated(network):
        return (("RestrictAddressFamilies", "AF_UNIX"), ("PrivateNetwork", "yes"), ("IPAddressDeny", "any"))
    allowed = (("IPAddressAllow", place) for place in network.allow)
    return (("RestrictAddressFamilies", FAMILIES), ("IPAddressDeny", "any"), *allowed)
