# SPDX-License-Identifier: GPL-2.0-or-later
"""A server for the attacks: sites from which they start, sites that they aim at, and a control without any jail."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.attacks import native, pages, scripts
from tests.attacks.cases import DEDICATED, PLAIN, SHARED, Script
from tests.lifecycle import extras
from tests.lifecycle.bed import Bed
from tests.lifecycle.server import Server

HEAD = """\
maintainer: Web Team <web@example.org>
releases: [{release}]
php: {{extensions: [{extensions}]}}
writable: [uploads]
"""
EXTENSIONS = {"trixie": ("apcu", "imagick", "mbstring"), "bookworm": ("apcu", "imagick", "imap", "mbstring")}
"""Trixie has no php-imap."""
MAIL = "mail: {relay: '127.0.0.1:2525', from: web@example.org}"
SITES = {
    "safe": f"jail: {{{MAIL}}}\n",
    "pooled": f"isolation: shared\njail: {{proc: private, {MAIL}}}\n",
    "none": "web: {htaccess: none}\n",
    "all": "web: {htaccess: all}\n",
    "engine": "web: {server: nginx}\n",
    "victim": "",
    "neighbour": "isolation: shared\n",
}
ATTACKERS = {PLAIN: "plain", SHARED: "pooled", DEDICATED: "safe"}
PLAIN_HOST = """\
<VirtualHost *:80>
	ServerName plain.example.org
	DocumentRoot /var/www/plain
	<Directory /var/www/plain>
		Options All
		AllowOverride All
		Require all granted
		<FilesMatch "\\.ph(?:p|ar|tml)$">
			SetHandler "proxy:unix:/run/php/php{php}-fpm.sock|fcgi://plain"
		</FilesMatch>
	</Directory>
</VirtualHost>
"""
CONFIG = "<?php $secret = 'SECRET-OF-{site}'; if (isset($_GET['open'])) {{ {code} echo 'ready'; }}\n"
OWN_SECRETS = """
    session_id('sessionofanothersite'); ini_set('session.use_strict_mode', '0'); session_start();
    $_SESSION['secret'] = $secret; session_commit();
    apcu_store('secret', $secret);
    shmop_write(shmop_open(0xf00d, 'c', 0666, 64), $secret, 0);
