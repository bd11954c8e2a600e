# SPDX-License-Identifier: GPL-2.0-or-later
"""The bytes of a site description -> a frozen Site, or all of its problems at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, cast

from fpmjail_deb import capabilities, document, mail, names, network, programs, rules, schema
from fpmjail_deb.document import Mapping, Node, Refused, Scalar, join
from fpmjail_deb.errors import DescriptionError, Problem, quote
from fpmjail_deb.layers import layered, of_one_site
from fpmjail_deb.nginx_host import body_size
from fpmjail_deb.pool import needs_unit
from fpmjail_deb.release import RELEASES
from fpmjail_deb.rules import Reading, T, UnreadError, suggest
from fpmjail_deb.schema import BY_PATH, CHILDREN, Field
from fpmjail_deb.site import (
    Dns,
    Htaccess,
    Isolation,
    Jail,
    Libraries,
    Limits,
    Location,
    Mail,
    MailTls,
    Mounts,
    Network,
    NetworkDeny,
    Php,
    Pool,
    Proc,
    ProcessManager,
    Sender,
    Sftp,
    Shell,
    Site,
    Tls,
    Web,
    WebServer,
)


def read_site(data: bytes, file: str, defaults: Sequence[Mapping] = (), *, whole: bool = True) -> Site:
    """Read one description; `file` names it in messages and origins, `defaults` lie beneath it, the widest first.

    With `whole` false a file of defaults could not be read: then a missing key is no problem, and there is no Site.
    Raises DescriptionError with all problems, sorted by position.
    """
    read = document.read(data, file)
    reading = Reading(list(read.problems), file=file)
    values = Values(layered((*defaults, read.root)), reading, required=whole)
    for check in CHECKS:
        check(values, reading)
    if reading.problems or not whole:
        raise DescriptionError(reading.problems)
    return _site(values, reading)


def problems_of_defaults(root: Mapping) -> tuple[Problem, ...]:
    """Return what is wrong in a file of defaults, whatever its sites make of it."""
    reading = Reading(file=root.location.file)
    Values(root, reading, required=False)
    return tuple(sorted({*reading.problems, *of_one_site(root)}))


def warnings(site: Site) -> tuple[Problem, ...]:
    """Return what a good description allows and its author should know."""
    htaccess = "with all, whoever can write an .htaccess file runs code as the web server, outside of every jail"
    bind = "with bind, the site sees and can run every program of the server in /usr, shells among them"
    proc = "with host, the site sees every process of the server, with its command line"
    shell = "with sh, whoever finds a hole in the site can use every program of its jail in any combination"
    uploads = "in shared isolation the site can run what it uploads, so a restricted shell is no wall"
    restricted = site.isolation is Isolation.SHARED and site.jail.shell is Shell.RESTRICTED
    dangers = (
        (site.web.htaccess is Htaccess.ALL, schema.HTACCESS, htaccess, "safe leaves out what makes that possible"),
        (site.jail.proc is Proc.HOST, schema.JAIL_PROC, proc, "private has all of /proc but other users' processes"),
        (site.jail.shell is Shell.SH, schema.JAIL_SHELL, shell, "restricted starts the declared programs only"),
        (site.jail.libraries is Libraries.BIND, schema.JAIL_LIBRARIES, bind, "image has only what the site needs"),
        (restricted, schema.JAIL_SHELL, uploads, "with isolation: dedicated it is one"),
    )
    places = dict(site.origins)
    return (
        *(Problem(places[row.path], row.path, words, hint) for there, row, words, hint in dangers if there),
        *_shells(site),
        *_resembling(site),
    )


def _shells(site: Site) -> Iterator[Problem]:
    for index, program in enumerate(site.jail.programs):
        name = program.path.rpartition("/")[2]
        if name in programs.SHELLS:
            path = f"{schema.JAIL_PROGRAMS.path}[{index}]"
            words = f"with {name}, whoever can run code in the site has a shell with everything else in the jail"
            yield Problem(dict(site.origins)[path], path, words, "leave it out if only exec() needs it")


def _resembling(site: Site) -> Iterator[Problem]:
    """An administrator may call his own as he likes; the server says so if he has none of that name."""
    places = dict(site.origins)
    for index, name in enumerate(site.jail.capabilities):
        ours = capabilities.resembles(name)
        if ours:
            path = f"{schema.JAIL_CAPABILITIES.path}[{index}]"
            words = f"{name} is none of ours: every server needs /etc/fpmjail/capabilities.d/{name}.json for it"
            yield Problem(places[path], path, words, f'did you mean "{ours}"?')


class Values:
    """The values of all keys, typed by their rows of the table; a key that could not be read is missing."""

    def __init__(self, root: Mapping, reading: Reading, *, required: bool) -> None:
        nodes = dict(_keys(root, "", reading))
        self._values: dict[str, object] = {}
        for row in schema.FIELDS:
            if row.required and not required and row.path not in nodes:
                continue
            try:
                self._values[row.path] = _value(row, nodes.get(row.path), root, reading)
            except UnreadError:
                continue

    def __getitem__(self, row: Field[T]) -> T:
        return cast(T, self._values[row.path])

    def have(self, *rows: Field[Any]) -> bool:
        """Whether all of these keys could be read, or have their defaults."""
        return all(row.path in self._values for row in rows)


def _keys(group: Mapping, prefix: str, reading: Reading) -> Iterator[tuple[str, Node]]:
    for key, node in group.entries:
        path = join(prefix, key.text)
        if key.text not in CHILDREN[prefix]:
            reading.refuse(key.location, path, "unknown key", _advice(prefix, key.text))
        elif path in CHILDREN and (path not in BY_PATH or isinstance(node, Mapping) or _empty(node)):
            yield from _group(node, path, reading)
        else:
            reading.origins[path] = key.location
            yield path, node


def _group(node: Node, path: str, reading: Reading) -> Iterator[tuple[str, Node]]:
    if isinstance(node, Mapping):
        yield from _keys(node, path, reading)
    elif not isinstance(node, Refused) and not _empty(node):
        message = f"expected a group of keys, found {document.kind(node)}"
        reading.refuse(node.location, path, message, _known_here(path))


def _empty(node: Node) -> bool:
    """Whether a group has nothing in it, because all its lines are comments; it is then as if it were not there."""
    return isinstance(node, Scalar) and node.missing


def _advice(prefix: str, key: str) -> str:
    if join(prefix, key) in BY_PATH:
        return "write each part of it on a line of its own, the next one indented deeper"
    elsewhere = [path for path in (*BY_PATH, *CHILDREN) if path.rpartition(".")[2] == key and path]
    if elsewhere:
        above = elsewhere[0].rpartition(".")[0]
        return f'it belongs below "{above}"' if above else "it belongs in the first column"
    return suggest(key, CHILDREN[prefix]) or _known_here(prefix)


def _known_here(prefix: str) -> str:
    return f"known here: {', '.join(CHILDREN[prefix])}"


def _value(row: Field[T], node: Node | None, root: Mapping, reading: Reading) -> T | None:
    if node is not None:
        return row.rule.read(node, row.path, reading)
    if row.required:
        hint = f"add a line such as `{row.path}: {row.example}`"
        raise reading.refuse(root.location, row.path, f"expected {row.rule.expected}, found nothing", hint)
    if row.default is None:
        return None
    return row.rule.read(written(row.default), row.path, Reading())


@cache
def written(text: str) -> Node:
    """Return the node of a value as it stands in the table."""
    [(_, node)] = document.read(f"value: {text}".encode(), "schema").root.entries
    return node


def _place(reading: Reading, *rows: Field[Any]) -> Location:
    """Return where the first of these keys that is given stands: the table's defaults alone never are in conflict.

    What stands in the site's own file goes before what stands in a file of defaults.
    """
    places = [reading.origins[row.path] for row in rows if row.path in reading.origins]
    return min(places, key=lambda place: place.file != reading.file)


def _check_php_version(values: Values, reading: Reading) -> None:
    if not values.have(schema.PHP_VERSION, schema.RELEASE_NAMES):
        return
    version = values[schema.PHP_VERSION]
    shipping = [name for name in values[schema.RELEASE_NAMES] if version in (None, *RELEASES[name].php_versions)]
    for name in values[schema.RELEASE_NAMES]:
        if name not in shipping:
            message = f"{name} has PHP {', '.join(RELEASES[name].php_versions)}, not {version}"
            hint = _leave_out_or(shipping)
            reading.refuse(_place(reading, schema.PHP_VERSION), schema.PHP_VERSION.path, message, hint)


def _leave_out_or(shipping: list[str]) -> str:
    only = f", or build for the releases that have it: releases: [{', '.join(shipping)}]" if shipping else ""
    return f"leave it out{only}"


def _check_extensions(values: Values, reading: Reading) -> None:
    if not values.have(schema.EXTENSIONS, schema.RELEASE_NAMES):
        return
    codenames = values[schema.RELEASE_NAMES]
    for index, extension in enumerate(values[schema.EXTENSIONS]):
        shipping = [codename for codename in codenames if extension in RELEASES[codename].extensions]
        if len(shipping) < len(codenames):
            path = f"{schema.EXTENSIONS.path}[{index}]"
            lacking = ", ".join(codename for codename in codenames if codename not in shipping)
            message = f"{lacking} does not ship {extension}"
            reading.refuse(reading.origins[path], path, message, _leave_out_or(shipping))


_SPARE = (schema.START_SERVERS, schema.MIN_SPARE_SERVERS, schema.MAX_SPARE_SERVERS)


def _check_spare_servers(values: Values, reading: Reading) -> None:
    if not values.have(schema.PROCESS_MANAGER, schema.MAX_CHILDREN, *_SPARE):
        return
    if values[schema.PROCESS_MANAGER] is not ProcessManager.DYNAMIC:
        for row in _SPARE:
            if row.path in reading.origins:
                message = "only means something with process_manager: dynamic"
                reading.refuse(reading.origins[row.path], row.path, message, "leave it out")
        return
    rising = (schema.MIN_SPARE_SERVERS, schema.START_SERVERS, schema.MAX_SPARE_SERVERS, schema.MAX_CHILDREN)
    found = [values[row] for row in rising]
    if found != sorted(found):
        words = " <= ".join(row.path.rpartition(".")[2] for row in rising)
        message = f"expected {words}, found {', '.join(map(str, found))}"
        hint = f"the defaults are {', '.join(str(row.default) for row in rising)}"
        reading.refuse(_place(reading, *rising, schema.PROCESS_MANAGER), "php.pool", message, hint)


def _check_slow_log(values: Values, reading: Reading) -> None:
    rows = (schema.SLOW_LOG, schema.REQUEST_TIMEOUT)
    if values.have(*rows) and values[schema.SLOW_LOG] > values[schema.REQUEST_TIMEOUT]:
        message = f"expected at most php.pool.request_timeout, {values[schema.REQUEST_TIMEOUT]}s"
        found = f"found {values[schema.SLOW_LOG]}s"
        reading.refuse(_place(reading, *rows), schema.SLOW_LOG.path, f"{message}, {found}", "0 is no slow log")


def _check_tasks(values: Values, reading: Reading) -> None:
    rows = (schema.TASKS, schema.MAX_CHILDREN)
    if not values.have(*rows):
        return
    least = values[schema.MAX_CHILDREN] + 2
    if not _shared(values) and values[schema.TASKS] < least:
        message = f"expected at least {least} for {least - 2} processes and their master, found {values[schema.TASKS]}"
        reading.refuse(_place(reading, *rows), schema.TASKS.path, message, "raise it, or lower php.pool.max_children")


def _check_certificate(values: Values, reading: Reading) -> None:
    given = [row for row in (schema.CERTIFICATE, schema.KEY) if row.path in reading.origins]
    if len(given) == 1:
        message = "certificate and key belong together, found one of them"
        reading.refuse(_place(reading, *given), given[0].path, message, "give both, or none for those of certbot")


def _check_domains(values: Values, reading: Reading) -> None:
    if values.have(schema.DOMAINS) and values[schema.DOMAINS][0].startswith("*."):
        path = f"{schema.DOMAINS.path}[0]"
        hint = "put another one first: it names the site and its certificate"
        reading.refuse(reading.origins[path], path, "the first host name cannot have a *.", hint)


def _check_aliases(values: Values, reading: Reading) -> None:
    if not values.have(schema.DOMAINS, schema.ALIASES):
        return
    for index, alias in enumerate(values[schema.ALIASES]):
        if alias in values[schema.DOMAINS]:
            path = f"{schema.ALIASES.path}[{index}]"
            reading.refuse(reading.origins[path], path, f"{alias} is one of the domains already", "keep one")


def _check_front_controller(values: Values, reading: Reading) -> None:
    if not values.have(schema.FRONT_CONTROLLER, schema.WRITABLE):
        return
    script = values[schema.FRONT_CONTROLLER] or ""
    for directory in values[schema.WRITABLE]:
        if script.startswith(f"{directory}/"):
            place = _place(reading, schema.FRONT_CONTROLLER)
            message = f"it is below the writable directory {directory}, where PHP never runs"
            reading.refuse(place, schema.FRONT_CONTROLLER.path, message, "move the script, or the uploads")


def _check_htaccess(values: Values, reading: Reading) -> None:
    rows = (schema.SERVER, schema.HTACCESS)
    if values.have(*rows) and values[schema.SERVER] is WebServer.NGINX and values[schema.HTACCESS] is not Htaccess.SAFE:
        place = _place(reading, schema.HTACCESS)
        reading.refuse(place, schema.HTACCESS.path, "nginx reads no .htaccess files", "leave it out")


def _check_nginx_headers(values: Values, reading: Reading) -> None:
    rows = (schema.SERVER, schema.HEADERS)
    if not values.have(*rows) or values[schema.SERVER] is not WebServer.NGINX:
        return
    for name, value in values[schema.HEADERS]:
        path = join(schema.HEADERS.path, name)
        if "$" in value:
            reading.refuse(reading.origins[path], path, 'nginx puts a variable in place of a "$"', "write it without")
        if name.lower() == "content-type":
            reading.refuse(reading.origins[path], path, "nginx would send it a second time", "leave it to the site")


def _check_body_size(values: Values, reading: Reading) -> None:
    rows = (schema.SERVER, schema.SETTINGS)
    if not values.have(*rows) or values[schema.SERVER] is not WebServer.NGINX:
        return
    given = dict(values[schema.SETTINGS]).get("post_max_size")
    if given is not None and body_size(given) is None:
        path = join(schema.SETTINGS.path, "post_max_size")
        message = f"expected a size that nginx can follow, found {quote(given)}"
        reading.refuse(reading.origins[path], path, message, "write it like 64M")


def _check_limits(values: Values, reading: Reading) -> None:
    for row in (schema.MEMORY, schema.TASKS, schema.CPU_WEIGHT, schema.IO_WEIGHT):
        if _shared(values) and row.path in reading.origins:
            message = "in shared isolation PHP's processes belong to Debian's PHP-FPM, which has no limits for one site"
            hint = "leave it out: memory_limit in php.settings times php.pool.max_children is the limit there is"
            reading.refuse(reading.origins[row.path], row.path, message, hint)


def _check_temporary(values: Values, reading: Reading) -> None:
    rows = (schema.TEMPORARY, schema.MEMORY)
    if not values.have(*rows) or values[schema.TEMPORARY] is None:
        return
    quota = "leave it out; what bounds it there is a quota of the site's user, for blocks and for files"
    if _shared(values):
        message = "in shared isolation /tmp is a directory beside the site's data, on the same disk"
        reading.refuse(reading.origins[rows[0].path], rows[0].path, message, quota)
    elif values.have(schema.JAIL_MOUNTS) and values[schema.JAIL_MOUNTS] is Mounts.PRIVATE:
        message = "with jail.mounts: private nothing is mounted that pages, jobs and commands could share"
        reading.refuse(reading.origins[rows[0].path], rows[0].path, message, quota)
    else:
        _check_temporary_is_part_of_memory(values[schema.TEMPORARY], values[schema.MEMORY], reading)


def _check_temporary_is_part_of_memory(size: str | None, whole: str, reading: Reading) -> None:
    rows = (schema.TEMPORARY, schema.MEMORY)
    if size and rules.in_bytes(size) >= rules.in_bytes(whole):
        message = f"expected less than php.limits.memory, {whole}, of which it is a part, found {size}"
        reading.refuse(_place(reading, *rows), rows[0].path, message, "lower it, or raise php.limits.memory")


def _check_shared_master(values: Values, reading: Reading) -> None:
    master = "in shared isolation the pages come from Debian's PHP-FPM, which never stops"
    chroot = "in shared isolation Debian's PHP-FPM sees what the host has mounted, and nothing else"
    profile = "in shared isolation the pages come from Debian's PHP-FPM, whose profile would be that of all sites"
    rows = ((schema.IDLE_AFTER, master), (schema.JAIL_MOUNTS, chroot), (schema.JAIL_APPARMOR, profile))
    for row, message in rows:
        if _shared(values) and row.path in reading.origins:
            reading.refuse(reading.origins[row.path], row.path, message, "leave it out")


def _check_compat_link(values: Values, reading: Reading) -> None:
    if not values.have(schema.COMPAT_LINK, schema.ISOLATION) or not values[schema.COMPAT_LINK]:
        return
    place, path = reading.origins[schema.COMPAT_LINK.path], schema.COMPAT_LINK.path
    if not _shared(values):
        message = "only means something with isolation: shared"
        reading.refuse(place, path, message, "leave it out: the path is the same inside and outside")
    elif values.have(schema.DOCUMENT_ROOT) and values[schema.DOCUMENT_ROOT].split("/")[0] == "var":
        message = "the link would be where the document root begins, in var"
        reading.refuse(place, path, message, "leave it out, or choose another web.document_root")


SHARED_SETTINGS = ("opcache.restrict_api", "opcache.validate_permission", "opcache.validate_root")
"""What keeps the sites of one master from running each other's code."""


