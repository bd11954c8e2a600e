# SPDX-License-Identifier: GPL-2.0-or-later
"""What enters a jail beside the web: `fpmjail exec`, jobs, SFTP into the site's data. The tests tell it in order."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.lifecycle.bed import Bed
from tests.lifecycle.container import Completed
from tests.lifecycle.server import EXAMPLE, Server

PACKAGE = "site-example-jail"
ROOT = "/var/www/example/htdocs"
KEY = "/root/owner"
DROP_IN = f"/etc/ssh/sshd_config.d/{PACKAGE}.conf"
BESIDE = """
cron:
  - {{name: facts, schedule: yearly, command: php facts.php}}
  - {{name: slow, schedule: "*:*:*", command: [php, slow.php, "a $b %h 'c'"]}}
  - {{name: bad, schedule: "Mon..Fri *-01-01 02:30 UTC", command: [php, -r, exit(9);]}}
sftp:
  keys: [{key}]
"""
FACTS = """<?php
preg_match_all('/^(CapEff|NoNewPrivs|Seccomp|Uid):\\s*(\\S+)/m', file_get_contents('/proc/self/status'), $found);
echo json_encode([
    'file' => __FILE__, 'directory' => getcwd(), 'root' => scandir('/'), 'APP_ENV' => getenv('APP_ENV'),
    'HOME' => getenv('HOME'), 'TMPDIR' => getenv('TMPDIR'),
    'extensions' => array_values(array_diff(get_loaded_extensions(), ['cgi-fcgi', 'pcntl'])),
    'status' => array_combine($found[1], $found[2]), 'shell' => shell_exec('id'), 'sh' => file_exists('/bin/sh'),
    'passwd' => file('/etc/passwd'), 'umask' => umask(),
    'written' => [@file_put_contents('/etc/x', ''), @file_put_contents('/tmp/x', 'x')],
]), "\\n";
"""
SLOW = """<?php
file_put_contents('slow.log', "start $argv[1]\\n", FILE_APPEND);
sleep(3);
file_put_contents('slow.log', "end\\n", FILE_APPEND);
"""


def timer(job: str) -> str:
    return f"{PACKAGE}-cron-{job}.timer"


@pytest.fixture(scope="module")
def server(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with sshd, and a site with jobs and SFTP on it."""
    bed.publish_own_packages()
    there = Server(bed, tmp_path_factory.mktemp("dist"))
    there.shell(f"ssh-keygen -q -t ed25519 -N '' -f {KEY}; systemctl unmask ssh.service ssh.socket; mkdir -p /run/sshd")
    # Newer ones keep out for a while who was refused a few times.
    there.shell("cd /etc/ssh/sshd_config.d; echo PerSourcePenalties no >tests.conf; sshd -t || rm tests.conf")
    there.run("systemctl", "start", "ssh")
    there.publish(description(there), "example.yaml")
    there.install(PACKAGE)
    for name, text in (("facts.php", FACTS), ("slow.php", SLOW)):
        there.write_page(name, text)
    yield there


def description(server: Server) -> str:
    return EXAMPLE.read_text() + BESIDE.format(key=server.read(f"{KEY}.pub").strip())


def execute(server: Server, *words: str, **options: Any) -> Completed:
    return server.run("fpmjail", "exec", "example", "--", *words, check=False, **options)


def transfer(server: Server, *lines: str, key: str = KEY) -> Completed:
    """A batch of sftp(1), which ends at the first line that fails."""
    options = ["-i", key, "-o", "StrictHostKeyChecking=no", "-o", "BatchMode=yes"]
    return server.run("sftp", "-q", "-b", "-", *options, "_site-example@127.0.0.1", input="\n".join(lines), check=False)


def open_session(server: Server) -> subprocess.Popen[str]:
    """An owner who is connected and does nothing."""
    asked = ["sftp", "-q", "-i", KEY, "-o", "StrictHostKeyChecking=no", "_site-example@127.0.0.1"]
    session = server.container.popen(*asked, stdin=subprocess.PIPE)
    wait_for(lambda: server.run("pgrep", "-u", "_site-example", "sshd", check=False).good)
    return session


