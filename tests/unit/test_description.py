# SPDX-License-Identifier: GPL-2.0-or-later
"""Every rule of a description, with the message for whoever breaks it."""

import dataclasses
import enum
import json
from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fpmjail_deb import schema
from fpmjail_deb.description import read_site
from fpmjail_deb.errors import DescriptionError, Problem
from fpmjail_deb.location import Location
from fpmjail_deb.site import (
    AppArmor,
    Dns,
    Htaccess,
    Libraries,
    Mounts,
    Network,
    NetworkDeny,
    Proc,
    ProcessManager,
    ServerSocket,
    Shell,
    Site,
    Tls,
)
from fpmjail_deb.site_warnings import warnings

MINIMAL = "site: shop\nmaintainer: Ann Other <ann@example.org>\ndomains: [shop.example.org]\n"
REQUIRED = ("site", "maintainer", "domains")


def site(more: str = "") -> Site:
    """Read the shortest description and some lines more, which may replace its own."""
    given_keys = {line.partition(":")[0] for line in more.splitlines()}
    lines = [line for line in MINIMAL.splitlines() if line.partition(":")[0] not in given_keys]
    return read_site("\n".join([*lines, more]).encode(), "f.yaml")


def said(more: str) -> list[str]:
    """Return the problems of a description, without their places."""
    with pytest.raises(DescriptionError) as caught:
        site(more)
    return [str(problem).partition(": ")[2] for problem in caught.value.problems]


def test_three_lines_are_a_site() -> None:
    found = site()
    assert (found.name, found.version, found.user, found.uid) == ("shop", "1.0.0", "_site-shop", None)
    assert found.description == "PHP website shop.example.org in a sealed jail"
    assert found.releases == ("trixie", "bookworm")
    assert found.php.version is None
    assert found.php.extensions == ("curl", "gd", "intl", "mbstring", "mysql", "xml", "zip")
    assert dataclasses.astuple(found.php.pool) == (ProcessManager.ONDEMAND, 8, 2, 1, 3, 60, 500, 120, 0)
    assert dataclasses.astuple(found.php.limits) == ("1G", 128, 100, 100, 1024, None)
    assert found.web.tls == Tls(
        "/etc/letsencrypt/live/shop.example.org/fullchain.pem",
        "/etc/letsencrypt/live/shop.example.org/privkey.pem",
        True,
    )
    assert (found.web.document_root, found.web.front_controller, found.web.htaccess) == (
        "htdocs", "index.php", Htaccess.SAFE,
    )  # fmt: skip
    assert found.web.headers == (
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "strict-origin-when-cross-origin"),
    )
    assert dataclasses.astuple(found.jail) == (
        ("CP1252", "ISO-8859-1", "ISO-8859-15", "UTF-16"), (), None,
        ServerSocket.NONE, ServerSocket.NONE, ServerSocket.NONE, Dns.RESOLVER,
        (NetworkDeny.NONE, ()), Proc.NONE, Shell.NONE, (), None, (), Libraries.IMAGE, Mounts.HOST,
        AppArmor.OFF,
    )  # fmt: skip
    assert found.writable == ()


