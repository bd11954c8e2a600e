# SPDX-License-Identifier: MIT
"""Programs of the server that sites declare: what is known of some, and what makes any of them unfit for a jail.

A definition is a JSON object like that of a capability, but for `probe`. Of its own it has `programs`, the paths that
it is about, `package`, named when one is missing, and `trial`: the `arguments` with which such a program shows that
it works, what it then gets as `input`, and a piece of the `output` that it must give. An administrator's definition
adds to the runtime's, and its trial counts; with `replace`: true it puts the other aside.
"""

from __future__ import annotations

import json
import posixpath
import pwd
import re
import stat
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fpmjail.capability import Problem, Rule, Wrong, parse
from fpmjail.host import Host, Resolved
from fpmjail.layout import Layout

if TYPE_CHECKING:
    from fpmjail.site import Profile

SHELLS = frozenset(("ash", "bash", "busybox", "csh", "dash", "fish", "ksh", "mksh", "rbash", "sh", "tcsh", "zsh"))
DECLARED = "declared-programs"
SHELL = "shell"  # the capability of a jail that has dash as /bin/sh
SEARCHED = ("/usr/local/bin", "/usr/bin")  # by env(1) in a jail
ACCOUNT = "_fpmjail"
PATIENCE = 10.0  # seconds for one trial
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
_OWN_KEYS = ("programs", "package", "trial")
_TRIAL_KEYS = frozenset(("arguments", "input", "output"))
_HEAD = 256  # bytes that the kernel reads of a script's first line (execve(2))


@dataclass(frozen=True, slots=True)
class Trial:
    """How a program shows that it works: it ends with status 0 and has `output` somewhere in what it says."""

    arguments: tuple[str, ...]
    input: str = ""
    output: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one program: `rules` are its data and plug-ins."""

    package: str
    rules: tuple[Rule, ...]
    trial: Trial | None


Loaded = tuple[dict[str, Known], tuple[Problem, ...], tuple[Path, ...]]


def load(layout: Layout, release: str) -> Loaded:
    """Every definition by path of program, what is wrong with files that are ignored, and what was read."""
    programs: dict[str, Known] = {}
    problems: list[Problem] = []
    sources: list[Path] = []
    for directory in (layout.programs, layout.admin_programs):
        sources.append(directory)
        for path in sorted(directory.glob("*.json")):
            sources.append(path)
            try:
                paths, known, replaces = define(path.read_bytes(), release)
            except (Wrong, OSError) as error:
                problems.append(Problem(path, str(error)))
                continue
            programs |= {one: known if replaces else merged(programs.get(one), known) for one in paths}
    return programs, tuple(problems), tuple(sources)


def merged(old: Known | None, new: Known) -> Known:
    """What both say of a program."""
    if old is None:
        return new
    return replace(old, package=new.package or old.package, rules=old.rules + new.rules, trial=new.trial or old.trial)


def define(content: bytes, release: str) -> tuple[tuple[str, ...], Known, bool]:
    """The paths of one definition, what it says of them, and whether it replaces. Raises Wrong."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Wrong(f"is not JSON: {error}") from None
    own = {key: value.pop(key) for key in _OWN_KEYS if key in value} if isinstance(value, dict) else {}
    capability = parse(json.dumps(value).encode(), release)
    if capability.probe:
        raise Wrong("`probe` is for capabilities; a program has a `trial`")
    paths, package = own.get("programs"), own.get("package", "")
    if not isinstance(paths, list) or not paths or not all(_is_program(path) for path in paths):
        raise Wrong("`programs` must be a list of paths below /usr")
    if any(rule.kind == DECLARED for rule in capability.rules):
        raise Wrong(f"`{DECLARED}` is for capabilities")
    if not isinstance(package, str):
        raise Wrong("`package` must be a string")
    return tuple(paths), Known(package, capability.rules, _trial(own.get("trial"))), capability.replaces


def _is_program(value: object) -> bool:
    return isinstance(value, str) and value.startswith("/usr/") and posixpath.normpath(value) == value


def _trial(value: object) -> Trial | None:
    if value is None:
        return None
    if not isinstance(value, dict) or not set(value) <= _TRIAL_KEYS:
        raise Wrong(f"`trial` must be an object with {', '.join(sorted(_TRIAL_KEYS))}")
    arguments, texts = value.get("arguments", []), (value.get("input", ""), value.get("output", ""))
    if not isinstance(arguments, list) or not all(isinstance(text, str) for text in (*arguments, *texts)):
        raise Wrong("`trial`: `arguments` must be a list of strings, `input` and `output` strings")
    return Trial(tuple(arguments), *texts)