def _check_shared_settings(values: Values, reading: Reading) -> None:
    if not _shared(values) or not values.have(schema.SETTINGS):
        return
    for name, _ in values[schema.SETTINGS]:
        if name in SHARED_SETTINGS:
            path = join(schema.SETTINGS.path, name)
            message = "in shared isolation it is one of the walls between the sites"
            reading.refuse(reading.origins[path], path, message, "leave it out")


def _check_shared_environment(values: Values, reading: Reading) -> None:
    if not _shared(values) or not values.have(schema.ENVIRONMENT):
        return
    for name, value in values[schema.ENVIRONMENT]:
        if needs_unit(value):
            path = join(schema.ENVIRONMENT.path, name)
            message = f"FPM would put a variable of its own in place of the {quote(value)}"
            reading.refuse(reading.origins[path], path, message, "write it without $, or take isolation: dedicated")


def _shared(values: Values) -> bool:
    return values.have(schema.ISOLATION) and values[schema.ISOLATION] is Isolation.SHARED


def _check_time_zones(values: Values, reading: Reading) -> None:
    if not values.have(schema.JAIL_TIME_ZONES, schema.SETTINGS):
        return
    zones, key = values[schema.JAIL_TIME_ZONES], "date.timezone"
    chosen = dict(values[schema.SETTINGS]).get(key)
    if zones is not None and chosen and chosen not in (*zones, "UTC"):
        path = join(schema.SETTINGS.path, key)
        message = f"{chosen} is not among the time zones of the jail"
        reading.refuse(reading.origins[path], path, message, f"add it to {schema.JAIL_TIME_ZONES.path}")