def test_every_given_value_reaches_the_site() -> None:
    found = site(
        "version: 2.0~rc1\ndescription: The \"Shop\" at 50 % \\ $5\nreleases: [bookworm]\naliases: ['*.shop.org']\n"
        "user: _shop\nuid: 4001\nisolation: dedicated\n"
        "php:\n  version: 8.2\n  extensions: [imap]\n"
        "  pool: {process_manager: dynamic, max_children: 9, start_servers: 3, min_spare_servers: 2,"
        " max_spare_servers: 4, idle_timeout: 5m, max_requests: 0, request_timeout: 1h, slow_log: 0}\n"
        '  settings: {display_errors: no, date.timezone: Europe/Zurich, disable_functions: ""}\n'
        "  env: {PRICE: $5}\n  jit: true\n"
        "  limits: {memory: 512M, tasks: 64, cpu_weight: 50, io_weight: 20, open_files: 99, temporary: 64M}\n"
        "web: {server: apache, document_root: app/public, front_controller: none, htaccess: none, headers: {},"
        " tls: {certificate: /etc/ssl/c.pem, key: /etc/ssl/k.pem, redirect: false}, access_log: false}\n"
        "jail: {charsets: [SJIS], network: {deny: all, allow: [localhost, 192.0.2.0/24, '2001:DB8::1/128']}}\n"
        "writable: [files/a, files/b]\n"
    )
    assert (found.version, found.description) == ("2.0~rc1", 'The "Shop" at 50 % \\ $5')
    assert (found.releases, found.aliases, found.user, found.uid) == (("bookworm",), ("*.shop.org",), "_shop", 4001)
    assert (found.php.version, found.php.extensions) == ("8.2", ("imap",))
    assert dataclasses.astuple(found.php.pool) == (ProcessManager.DYNAMIC, 9, 3, 2, 4, 300, 0, 3600, 0)
    assert found.php.settings == (
        ("display_errors", "no"),
        ("date.timezone", "Europe/Zurich"),
        ("disable_functions", ""),
    )
    assert found.php.env == (("PRICE", "$5"),)
    assert dataclasses.astuple(found.php.limits) == ("512M", 64, 50, 20, 99, "64M")
    assert found.php.jit
    assert found.jail.network == Network(NetworkDeny.ALL, ("localhost", "192.0.2.0/24", "2001:db8::1"))
    assert (found.web.document_root, found.web.front_controller, found.web.headers) == ("app/public", None, ())
    assert found.web.tls == Tls("/etc/ssl/c.pem", "/etc/ssl/k.pem", False)
    assert (found.web.access_log, found.jail.charsets, found.writable) == (False, ("SJIS",), ("files/a", "files/b"))


def test_origins_are_the_places_of_the_given_keys_and_items() -> None:
    origins = dict(site("php:\n  pool:\n    max_children: 9\n  env: {A: b}\n").origins)
    assert origins["php.pool.max_children"] == Location("f.yaml", 6, 5)
    assert origins["php.env.A"] == Location("f.yaml", 7, 9)
    assert origins["domains[0]"] == Location("f.yaml", 3, 11)
    assert "uid" not in origins


def test_tls_may_be_absent_or_changed_in_part() -> None:
    assert site("web: {tls: none}").web.tls is None
    assert site("web: {tls: auto}").web.tls == site().web.tls
    certificate = "/etc/letsencrypt/live/shop.example.org/fullchain.pem"
    key = "/etc/letsencrypt/live/shop.example.org/privkey.pem"
    assert site("web: {tls: {redirect: false}}").web.tls == Tls(certificate, key, redirect=False)


def test_a_group_whose_lines_are_all_comments_is_as_if_not_there() -> None:
    found = site("php:\n  pool:\n    # max_children: 9\nweb:\n  tls:\n")
    assert (found.php, found.web) == (site().php, site().web)


@pytest.mark.parametrize("text", ['"500"', "'500'", "500"])
def test_the_text_of_a_number_decides_not_its_quotes(text: str) -> None:
    assert site(f"uid: {text}").uid == 500