def log_in(server: Server, *options: str) -> Completed:
    usual = ["-i", KEY, "-o", "StrictHostKeyChecking=no", "-o", "BatchMode=yes"]
    return server.run("ssh", *usual, *options, check=False)


def unit(server: Server, name: str, *properties: str) -> dict[str, str]:
    shown = server.run("systemctl", "show", f"--property={','.join(properties)}", name).stdout
    return dict(line.split("=", 1) for line in shown.splitlines())


def commands(server: Server) -> list[str]:
    """The units of the commands that run in jails now."""
    listed = server.run("systemctl", "list-units", "--plain", "--no-legend", "--state=running", "fpmjail-exec:*").stdout
    return [line.split()[0] for line in listed.splitlines()]


def job(server: Server, name: str) -> dict[str, Any]:
    """How a job fares as `fpmjail status` tells it."""
    return next(fate for fate in server.status()["sites"][0]["jobs"] if fate["job"]["name"] == name)


def wait_for(truth: Any, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not truth():
        assert time.monotonic() < deadline
        time.sleep(0.3)


def test_a_command_sees_what_the_sites_php_sees(server: Server) -> None:
    page = json.loads(server.get("/facts.php").body)
    answer = execute(server, "php", "facts.php")
    assert answer.good, answer.output
    seen = json.loads(answer.stdout)
    assert seen == page
    uid = server.run("id", "-u", "_site-example").stdout.strip()
    assert seen["status"] == {"Uid": uid, "CapEff": "0" * 16, "NoNewPrivs": "1", "Seccomp": "2"}
    assert (seen["shell"], seen["sh"], seen["written"]) == (False, False, [False, 1])
    assert (seen["file"], seen["directory"]) == (f"{ROOT}/facts.php", ROOT)
    assert (seen["APP_ENV"], seen["HOME"], seen["umask"]) == ("production", "/var/www/example", 0o022)


def test_words_streams_and_exit_status_are_passed_on_as_they_are(server: Server) -> None:
    words = ["$HOME", "${HOME}", "$$", "%h %%", "a b", "q\"'\\", "", "--help", "--", "*"]
    code = "echo json_encode(array_slice($argv, 1)), stream_get_contents(STDIN); fwrite(STDERR, 'oops'); exit(42);"
    answer = execute(server, "php", "-r", code, "--", *words, input=" from outside")
    assert (answer.returncode, answer.stderr) == (42, "oops")
    assert answer.stdout.endswith(" from outside")
    assert json.loads(answer.stdout.removesuffix(" from outside")) == words


def test_a_command_has_the_inis_of_the_command_line_and_a_terminal_when_there_is_one(server: Server) -> None:
    assert execute(server, "php", "-r", "echo php_ini_loaded_file();").stdout == f"/etc/php/{server.php}/cli/php.ini"
    # systemd-run may lose what a command says in its last moment (systemd issue 7531): it lives a little longer.
    code = "var_dump(posix_isatty(STDIN)); echo getenv(chr(84).chr(69).chr(82).chr(77)); usleep(300000); exit(5);"
    command = f"fpmjail exec example -- php -r '{code}'"
    shown = server.run("script", "-qec", command, "/dev/null", env={"TERM": "xterm-256color"}, check=False)
    assert shown.returncode == 5, shown.output
    assert "bool(true)" in shown.stdout and "xterm-256color" in shown.stdout


def test_a_directory_can_be_chosen(server: Server) -> None:
    answer = server.run("fpmjail", "exec", "example", "--cwd", "uploads", "--", "php", "-r", "echo getcwd();")
    assert answer.stdout == f"{ROOT}/uploads"


@pytest.mark.parametrize(
    ("arguments", "words", "status"),
    [
        (("example", "--", "/bin/sh", "-c", "id"), "the jail has no /bin/sh; its programs: php", 1),
        (("example", "--", "ls"), "the jail has no ls; its programs: php", 1),
        (("example", "--", "./facts.php"), "nothing is executable there; if it is a PHP script: fpmjail exec", 1),
        (("example", "--cwd", "nowhere", "--", "php"), f"the jail has no directory {ROOT}/nowhere", 1),
        (("nobody", "--", "php"), "nobody: no such site; see: fpmjail status", 1),
        (("example",), "which command? fpmjail exec example -- php -v", 2),
        (("example", "php", "-v"), "put -- before the command: fpmjail exec SITE -- php -v", 2),
    ],
)
def test_what_cannot_run_is_said_in_a_sentence(
    server: Server, arguments: tuple[str, ...], words: str, status: int
) -> None:
    answer = server.run("fpmjail", "exec", *arguments, check=False)
    assert answer.returncode == status and words in answer.stderr, answer.output
    assert answer.stdout == ""


def test_a_command_counts_among_the_sites_processes_and_ends_with_its_caller(server: Server) -> None:
    caller = server.container.popen("fpmjail", "exec", "example", "--", "php", "-r", "sleep(60);")
    wait_for(lambda: commands(server))
    (name,) = commands(server)
    assert unit(server, name, "Slice")["Slice"] == "fpmjail-example.slice"
    server.run("pkill", "-TERM", "-f", "^/usr/bin/python3 -I /usr/bin/fpmjail exec")
    assert caller.wait(20) == 128 + 15
    assert unit(server, name, "ActiveState")["ActiveState"] == "inactive"


def test_a_job_sees_what_the_sites_php_sees(server: Server) -> None:
    server.run("systemctl", "start", f"{PACKAGE}-cron-facts.service")
    wait_for(lambda: '"file"' in server.container.journal("-t", f"{PACKAGE}-cron-facts", "-o", "cat"))
    said = server.container.journal("-t", f"{PACKAGE}-cron-facts", "-o", "cat").splitlines()
    assert json.loads(next(line for line in said if line.startswith("{"))) == json.loads(server.get("/facts.php").body)
    assert unit(server, f"{PACKAGE}-cron-facts.service", "Slice")["Slice"] == "fpmjail-example.slice"


def test_a_job_never_runs_twice_at_a_time(server: Server) -> None:
    wait_for(lambda: server.read(f"{ROOT}/slow.log").count("end") >= 2)
    lines = server.read(f"{ROOT}/slow.log").splitlines()
    assert set(lines[0::2]) == {"start a $b %h 'c'"} and set(lines[1::2]) == {"end"}, lines


def test_status_and_check_tell_how_jobs_fare(server: Server) -> None:
    assert not server.run("systemctl", "start", f"{PACKAGE}-cron-bad.service", check=False).good
    fine, bad = job(server, "facts"), job(server, "bad")
    assert (fine["result"], fine["running"], fine["last"] != "") == ("success", False, True)
    assert "-01-01 00:00:00" in fine["next"]
    assert (bad["result"], bad["status"]) == ("exit-code", "9")
    assert f"journalctl -u {PACKAGE}-cron-bad.service" in server.run("fpmjail", "status", check=False).stdout
    assert server.faults() == []
    cron = {finding["name"]: finding for finding in server.check() if finding["topic"] == "cron"}
    assert cron["facts"]["level"] == "good" and set(cron) == {"facts", "slow", "bad"}


def test_the_owner_uploads_with_a_key_and_visitors_see_it(server: Server) -> None:
    server.write("/root/new.php", "<?php echo 'uploaded by ', fileowner(__FILE__) === posix_getuid() ? 'owner' : '?';")
    answer = transfer(server, "pwd", "put /root/new.php", "mkdir deep", "rename new.php deep/new.php")
    assert answer.good and "Remote working directory: /htdocs" in answer.stdout, answer.output
    assert server.get("/deep/new.php").body == "uploaded by owner"
    assert server.run("stat", "-c", "%U %a", f"{ROOT}/deep/new.php", f"{ROOT}/deep").stdout.split() == [
        "_site-example", "644", "_site-example", "755",
    ]  # fmt: skip


def test_an_administrators_key_counts_at_once(server: Server) -> None:
    other = "/root/other"
    server.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other)
    assert not transfer(server, "pwd", key=other).good
    server.run("cp", f"{other}.pub", "/etc/fpmjail/sites/example/authorized_keys")
    assert transfer(server, "pwd", key=other).good and transfer(server, "pwd").good
    server.run("rm", "/etc/fpmjail/sites/example/authorized_keys")


