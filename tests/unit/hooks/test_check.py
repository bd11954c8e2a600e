# SPDX-License-Identifier: GPL-2.0-or-later
"""The golden rules, each on what is right and on what is wrong."""

from __future__ import annotations

import stat
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from test_site_json import EXAMPLE, read

from fpmjail import check, facts, judges, probe
from fpmjail.cron import Fate
from fpmjail.doors import Door
from fpmjail.facts import Entry, Master, Process, Visit, WebServer
from fpmjail.finding import Finding, Level, origin, ruled
from fpmjail.mounts import Mount
from fpmjail.places import SiteFault
from fpmjail.probe import Result
from fpmjail.site import Filesystem, Jail, Job, Paths, Php, Profile, Sftp, Site, Tls, Units, User, Web
from fpmjail.vhost import Lacks

UID, GID, WEB = 990, 991, 33
JAIL = "/var/lib/fpmjail/jails/example"
DIGEST, OLDER = "0123456789abcdef", "fedcba9876543210"
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)

SITE = Site(
    name="example",
    package="site-example-jail",
    version="1.0.0+deb13",
    release="trixie",
    generator="fpmjail-deb 0.1.0",
    source="example.yaml",
    isolation="dedicated",
    user=User("_site-example", "_site-example", Path("/var/www/example"), None),
    profile=Profile("a1b2c3d4e5f6", "8.4", ("charsets", "php"), ("CP1252",), (), (), "image"),
    paths=Paths(
        base=Path("/var/www/example"),
        document_root=Path("/var/www/example/htdocs"),
        jail=Path(JAIL),
        logs=Path("/var/log/fpmjail/example"),
        socket=Path("/run/fpmjail/example.sock"),
        pool=Path("/usr/share/fpmjail/sites/example/pool.conf"),
        vhost=Path("/usr/share/fpmjail/sites/example/apache.conf"),
    ),
    units=Units("site-example-jail.service", "site-example-jail.socket", ("image.mount",), ()),
    sandbox=(),
    filesystem=Filesystem((Path("/var/www/example"),), (Path("/var/www/example"), Path("/tmp"))),
    jail=Jail("resolver", "none", ()),
    php=Php("8.4", ("curl",), 120),
    web=Web("apache", "site-example-jail", ("example.org",), ("proxy_fcgi",), "safe", None),
    writable=(),
    origins=(("jail.charsets", "example.yaml:14:3"), ("php.extensions[0]", "example.yaml:9:5")),
)


def directory(path: str, mode: int = 0o755, uid: int = 0, gid: int = 0) -> Entry:
    return Entry(path, stat.S_IFDIR | mode, uid, gid)


def file(path: str, mode: int = 0o644, uid: int = 0) -> Entry:
    return Entry(path, stat.S_IFREG | mode, uid, 0)


def levels(findings: tuple[Finding, ...]) -> list[str]:
    return [finding.level.value for finding in findings]


def test_a_probe_that_failed_names_the_line_that_asked_for_it() -> None:
    finding = judges.judge_capability(SITE, Result("charsets", False, ("CP1252: Wrong encoding",)))
    assert (finding.level, finding.seen, finding.origin) == (Level.BAD, "CP1252: Wrong encoding", "example.yaml:14")
    assert "fpmjail refresh" in finding.fix


def test_a_probe_that_nobody_answered_points_at_the_units() -> None:
    finding = judges.judge_capability(SITE, Result("php", False, ("No such file",), answered=False))
    assert finding.fix == "systemctl status site-example-jail.socket site-example-jail.service"


def test_a_probe_that_open_basedir_shuts_out_says_what_to_add() -> None:
    finding = judges.judge_capability(SITE, Result("php", False, (probe.SHUT_OUT,), answered=False))
    assert finding.fix == "add /.image/ to open_basedir"
    bound = replace(SITE, profile=replace(SITE.profile, libraries="bind"))
    finding = judges.judge_capability(bound, Result("php", False, (probe.SHUT_OUT,), answered=False))
    assert finding.fix == "add /usr/share/fpmjail/ to open_basedir"


