# SPDX-License-Identifier: GPL-2.0-or-later
"""`cron` and `sftp`: what a description may say, and the units and sshd's text that come of it."""

from __future__ import annotations

import base64
import json

import pytest

from fpmjail_deb.description import read_site
from fpmjail_deb.errors import DescriptionError
from fpmjail_deb.schema.site_keys import EXAMPLE_KEY
from fpmjail_deb.site import Job, Sftp
from fpmjail_deb.ssh_keys import KINDS
from tests.sites import SHORT, planned, setting_lines, shop, text

NIGHTLY = 'cron: [{name: nightly, schedule: 02:30, command: "php bin/clean.php --all", randomized_delay: 10m}]\n'


def complaints(more: str) -> list[str]:
    with pytest.raises(DescriptionError) as caught:
        read_site((SHORT + more).encode(), "shop.yaml")
    return [str(problem) for problem in caught.value.problems]


def key(kind: str, *fields: bytes) -> str:
    data = b"".join(len(field).to_bytes(4, "big") + field for field in (kind.encode(), *fields))
    return f"{kind} {base64.b64encode(data).decode()}"


def test_a_job_is_read() -> None:
    assert shop(NIGHTLY).cron == (Job("nightly", "02:30", ("php", "bin/clean.php", "--all"), 600),)
    listed = shop("cron:\n- name: a\n  schedule: daily\n  command: [/usr/bin/php, -r, \"echo 'x > y';\"]\n").cron
    assert listed == (Job("a", "daily", ("/usr/bin/php", "-r", "echo 'x > y';"), 0),)


@pytest.mark.parametrize(
    ("job", "complaint"),
    [
        ("{name: a, schedule: '*/5 * * * *', command: php a}", 'for a crontab; here it is "*-*-* *:00/5"'),
        ("{name: a, schedule: '@Daily', command: php a}", 'for a crontab; here it is "daily"'),
        ("{name: a, schedule: '@reboot', command: php a}", "there is nothing here that means just the same"),
        ("{name: a, schedule: '*:*/5', command: php a}", 'did you mean "*:0/5"?'),
        ("{name: a, schedule: often, command: php a}", "systemd-analyze calendar"),
        ("{name: A, schedule: daily, command: php a}", "cron[0].name: expected a name of 1 to 30 characters"),
        ("{name: a, schedule: daily}", "cron[0].command: is missing"),
        ("{name: a, schedule: daily, command: php a, comand: x}", 'comand: unknown key; did you mean "command"?'),
        ("{name: a, schedule: daily, command: php a > /dev/null}", "> is for a shell, and the jail has none"),
        ("{name: a, schedule: daily, command: php a 2>&1}", "2>&1 is for a shell"),
        ("{name: a, schedule: daily, command: 'cd x && php a'}", "&& is for a shell"),
        ("{name: a, schedule: daily, command: 'php a; php b'}", "a; is for a shell"),
        ("{name: a, schedule: daily, command: bin/a.php}", "if it is a script: php bin/a.php"),
        ("{name: a, schedule: daily, command: /var/www/shop/a}", "nothing is executable where the site can write"),
        ('{name: a, schedule: daily, command: "php \'a"}', "found a quote that does not end"),
        ("{name: a, schedule: daily, command: []}", "expected a list of words, or one text"),
        ("{name: a, schedule: daily, command: '  '}", "found nothing"),
        ("{name: a, schedule: daily, command: php a, randomized_delay: 2d}", "randomized_delay: expected a time"),
        ("a", "expected a group of the keys name, schedule, command"),
    ],
)
def test_a_mistake_in_a_job_is_named_with_a_way_out(job: str, complaint: str) -> None:
    found = complaints(f"cron:\n- {job}\n")
    assert len(found) == 1 and complaint in found[0], found
    assert found[0].startswith("shop.yaml:5:")


def test_two_jobs_need_two_names() -> None:
    again = "- {name: a, schedule: daily, command: php a}\n- {name: a, schedule: weekly, command: php a}\n"
    assert complaints(f"cron:\n{again}") == ['shop.yaml:6:3: cron[1]: a second job "a"; give each its own name']


