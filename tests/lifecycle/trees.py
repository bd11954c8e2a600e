# SPDX-License-Identifier: GPL-2.0-or-later
"""Base trees: unpacked Debian releases that every container lies above, built once by mmdebstrap and cached.

A tree's directory is `<kind>-<release>-<hash of everything that decides its content>`:

    root/       the file system, never written to again (containers put an overlay above it)
    debs/       `server` only: Debian's own packages that `repack` makes newer versions of
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("FPMJAIL_TESTS_CACHE", "/var/cache/fpmjail-tests"))
RELEASES = ("trixie", "bookworm")
KINDS = ("server", "builder")
PHP = {"trixie": "8.4", "bookworm": "8.2"}

SERVER_PACKAGES = """
    systemd systemd-sysv dbus iproute2 procps ca-certificates netbase tzdata locales logrotate init-system-helpers
    phpX-fpm phpX-cli phpX-curl phpX-gd phpX-intl phpX-mbstring phpX-mysql phpX-xml phpX-zip php-apcu
    apache2 nginx curl openssl python3 python3-pyelftools unattended-upgrades needrestart strace
    mariadb-server openssh-server libpam-systemd msmtp prometheus-node-exporter
"""
BUILDER_PACKAGES = """
    build-essential lintian man-db shellcheck apt-utils gpg gpg-agent ca-certificates
    systemd phpX-cli phpX-fpm apache2 python3
"""

REPACKED_SOURCES = r"^(glibc|tzdata|ca-certificates|icu|php[0-9]+\.[0-9]+) "
DOWNLOAD_HOOK = f"""
    mkdir "$1.debs" && cd "$1.debs" &&
    APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" apt-get download $(
        chroot "$1" dpkg-query -W -f '${{source:Package}} ${{Package}}\\n' |
            grep -E '{REPACKED_SOURCES}' | cut -d' ' -f2)
"""

TREE_FILES = {
    "etc/hostname": "server\n",
    "etc/hosts": "127.0.0.1\tlocalhost server\n::1\tlocalhost\n",
    "etc/resolv.conf": "nameserver 127.0.0.1\n",
    "etc/machine-id": "",
    "etc/apt/apt.conf.d/80tests": 'APT::Install-Recommends "false";\n',
    "etc/apt/sources.list": "# Debian's archive is out of reach: the network is private\n",
}
# They would take dpkg's lock in the middle of a test, or a port; what tests sshd or nginx unmasks it.
MASKED_UNITS = (
    "apt-daily.service", "apt-daily.timer", "apt-daily-upgrade.service", "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer", "e2scrub_all.timer", "fstrim.timer", "logrotate.timer", "mariadb.service", "nginx.service",
    "phpsessionclean.timer", "prometheus-node-exporter.service", "ssh.service", "ssh.socket",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mirror:
    """Where Debian's packages come from: the archive and the security archive, as URIs without a closing slash."""

    main: str = "http://deb.debian.org/debian"
    security: str = "http://deb.debian.org/debian-security"


@dataclass(frozen=True, slots=True)
class Tree:
    """A finished base tree; `name` changes whenever anything that decides its content changes."""

    name: str
    release: str
    kind: str

    @property
    def directory(self) -> Path:
        return CACHE / self.name

    @property
    def root(self) -> Path:
        return self.directory / "root"

    @property
    def debs(self) -> Path:
        return self.directory / "debs"


def mirror_in(sources: str) -> Mirror:
    """The first archive and the first security archive named in the text of apt sources; Debian's own otherwise."""
    text = "\n".join(line for line in sources.splitlines() if not line.lstrip().startswith("#"))
    uris = [uri.rstrip("/") for uri in re.findall(r"\bhttps?://\S+", text)]
    main = [uri for uri in uris if re.search(r"/debian(/\d{8}T\d{6}Z)?$", uri)]
    security = [uri for uri in uris if re.search(r"/debian-security(/\d{8}T\d{6}Z)?$", uri)]
    default = Mirror()
    return Mirror(
        *(found[0] if found else usual for found, usual in ((main, default.main), (security, default.security)))
    )


def host_mirror() -> Mirror:
    """The mirror that this machine's own apt uses."""
    apt = Path("/etc/apt")
    files = [
        apt / "sources.list",
        *sorted(apt.glob("sources.list.d/*.list")),
        *sorted(apt.glob("sources.list.d/*.sources")),
    ]
    return mirror_in("\n".join(file.read_text() for file in files if file.exists()))


def acquire_options(dump: str) -> list[str]:
    """The lines of `apt-config dump` that say how to reach the mirror: proxies, time-outs, expired snapshots."""
    wanted = r"Acquire::(http|https|Check-|Retries|ForceIPv)[^ ]* \"[^\"]*\";"
    return [line for line in dump.splitlines() if re.fullmatch(wanted, line, re.IGNORECASE)]


