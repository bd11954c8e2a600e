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


_CHAIN = re.compile(r"([0-9]+)(?:\.\.([0-9]+))?(?:/([1-9][0-9]?))?")
_ZONE = re.compile(r"UTC|[A-Z][A-Za-z_]+/[A-Z][A-Za-z_/+-]+")
LONGEST = 200


def is_calendar(text: str) -> bool:
    """Whether systemd takes a text as OnCalendar, as 252 and 257 do: less than all they take, nothing they do not.

    A word such as daily, or days of the week, date and time, at least one of these; then a time zone if wanted.
    """
    words = text.split(" ") if len(text) <= LONGEST else []
    if words and _ZONE.fullmatch(words[-1]):
        words.pop()
    if len(words) == 1 and words[0] in SHORTHANDS:
        return True
    left = list(words)
    for fits in (_is_days, _is_date, _is_time):
        if left and fits(left[0]):
            left.pop(0)
    return bool(words) and not left


def _is_days(word: str) -> bool:
    """`Mon..Fri,Sun`; a range does not go beyond Sunday."""
    week = (*DAYS[1:], DAYS[0])
    for part in word.split(","):
        span = part.split("..")
        if len(span) > 2 or not set(span) <= set(week) or sorted(set(span), key=week.index) != span:
            return False
    return True


def _is_date(word: str) -> bool:
    """`*-*-01`, `01..06-01`, or `*-*~1`, the last day of the month."""
    start, last, from_end = word.partition("~")
    if last and not (re.fullmatch("[0-9]{1,2}", from_end) and 1 <= int(from_end) <= 28):
        return False
    parts = [*start.split("-"), *(("1",) if last else ())]
    bounds = ((1970, 2199), (1, 12), (1, 31))[-len(parts) :]
    return len(parts) in (2, 3) and all(map(_is_chain, parts, bounds))


def _is_time(word: str) -> bool:
    """`02:30`, `*:0/15`, `*:*:00`."""
    parts = word.split(":")
    return len(parts) in (2, 3) and all(map(_is_chain, parts, ((0, 23), (0, 59), (0, 59))))


def _is_chain(text: str, bounds: tuple[int, int]) -> bool:
    return text == "*" or all(_is_span(part, bounds) for part in text.split(","))


def _is_span(text: str, bounds: tuple[int, int]) -> bool:
    """`7`, `7..9`, `0/15`, `7..19/3`: rising, and the step fits in (chain_valid in systemd's calendarspec.c)."""
    found = _CHAIN.fullmatch(text) if len(text) < 15 else None
    if not found:
        return False
    start, stop = int(found[1]), int(found[2] or bounds[1])
    rising = start < stop or not found[2]
    return rising and bounds[0] <= start and stop <= bounds[1] >= start and int(found[3] or 0) <= stop - start


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