def _check_programs(values: Values, reading: Reading) -> None:
    if not values.have(schema.JAIL_PROGRAMS, schema.RELEASE_NAMES):
        return
    codenames = values[schema.RELEASE_NAMES]
    for index, program in enumerate(values[schema.JAIL_PROGRAMS]):
        lacking = programs.lacking(program, codenames)
        if lacking:
            path = f"{schema.JAIL_PROGRAMS.path}[{index}]"
            name = program.path.rpartition("/")[2]
            hint = _leave_out_or([codename for codename in codenames if codename not in lacking])
            own = f"; one that you install yourself is /usr/local/bin/{name}"
            reading.refuse(reading.origins[path], path, f"{', '.join(lacking)} does not ship {name}", hint + own)


_MAIL = (
    schema.JAIL_MAIL_RELAY, schema.JAIL_MAIL_FROM, schema.JAIL_MAIL_SENDER, schema.JAIL_MAIL_TLS, schema.JAIL_MAIL_USER,
    schema.JAIL_MAIL_TIMEOUT,
)  # fmt: skip


def _check_mail_is_whole(values: Values, reading: Reading) -> None:
    if not values.have(*_MAIL) or not any(row.path in reading.origins for row in _MAIL):
        return
    for row in (schema.JAIL_MAIL_RELAY, schema.JAIL_MAIL_FROM):
        if row.path not in reading.origins:
            message = f"{row.path.rpartition('.')[2]} is missing: mail needs a relay and a sender"
            hint = f"add `{row.path.rpartition('.')[2]}: {row.example}`"
            reading.refuse(_place(reading, *_MAIL), row.path, message, hint)


