# SPDX-License-Identifier: MIT
"""Judges the mail of a site: its program, its password, its relay. Pure but for `check`."""

from __future__ import annotations

from dataclasses import replace

from fpmjail import mail
from fpmjail.finding import Finding, good, origin, warning
from fpmjail.judges import judge_capability
from fpmjail.layout import Layout
from fpmjail.probe import Result
from fpmjail.site import Mail, Site

RELAY = "relay: "  # begins what the probe says of the relay


def check(layout: Layout, site: Site, result: Result) -> tuple[Finding, ...]:
    """The findings of the probe, and of the password's file."""
    if site.jail.mail is None:
        return (judge_capability(site, result),)
    return (judge(site, site.jail.mail, result), *judge_password(site, site.jail.mail, mail.password(layout, site)[1]))


def judge(site: Site, wanted: Mail, result: Result) -> Finding:
    """What the probe found. A relay that does not answer is no fault of the site's, but nothing is sent meanwhile."""
    if result.passed:
        return good("capability", result.capability, f"{wanted.host}:{wanted.port} answers")
    if not result.answered or not all(words.startswith(RELAY) for words in result.findings):
        return judge_capability(site, result)
    seen = f"{'; '.join(result.findings)}; mail() returns false meanwhile"
    fix = f"start the relay, or correct jail.mail.relay; {site.paths.logs / mail.LOG} has what was not sent"
    found = warning("capability", result.capability, seen, fix)
    return replace(found, origin=origin(site, "jail.mail.relay"))


def judge_password(site: Site, wanted: Mail, fault: str) -> tuple[Finding, ...]:
    """The relay asks for a password: it must be there."""
    if wanted.user is None:
        return ()
    if not fault:
        return (good("capability", "mail password", f"for {wanted.user}"),)
    fix = f"put it there, readable for root alone; then: fpmjail configure {site.name}"
    found = warning("capability", "mail password", f"{fault}; the relay will take no mail", fix)
    return (replace(found, origin=origin(site, "jail.mail.user")),)