def test_a_probe_that_passed_is_good() -> None:
    assert judges.judge_capability(SITE, Result("tls", True, (), 0.0123)).seen == "works (12 ms)"


def test_the_line_of_a_key_is_found_through_its_first_item() -> None:
    assert origin(SITE, "php.extensions") == "example.yaml:9"
    assert origin(SITE, "web.htaccess") == ""


def test_a_base_below_root_s_directories_is_good() -> None:
    chain = [directory(path) for path in ("/", "/var", "/var/www", "/var/www/example")]
    assert judges.judge_base(SITE, chain).good


@pytest.mark.parametrize(
    "wrong",
    [
        directory("/var/www", 0o775),
        directory("/var/www", 0o757),
        directory("/var/www", uid=UID),
        Entry("/var/www", stat.S_IFLNK | 0o777, 0, 0),
    ],
)
def test_a_base_that_somebody_else_could_exchange_is_bad(wrong: Entry) -> None:
    chain = [directory("/"), directory("/var"), wrong, directory("/var/www/example")]
    finding = judges.judge_base(SITE, chain)
    assert finding.level is Level.BAD
    assert "/var/www (uid" in finding.seen


def test_a_missing_base_is_bad() -> None:
    assert "is missing" in judges.judge_base(SITE, [directory("/")]).seen


@pytest.mark.parametrize(
    ("found", "level"),
    [
        (directory("/d", uid=UID), Level.GOOD),
        (directory("/d"), Level.GOOD),
        (directory("/d", uid=1000), Level.WARNING),
        (None, Level.BAD),
        (Entry("/d", stat.S_IFLNK | 0o777, 0, 0), Level.BAD),
    ],
)
def test_a_document_root_is_a_directory_of_the_site_s(found: Entry | None, level: Level) -> None:
    assert judges.judge_document_root(SITE, found, UID).level is level


def test_logs_are_root_s_and_the_group_s() -> None:
    logs = str(SITE.paths.logs)
    assert judges.judge_logs(SITE, directory(logs, 0o770, 0, GID), GID).good
    assert not judges.judge_logs(SITE, directory(logs, 0o777, 0, GID), GID).good
    assert not judges.judge_logs(SITE, directory(logs, 0o770, UID, GID), GID).good
    assert not judges.judge_logs(SITE, None, GID).good


WHOLE_JAIL = (
    directory(JAIL),
    directory(f"{JAIL}/etc"),
    file(f"{JAIL}/etc/passwd"),
    Entry(f"{JAIL}/usr", stat.S_IFLNK | 0o777, 0, 0),
    directory(f"{JAIL}/tmp", 0o700, UID, GID),
    directory(f"{JAIL}/var/lib/php/sessions", 0o700, UID, GID),
)


def test_a_whole_jail_is_good() -> None:
    assert levels(judges.judge_jail(SITE, WHOLE_JAIL, UID)) == ["good", "good", "good"]


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        (directory(f"{JAIL}/etc/php", 0o777), ["bad", "good", "good"]),
        (file(f"{JAIL}/etc/fpm.conf", uid=UID), ["bad", "good", "good"]),
        (directory(f"{JAIL}/tmp", 0o777, UID, GID), ["good", "bad", "good"]),
        (directory(f"{JAIL}/tmp", 0o700, 1000), ["good", "bad", "good"]),
        (file(f"{JAIL}/etc/su", 0o4755), ["good", "good", "bad"]),
        (file(f"{JAIL}/etc/wall", 0o2755), ["good", "good", "bad"]),
        (Entry(f"{JAIL}/dev/sda", stat.S_IFBLK | 0o600, 0, 0), ["good", "good", "bad"]),
    ],
)
def test_each_fault_of_a_jail_is_found_by_its_rule(extra: Entry, expected: list[str]) -> None:
    assert levels(judges.judge_jail(SITE, (*WHOLE_JAIL, extra), UID)) == expected


