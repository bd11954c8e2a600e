# SPDX-License-Identifier: GPL-2.0-or-later
"""`make demo`: one site from its YAML file to a sealed jail that survives a libc and PHP upgrade, before your eyes.

Everything happens in a throw-away container. The packages and the signed repository stay in `dist/`.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path

from tests.lifecycle import load, trees
from tests.lifecycle.bed import Bed, booted
from tests.lifecycle.load import Load, Report
from tests.lifecycle.packages import build_debs
from tests.lifecycle.repository import SigningKey
from tests.lifecycle.server import EXAMPLE, HOMEPAGE, Server, build_site

DIST = trees.CHECKOUT / "dist"
STARTED = time.monotonic()


def chapter(title: str) -> None:
    """A heading with the time since the start."""
    print(
        f"\n\033[1m[{time.monotonic() - STARTED:5.1f} s] {title}\033[0m" if sys.stdout.isatty() else f"\n== {title}",
        flush=True,
    )


def show(command: str, output: str, lines: int = 200) -> None:
    """A command as typed on the server, and the end of what it printed."""
    print(f"server# {command}")
    print("\n".join(f"    {line}" for line in output.strip().splitlines()[-lines:]), flush=True)


def build(release: str) -> list[Path]:
    """Our own packages and the example site's, in dist/."""
    shutil.rmtree(DIST, ignore_errors=True)
    DIST.mkdir()
    own = [Path(shutil.copy(deb, DIST)) for deb in sorted(build_debs(release).glob("*.deb"))]
    return [*own, build_site(EXAMPLE, DIST, release)]


def install(server: Server) -> None:
    """`apt install`, the page, the check."""
    answer = server.apt("install", "site-example-jail")
    show("apt install site-example-jail", "\n".join(line for line in answer.output.splitlines() if "fpmjail" in line))
    server.write_page("index.php", HOMEPAGE)
    server.write_page("load.php", load.PAGE)
    page = server.run("curl", "-si", "-H", "Host: example.org", "http://127.0.0.1/").stdout
    show("curl -i -H 'Host: example.org' http://127.0.0.1/", page)
    show("fpmjail check example", server.run("fpmjail", "check", "example").stdout)


def upgrade(bed: Bed, server: Server) -> Report:
    """libc6 and PHP get newer versions in one apt run while requests run."""
    bed.publish_upgrade("libc6", "php-common", round=2)
    with Load(server.container, host="example.org", path="/load.php", slow_seconds=6) as requests:
        answer = server.apt("upgrade")
        server.settle()
    show(
        "apt upgrade",
        "\n".join(line for line in answer.output.splitlines() if "fpmjail" in line or "upgraded," in line),
    )
    return requests.report()


def verdict(server: Server, before: str, report: Report) -> bool:
    """What the upgrade did to visitors and to the copies."""
    seen = server.truth()
    true = not (seen["stale"] or seen["wrong"] or seen["deleted"]) and seen["generation"] != before
    print(
        f"    requests during the upgrade: {report.requests}, failed: {report.failed}, slowest: {report.slowest:.1f} s"
    )
    print(f"    copies compared with the host: {seen['compared']}, stale: {len(seen['stale'])}")
    print(f"    the master maps deleted files: {len(seen['deleted'])}; generation {before} -> {seen['generation']}")
    show("fpmjail status", server.run("fpmjail", "status", check=False).stdout)
    return true and not report.failed and report.requests > 0


def farewell(release: str) -> None:
    """Where everything lies, and how it is used for real."""
    repository = DIST / "repository"
    debs = "\n".join(f"  {path.relative_to(trees.CHECKOUT)}" for path in sorted(DIST.glob("*.deb")))
    print(f"""
The packages:
{debs}
The signed repository: {repository.relative_to(trees.CHECKOUT)}/sites, its key: dist/repository.asc

On a server with Debian {release}, behind any static web server that serves that directory:
  cp repository.asc /usr/share/keyrings/sites.asc
  printf 'Types: deb\\nURIs: https://packages.example.org/sites\\nSuites: {release}\\nComponents: main\\n\\
Signed-By: /usr/share/keyrings/sites.asc\\n' >/etc/apt/sources.list.d/sites.sources
  apt update && apt install site-example-jail && fpmjail check example""")


def main() -> int:
    """Run the demonstration; exit status 1 if anything was not as it should be."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("release", nargs="?", choices=trees.RELEASES, default="trixie")
    release = parser.parse_args().release
    chapter(f"building for {release} (the first time downloads Debian: some minutes)")
    for path in build(release):
        print(f"    {path.name}")
    key, repository = SigningKey(), DIST / "repository"
    repository.mkdir()
    (DIST / "repository.asc").write_text(key.public())
    with booted(release, repository, key) as bed:
        server = Server(bed, DIST)
        chapter("a throw-away server with systemd, Apache and PHP is up; it installs from the signed repository")
        bed.sites.publish(*DIST.glob("*.deb"))
        server.apt("update")
        install(server)
        before = str(server.truth()["generation"])
        chapter("libc6 and PHP are upgraded while visitors come")
        report = upgrade(bed, server)
        chapter("what that did")
        good = verdict(server, before, report)
    farewell(release)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
