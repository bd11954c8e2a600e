# SPDX-License-Identifier: GPL-2.0-or-later
"""When a job runs: systemd's OnCalendar expressions (systemd.time(7)), and what they are for a line of a crontab."""

from __future__ import annotations

import re

SHORTHANDS = (
    "minutely", "hourly", "daily", "monthly", "weekly", "quarterly", "semiannually", "yearly", "annually",
)  # fmt: skip
DAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
NICKNAMES = {
    "@hourly": "hourly", "@daily": "daily", "@midnight": "daily", "@weekly": "weekly", "@monthly": "monthly",
    "@yearly": "yearly", "@annually": "yearly",
}  # fmt: skip
FIELDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
"""The least and the greatest number of each field of a crontab: minute, hour, day, month, day of the week."""


def _component(number: str) -> str:
    one = rf"(?:(?:{number})(?:\.\.(?:{number}))?(?:/[1-9][0-9]?)?)"
    return rf"(?:\*|{one}(?:,{one})*)"


_DAY = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_DAYS = rf"{_DAY}(?:\.\.{_DAY})?(?:,{_DAY}(?:\.\.{_DAY})?)*"
_YEAR = _component("20[0-9]{2}")
_MONTH = _component("0?[1-9]|1[0-2]")
_DAY_OF_MONTH = _component("0?[1-9]|[12][0-9]|3[01]")
_HOUR = _component("[01]?[0-9]|2[0-3]")
_SIXTIETH = _component("[0-5]?[0-9]")
_DATE = rf"(?:{_YEAR}-)?{_MONTH}[-~]{_DAY_OF_MONTH}"
_TIME = rf"{_HOUR}:{_SIXTIETH}(?::{_SIXTIETH})?"
_ZONE = r"(?:UTC|[A-Z][A-Za-z_]+/[A-Z][A-Za-z_/+-]+)"
CALENDAR = re.compile(
    rf"(?:(?:{'|'.join(SHORTHANDS)})|{_DAYS}(?: {_DATE})?(?: {_TIME})?|{_DATE}(?: {_TIME})?|{_TIME})(?: {_ZONE})?"
)
"""What this program takes: a part of what systemd 252 and 257 take, with every number in its range."""


def from_cron(text: str) -> str | None:
    """Return the OnCalendar expression that means the same as a line of a crontab(5), or None if there is none.

    A nickname such as @daily, or five fields. A day of the month and one of the week together mean either of them to
    cron and both of them to systemd, so that has no equivalent.
    """
    if text.lower() in NICKNAMES:
        return NICKNAMES[text.lower()]
    fields = text.split()
    if len(fields) != len(FIELDS) or (fields[2] != "*" and fields[4] != "*"):
        return None
    found = [_field(field, index) for index, field in enumerate(fields[:4])]
    days = "" if fields[4] == "*" else _days(fields[4])
    if days is None or None in found:
        return None
    minute, hour, day, month = found
    return f"{days} *-{month}-{day} {hour}:{minute}".strip()


def is_cron(text: str) -> bool:
    """Whether a text is what people write into a crontab, well or not."""
    return text.startswith("@") or bool(re.fullmatch(r"[-0-9*,/A-Za-z]+(?: +[-0-9*,/A-Za-z]+){4}", text))


def _field(field: str, index: int) -> str | None:
    parts = [_part(part, index) for part in field.split(",")]
    if "*" in parts and len(parts) > 1:
        return None
    return None if None in parts else ",".join(filter(None, parts))


def _part(part: str, index: int) -> str | None:
    """Return `first..last/step` of `first-last/step`; `*/5` counts from the least number."""
    found = re.fullmatch(r"(\*|\w+)(?:-(\w+))?(?:/([1-9][0-9]?))?", part)
    if not found or (found[1] == "*" and found[2]):
        return None
    if found[1] == "*":
        return f"{_padded(FIELDS[index][0], index)}/{found[3]}" if found[3] else "*"
    numbers = [_number(text, index) for text in (found[1], found[2]) if text]
    if None in numbers or (found[3] and len(numbers) == 1):
        return None
    span = "..".join(_padded(number, index) for number in numbers if number is not None)
    return f"{span}/{found[3]}" if found[3] else span


def _number(text: str, index: int) -> int | None:
    if index == 3 and text.lower() in MONTHS:
        return MONTHS.index(text.lower()) + 1
    if index == 4 and text.capitalize() in DAYS:
        return DAYS.index(text.capitalize())
    low, high = FIELDS[index]
    return int(text) if re.fullmatch(r"[0-9]{1,2}", text) and low <= int(text) <= high else None


def _padded(number: int, index: int) -> str:
    return DAYS[number % 7] if index == 4 else f"{number:02}"


def _days(field: str) -> str | None:
    """Return the days of the week by name; systemd counts them in no steps."""
    return None if "/" in field or "*" in field else _field(field, 4)