def test_a_job_has_a_timer_and_a_service() -> None:
    package = planned(shop(NIGHTLY))
    timer = setting_lines(text(package, "-cron-nightly.timer"))
    assert {"OnCalendar=02:30", "RandomizedDelaySec=600", "WantedBy=timers.target"} <= set(timer)
    assert "ConditionPathExists=!/var/lib/fpmjail/sites/shop/switched-off" in timer
    service = setting_lines(text(package, "-cron-nightly.service"))
    assert {"Type=oneshot", "ExecStart=php bin/clean.php --all", "StartLimitIntervalSec=0"} <= set(service)
    assert {"WorkingDirectory=/var/www/shop/htdocs", "SyslogIdentifier=site-shop-jail-cron-nightly"} <= set(service)


@pytest.mark.parametrize("jail", ["", "jail: {mysql: socket, postgresql: socket, proc: host}\n"])
def test_a_job_stands_behind_the_walls_of_the_sites_php_and_reaches_what_it_reaches(jail: str) -> None:
    package = planned(shop(NIGHTLY + jail))
    job, php = (setting_lines(text(package, ending)) for ending in ("-cron-nightly.service", "-jail.service"))
    walls = php[php.index("User=_site-shop") :]
    assert [line for line in job if line in walls] == [line for line in walls if line != "RootDirectoryStartOnly=yes"]
    sandbox = json.loads(text(package, "/site.json"))["sandbox"]
    assert job[-len(sandbox) :] == [f"{name}={value}" for name, value in sandbox]


def test_the_words_of_a_command_are_quoted_for_systemd() -> None:
    package = planned(shop("cron: [{name: a, schedule: daily, command: [php, '$x', '%h', 'a b', ';', '\"']}]\n"))
    assert 'ExecStart=php "$$x" "%%h" "a b" ";" "\\""' in text(package, "-cron-a.service").splitlines()


def test_jobs_and_commands_have_the_environment_of_the_workers() -> None:
    package = planned(shop(NIGHTLY + "php: {env: {APP: a $b, TMPDIR: /tmp/own}}\n"))
    assert json.loads(text(package, "/site.json"))["environment"] == {
        "APP": "a $b", "HOME": "/var/www/shop", "PATH": "/usr/local/bin:/usr/bin:/bin", "TMPDIR": "/tmp/own",
    }  # fmt: skip
    assert 'Environment="APP=a $b"' in setting_lines(text(package, "-cron-nightly.service"))


@pytest.mark.parametrize("kind", KINDS)
def test_public_keys_of_every_kind_are_taken(kind: str) -> None:
    line = key(kind, b"x" * 32)
    assert shop(f"sftp: {{keys: [{line}, {line} ann, '{EXAMPLE_KEY}']}}\n").sftp == Sftp(
        (line, f"{line} ann", EXAMPLE_KEY)
    )


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (EXAMPLE_KEY.split()[0] + " " + EXAMPLE_KEY.split()[1][:-4], "damaged or cut off"),
        ("ssh-rsa " + EXAMPLE_KEY.split()[1], "damaged or cut off"),
        ("command=/bin/sh " + EXAMPLE_KEY, "keys with options belong into authorized_keys on the server"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----", "this is the private key"),
        ("ssh-dss AAAA", "sshd takes no DSA keys any more"),
        ("SHA256:abc", "take the line in the file that ends in .pub"),
    ],
)
def test_what_is_no_public_key_is_refused(line: str, complaint: str) -> None:
    (found,) = complaints(f"sftp: {{keys: ['{line}']}}\n")
    assert complaint in found and found.startswith("shop.yaml:4:")


def test_sftp_is_off_unless_it_is_asked_for() -> None:
    assert shop().sftp is None and shop("sftp: false\n").sftp is None
    assert shop("sftp: true\n").sftp == Sftp(()) == shop("sftp: {keys: []}\n").sftp
    package = planned(shop())
    assert "openssh-server" not in dict(package.control)["Depends"]
    assert not any("ssh" in entry.path or "authorized" in entry.path for entry in package.entries)


def test_sshd_is_told_to_serve_files_in_the_base_and_nothing_else() -> None:
    package = planned(shop(f"sftp: {{keys: ['{EXAMPLE_KEY}']}}\nweb: {{document_root: app/public}}\n"))
    lines = setting_lines(text(package, "/sshd.conf"))
    assert lines[:3] == [
        "Match User _site-shop",
        "ChrootDirectory /var/www/shop",
        "ForceCommand internal-sftp -u 0022 -d /app/public",
    ]
    wanted = {"AuthenticationMethods publickey", "PasswordAuthentication no", "DisableForwarding yes", "PermitTTY no"}
    assert wanted <= set(lines)
    assert setting_lines(text(package, "/authorized_keys")) == [EXAMPLE_KEY]
    assert dict(package.control)["Depends"].endswith(", openssh-server")
