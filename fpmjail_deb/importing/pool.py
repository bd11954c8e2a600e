# SPDX-License-Identifier: GPL-2.0-or-later
"""A pool of php-fpm -> the keys of a site description. FPM's own defaults are written out, for ours differ."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath

from fpmjail_deb.errors import UsageError
from fpmjail_deb.importing.draft import Draft
from fpmjail_deb.importing.pool_file import Entry, Section, is_on
from fpmjail_deb.importing.settings import give_setting
from fpmjail_deb.location import Location

SEEN_TO = frozenset(
    {
        "user", "group", "listen", "listen.owner", "listen.group", "listen.mode", "listen.allowed_clients",
        "listen.acl_users", "listen.acl_groups", "slowlog", "catch_workers_output", "decorate_workers_output", "prefix",
    }
)  # fmt: skip
"""What the package makes itself."""

NUMBERS = {
    "pm": "php.pool.process_manager",
    "pm.max_children": "php.pool.max_children",
    "pm.start_servers": "php.pool.start_servers",
    "pm.min_spare_servers": "php.pool.min_spare_servers",
    "pm.max_spare_servers": "php.pool.max_spare_servers",
    "pm.max_requests": "php.pool.max_requests",
}
TIMES = {
    "pm.process_idle_timeout": "php.pool.idle_timeout",
    "request_slowlog_timeout": "php.pool.slow_log",
    "request_terminate_timeout": "php.pool.request_timeout",
}
OF_A_MANAGER = {
    "pm.start_servers": "dynamic",
    "pm.min_spare_servers": "dynamic",
    "pm.max_spare_servers": "dynamic",
    "pm.process_idle_timeout": "ondemand",
}
"""What FPM reads with one process manager only."""

ADVICE = {
    "access.log": "the web server logs each request: web.access_log",
    "access.format": "the web server logs each request: web.access_log",
    "access.suppress_path[]": "the web server logs each request: web.access_log",
    "chroot": "every site has a root of its own; paths begin at /var/www/NAME there",
    "chdir": "PHP begins in the directory of the script",
    "listen.backlog": "the socket is systemd's, with its backlog of 511",
    "ping.path": "`fpmjail check NAME` asks PHP itself",
    "ping.response": "`fpmjail check NAME` asks PHP itself",
    "pm.status_path": "`fpmjail status` and `fpmjail check --prometheus` have figures",
    "pm.status_listen": "`fpmjail status` and `fpmjail check --prometheus` have figures",
    "pm.max_spawn_rate": "FPM has its default",
    "process.priority": "CPUWeight= in a drop-in of the site's slice: systemctl edit {slice}",
    "process.dumpable": "no process of a jail can be traced",
    "rlimit_core": "LimitCORE= in a drop-in of the unit: systemctl edit {package}",
    "rlimit_files": "LimitNOFILE= in a drop-in of the unit: systemctl edit {package}",
    "apparmor_hat": "systemd's walls take its place",
    "request_slowlog_trace_depth": "FPM has its default",
    "request_terminate_timeout_track_finished": "FPM has its default",
}
TEMPORARY = frozenset({"TMP", "TEMP", "TMPDIR"})
SECRET = re.compile(r"PASS(WORD|WD|PHRASE)?|SECRET|TOKEN|(API|PRIVATE|ACCESS|APP)_?KEY|CREDENTIAL", re.IGNORECASE)


def choose_pool(sections: Sequence[Section], wanted: str | None) -> Section:
    """Return the one pool, or the one asked for. Raises UsageError."""
    pools = [section for section in sections if section.name != "global"]
    chosen = [pool for pool in pools if wanted in (None, pool.name)]
    names = ", ".join(pool.name for pool in pools)
    if not chosen:
        raise UsageError(f"no pool is called {wanted}" if wanted else "found no pool", f"there are: {names or 'none'}")
    if len(chosen) > 1:
        raise UsageError(f"found {len(chosen)} pools", f"choose one with --pool: {names}")
    return chosen[0]


def read_pool(sections: Sequence[Section], pool: Section, draft: Draft) -> None:
    """Take over a pool, and name what [global] says for all of them."""
    given = {entry.key: entry for entry in pool.entries if not entry.name}
    for entry in (entry for section in sections if section.name == "global" for entry in section.entries):
        _read_global(entry, draft)
    _give_user(given, draft)
    for entry in pool.entries:
        if not entry.name and given[entry.key] is not entry:
            draft.remark(entry.location, f"{entry.key} = {entry.value}", "a later line says something else")
        else:
            _read_entry(_expanded(entry, pool.name), given, draft)
    _give_defaults(pool.location, given, draft)


def _read_global(entry: Entry, draft: Draft) -> None:
    advice = "not followed: name the file itself" if entry.key == "include" else "[global] is not of one site"
    draft.remark(entry.location, f"{entry.label} = {entry.value}", advice)


def _expanded(entry: Entry, pool: str) -> Entry:
    """FPM puts the pool's name in place of $pool (fpm_conf_expand_pool_name)."""
    return Entry(entry.key, entry.name, entry.value.replace("$pool", pool), entry.location)


