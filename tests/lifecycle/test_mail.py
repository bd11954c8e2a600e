# SPDX-License-Identifier: GPL-2.0-or-later
"""Mail out of a jail, to a relay on loopback that keeps every message: what arrives, and what is said if it is down."""

from __future__ import annotations

import email
import email.policy
import json
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any, cast

import pytest

from tests.lifecycle import manual
from tests.lifecycle.bed import Bed
from tests.lifecycle.server import Server

SITE = """site: example
maintainer: Ann Other <ann@example.org>
domains: [example.org]
php: {extensions: [mbstring]}
"""
RELAY = "relay: 127.0.0.1:2525, from: web@example.org"
LOG = "/var/log/fpmjail/example/mail.log"
STORED = "/root/stored"
PASSWORD = "/etc/fpmjail/sites/example/mail-password"
UNLUCKY_PASSWORD = 'a "b" #c\\ $d é'

PAGE = r"""<?php
$said = [];
set_error_handler(function ($level, $words) use (&$said) { $said['warning'] = $words; return true; });
$began = microtime(true);
$asked = json_decode(file_get_contents('php://input'), true);
$said['mail'] = mail(...$asked);
$said['seconds'] = microtime(true) - $began;
header('Content-Type: application/json');
echo json_encode($said);
"""
# As PHPMailer builds a message and hands it over (isMail: mb_encode_mimeheader, multipart/mixed, -f by escapeshellcmd).
MAILER = r"""<?php
$boundary = 'b1=_' . bin2hex(random_bytes(8));
$subject = mb_encode_mimeheader("R\u{e9}servation \u{2713} for G\u{fc}nther", 'UTF-8', 'Q');
$head = implode("\n", [
    'Date: ' . date('r'), "From: =?utf-8?Q?B=C3=BCro?= <office@example.org>", 'Message-ID: <1@example.org>',
    'X-Mailer: PHPMailer 6.9.1 (https://github.com/PHPMailer/PHPMailer)', 'MIME-Version: 1.0',
    "Content-Type: multipart/mixed;\n boundary=\"$boundary\"",
]);
$body = "--$boundary\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n"
    . quoted_printable_encode("Gr\u{fc}\u{df}e\n.\n.dots\n") . "\n\n"
    . "--$boundary\nContent-Type: application/pdf; name=\"a b.pdf\"\nContent-Transfer-Encoding: base64\n"
    . "Content-Disposition: attachment; filename=\"a b.pdf\"\n\n"
    . chunk_split(base64_encode(str_repeat("\0\xff%PDF", 20000)), 76, "\n") . "\n--$boundary--\n";
echo json_encode(mail('guest@example.net', $subject, $body, $head, '-fbounce+1=guest@example.org'));
"""


