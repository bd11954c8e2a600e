# SPDX-License-Identifier: GPL-2.0-or-later
"""What mod_rewrite and mod_alias are told most often, and which key says the same."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from fpmjail_deb.importing.source import Node

EVERYTHING = re.compile(r"\^?/?\(?(?:\.\*|\.\+|\.)?\)?\$?|\^\(\.\*\)\$|\^/\(\?!\\?\.well-known\)\(\.\*\)\$")
_FRONT = re.compile(r"/?((?:[A-Za-z0-9_-]+/)*[A-Za-z0-9_.-]+\.php)(/?\$1|/%\{REQUEST_URI\})?(\?.*)?")
_SELF = re.compile(r"%\{(?:SERVER_NAME|HTTP_HOST)\}")


def to_https(block: Sequence[Node], names: Iterable[str]) -> bool:
    """Whether a block of conditions and a rule, or a redirect, sends everybody to the same place by HTTPS."""
    *conditions, rule = block
    pattern, target = _pattern_and_target(rule)
    if not EVERYTHING.fullmatch(pattern) or not target.lower().startswith("https://"):
        return False
    host = re.split(r"[/$]|%\{REQUEST_URI\}", _SELF.sub("self", target[len("https://") :]), maxsplit=1)[0]
    same = host.lower() in ("self", *(name.lower() for name in names))
    return same and all(_of_https(condition) for condition in conditions)


def _pattern_and_target(rule: Node) -> tuple[str, str]:
    words = [word for word in rule.arguments if word.lower() not in _STATUS] if rule.name != "rewriterule" else None
    if words is None:
        return (rule.first, rule.arguments[1]) if len(rule.arguments) > 1 else ("?", "")
    if len(words) == 1:
        return "", words[0]
    return (words[0] if rule.name == "redirectmatch" or words[0] != "/" else "", words[1]) if words else ("?", "")


_STATUS = ("permanent", "temp", "301", "302", "307", "308")


def _of_https(condition: Node) -> bool:
    tested, expected = (*condition.arguments, "", "")[:2]
    if tested in ("%{HTTPS}", "%{SERVER_PORT}", "%{HTTPS}s"):
        return True
    if tested in ("%{SERVER_NAME}", "%{HTTP_HOST}"):
        return expected.startswith("=")
    return tested == "%{REQUEST_URI}" and "well-known" in expected


def front_controller(block: Sequence[Node]) -> str:
    """Return the script that answers for everything that is no file, or nothing."""
    *conditions, rule = block
    if len(rule.arguments) < 2 or not EVERYTHING.fullmatch(rule.first):
        return ""
    found = _FRONT.fullmatch(rule.arguments[1])
    tests = [condition.arguments for condition in conditions]
    missing = all(
        (test[0] in ("%{REQUEST_FILENAME}", "%{DOCUMENT_ROOT}%{REQUEST_URI}") or "%{REQUEST_URI}" in test[0])
        and len(test) > 1
        and (test[1] in ("!-f", "!-d", "!-l", "!-s") or test[1].startswith("!"))
        for test in tests
        if test
    )
    asked = (found[3] or "") if found else ""
    return found[1] if found and missing and "$1" not in asked else ""


def needs_nothing(rule: Node) -> bool:
    """Whether a rule does what every site has anyway."""
    if len(rule.arguments) < 2 or rule.arguments[1] != "-":
        return False
    flags = rule.arguments[2] if len(rule.arguments) > 2 else ""
    well_known = "well-known" in rule.first
    authorization = "HTTP_AUTHORIZATION" in flags.upper()
    return well_known or authorization or rule.first in (r"^index\.php$", r"^/index\.php$", r"^/?index\.php$")


def leaves_the_server(rule: Node) -> bool:
    """Whether a rule hands a request to another program: a way around the jail."""
    flags = rule.arguments[2].strip("[]").split(",") if len(rule.arguments) > 2 else []
    target = rule.arguments[1] if len(rule.arguments) > 1 else ""
    handler = any(flag.strip().upper().startswith(("H=", "HANDLER=", "T=", "TYPE=")) for flag in flags)
    proxied = any(flag.strip().upper() in ("P", "PROXY") for flag in flags)
    return proxied or handler or target.startswith(("fcgi:", "unix:", "proxy:"))
