# SPDX-License-Identifier: MIT
"""The judges of a check: each is a pure function of what was seen (facts.py, probe.py), and says what to do."""

from __future__ import annotations

import re
import stat
from collections.abc import Sequence
from datetime import datetime

from fpmjail import absent, facts, places, probe, temporary, vhost, web
from fpmjail import site as sites
from fpmjail.cron import Fate
from fpmjail.doors import Door
from fpmjail.facts import Entry, Master, Process, Visit, WebServer
from fpmjail.files import WEB_USER
from fpmjail.finding import (
    CHOSEN,
    Finding,
    Level,
    Verdict,
    bad,
    compared,
    declared,
    good,
    origin,
    ruled,
    warning,
    words_outside,
)
from fpmjail.mounts import Mount
from fpmjail.probe import Result, printable
from fpmjail.site import Site

WRITABLE_IN_JAIL = frozenset({"tmp", "var/lib/php/sessions"})
SSHD = frozenset({"/usr/sbin/sshd", "/usr/lib/openssh/sshd-session"})
A_MINUTE = 60.0  # seconds that clocks may differ
SECCOMP_FILTER = 2  # proc(5): SECCOMP_MODE_FILTER
GENERATION = re.compile(r"/\.image/([0-9a-f]{16})/")
ORIGINS = {
    **dict.fromkeys(("fonts", "full", "git", "imagick", "ldap", "pear", "spelling"), CHOSEN),
    "bind": "jail.libraries",
    "charsets": "jail.charsets",
    "dns": "jail.dns",
    "locales": "jail.locales",
    "mail": "jail.mail",
    "mysql": "jail.mysql",
    "postgresql": "jail.postgresql",
    "programs": "jail.programs",
    "proc": "jail.proc",
    "redis": "jail.redis",
    "restricted-shell": "jail.shell",
    "shell": "jail.shell",
    "timezones": "jail.timezones",
    "php": "php.extensions",
    "sessions": "php.settings",
    "temporary-files": "php.settings",
    "uploads": "php.settings",
}
MADE_ANEW = "fpmjail configure {site}; else: journalctl -u {service}"
REMEDIES = {
    "bind": "systemctl restart {service}",
    "fonts": "apt install --reinstall fonts-dejavu-core; then: fpmjail refresh",
    "git": "apt install --reinstall git; then: fpmjail refresh",
    "imagick": "apt install --reinstall php{version}-imagick, see /etc/ImageMagick-*/policy.xml; fpmjail refresh",
    "ldap": "put /etc/ldap/ldap.conf right, or: apt install --reinstall libldap-common; then: fpmjail refresh",
    "pear": "apt install --reinstall php-pear; then: fpmjail refresh",
    "spelling": "apt install --reinstall the dictionary that is named; then: fpmjail refresh",
    "php": "missing extension: apt install php{version}-NAME, then: fpmjail refresh; else: journalctl -u {service}",
    "charsets": "name the charset as iconv -l does, or install its gconv module; then: fpmjail refresh",
    "locales": "apt install --reinstall locales; then: fpmjail refresh",
    "proc": "systemctl restart {service}",
    "programs": "what a program lacks can be named in `files` of jail.programs, or in /etc/fpmjail/programs.d; to try: "
    "fpmjail exec {site} -- PROGRAM",
    "timezones": "apt install --reinstall tzdata; then: fpmjail refresh",
    "tls": "apt install --reinstall ca-certificates openssl; then: fpmjail refresh",
    "services": "apt install netbase; then: fpmjail refresh",
    "sessions": MADE_ANEW,
    "temporary-files": MADE_ANEW,
    "uploads": MADE_ANEW,
}


