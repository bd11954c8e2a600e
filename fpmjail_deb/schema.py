# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of all keys of a site description.

One row says everything about a key: its rule, its default as one would write it, what it means, an example. Reading,
"did you mean", the JSON Schema, the starter file and the table in fpmjail-site(5) all come from here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Generic

import yaml

from fpmjail_deb import capabilities, jail_rules, jobs, keys, mail, network, programs, rules
from fpmjail_deb.document import join
from fpmjail_deb.jail_rules import AllOr
from fpmjail_deb.release import BUILT_IN, CHARSETS, PART_OF, RELEASES
from fpmjail_deb.rules import ListRule, MapRule, Rule, T_co
from fpmjail_deb.site import (
    AUTOMATIC,
    AppArmor,
    Dns,
    Htaccess,
    Isolation,
    Job,
    Libraries,
    MailTls,
    Mounts,
    NetworkDeny,
    Proc,
    ProcessManager,
    Program,
    Sender,
    ServerSocket,
    Shell,
    WebServer,
)  # fmt: skip

DAY = 24 * 3600

EXAMPLE_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f ann@example.org"

SETTINGS_OF_THE_JAIL = {
    "error_log": "the jail logs to /var/log/fpmjail/NAME",
    "extension": "name the package in php.extensions",
    "extension_dir": "the jail has PHP's own",
    "log_errors": "the jail always logs errors",
    "open_basedir": "the jail is the tighter wall, and `fpmjail check` asks PHP outside of any such list",
    "session.save_path": "sessions have a directory in the jail",
    "sys_temp_dir": "/tmp is the jail's own",
    "upload_tmp_dir": "/tmp is the jail's own",
    "zend_extension": "name the package in php.extensions",
}
HEADERS_OF_THE_SERVER = dict.fromkeys(
    ("connection", "content-encoding", "content-length", "date", "server", "transfer-encoding"),
    "the web server writes this header itself",
)
PHP_VERSIONS = sorted({php for release in RELEASES.values() for php in release.php_versions})
EXTENSIONS_OF_DEBIAN = {extension for release in RELEASES.values() for extension in release.extensions}
EXTENSION_ADVICE = {
    **{part: f'it is in "{package}"' for part, package in PART_OF.items()},
    **dict.fromkeys(BUILT_IN, "every PHP has it: leave it out"),
}
CHARSET_ADVICE = {
    **{charset.lower(): f'did you mean "{charset}"?' for charset in CHARSETS},
    **dict.fromkeys(("utf-8", "utf8", "ascii", "us-ascii"), "every jail has it: leave it out"),
    "latin1": 'did you mean "ISO-8859-1"?',
    "latin9": 'did you mean "ISO-8859-15"?',
    "windows-1252": 'did you mean "CP1252"?',
}


@dataclass(frozen=True, slots=True)
class Field(Generic[T_co]):
    """One key of a description.

    `default` is what stands there if the key does not, written in YAML; without one the value is None, and `otherwise`
    says in words what that means.
    """

    path: str
    rule: Rule[T_co]
    doc: str
    example: str
    default: str | None = None
    otherwise: str = ""
    required: bool = False