def _check_mail_password(values: Values, reading: Reading) -> None:
    if not values.have(*_MAIL):
        return
    relay, row = values[schema.JAIL_MAIL_RELAY], schema.JAIL_MAIL_USER
    if relay and values[row] and values[schema.JAIL_MAIL_TLS] is MailTls.NONE and not mail.is_local(relay[0]):
        message = "without encryption the password could be read on its way"
        reading.refuse(reading.origins[row.path], row.path, message, "leave out `tls: none`, or the user")


def _check_mail_relay_has_a_name(values: Values, reading: Reading) -> None:
    if not values.have(*_MAIL, schema.JAIL_DNS):
        return
    relay, row = values[schema.JAIL_MAIL_RELAY], schema.JAIL_MAIL_RELAY
    known = relay is None or mail.is_address(relay[0]) or relay[0] == "localhost"
    if values[schema.JAIL_DNS] is Dns.NONE and not known:
        message = "with jail.dns: none the jail cannot resolve the name of the relay"
        reading.refuse(reading.origins[row.path], row.path, message, "write its address, or jail.dns: hosts")


def _check_shell(values: Values, reading: Reading) -> None:
    rows = (schema.JAIL_SHELL, schema.JAIL_LIBRARIES)
    if values.have(*rows) and values[rows[0]] is Shell.RESTRICTED and values[rows[1]] is Libraries.BIND:
        message = "with jail.libraries: bind the jail has the server's own /bin/sh, which is not restricted"
        reading.refuse(_place(reading, schema.JAIL_SHELL), schema.JAIL_SHELL.path, message, "leave one of them out")