def judge_capability(site: Site, result: Result, beyond: Result | None = None) -> Finding:
    """What a probe found, and what the same probe found `beyond` the jail, None where it was not asked."""
    key = ORIGINS.get(result.capability, "")
    seen = "; ".join(result.findings) or f"works ({result.seconds * 1000:.0f} ms)"
    verdict, words = compared(result, beyond), words_outside(beyond)
    place = declared(site, key) if key else ""
    if result.passed:
        return Finding("capability", result.capability, Level.GOOD, seen, "", place, words, verdict)
    fix = REMEDIES.get(result.capability, "fpmjail refresh; else: journalctl -u {service}")
    if verdict is Verdict.JAIL and fix.endswith("fpmjail refresh"):  # the server has what the jail has lost
        fix = f"fpmjail refresh --verify; else: {fix}"
    if not result.answered:
        shut_out = result.findings == (probe.SHUT_OUT,)
        fix = f"add {probes_of(site)} to open_basedir" if shut_out else "systemctl status {units}"
    elif site.shared and result.capability in ("proc", "bind"):
        fix = "systemctl restart {mounts}"
    units = " ".join(filter(None, (site.units.socket, site.units.service)))
    mounted = " ".join(site.units.mounts)
    fix = fix.format(site=site.name, service=site.units.service, units=units, mounts=mounted, version=site.php.version)
    return Finding("capability", result.capability, Level.BAD, seen, fix, place, words, verdict)


def probes_of(site: Site) -> str:
    """What open_basedir has to allow, as PHP resolves it."""
    return "/usr/share/fpmjail/" if site.profile.libraries == sites.BIND else "/.image/"


def exposed(found: Entry) -> bool:
    """True when anybody but root could change what this name leads to; links have no mode of their own."""
    return found.uid != 0 or (not stat.S_ISLNK(found.mode) and bool(found.mode & 0o022))


def dangerous(found: Entry) -> bool:
    """True for a device, a socket, a pipe, and for a file that lends its owner's rights."""
    special = stat.S_IFMT(found.mode) not in (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK)
    lends = not stat.S_ISLNK(found.mode) and bool(found.mode & (stat.S_ISUID | stat.S_ISGID))
    return special or lends


def described(found: Entry) -> str:
    """A name with owner and mode."""
    return f"{found.path} (uid {found.uid}, mode {found.permissions})"


def judge_base(site: Site, chain: Sequence[Entry]) -> Finding:
    """The base and every directory above it must be root's: whoever can rename them can exchange the site."""
    base = str(site.paths.base)
    wrong = [described(found) for found in chain if exposed(found) or not stat.S_ISDIR(found.mode)]
    if not chain or chain[-1].path != base:
        wrong.append(f"{base} is missing")
    fix = f"chown root:root {base} and its parents; chmod 0755"
    return ruled("files", "base directory", wrong, f"{base} and its parents are root's", fix)


def judge_document_root(site: Site, found: Entry | None, uid: int) -> Finding:
    """The document root is a directory, of the site's user or of root."""
    path = str(site.paths.document_root)
    if found is None or not stat.S_ISDIR(found.mode):
        seen = f"{path} is {'missing' if found is None else 'not a directory'}"
        return bad("files", "document root", seen, f"mount or make it, then: fpmjail configure {site.name}")
    if found.uid not in (0, uid):
        return warning("files", "document root", described(found), f"chown {site.user.name}: {path}")
    return good("files", "document root", path)


def judge_logs(site: Site, found: Entry | None, gid: int) -> Finding:
    """PHP's logs: root's directory, so that the site cannot exchange it, writable for the site's group."""
    right = found is not None and (found.uid, found.gid, stat.S_IMODE(found.mode)) == (0, gid, 0o770)
    if right:
        return good("files", "log directory", str(site.paths.logs))
    seen = described(found) if found else f"{site.paths.logs} is missing"
    return bad("files", "log directory", seen, f"fpmjail configure {site.name}")