ONE_PROBLEM = [
    # keys
    ("versoin: 1", 'versoin: unknown key; did you mean "version"?'),
    ("php: {pool: {max-children: 8}}", 'php.pool.max-children: unknown key; did you mean "max_children"?'),
    ("max_children: 8", 'max_children: unknown key; it belongs below "php.pool"'),
    ("web: {uid: 200}", "web.uid: unknown key; it belongs in the first column"),
    ("jail: {zzz: 1}", "jail.zzz: unknown key; known here: charsets, locales, timezones, mysql, postgresql,"
 " redis, dns, network, proc, shell, programs, mail, capabilities, libraries, mounts, apparmor"),
    ("php.version: 8.2", "php.version: unknown key; write each part of it on a line of its own, the next one"
     " indented deeper"),
    ("php: 8.2", 'php: expected a group of keys, found "8.2"; known here: version, extensions, pool, settings, env,'
     " jit, limits, idle_after"),
    ("jail: []", "jail: expected a group of keys, found a list; known here: charsets, locales, timezones, mysql,"
 " postgresql, redis, dns, network, proc, shell, programs, mail, capabilities, libraries, mounts, apparmor"),
    # texts
    ("site: My Shop", 'site: expected a name of 1 to 25 characters of a-z, 0-9 and -, the first no -, found "My Shop";'
     ' did you mean "my-shop"?'),
    ("site: ../etc", 'site: expected a name of 1 to 25 characters of a-z, 0-9 and -, the first no -, found "../etc";'
     ' did you mean "etc"?'),
    (f"site: {'a' * 26}", "site: expected a name of 1 to 25 characters of a-z, 0-9 and -, the first no -, found"
     f' "{"a" * 26}"; did you mean "{"a" * 25}"?'),
    ("site: html", "site: \"html\" cannot be used here; /var/www/html is the web server's own"),
    ("site:", "site: expected a name of 1 to 25 characters of a-z, 0-9 and -, the first no -, found nothing; leave the"
     " key out, or give it a value"),
    ("maintainer: Ann", "maintainer: expected a name and an address such as Ann Other <ann@example.org>, found"
     ' "Ann"; write an address behind the name, in < and >'),
    ("maintainer: Ann <ann>", "maintainer: expected a name and an address such as Ann Other <ann@example.org>, found"
     ' "Ann <ann>"'),
    (f"maintainer: {'a' * 200} <ann@example.org>", "maintainer: expected at most 200 characters, found 218; make it"
     " shorter"),
    ("version: v1.0", 'version: expected a version that begins with a digit such as 1.0.0, or auto, found "v1.0"; did'
     ' you mean "1.0"?'),
    ("version: 1:1.0-2", 'version: expected a version that begins with a digit such as 1.0.0, or auto, found "1:1.0-2";'
     " use digits, letters, dot, + and ~"),
    (f"description: {'x' * 81}", "description: expected at most 80 characters, found 81; make it shorter"),
    ('description: ""', 'description: expected one line of at most 80 characters, found nothing; write something'),
    ('description: "x "', 'description: expected one line of at most 80 characters, found "x "; remove the space at its'
     " beginning or end"),
    ("description: [x]", "description: expected one line of at most 80 characters, found a list"),
    ("user: shop", "user: expected an underscore and a name of a-z, 0-9 and -, at most 31 characters, found"
     ' "shop"; begin it with _: _shop'),
    ("user: _apt", 'user: "_apt" cannot be used here; it is the account of a Debian package'),
    ("isolation: none", 'isolation: expected dedicated or shared, found "none"'),
    # host names
    ("domains: shop.org", 'domains: expected a list of host names, found "shop.org"; write [shop.org]'),
    ("domains: []", "domains: expected a list of host names, found an empty one; add the first"),
    ("domains:", "domains: expected a list of host names, found nothing; write [] for none"),
    ("domains: [a.org, [b]]", "domains[1]: expected a host name such as www.example.org, found a list"),
    ("domains: [Shop.ORG.]", 'domains[0]: expected a host name such as www.example.org, found "Shop.ORG."; did you'
     ' mean "shop.org"?'),
    ("domains: [müller.de]", 'domains[0]: expected a host name such as www.example.org, found "müller.de"; write it as'
     ' "xn--mller-kva.de"'),
    ("domains: [https://a.org/]", 'domains[0]: expected a host name such as www.example.org, found "https://a.org/";'
     " write the host name only, without scheme, port and path"),
    ("domains: ['a.org:80']", 'domains[0]: expected a host name such as www.example.org, found "a.org:80";'
     " write the host name only, without scheme, port and path"),
    ("domains: [192.0.2.1]", 'domains[0]: expected a host name such as www.example.org, found "192.0.2.1"; an address'
     " has no name: write the host name that leads to it"),
    ("domains: ['2001:db8::1']", 'domains[0]: expected a host name such as www.example.org, found "2001:db8::1"; an'
     " address has no name: write the host name that leads to it"),
    ("domains: [a_b.org]", 'domains[0]: expected a host name such as www.example.org, found "a_b.org"'),
    ("domains: ['.a.org']", 'domains[0]: expected a host name such as www.example.org, found ".a.org"'),
    ("domains: ['*.a.org']", "domains[0]: the first host name cannot have a *.; put another one first: it names the"
     " site and its certificate"),
    ("domains: [a.org, b.org, a.org]", "domains[2]: found again, first in line 3; keep one"),
    ("aliases: [shop.example.org]", "aliases[0]: shop.example.org is one of the domains already; keep one"),
    # numbers, times, amounts, booleans
    ("uid: 0100", 'uid: expected a whole number from 100 to 59999, found "0100"; write plain digits without a'
     " leading 0"),
    ("uid: 1_000", 'uid: expected a whole number from 100 to 59999, found "1_000"; write plain digits without a'
     " leading 0"),
    ("uid: 99", 'uid: expected a whole number from 100 to 59999, found "99"'),
    ("uid: 60000", 'uid: expected a whole number from 100 to 59999, found "60000"'),
    ("uid: ~", "uid: expected a whole number from 100 to 59999, found nothing; leave the key out, or give it a value"),
    ("uid: {}", "uid: expected a whole number from 100 to 59999, found a group of keys"),
    ("uid: ١٢٣", 'uid: expected a whole number from 100 to 59999, found "١٢٣"'),
    ("php: {pool: {max_children: lots}}", "php.pool.max_children: expected a whole number from 1 to 1000, found"
     ' "lots"'),
    ("php: {pool: {idle_timeout: 22:30}}", "php.pool.idle_timeout: expected a time such as 30s, 5m or 1h, from 1s to"
     ' 86400s, found "22:30"; write it in one unit, for example 90s'),
    ("php: {pool: {idle_timeout: 2d}}", "php.pool.idle_timeout: expected a time such as 30s, 5m or 1h, from 1s to"
     ' 86400s, found "2d"'),
    ("php: {pool: {request_timeout: 25h}}", "php.pool.request_timeout: expected a time such as 30s, 5m or 1h, from 1s"
     ' to 86400s, found "25h"'),
    ("php: {limits: {memory: 1GB}}", "php.limits.memory: expected an amount of memory such as 512M or 2G, at least"
     ' 32M, found "1GB"; write 1G'),
    ("php: {limits: {memory: 1073741824}}", "php.limits.memory: expected an amount of memory such as 512M or 2G, at"
     ' least 32M, found "1073741824"; write a number and K, M, G or T'),
    ("php: {limits: {memory: 31M}}", "php.limits.memory: expected an amount of memory such as 512M or 2G, at least"
     ' 32M, found "31M"; PHP does not start with less'),
    ("php: {limits: {temporary: 1023K}}", "php.limits.temporary: expected an amount of memory such as 512M or 2G, at"
     ' least 1M, found "1023K"; a page of PHP takes more'),
    ("web: {access_log: no}", 'web.access_log: expected true or false, found "no"; write false'),
    ("web: {access_log: On}", 'web.access_log: expected true or false, found "On"; write true'),
    ("web: {access_log: TRUE}", 'web.access_log: expected true or false, found "TRUE"; write true'),
    ("web: {access_log: 1}", 'web.access_log: expected true or false, found "1"'),
    # words
    ("releases: [trixy]", 'releases[0]: expected bookworm or trixie, found "trixy"; did you mean "trixie"?'),
    ("php: {version: 8.10}", 'php.version: expected 8.2 or 8.4, found "8.10"'),
    ("php: {extensions: [mysqli]}", "php.extensions[0]: expected the EXT of a package phpX.Y-EXT, found"
     ' "mysqli"; it is in "mysql"'),
    ("php: {extensions: [json]}", 'php.extensions[0]: expected the EXT of a package phpX.Y-EXT, found "json";'
     " every PHP has it: leave it out"),
    ("php: {extensions: [mbstrng]}", 'php.extensions[0]: expected the EXT of a package phpX.Y-EXT, found "mbstrng";'
     ' did you mean "mbstring"?'),
    ("php: {pool: {process_manager: on_demand}}", "php.pool.process_manager: expected ondemand, dynamic or static,"
     ' found "on_demand"; did you mean "ondemand"?'),
    ("jail: {charsets: [windows-1252]}", "jail.charsets[0]: expected a character set of glibc such as CP1252, found"
     ' "windows-1252"; did you mean "CP1252"?'),
    ("jail: {charsets: [sjis]}", "jail.charsets[0]: expected a character set of glibc such as CP1252, found"
     ' "sjis"; did you mean "SJIS"?'),
    ("jail: {charsets: [UTF-8]}", "jail.charsets[0]: expected a character set of glibc such as CP1252, found"
     ' "UTF-8"; every jail has it: leave it out'),
    ("web: {tls: true}", 'web.tls: expected auto or none, found "true"'),
    # paths
    ("web: {document_root: /srv/x}", "web.document_root: expected a path below /var/www/NAME, found"
     ' "/srv/x"; write it as it is seen from /var/www/NAME'),
    ("web: {document_root: /var/www/shop/app/public}", "web.document_root: expected a path below /var/www/NAME, found"
     ' "/var/www/shop/app/public"; did you mean "app/public"?'),
    ("writable: [/var/www/shop/htdocs/uploads]", "writable[0]: expected a path below the document root, found"
     ' "/var/www/shop/htdocs/uploads"; did you mean "uploads"?'),
    ("writable: [/uploads]", "writable[0]: expected a path below the document root, found"
     ' "/uploads"; did you mean "uploads"?'),
    ("web: {document_root: a/../../b}", "web.document_root: expected a path below /var/www/NAME, found"
     ' "a/../../b"; a path may not leave its directory'),
    ("web: {document_root: .}", 'web.document_root: expected a path below /var/www/NAME, found "."; use a-z, A-Z, 0-9,'
     " dot, underscore and dash, and / between directories"),
    ("web: {document_root: a//b}", 'web.document_root: expected a path below /var/www/NAME, found "a//b"; use a-z, A-Z,'
     " 0-9, dot, underscore and dash, and / between directories"),
    ("writable: ['-rf']", 'writable[0]: expected a path below the document root, found "-rf"; use a-z, A-Z, 0-9,'
     " dot, underscore and dash, and / between directories"),
    ("writable: [a/]", 'writable[0]: expected a path below the document root, found "a/"; did you mean "a"?'),
    ("web: {front_controller: index.html}", "web.front_controller: expected a path below the document root that ends"
     ' in .php, or none, found "index.html"; use a-z, A-Z, 0-9, dot, underscore and dash, and / between directories'),
    ("web: {tls: {certificate: c.pem, key: /k}}", "web.tls.certificate: expected a path from the root such as"
     ' /etc/ssl/example.pem, found "c.pem"; use a-z, A-Z, 0-9, dot, underscore and dash, and / between directories'),
    # maps
    ("php: {settings: [a]}", "php.settings: expected a group of PHP settings, found a list; write {} for none"),
    ("php: {settings: {Error: 1}}", "php.settings.Error: expected the name of a PHP setting such as memory_limit,"
     ' found "Error"'),
    ("php: {settings: {error_log: /x}}", 'php.settings.error_log: "error_log" cannot be used here; the jail logs to'
     " /var/log/fpmjail/NAME"),
    ("php: {settings: {precision: }}", 'php.settings.precision: expected one line of text, found nothing; write "" for'
     " an empty text"),
    ("php: {env: {1A: x}}", 'php.env.1A: expected the name of a variable such as APP_ENV, found "1A"'),
    ("php: {env: {A: [x]}}", "php.env.A: expected one line of text, found a list"),
    ("web: {headers: {X A: b}}", "web.headers.X A: expected the name of a header such as X-Frame-Options, found"
     ' "X A"'),
    ("web: {headers: {Date: b}}", 'web.headers.Date: "Date" cannot be used here; the web server writes this header'
     " itself"),
    ("web: {headers: {X-A: 1, x-a: 2}}", "web.headers.x-a: found again in other letters, first in line 4; keep one"),
    ("web: {headers: {X-A: ü}}", 'web.headers.X-A: expected one line of ASCII text, found "ü"; use ASCII only'),
    ("web: {headers: {X-A: 'expr=1'}}", 'web.headers.X-A: "expr=1" has a meaning of its own for Apache; write it'
     " without"),
    ("web: {headers: {X-A: '${B}'}}", 'web.headers.X-A: "${B}" has a meaning of its own for Apache; write it without'),
    # between keys
    ("php: {version: 8.4}", "php.version: bookworm has PHP 8.2, not 8.4; leave it out, or build for the releases that"
     " have it: releases: [trixie]"),
    ("releases: [bookworm]\nphp: {version: 8.4}", "php.version: bookworm has PHP 8.2, not 8.4; leave it out"),
    ("php: {extensions: [imap]}", "php.extensions[0]: trixie does not ship imap; leave it out, or build for the"
     " releases that have it: releases: [bookworm]"),
    ("php: {pool: {start_servers: 2}}", "php.pool.start_servers: only means something with process_manager: dynamic;"
     " leave it out"),
    ("php: {pool: {process_manager: dynamic, max_children: 2}}", "php.pool: expected min_spare_servers <="
     " start_servers <= max_spare_servers <= max_children, found 1, 2, 3, 2; the defaults are 1, 2, 3, 8"),
    ("php: {pool: {request_timeout: 5s, slow_log: 10s}}", "php.pool.slow_log: expected at most"
     " php.pool.request_timeout, 5s, found 10s; 0 is no slow log"),
    ("php: {pool: {max_children: 127}}", "php.limits.tasks: expected at least 129 for 127 processes and their master,"
     " found 128; raise it, or lower php.pool.max_children"),
    ("php: {limits: {temporary: 1024M}}", "php.limits.temporary: expected less than php.limits.memory, 1G, of which it"
     " is a part, found 1024M; lower it, or raise php.limits.memory"),
    ("php: {limits: {temporary: 64M}}\njail: {mounts: private}", "php.limits.temporary: with jail.mounts: private"
     " nothing is mounted that pages, jobs and commands could share; leave it out; what bounds it there is a quota of"
     " the site's user, for blocks and for files"),
    ("php: {limits: {cpu_weight: 0}}", "php.limits.cpu_weight: expected a whole number from 1 to 10000, found \"0\""),
    ("php: {limits: {open_files: 10}}", "php.limits.open_files: expected a whole number from 64 to 524288, found"
     ' "10"'),
    ("php: {settings: {pcre.jit: 1}}", "php.settings.pcre.jit: the jail executes nothing that was written to memory;"
     " leave it out, or add `jit: true` to php"),
    ("php: {jit: true}\nisolation: shared", "php.jit: in shared isolation Debian's PHP-FPM decides, for all of its"
     " sites; leave it out"),
    ("jail: {network: {allow: [192.0.2.1]}}", "jail.network.allow: nothing is denied, so there is nothing to allow;"
     " add `deny: all`, or leave it out"),
    ("jail: {network: {deny: all, allow: [example.org]}}", "jail.network.allow[0]: expected an address such as"
     ' 192.0.2.7, a network such as 192.0.2.0/24, or localhost, found "example.org"; names are not looked up: write'
     " their addresses"),
    ("jail: {network: {deny: all, allow: [192.0.2.1/24]}}", "jail.network.allow[0]: expected an address such as"
     ' 192.0.2.7, a network such as 192.0.2.0/24, or localhost, found "192.0.2.1/24"; did you mean "192.0.2.0/24"?'),
    ("jail: {network: {deny: some}}", "jail.network.deny: expected none or all, found \"some\""),
    ("jail: {network: {deny: all}}\nisolation: shared", "jail.network.deny: in shared isolation PHP's network is that"
     " of Debian's PHP-FPM; leave it out, or take isolation: dedicated"),
    ("jail: {network: {deny: all}, mail: {relay: 192.0.2.1, from: a@example.org}}", "jail.network.deny: without any"
     " network the jail cannot reach the relay of jail.mail; add the relay's address to jail.network.allow"),
    ("web: {tls: {key: /k}}", "web.tls.key: certificate and key belong together, found one of them; give both, or none"
     " for those of certbot"),
    ("web: {front_controller: up/x.php}\nwritable: [up]", "web.front_controller: it is below the writable directory"
     " up, where PHP never runs; move the script, or the uploads"),
]  # fmt: skip