def _check_mail_has_its_program(values: Values, reading: Reading) -> None:
    rows = (schema.JAIL_MAIL_RELAY, schema.JAIL_LIBRARIES)
    if values.have(*rows) and values[rows[0]] is not None and values[rows[1]] is Libraries.BIND:
        message = "with jail.libraries: bind the jail has the server's own sendmail, which knows no relay of the site"
        reading.refuse(reading.origins[rows[0].path], rows[0].path, message, "leave out jail.libraries: bind")


JIT_SETTINGS = ("opcache.jit", "opcache.jit_buffer_size", "pcre.jit")


def _check_jit(values: Values, reading: Reading) -> None:
    if not values.have(schema.JIT, schema.SETTINGS, schema.ISOLATION):
        return
    path = schema.JIT.path
    if _shared(values) and path in reading.origins:
        message = "in shared isolation Debian's PHP-FPM decides, for all of its sites"
        reading.refuse(reading.origins[path], path, message, "leave it out")
    for name, _ in values[schema.SETTINGS]:
        if name in JIT_SETTINGS and not _shared(values) and not values[schema.JIT]:
            place = join(schema.SETTINGS.path, name)
            message = "the jail executes nothing that was written to memory"
            reading.refuse(reading.origins[place], place, message, "leave it out, or add `jit: true` to php")