def label(path: str) -> str:
    """What a program's files are counted under."""
    return f"programs/{posixpath.basename(path)}"


def head(host: Host, resolved: Resolved) -> bytes:
    """The first bytes of a program; none of what is no regular file."""
    if not resolved.is_file:
        return b""
    with Path(host.place(resolved.path)).open("rb") as file:
        return file.read(_HEAD)


def fault(resolved: Resolved, start: bytes) -> str:
    """Why a regular file cannot be a program of a jail, or an empty string; `start` are its first bytes."""
    mode = resolved.status.st_mode if resolved.status else 0
    if mode & (stat.S_ISUID | stat.S_ISGID):
        return f"is set-id (mode {stat.S_IMODE(mode):04o}) and lives on rights that nothing in a jail can have"
    if mode & 0o555 != 0o555:
        return f"is not executable for everybody (mode {stat.S_IMODE(mode):04o})"
    if not start.startswith((b"\x7fELF", b"#!")):
        return "is neither an ELF program nor a script with an interpreter"
    return ""


def interpreters(host: Host, start: bytes) -> tuple[str, ...]:
    """The programs that the first line of a script asks for: its interpreter, and what env(1) is to run."""
    found = re.match(rb"#![ \t]*([^ \t\n]+)[ \t]*([^\n]*)", start)
    if not found:
        return ()
    path, rest = (text.decode(errors="replace") for text in found.groups())
    words = [word for word in rest.split() if not word.startswith("-") and "=" not in word]
    if posixpath.basename(path) != "env" or not words:
        return (merge(path),)
    places = (f"{place}/{words[0]}" for place in SEARCHED)
    wanted = next((place for place in places if host.resolve(place).is_file), f"{SEARCHED[-1]}/{words[0]}")
    return merge(path), wanted if not words[0].startswith("/") else merge(words[0])


def merge(path: str) -> str:
    """A path as it is on a merged /usr."""
    return re.sub(r"^/(?=s?bin/)", "/usr/", path)


def is_shell(path: str) -> bool:
    """True for a program that runs whatever it is told, by its name."""
    return posixpath.basename(path) in SHELLS


def is_plain_shell(path: str) -> bool:
    """True for the shell that `jail.shell: sh` brings."""
    return posixpath.basename(path) in ("sh", "dash")


def trials(layout: Layout, profile: Profile) -> tuple[Mapping[str, object], ...]:
    """What the probe does with each declared program. One that nothing is known of is not run: who knows what it
    would do; ld.so(8) is asked whether all its libraries are there."""
    if not profile.programs:
        return ()
    from fpmjail.release import codename

    known, _, _ = load(layout, codename(layout))
    host = Host(layout.root)
    return tuple(_trial_of(host, path, known.get(path)) for path in profile.programs)


def sound(layout: Layout, told: Iterable[Mapping[str, object]]) -> tuple[Mapping[str, object], ...]:
    """Those trials that the server's own programs pass, outside of every jail, as the runtime's user: a program that is
    broken there is no fault of an image, and must not keep one from its security updates."""
    try:
        account = pwd.getpwnam(ACCOUNT)
    except KeyError:
        return tuple(told)
    return tuple(trial for trial in told if "arguments" not in trial or _passes(layout, trial, account))


def _passes(layout: Layout, trial: Mapping[str, Any], account: pwd.struct_passwd) -> bool:
    command = [str(layout.host(trial["path"])), *trial["arguments"]]
    try:
        done = subprocess.run(
            command, input=trial["input"].encode(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE,
            cwd="/", env=ENVIRONMENT, user=account.pw_uid, group=account.pw_gid, extra_groups=(),
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0 and trial["output"].encode() in done.stdout


def _trial_of(host: Host, path: str, known: Known | None) -> Mapping[str, object]:
    from fpmjail.closure import read_object

    if known and known.trial:
        trial = known.trial
        return {"path": path, "arguments": list(trial.arguments), "input": trial.input, "output": trial.output}
    resolved = host.resolve(path)
    found = read_object(Path(host.place(resolved.path))) if resolved.is_file else None
    return {"path": path, "linked": bool(found and found.interpreter)}