def _read_entry(entry: Entry, given: Mapping[str, Entry], draft: Draft) -> None:
    key = entry.key
    reader = READERS.get(key)
    if reader:
        reader(entry, draft)
    elif key in SEEN_TO:
        return
    elif OF_A_MANAGER.get(key, _manager(given)) != _manager(given):
        draft.remark(entry.location, f"{key} = {entry.value}", f"FPM reads it with pm = {OF_A_MANAGER[key]} only")
    elif key in NUMBERS:
        draft.give(NUMBERS[key], _number(entry.value), entry.location)
    elif key in TIMES:
        _give_time(entry, draft)
    else:
        slice_unit = f"fpmjail-{draft.name}.slice"
        advice = ADVICE.get(key, "no key for it").replace("NAME", draft.name)
        words = advice.format(package=f"site-{draft.name}-jail", slice=slice_unit)
        draft.remark(entry.location, f"{entry.label} = {entry.value}", words)


def _manager(given: Mapping[str, Entry]) -> str:
    return given["pm"].value if "pm" in given else ""


def _number(text: str) -> str:
    return text.lstrip("0") or "0" if text.isdecimal() else text


def _give_time(entry: Entry, draft: Draft) -> None:
    found = re.fullmatch(r"([0-9]{1,9})\s*([smhd]?)", entry.value)
    key = TIMES[entry.key]
    if not found:
        draft.remark(entry.location, f"{entry.key} = {entry.value}", "expected a time such as 30s")
        return
    seconds = int(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[found[2]]
    if seconds or key == "php.pool.slow_log":
        draft.give(key, f"{seconds}s" if seconds else "0", entry.location)


def _give_user(given: Mapping[str, Entry], draft: Draft) -> None:
    user = given.get("user")
    if not user:
        return
    if user.value.startswith("_"):
        draft.give("user", user.value, user.location)
    if ("user",) not in draft.values:
        draft.remark(user.location, f"user = {user.value}", f"PHP runs as _site-{draft.name}: the files become its own")


def _give_defaults(location: Location, given: Mapping[str, Entry], draft: Draft) -> None:
    manager = _manager(given)
    why = "FPM's default"
    draft.give("php.pool.max_requests", "0", None, why)
    draft.give("php.pool.slow_log", "0", None, why)
    if manager == "ondemand":
        draft.give("php.pool.idle_timeout", "10s", None, why)
    if manager == "dynamic" and "pm.start_servers" not in given:
        spare = [given[key].value for key in ("pm.min_spare_servers", "pm.max_spare_servers") if key in given]
        if len(spare) == 2 and all(text.isdecimal() and len(text) < 6 for text in spare):
            low, high = map(int, spare)
            draft.give("php.pool.start_servers", str(low + (high - low) // 2), None, why)
    children = draft.values.get(("php", "pool", "max_children"))
    if children and int(children.text) + 2 > 128:
        draft.give("php.limits.tasks", str(int(children.text) + 32), None, "room for all children")


def _read_variable(entry: Entry, draft: Draft) -> None:
    label = f"{entry.label} = {entry.value}"
    if entry.value.startswith("$"):
        draft.remark(entry.location, label, "from the master's environment: write the value itself into php.env")
    elif SECRET.search(entry.name):
        place = f"/etc/fpmjail/sites/{draft.name}/fpm.d/secrets.conf on the server"
        advice = f"packages are readable for every user: write it into {place}, mode 0600"
        draft.remark(entry.location, f"{entry.label} = ...", advice)
    elif entry.name in TEMPORARY and not _is_in_the_jail(entry.value, draft.move.old):
        draft.remark(entry.location, label, "the jail has a /tmp of its own")
    else:
        draft.put("php.env", entry.name, entry.value, entry.location)


def _is_in_the_jail(directory: str, old: str) -> bool:
    """Whether a directory comes along with the site's files, or is the jail's own."""
    path = PurePosixPath(directory)
    return path == PurePosixPath("/tmp") or (bool(old) and path.is_relative_to(old))


def _read_setting(entry: Entry, draft: Draft) -> None:
    flag = entry.key.endswith("_flag")
    value = ("1" if is_on(entry.value) else "0") if flag else entry.value
    why = "" if "admin" in entry.key else "the site's code could change it"
    give_setting(entry.name, value, entry.location, draft, why)


def _read_clear_env(entry: Entry, draft: Draft) -> None:
    if not is_on(entry.value):
        advice = "the jail knows the variables of php.env only: name those that the site needs there"
        draft.remark(entry.location, f"clear_env = {entry.value}", advice)


def _read_limit_extensions(entry: Entry, draft: Draft) -> None:
    if entry.value.split() != [".php"]:
        label = f"security.limit_extensions = {entry.value}"
        draft.remark(entry.location, label, "PHP runs files that end in .php only: rename the others")


def _read_include(entry: Entry, draft: Draft) -> None:
    draft.remark(entry.location, f"include = {entry.value}", "not followed: name the file itself on the command line")


READERS: Mapping[str, Callable[[Entry, Draft], None]] = {
    "env": _read_variable,
    "php_value": _read_setting,
    "php_flag": _read_setting,
    "php_admin_value": _read_setting,
    "php_admin_flag": _read_setting,
    "clear_env": _read_clear_env,
    "security.limit_extensions": _read_limit_extensions,
    "include": _read_include,
}