def test_the_owner_gets_nothing_but_his_own_files(server: Server) -> None:
    server.shell(f"ln -s / {ROOT}/out; ln -s /etc {ROOT}/etc")
    seen = transfer(server, "ls -1 /")
    assert [line for line in seen.stdout.splitlines() if not line.startswith("sftp>")] == ["/htdocs"], seen.output
    for line in ("ls /etc", "get /htdocs/etc/passwd", "ls /htdocs/out/etc", "put /root/new.php /", "ls /../../etc"):
        assert not transfer(server, line).good, line


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("_site-example@127.0.0.1", "id"), "This service allows sftp connections only."),
        (("-tt", "_site-example@127.0.0.1"), "PTY allocation request failed"),
        (("-W", "127.0.0.1:80", "_site-example@127.0.0.1"), "administratively prohibited"),
        (("-o", "PubkeyAuthentication=no", "_site-example@127.0.0.1"), "Permission denied (publickey)."),
    ],
)
def test_there_is_no_shell_no_tunnel_and_no_password(server: Server, options: tuple[str, ...], words: str) -> None:
    answer = log_in(server, *options)
    assert not answer.good and words in answer.output, answer.output
    assert "uid=" not in answer.output


def test_the_sites_php_cannot_reach_the_session_of_its_owner(server: Server) -> None:
    session = open_session(server)
    found = server.run("pgrep", "-u", "_site-example", "sshd").stdout.split()
    code = 'foreach ($argv as $p) { var_dump(@scandir("/proc/$p/root"), @file_get_contents("/proc/$p/maps")); }'
    answer = execute(server, "php", "-r", code, "--", *found)
    assert set(answer.stdout.split()) == {"bool(false)"}, answer.output
    assert server.faults() == []
    session.communicate(timeout=20)


