# SPDX-License-Identifier: GPL-2.0-or-later
"""A draft -> the text of a site description that is good as it is."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence

from fpmjail_deb.description import read_site
from fpmjail_deb.errors import DescriptionError
from fpmjail_deb.importing.draft import Draft, Path, Remark, Value, scalar
from fpmjail_deb.location import Location
from fpmjail_deb.schema import FIELDS

WIDTH = 110
FILE = "site.yaml"
_ORDER = {row.path: number for number, row in enumerate(FIELDS)}


def description(draft: Draft, files: Sequence[str], steps: Sequence[str]) -> str:
    """Return the text; what is in conflict with something else is taken out of the draft and becomes a remark.

    `files` are the names of what was read, `steps` the commands that move the files. Raises DescriptionError if not
    even the required keys make a good description.
    """
    text = _text(draft, files, steps)
    while True:
        try:
            read_site(text.encode(), FILE)
        except DescriptionError as error:
            dropped = [_drop(draft, text, problem.location.line, str(problem)) for problem in error.problems]
            if not any(dropped):
                raise
            text = _text(draft, files, steps)
        else:
            return text


def drop_in(draft: Draft, server: str) -> str:
    """Return what the description cannot say but the web server's drop-in can; nothing if there is nothing."""
    blocks = [[f"# {_place(one.location)}", *one.drop_in] for one in _sorted(draft) if one.drop_in]
    if not blocks:
        return ""
    place = f"/etc/fpmjail/sites/{draft.name}/{server}.d/import.conf"
    head = f"# For {place}; then `fpmjail configure {draft.name}`.\n\n"
    return head + "\n\n".join("\n".join(block) for block in blocks) + "\n"


def _text(draft: Draft, files: Sequence[str], steps: Sequence[str]) -> str:
    lines = [
        f"# The website {draft.name}, read from {', '.join(files)}. Keys: fpmjail-site(5).",
        *_wrapped("Comments behind values say where they come from; what no key can say is at the end."),
    ]
    if steps:
        lines += _wrapped("Once its package is installed, its files go there:")
    lines += [f"#     {step}" for step in steps]
    lines += ["", *_keys(draft.values)]
    remarks = _sorted(draft)
    if remarks:
        lines += ["", *_wrapped("Not taken over as it was:")]
    for remark in remarks:
        lines += _remark(remark)
    return "\n".join(lines) + "\n"


def _sorted(draft: Draft) -> list[Remark]:
    return sorted(draft.remarks)


def _remark(remark: Remark) -> Iterator[str]:
    found = textwrap.shorten(remark.found, 160, placeholder=" ...")
    yield "#"
    yield from _wrapped(f"{_place(remark.location)}: {found}: {remark.advice}")
    if remark.drop_in:
        yield "# For the drop-in:"
    for line in remark.drop_in:
        yield "#     " + "".join(c if c.isprintable() else "  " if c == "\t" else "?" for c in line)


def _place(location: Location) -> str:
    return f"{location.file}:{location.line}"


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)


def _keys(values: Mapping[Path, Value]) -> Iterator[str]:
    group: Path = ()
    for path in sorted(values, key=lambda path: _rank(path, values)):
        above = path[:-1]
        for depth in range(len(above)):
            if group[: depth + 1] != above[: depth + 1]:
                yield from ([""] if depth == 0 else [])
                yield f"{'  ' * depth}{scalar(above[depth])}:"
        group = above
        yield _line(path, values[path])


def _rank(path: Path, values: Mapping[Path, Value]) -> tuple[int, int]:
    known = [_ORDER[key] for key in (".".join(path), ".".join(path[:-1])) if key in _ORDER]
    return known[0] if known else len(_ORDER), list(values).index(path)


def _line(path: Path, value: Value) -> str:
    key = f"{'  ' * (len(path) - 1)}{scalar(path[-1])}: {value.text}"
    return f"{key}  # {re.sub(r'[^ -~]', '?', value.remark)}" if value.remark else key


def _drop(draft: Draft, text: str, line: int, why: str) -> bool:
    """Take the value that stands in a line of the text out of the draft; return whether there was one."""
    wanted = text.split("\n")[line - 1]
    for path, value in list(draft.values.items()):
        if _line(path, value) == wanted and path[0] not in ("site", "maintainer", "domains"):
            del draft.values[path]
            place = value.location or Location(FILE, 1, 1)
            draft.remark(place, f"{'.'.join(path)}: {value.text}", why.partition(": ")[2])
            return True
    return False
