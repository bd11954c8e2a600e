# SPDX-License-Identifier: GPL-2.0-or-later
"""The keys outside of every group: which site it is, and what its owner puts there and does with it."""

from __future__ import annotations

from typing import Any

from fpmjail_deb import jobs, rules, ssh_keys
from fpmjail_deb.release import RELEASES
from fpmjail_deb.rules import ListRule
from fpmjail_deb.schema.field import Field
from fpmjail_deb.site import AUTOMATIC, Isolation, Job

EXAMPLE_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f ann@example.org"

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
    otherwise="a free system number from 300 to 999, then one from 30000 to 37999",
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
    ListRule(rules.relative_path("the document root", start=rules.HTDOCS), "directories"),
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
    ListRule(ssh_keys.public_key(), "public keys"),
    "Who may: lines of id_ed25519.pub. More may lie in /etc/fpmjail/sites/NAME/authorized_keys on the server.",
    example=f"[{EXAMPLE_KEY}]",
    default="[]",
)

FIRST: tuple[Field[Any], ...] = (
    SITE, MAINTAINER, DOMAINS, ALIASES, VERSION, DESCRIPTION, RELEASE_NAMES, USER, UID, ISOLATION, COMPAT_LINK,
)  # fmt: skip

LAST: tuple[Field[Any], ...] = (
    CODE, WRITABLE, CRON, SFTP, SFTP_KEYS,
)  # fmt: skip