_NETWORK = (schema.JAIL_NETWORK_DENY, schema.JAIL_NETWORK_ALLOW)


def _check_network(values: Values, reading: Reading) -> None:
    given = [row for row in _NETWORK if row.path in reading.origins]
    if not given or not values.have(*_NETWORK, schema.ISOLATION):
        return
    if _shared(values):
        message = "in shared isolation PHP's network is that of Debian's PHP-FPM"
        reading.refuse(_place(reading, *given), given[0].path, message, "leave it out, or take isolation: dedicated")
    elif values[schema.JAIL_NETWORK_DENY] is NetworkDeny.NONE and values[schema.JAIL_NETWORK_ALLOW]:
        row = schema.JAIL_NETWORK_ALLOW
        message = "nothing is denied, so there is nothing to allow"
        reading.refuse(reading.origins[row.path], row.path, message, "add `deny: all`, or leave it out")


def _check_network_has_the_relay(values: Values, reading: Reading) -> None:
    rows = (*_NETWORK, schema.JAIL_MAIL_RELAY)
    if not values.have(*rows) or values[schema.JAIL_MAIL_RELAY] is None:
        return
    if network.isolated(Network(values[schema.JAIL_NETWORK_DENY], values[schema.JAIL_NETWORK_ALLOW])):
        row = schema.JAIL_NETWORK_DENY
        message = "without any network the jail cannot reach the relay of jail.mail"
        reading.refuse(reading.origins[row.path], row.path, message, "add the relay's address to jail.network.allow")