@pytest.mark.parametrize(("more", "problem"), ONE_PROBLEM, ids=[more[:40] for more, _ in ONE_PROBLEM])
def test_a_broken_rule_is_told_once(more: str, problem: str) -> None:
    assert said(more) == [problem]


@pytest.mark.parametrize("key", REQUIRED)
def test_a_missing_key_is_told_with_a_line_to_add(key: str) -> None:
    lines = [line for line in MINIMAL.splitlines() if not line.startswith(key)]
    with pytest.raises(DescriptionError) as caught:
        read_site("\n".join(lines).encode(), "f.yaml")
    [problem] = caught.value.problems
    assert str(problem).startswith(f"f.yaml:1:1: {key}: expected ")
    assert problem.message.endswith(", found nothing")
    assert problem.hint == f"add a line such as `{key}: {schema.BY_PATH[key].example}`"


def test_all_problems_of_a_file_are_told_at_once_in_its_order() -> None:
    with pytest.raises(DescriptionError) as caught:
        read_site(b"uid: &a 1\nuid: 2\nsite: A\nphp:\n  pool: {pm: 1, max_children: x}\n", "f.yaml")
    places = [(problem.location.line, problem.location.column, problem.key_path) for problem in caught.value.problems]
    assert places == [
        (1, 1, "domains"),
        (1, 1, "maintainer"),
        (1, 6, "uid"),
        (1, 6, "uid"),
        (2, 1, "uid"),
        (3, 7, "site"),
        (5, 10, "php.pool.pm"),
        (5, 31, "php.pool.max_children"),
    ]


