# SPDX-License-Identifier: GPL-2.0-or-later
"""The programs that read generated files, in a booted server of the release: what did they understand?"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.lifecycle.container import Container

SEEN_AS = "/srv/exchange"
MODULES = ("authz_core", "dir", "alias", "proxy", "proxy_fcgi", "headers", "rewrite", "socache_shmcb", "ssl", "info")
APACHE_MAIN = """\
ServerRoot /etc/apache2
Include mods-available/mpm_event.load
{modules}
Define APACHE_LOG_DIR /tmp
ErrorLog /dev/null
ServerName localhost
LogFormat "%h" combined
LogFormat "%h" common
Include {directory}/[0-9]*.conf
"""
MARK = "---- 6f1c2a ----"
FPM_LINE = re.compile(r"\[[^]]*\] NOTICE: \t(\S+) = (.*)")
DUMP_NUMBER = re.compile(r"\s*#\s+\d+:")
DUMP_FILE = re.compile(r"# In file: (.*)")


@dataclass(frozen=True, slots=True)
class RealParsers:
    """`exchange` is a directory of this machine that the server sees, read-only, as /srv/exchange."""

    server: Container
    exchange: Path

    def put(self, name: str, texts: Sequence[str], suffix: str) -> str:
        """Write numbered files into an empty directory of the exchange; its path as the server sees it."""
        directory = self.exchange / name
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        for number, text in enumerate(texts):
            (directory / f"{number:03}{suffix}").write_text(text, encoding="utf-8")
        return f"{SEEN_AS}/{name}"

    def apache(self, hosts: Sequence[str]) -> list[list[str]]:
        """Each virtual host as Apache took it apart: a line per directive and per end of a section (mod_info)."""
        directory = self.put("apache", hosts, ".conf")
        modules = "\n".join(f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so" for name in MODULES)
        main = APACHE_MAIN.format(modules=modules, directory=directory)
        (self.exchange / "apache/main.conf").write_text(main)
        dump = self.server.run("apache2", "-t", "-D", "DUMP_CONFIG", "-f", f"{directory}/main.conf").stdout
        found: dict[str, list[str]] = {}
        current: list[str] = []
        for line in dump.splitlines():
            if file := DUMP_FILE.fullmatch(line.strip()):
                current = found.setdefault(file[1], [])
            elif not DUMP_NUMBER.fullmatch(line):
                current.append(line.strip())
        return [found[f"{directory}/{number:03}.conf"] for number in range(len(hosts))]

    def fpm(self, pools: Sequence[str]) -> list[dict[str, str]]:
        """Each pool's settings as PHP-FPM read them (-tt), by key."""
        directory = self.put("fpm", pools, ".conf")
        script = (
            "mkdir -p /var/log/fpmjail/shop; chown www-data /var/log/fpmjail/shop; "
            f"for file in {directory}/*; do echo '{MARK}'; "
            "setpriv --reuid www-data --regid www-data --clear-groups "
            f'php-fpm{self.server.php} -tt -y "$file" 2>&1; done'
        )
        return [dict(FPM_LINE.findall(part)) for part in self.server.shell(script).stdout.split(MARK)[1:]]

    def units(self, texts: Sequence[str], suffix: str, interface: str, prop: str) -> list[object]:
        """One property of each unit, as systemd's manager holds it; systemd-analyze must find no fault."""
        directory = self.put("units", texts, suffix)
        self.server.shell(
            "ln -sf php-fpm /usr/sbin/php-fpm; ln -sf /bin/true /usr/sbin/php-fpm; mkdir -p /run/systemd/system; "
            f'for unit in {directory}/*; do cp "$unit" /run/systemd/system/shop"${{unit##*/}}"; done; '
            "systemctl daemon-reload"
        )
        names = [f"shop{number:03}{suffix}" for number in range(len(texts))]
        verified = self.server.run(
            "systemd-analyze", "verify", "--man=no", *(f"/run/systemd/system/{n}" for n in names)
        )
        assert verified.output == "", verified.output
        read = "".join(
            f"busctl --json=short get-property org.freedesktop.systemd1 {bus(n)} {interface} {prop};" for n in names
        )
        values = [json.loads(line)["data"] for line in self.server.shell(read).stdout.splitlines()]
        self.server.shell(f"rm /run/systemd/system/shop*{suffix}; systemctl daemon-reload")
        return values

    def dash(self, scripts: Sequence[str]) -> list[list[str]]:
        """The words that each script, which is to print them with NUL between, makes dash print."""
        directory = self.put("sh", scripts, ".sh")
        script = f"for file in {directory}/*; do printf '%s\\0' '{MARK}'; dash -n \"$file\"; dash \"$file\"; done"
        parts = self.server.shell(script).stdout.split(f"{MARK}\0")
        return [part.split("\0")[:-1] for part in parts[1:]]


def bus(unit: str) -> str:
    """The object path of a unit whose name is made of letters, digits and dots (sd_bus_path_encode(3))."""
    return f"/org/freedesktop/systemd1/unit/{unit.replace('.', '_2e')}"