def judge_jail(site: Site, entries: Sequence[Entry], uid: int) -> tuple[Finding, ...]:
    """The jail's own files: root's, but for the two directories that the site may write."""
    root = site.paths.jail
    open_to_site = {str(root / name) for name in WRITABLE_IN_JAIL}
    wrong = [described(found) for found in entries if found.path not in open_to_site and exposed(found)]
    if not entries:
        wrong.append(f"{root} is missing")
    private = [
        described(found) for found in entries if found.path in open_to_site and (found.uid != uid or found.mode & 0o022)
    ]
    lending = [described(found) for found in entries if dangerous(found)]
    again = f"fpmjail configure {site.name}"
    return (
        ruled("files", "jail", wrong, f"{len(entries)} names, all root's", again),
        ruled("files", "writable in the jail", private, "/tmp and the sessions are the site's alone", again),
        ruled("files", "set-id and devices", lending, "none in the jail", "delete them: fpmjail made none of these"),
    )


def judge_image(entries: Sequence[Entry]) -> Finding:
    """The generation in use: root's, not writable, no set-id file, no device."""
    wrong = [described(found) for found in entries if exposed(found) or dangerous(found)]
    if not entries:
        wrong.append("the image has no current generation")
    return ruled("files", "image", wrong, f"{len(entries)} names, root's, none set-id", "fpmjail refresh")


def judge_private(site: Site, table: Sequence[Mount], master: Master | None) -> tuple[Finding, ...]:
    """Nothing is mounted in the jail but in the site's own view, and that shows the image, read-only."""
    below = [mount.target for mount in table if mount.target.startswith(f"{site.paths.jail}/")]
    wrong = [f"{place} is mounted on the server" for place in below]
    for source, place in site.filesystem.read_only if master else ():
        own = [mount for mount in master.mounts if mount.target == place] if master else []
        wrong += private_faults(place, own, source.removeprefix("/var/lib/fpmjail"))
    seen = "read-only, seen by the site alone" if master else "idle: nothing is mounted"
    return (ruled("mounts", "image", wrong, seen, f"umount it; systemctl restart {site.units.service}"),)


def judge_mounts(site: Site, table: Sequence[Mount], master: Master | None = None) -> tuple[Finding, ...]:
    """One read-only, private mount of the image; but a limited /tmp nothing that a deletion could go through."""
    place = str(site.paths.jail / ".image")
    own = [mount for mount in table if mount.target == place]
    below = [mount for mount in table if mount.target.startswith(f"{site.paths.jail}/")]
    again = f"systemctl restart {' '.join(temporary.others(site))}"
    limited = str(temporary.place(site)) if temporary.unit(site) else ""
    return (
        ruled("mounts", "image", image_faults(site, place, own), f"{place}: ro,nosuid,nodev, private", again),
        *judge_usr(site, below, again),
        ruled(
            "mounts",
            "nothing writable",
            [
                f"{mount.target} is mounted read-write"
                for mount in below
                if "ro" not in mount.options and mount.target != limited
            ],
            f"no read-write mount below the jail{' but its /tmp' if limited else ''}",
            "umount it; nothing below a jail may be mounted read-write on the server",
        ),
        *temporary.judge(site, table, master.mounts if master else None),
    )


def judge_usr(site: Site, below: Sequence[Mount], again: str) -> tuple[Finding, ...]:
    """The server's own /usr, where the site has it; one that is a filesystem of its own is the root of that."""
    if site.profile.libraries != sites.BIND:
        return ()
    place = str(site.paths.jail / "usr")
    wrong = mount_faults(place, [mount for mount in below if mount.target == place], "/usr", "/")
    return (ruled("mounts", "/usr", wrong, f"{place}: the server's, ro,nosuid,nodev, private", again),)


def image_faults(site: Site, place: str, own: Sequence[Mount]) -> list[str]:
    """What is wrong with the mount of the image."""
    return mount_faults(place, own, f"/images/{site.profile.id}")


