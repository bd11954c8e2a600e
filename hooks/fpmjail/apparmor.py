# SPDX-License-Identifier: MIT
"""AppArmor's profile of a site: a second wall, which may be missing, and never is a reason for a site to be down.

systemd puts it in force (AppArmorProfile= in the site's sandbox) if it is loaded when a process starts.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fpmjail import files, systemd
from fpmjail.finding import Finding, good, warning
from fpmjail.site import Site

TOPIC = "walls"
NAME = "AppArmor"
DIRECTIVE = "AppArmorProfile"
ENFORCE, COMPLAIN = "enforce", "complain"


@dataclass(frozen=True, slots=True)
class Places:
    """Where AppArmor has its files; other ones in tests."""

    profiles: Path = Path("/etc/apparmor.d")
    kernel: Path = Path("/sys/kernel/security/apparmor")
    switch: Path = Path("/sys/module/apparmor/parameters/enabled")
    processes: Path = Path("/proc")


@dataclass(frozen=True, slots=True)
class Seen:
    """What was found: modes are `enforce`, `complain`, or empty for none; `wanted` is what the file asks for.

    `running` is the mode of the master's confinement, None where there is no master.
    """

    on: bool
    there: bool
    disabled: bool
    wanted: str
    loaded: str
    running: str | None


def name_of(site: Site) -> str:
    """The name of the site's profile, empty for a site without."""
    return dict(site.sandbox).get(DIRECTIVE, "").removeprefix("-")


def enabled(places: Places) -> bool:
    """True where this kernel has AppArmor on and lets us load profiles, which it does not in a container."""
    with suppress(OSError):
        return places.switch.read_text().strip() == "Y" and (places.kernel / ".replace").exists()
    return False


def mode_of(label: str, name: str) -> str:
    """The mode in `NAME (MODE)`, as the kernel writes labels; empty for the label of something else."""
    found, _, mode = label.strip().rstrip("\0\n").rpartition(" ")
    return mode.strip("()") if found == name else ""


def loaded(name: str, places: Places) -> str:
    """The mode in which the kernel has a profile; empty when it has none."""
    with suppress(OSError):
        for line in (places.kernel / "profiles").read_text().splitlines():
            if mode := mode_of(line, name):
                return mode
    return ""


def confinement(pid: int, name: str, places: Places) -> str:
    """The mode in which a process has this profile; empty when it has another one, or none."""
    with suppress(OSError):
        return mode_of((places.processes / str(pid) / "attr/current").read_text(errors="replace"), name)
    return ""


def apply(site: Site, places: Places = Places()) -> tuple[str, ...]:
    """Load the site's profile where AppArmor is on; returns what is in the way, which keeps no site from starting."""
    name = name_of(site)
    file = places.profiles / name
    if not name or not enabled(places) or not file.exists() or (places.profiles / "disable" / name).exists():
        return ()
    answer = load(file)
    if answer.status == 127:
        return ("no AppArmor profile: apparmor_parser is missing; apt install apparmor, then: "
                f"fpmjail configure {site.name}",)  # fmt: skip
    if not answer.good:
        return (f"no AppArmor profile: {last_line(answer.words)}; correct {file}, then: fpmjail configure {site.name}",)
    return ()


def load(file: Path) -> systemd.Answer:
    """Load a profile, or put it in the place of the one that is loaded: as Debian's packages do (dh_apparmor(1))."""
    return systemd.run(["apparmor_parser", "--replace", "--skip-read-cache", "--write-cache", str(file)])


def last_line(words: str) -> str:
    """The line in which apparmor_parser says what is wrong."""
    lines = [line for line in words.splitlines() if line.strip() and not line.startswith("Warning")]
    return lines[-1] if lines else "apparmor_parser refuses it"


def in_force(site: Site, places: Places = Places()) -> bool:
    """Whether a site's processes have its profile, and not only to complain."""
    name = name_of(site)
    return bool(name) and loaded(name, places) == ENFORCE