def test_a_refused_value_has_no_second_problem() -> None:
    assert said("uid: *x\nphp: *x\ndomains: *x\nweb: {headers: *x}\nwritable: [*x]") == [
        f'{key}: found the alias "*x"; write the value itself, or quote it'
        for key in ("uid", "php", "domains", "web.headers", "writable[0]")
    ]


def test_rules_between_keys_keep_silent_about_unread_keys() -> None:
    problems = said(
        "releases: [x]\nphp: {version: 8.4, extensions: [x], pool: {max_children: x, process_manager: dynamic,"
        " slow_log: x}}\nwritable: [..]\ndomains: [_]"
    )
    assert [problem.partition(":")[0] for problem in problems] == [
        "releases[0]", "php.extensions[0]", "php.pool.max_children", "php.pool.slow_log", "writable[0]", "domains[0]",
    ]  # fmt: skip


def test_what_opens_the_jail_is_allowed_with_a_warning() -> None:
    assert warnings(site()) == ()
    [warning] = warnings(site("web: {htaccess: all}"))
    assert str(warning).startswith("f.yaml:4:7: web.htaccess: with all, whoever can write an .htaccess file runs code")


def texts_of(value: object) -> Iterator[str]:
    """Yield every string in a frozen value."""
    if isinstance(value, enum.Enum):
        yield value.value
    elif isinstance(value, str):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from texts_of(item)
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from texts_of(getattr(value, field.name))


