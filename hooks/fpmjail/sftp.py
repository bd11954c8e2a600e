# SPDX-License-Identifier: MIT
"""SFTP for the owner of a site: sshd is told of it by a file of our own, only after sshd itself has accepted it.

What the site's package ships is copied, not linked: sshd does not start when one of its files is missing. The account
stays without shell and password; only sshd's own SFTP server is run for it, with the site's base as root directory.
"""

from __future__ import annotations

import pwd
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from fpmjail import files, systemd
from fpmjail.layout import Layout
from fpmjail.site import Site
from fpmjail.systemd import Answer

SSHD = Path("/usr/sbin/sshd")
CONFIGURATION = Path("/etc/ssh/sshd_config")
DROP_INS = Path("/etc/ssh/sshd_config.d")
SHADOW = Path("/etc/shadow")
UNITS = Path("/etc/systemd/system")
MASKED = "/dev/null"
SERVICE = "ssh.service"
SOCKET = "ssh.socket"
LOCKED, INVALID = "!", "*"

Settings = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of it: `words` are for the admin, `refused` is why nothing was touched."""

    words: tuple[str, ...] = ()
    refused: str | None = None


def drop_in(site: Site) -> Path:
    """Our file among sshd's."""
    return DROP_INS / f"{site.package}.conf"


def apply(layout: Layout, site: Site, off: bool) -> Applied:
    """Let sshd know of the site's SFTP, or forget it. Never reloads, and touches nothing that is broken already."""
    if site.sftp is None or off:
        withdraw(layout, site)
        return Applied()
    keep_systemd_away(site.user.name)
    refused = obstacle() or candidate_fault(site.sftp.configuration) or take(layout, site)
    if refused:
        return Applied(refused=f"{refused}; then: fpmjail configure {site.name}")
    settings = effective(site.user.name)
    unlock(site.user.name, settings)
    stranger = not_admitted(site.user.name, site.user.group, settings)
    return Applied(words=(stranger,) if stranger else ())


def obstacle() -> str | None:
    """Why sshd cannot be told anything."""
    if not SSHD.exists() or not CONFIGURATION.exists():
        return "OpenSSH's server is not installed: apt install openssh-server"
    before = verdict(CONFIGURATION)
    return None if before.good else f"sshd's configuration was broken before: {before.words}; correct it"


def verdict(configuration: Path) -> Answer:
    """`sshd -t`; it wants the directory that its service makes."""
    Path("/run/sshd").mkdir(0o755, exist_ok=True)
    return systemd.run([str(SSHD), "-t", "-f", str(configuration)])


def candidate_fault(text: Path) -> str | None:
    """Why sshd would not take our text together with the whole configuration of this server."""
    with tempfile.TemporaryDirectory(prefix="fpmjail-sshd-") as directory:
        main = Path(directory) / "sshd_config"
        main.write_text(f"Include {text}\nInclude {CONFIGURATION}\n")
        answer = verdict(main)
    return None if answer.good else f"sshd refuses {text}: {answer.words}"


def take(layout: Layout, site: Site) -> str | None:
    """Put our file among sshd's; take it out again unless all of it counts there. Returns why."""
    assert site.sftp is not None
    live, text = drop_in(site), site.sftp.configuration.read_text()
    if not DROP_INS.is_dir():
        return f"{DROP_INS} is missing: make it, and let {CONFIGURATION} include {DROP_INS}/*.conf"
    changed = files.replace_file(live, text.encode(), 0o644)
    wrong = contradictions(wanted(text), effective(site.user.name))
    if wrong:
        live.unlink()
        return f"what sshd's other files say counts more: {'; '.join(wrong)}; does {CONFIGURATION} include {DROP_INS}?"
    if changed:
        ask_for_reload(layout)
    return None


def wanted(text: str) -> Settings:
    """The settings of our text, but for its Match line."""
    lines = (line.strip() for line in text.splitlines())
    settings = (line.partition(" ") for line in lines if line and not line.startswith(("#", "Match ")))
    return {name.lower(): value for name, _, value in settings}


def effective(user: str) -> Settings:
    """What counts for a user, as `sshd -T` says it; of settings with many lines all, one after the other."""
    connection = f"user={user},host=localhost,addr=127.0.0.1,laddr=127.0.0.1,lport=22"
    answer = systemd.run([str(SSHD), "-T", "-C", connection, "-f", str(CONFIGURATION)])
    settings: dict[str, str] = {}
    for line in answer.words.splitlines() if answer.good else ():
        name, _, value = line.partition(" ")
        settings[name] = f"{settings[name]} {value}" if name in settings else value
    return settings


def contradictions(ours: Settings, settings: Settings) -> tuple[str, ...]:
    """Which of our settings do not count."""
    return tuple(
        f"{name} is `{settings.get(name, '')}`" for name, value in ours.items() if settings.get(name, "") != value
    )