SITE: Field[str] = Field(
    "site",
    rules.site_name(),
    "The NAME that package, user, socket and directories are called after: site-NAME-jail, /var/www/NAME.",
    example="example",
    required=True,
)
MAINTAINER: Field[str] = Field(
    "maintainer",
    rules.maintainer(),
    "Who answers for the package.",
    example="Ann Other <ann@example.org>",
    required=True,
)
DOMAINS: Field[tuple[str, ...]] = Field(
    "domains",
    ListRule(rules.host_name(), "host names", least=1),
    "The host names of the site. The first is its main one; the others may begin with `*.`.",
    example="[example.org, www.example.org]",
    required=True,
)
ALIASES: Field[tuple[str, ...]] = Field(
    "aliases",
    ListRule(rules.host_name(), "host names"),
    "More host names that show the same site.",
    example='["*.example.net"]',
    default="[]",
)
VERSION: Field[str] = Field(
    "version",
    rules.package_version(AUTOMATIC),
    "The version of the package, without the release's suffix. Raise it with every change; `auto` is the day and a "
    "counter, raised by each build that changes the package.",
    example="1.0.1",
    default="1.0.0",
)
DESCRIPTION: Field[str | None] = Field(
    "description",
    rules.free_text("one line of at most 80 characters", 80),
    "What the package list shows.",
    example="Website of the Example Society",
    otherwise="PHP website DOMAIN in a sealed jail",
)
RELEASE_NAMES: Field[tuple[str, ...]] = Field(
    "releases",
    ListRule(rules.one_of(*RELEASES), "Debian releases", least=1),
    "The Debian releases to build a package for.",
    example="[trixie]",
    default="[trixie, bookworm]",
)
USER: Field[str | None] = Field(
    "user",
    rules.user_name(),
    "The account that PHP runs as, and its group.",
    example="_example",
    otherwise="_site-NAME",
)
UID: Field[int | None] = Field(
    "uid",
    rules.whole_number(100, 59999),
    "A fixed user and group number, for servers that share files.",
    example="4001",
    otherwise="a free system number",
)
ISOLATION: Field[Isolation] = Field(
    "isolation",
    rules.choice(Isolation),
    "How PHP is kept apart: `dedicated` is an FPM master of the site's own, sealed by systemd. `shared` is a pool of "
    "Debian's phpX.Y-fpm in a chroot: lighter, with fewer walls. Outside, the site then lies in "
    "/var/www/NAME/var/www/NAME; PHP and all keys here know it as /var/www/NAME.",
    example="shared",
    default="dedicated",
)
COMPAT_LINK: Field[bool] = Field(
    "compat_link",
    rules.boolean(),
    "With `shared`: whether /var/www/NAME/var is a link that makes /var/www/NAME/var/www/NAME, the site's path of "
    "outside, good inside as well, for sites that have it in their files.",
    example="true",
    default="false",
)
PHP_VERSION: Field[str | None] = Field(
    "php.version",
    rules.php_version(PHP_VERSIONS),
    "The PHP version; each of the releases must ship it.",
    example="8.4",
    otherwise="the release's own",
)
EXTENSIONS: Field[tuple[str, ...]] = Field(
    "php.extensions",
    ListRule(rules.known("the EXT of a package phpX.Y-EXT", EXTENSIONS_OF_DEBIAN, EXTENSION_ADVICE), "PHP extensions"),
    "The PHP extensions that the package depends on. The jail takes all that the server has enabled.",
    example="[curl, imagick, mysql]",
    default="[curl, gd, intl, mbstring, mysql, xml, zip]",
)
PROCESS_MANAGER: Field[ProcessManager] = Field(
    "php.pool.process_manager",
    rules.choice(ProcessManager),
    "How many processes wait for requests: none (`ondemand`), some (`dynamic`), all (`static`).",
    example="dynamic",
    default="ondemand",
)
MAX_CHILDREN: Field[int] = Field(
    "php.pool.max_children",
    rules.whole_number(1, 1000),
    "How many requests PHP answers at the same time.",
    example="20",
    default="8",
)
START_SERVERS: Field[int] = Field(
    "php.pool.start_servers",
    rules.whole_number(1, 1000),
    "With `dynamic`: how many processes to start with.",
    example="4",
    default="2",
)
MIN_SPARE_SERVERS: Field[int] = Field(
    "php.pool.min_spare_servers",
    rules.whole_number(1, 1000),
    "With `dynamic`: start more processes when fewer than this wait.",
    example="2",
    default="1",
)
MAX_SPARE_SERVERS: Field[int] = Field(
    "php.pool.max_spare_servers",
    rules.whole_number(1, 1000),
    "With `dynamic`: end processes when more than this wait.",
    example="6",
    default="3",
)
IDLE_TIMEOUT: Field[int] = Field(
    "php.pool.idle_timeout",
    rules.duration(1, DAY),
    "With `ondemand`: how long a process waits for its next request before it ends.",
    example="5m",
    default="60s",
)
MAX_REQUESTS: Field[int] = Field(
    "php.pool.max_requests",
    rules.whole_number(0, 1000000),
    "After how many requests a process is replaced; 0 is never.",
    example="1000",
    default="500",
)
REQUEST_TIMEOUT: Field[int] = Field(
    "php.pool.request_timeout",
    rules.duration(1, DAY),
    "After what time a request is ended.",
    example="5m",
    default="120s",
)
SLOW_LOG: Field[int] = Field(
    "php.pool.slow_log",
    rules.duration(0, DAY),
    "After what time a request is written to the slow log, with the lines it is at; 0 is never. For this the site's "
    "processes may look into one another with ptrace(2), which they cannot do otherwise.",
    example="5s",
    default="0",
)
SETTINGS: Field[tuple[tuple[str, str], ...]] = Field(
    "php.settings",
    MapRule(
        rules.setting_name(SETTINGS_OF_THE_JAIL),
        rules.free_text("one line of text", 1000, empty=True),
        "PHP settings",
    ),
    "Settings as in php.ini. The site's code cannot change them.",
    example="{memory_limit: 256M, upload_max_filesize: 64M, post_max_size: 64M}",
    default="{}",
)
ENVIRONMENT: Field[tuple[tuple[str, str], ...]] = Field(
    "php.env",
    MapRule(rules.variable_name(), rules.free_text("one line of text", 1000, empty=True), "environment variables"),
    "Environment variables for PHP. No secrets: every user of the server can read the package.",
    example="{APP_ENV: production}",
    default="{}",
)
MEMORY: Field[str] = Field(
    "php.limits.memory",
    rules.memory(),
    "With `dedicated`: how much memory all processes of the site may use together.",
    example="2G",
    default="1G",
)
TASKS: Field[int] = Field(
    "php.limits.tasks",
    rules.whole_number(4, 32768),
    "With `dedicated`: how many processes and threads the site may have.",
    example="256",
    default="128",
)
IDLE_AFTER: Field[int] = Field(
    "php.idle_after",
    rules.duration(0, DAY),
    "With `dedicated`: after what time without a request PHP ends altogether, master included; the next request "
    "starts it again, in about a quarter of a second. Looked at once a minute; 0 is never.",
    example="1h",
    default="10m",
)
CPU_WEIGHT: Field[int] = Field(
    "php.limits.cpu_weight",
    rules.whole_number(1, 10000),
    "With `dedicated`: the site's share of the processors while others want them too; each site has 100.",
    example="50",
    default="100",
)
IO_WEIGHT: Field[int] = Field(
    "php.limits.io_weight",
    rules.whole_number(1, 10000),
    "With `dedicated`: the same for the disks.",
    example="50",
    default="100",
)
OPEN_FILES: Field[int] = Field(
    "php.limits.open_files",
    rules.whole_number(64, 524288),
    "How many files and connections each process may have open.",
    example="4096",
    default="1024",
)
TEMPORARY: Field[str | None] = Field(
    "php.limits.temporary",
    rules.memory(1, "a page of PHP takes more"),
    "With `dedicated` and `jail.mounts: host`: how large /tmp may grow, which pages, jobs and commands share. It then "
    "lies in memory and is part of `php.limits.memory`, has room for a file for every 16K, at least 1024, and is empty "
    "after a boot. What people upload has to fit in.",
    example="256M",
    otherwise="as much as its disk has, which keeps it over a boot",
)
JIT: Field[bool] = Field(
    "php.jit",
    rules.boolean(),
    "With `dedicated`: whether PHP may make machine code while it runs, for regular expressions and in OPcache. "
    "Without it and without `jail.programs`, nothing that PHP can write to in memory is ever executed.",
    example="true",
    default="false",
)
SERVER: Field[WebServer] = Field(
    "web.server",
    rules.choice(WebServer),
    "The web server. nginx reads no .htaccess files and takes no larger request than PHP's post_max_size.",
    example="nginx",
    default="apache",
)
DOCUMENT_ROOT: Field[str] = Field(
    "web.document_root",
    rules.relative_path("/var/www/NAME"),
    "The directory below /var/www/NAME that the web server shows.",
    example="app/public",
    default="htdocs",
)
FRONT_CONTROLLER: Field[str | None] = Field(
    "web.front_controller",
    rules.unless("none", rules.relative_path("the document root", ending=".php")),
    "The script that answers for every path without a file, so that permalinks need no .htaccess; `none` answers 404.",
    example="none",
    default="index.php",
)
HTACCESS: Field[Htaccess] = Field(
    "web.htaccess",
    rules.choice(Htaccess),
    "What .htaccess files may tell Apache: nothing, what is `safe`, or `all`, which opens ways around the jail.",
    example="none",
    default="safe",
)
TLS: Field[str] = Field(
    "web.tls",
    rules.one_of("auto", "none"),
    "`auto` is HTTPS as soon as the certificate is there, `none` is HTTP only. A group of keys changes `auto`.",
    example="none",
    default="auto",
)
CERTIFICATE: Field[str | None] = Field(
    "web.tls.certificate",
    rules.absolute_path(),
    "The file of the certificate and its chain.",
    example="/etc/ssl/example/fullchain.pem",
    otherwise="/etc/letsencrypt/live/DOMAIN/fullchain.pem",
)
KEY: Field[str | None] = Field(
    "web.tls.key",
    rules.absolute_path(),
    "The file of its private key.",
    example="/etc/ssl/example/privkey.pem",
    otherwise="/etc/letsencrypt/live/DOMAIN/privkey.pem",
)
REDIRECT: Field[bool] = Field(
    "web.tls.redirect",
    rules.boolean(),
    "Whether HTTP answers with a redirect to HTTPS.",
    example="false",
    default="true",
)
HEADERS: Field[tuple[tuple[str, str], ...]] = Field(
    "web.headers",
    MapRule(
        rules.header_name(HEADERS_OF_THE_SERVER),
        rules.header_value(),
        "response headers",
        fold=True,
    ),
    "Headers of every response, in place of the default ones.",
    example="{X-Content-Type-Options: nosniff, X-Frame-Options: SAMEORIGIN}",
    default="{X-Content-Type-Options: nosniff, Referrer-Policy: strict-origin-when-cross-origin}",
)
ACCESS_LOG: Field[bool] = Field(
    "web.access_log",
    rules.boolean(),
    "Whether the web server logs each request.",
    example="false",
    default="true",
)
JAIL_CHARSETS: Field[tuple[str, ...]] = Field(
    "jail.charsets",
    ListRule(rules.known("a character set of glibc such as CP1252", CHARSETS, CHARSET_ADVICE), "character sets"),
    "The character sets that iconv() converts beside UTF-8 and ASCII.",
    example="[CP1252, ISO-8859-15, SJIS]",
    default="[CP1252, ISO-8859-1, ISO-8859-15, UTF-16]",
)
JAIL_LOCALES: Field[tuple[str, ...]] = Field(
    "jail.locales",
    ListRule(jail_rules.locale(), "locales"),
    "The locales of setlocale(), strftime(), sorting and gettext beside C.UTF-8; about 3 MB each. The intl extension "
    "needs none of them.",
    example="[fr_FR.UTF-8, de_DE.UTF-8]",
    default="[]",
)
JAIL_TIME_ZONES: Field[tuple[str, ...] | None] = Field(
    "jail.timezones",
    AllOr(ListRule(jail_rules.time_zone(), "time zones")),
    "The time zones that PHP knows. UTC is always one of them.",
    example="[Europe/Paris, America/New_York]",
    default="all",
)
JAIL_MYSQL: Field[ServerSocket] = Field(
    "jail.mysql",
    rules.choice(ServerSocket),
    "Whether PHP reaches MariaDB or MySQL through its socket, as the host `localhost`. TCP works without.",
    example="socket",
    default="none",
)
JAIL_POSTGRESQL: Field[ServerSocket] = Field(
    "jail.postgresql",
    rules.choice(ServerSocket),
    "Whether PHP reaches PostgreSQL through its socket in /run/postgresql.",
    example="socket",
    default="none",
)
JAIL_REDIS: Field[ServerSocket] = Field(
    "jail.redis",
    rules.choice(ServerSocket),
    "Whether PHP reaches Redis through its socket in /run/redis; `unixsocketperm` in redis.conf says who may.",
    example="socket",
    default="none",
)
JAIL_DNS: Field[Dns] = Field(
    "jail.dns",
    rules.choice(Dns),
    "Which host names PHP can resolve: all that the server can (`resolver`), those in the server's /etc/hosts "
    "(`hosts`), or localhost only (`none`).",
    example="hosts",
    default="resolver",
)
JAIL_NETWORK_DENY: Field[NetworkDeny] = Field(
    "jail.network.deny",
    rules.choice(NetworkDeny),
    "With `dedicated`: whether PHP, jobs and `fpmjail exec` reach no network (`all`), not even the server's own "
    "loopback; sockets of `jail.mysql` and its like still work.",
    example="all",
    default="none",
)
JAIL_NETWORK_ALLOW: Field[tuple[str, ...]] = Field(
    "jail.network.allow",
    ListRule(network.reachable(), "addresses"),
    "With `deny: all`: what they reach nevertheless, addresses and networks, or `localhost`. Names need the address of "
    "the server's resolver.",
    example="[localhost, 192.0.2.0/24, 2001:db8::1]",
    default="[]",
)
JAIL_PROC: Field[Proc] = Field(
    "jail.proc",
    rules.choice(Proc),
    "What PHP sees in /proc: its own processes (`none`; with `shared` isolation nothing), also the state of the whole "
    "server such as the load (`private`), or every process of the server with its command line (`host`).",
    example="private",
    default="none",
)
JAIL_SHELL: Field[Shell] = Field(
    "jail.shell",
    rules.choice(Shell),
    "What exec(), popen(), proc_open() and mail() find as /bin/sh: nothing (`none`), a shell that starts the site's "
    "programs with their arguments and knows nothing else (`restricted`), or dash (`sh`).",
    example="restricted",
    default="none",
)
JAIL_PROGRAMS: Field[tuple[Program, ...]] = Field(
    "jail.programs",
    programs.ProgramsRule(),
    "Programs of the server that PHP may run, with their libraries and data, as new as the server's. A list of words "
    "given to proc_open() needs no shell; exec() takes one, see jail.shell. A script brings its interpreter. Of "
    "programs that are not well known, `packages` says where they are, and `files` what else they need. Well known "
    f"are {', '.join(programs.KNOWN)}.",
    example="[pdftotext, {name: tesseract, packages: [tesseract-ocr], files: [/usr/share/tesseract-ocr/**]}]",
    default="[]",
)
JAIL_MAIL: Field[str] = Field(
    "jail.mail",
    rules.one_of("none"),
    "Whether mail() works. A group of keys names the relay that takes the site's mail and queues it. It brings the "
    "shell that mail() needs: one that starts /usr/sbin/sendmail alone, unless `shell` says more.",
    example="none",
    default="none",
)
JAIL_MAIL_RELAY: Field[mail.Relay | None] = Field(
    "jail.mail.relay",
    mail.relay(),
    "The mail server that takes the site's mail, HOST or HOST:PORT. Without a port it is 587, with `tls: tls` 465, "
    "with `tls: none` 25.",
    example="smtp.example.org:587",
    otherwise="no mail",
)
JAIL_MAIL_FROM: Field[str | None] = Field(
    "jail.mail.from",
    mail.address(),
    "The sender of the envelope, to whom undeliverable mail returns, and the From of messages that have none. With "
    "`-fADDRESS` as the fifth argument of mail() a script names another one.",
    example="web@example.org",
    otherwise="no mail",
)
JAIL_MAIL_SENDER: Field[Sender] = Field(
    "jail.mail.sender",
    rules.choice(Sender),
    "Whether the site may name other senders (`any`), or `from` stands in every envelope and message (`fixed`).",
    example="fixed",
    default="any",
)
JAIL_MAIL_TLS: Field[MailTls | None] = Field(
    "jail.mail.tls",
    rules.choice(MailTls),
    "Encryption from the start (`tls`), after a greeting (`starttls`), or not at all. An authority that the server "
    "knows must have signed the relay's certificate.",
    example="tls",
    otherwise="starttls, or none for a relay on the server itself",
)
JAIL_MAIL_USER: Field[str | None] = Field(
    "jail.mail.user",
    mail.user(),
    "The name to log in with. The password is a line in /etc/fpmjail/sites/NAME/mail-password on the server, root's, "
    "mode 0600; the site's PHP can read its copy in the jail.",
    example="web@example.org",
    otherwise="no log-in",
)
JAIL_MAIL_TIMEOUT: Field[int] = Field(
    "jail.mail.timeout",
    rules.duration(1, 600),
    "How long mail() waits for the relay before it gives up.",
    example="10s",
    default="20s",
)
JAIL_CAPABILITIES: Field[tuple[str, ...]] = Field(
    "jail.capabilities",
    ListRule(jail_rules.capability(capabilities.CHOICE, capabilities.SAID_ELSEWHERE), "capabilities"),
    "What else the jail holds: `fonts`, `git`, `imagick`, `ldap`, `pear`, `spelling`, or `full` for all of these with "
    "every character set and locale of the server. The extensions imagick, ldap, enchant, pspell bring theirs. Other "
    "names are the administrator's own, /etc/fpmjail/capabilities.d/NAME.json on the server.",
    example="[git, imagick]",
    default="[]",
)
JAIL_LIBRARIES: Field[Libraries] = Field(
    "jail.libraries",
    rules.choice(Libraries),
    "Where the jail's programs and libraries come from: copies of what is needed (`image`), or the server's own /usr, "
    "read-only (`bind`): nothing is copied, and every program of the server can be run.",
    example="bind",
    default="image",
)
JAIL_MOUNTS: Field[Mounts] = Field(
    "jail.mounts",
    rules.choice(Mounts),
    "With `dedicated`: who mounts the image into the jail, a mount unit (`host`), or PHP's own service, where only the "
    "site sees it (`private`): nothing in the server's mount table, for servers with many hundred sites.",
    example="private",
    default="host",
)
JAIL_APPARMOR: Field[AppArmor] = Field(
    "jail.apparmor",
    rules.choice(AppArmor),
    "With `dedicated`, where AppArmor is on: a profile names all that the site's processes may read, write and run, a "
    "second wall behind the jail. `complain` only writes down what it would refuse, `off` makes no profile.",
    example="enforce",
    default="off",
)
CODE: Field[str | None] = Field(
    "code",
    rules.relative_path("the description's directory"),
    "Directory with the site's code, beside the description, or beside the directory debian that has it. The package "
    "brings it into the document root, where it is root's: the site can read it, and write in `writable` alone.",
    example="htdocs",
    otherwise="the code is not part of the package",
)
WRITABLE: Field[tuple[str, ...]] = Field(
    "writable",
    ListRule(rules.relative_path("the document root"), "directories"),
    "Directories below the document root for what visitors upload. PHP never runs there.",
    example="[wp-content/uploads]",
    default="[]",
)
CRON: Field[tuple[Job, ...]] = Field(
    "cron",
    jobs.JobsRule(),
    "Commands that systemd runs in the jail by the clock, as the site's user, never the same one twice at a time. "
    "`schedule` is as in systemd.time(7), `command` begins in the document root and knows no shell.",
    example='[{name: cleanup, schedule: "*-*-* 02:30", command: php bin/cleanup.php, randomized_delay: 10m}]',
    default="[]",
)
SFTP: Field[bool] = Field(
    "sftp",
    rules.boolean(),
    "Whether the site's owner reaches /var/www/NAME by SFTP, as the site's user, with a key. Given `keys` it is true.",
    example="true",
    default="false",
)
SFTP_KEYS: Field[tuple[str, ...]] = Field(
    "sftp.keys",
    ListRule(keys.public_key(), "public keys"),
    "Who may: lines of id_ed25519.pub. More may lie in /etc/fpmjail/sites/NAME/authorized_keys on the server.",
    example=f"[{EXAMPLE_KEY}]",
    default="[]",
)

