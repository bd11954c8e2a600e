# SPDX-License-Identifier: GPL-2.0-or-later
"""The files of a site that exists -> its description. A pure function of their bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fpmjail_deb.errors import DescriptionError, Problem, UsageError
from fpmjail_deb.importing import apache, nginx, place, written
from fpmjail_deb.importing.apache_file import read_apache_file
from fpmjail_deb.importing.apache_statements import Reader
from fpmjail_deb.importing.draft import Draft, flow, scalar
from fpmjail_deb.importing.hosts import give_tls
from fpmjail_deb.importing.nginx_file import read_nginx_file
from fpmjail_deb.importing.nginx_statements import read_block
from fpmjail_deb.importing.place import Named
from fpmjail_deb.importing.pool import choose_pool, read_pool
from fpmjail_deb.importing.pool_file import Section, read_pool_file
from fpmjail_deb.importing.source import Kind, Node, kind_of, text_of
from fpmjail_deb.location import Location

PATIENCE = {"apache": "300s", "nginx": "60s"}
"""How long the web servers wait for PHP unless they are told (Timeout, fastcgi_read_timeout)."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line says; None is for what the files have to tell."""

    maintainer: str
    name: str | None = None
    pool: str | None = None
    domain: str | None = None


@dataclass(frozen=True, slots=True)
class Imported:
    """A description, and what the web server's drop-in keeps of what it cannot say; `server` has that drop-in."""

    name: str
    description: str
    drop_in: str
    server: str
    remarks: int


@dataclass(slots=True)
class Found:
    """What the files hold."""

    sections: list[Section] = field(default_factory=list)
    apache: list[Node] = field(default_factory=list)
    nginx: list[Node] = field(default_factory=list)


def import_site(files: Mapping[str, bytes], wanted: Wanted) -> Imported:
    """Return the description of the site in these files, by name.

    Raises DescriptionError with what is wrong in the files, UsageError if they hold no site, or more than one.
    """
    found = _read(files)
    if found.apache and found.nginx:
        raise UsageError("found virtual hosts of Apache and nginx", "name those of the server that runs PHP")
    pool = choose_pool(found.sections, wanted.pool) if found.sections else None
    hosts = apache.choose_hosts(found.apache, wanted.domain) if found.apache else []
    blocks = nginx.choose_blocks(found.nginx, wanted.domain) if found.nginx else []
    names = [one for host in hosts for one in host.names] + [one for block in blocks for one in block.names]
    name = wanted.name or place.site_name(names[0].name if names else "", pool.name if pool else "")
    draft = Draft(name)
    _give_identity(draft, wanted, names, Location(next(iter(files), "site"), 1, 1))
    root = _root(hosts, blocks, draft)
    if pool:
        read_pool(found.sections, pool, draft)
    if hosts:
        _read_apache(hosts, root, found.apache, draft)
    if blocks:
        _read_nginx(blocks, draft)
    return _written(draft, files, root, "nginx" if blocks else "apache")


def _read(files: Mapping[str, bytes]) -> Found:
    found, problems = Found(), list[Problem]()
    for name, data in files.items():
        try:
            text = text_of(data, name)
            kind = kind_of(text, name)
            if kind is Kind.POOL:
                found.sections += read_pool_file(text, name)
            elif kind is Kind.APACHE:
                found.apache += read_apache_file(text, name)
            else:
                found.nginx += read_nginx_file(text, name)
        except DescriptionError as error:
            problems += error.problems
    if problems:
        raise DescriptionError(problems)
    return found


def _give_identity(draft: Draft, wanted: Wanted, names: Sequence[Named], start: Location) -> None:
    draft.give("site", scalar(draft.name), None)
    draft.give("maintainer", scalar(wanted.maintainer), None)
    place.give_domains([*([Named(wanted.domain, start)] if wanted.domain else []), *names], draft)
    if ("domains",) not in draft.values:
        draft.give("domains", flow([f"{draft.name}.example.org"]), None, "no virtual host told: write the site's names")


def _root(hosts: Sequence[apache.Host], blocks: Sequence[nginx.Block], draft: Draft) -> str:
    nodes = [node for host in hosts for node in host.all("documentroot")]
    nodes += [node for block in blocks for node in block.all("root")]
    if not nodes:
        return ""
    root = nodes[0].first.rstrip("/") or "/"
    place.give_root(root, nodes[0].location, draft)
    for other in nodes[1:]:
        if (other.first.rstrip("/") or "/") != root:
            draft.remark(other.location, other.text, f"a site has one document root, {root}: make it a site of its own")
    return root


def _main(draft: Draft) -> str:
    return draft.values[("domains",)].text.strip("[]").partition(",")[0].strip('"')


def _read_apache(hosts: Sequence[apache.Host], root: str, nodes: Sequence[Node], draft: Draft) -> None:
    draft.give("web.server", "apache", hosts[0].node.location)
    give_tls(hosts, apache.leads_to_https, apache.WORDS, _main(draft), draft)
    reader = Reader(draft, root or "/nonexistent", [one.name for host in hosts for one in host.names])
    for host in hosts:
        reader.read(host)
    outside = [node for node in apache.flattened(nodes) if node.name not in ("virtualhost", "listen")]
    for kept in reader.kept(outside, inside=False):
        draft.remark(kept.location, kept.text, "it stands outside of the virtual host: for the whole server")
    draft.give("web.htaccess", "none", None, "Apache's default")
    front = ("index.php", "in place of rules in .htaccess") if reader.rewritten else ("none", "nothing asked for one")
    draft.give("web.front_controller", front[0], None, front[1])


def _read_nginx(blocks: Sequence[nginx.Block], draft: Draft) -> None:
    draft.give("web.server", "nginx", blocks[0].node.location)
    give_tls(blocks, nginx.leads_to_https, nginx.WORDS, _main(draft), draft)
    for block in blocks:
        if block.shows or block is blocks[0]:
            read_block(block, draft)
    draft.give("web.front_controller", "none", None, "nothing asked for one")


def _written(draft: Draft, files: Mapping[str, bytes], root: str, server: str) -> Imported:
    draft.give("php.pool.request_timeout", PATIENCE[server], None, f"FPM had no limit; {server}'s own is this")
    text = written.description(draft, list(files), place.steps(draft, root))
    return Imported(draft.name, text, written.drop_in(draft, server), server, len(draft.remarks))
