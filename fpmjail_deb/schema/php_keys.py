# SPDX-License-Identifier: GPL-2.0-or-later
"""The keys below `php`: version, extensions, pool, settings, limits."""

from __future__ import annotations

from typing import Any

from fpmjail_deb import rules
from fpmjail_deb.release import BUILT_IN, PART_OF, RELEASES
from fpmjail_deb.rules import ListRule, MapRule
from fpmjail_deb.schema.field import Field
from fpmjail_deb.site import ProcessManager

DAY = 24 * 3600
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
PHP_VERSIONS = sorted({php for release in RELEASES.values() for php in release.php_versions})
EXTENSIONS_OF_DEBIAN = {extension for release in RELEASES.values() for extension in release.extensions}
EXTENSION_ADVICE = {
    **{part: f'it is in "{package}"' for part, package in PART_OF.items()},
    **dict.fromkeys(BUILT_IN, "every PHP has it: leave it out"),
}

VERSION: Field[str | None] = Field(
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
JIT: Field[bool] = Field(
    "php.jit",
    rules.boolean(),
    "With `dedicated`: whether PHP may make machine code while it runs, for regular expressions and in OPcache. "
    "Without it and without `jail.programs`, nothing that PHP can write to in memory is ever executed.",
    example="true",
    default="false",
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
IDLE_AFTER: Field[int] = Field(
    "php.idle_after",
    rules.duration(0, DAY),
    "With `dedicated`: after what time without a request PHP ends altogether, master included; the next request "
    "starts it again, in about a tenth of a second. Looked at once a minute; 0 is never.",
    example="1h",
    default="10m",
)

KEYS: tuple[Field[Any], ...] = (
    VERSION, EXTENSIONS, PROCESS_MANAGER, MAX_CHILDREN, START_SERVERS, MIN_SPARE_SERVERS, MAX_SPARE_SERVERS,
    IDLE_TIMEOUT, MAX_REQUESTS, REQUEST_TIMEOUT, SLOW_LOG, SETTINGS, ENVIRONMENT, JIT, MEMORY, TASKS, CPU_WEIGHT,
    IO_WEIGHT, OPEN_FILES, TEMPORARY, IDLE_AFTER,
)  # fmt: skip