CHECKS: tuple[Callable[[Values, Reading], None], ...] = (
    _check_php_version,
    _check_extensions,
    _check_spare_servers,
    _check_slow_log,
    _check_tasks,
    _check_certificate,
    _check_domains,
    _check_aliases,
    _check_front_controller,
    _check_htaccess,
    _check_nginx_headers,
    _check_body_size,
    _check_time_zones,
    _check_programs,
    _check_limits,
    _check_shared_master,
    _check_temporary,
    _check_compat_link,
    _check_shared_settings,
    _check_shared_environment,
    _check_mail_is_whole,
    _check_mail_password,
    _check_mail_relay_has_a_name,
    _check_shell,
    _check_mail_has_its_program,
    _check_jit,
    _check_network,
    _check_network_has_the_relay,
)
"""The rules between keys; each keeps silent if one of its keys has a problem of its own."""


def _site(values: Values, reading: Reading) -> Site:
    name, domains = values[schema.SITE], values[schema.DOMAINS]
    return Site(
        name=name,
        version=values[schema.VERSION],
        maintainer=values[schema.MAINTAINER],
        description=values[schema.DESCRIPTION] or f"PHP website {domains[0]} in a sealed jail",
        releases=values[schema.RELEASE_NAMES],
        domains=domains,
        aliases=values[schema.ALIASES],
        user=values[schema.USER] or names.user(name),
        uid=values[schema.UID],
        isolation=values[schema.ISOLATION],
        compat_link=values[schema.COMPAT_LINK],
        php=_php(values),
        web=_web(values),
        jail=_jail(values),
        code=values[schema.CODE],
        writable=values[schema.WRITABLE],
        cron=values[schema.CRON],
        sftp=_sftp(values, reading),
        origins=tuple(sorted(reading.origins.items())),
    )