def relations_in(control: str, field: str) -> list[str]:
    """The package names in every such field of a debian/control: of alternatives the first, without versions.

    Substitution variables are left out; debhelper-compat means debhelper.
    """
    texts = re.findall(rf"^{field}:(.*\n(?:[ \t].*\n)*)", control, re.MULTILINE)
    relations = [relation.strip() for text in texts for relation in text.split(",")]
    names = {re.split(r"[\s(<:|\[]", relation)[0] for relation in relations if relation and relation[0] != "$"}
    return sorted({"debhelper" if name == "debhelper-compat" else name for name in names})


def packages_of(release: str, kind: str) -> list[str]:
    """The packages of a tree, sorted.

    A builder has what debian/control wants for the build and what our own packages depend on when installed.
    """
    if kind == "server":
        names = SERVER_PACKAGES.split()
    else:
        control = (CHECKOUT / "debian/control").read_text()
        names = BUILDER_PACKAGES.split() + relations_in(control, "Build-Depends") + relations_in(control, "Depends")
    return sorted({name.replace("phpX-", f"php{PHP[release]}-") for name in names})


def tree_of(release: str, kind: str) -> Tree:
    """The tree's name, built or not."""
    if release not in RELEASES or kind not in KINDS:
        raise ValueError(f"no such tree: {kind} of {release}; there are {KINDS} of {RELEASES}")
    content = json.dumps([packages_of(release, kind), DOWNLOAD_HOOK, TREE_FILES, MASKED_UNITS])
    return Tree(f"{kind}-{release}-{hashlib.sha256(content.encode()).hexdigest()[:12]}", release, kind)


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold the cache's lock `name` against every other test process; freed by the kernel if this one dies."""
    (CACHE / "locks").mkdir(parents=True, exist_ok=True)
    with (CACHE / "locks" / name).open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def base_tree(release: str, kind: str = "server") -> Tree:
    """The tree of a release, built first if it is not in the cache (minutes; the others wait).

    Raises RuntimeError with the end of mmdebstrap's words when the build fails.
    """
    tree = tree_of(release, kind)
    if not tree.directory.exists():
        with locked(tree.name):
            if not tree.directory.exists():
                _build(tree)
    return tree


def _build(tree: Tree) -> None:
    """Build beside the final place, then rename: a tree in the cache is always complete."""
    building = CACHE / f"building-{tree.name}"
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    root = building / "root"
    log = CACHE / f"{tree.name}.log"
    print(f"building the base tree {tree.directory} (log: {log})", file=sys.stderr, flush=True)
    with log.open("w") as output:
        result = subprocess.run(
            mmdebstrap_command(tree, root), stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
        )
    if result.returncode != 0:
        raise RuntimeError(f"mmdebstrap failed for {tree.name}, {log} ends:\n{log.read_text()[-4000:]}")
    if tree.kind == "server":
        (building / "root.debs").rename(building / "debs")
    _settle(root)
    building.rename(tree.directory)


def mmdebstrap_command(tree: Tree, root: Path) -> list[str]:
    """The command that builds a tree into `root`, with the updates and security suites."""
    mirror = host_mirror()
    dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=True).stdout
    options = ['Acquire::Languages "none";', 'Acquire::Retries "3";', *acquire_options(dump)]
    release = tree.release
    return [
        "mmdebstrap", "--variant=minbase", "--format=directory", "--mode=root", "--skip=check/qemu",
        f"--include={','.join(packages_of(release, tree.kind))}",
        *(f"--aptopt={option}" for option in options),
        *([f"--customize-hook={DOWNLOAD_HOOK}"] if tree.kind == "server" else []),
        release, str(root),
        f"deb {mirror.main} {release} main",
        f"deb {mirror.main} {release}-updates main",
        f"deb {mirror.security} {release}-security main",
    ]  # fmt: skip


def _settle(root: Path) -> None:
    """Make the tree say nothing of the machine that built it, and keep timers out of the tests."""
    for name, text in TREE_FILES.items():
        (root / name).unlink(missing_ok=True)
        (root / name).write_text(text)
    for unit in MASKED_UNITS:
        link = root / "etc/systemd/system" / unit
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to("/dev/null")


def main() -> None:
    """Build every tree that is missing, two at a time: `python3 -m tests.lifecycle.trees [KIND...]`."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        for tree in pool.map(lambda pair: base_tree(*pair), [(r, k) for k in sys.argv[1:] or KINDS for r in RELEASES]):
            print(tree.directory)


if __name__ == "__main__":
    main()
