# SPDX-License-Identifier: GPL-2.0-or-later
"""The configuration of msmtp in a jail, the password's file, what `check` says of the relay."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any

import pytest
from test_site_json import EXAMPLE, read

from fpmjail import check_mail, mail, probe, shell
from fpmjail.jail import Absent, File
from fpmjail.layout import Layout
from fpmjail.manifest import Manifest
from fpmjail.probe import Result
from fpmjail.site import Mail, Site, SiteError

TOLD = {
    "host": "smtp.example.org", "port": 587, "tls": "starttls", "from": "web@example.org", "fixed": False,
    "user": "web", "timeout": 20, "domain": "example.org",
}  # fmt: skip


def told(**changes: object) -> dict[str, Any]:
    content = copy.deepcopy(EXAMPLE)
    content["jail"]["mail"] = {**TOLD, **changes}
    return content


SITE: Site = read(told())
assert SITE.jail.mail is not None
WANTED: Mail = SITE.jail.mail


def configured(site: Site, password: str = "") -> list[str]:
    assert site.jail.mail is not None
    return mail.configuration(site, site.jail.mail, password).splitlines()


def put_password(layout: Layout, content: bytes, mode: int = 0o600) -> Path:
    path = mail.place(layout, SITE)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_the_configuration_has_what_the_description_says() -> None:
    lines = configured(SITE, 'p "q" #r')
    assert lines[1:] == [
        "account default", "host smtp.example.org", "port 587", "domain example.org", "timeout 20",
        "from web@example.org", "allow_from_override on", "set_from_header auto",
        "tls on", "tls_starttls on", "tls_trust_file /etc/ssl/certs/ca-certificates.crt",
        "auth on", 'user "web"', 'password "p "q" #r"',
        f"logfile {SITE.paths.logs}/mail.log", "logfile_time_format [%Y-%m-%dT%H:%M:%S%z]",
    ]  # fmt: skip


def test_a_fixed_sender_a_clear_line_and_no_log_in() -> None:
    lines = configured(read(told(tls="none", fixed=True, user=None)))
    assert {"allow_from_override off", "set_from_header on", "tls off", "auth off"} <= set(lines)
    assert not [line for line in lines if line.startswith(("user", "password", "tls_"))]
    assert "tls_starttls off" in configured(read(told(tls="tls")))


def test_the_file_is_the_groups_to_read_and_goes_with_the_mail(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    put_password(layout, b"secret\n")
    (piece,) = mail.pieces(layout, SITE)
    assert isinstance(piece, File) and (piece.mode, piece.group) == (0o640, SITE.user.group)
    assert 'password "secret"' in piece.text
    assert mail.pieces(layout, read(EXAMPLE)) == (Absent("etc/msmtprc"),)


@pytest.mark.parametrize(
    ("content", "found"),
    [(b"secret\n", "secret"), (b"secret", "secret"), (b"se cret\r\nmore\n", "se cret"), ("é\n".encode(), "é")],
)
def test_the_password_is_the_first_line(tmp_path: Path, content: bytes, found: str) -> None:
    put_password(Layout(tmp_path), content)
    assert mail.password(Layout(tmp_path), SITE) == (found, "")


@pytest.mark.parametrize("content", [b"", b"\n", b"a\0b", b"\xff", b"a\tb", b"x" * 300])
def test_what_is_no_password_is_not_used(tmp_path: Path, content: bytes) -> None:
    put_password(Layout(tmp_path), content)
    password, fault = mail.password(Layout(tmp_path), SITE)
    assert password == "" and "mail-password" in fault


def test_a_file_that_others_can_read_is_not_used_nor_a_link(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    path = put_password(layout, b"secret\n", 0o640)
    assert mail.password(layout, SITE) == ("", f"{path} is not root's alone: chown root: {path}; chmod 0600 {path}")
    path.rename(path.with_name("other"))
    path.symlink_to("other")
    assert mail.password(layout, SITE)[0] == ""
    path.unlink()
    assert mail.password(layout, SITE) == ("", f"{path}: No such file or directory")
    assert mail.password(layout, read(told(user=None))) == ("", "")


def test_sendmail_is_all_that_the_shell_of_a_site_with_mail_alone_starts() -> None:
    profile = dataclasses.replace(SITE.profile, capabilities=("mail", "restricted-shell"), programs=("/usr/bin/gs",))
    site = dataclasses.replace(SITE, profile=profile)
    made = shell.pieces(site, Manifest("", "", "", ()))[1]
    assert isinstance(made, File)
    lines = made.text.splitlines()[2:]
    assert [line.partition(" ")[0] for line in lines] == ["/usr/sbin/sendmail", "/sbin/sendmail"]
    assert all(" -t -i -f* " in line and "-X" not in line and "-C" not in line for line in lines)
    asked = dataclasses.replace(site, jail=dataclasses.replace(site.jail, shell="restricted"))
    assert shell.programs(asked) == ("/usr/bin/gs", mail.sendmail())


@pytest.mark.parametrize(
    "changes",
    [{"host": "a b"}, {"host": "a\nauth off"}, {"from": "a@b\nhost x"}, {"from": "%U@b"}, {"user": 'a"'}, {"port": 0},
     {"tls": "maybe"}, {"fixed": 1}, {"timeout": 0}, {"more": 1}],
)  # fmt: skip
def test_a_site_json_that_could_write_other_lines_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(SiteError):
        read(told(**changes))


def test_the_probe_is_told_of_the_relay_only_by_a_site() -> None:
    expected = probe.Expectation("8.4", "", (), relay="smtp.example.org:587")
    assert probe.arguments("mail", expected) == {"relay": "smtp.example.org:587"}
    assert probe.arguments("mail", probe.Expectation("8.4", "", ())) == {"relay": ""}


def test_a_relay_that_does_not_answer_is_a_warning_with_its_line() -> None:
    site = dataclasses.replace(SITE, origins=(("jail.mail.relay", "e.yaml:7:3"),))
    words = "relay: smtp.example.org:587: msmtp: cannot connect"
    found = check_mail.judge(site, WANTED, Result("mail", False, (words,)))
    assert (found.level, found.origin) == ("warning", "e.yaml:7") and words in found.seen and "mail.log" in found.fix
    both = check_mail.judge(site, WANTED, Result("mail", False, ("mail(): could not", words)))
    assert both.level == "bad"
    assert check_mail.judge(site, WANTED, Result("mail", True)).seen == "smtp.example.org:587 answers"


def test_a_missing_password_is_a_warning() -> None:
    (found,) = check_mail.judge_password(SITE, WANTED, "/etc/x: No such file or directory")
    assert found.level == "warning" and "fpmjail configure" in found.fix
    assert check_mail.judge_password(read(told(user=None)), dataclasses.replace(WANTED, user=None), "") == ()
