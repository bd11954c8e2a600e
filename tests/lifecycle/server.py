# SPDX-License-Identifier: GPL-2.0-or-later
"""A web server as its sysadmin has it: a booted container, our signed repository, sites installed by apt."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lifecycle import trees
from tests.lifecycle.bed import Bed
from tests.lifecycle.container import Completed

EXAMPLE = trees.CHECKOUT / "examples/example.yaml"
HOMEPAGE = (
    "<?php echo 'hello from ', php_sapi_name(), ' ', getmyuid() === posix_getuid() ? 'own' : 'foreign', \"\\n\";\n"
)

COMPARE = """
import hashlib, json, pathlib, re, subprocess, sys
def digest(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()
site = sys.argv[1]
facts = json.load(open(f"/usr/share/fpmjail/sites/{site}/site.json"))
image = pathlib.Path("/var/lib/fpmjail/images", facts["profile"]["id"], "current")
entries = json.loads(subprocess.run(["fpmjail", "files", site, "--json"], capture_output=True, check=True).stdout)
compared = [e for e in entries if e["type"] == "file" and e["source"]]
stale = [e["source"] for e in compared if digest(image / e["path"]) != digest(e["source"])]
wrong = [e["source"] for e in compared if e["sha256"] != digest(image / e["path"])]
pid = subprocess.run(["systemctl", "show", "-P", "MainPID", f"site-{site}-jail"], capture_output=True, text=True).stdout
maps = pathlib.Path("/proc", pid.strip(), "maps").read_text() if pid.strip() != "0" else ""
deleted = sorted({l.split(None, 5)[5] for l in maps.splitlines() if "(deleted)" in l and "/dev/zero" not in l})
mapped = sorted(set(re.findall("/([0-9a-f]{16})/usr/", maps)))
print(json.dumps({"compared": len(compared), "stale": stale, "wrong": wrong, "deleted": deleted, "mapped": mapped,
                  "generation": image.readlink().name}))
"""


@dataclass(frozen=True, slots=True)
class Page:
    """What Apache answered."""

    status: int
    body: str
    headers: str


class Server:
    """A container with our repositories; everything on it is done as an administrator would do it.

    `directory` takes the packages that are built for it.
    """

    def __init__(self, bed: Bed, directory: Path) -> None:
        container = bed.server
        self.bed, self.container, self.directory = bed, container, directory
        self.release, self.php = container.release, container.php
        self.run, self.shell, self.apt = container.run, container.shell, container.apt
        self.write, self.read, self.exists = container.write, container.read, container.exists

    def publish(self, description: str | Path, name: str = "site.yaml") -> Path:
        """Build a site's package for this release, put it into the repository, let apt see it."""
        deb = build_site(description, self.directory / "dist", self.release, name)
        self.bed.sites.publish(deb)
        self.apt("update")
        return deb

    def quiet(self) -> None:
        """From now on nothing refreshes the jails unless a test, or dpkg, does it."""
        self.shell("systemctl stop fpmjail-refresh.path fpmjail-refresh.timer 'fpmjail-refresh*.service'")

    def install(self, *packages: str, check: bool = True) -> Completed:
        """`apt install`."""
        return self.apt("install", *packages, check=check)

    def get(self, path: str = "/", host: str = "example.org", *options: str) -> Page:
        """What Apache answers over loopback."""
        address = f"http://127.0.0.1{path}"
        asked = ["curl", "-s", "-S", "-i", "-m", "60", "-H", f"Host: {host}", "-w", "\n%{http_code}", *options, address]
        head, _, rest = self.run(*asked).stdout.replace("\r\n", "\n").partition("\n\n")
        body, _, status = rest.rpartition("\n")
        return Page(int(status), body, head)

    def write_page(self, path: str, code: str, site: str = "example", root: str = "htdocs") -> None:
        """Put a file into a site's document root as the site's own user would."""
        place = f"/var/www/{site}/{root}/{path}"
        self.write(place, code)
        self.run("chown", f"_site-{site}:", place)

    def check_all(self) -> dict[str, list[dict[str, Any]]]:
        """`fpmjail check --all`: the findings by site, `(server)` for what belongs to none."""
        answer = self.run("fpmjail", "check", "--all", "--json", check=False)
        assert answer.stdout, answer.output
        found = dict(json.loads(answer.stdout))
        bad = any(finding["level"] == "bad" for findings in found.values() for finding in findings)
        assert answer.returncode == int(bad or bool(answer.stderr)), answer.output
        return found

    def check(self, site: str = "example") -> list[dict[str, Any]]:
        """What `fpmjail check --all` finds about one site."""
        return self.check_all()[site]

    def faults(self, site: str = "example") -> list[dict[str, Any]]:
        """The findings that say that something is broken or open."""
        return [finding for finding in self.check(site) if finding["level"] == "bad"]

    def costs(self, site: str = "example") -> dict[str, tuple[int, int]]:
        """Files and bytes by capability, as `fpmjail files` tells."""
        told = json.loads(self.run("fpmjail", "files", site, "--by-capability", "--json").stdout)
        return {one["capability"]: (one["files"], one["bytes"]) for one in told}

    def status(self) -> dict[str, Any]:
        """`fpmjail status`."""
        return dict(json.loads(self.run("fpmjail", "status", "--json", check=False).stdout))

    def truth(self, site: str = "example") -> dict[str, Any]:
        """How the site's image and its master compare with the host's files."""
        return dict(json.loads(self.run("python3", "-c", COMPARE, site).stdout))

    def assert_true_to_host(self, site: str = "example") -> str:
        """Every copy is the host's file, the master maps nothing else; returns the generation."""
        seen = self.truth(site)
        assert seen["compared"] > 500, seen
        assert not seen["stale"] and not seen["wrong"], seen
        assert not seen["deleted"] and seen["mapped"] in ([], [seen["generation"]]), seen
        return str(seen["generation"])

    def settle(self) -> None:
        """Wait until the refresh that has the last word has ended."""
        self.run("fpmjail", "refresh", "--wait")


def build_site(description: str | Path, output: Path, release: str, name: str = "site.yaml") -> Path:
    """Build one site's package with the generator of this checkout."""
    output.mkdir(parents=True, exist_ok=True)
    source = description if isinstance(description, Path) else output / name
    if isinstance(description, str):
        source.write_text(description)
    command = [sys.executable, "-m", "fpmjail_deb", "build", str(source), "-o", str(output), "--release", release]
    built = subprocess.run(command, cwd=trees.CHECKOUT, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    return output / built.stdout.split()[0].rpartition("/")[2]
