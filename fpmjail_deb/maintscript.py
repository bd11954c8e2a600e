# SPDX-License-Identifier: GPL-2.0-or-later
"""Events of a package's life -> ordered snippets -> the maintainer scripts (Debian policy chapter 6).

A snippet is a template in templates/maintscript; in the script it stands between two lines that name it, its file and
the lines of the site description that it depends on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from fpmjail_deb.origins import Origins
from fpmjail_deb.render import render


class Event(Enum):
    """What dpkg tells a maintainer script: (script, first arguments that mean it)."""

    BEFORE_UNPACKING = ("preinst", ("upgrade",))
    BEFORE_UNPACKING_CODE = ("preinst", ("install", "upgrade"))
    CONFIGURE = ("postinst", ("configure", "abort-upgrade", "abort-remove", "abort-deconfigure"))
    TRIGGERED = ("postinst", ("triggered",))
    BEFORE_REMOVAL = ("prerm", ("remove", "deconfigure"))
    REMOVED = ("postrm", ("remove",))
    PURGE = ("postrm", ("purge",))


@dataclass(frozen=True, slots=True)
class Snippet:
    """One piece of a script; `keys` are the fields of the description that it depends on."""

    event: Event
    name: str
    keys: tuple[str, ...]

    @property
    def template(self) -> str:
        """Return the name of its template."""
        return f"maintscript/{self.event.value[0]}-{self.name}"


IGNORED: Mapping[str, tuple[str, ...]] = {
    "preinst": ("install", "abort-upgrade"),
    "postinst": ("triggered",),
    "prerm": ("upgrade", "failed-upgrade"),
    "postrm": ("upgrade", "failed-upgrade", "abort-install", "abort-upgrade", "disappear"),
}
"""Arguments that ask nothing of a site: it stays up while its package is upgraded."""


def snippets(
    certificate: bool,
    sftp: bool = False,
    shared: bool = False,
    programs: bool = False,
    code: bool = False,
    apparmor: bool = False,
) -> tuple[Snippet, ...]:
    """Return the snippets in the order in which they run; `certificate`: the site waits for one; `sftp`: sshd is told
    of it; `shared`: the site's data lies in its jail; `programs`: dpkg tells of changes to some; `code`: the package
    brings the site's code; `apparmor`: it has a profile."""
    unpacking = Event.BEFORE_UNPACKING_CODE if code else Event.BEFORE_UNPACKING
    return (
        Snippet(unpacking, "isolation", ("isolation",)),
        *((Snippet(unpacking, "code", ("code", "writable")),) if code else ()),
        *(() if certificate else (Snippet(Event.CONFIGURE, "former-units", ("web.tls",)),)),
        Snippet(Event.CONFIGURE, "foregone", ("site",)),
        Snippet(Event.CONFIGURE, "accounts", ("user", "uid")),
        Snippet(Event.CONFIGURE, "units", ("site", "web.tls", "cron")),
        Snippet(Event.CONFIGURE, "configure", ("site",)),
        Snippet(Event.CONFIGURE, "reload", ("web.server",)),
        *((Snippet(Event.TRIGGERED, "refresh", ("jail.programs",)),) if programs else ()),
        Snippet(Event.BEFORE_REMOVAL, "remove", ("site",)),
        Snippet(Event.BEFORE_REMOVAL, "slice", ("php.limits",)),
        Snippet(Event.REMOVED, "left-on", ("site", "web.server")),
        Snippet(Event.REMOVED, "reload-units", ("site",)),
        Snippet(Event.PURGE, "purge-alone", ("site",)),
        *(() if shared else (Snippet(Event.PURGE, "purge-jail", ("site",)),)),
        Snippet(Event.PURGE, "purge-state", ("site",)),
        Snippet(Event.PURGE, "purge-chroot" if shared else "purge-base", ("web.document_root", "writable")),
        Snippet(Event.PURGE, "purge-virtual-host", ("web.server",)),
        *((Snippet(Event.PURGE, "purge-sftp", ("sftp",)),) if sftp else ()),
        *((Snippet(Event.PURGE, "purge-apparmor", ("jail.apparmor",)),) if apparmor else ()),
        Snippet(Event.PURGE, "purge-units", ("site", "web.tls", "cron")),
        Snippet(Event.PURGE, "purge-parents", ("site",)),
    )


def scripts(chosen: tuple[Snippet, ...], origins: Origins, values: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    """Return (name, text) of every script that the snippets make, sorted by name. Raises BuildError."""
    names = sorted({snippet.event.value[0] for snippet in chosen})
    return tuple((name, _script(name, chosen, origins, values)) for name in names)


def _script(name: str, chosen: tuple[Snippet, ...], origins: Origins, values: Mapping[str, object]) -> str:
    events = [event for event in Event if any(snippet.event is event for snippet in chosen) and event.value[0] == name]
    cases = [{"arguments": event.value[1], "snippets": _texts(event, chosen, origins, values)} for event in events]
    handled = {argument for event in events for argument in event.value[1]}
    ignored = tuple(argument for argument in IGNORED[name] if argument not in handled)
    # A postrm that fails keeps the package half removed for ever, so it takes anything.
    script = {"script": name, "cases": cases, "ignored": ignored, "strict": name != "postrm"}
    return render("maintscript/script", {**values, **script})


def _texts(
    event: Event, chosen: tuple[Snippet, ...], origins: Origins, values: Mapping[str, object]
) -> list[Mapping[str, str]]:
    """Return the texts of an event's snippets, but of those that have nothing to do for this site."""
    texts = (_text(snippet, origins, values) for snippet in chosen if snippet.event is event)
    return [text for text in texts if text["text"].strip()]


def _text(snippet: Snippet, origins: Origins, values: Mapping[str, object]) -> Mapping[str, str]:
    text = render(snippet.template, values).rstrip("\n")
    indented = "\n".join(f"\t{line}" if line else "" for line in text.split("\n"))
    note = origins.note(*snippet.keys)
    return {"name": snippet.name, "origin": f"templates/{snippet.template}, {note}", "text": indented}
