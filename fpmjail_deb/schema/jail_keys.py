# SPDX-License-Identifier: GPL-2.0-or-later
"""The keys below `jail`: what is in the jail, and what can be reached from it."""

from __future__ import annotations

from typing import Any

from fpmjail_deb import capabilities, jail_rules, mail, network, programs, release, rules
from fpmjail_deb.jail_rules import AllOr
from fpmjail_deb.rules import ListRule
from fpmjail_deb.schema.field import Field
from fpmjail_deb.site import (
    AppArmor,
    Dns,
    Libraries,
    MailTls,
    Mounts,
    NetworkDeny,
    Proc,
    Program,
    Sender,
    ServerSocket,
    Shell,
)

CHARSET_ADVICE = {
    **{charset.lower(): f'did you mean "{charset}"?' for charset in release.CHARSETS},
    **dict.fromkeys(("utf-8", "utf8", "ascii", "us-ascii"), "every jail has it: leave it out"),
    "latin1": 'did you mean "ISO-8859-1"?',
    "latin9": 'did you mean "ISO-8859-15"?',
    "windows-1252": 'did you mean "CP1252"?',
}

CHARSETS: Field[tuple[str, ...]] = Field(
    "jail.charsets",
    ListRule(
        rules.known("a character set of glibc such as CP1252", release.CHARSETS, CHARSET_ADVICE), "character sets"
    ),
    "The character sets that iconv() converts beside UTF-8 and ASCII.",
    example="[CP1252, ISO-8859-15, SJIS]",
    default="[CP1252, ISO-8859-1, ISO-8859-15, UTF-16]",
)
LOCALES: Field[tuple[str, ...]] = Field(
    "jail.locales",
    ListRule(jail_rules.locale(), "locales"),
    "The locales of setlocale(), strftime(), sorting and gettext beside C.UTF-8; about 3 MB each. The intl extension "
    "needs none of them.",
    example="[fr_FR.UTF-8, de_DE.UTF-8]",
    default="[]",
)
TIME_ZONES: Field[tuple[str, ...] | None] = Field(
    "jail.timezones",
    AllOr(ListRule(jail_rules.time_zone(), "time zones")),
    "The time zones that PHP knows. UTC is always one of them.",
    example="[Europe/Paris, America/New_York]",
    default="all",
)
MYSQL: Field[ServerSocket] = Field(
    "jail.mysql",
    rules.choice(ServerSocket),
    "Whether PHP reaches MariaDB or MySQL through its socket, as the host `localhost`. TCP works without.",
    example="socket",
    default="none",
)
POSTGRESQL: Field[ServerSocket] = Field(
    "jail.postgresql",
    rules.choice(ServerSocket),
    "Whether PHP reaches PostgreSQL through its socket in /run/postgresql.",
    example="socket",
    default="none",
)
REDIS: Field[ServerSocket] = Field(
    "jail.redis",
    rules.choice(ServerSocket),
    "Whether PHP reaches Redis through its socket in /run/redis; `unixsocketperm` in redis.conf says who may.",
    example="socket",
    default="none",
)
DNS: Field[Dns] = Field(
    "jail.dns",
    rules.choice(Dns),
    "Which host names PHP can resolve: all that the server can (`resolver`), those in the server's /etc/hosts "
    "(`hosts`), or localhost only (`none`).",
    example="hosts",
    default="resolver",
)
NETWORK_DENY: Field[NetworkDeny] = Field(
    "jail.network.deny",
    rules.choice(NetworkDeny),
    "With `dedicated`: whether PHP, jobs and `fpmjail exec` reach no network (`all`), not even the server's own "
    "loopback; sockets of `jail.mysql` and its like still work.",
    example="all",
    default="none",
)
NETWORK_ALLOW: Field[tuple[str, ...]] = Field(
    "jail.network.allow",
    ListRule(network.reachable(), "addresses"),
    "With `deny: all`: what they reach nevertheless, addresses and networks, or `localhost`. Names need the address of "
    "the server's resolver.",
    example="[localhost, 192.0.2.0/24, 2001:db8::1]",
    default="[]",
)
PROC: Field[Proc] = Field(
    "jail.proc",
    rules.choice(Proc),
    "What PHP sees in /proc: its own processes (`none`; with `shared` isolation nothing), also the state of the whole "
    "server such as the load (`private`), or every process of the server with its command line (`host`).",
    example="private",
    default="none",
)
SHELL: Field[Shell] = Field(
    "jail.shell",
    rules.choice(Shell),
    "What exec(), popen(), proc_open() and mail() find as /bin/sh: nothing (`none`), a shell that starts the site's "
    "programs with their arguments and knows nothing else (`restricted`), or dash (`sh`).",
    example="restricted",
    default="none",
)
PROGRAMS: Field[tuple[Program, ...]] = Field(
    "jail.programs",
    programs.ProgramsRule(),
    "Programs of the server that PHP may run, with their libraries and data, as new as the server's. A list of words "
    "given to proc_open() needs no shell; exec() takes one, see jail.shell. A script brings its interpreter. Of "
    "programs that are not well known, `packages` says where they are, and `files` what else they need. Well known "
    f"are {', '.join(programs.KNOWN)}.",
    example="[pdftotext, {name: tesseract, packages: [tesseract-ocr], files: [/usr/share/tesseract-ocr/**]}]",
    default="[]",
)
MAIL: Field[str] = Field(
    "jail.mail",
    rules.one_of("none"),
    "Whether mail() works. A group of keys names the relay that takes the site's mail and queues it. It brings the "
    "shell that mail() needs: one that starts /usr/sbin/sendmail alone, unless `shell` says more.",
    example="none",
    default="none",
)
MAIL_RELAY: Field[mail.Relay | None] = Field(
    "jail.mail.relay",
    mail.relay(),
    "The mail server that takes the site's mail, HOST or HOST:PORT. Without a port it is 587, with `tls: tls` 465, "
    "with `tls: none` 25.",
    example="smtp.example.org:587",
    otherwise="no mail",
)
MAIL_FROM: Field[str | None] = Field(
    "jail.mail.from",
    mail.address(),
    "The sender of the envelope, to whom undeliverable mail returns, and the From of messages that have none. With "
    "`-fADDRESS` as the fifth argument of mail() a script names another one.",
    example="web@example.org",
    otherwise="no mail",
)
MAIL_SENDER: Field[Sender] = Field(
    "jail.mail.sender",
    rules.choice(Sender),
    "Whether the site may name other senders (`any`), or `from` stands in every envelope and message (`fixed`).",
    example="fixed",
    default="any",
)
MAIL_TLS: Field[MailTls | None] = Field(
    "jail.mail.tls",
    rules.choice(MailTls),
    "Encryption from the start (`tls`), after a greeting (`starttls`), or not at all. An authority that the server "
    "knows must have signed the relay's certificate.",
    example="tls",
    otherwise="starttls, or none for a relay on the server itself",
)
MAIL_USER: Field[str | None] = Field(
    "jail.mail.user",
    mail.user(),
    "The name to log in with. The password is a line in /etc/fpmjail/sites/NAME/mail-password on the server, root's, "
    "mode 0600; the site's PHP can read its copy in the jail.",
    example="web@example.org",
    otherwise="no log-in",
)
MAIL_TIMEOUT: Field[int] = Field(
    "jail.mail.timeout",
    rules.duration(1, 600),
    "How long mail() waits for the relay before it gives up.",
    example="10s",
    default="20s",
)
CAPABILITIES: Field[tuple[str, ...]] = Field(
    "jail.capabilities",
    ListRule(jail_rules.capability(capabilities.CHOICE, capabilities.SAID_ELSEWHERE), "capabilities"),
    "What else the jail holds: `fonts`, `git`, `imagick`, `ldap`, `pear`, `spelling`, or `full` for all of these with "
    "every character set and locale of the server. The extensions imagick, ldap, enchant, pspell bring theirs. Other "
    "names are the administrator's own, /etc/fpmjail/capabilities.d/NAME.json on the server.",
    example="[git, imagick]",
    default="[]",
)
LIBRARIES: Field[Libraries] = Field(
    "jail.libraries",
    rules.choice(Libraries),
    "Where the jail's programs and libraries come from: copies of what is needed (`image`), or the server's own /usr, "
    "read-only (`bind`): nothing is copied, and every program of the server can be run.",
    example="bind",
    default="image",
)
MOUNTS: Field[Mounts] = Field(
    "jail.mounts",
    rules.choice(Mounts),
    "With `dedicated`: who mounts the image into the jail, a mount unit (`host`), or PHP's own service, where only the "
    "site sees it (`private`): nothing in the server's mount table, for servers with many hundred sites.",
    example="private",
    default="host",
)
APPARMOR: Field[AppArmor] = Field(
    "jail.apparmor",
    rules.choice(AppArmor),
    "With `dedicated`, where AppArmor is on: a profile names all that the site's processes may read, write and run, a "
    "second wall behind the jail. `complain` only writes down what it would refuse, `off` makes no profile.",
    example="enforce",
    default="off",
)

KEYS: tuple[Field[Any], ...] = (
    CHARSETS, LOCALES, TIME_ZONES, MYSQL, POSTGRESQL, REDIS, DNS, NETWORK_DENY, NETWORK_ALLOW, PROC, SHELL, PROGRAMS,
    MAIL, MAIL_RELAY, MAIL_FROM, MAIL_SENDER, MAIL_TLS, MAIL_USER, MAIL_TIMEOUT, CAPABILITIES, LIBRARIES, MOUNTS,
    APPARMOR,
)  # fmt: skip
