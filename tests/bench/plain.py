# SPDX-License-Identifier: GPL-2.0-or-later
"""The rival of a jail: the same pools and virtual hosts in Debian's own PHP-FPM, without a jail, on port 81."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tests.bench import many
from tests.lifecycle.server import Server

PORT = 81
OWN = """\
user = _site-{site}
group = _site-{site}
listen = /run/php/plain-{site}.sock
listen.owner = www-data
listen.group = www-data
listen.mode = 0600
"""
JAILS_ONLY = re.compile(
    r"^(listen|slowlog|request_slowlog_timeout|php_(admin_)?value\[(error_log|session\.save_path)\]) .*\n", re.MULTILINE
)


def pool(text: str, site: str) -> str:
    """A jail's pool for Debian's master: the same settings, the site's account, a socket of its own."""
    heading, rest = text[text.index("\n[site-") + 1 :].split("\n", 1)
    return f"{heading.replace('-jail', '-plain')}\n{OWN.format(site=site)}{JAILS_ONLY.sub('', rest)}"


def virtual_host(text: str, site: str) -> str:
    """A jail's virtual host on the other port, with the other socket."""
    text = text.replace(f"/run/fpmjail/{site}.sock", f"/run/php/plain-{site}.sock").replace("-jail", "-plain")
    return text.replace("*:80>", f"*:{PORT}>")


def add(there: Server, sites: Iterable[str]) -> None:
    """Give Debian's PHP-FPM and Apache what these sites have, and start both anew."""
    there.write("/etc/apache2/conf-enabled/plain.conf", f"Listen {PORT}\n")
    for site in sites:
        share = f"/usr/share/fpmjail/sites/{site}"
        there.write(f"/etc/php/{there.php}/fpm/pool.d/plain-{site}.conf", pool(there.read(f"{share}/pool.conf"), site))
        vhost = virtual_host(there.read(f"{share}/apache.conf"), site)
        there.write(f"/etc/apache2/sites-enabled/plain-{site}.conf", vhost)
    there.shell(f"a2enmod -q proxy_fcgi setenvif headers rewrite; systemctl restart php{there.php}-fpm apache2")


def write_pages(there: Server, sites: Iterable[str], name: str, code: str) -> None:
    """Put a script into the document root of each site, as its user."""
    there.write("/root/page", code)
    script = "; ".join(
        f"install -o _site-{site} -g _site-{site} -m 0644 /root/page /var/www/{site}/htdocs/{name}" for site in sites
    )
    there.shell(script)


def without_jails(there: Server, sites: list[str]) -> None:
    """Sites that were only unpacked become pools of Debian's master, and nothing of fpmjail stays."""
    there.shell("; ".join(f"install -d -o _site-{site} /var/www/{site}/htdocs" for site in sites))
    add(there, sites)
    there.apt("purge", "fpmjail")


def names(sites: int) -> list[str]:
    """The names of the first sites."""
    return [many.name(number) for number in range(sites)]