FIELDS: tuple[Field[Any], ...] = (
    SITE, MAINTAINER, DOMAINS, ALIASES, VERSION, DESCRIPTION, RELEASE_NAMES, USER, UID,
    ISOLATION, COMPAT_LINK,
    PHP_VERSION, EXTENSIONS,
    PROCESS_MANAGER, MAX_CHILDREN, START_SERVERS, MIN_SPARE_SERVERS, MAX_SPARE_SERVERS,
    IDLE_TIMEOUT, MAX_REQUESTS, REQUEST_TIMEOUT, SLOW_LOG,
    SETTINGS, ENVIRONMENT, JIT, MEMORY, TASKS, CPU_WEIGHT, IO_WEIGHT, OPEN_FILES, TEMPORARY,
    IDLE_AFTER,
    SERVER, DOCUMENT_ROOT, FRONT_CONTROLLER, HTACCESS, TLS, CERTIFICATE, KEY, REDIRECT, HEADERS, ACCESS_LOG,
    JAIL_CHARSETS, JAIL_LOCALES, JAIL_TIME_ZONES, JAIL_MYSQL, JAIL_POSTGRESQL, JAIL_REDIS, JAIL_DNS,
    JAIL_NETWORK_DENY, JAIL_NETWORK_ALLOW, JAIL_PROC,
    JAIL_SHELL, JAIL_PROGRAMS, JAIL_MAIL, JAIL_MAIL_RELAY, JAIL_MAIL_FROM, JAIL_MAIL_SENDER, JAIL_MAIL_TLS,
    JAIL_MAIL_USER, JAIL_MAIL_TIMEOUT,
    JAIL_CAPABILITIES, JAIL_LIBRARIES, JAIL_MOUNTS, JAIL_APPARMOR,
    CODE, WRITABLE, CRON, SFTP, SFTP_KEYS,
)  # fmt: skip


