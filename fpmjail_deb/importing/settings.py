# SPDX-License-Identifier: GPL-2.0-or-later
"""One PHP setting, from a pool, from mod_php or from nginx -> php.settings, or the key of the jail that it asks for."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from fpmjail_deb.importing.draft import Draft, scalar
from fpmjail_deb.location import Location

MYSQL_SOCKETS = frozenset({"/run/mysqld/mysqld.sock", "/var/run/mysqld/mysqld.sock"})
"""Debian's place, which the jail has as well."""

_SENDER = re.compile(r"-f\s*'?\"?([^\s'\"]+@[^\s'\"]+)")


def give_setting(name: str, value: str, location: Location, draft: Draft, why: str = "") -> None:
    """Take over one setting; `why` goes into the comment behind it."""
    reader = READERS.get(name)
    if reader:
        reader(name, value, location, draft)
    else:
        draft.put("php.settings", name, value, location, why)


def _read_mysql(name: str, value: str, location: Location, draft: Draft) -> None:
    if value in MYSQL_SOCKETS:
        draft.give("jail.mysql", "socket", location, name)
    elif value:
        advice = "the jail has the socket in /run/mysqld, which is PHP's default there; jail.mysql is set"
        draft.give("jail.mysql", "socket", location, name)
        draft.remark(location, f"{name} = {value}", advice)


def _read_sessions(name: str, value: str, location: Location, draft: Draft) -> None:
    if name == "session.save_handler" and value == "files":
        return
    if value.startswith(("unix:", "/run/redis", "/var/run/redis")):
        draft.give("jail.redis", "socket", location, name)
    if name == "session.save_handler" or "://" in value or value.startswith("unix:"):
        place = f"/etc/fpmjail/sites/{draft.name}/fpm.d/sessions.conf on the server"
        draft.remark(location, f"{name} = {value}", f"sessions lie in the jail; to keep them elsewhere: {place}")
    else:
        draft.remark(location, f"{name} = {value}", "sessions lie in the jail; who is logged in logs in again")


def _read_sendmail(name: str, value: str, location: Location, draft: Draft) -> None:
    if "sendmail" not in value and "msmtp" not in value:
        draft.remark(location, f"{name} = {value}", "jail.mail names the relay that takes the site's mail")
        return
    sender = _SENDER.search(value)
    domain = draft.values.get(("domains",))
    main = domain.text.strip("[]").partition(",")[0].strip('"') if domain else "localhost.localdomain"
    draft.give("jail.mail.relay", "localhost", location, "this server's own mail server")
    draft.give("jail.mail.from", scalar(sender[1] if sender else f"webmaster@{main}"), location)
    if ("jail", "mail", "from") not in draft.values:
        draft.values.pop(("jail", "mail", "relay"), None)


def _seen_to(name: str, value: str, location: Location, draft: Draft) -> None:
    draft.remark(location, f"{name} = {value}", SEEN_TO[name].replace("NAME", draft.name))


SEEN_TO = {
    "error_log": "PHP's log is /var/log/fpmjail/NAME/php.log",
    "open_basedir": "the jail takes its place",
    "engine": "PHP runs outside of `writable` directories",
    "upload_tmp_dir": "/tmp is the jail's own",
    "sys_temp_dir": "/tmp is the jail's own",
}

READERS: Mapping[str, Callable[[str, str, Location, Draft], None]] = {
    "mysql.default_socket": _read_mysql,
    "mysqli.default_socket": _read_mysql,
    "pdo_mysql.default_socket": _read_mysql,
    "session.save_handler": _read_sessions,
    "session.save_path": _read_sessions,
    "sendmail_path": _read_sendmail,
    **dict.fromkeys(SEEN_TO, _seen_to),
}