def private_faults(place: str, own: Sequence[Mount], shown: str) -> list[str]:
    """What is wrong with a mount that the site alone sees; a /usr of its own filesystem is the root of that."""
    if not own:
        return [f"{place} is not mounted"]
    wrong = [] if "ro" in own[-1].options else [f"{place} is writable"]
    known = own[-1].root.endswith(shown) or (shown == "/usr" and own[-1].root == "/")
    return wrong if known else [*wrong, f"{place} shows {own[-1].root}, expected {shown}"]


def mount_faults(place: str, own: Sequence[Mount], shown: str, *others: str) -> list[str]:
    """What is wrong with the mounts at `place`, which show a directory that ends like `shown`, or one of `others`."""
    if len(own) != 1:
        return [f"{place} is mounted {len(own)} times, expected once"]
    mount = own[0]
    wrong = [f"{place} is not {option}" for option in ("ro", "nosuid", "nodev") if option not in mount.options]
    if mount.shared:
        wrong.append(f"{place} is a shared mount")
    if not mount.root.endswith(shown) and mount.root not in others:
        wrong.append(f"{place} shows {mount.root}, expected {shown}")
    return wrong


def judge_processes(site: Site, found: Sequence[Process], master: Master | None) -> Finding:
    """Everything that runs as the site's user is sealed: no capability, no new privileges, filtered system calls.

    One uid per site: an unsealed process of the same uid is a way out of the jail by /proc/PID/root. sshd's own SFTP
    server is none: the kernel counts it as root's, because it changed its user (proc(5), PR_SET_DUMPABLE).
    """
    inside = [process for process in found if not transfers(site, process)]
    wrong = [f"{process.name} ({process.pid}): {fault}" for process in inside if (fault := unsealed(process))]
    if master and master.pid not in {process.pid for process in found}:
        wrong.append(f"the master ({master.pid}) does not run as {site.user.name}")
    fix = f"end what {site.user.name} runs outside of the jail, or: systemctl restart {site.units.service}"
    seen = f"{len(found)} processes of {site.user.name}, all sealed" if found else "idle: no process"
    return ruled("processes", "seal", wrong, seen, fix)


def transfers(site: Site, process: Process) -> bool:
    """True for sshd's own SFTP server, kept in the site's base."""
    program = process.program.removesuffix(" (deleted)")
    return site.sftp is not None and program in SSHD and process.root == str(site.paths.base)


def judge_job(site: Site, fate: Fate, missing: Sequence[str]) -> Finding:
    """A job's timer waits, its program is there, its last run ended well."""
    job, place = fate.job, origin(site, "cron")
    lacking = next((words for words in missing if words.startswith(f"the job {job.name} ")), "")
    if lacking:
        return Finding("cron", job.name, Level.BAD, printable(lacking), f"correct `cron` in {site.source}", place)
    if fate.failed and not fate.running:
        return Finding("cron", job.name, Level.WARNING, fate.outcome, f"journalctl -u {job.service}", place)
    if not fate.waiting:
        return Finding(
            "cron", job.name, Level.WARNING, "its timer is stopped", f"systemctl enable --now {job.timer}", place
        )
    return good("cron", job.name, f"{fate.outcome}; next run {fate.next or 'unknown'}")


def judge_sftp(site: Site, wrong: Sequence[str]) -> tuple[Finding, ...]:
    """sshd lets the site's owner in as the description says, and nothing but SFTP."""
    if site.sftp is None:
        return ()
    if not wrong:
        return (good("sftp", "sshd", f"keys only, SFTP only, in {site.paths.base}"),)
    seen = printable("; ".join(wrong))
    fix = f"fpmjail configure {site.name}; systemctl status ssh"
    return (Finding("sftp", "sshd", Level.BAD, seen, fix, origin(site, "sftp")),)


def unsealed(process: Process) -> str:
    """What a process could still do, or an empty string."""
    faults = []
    if process.capabilities:
        faults.append(f"has capabilities {process.capabilities:x}")
    if not process.no_new_privileges:
        faults.append("may gain privileges")
    if process.seccomp != SECCOMP_FILTER:
        faults.append("has unfiltered system calls")
    return ", ".join(faults)


