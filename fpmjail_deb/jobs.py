# SPDX-License-Identifier: GPL-2.0-or-later
"""The rule of `cron`: a list of jobs, each a group of keys of its own."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import Any

from fpmjail_deb import document, names, rules, schedule
from fpmjail_deb.document import Mapping, Node, Refused, Scalar, Sequence, join
from fpmjail_deb.rules import ListRule, Reading, RejectedError, Rule, ScalarRule, UnreadError, value_of, word
from fpmjail_deb.site import Job

DAY = 24 * 3600
LONGEST_ARGUMENT = 1000
CALENDAR_HINT = "see systemd.time(7), and try it: systemd-analyze calendar"
_PROGRAM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*|(?:/[A-Za-z0-9._][A-Za-z0-9._+-]*)+")
_FOR_A_SHELL = re.compile(r"[0-9]*(?:>>?|<)&?[^ ]*|\|\|?|&&?|;|.*;$|.*\$\(.*|.*`.*")


def job_name() -> ScalarRule[str]:
    """The name of a job, which its units have in theirs."""
    return word("a name of 1 to 30 characters of a-z, 0-9 and -, the first no -", names.JOB_NAME)


def calendar() -> ScalarRule[str]:
    """When a job runs, systemd.time(7); what belongs into a crontab is refused with what it is here."""

    def hint(text: str) -> str:
        meant = schedule.from_cron(text)
        if meant and schedule.is_calendar(meant):
            return f'that is for a crontab; here it is "{meant}"'
        if schedule.is_cron(text):
            return f"that is for a crontab, and there is nothing here that means just the same; {CALENDAR_HINT}"
        if "*/" in text:
            return f'did you mean "{text.replace("*/", "0/")}"? ' + CALENDAR_HINT
        return CALENDAR_HINT

    def convert(text: str) -> str:
        if not schedule.is_calendar(text):
            raise RejectedError(hint(text))
        return text

    expected = 'a time of systemd\'s such as "*-*-* 02:30", "*:0/15" or daily'
    return ScalarRule(expected, convert, {"type": "string", "maxLength": schedule.LONGEST})


def argument() -> ScalarRule[str]:
    """One word of a command."""
    return rules.free_text("one word of a command", LONGEST_ARGUMENT)


@dataclass(frozen=True, slots=True)
class CommandRule:
    """A program and its arguments: a list of words, or one text that is split at blanks, quotes heeded."""

    expected: str = "a list of words, or one text without anything that is a shell's"

    def read(self, node: Node, path: str, reading: Reading) -> tuple[str, ...]:
        if isinstance(node, Refused):
            raise UnreadError(path)
        if isinstance(node, Scalar) and not node.missing:
            words = self._split(node, path, reading)
        elif isinstance(node, Sequence) and node.items:
            words = tuple(argument().read(item, f"{path}[{index}]", reading) for index, item in enumerate(node.items))
        else:
            message = f"expected {self.expected}, found {document.kind(node)}"
            raise reading.refuse(node.location, path, message, "for example: php bin/console cleanup")
        self._check_program(words[0], node, path, reading)
        return words

    def _split(self, node: Scalar, path: str, reading: Reading) -> tuple[str, ...]:
        try:
            words = tuple(shlex.split(node.text))
        except ValueError as error:
            message = f"expected a command, found a quote that does not end ({error})"
            raise reading.refuse(node.location, path, message, "write it as a list of words") from None
        if not words:
            raise reading.refuse(node.location, path, f"expected {self.expected}, found nothing", "write a command")
        foreign = [one for one in node.text.split() if _FOR_A_SHELL.fullmatch(one)]
        if foreign:
            message = f"{foreign[0]} is for a shell, and the jail has none"
            hint = "let a PHP script do that; output goes to the journal; if it is an argument: write a list of words"
            raise reading.refuse(node.location, path, message, hint)
        return words

    def _check_program(self, program: str, node: Node, path: str, reading: Reading) -> None:
        if not _PROGRAM.fullmatch(program):
            message = f'expected the name of a program in the jail, or its path from the root, found "{program}"'
            raise reading.refuse(node.location, path, message, f"if it is a script: php {program}")
        if program.startswith(("/var/www/", "/tmp/")):
            message = f"{program} cannot be a program: nothing is executable where the site can write"
            raise reading.refuse(node.location, path, message, f"if it is a script: php {program}")

    def json_schema(self) -> dict[str, object]:
        listed = {"type": "array", "items": argument().json_schema(), "minItems": 1}
        return {"anyOf": [{"type": "string"}, listed]}


KEYS: dict[str, Rule[Any]] = {
    "name": job_name(),
    "schedule": calendar(),
    "command": CommandRule(),
    "randomized_delay": rules.duration(0, DAY),
}
REQUIRED = ("name", "schedule", "command")


@dataclass(frozen=True, slots=True)
class JobRule:
    """One job: a group of keys."""

    expected: str = "a group of the keys name, schedule, command, and randomized_delay"

    def read(self, node: Node, path: str, reading: Reading) -> Job:
        if isinstance(node, Refused):
            raise UnreadError(path)
        if not isinstance(node, Mapping):
            message = f"expected {self.expected}, found {document.kind(node)}"
            raise reading.refuse(node.location, path, message, "- name: ...")
        before = len(reading.problems)
        values = {key.text: value_of(KEYS, key, value, path, reading) for key, value in node.entries}
        for key in REQUIRED:
            if key not in values:
                reading.refuse(node.location, join(path, key), "is missing", "every job has a " + ", a ".join(REQUIRED))
        if len(reading.problems) > before:
            raise UnreadError(path)
        return Job(values["name"], values["schedule"], values["command"], values.get("randomized_delay", 0))

    def json_schema(self) -> dict[str, object]:
        return {
            "type": "object",
            "additionalProperties": False,
            "properties": {key: rule.json_schema() for key, rule in KEYS.items()},
            "required": list(REQUIRED),
        }


@dataclass(frozen=True, slots=True)
class JobsRule:
    """A list of jobs, each with a name of its own."""

    expected: str = "a list of jobs, each with name, schedule, command, and randomized_delay if it shall vary"

    def read(self, node: Node, path: str, reading: Reading) -> tuple[Job, ...]:
        jobs = ListRule(JobRule(), "jobs").read(node, path, reading)
        for index, job in enumerate(jobs):
            if job.name in [other.name for other in jobs[:index]]:
                place = f"{path}[{index}]"
                reading.refuse(reading.origins[place], place, f'a second job "{job.name}"', "give each its own name")
        return jobs

    def json_schema(self) -> dict[str, object]:
        return {"type": "array", "items": JobRule().json_schema()}