def not_admitted(user: str, group: str, settings: Settings) -> str | None:
    """Which list of the administrator's keeps the account out; patterns as in sshd_config(5)."""
    for name, who in (("users", user), ("groups", group)):
        if matches(who, settings.get(f"deny{name}", "")):
            return f"SFTP: sshd's Deny{name.capitalize()} keeps {who} out"
        if f"allow{name}" in settings and not matches(who, settings[f"allow{name}"]):
            return f"SFTP: sshd's Allow{name.capitalize()} does not name {who}, so nobody gets in"
    return None


def matches(name: str, patterns: str) -> bool:
    """True when one of the patterns, of which only the part before an @ is looked at, fits a name."""
    return any(fnmatchcase(name, pattern.partition("@")[0]) for pattern in patterns.split())


def password(user: str) -> str:
    """The second field of the account's line in shadow(5)."""
    lines = (line.split(":") for line in SHADOW.read_text(errors="replace").splitlines())
    return next((fields[1] for fields in lines if fields[0] == user and len(fields) > 1), "")


def unlock(user: str, settings: Settings) -> None:
    """Without PAM sshd refuses keys of a locked account, so it gets a password that nothing fits instead.

    (auth.c, allowed_user: `!` means locked on Linux. With PAM it does not look.)
    """
    if settings.get("usepam") == "no" and password(user).startswith(LOCKED):
        systemd.run(["usermod", "--password", INVALID, user])


def lock(user: str) -> None:
    """Take back what `unlock` did."""
    if password(user) == INVALID:
        systemd.run(["usermod", "--lock", user])


def own_systemd(user: str) -> Path | None:
    """What keeps a log-in from starting the user's own systemd, or None for an account that is not there.

    By pam_systemd(8) any log-in starts `systemd --user`, outside of every jail. A process of the site's uid is a way
    out for the site's code: by /proc/PID/root or ptrace(2).
    """
    with suppress(KeyError):
        return UNITS / f"user@{pwd.getpwnam(user).pw_uid}.service"
    return None


def keep_systemd_away(user: str) -> None:
    """Mask the user's own systemd; SFTP works without. What an administrator has put there stays."""
    unit = own_systemd(user)
    if unit and UNITS.is_dir() and not unit.exists() and not unit.is_symlink():
        files.replace_link(unit, MASKED)


def let_systemd_back(user: str) -> None:
    """Take back what `keep_systemd_away` did."""
    unit = own_systemd(user)
    if unit and unit.is_symlink() and str(unit.readlink()) == MASKED:
        unit.unlink()


def withdraw(layout: Layout, site: Site) -> bool:
    """Take our file away from sshd's and lock the account again; True if there was one."""
    let_systemd_back(site.user.name)
    live = drop_in(site)
    if not live.is_file() and not live.is_symlink():
        return False
    live.unlink()
    lock(site.user.name)
    ask_for_reload(layout)
    return True


def mark(layout: Layout) -> Path:
    """Is there while sshd has to be reloaded."""
    return layout.run / "sshd-changed"


def ask_for_reload(layout: Layout) -> None:
    """The next `reload` has something to do."""
    files.make_run(layout.run)
    files.touch(mark(layout))


def listening() -> bool:
    """True when sshd runs, or is started by a connection."""
    return systemd.active(SERVICE) or systemd.active(SOCKET)


def reload(layout: Layout) -> str | None:
    """Reload a running sshd if it was changed and its configuration passes the test; returns what is in the way."""
    if not mark(layout).exists():
        return None
    if systemd.running() and systemd.active(SERVICE):
        answer = verdict(CONFIGURATION)
        if not answer.good:
            return f"sshd keeps its old configuration, the new one is broken: {answer.words}"
        if not systemd.permitted(SERVICE, "reload"):
            return "policy-rc.d forbids reloading sshd; do it yourself: systemctl reload ssh"
        answer = systemd.systemctl("reload", SERVICE)
        if not answer.good:
            return f"systemctl reload ssh: {answer.words}"
    mark(layout).unlink()
    return None


def faults(site: Site) -> tuple[str, ...]:
    """What keeps the owner out, or lets him do more than he should."""
    if site.sftp is None:
        return ()
    before = obstacle()
    if before:
        return (before,)
    if not drop_in(site).is_file():
        return (f"{drop_in(site)} is missing",)
    settings = effective(site.user.name)
    stranger = not_admitted(site.user.name, site.user.group, settings)
    wrong = contradictions(wanted(site.sftp.configuration.read_text()), settings)
    unit = own_systemd(site.user.name)
    if unit and UNITS.is_dir() and not unit.is_symlink():
        wrong = (*wrong, f"{unit.name} is not masked: a log-in would start a systemd of the site's user, in no jail")
    return (*wrong, *((stranger,) if stranger else ()), *(() if listening() else ("sshd is not running",)))