def wrong_with(data: bytes) -> list[str]:
    """Read a description: of a site the texts with invisible characters, or of the problems those that lie outside of
    the file. Both have to be none."""
    lines = data.decode(errors="replace").replace("\r\n", "\n").split("\n")
    try:
        found = read_site(data, "f.yaml")
    except DescriptionError as error:
        return [str(one) for one in error.problems if not is_inside(one, lines)] if error.problems else ["no problem"]
    return [text for text in texts_of(found) if not text.isprintable()]


def is_inside(problem: Problem, lines: list[str]) -> bool:
    """Whether a problem is told in plain words of a place in these lines."""
    place = problem.location
    there = place.file == "f.yaml" and 1 <= place.line <= len(lines)
    return there and 1 <= place.column <= len(lines[place.line - 1]) + 1 and str(problem).isprintable()


def nested(path: str, value: str) -> str:
    """Return YAML with one value at a key path."""
    for key in reversed(path.split(".")):
        value = f"{{{key}: {value}}}"
    return value[1:-1]


def values_of(text: str, kind: str) -> str:
    """Return a text as the value of a key: as it is, or in a list, or in a group, as value or as key."""
    quoted = json.dumps(text, ensure_ascii=False)
    return {"text": quoted, "list": f"[{quoted}]", "value": f"{{a: {quoted}}}", "key": f"{{{quoted}: a}}"}[kind]


