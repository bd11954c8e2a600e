# SPDX-License-Identifier: GPL-2.0-or-later
"""What a site can ask its jail to hold: each word of `jail.capabilities`, what comes with it, and what implies it."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from fpmjail_deb.site import Libraries, Shell, Site

ALWAYS = (
    "charsets", "dns", "locale-c", "php", "services", "sessions", "temporary-files", "timezones", "tls", "uploads",
)  # fmt: skip
"""What every dedicated jail can do. What a jail reaches outside of its image is no part of the profile."""

SHELLS = {Shell.NONE: (), Shell.RESTRICTED: ("restricted-shell",), Shell.SH: ("shell",)}

BIND = "bind"
"""The capability of a jail that has the server's own /usr."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A word of `jail.capabilities`: the Debian packages and PHP extensions that it needs, and what it includes."""

    packages: tuple[str, ...] = ()
    extensions: tuple[str, ...] = ()
    includes: tuple[str, ...] = ()


CHOICE: Mapping[str, Chosen] = MappingProxyType(
    {
        # The one font that Debian's fontconfig and ImageMagick start from; more are the administrator's choice.
        "fonts": Chosen(packages=("fonts-dejavu-core",)),
        "git": Chosen(packages=("git",)),
        # Its default font is one of the server's.
        "imagick": Chosen(extensions=("imagick",), includes=("fonts",)),
        "ldap": Chosen(packages=("libldap-common",), extensions=("ldap",)),
        "pear": Chosen(packages=("php-pear",)),
        # Dictionaries are the administrator's choice.
        "spelling": Chosen(extensions=("enchant",)),
        "full": Chosen(
            packages=("locales",),
            extensions=("enchant", "pspell"),
            includes=("fonts", "git", "imagick", "ldap", "pear", "spelling"),
        ),
    }
)

IMPLIED: Mapping[str, str] = MappingProxyType(
    {"enchant": "spelling", "imagick": "imagick", "ldap": "ldap", "pspell": "spelling"}
)
"""Extensions that find nothing in a jail without a capability."""

SPELLERS = frozenset({"enchant", "pspell"})

SAID_ELSEWHERE: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys((*ALWAYS, "fpmjail"), "every jail has it: leave it out"),
        **{name: f"say it with jail.{name}" for name in ("charsets", "dns", "locales", "timezones")},
        **{name: f"say it with jail.{name}" for name in ("mysql", "postgresql", "redis", "proc")},
        "mail": "say it with jail.mail",
        "programs": "say it with jail.programs",
        **dict.fromkeys(("restricted-shell", "shell"), "say it with jail.shell"),
        BIND: "say it with jail.libraries: bind",
    }
)
"""Capabilities that are no words of `jail.capabilities`, and what to do instead."""


def capabilities(site: Site) -> tuple[str, ...]:
    """Return all that the image of a site can do, sorted: declared, included, implied by its extensions."""
    # mail() starts its program by a shell.
    shell = Shell.RESTRICTED if site.jail.mail and site.jail.shell is Shell.NONE else site.jail.shell
    declared = (
        ("locales", site.jail.locales),
        ("programs", site.jail.programs),
        ("mail", site.jail.mail),
        (BIND, site.jail.libraries is Libraries.BIND),
    )
    return tuple(sorted({*ALWAYS, *_chosen(site), *SHELLS[shell], *(name for name, wanted in declared if wanted)}))


def extensions(site: Site) -> tuple[str, ...]:
    """Return the PHP extensions of a site, sorted: those that it names, and those that its capabilities need."""
    found = set(site.php.extensions)
    for name in site.jail.capabilities:
        for one in (name, *_includes(name)):
            needed = CHOICE[one].extensions if one in CHOICE else ()
            # Whoever has one speller needs no other.
            found |= set() if one == "spelling" and found & SPELLERS else set(needed)
    return tuple(sorted(found))


def packages(site: Site) -> tuple[str, ...]:
    """Return the Debian packages that the capabilities of a site need beside PHP's extensions, sorted."""
    return tuple(sorted({package for name in _chosen(site) if name in CHOICE for package in CHOICE[name].packages}))


def resembles(name: str) -> str:
    """Return the word of ours that one of the administrator's own looks like, or an empty string."""
    close = difflib.get_close_matches(name, sorted(CHOICE), n=1, cutoff=0.75)
    return "" if name in CHOICE or not close else close[0]


def _chosen(site: Site) -> frozenset[str]:
    named = {*site.jail.capabilities, *(IMPLIED[name] for name in site.php.extensions if name in IMPLIED)}
    return frozenset(one for name in named for one in (name, *_includes(name)))


def _includes(name: str) -> tuple[str, ...]:
    """Everything in here is listed, so there is nothing to follow."""
    return CHOICE[name].includes if name in CHOICE else ()