@pytest.fixture(scope="module")
def server(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One site, without mail at first, and a relay."""
    bed.publish_own_packages()
    there = Server(bed, tmp_path_factory.mktemp("dist"))
    there.write("/opt/relay.py", (Path(__file__).parent / "relay.py").read_text())
    there.publish(SITE, "example.yaml")
    there.install("site-example-jail")
    there.write_page("mail.php", PAGE)
    there.write_page("mailer.php", MAILER)
    yield there


def start_relay(server: Server, port: int = 2525, *options: str) -> None:
    """Start a relay, with nothing stored."""
    server.shell(f"rm -f {STORED}")
    server.run("systemd-run", "-q", f"--unit=relay-{port}", "python3", "/opt/relay.py", str(port), STORED, *options)
    server.shell(f"for i in $(seq 100); do ss -ltn | grep -q ':{port} ' && exit; sleep 0.1; done; exit 1")


def change(server: Server, version: str, mail: str, more: str = "") -> str:
    """The next version of the site, with another relay; returns what apt said."""
    server.publish(f"{SITE}version: {version}\njail: {{mail: {{{mail}}}{more}}}\n", "example.yaml")
    return server.apt("upgrade").output


def mail(server: Server, *arguments: str) -> dict[str, Any]:
    """What mail() of PHP says."""
    page = server.get("/mail.php", "example.org", "--json", json.dumps(arguments))
    assert page.status == 200, page
    return dict(json.loads(page.body))


def stored(server: Server) -> list[dict[str, Any]]:
    """What the relay has taken since the last time."""
    found = [json.loads(line) for line in server.read(STORED).splitlines()] if server.exists(STORED) else []
    server.shell(f"rm -f {STORED}")
    return found


def message(kept: dict[str, Any]) -> EmailMessage:
    raw = kept["message"].encode("latin-1")
    return email.message_from_bytes(raw, policy=email.policy.default)


def finding(server: Server, name: str = "mail") -> dict[str, Any]:
    return next(one for one in server.check() if (one["topic"], one["name"]) == ("capability", name))


def test_without_mail_php_says_what_is_missing_and_so_does_the_probe(server: Server) -> None:
    words = "mail(): Could not execute mail delivery program '/nonexistent/no-mail-from-this-jail'"
    assert mail(server, "a@example.net", "s", "b")["mail"] is False
    assert mail(server, "a@example.net", "s", "b")["warning"] == words
    asked = "from fpmjail import probe, site; from fpmjail.layout import Layout; layout = Layout();"
    asked += "known = site.load(layout.sites / 'example/site.json'); print(*probe.run(layout, known, 'mail').findings)"
    assert words in server.run("env", "PYTHONPATH=/usr/share/fpmjail", "python3", "-c", asked).stdout


def test_a_message_arrives_with_sender_and_from(server: Server) -> None:
    start_relay(server)
    change(server, "1.1.0", RELAY)
    assert mail(server, "guest@example.net, Second <second@example.net>", "Hello", "Body\n.\n..\n")["mail"] is True
    (kept,) = stored(server)
    assert (kept["greeting"], kept["sender"]) == ("example.org", "web@example.org")
    assert kept["recipients"] == ["guest@example.net", "second@example.net"]
    assert message(kept)["From"] == "web@example.org" and message(kept)["Subject"] == "Hello"
    assert message(kept)["Date"] and message(kept)["Message-ID"]
    assert message(kept).get_content().replace("\r\n", "\n") == "Body\n.\n..\n\n"


def test_the_site_passes_its_check_and_nothing_was_sent_for_that(server: Server) -> None:
    assert finding(server)["seen"] == "127.0.0.1:2525 answers"
    assert server.faults() == [] and stored(server) == []


def test_a_message_of_phpmailer_arrives_as_it_was(server: Server) -> None:
    assert server.get("/mailer.php").body == "true"
    (kept,) = stored(server)
    seen = message(kept)
    assert kept["sender"] == "bounce+1=guest@example.org" and kept["recipients"] == ["guest@example.net"]
    assert seen["Subject"] == "R\u00e9servation \u2713 for G\u00fcnther"
    assert seen["From"] == "B\u00fcro <office@example.org>"
    text, attachment = cast(list[EmailMessage], seen.get_payload())
    assert text.get_content().replace("\r\n", "\n").startswith("Gr\u00fc\u00dfe\n.\n.dots\n")
    assert attachment.get_filename() == "a b.pdf" and attachment.get_content() == b"\0\xff%PDF" * 20000


def test_other_recipients_cannot_be_put_into_subject_or_address(server: Server) -> None:
    assert mail(server, "a@example.net", "s\r\nBcc: evil@example.net", "b")["mail"] is True
    assert mail(server, "a@example.net\r\nBcc: evil@example.net", "s", "b", "X-A: 1\r\n\r\nbody")["mail"] is False
    assert [kept["recipients"] for kept in stored(server)] == [["a@example.net"]]


@pytest.mark.parametrize(
    "argument",
    ["-X/var/www/example/htdocs/x.php", "-C/var/www/example/htdocs/rc", "--logfile=/tmp/x", "-tX/tmp/x",
     "--passwordeval=id", "-fa@example.org -X/tmp/x", "--host=192.0.2.1"],
)  # fmt: skip
def test_the_fifth_argument_cannot_make_the_program_write_or_read_files(server: Server, argument: str) -> None:
    assert mail(server, "a@example.net", "s", "<?php echo 1;", "", argument)["mail"] is False
    assert "the program has no such option here" in server.read("/var/log/fpmjail/example/shell.log").splitlines()[-1]
    assert not server.exists("/var/www/example/htdocs/x.php") and stored(server) == []


def test_the_fifth_argument_cannot_start_another_program(server: Server) -> None:
    assert mail(server, "a@example.net", "s", "b", "", "-fa@example.org; touch /tmp/x")["mail"] is True
    (kept,) = stored(server)
    assert kept["sender"] == "a@example.org;" and {"touch", "/tmp/x"} < set(kept["recipients"])
    assert not server.exists("/var/lib/fpmjail/jails/example/tmp/x")


def test_mail_brings_a_shell_for_sendmail_and_for_nothing_else(server: Server) -> None:
    listed = server.run("fpmjail", "exec", "example", "--", "sh", "--programs").stdout.split()
    assert listed == ["/usr/sbin/sendmail", "/sbin/sendmail"]
    assert server.run("fpmjail", "exec", "example", "--", "sh", "-c", "msmtp -P", check=False).returncode == 126


def test_the_manual_says_what_mail_and_its_shell_cost(server: Server) -> None:
    costs = server.costs()
    assert manual.near(server.release, "mail()", *costs["mail"]), costs
    assert manual.near(server.release, "a shell that", *costs["restricted-shell"]), costs


def test_a_command_by_the_clock_can_send_mail_too(server: Server) -> None:
    code = "var_dump(mail('a@example.net', 'from cron', 'b'));"
    assert server.run("fpmjail", "exec", "example", "--", "php", "-r", code).stdout == "bool(true)\n"
    assert [message(kept)["Subject"] for kept in stored(server)] == ["from cron"]


def test_a_relay_that_is_down_is_told_by_php_the_log_and_the_check(server: Server) -> None:
    server.run("systemctl", "stop", "relay-2525")
    assert mail(server, "a@example.net", "lost", "b")["mail"] is False
    last = server.read(LOG).splitlines()[-1]
    assert "recipients=a@example.net errormsg='cannot connect to 127.0.0.1, port 2525: Connection refused'" in last
    assert "sendmail: cannot connect to 127.0.0.1" in server.container.journal("-u", "site-example-jail")
    found = finding(server)
    assert found["level"] == "warning" and "Connection refused" in found["seen"], found
    assert found["origin"] == "example.yaml:6" and LOG in found["fix"], found
    assert server.faults() == []
    assert server.run("fpmjail", "refresh").good


def test_a_relay_that_says_nothing_holds_a_request_no_longer_than_the_timeout(server: Server) -> None:
    change(server, "1.2.0", "relay: localhost:2526, from: web@example.org, timeout: 2s, sender: fixed")
    start_relay(server, 2526, "--silent")
    seen = mail(server, "a@example.net", "s", "b")
    assert seen["mail"] is False and 1.5 < seen["seconds"] < 10, seen
    assert finding(server)["level"] == "warning"
    server.run("systemctl", "stop", "relay-2526")


def test_a_fixed_sender_stands_in_every_envelope_and_message(server: Server) -> None:
    start_relay(server, 2526)
    header = "From: Boss <boss@example.net>\r\nBcc: hidden@example.net"
    assert mail(server, "a@example.net", "s", "b", header, "-fboss@example.net")["mail"] is True
    (kept,) = stored(server)
    assert kept["sender"] == "web@example.org" and message(kept)["From"] == "web@example.org"
    assert kept["recipients"] == ["a@example.net", "hidden@example.net"] and message(kept)["Bcc"] is None


def test_tls_and_a_password_that_is_roots_alone(server: Server) -> None:
    server.shell(
        "cd /root && openssl req -x509 -newkey rsa:2048 -nodes -days 9 -subj /CN=localhost -keyout key -out certificate"
        " -addext subjectAltName=DNS:localhost && cp certificate /usr/local/share/ca-certificates/relay.crt"
    )
    start_relay(server, 2527, "--tls", "/root/certificate", "/root/key", "--login", "web", UNLUCKY_PASSWORD)
    assert "mail-password: No such file" in change(
        server, "1.3.0", "relay: localhost:2527, from: web@example.org, tls: tls, user: web"
    )
    found = finding(server, "mail password")
    assert found["level"] == "warning" and "fpmjail configure example" in found["fix"], found
    server.write(PASSWORD, UNLUCKY_PASSWORD + "\n", mode=0o644)
    assert "is not root's alone" in server.run("fpmjail", "configure", "example").output
    server.run("chmod", "600", PASSWORD)
    server.run("fpmjail", "configure", "example")
    assert finding(server, "mail password")["level"] == "good"


def test_a_relay_that_nobody_vouches_for_gets_neither_mail_nor_password(server: Server) -> None:
    assert mail(server, "a@example.net", "s", "b")["mail"] is False
    assert "certificate" in server.read(LOG).splitlines()[-1]
    found = finding(server)
    assert found["level"] == "warning" and "certificate" in found["seen"], found


def test_a_relay_with_a_known_authority_takes_mail_with_the_password(server: Server) -> None:
    server.run("update-ca-certificates")
    server.settle()
    assert mail(server, "a@example.net", "secret", "b")["mail"] is True, server.read(LOG).splitlines()[-1]
    assert [kept["sender"] for kept in stored(server)] == ["web@example.org"]
    assert finding(server)["level"] == "good" and server.faults() == []


def test_the_password_can_be_read_by_its_own_site_alone(server: Server) -> None:
    place = "/var/lib/fpmjail/jails/example/etc/msmtprc"
    assert server.run("stat", "-c", "%U:%G %a", place).stdout == "root:_site-example 640\n"
    assert server.run("grep", "-r", "-l", "-F", UNLUCKY_PASSWORD, "/usr/share/fpmjail", check=False).stdout == ""
    server.write(PASSWORD, "wrong\n", mode=0o600)
    server.run("fpmjail", "configure", "example")
    assert mail(server, "a@example.net", "s", "b")["mail"] is False
    assert "authentication failed" in server.read(LOG).splitlines()[-1]


def test_an_upgrade_of_msmtp_reaches_the_jails(server: Server) -> None:
    before = server.truth()["generation"]
    server.shell("printf x >>/usr/bin/msmtp; dpkg-trigger --by-package=msmtp /usr/bin/msmtp")
    server.run("dpkg", "--triggers-only", "fpmjail")
    server.settle()
    assert server.truth()["generation"] != before


def test_with_dash_mail_works_as_well_and_no_password_stays_behind(server: Server) -> None:
    start_relay(server)
    change(server, "1.4.0", RELAY, ", shell: sh")
    assert mail(server, "a@example.net", "s", "b", "", "-fa@example.org")["mail"] is True
    assert [kept["sender"] for kept in stored(server)] == ["a@example.org"]
    assert "wrong" not in server.read("/var/lib/fpmjail/jails/example/etc/msmtprc")
    assert server.faults() == []


def test_a_shared_site_sends_mail_through_the_same_walls(server: Server) -> None:
    shared = SITE.replace("example\n", "second\n", 1).replace("example.org]", "second.example.org]")
    server.publish(f"{shared}isolation: shared\njail: {{mail: {{{RELAY}}}}}\n", "second.yaml")
    server.install("site-second-jail")
    server.write("/var/www/second/var/www/second/htdocs/mail.php", PAGE)
    for option, sent in (("-fc@example.org", True), ("-Xx", False)):
        arguments = ("a@b.example", "s", "b", "", option)
        page = server.get("/mail.php", "second.example.org", "--json", json.dumps(arguments))
        assert json.loads(page.body)["mail"] is sent, page
    assert [kept["sender"] for kept in stored(server)] == ["c@example.org"]
    logs = "/var/www/second/var/log/fpmjail/second"
    assert "recipients=a@b.example" in server.read(f"{logs}/mail.log")
    assert "the program has no such option here" in server.read(f"{logs}/shell.log")
    levels = {found["name"]: found["level"] for found in server.check("second") if found["topic"] == "capability"}
    assert levels["mail"] == levels["restricted-shell"] == "good" and server.faults("second") == []
    server.apt("purge", "site-second-jail")
    assert not server.exists("/var/www/second/etc")


def test_purge_leaves_the_password_as_all_that_is_the_administrators(server: Server) -> None:
    server.apt("purge", "site-example-jail")
    assert not server.exists("/var/lib/fpmjail/jails/example") and server.exists(PASSWORD)
