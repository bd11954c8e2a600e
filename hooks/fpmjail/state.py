# SPDX-License-Identifier: MIT
"""What `configure` did for a site, kept in /var/lib/fpmjail/sites/NAME/state.json."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path

from fpmjail import files
from fpmjail.layout import Layout

KEPT_ARRIVALS = 20
Arrival = tuple[str, str]
"""A version, and when it came."""


@dataclass(frozen=True, slots=True)
class State:
    """The last configuration of a site; fingerprints tell what has to be done again, times are UTC in ISO form.

    `arrivals` are the versions that came, the last one last.
    """

    version: str = ""
    profile: str = ""
    configured: str = ""
    units: str = ""
    socket: str = ""
    pool_dropins: str = ""
    web_dropins: str = ""
    pool_refused: str | None = None
    web_refused: str | None = None
    sftp_refused: str | None = None
    disabled: bool = False
    isolation: str = "dedicated"
    apparmor: str = ""
    arrivals: tuple[Arrival, ...] = ()

    @property
    def since(self) -> str:
        """When the version came."""
        return self.arrivals[-1][1] if self.arrivals else self.configured or "never"


def read(layout: Layout, name: str) -> State | None:
    """The state of a site, or None when it was never configured, or was removed, or the file is damaged."""
    try:
        found = json.loads((layout.state / name / "state.json").read_text())
        known = {field.name for field in fields(State)}
        kept = {key: value for key, value in found.items() if key in known}
        arrivals = tuple((str(version), str(when)) for version, when in kept.pop("arrivals", ()))
    except (OSError, ValueError, AttributeError, TypeError, RecursionError):
        return None
    return State(**kept, arrivals=arrivals) if all(_fits(key, value) for key, value in kept.items()) else None


def _fits(key: str, value: object) -> bool:
    """Whether a value is of the kind that this field has."""
    if key == "disabled":
        return isinstance(value, bool)
    return isinstance(value, str) or (value is None and key.endswith("_refused"))


def write(layout: Layout, name: str, state: State) -> None:
    """Keep the state of a site."""
    files.make_directory(layout.state / name, 0, 0, 0o755)
    files.replace_file(layout.state / name / "state.json", (json.dumps(asdict(state), indent=1) + "\n").encode(), 0o644)


def forget(layout: Layout, name: str) -> None:
    """The site was removed."""
    (layout.state / name / "state.json").unlink(missing_ok=True)


def mark(layout: Layout, name: str, off: bool) -> None:
    """Leave the mark that keeps the site off, its timers after a boot too, when its package goes and comes again; or
    take it away."""
    files.make_directory(layout.state / name, 0, 0, 0o755)
    place = switched_off(layout, name)
    if off:
        files.touch(place)
    else:
        place.unlink(missing_ok=True)


def marked(layout: Layout, name: str) -> bool:
    """Whether an administrator has switched the site off."""
    return switched_off(layout, name).exists()


def switched_off(layout: Layout, name: str) -> Path:
    """The mark; the package's timers name it as well."""
    return layout.site_state(name) / "switched-off"


def set_disabled(layout: Layout, name: str, disabled: bool) -> None:
    """Remember that an administrator switched a site off, or on again; of one that was never configured the mark is all
    that there is to remember."""
    mark(layout, name, disabled)
    if known := read(layout, name):
        write(layout, name, replace(known, disabled=disabled))


def arrived(before: State, version: str, when: str) -> tuple[Arrival, ...]:
    """The versions that came, with this one; one that is configured again came when it came."""
    if before.arrivals and before.arrivals[-1][0] == version:
        return before.arrivals
    return (*before.arrivals, (version, when))[-KEPT_ARRIVALS:]


def now() -> str:
    """This moment, UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