def _sftp(values: Values, reading: Reading) -> Sftp | None:
    """Keys without another word mean that SFTP is wanted."""
    wanted = values[schema.SFTP] or schema.SFTP_KEYS.path in reading.origins
    return Sftp(values[schema.SFTP_KEYS]) if wanted else None


def _jail(values: Values) -> Jail:
    return Jail(
        charsets=values[schema.JAIL_CHARSETS],
        locales=values[schema.JAIL_LOCALES],
        timezones=values[schema.JAIL_TIME_ZONES],
        mysql=values[schema.JAIL_MYSQL],
        postgresql=values[schema.JAIL_POSTGRESQL],
        redis=values[schema.JAIL_REDIS],
        dns=values[schema.JAIL_DNS],
        network=Network(values[schema.JAIL_NETWORK_DENY], values[schema.JAIL_NETWORK_ALLOW]),
        proc=values[schema.JAIL_PROC],
        shell=values[schema.JAIL_SHELL],
        programs=values[schema.JAIL_PROGRAMS],
        mail=_mail(values),
        capabilities=values[schema.JAIL_CAPABILITIES],
        libraries=values[schema.JAIL_LIBRARIES],
        mounts=values[schema.JAIL_MOUNTS],
        apparmor=values[schema.JAIL_APPARMOR],
    )


def _mail(values: Values) -> Mail | None:
    relay, sender = values[schema.JAIL_MAIL_RELAY], values[schema.JAIL_MAIL_FROM]
    if relay is None or sender is None:
        return None
    return mail.made(
        relay,
        values[schema.JAIL_MAIL_TLS],
        sender,
        values[schema.JAIL_MAIL_SENDER] is Sender.FIXED,
        values[schema.JAIL_MAIL_USER],
        values[schema.JAIL_MAIL_TIMEOUT],
    )


def _php(values: Values) -> Php:
    return Php(
        version=values[schema.PHP_VERSION],
        extensions=values[schema.EXTENSIONS],
        pool=_pool(values),
        settings=values[schema.SETTINGS],
        env=values[schema.ENVIRONMENT],
        jit=values[schema.JIT],
        limits=Limits(
            memory=values[schema.MEMORY],
            tasks=values[schema.TASKS],
            cpu_weight=values[schema.CPU_WEIGHT],
            io_weight=values[schema.IO_WEIGHT],
            open_files=values[schema.OPEN_FILES],
            temporary=values[schema.TEMPORARY],
        ),
        idle_after=values[schema.IDLE_AFTER],
    )


def _pool(values: Values) -> Pool:
    return Pool(
        process_manager=values[schema.PROCESS_MANAGER],
        max_children=values[schema.MAX_CHILDREN],
        start_servers=values[schema.START_SERVERS],
        min_spare_servers=values[schema.MIN_SPARE_SERVERS],
        max_spare_servers=values[schema.MAX_SPARE_SERVERS],
        idle_timeout=values[schema.IDLE_TIMEOUT],
        max_requests=values[schema.MAX_REQUESTS],
        request_timeout=values[schema.REQUEST_TIMEOUT],
        slow_log=values[schema.SLOW_LOG],
    )


def _web(values: Values) -> Web:
    return Web(
        server=values[schema.SERVER],
        document_root=values[schema.DOCUMENT_ROOT],
        front_controller=values[schema.FRONT_CONTROLLER],
        htaccess=values[schema.HTACCESS],
        tls=_tls(values),
        headers=values[schema.HEADERS],
        access_log=values[schema.ACCESS_LOG],
    )


def _tls(values: Values) -> Tls | None:
    if values[schema.TLS] == "none":
        return None
    directory = f"/etc/letsencrypt/live/{values[schema.DOMAINS][0]}"
    return Tls(
        certificate=values[schema.CERTIFICATE] or f"{directory}/fullchain.pem",
        key=values[schema.KEY] or f"{directory}/privkey.pem",
        redirect=values[schema.REDIRECT],
    )