def test_a_locked_account_of_a_server_without_pam_gets_in_and_is_locked_again(server: Server) -> None:
    server.shell("echo UsePAM no >/etc/ssh/sshd_config.d/00-own.conf; systemctl reload ssh")
    wait_for(lambda: not transfer(server, "pwd").good)
    server.run("fpmjail", "configure", "example")
    assert transfer(server, "pwd").good
    assert server.shell("grep ^_site-example: /etc/shadow").stdout.split(":")[1] == "*"
    server.shell("rm /etc/ssh/sshd_config.d/00-own.conf; systemctl reload ssh; fpmjail disable example")
    assert server.shell("grep ^_site-example: /etc/shadow").stdout.split(":")[1].startswith("!")
    server.run("fpmjail", "enable", "example")


def test_a_broken_sshd_is_named_and_nothing_is_touched(server: Server) -> None:
    before = main_pid(server)
    server.shell("cp -a /etc/ssh/sshd_config /root/kept; echo 'Nonsense yes' >>/etc/ssh/sshd_config")
    server.shell(f"mv {DROP_IN} /root/drop-in")
    files = server.shell("cd /etc/ssh && find . -type f -exec sha256sum {} +").stdout
    answer = server.run("fpmjail", "configure", "example")
    assert "SFTP not applied: sshd's configuration was broken before: /etc/ssh/sshd_config" in answer.output
    assert "Nonsense" in answer.output or "nonsense" in answer.output
    assert server.shell("cd /etc/ssh && find . -type f -exec sha256sum {} +").stdout == files
    assert any("SFTP not applied" in words for words in server.status()["sites"][0]["warnings"])
    assert [finding["topic"] for finding in server.faults()] == ["sftp"]
    server.shell("cp -a /root/kept /etc/ssh/sshd_config; fpmjail configure example; fpmjail reload")
    assert main_pid(server) == before
    assert transfer(server, "pwd").good and server.faults() == []


def main_pid(server: Server) -> str:
    return unit(server, "ssh.service", "MainPID")["MainPID"]


def test_an_administrators_settings_that_count_more_are_named(server: Server) -> None:
    server.write("/etc/ssh/sshd_config.d/00-own.conf", "AllowUsers root\n")
    assert "AllowUsers does not name _site-example" in server.run("fpmjail", "configure", "example").output
    server.write("/etc/ssh/sshd_config.d/00-own.conf", "Match User _site-example\n\tForceCommand /bin/sh\n")
    answer = server.run("fpmjail", "configure", "example").output
    assert "counts more: forcecommand is `/bin/sh`" in answer, answer
    assert not server.exists(DROP_IN)
    server.shell("rm /etc/ssh/sshd_config.d/00-own.conf; fpmjail configure example; fpmjail reload")
    assert transfer(server, "pwd").good