def judge_view(site: Site, master: Master | None) -> Finding:
    """What the master itself has mounted: a read-only root, nothing executable where it can write."""
    if master is None:
        return good("mounts", "inside the jail", "idle: no master runs")
    at = {mount.target: mount.options for mount in master.mounts}
    wrong = [] if "ro" in at.get("/", ()) else ["the root of the jail is writable"]
    writable = map(str, site.filesystem.writable)
    wrong += [f"{path} is not noexec" for path in writable if "noexec" not in at.get(path, ())]
    seen = "root read-only, nothing executable where PHP writes"
    return ruled("mounts", "inside the jail", wrong, seen, f"systemctl restart {site.units.service}")


def judge_master(site: Site, master: Master | None, current: str | None) -> Finding:
    """The master runs from the generation in use, and maps no file that an upgrade has deleted."""
    if master is None:
        return good("generation", "master", "idle: no master runs")
    used = {found[1] for path in master.mapped if (found := GENERATION.search(path))}
    wrong = [f"maps {path}" for path in facts.deleted(master.mapped)]
    if site.profile.libraries == sites.BIND:
        seen = "runs from the server's own files"
        return ruled("generation", "master", wrong, seen, f"systemctl reload {site.units.service}")
    wrong += [f"runs from generation {digest}, current is {current}" for digest in sorted(used - {current or ""})]
    if not used:
        wrong.append("runs from no generation at all")
    return ruled("generation", "master", wrong, f"runs from {current} alone", f"systemctl reload {site.units.service}")


def judge_generation(
    site: Site, current: str | None, created: str, fresh: bool, held: str, now: datetime, lost: tuple[str, ...] = ()
) -> tuple[Finding, ...]:
    """The copies are those of the host; `created` is UTC in ISO form, `held` the reason of a hold, `lost` are packages
    that the host no longer has."""
    if current is None:
        return (bad("generation", "current", "the image was never built", f"fpmjail configure {site.name}"),)
    age = aged(created, now)
    news, way_out = (
        (absent.words(lost), absent.install(lost)) if lost else ("the server has newer files", "fpmjail refresh")
    )
    stale = warning("generation", "freshness", f"{current}, {age}: {news}", way_out)
    release = f"mend that, then: fpmjail rollback --release-hold {site.name}"
    hold = warning("generation", "hold", printable(held), release)
    return (
        good("generation", "freshness", f"{current}, {age}, equal to the server") if fresh else stale,
        *((hold,) if held else ()),
    )


def aged(created: str, now: datetime) -> str:
    """How long ago in the largest fitting unit; a clock that was ahead, or is behind, is named."""
    try:
        seconds = (now - datetime.fromisoformat(created)).total_seconds()
    except (ValueError, TypeError):
        return "of unknown age"
    if seconds < -A_MINUTE:
        return f"built at {created}, which is still to come: a clock was wrong"
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"built {seconds // size:.0f} {unit} ago"
    return "built just now"


def judge_socket(site: Site, found: Entry | None, server: WebServer) -> Finding:
    """Only the web server may ask PHP: whoever can connect can run code as the site."""
    fix = f"systemctl restart {site.units.service}"
    if not site.shared:  # a socket never starts while its service runs
        fix = f"systemctl stop {site.units.service} && systemctl restart {site.units.socket}"
        fix = f"systemd-tmpfiles --create fpmjail.conf && {fix}"
    if found is None or not stat.S_ISSOCK(found.mode):
        return bad("socket", "owner", f"{site.paths.socket} is no socket", fix)
    mode = stat.S_IMODE(found.mode)
    if mode == 0o600 and found.uid == server.uid:
        return good("socket", "owner", f"{WEB_USER} alone")
    if mode != 0o660 or (found.uid, found.gid) != (0, server.gid):
        return bad("socket", "owner", f"{described(found)}, gid {found.gid}", fix)
    if not (server.members or server.others):
        return good("socket", "owner", f"{WEB_USER} alone")
    names = ", ".join((*server.members, *server.others))
    added = [f"gpasswd --delete {name} {WEB_USER}" for name in server.members]
    fixes = (*added, *(f"usermod --gid GROUP {name}" for name in server.others))
    return warning("socket", "owner", f"as members of its group speak to PHP as {WEB_USER} does: {names}", fixes[0])


