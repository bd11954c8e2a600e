# SPDX-License-Identifier: MIT
"""What `configure` did for a site, kept in /var/lib/fpmjail/sites/NAME/state.json."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime

from fpmjail import files
from fpmjail.layout import Layout


@dataclass(frozen=True, slots=True)
class State:
    """The last configuration of a site; fingerprints tell what has to be done again, times are UTC in ISO form."""

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


def read(layout: Layout, name: str) -> State | None:
    """The state of a site, or None when it was never configured, or was removed, or the file is damaged."""
    try:
        found = json.loads((layout.state / name / "state.json").read_text())
        known = {field.name for field in fields(State)}
        kept = {key: value for key, value in found.items() if key in known}
    except (OSError, ValueError, AttributeError, RecursionError):
        return None
    return State(**kept) if all(_fits(key, value) for key, value in kept.items()) else None


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


def set_disabled(layout: Layout, name: str, disabled: bool) -> None:
    """Remember that an administrator switched the site off, or on again."""
    write(layout, name, replace(read(layout, name) or State(), disabled=disabled))


def now() -> str:
    """This moment, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