def test_a_missing_jail_is_bad() -> None:
    assert judges.judge_jail(SITE, (), UID)[0].level is Level.BAD


def test_an_image_is_root_s_alone() -> None:
    assert judges.judge_image([directory("/i"), file("/i/a")]).good
    assert not judges.judge_image([directory("/i"), file("/i/a", 0o666)]).good
    assert not judges.judge_image([directory("/i"), file("/i/su", 0o4755)]).good
    assert not judges.judge_image([]).good


IMAGE = Mount(
    device="8:1",
    root="/var/lib/fpmjail/images/a1b2c3d4e5f6",
    target=f"{JAIL}/.image",
    options=("ro", "nosuid", "nodev", "relatime"),
    shared=False,
    filesystem="ext4",
    source="/dev/sda1",
)


def test_one_private_read_only_mount_is_good() -> None:
    foreign = replace(IMAGE, target=f"{JAIL}-two/.image", options=("rw",))
    assert levels(judges.judge_mounts(SITE, [IMAGE, foreign])) == ["good", "good"]


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ([], "mounted 0 times"),
        ([IMAGE, IMAGE], "mounted 2 times"),
        ([replace(IMAGE, options=("ro", "nodev"))], "not nosuid"),
        ([replace(IMAGE, shared=True)], "shared"),
        ([replace(IMAGE, root="/var/lib/fpmjail/images/ffffffffffff")], "expected /images/a1b2c3d4e5f6"),
    ],
)
def test_a_wrong_mount_of_the_image_is_bad(table: list[Mount], reason: str) -> None:
    finding = judges.judge_mounts(SITE, table)[0]
    assert finding.level is Level.BAD
    assert reason in finding.seen


def test_a_writable_mount_below_the_jail_is_bad() -> None:
    writable = replace(IMAGE, target=f"{JAIL}/var/www/example", options=("rw",))
    assert levels(judges.judge_mounts(SITE, [IMAGE, writable])) == ["good", "bad"]


SEALED = Process(100, "php-fpm", UID, 0, True, 2)
MASTER = Master(
    100,
    (f"/.image/{DIGEST}/usr/lib/libc.so.6", "/dev/zero (deleted)", "/memfd:x (deleted)"),
    (
        replace(IMAGE, target="/", options=("ro",)),
        replace(IMAGE, target="/var/www/example", options=("rw", "noexec")),
        replace(IMAGE, target="/tmp", options=("rw", "noexec")),
    ),
)


def test_sealed_processes_are_good_and_so_is_an_idle_site() -> None:
    assert judges.judge_processes(SITE, [SEALED], MASTER).good
    assert judges.judge_processes(SITE, [], None).good


@pytest.mark.parametrize(
    ("process", "reason"),
    [
        (replace(SEALED, capabilities=0x1000), "has capabilities 1000"),
        (replace(SEALED, no_new_privileges=False), "may gain privileges"),
        (replace(SEALED, seccomp=0), "unfiltered"),
    ],
)
def test_a_process_that_could_do_more_is_bad(process: Process, reason: str) -> None:
    finding = judges.judge_processes(SITE, [SEALED, replace(process, pid=7, name="bash")], MASTER)
    assert finding.level is Level.BAD
    assert finding.seen.startswith("bash (7): ")
    assert reason in finding.seen


def test_a_master_of_another_user_is_bad() -> None:
    assert "does not run as _site-example" in judges.judge_processes(SITE, [replace(SEALED, pid=5)], MASTER).seen


