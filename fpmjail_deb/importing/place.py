# SPDX-License-Identifier: GPL-2.0-or-later
"""Names and places of a site: what it will be called, and where its files go."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from fpmjail_deb import names
from fpmjail_deb.importing.draft import Draft, Move, flow, refusal, scalar
from fpmjail_deb.location import Location

SHARED_PARENTS = frozenset(
    {
        "/", "/home", "/opt", "/srv", "/srv/http", "/srv/sites", "/srv/www", "/usr/local/www", "/usr/share", "/var",
        "/var/customers/webs", "/var/lib", "/var/www", "/var/www/clients", "/var/www/vhosts", "/www",
    }
)  # fmt: skip
"""Directories below which each site has one of its own."""


@dataclass(frozen=True, slots=True)
class Named:
    """A host name, and where it stands."""

    name: str
    location: Location


def site_name(host: str, pool: str) -> str:
    """Return a name for a site that has none yet: its host name's first word, or its pool's name."""
    label = host.removeprefix("*.").removeprefix("www.").partition(".")[0] or pool
    name = re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")[:25].strip("-") or "site"
    return name if not refusal("site", scalar(name)) else f"site-{name}"[:25].strip("-")


def give_domains(found: Sequence[Named], draft: Draft) -> None:
    """Take over the host names: the first is the main one; what is none is named."""
    good: dict[str, Location] = {}
    for one in found:
        name = one.name.lower().rstrip(".")
        reason = refusal("aliases", flow([name]))
        if reason:
            draft.remark(one.location, one.name, f"no host name that a site can have: {reason}")
        else:
            good.setdefault(name, one.location)
    ordered = sorted(good, key=lambda name: name.startswith("*."))
    if ordered and not ordered[0].startswith("*."):
        draft.give("domains", flow(ordered), good[ordered[0]])


def give_root(root: str, location: Location, draft: Draft) -> None:
    """Take over the document root, and say where its files go."""
    base = names.base_directory(draft.name)
    path = PurePosixPath(root)
    if not path.is_absolute() or ".." in path.parts or "$" in root:
        draft.remark(location, root, "no plain path: name the directory with web.document_root")
        return
    if path.is_relative_to(base) and path != PurePosixPath(base):
        draft.give("web.document_root", scalar(str(path.relative_to(base))), location)
        return
    parent = str(path.parent)
    own = parent not in SHARED_PARENTS and not refusal("web.document_root", scalar(path.name))
    draft.move = Move(parent, base) if own else Move(str(path), f"{base}/htdocs")
    if own:
        draft.give("web.document_root", scalar(path.name), location, f"was {root}")


def steps(draft: Draft, root: str) -> list[str]:
    """Return the commands that bring the site's files to their place on the server."""
    user = draft.values.get(("user",))
    account = user.text if user else names.user(draft.name)
    base = names.base_directory(draft.name)
    old, new = draft.move.old, draft.move.new
    copy = [f"cp -R --preserve=links,timestamps {shlex.quote(old)}/. {new}/"] if old else []
    return [*copy, f"chown -hR {account}: {base}/*"] if root else []


def give_certificate(files: dict[str, tuple[str, Location]], main: str, draft: Draft) -> None:
    """Take over certificate and key, unless they are where certbot puts them."""
    usual = f"/etc/letsencrypt/live/{main}"
    for key, name in (("certificate", "fullchain.pem"), ("key", "privkey.pem")):
        text, location = files[key]
        if (files["certificate"][0], files["key"][0]) != (f"{usual}/fullchain.pem", f"{usual}/privkey.pem"):
            draft.give(f"web.tls.{key}", scalar(text), location)
        elif text != f"{usual}/{name}":
            draft.remark(location, text, "no path that a description can have")
