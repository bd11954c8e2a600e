# SPDX-License-Identifier: MIT
"""Asks dpkg which packages own files, and which packages are in the middle of something."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

OWN = "fpmjail"
PROGRAM = "dpkg-query"
_AT_ONCE = 2000  # paths per call: far below the kernel's limit for arguments
SETTLED = frozenset(("installed", "triggers-pending", "triggers-awaited"))
UNPACKED = SETTLED | {"unpacked", "half-configured"}
"""All files are there, of one version; their postinst is still to run, or has failed (dpkg(1))."""
_MERGED = re.compile(r"^/usr(?=/(?:bin|sbin|lib|lib32|lib64|libx32)/)")


class PackageError(Exception):
    """dpkg-query cannot be asked."""


def _query(root: Path, *arguments: str) -> str:
    """dpkg-query's output; its exit status 1 only says that not every path or package is known."""
    import subprocess

    command = [PROGRAM, f"--admindir={root / 'var/lib/dpkg'}", *arguments]
    environment = {"LC_ALL": "C.UTF-8", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, env=environment)
    except OSError as error:
        raise PackageError(f"dpkg-query: {error.strerror}") from error
    if done.returncode not in (0, 1):
        raise PackageError(f"dpkg-query: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout.decode(errors="surrogateescape")


def spellings(path: str) -> tuple[str, ...]:
    """A path as dpkg may know it: packages of bookworm ship /lib/... for what lies in /usr/lib/..."""
    other = _MERGED.sub("", path)
    return (path,) if other == path else (path, other)


def parse_owners(output: str, versions: dict[str, str]) -> dict[str, tuple[str, str]]:
    """{path as dpkg spells it: (package, version)} from the output of `dpkg-query -S`.

    A line is `package[, package...]: path`; lines about diversions (`diversion by X from: path`) are passed over.
    """
    owners: dict[str, tuple[str, str]] = {}
    for line in output.splitlines():
        names, separator, path = line.partition(": ")
        if separator and path.startswith("/") and not names.startswith(("diversion by ", "local diversion ")):
            package = names.split(", ")[0]
            owners.setdefault(path, (package, versions.get(package, "")))
    return owners


def owners(paths: Iterable[str], root: Path = Path("/")) -> dict[str, tuple[str, str]]:
    """{path: (package, version)} for those of `paths` that a package owns, `package` as dpkg names it (libc6:amd64).

    Raises PackageError.
    """
    wanted = sorted(set(paths))
    asked = [_escape(spelling) for path in wanted for spelling in spellings(path)]
    if not asked:
        return {}
    output = "".join(
        _query(root, "-S", "--", *asked[start : start + _AT_ONCE]) for start in range(0, len(asked), _AT_ONCE)
    )
    known = parse_owners(output, _versions(root))
    return {path: known[spelling] for path in wanted for spelling in spellings(path) if spelling in known}


def _escape(path: str) -> str:
    """dpkg-query takes what has wildcards in it for a pattern."""
    return re.sub(r"([*?\[\\])", r"\\\1", path)


def _versions(root: Path) -> dict[str, str]:
    lines = _query(root, "-W", "-f", "${binary:Package} ${Version}\n").splitlines()
    return dict(line.split(" ", 1) for line in lines if " " in line)


def unfinished(packages: Iterable[str], root: Path = Path("/"), enough: frozenset[str] = SETTLED) -> list[str]:
    """Those of `packages` that dpkg has not brought to a state in `enough`, sorted; fpmjail itself is left out because
    its own trigger runs while it is not done. Raises PackageError."""
    names = sorted({name for name in packages if name.partition(":")[0] != OWN})
    if not names:
        return []
    output = _query(root, "-W", "-f", "${binary:Package} ${db:Status-Status}\n", "--", *names)
    states = dict(line.split(" ", 1) for line in output.splitlines() if " " in line)
    return [name for name in names if states.get(name, "not-installed") not in enough]


def installed(package: str, root: Path = Path("/")) -> bool:
    """True when dpkg has nothing more to do for a package; in its own maintainer scripts it is not."""
    try:
        return not unfinished([package], root)
    except PackageError:
        return False


def needs(patterns: Iterable[str], root: Path = Path("/")) -> dict[str, tuple[str, ...]]:
    """{package: its relations} of those that are there, among all whose names match; a relation is as Depends: and
    Pre-Depends: have it (deb-control(5)). Raises PackageError."""
    form = "${Package}\t${db:Status-Status}\t${Pre-Depends}, ${Depends}\n"
    rows = (line.split("\t", 2) for line in _query(root, "-W", "-f", form, "--", *patterns).splitlines())
    return {
        name: tuple(filter(None, (one.strip() for one in relations.split(","))))
        for name, state, relations in rows
        if state in UNPACKED
    }


def states(pattern: str, root: Path = Path("/")) -> list[tuple[str, str, str, str, str]]:
    """(package, what is wanted of it, state, version configured before, Depends:) of those whose names match; the words
    are dpkg-query(1)'s. Raises PackageError."""
    form = "${Package}\t${db:Status-Want}\t${db:Status-Status}\t${Config-Version}\t${Depends}\n"
    rows = (line.split("\t") for line in _query(root, "-W", "-f", form, "--", pattern).splitlines())
    return [(row[0], row[1], row[2], row[3], row[4]) for row in rows if len(row) == 5]