def test_the_view_from_inside_is_read_only_and_not_executable() -> None:
    assert judges.judge_view(SITE, MASTER).good
    assert judges.judge_view(SITE, None).good
    open_root = replace(MASTER, mounts=(replace(IMAGE, target="/", options=("rw",)), *MASTER.mounts[1:]))
    assert "root of the jail is writable" in judges.judge_view(SITE, open_root).seen
    assert "/tmp is not noexec" in judges.judge_view(SITE, replace(MASTER, mounts=MASTER.mounts[:2])).seen


def test_the_mount_on_top_is_the_one_that_counts() -> None:
    covered = (*MASTER.mounts, replace(IMAGE, target="/tmp", options=("rw",)))
    assert "/tmp is not noexec" in judges.judge_view(SITE, replace(MASTER, mounts=covered)).seen


def test_a_master_that_runs_from_the_current_generation_alone_is_good() -> None:
    assert judges.judge_master(SITE, MASTER, DIGEST).good
    assert judges.judge_master(SITE, None, DIGEST).good


@pytest.mark.parametrize(
    ("mapped", "reason"),
    [
        ((*MASTER.mapped, f"/.image/{OLDER}/usr/lib/a.so"), f"generation {OLDER}, current is {DIGEST}"),
        ((*MASTER.mapped, "/usr/lib/libc.so.6 (deleted)"), "maps /usr/lib/libc.so.6 (deleted)"),
        (("/usr/sbin/php-fpm8.4",), "no generation at all"),
    ],
)
def test_a_master_with_older_files_is_bad(mapped: tuple[str, ...], reason: str) -> None:
    finding = judges.judge_master(SITE, replace(MASTER, mapped=mapped), DIGEST)
    assert finding.level is Level.BAD
    assert reason in finding.seen


def test_a_fresh_generation_tells_its_age() -> None:
    (finding,) = judges.judge_generation(SITE, DIGEST, "2026-11-20T12:00:00+00:00", True, "", NOW)
    assert finding.good
    assert finding.seen == f"{DIGEST}, built 3 days ago, equal to the server"


def test_a_stale_or_held_generation_is_a_warning() -> None:
    findings = judges.judge_generation(SITE, DIGEST, "broken", False, "probe failed", NOW)
    assert levels(findings) == ["warning", "warning"]
    assert "of unknown age" in findings[0].seen
    assert findings[1].seen == "probe failed"


def test_a_site_without_a_generation_is_bad() -> None:
    assert levels(judges.judge_generation(SITE, None, "", False, "", NOW)) == ["bad"]


@pytest.mark.parametrize(
    ("created", "words"),
    [
        ("2026-11-23T11:59:00+00:00", "built just now"),
        ("2036-11-23T12:00:00+00:00", "built at 2036-11-23T12:00:00+00:00, which is still to come: a clock was wrong"),
        ("2026-11-23T11:30:00Z", "built 30 minutes ago"),
        ("2026-11-23T02:00:00+00:00", "built 10 hours ago"),
        ("2026-11-23T02:00:00", "of unknown age"),
    ],
)
def test_an_age_is_told_in_its_largest_unit(created: str, words: str) -> None:
    assert judges.aged(created, NOW) == words


@pytest.mark.parametrize(
    ("found", "level"),
    [
        (Entry("/s", stat.S_IFSOCK | 0o600, WEB, WEB), Level.GOOD),
        (Entry("/s", stat.S_IFSOCK | 0o660, 0, WEB), Level.GOOD),
        (Entry("/s", stat.S_IFSOCK | 0o660, WEB, WEB), Level.BAD),
        (Entry("/s", stat.S_IFSOCK | 0o660, 0, 0), Level.BAD),
        (Entry("/s", stat.S_IFSOCK | 0o660, UID, WEB), Level.BAD),
        (Entry("/s", stat.S_IFSOCK | 0o666, WEB, WEB), Level.BAD),
        (Entry("/s", stat.S_IFSOCK | 0o666, 0, WEB), Level.BAD),
        (Entry("/s", stat.S_IFSOCK | 0o600, UID, WEB), Level.BAD),
        (file("/s", 0o600, WEB), Level.BAD),
        (None, Level.BAD),
    ],
)
def test_only_the_web_server_may_speak_to_php(found: Entry | None, level: Level) -> None:
    assert judges.judge_socket(SITE, found, WebServer(WEB, WEB)).level is level