def test_disable_stops_jobs_commands_and_sftp_until_enable(server: Server) -> None:
    wait_for(lambda: job(server, "slow")["running"])
    command = server.container.popen("fpmjail", "exec", "example", "--", "php", "-r", "sleep(60);")
    session = open_session(server)
    wait_for(lambda: commands(server))
    server.run("fpmjail", "disable", "example")
    command.wait(20)
    assert server.run("pgrep", "-u", "_site-example", check=False).stdout == ""
    session.communicate(timeout=20)
    assert not transfer(server, "pwd").good and not server.exists(DROP_IN)
    assert "it is switched off: fpmjail enable example" in execute(server, "php", "-v").stderr
    checked = server.run("fpmjail", "check", "example").stdout
    assert "it is switched off: no virtual host" in checked and "fpmjail enable example" in checked
    server.run("systemctl", "start", timer("slow"))  # as a boot does
    assert unit(server, timer("slow"), "ActiveState")["ActiveState"] == "inactive"
    server.run("fpmjail", "enable", "example")
    wait_for(lambda: transfer(server, "pwd").good)  # sshd opens its sockets anew
    wait_for(lambda: job(server, "slow")["running"])


def test_a_new_version_changes_and_drops_jobs_and_an_administrators_choice_stays(server: Server) -> None:
    server.run("systemctl", "disable", "--quiet", "--now", timer("bad"))
    newer = description(server).replace("version: 1.0.0", "version: 1.1.0")
    newer = newer.replace('slow, schedule: "*:*:*"', "slower, schedule: daily")
    newer = newer.replace("facts, schedule: yearly", "facts, schedule: 2040-01-01 02:30")
    server.publish(newer, "example.yaml")
    answer = server.apt("upgrade")
    assert f"{timer('slow')} is gone, as its job is" in answer.output
    listed = server.shell(f"systemctl list-timers --all --plain --no-legend '{PACKAGE}-cron-*'").stdout
    assert "2040-01-01 02:30:00" in listed and timer("slower") in listed, listed
    assert timer("slow") not in listed and timer("bad") not in listed
    assert not server.exists(f"/etc/systemd/system/timers.target.wants/{timer('slow')}")


def test_a_site_that_was_taken_out_by_hand_comes_back_with_the_command_that_is_said(server: Server) -> None:
    command = "fpmjail configure example"
    assert f"to have it back: {command}" in server.run("fpmjail", "remove", "example").stdout
    assert f"not configured: {command}" in execute(server, "php", "-v").stderr
    assert f"site example: not configured: {command}" in server.run("fpmjail", "status", check=False).stdout
    server.shell(command)
    assert transfer(server, "pwd").good and server.faults() == []
    for action in ("configure", "remove", "enable", "disable", "files"):
        answer = server.run("fpmjail", action, "nowhere", check=False)
        assert (answer.returncode, answer.stderr) == (1, "fpmjail: nowhere: no such site; see: fpmjail status\n")


def test_remove_ends_everything_and_closes_the_door(server: Server) -> None:
    server.apt("remove", PACKAGE)
    assert server.run("pgrep", "-u", "_site-example", check=False).stdout == ""
    assert not server.exists(DROP_IN) and not transfer(server, "pwd").good
    assert server.shell(f"systemctl list-units --plain --no-legend '{PACKAGE}-cron-*'").stdout == ""
    assert server.run("sshd", "-t").good and server.run("systemctl", "is-active", "ssh").good


def test_a_site_that_comes_back_has_its_jobs_and_sftp_and_purge_leaves_none(server: Server) -> None:
    server.install(PACKAGE)
    assert transfer(server, "pwd").good and server.faults() == []
    assert unit(server, timer("facts"), "ActiveState")["ActiveState"] == "active"
    server.apt("purge", PACKAGE)
    assert server.shell(f"find /etc /var/lib -name '{PACKAGE}*' -not -path '*/dpkg/*'").stdout == ""
    assert server.exists(f"{ROOT}/deep/new.php")