"""


def root(site: str) -> str:
    """The document root outside of any chroot."""
    if site == "plain":
        return "/var/www/plain"
    return f"/var/www/{site}/var/www/{site}/htdocs" if site in ("pooled", "neighbour") else f"/var/www/{site}/htdocs"


def user(site: str) -> str:
    return "www-data" if site == "plain" else f"_site-{site}"


class Ground:
    """The server with all sites installed, FFI allowed in the pools of the attackers, secrets in place."""

    def __init__(self, bed: Bed, directory: Path) -> None:
        self.server = Server(bed, directory)
        self.directory = directory
        bed.publish_own_packages()
        wanted = [f"phpX-{name}" for name in EXTENSIONS[bed.release] if name in ("imagick", "imap")]
        bed.sites.publish(*extras.debs(bed.release, wanted))
        self.server.shell("mkdir -p /srv/outside; echo OUTSIDE-OF-ALL >/srv/outside/secret; ln -s ssh /usr/bin/rsh")
        head = HEAD.format(extensions=", ".join(EXTENSIONS[bed.release]), release=bed.release)
        for site, more in SITES.items():
            text = f"site: {site}\ndomains: [{site}.example.org]\n{head}{more}"
            self.server.publish(text, f"{site}.yaml")
        self._plain_host()
        self.server.install(*(f"site-{site}-jail" for site in SITES))
        self._allow_much()
        self._place_secrets()
        self._place_attacks()

    def _plain_host(self) -> None:
        there = self.server
        there.write("/etc/apache2/sites-available/plain.conf", PLAIN_HOST.format(php=there.php))
        there.shell("mkdir -p /var/www/plain; a2enmod -q proxy_fcgi rewrite headers include cgid; a2ensite -q plain")
        there.write("/var/www/plain/config.php", CONFIG.format(site="PLAIN", code=OWN_SECRETS))
        there.shell("chown -R www-data: /var/www/plain; systemctl restart apache2")

    def _allow_much(self) -> None:
        """A hole in PHP that runs native code, as an administrator can make it; ImageMagick without any policy."""
        there, line = self.server, "php_admin_value[ffi.enable] = 1\n"
        there.shell("for file in /etc/ImageMagick-*/policy.xml; do echo '<policymap></policymap>' >$file; done")
        picture = "($i = new Imagick)->newImage(20, 20, '#123456'); $i->writeImage('/srv/outside/picture.png');"
        there.run("php", "-r", picture)
        if "imap" in EXTENSIONS[there.release]:
            line += "php_admin_value[imap.enable_insecure_rsh] = 1\n"
        mail = "/usr/bin/msmtp --host=127.0.0.1 --port=2525 --from=a@b -t"
        control = f'[www]\n{line}php_admin_value[sendmail_path] = "{mail}"\n'
        there.write(f"/etc/php/{there.php}/fpm/pool.d/zz-native.conf", control)
        for site in ("safe", "pooled"):
            there.write(f"/etc/fpmjail/sites/{site}/fpm.d/native.conf", line)
            there.run("fpmjail", "configure", site)
        there.run("systemctl", "restart", f"php{there.php}-fpm")
        there.run("fpmjail", "refresh")

    def _place_secrets(self) -> None:
        for site in SITES:
            self.put(site, "config.php", CONFIG.format(site=site.upper(), code=OWN_SECRETS))
        self.put("victim", "notes.txt", "SECRET-OF-VICTIM\n")
        for site in ("plain", "victim", "neighbour"):
            page = self.server.get("/config.php?open=1", f"{site}.example.org")
            assert page.body.endswith("ready"), page

    def put(self, site: str, path: str, text: str) -> None:
        """Make a file as the site's user."""
        self.server.write(f"{root(site)}/{path}", text)
        self.server.run("chown", "-hR", f"{user(site)}:", f"{root(site)}/{path.split('/')[0]}")

    def _place_attacks(self) -> None:
        library, program = pages.compile_payloads(self.directory)
        for site in ATTACKERS.values():
            place = f"{root(site)}/payloads"
            for path in (library, program, pages.PAYLOADS / "picture.php"):
                self._copy(path, f"{place}/{path.name}")
            self.put(site, "scripts.php", pages.page(scripts.SCRIPTS.values()))
            self.put(site, "native.php", pages.page(native.SCRIPTS.values()))
            self.server.run("chown", "-R", f"{user(site)}:", place)

    def _copy(self, path: Path, target: str) -> None:
        """A file of any content."""
        self.server.shell(f"mkdir -p {target.rpartition('/')[0]}")
        coded = path.read_bytes().hex()
        self.server.run(
            "python3", "-c", f"import sys; open({target!r}, 'wb').write(bytes.fromhex(sys.stdin.read()))", input=coded
        )

    def asked(self, outside: int, *, native_code: bool) -> str:
        """What a page of attacks has to know, as JSON."""
        return json.dumps(
            {
                "foreign": [root(site).removesuffix("/htdocs") for site in ("victim", "neighbour")],
                "sockets": [
                    f"/run/php/php{self.server.php}-fpm.sock",
                    *(f"/run/fpmjail/{site}.sock" for site in ("victim", "neighbour")),
                ],
                "masters": [self.main_pid("site-victim-jail"), self.main_pid(f"php{self.server.php}-fpm")],
                "outside": outside,
                "native": native_code,
            }
        )

    def main_pid(self, unit: str) -> int:
        found = int(self.server.run("systemctl", "show", "-P", "MainPID", unit).stdout)
        assert found, f"{unit} does not run, and process 0 would be the attacker's own group"
        return found

    def attack(self, place: str, group: str) -> dict[str, Any]:
        """What came of a page of attacks: `outcome` and `faults`."""
        site = ATTACKERS[place]
        unit = f"stranger-{site}"
        self.server.shell(
            f"systemctl start --quiet {unit} 2>/dev/null || systemd-run -q --unit={unit} --uid={user(site)} sleep 1000"
        )
        asked = self.asked(self.main_pid(unit), native_code=group == "native")
        page = self.server.get(f"/{group}.php", f"{site}.example.org", "--data-binary", asked)
        self.server.run("systemctl", "stop", unit)
        assert page.status == 200 and page.body.count('"faults"') == 1, page
        return dict(json.loads(page.body))

    def attack_as_root(self, script: Script) -> str:
        """The evidence of an attack by root in the chroot of the dedicated attacker."""
        jail = "/var/lib/fpmjail/jails/safe"
        self.server.write(f"{jail}/tmp/control/attack.php", pages.page([script]))
        command = ["unshare", "--mount", "chroot", jail, "php", "-d", "ffi.enable=1", "/tmp/control/attack.php"]
        answer = self.server.run(*command, input=self.asked(0, native_code=True))
        self.server.run("rm", "-r", f"{jail}/tmp/control")
        return str(json.loads(answer.stdout)["outcome"][script.name])

    def switch_to_nginx(self) -> None:
        """Give the port to nginx, whose site waits for it."""
        self.server.shell("systemctl disable -q --now apache2; systemctl unmask nginx; systemctl start nginx")
        self.server.run("fpmjail", "reload", check=False)

    def fingerprint(self) -> str:
        """Contents, owners and modes of what no attack may change: images, /usr, /etc, sites that are aimed at."""
        places = "/usr /etc /srv/outside /var/lib/fpmjail/images /var/lib/fpmjail/sites /var/www/victim/htdocs"
        places += " /var/www/neighbour/var/www/neighbour/htdocs"
        kept = f"find {places} -xdev -path /etc/nginx -prune -o -path /etc/apache2 -prune -o"
        listed = f"{kept} -path '/etc/systemd' -prune -o -path '*/sites/engine*' -prune -o -name 'rc?.d' -prune -o"
        return self.server.shell(
            f"({listed} -printf '%p %u %g %m %l\\n' | sort;"
            f" {listed} -type f -size -3M -print0 | sort -z | xargs -0 md5sum) | md5sum"
        ).stdout


def verdicts(answer: dict[str, Any], group: dict[str, Script]) -> dict[str, str]:
    """OPEN or stopped, by name."""
    return {name: "OPEN" if answer["outcome"][name] else "stopped" for name in group}