def fields() -> tuple[Field[Any], ...]:
    """Return all rows of the table, in the order in which they are explained."""
    return FIELDS


def _children() -> dict[str, tuple[str, ...]]:
    groups: dict[str, dict[str, None]] = {"": {}}
    for row in FIELDS:
        parts = row.path.split(".")
        for depth, part in enumerate(parts):
            groups.setdefault(".".join(parts[:depth]), {})[part] = None
    return {path: tuple(keys) for path, keys in groups.items()}


BY_PATH: Mapping[str, Field[Any]] = MappingProxyType({row.path: row for row in FIELDS})
OF_ONE_SITE = ("site", "domains", "aliases", "user", "uid")
"""Keys that two sites can never have in common."""

CHILDREN: Mapping[str, tuple[str, ...]] = MappingProxyType(_children())
"""The keys of each group; the path of the whole file is empty. `web.tls` is a group and a key at once."""


def json_schema(defaults: bool = False) -> dict[str, object]:
    """Return the table as JSON Schema, for editors: most of the rules, none of the advice.

    With `defaults` that of a defaults.yaml, where no key is required and those of one site only are unknown.
    """
    site = _group_schema("")
    shared = [key for key in CHILDREN[""] if key not in OF_ONE_SITE]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What PHP websites have in common, for fpmjail-deb" if defaults else "A PHP website, for fpmjail-deb",
        **({**site, "required": [], "properties": {key: _key_schema(key) for key in shared}} if defaults else site),
    }