def judge_account(site: Site, fault: places.SiteFault | None, passwd: str | None) -> tuple[Finding, ...]:
    """The site's user is the site's alone, and the jail knows nobody else."""
    names = [line.partition(":")[0] for line in (passwd or "").splitlines()]
    strangers = [f"{name} is known inside" for name in names if name != site.user.name]
    if site.user.name not in names:
        strangers.append(f"{site.user.name} is not known inside")
    alone = good("account", "user", f"{site.user.name}, used by nothing else")
    own = bad("account", "user", fault.message, fault.hint) if fault else alone
    again = f"fpmjail configure {site.name}"
    return own, ruled("account", "passwd in the jail", strangers, f"knows {site.user.name} only", again)


def judge_server(outside: Sequence[Door], lacks: vhost.Lacks, site: Site) -> tuple[Finding, ...]:
    """The web server can be a way around every jail, and one that lacks something serves less than it should."""
    whole = ruled("web", site.web.server, lacks.words, "has all that the site needs of it", lacks.fix)
    if not outside:
        return whole, good("web", "PHP outside jails", f"none runs as {WEB_USER}")
    seen = f"{'; '.join(door.words for door in outside)}: run as {WEB_USER}, which may connect to every site"
    fix = f"if nothing needs it: {'; '.join(door.close for door in outside)}"
    return whole, warning("web", "PHP outside jails", seen, fix)


def judge_htaccess(site: Site) -> Finding:
    """`htaccess: all` is the admin's decision, and a hole."""
    if site.web.htaccess != "all":
        return good("web", ".htaccess", site.web.htaccess)
    seen = "`all` lets the site run programs through the web server, outside of its jail"
    return Finding("web", ".htaccess", Level.WARNING, seen, "htaccess: safe", origin(site, "web.htaccess"))


def judge_dropins(unapplied: Sequence[str], site: Site) -> Finding:
    """The admin's drop-ins that are not live, each in words."""
    if not unapplied:
        return good("settings", "drop-ins", "all applied")
    return warning("settings", "drop-ins", printable("; ".join(unapplied)), f"fpmjail configure {site.name}")


def judge_certificate(site: Site, certified: bool, unwatched: Sequence[str] = ()) -> tuple[Finding, ...]:
    """A site waits for its certificate over HTTP; that is no fault. That nobody would notice a new one is."""
    if site.web.tls is None:
        return ()
    waiting = f"HTTP only, until {site.web.tls.certificate} is there"
    found = good("web", "certificate", str(site.web.tls.certificate) if certified else waiting)
    if unwatched:
        seen = f"nobody looks out for a new one: {', '.join(unwatched)} is not active"
        return (found, warning("web", "certificate", seen, f"systemctl start {' '.join(unwatched)}"))
    return (found,)


def judge_visit(site: Site, visit: Visit) -> Finding:
    """The start page comes from this site and not as an error of the server's."""
    name = visit.address.partition(":")[0]
    if visit.status is None:
        fix = f"systemctl status {web.server(site).SERVICE}"
        return bad("web", name, f"{visit.address}: {printable(visit.words)}", fix)
    if visit.status >= 500:
        fix = f"journalctl -u {site.units.service}; look into {web.server(site).NAME}'s error log"
        return bad("web", name, f"{visit.address} answers {visit.status}", fix)
    if visit.words.strip() == "File not found.":
        return bad("web", name, f"{visit.address}: PHP does not find its script", f"fpmjail configure {site.name}")
    return good("web", name, f"{visit.address} answers {visit.status}")