def fingerprint(site: Site, places: Places = Places()) -> str:
    """A short name for the profile that a site's processes have, with the administrator's rules; empty for none."""
    if not in_force(site, places):
        return ""
    name = name_of(site)
    found = (path.read_bytes() for path in (places.profiles / name, places.profiles / "local" / name) if path.is_file())
    return hashlib.sha256(b"\0".join(found)).hexdigest()[:16]


def loosen(site: Site, places: Places = Places()) -> str:
    """PHP does not work: let the profile only complain, in case that it is the reason. Returns what was done to tell;
    empty when there is no profile in force."""
    if not in_force(site, places):
        return ""
    name = name_of(site)
    link = places.profiles / "force-complain" / name
    files.make_directory(link.parent, 0, 0, 0o755)
    files.replace_link(link, f"../{name}")
    load(places.profiles / name)
    return (
        f"PHP does not work under its AppArmor profile, which now only complains: journalctl -k --grep {name}; rules "
        f"of your own: {places.profiles}/local/{name}; then: rm {link}; fpmjail configure {site.name}"
    )


def tighten(site: Site, places: Places = Places()) -> None:
    """Take that back: the profile was not the reason."""
    name = name_of(site)
    (places.profiles / "force-complain" / name).unlink(missing_ok=True)
    load(places.profiles / name)


def forget(site: Site, places: Places = Places()) -> None:
    """Unload the profile of a site that is removed; its processes have ended."""
    name = name_of(site)
    if name and loaded(name, places):
        with suppress(OSError):
            (places.kernel / ".remove").write_text(name)


def look(site: Site, pid: int | None, places: Places = Places()) -> Seen:
    """Gather what there is to judge; `pid` is the master's, None when it does not run."""
    name = name_of(site)
    file = places.profiles / name
    forced = (places.profiles / "force-complain" / name).exists()
    text = file.read_text(errors="replace") if file.is_file() else ""
    head = next((line for line in text.splitlines() if line.startswith("profile ")), "")
    return Seen(
        on=enabled(places),
        there=bool(text),
        disabled=(places.profiles / "disable" / name).exists(),
        wanted=COMPLAIN if "complain" in head.partition("flags=")[2] and not forced else ENFORCE,
        loaded=loaded(name, places),
        running=None if pid is None else confinement(pid, name, places),
    )


def judge(site: Site, seen: Seen) -> Finding:
    """Whether the second wall stands."""
    name, again = name_of(site), f"fpmjail configure {site.name}"
    file = f"/etc/apparmor.d/{name}"
    if not seen.on:
        return good(TOPIC, NAME, "AppArmor is off on this server; the other walls stand without it")
    if seen.disabled:
        return warning(TOPIC, NAME, "the profile is switched off", f"rm /etc/apparmor.d/disable/{name}; {again}")
    if not seen.there:
        return warning(TOPIC, NAME, f"{file} is gone", f"apt install --reinstall -o Dpkg::Options::=--force-confmiss "
                       f"{site.package}")  # fmt: skip
    if not seen.loaded:
        return warning(TOPIC, NAME, "the profile is not loaded", f"apparmor_parser -r {file}; then: {again}")
    if seen.running == "":
        return warning(TOPIC, NAME, "PHP runs without the profile", f"systemctl restart {site.units.service}")
    if seen.loaded != seen.wanted:
        fix = f"rm -f /etc/apparmor.d/force-complain/{name}; {again}"
        return warning(TOPIC, NAME, f"the profile is loaded in mode {seen.loaded}, not {seen.wanted}", fix)
    return good(TOPIC, NAME, "the profile is in force" if seen.loaded == ENFORCE else "the profile complains, as asked")


def findings(site: Site, pid: int | None) -> tuple[Finding, ...]:
    """The finding about a site's profile; none for a site that has none."""
    return (judge(site, look(site, pid)),) if name_of(site) else ()
