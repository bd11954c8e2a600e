# SPDX-License-Identifier: GPL-2.0-or-later
"""A disk that Debian's own kernel boots: the server's base tree with an agent, built once and cached.

A disk's directory is `machine-<release>-<hash of everything that decides its content>`:

    disk        an ext4 file system, never written to again (qemu writes elsewhere)
    kernel      Debian's kernel for clouds: the same as the one for everybody, with fewer drivers
    initrd      busybox, the drivers that find the disk, and a script that mounts it

At boot an archive on a second disk is unpacked over it: what a container of the same tree has installed.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.lifecycle import extras, trees

BOOTING = ("linux-image-cloud-amd64", "busybox-static")
SIZE = "3G"  # sparse
DRIVERS = (
    "virtio_ring", "virtio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci",
    "virtio_blk", "virtio_console",
)  # fmt: skip
"""In the order in which they need each other; one that is not there is part of the kernel."""

INIT = f"""\
#!/bin/busybox sh
b=/bin/busybox
$b mount -t devtmpfs dev /dev
for driver in {" ".join(DRIVERS)}; do
    [ ! -e /drivers/$driver.ko ] || $b insmod /drivers/$driver.ko
done
rounds=0
while [ ! -b /dev/vda ] && [ $rounds -lt 200 ]; do $b sleep 0.1; rounds=$((rounds + 1)); done
$b mount -t ext4 /dev/vda /root
$b tar -xf /dev/vdb -C /root
$b mount -o move /dev /root/dev
exec $b switch_root /root /sbin/init
"""
AGENT = """\
[Unit]
DefaultDependencies=no
After=sysinit.target

[Service]
ExecStart=/usr/bin/python3 /root/agent.py /dev/vport0p1
Restart=on-failure
RestartSec=1
"""
WANTED = {"agent.service": AGENT}
NOT_WANTED = ("systemd-modules-load.service", "unattended-upgrades.service", "e2scrub_reap.service", "getty.target")
"""They need what such a machine has not, or only time."""

SETTLE = """
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=$2,upperdir=$1/upper,workdir=$1/work" "$1/root"
root=$1/root
cp -a "$3"/. "$root/"
mke2fs -q -t ext4 -O ^has_journal -E lazy_itable_init=1 -d "$root" "$4" "$5"
"""


@dataclass(frozen=True, slots=True)
class Disk:
    """Where a finished disk lies."""

    directory: Path

    @property
    def file(self) -> Path:
        return self.directory / "disk"

    @property
    def kernel(self) -> Path:
        return self.directory / "kernel"

    @property
    def initrd(self) -> Path:
        return self.directory / "initrd"


def disk_of(release: str) -> Disk:
    """The disk's name, built or not; the security suite's newest kernel is that of the day when it was built."""
    agent = Path(__file__).with_name("agent.py").read_text()
    content = json.dumps([trees.tree_of(release, "server").name, BOOTING, DRIVERS, INIT, WANTED, NOT_WANTED, SETTLE])
    digest = hashlib.sha256((content + agent).encode()).hexdigest()[:12]
    return Disk(trees.CACHE / f"machine-{release}-{digest}")


def disk(release: str) -> Disk:
    """The disk of a release, built first if it is not in the cache (a minute; the others wait)."""
    found = disk_of(release)
    if not found.directory.exists():
        with trees.locked(found.directory.name):
            if not found.directory.exists():
                _build(release, found)
    return found


def _build(release: str, found: Disk) -> None:
    print(f"building the machine's disk {found.directory}", file=sys.stderr, flush=True)
    building = found.directory.with_name(f"building-{found.directory.name}")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    tree = trees.base_tree(release)
    _boot_files(extras.debs(release, BOOTING), building)
    _settle(tree.root, building)
    for name in ("kernel-package", "initrd-tree", "added", "mounted"):
        shutil.rmtree(building / name)
    building.rename(found.directory)


def _boot_files(debs: Sequence[Path], building: Path) -> None:
    """Kernel and initial file system."""
    package, tree = building / "kernel-package", building / "initrd-tree"
    for deb in debs:
        if re.match(r"linux-image-[0-9]|busybox-static_", deb.name):
            _run("dpkg-deb", "-x", str(deb), str(package))
    busybox = next(path for path in package.rglob("bin/busybox") if path.is_file())
    shutil.copy(next((package / "boot").glob("vmlinuz-*")), building / "kernel")
    for name in ("bin", "dev", "drivers", "root"):
        (tree / name).mkdir(parents=True)
    shutil.copy(busybox, tree / "bin/busybox")
    for driver in DRIVERS:
        for path in package.rglob(f"{driver}.ko*"):
            content = path.read_bytes()
            unpacked = lzma.decompress(content) if path.suffix == ".xz" else content
            (tree / f"drivers/{driver}.ko").write_bytes(unpacked)
    (tree / "init").write_text(INIT)
    (tree / "init").chmod(0o755)
    pack = 'cd "$1" && find . | ./bin/busybox cpio -o -H newc | gzip -1 > "$2"'
    _run("sh", "-euc", pack, "pack", str(tree), str(building / "initrd"))


def _settle(root: Path, building: Path) -> None:
    """The tree with all that is added, as a file system; the tree itself is only looked at."""
    units = building / "added/etc/systemd/system"
    wants = units / "multi-user.target.wants"
    wants.mkdir(parents=True)
    for name, text in WANTED.items():
        (units / name).write_text(text)
        (wants / name).symlink_to(f"../{name}")
    for name in NOT_WANTED:
        (units / name).symlink_to("/dev/null")
    (building / "added/root").mkdir()
    shutil.copy(Path(__file__).with_name("agent.py"), building / "added/root/agent.py")
    (building / "mounted").mkdir()
    places = (building / "mounted", root, building / "added", building / "disk")
    private = ("unshare", "--mount", "--propagation", "private", "sh", "-euc", SETTLE, "settle")
    _run(*private, *map(str, places), SIZE)


def _run(*command: str) -> None:
    """Raises RuntimeError with all that the command said."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}\nexit status {done.returncode}\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    for each in trees.RELEASES:
        print(disk(each).directory)
