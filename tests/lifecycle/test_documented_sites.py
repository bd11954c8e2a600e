# SPDX-License-Identifier: GPL-2.0-or-later
"""Every description of examples/ and of the documents on one server: installed, checked, and each generated file read
by the program that it is for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from fpmjail_deb import fleet
from fpmjail_deb.deb import build_package
from fpmjail_deb.description import read_site
from fpmjail_deb.folder import read_folder
from fpmjail_deb.site import Isolation, Site, WebServer
from tests.documented import numbered, shown
from tests.lifecycle import extras
from tests.lifecycle.bed import Bed
from tests.lifecycle.server import Server
from tests.sites import EXAMPLES, planned

OURS = ("fpmjail", "apache2", "nginx")
UNITS = ("service", "socket", "timer", "path", "mount", "slice")
INSIDE = "Command /usr/sbin/php-fpm is not executable"  # it is the jail's, below RootDirectory=
# Its relay is nowhere: the test's server reaches nothing.
NOWHERE = {("shop", "mail")}


@dataclass(frozen=True, slots=True)
class Host:
    """A server with `sites` installed."""

    server: Server
    sites: tuple[Site, ...]

    def packages(self) -> tuple[str, ...]:
        return tuple(f"site-{site.name}-jail" for site in self.sites)

    def files(self, pattern: str) -> list[str]:
        """What the sites' packages brought whose path ends like this (a pattern of the shell)."""
        listed = self.server.run("dpkg", "-L", *self.packages()).stdout
        script = 'while IFS= read -r path; do case $path in $1) [ ! -f "$path" ] || printf "%s\\n" "$path";; esac; done'
        found = self.server.run("sh", "-euc", script, "sh", pattern, input=listed).stdout.splitlines()
        assert found, f"no file like {pattern}"
        return sorted(set(found))


def documented(release: str) -> tuple[Site, ...]:
    """Every site once, by its name: the examples first, then what the documents show in full."""
    found = {site.name: site for site in (*read_folder([EXAMPLES]).sites, *read_folder([EXAMPLES / "fleet"]).sites)}
    for one in shown():
        if one.whole:
            site = read_site(one.text.encode(), one.where)
            found.setdefault(site.name, site)
    sites = tuple(numbered(site) for _, site in sorted(found.items()) if release in site.releases)
    assert fleet.problems(sites) == ()
    return sites


def needed(sites: tuple[Site, ...], release: str) -> list[str]:
    """Debian's packages that the sites depend on, the first of each choice."""
    relations = [value for site in sites for name, value in planned(site, release).control if name == "Depends"]
    names = {word.split("|")[0].split("(")[0].strip() for text in relations for word in text.split(",")}
    return sorted(names - {*OURS})


@pytest.fixture(scope="module")
def host(bed: Bed, release: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """The server, with all of them installed by one run of apt."""
    sites, dist = documented(release), tmp_path_factory.mktemp("dist")
    bed.sites.publish(*(build_package(planned(site, release), dist) for site in sites))
    bed.upgrades.publish(*extras.debs(release, needed(sites, release)))
    bed.publish_own_packages()
    server = Server(bed, Path(dist))
    server.shell("systemctl unmask -q mariadb nginx ssh; systemctl start mariadb ssh")
    there = Host(server, sites)
    server.apt("install", *there.packages(), timeout=1000)
    yield there


def test_all_are_installed_at_once_and_are_good(host: Host) -> None:
    states = host.server.run("dpkg-query", "-W", "-f", "${db:Status-Abbrev} ${Package}\n", *host.packages()).stdout
    assert {line.split()[0] for line in states.splitlines()} == {"ii"}
    assert len(states.splitlines()) == len(host.sites) >= 8


def test_each_passes_its_check_behind_its_own_web_server(host: Host) -> None:
    relay = Path(__file__).with_name("relay.py").read_text()
    host.server.write("/srv/relay.py", relay)
    host.server.shell(
        "systemd-run -q --unit=relay -p Restart=on-failure python3 /srv/relay.py 25 /srv/mail; "
        "until ss -Hltn sport = :25 | grep -q .; do sleep 0.1; done"
    )
    checked = wrong_behind(host, WebServer.APACHE)
    host.server.shell("systemctl stop apache2; systemctl start nginx")
    for site in host.sites:
        if site.web.server is WebServer.NGINX:
            host.server.run("fpmjail", "configure", site.name, check=False)  # which says that Apache does not run now
    checked += wrong_behind(host, WebServer.NGINX)
    host.server.shell("systemctl stop nginx; systemctl start apache2")
    assert [one for one in checked if (one[0], one[1]) not in NOWHERE] == []


def wrong_behind(host: Host, web: WebServer) -> list[tuple[str, str, str]]:
    """(site, area, what was seen) of all bad findings on the sites of a web server."""
    names = [site.name for site in host.sites if site.web.server is web]
    assert names
    found = host.server.check_all()
    return [
        (name, str(one.get("capability") or one.get("name") or one), str(one))
        for name in names
        for one in found[name]
        if one["level"] == "bad"
    ]


def test_systemd_finds_no_fault_in_any_unit(host: Host) -> None:
    units = [path for kind in UNITS for path in host.files(f"/usr/lib/systemd/system/*.{kind}")]
    assert len(units) > 4 * len(host.sites)
    said = host.server.run("systemd-analyze", "verify", "--man=no", *units, check=False).output.splitlines()
    assert [line for line in said if INSIDE not in line] == []


def test_apache_and_nginx_accept_every_virtual_host(host: Host) -> None:
    apache = [path.rpartition("/")[0] for path in host.files("*/apache.conf")]
    assert host.server.run("apache2ctl", "-t").stderr.splitlines()[-1] == "Syntax OK"
    loaded = host.server.run("apache2ctl", "-t", "-D", "DUMP_VHOSTS").stdout
    nginx = host.server.run("nginx", "-T")
    assert "test is successful" in nginx.stderr and "[warn]" not in nginx.stderr
    for site in host.sites:
        assert f"{site.domains[0]}" in (loaded if f"/usr/share/fpmjail/sites/{site.name}" in apache else nginx.stdout)


def test_php_fpm_accepts_every_pool(host: Host) -> None:
    php = f"php-fpm{host.server.php}"
    shared = host.server.run(php, "-tt")  # every shared pool is linked into Debian's own
    assert "test is successful" in shared.stderr
    for site in host.sites:
        if site.isolation is Isolation.SHARED:
            assert f"[site-{site.name}-jail]" in shared.stderr
            continue
        account, pool = f"_site-{site.name}", f"/usr/share/fpmjail/sites/{site.name}/pool.conf"
        command = ["setpriv", "--reuid", account, "--regid", account, "--clear-groups", php, "-t", "-y", pool]
        said = host.server.run(*command, check=False)
        assert said.good and "WARNING" not in said.output, said.output


def test_sshd_logrotate_tmpfiles_and_sysusers_accept_theirs(host: Host) -> None:
    host.server.run("sshd", "-t")
    for site in host.sites:
        told = host.server.run("sshd", "-T", "-C", f"user=_site-{site.name},host=example.org,addr=192.0.2.1").stdout
        assert ("forcecommand internal-sftp" in told) is bool(site.sftp)
    assert "error:" not in host.server.run("logrotate", "--debug", *host.files("/etc/logrotate.d/*")).stderr
    for path in host.files("/usr/lib/tmpfiles.d/*"):
        assert host.server.run("systemd-tmpfiles", "--create", path).output == ""
    for path in host.files("/usr/lib/sysusers.d/*"):
        assert host.server.run("systemd-sysusers", path).output == ""