def test_who_is_in_the_group_of_the_web_server_may_speak_to_php_as_well_and_is_named() -> None:
    found = Entry("/s", stat.S_IFSOCK | 0o660, 0, WEB)
    told = judges.judge_socket(SITE, found, WebServer(WEB, WEB, ("deploy", "backup")))
    assert told.level is Level.WARNING and "deploy, backup" in told.seen
    assert told.fix == "gpasswd --delete deploy www-data"
    told = judges.judge_socket(SITE, found, WebServer(WEB, WEB, others=("upload",)))
    assert told.level is Level.WARNING and "upload" in told.seen
    assert told.fix == "usermod --gid GROUP upload"


def test_the_account_is_the_site_s_alone_inside_and_outside() -> None:
    line = "_site-example:x:990:991::/var/www/example:/usr/sbin/nologin\n"
    assert levels(judges.judge_account(SITE, None, line)) == ["good", "good"]
    assert levels(judges.judge_account(SITE, SiteFault("shared uid", "give it its own"), line)) == ["bad", "good"]
    assert levels(judges.judge_account(SITE, None, line + "root:x:0:0::/:/bin/sh\n")) == ["good", "bad"]
    assert levels(judges.judge_account(SITE, None, None)) == ["good", "bad"]


def test_missing_modules_and_php_outside_of_jails_are_named() -> None:
    assert levels(judges.judge_server((), Lacks((), ""), SITE)) == ["good", "good"]
    lacks = Lacks(("the module headers is off",), "a2enmod headers")
    whole, outside = judges.judge_server((Door("Debian's www pool", "disable it"),), lacks, SITE)
    assert (whole.level, whole.name, whole.fix) == (Level.BAD, "apache", "a2enmod headers")
    assert outside.level is Level.WARNING and outside.fix == "if nothing needs it: disable it"


def test_the_open_htaccess_is_a_warning() -> None:
    assert judges.judge_htaccess(SITE).good
    assert judges.judge_htaccess(replace(SITE, web=replace(SITE.web, htaccess="all"))).level is Level.WARNING


def test_drop_ins_that_are_not_live_are_named() -> None:
    assert judges.judge_dropins((), SITE).good
    finding = judges.judge_dropins(("/etc/fpmjail/x.conf:3: unknown entry",), SITE)
    assert (finding.level, finding.fix) == (Level.WARNING, "fpmjail configure example")


def test_a_site_that_waits_for_its_certificate_is_good() -> None:
    tls = replace(SITE, web=replace(SITE.web, tls=Tls(Path("/c.pem"), Path("/k.pem"), True)))
    assert judges.judge_certificate(SITE, False) == ()
    (waiting,) = judges.judge_certificate(tls, False)
    assert waiting.good
    assert waiting.seen == "HTTP only, until /c.pem is there"


def test_a_certificate_that_nobody_looks_out_for_is_a_warning() -> None:
    tls = replace(SITE, web=replace(SITE.web, tls=Tls(Path("/c.pem"), Path("/k.pem"), True)))
    there, unseen = judges.judge_certificate(tls, True, ["example-certificate.path"])
    assert there.good and unseen.level is Level.WARNING
    assert "example-certificate.path is not active" in unseen.seen
    assert unseen.fix == "systemctl start example-certificate.path"


@pytest.mark.parametrize(
    ("visit", "level"),
    [
        (Visit("http://e/", 200, "hello"), Level.GOOD),
        (Visit("http://e/", 301, ""), Level.GOOD),
        (Visit("http://e/", 404, "<h1>not here</h1>"), Level.GOOD),
        (Visit("http://e/", 404, "File not found.\n"), Level.BAD),
        (Visit("http://e/", 503, ""), Level.BAD),
        (Visit("http://e/", None, "Connection refused"), Level.BAD),
    ],
)
def test_a_start_page_is_anything_but_an_error_of_the_server(visit: Visit, level: Level) -> None:
    assert judges.judge_visit(SITE, visit).level is level