NASTY = st.text(max_size=40) | st.text(
    st.sampled_from("aA1._-/*$%{}'\"\\ <>@:#&!|\n\t\0\x85\u2028\u202e\ufeff"), max_size=12
)


@given(
    path=st.sampled_from(sorted(schema.BY_PATH)),
    text=NASTY,
    kind=st.sampled_from(["text", "list", "value", "key"]),
)
@example(path="description", text="a\nb", kind="text")
@example(path="php.env", text="\x00", kind="value")
@example(path="maintainer", text="A\u2028B <a@b.org>", kind="text")
def test_any_text_in_any_key_is_refused_or_harmless(path: str, text: str, kind: str) -> None:
    more = nested(path, values_of(text, kind))
    lines = [line for line in MINIMAL.splitlines() if not line.startswith(f"{path}:")]
    assert wrong_with("\n".join([*lines, more]).encode(errors="surrogatepass")) == []


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode(errors="surrogatepass")))
def test_any_file_is_refused_or_read(data: bytes) -> None:
    assert wrong_with(data) == []


@given(st.text(st.sampled_from("ab1 :-?,[]{}&*!|>'\"%@`#~\n\r\t\\x0<\u00a0"), max_size=60))
@example('a: "\\UFFFFFFFF"')
@example("%YAML 1.99999999999999999999\n---\na: 1")
def test_anything_that_looks_like_yaml_is_refused_or_read(text: str) -> None:
    assert wrong_with(MINIMAL.encode() + text.encode()) == []