def _group_schema(path: str) -> dict[str, object]:
    keys = CHILDREN[path]
    schema: dict[str, object] = {
        "type": ["object", "null"] if path else "object",
        "additionalProperties": False,
        "properties": {key: _key_schema(join(path, key)) for key in keys},
    }
    # What several sites can have in common may stand in their defaults.
    required = [key for key in OF_ONE_SITE if BY_PATH[key].required] if not path else []
    return {**schema, "required": required} if required else schema


def _key_schema(path: str) -> dict[str, object]:
    if path not in BY_PATH:
        return _group_schema(path)
    row = BY_PATH[path]
    schema = row.rule.json_schema()
    if path in CHILDREN:
        schema = {"anyOf": [schema, _group_schema(path)]}
    default = {} if row.default is None else {"default": yaml.safe_load(row.default)}
    return {"description": row.doc, **schema, **default, "examples": [yaml.safe_load(row.example)]}


def markdown() -> str:
    """Return the table as a Markdown definition list, as fpmjail-site(5) shows it."""
    return "\n\n".join(_definition(row) for row in FIELDS)


def _definition(row: Field[Any]) -> str:
    key = row.path.rpartition(".")[2]
    example = re.sub(r"(\S{25})\S{25,}", r"\1...", row.example)  # a whole public key is wider than a page
    return (
        f"**{row.path}**\n"
        f":   {row.doc}\n\n"
        f"    Value: {_literal(row.rule.expected)}. {_default(row)} Example: `{key}: {example}`"
    )


def _default(row: Field[Any]) -> str:
    if row.required:
        return "Required."
    return f"Default: {_literal(row.otherwise)}." if row.default is None else f"Default: `{row.default}`."


def _literal(text: str) -> str:
    return re.sub(r"([<>*_\\])", r"\\\1", text)