def test_many_faults_are_counted_instead_of_listed() -> None:
    finding = ruled("t", "n", [f"fault {number}" for number in range(10)], "", "fix")
    assert finding.seen == "fault 0; fault 1; fault 2 and 7 more"


SFTP_SITE = replace(SITE, sftp=Sftp(Path("/usr/share/fpmjail/sites/example/sshd.conf")))
TRANSFER = Process(300, "sshd-session", UID, 0, False, 0, "/usr/lib/openssh/sshd-session", "/var/www/example")


def test_sshds_own_sftp_server_needs_no_walls_where_the_site_has_sftp() -> None:
    assert judges.judge_processes(SFTP_SITE, [SEALED, TRANSFER], MASTER).good
    upgraded = replace(TRANSFER, program="/usr/sbin/sshd (deleted)")
    assert judges.judge_processes(SFTP_SITE, [SEALED, upgraded], MASTER).good


@pytest.mark.parametrize(
    ("site", "process"),
    [
        (SITE, TRANSFER),
        (SFTP_SITE, replace(TRANSFER, root="/")),
        (SFTP_SITE, replace(TRANSFER, program="/usr/bin/bash")),
    ],
)
def test_anything_else_without_walls_is_bad(site: Site, process: Process) -> None:
    assert judges.judge_processes(site, [SEALED, process], MASTER).level is Level.BAD


JOB = Job("tick", "daily", ("php", "a.php"), "site-example-jail-cron-tick.timer", "site-example-jail-cron-tick.service")
FATE = Fate(JOB, True, True, False, "today", "success", "0", "tomorrow")


@pytest.mark.parametrize(
    ("fate", "missing", "level", "seen"),
    [
        (FATE, (), Level.GOOD, "good; next run tomorrow"),
        (replace(FATE, result="exit-code", status="9"), (), Level.WARNING, "exit-code, status 9"),
        (replace(FATE, waiting=False), (), Level.WARNING, "its timer is stopped"),
        (FATE, ("the job tick cannot run: the jail has no ls",), Level.BAD, "the jail has no ls"),
        (FATE, ("the job ticks cannot run: the jail has no ls",), Level.GOOD, "good"),
    ],
)
def test_a_job_is_judged_by_its_program_its_last_run_and_its_timer(
    fate: Fate, missing: tuple[str, ...], level: Level, seen: str
) -> None:
    finding = judges.judge_job(SITE, fate, missing)
    assert finding.level is level and seen in finding.seen


def test_sftp_is_good_only_when_nothing_is_wrong() -> None:
    assert judges.judge_sftp(SITE, ()) == ()
    assert levels(judges.judge_sftp(SFTP_SITE, ())) == ["good"]
    assert levels(judges.judge_sftp(SFTP_SITE, ("sshd is not running",))) == ["bad"]


def test_a_process_that_has_its_user_and_not_yet_its_walls_is_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    starting, site = replace(SEALED, no_new_privileges=False, seccomp=0), read(EXAMPLE)
    looks = [{UID: (starting,)}, {UID: (SEALED,)}, {UID: ()}]
    monkeypatch.setattr(facts, "processes_of", lambda uids: looks.pop(0))
    monkeypatch.setattr(check, "_ids", lambda user, group: (UID, UID))
    monkeypatch.setattr("time.sleep", lambda _: None)
    assert check.processes([site], {UID}) == {UID: (SEALED,)} and len(looks) == 1
    looks = [{UID: (starting,)}] * 9
    assert check.processes([site], {UID}) == {UID: (starting,)}, "one that stays so is no passing moment"
