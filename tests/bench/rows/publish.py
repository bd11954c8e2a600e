# SPDX-License-Identifier: GPL-2.0-or-later
"""Publishing a few new packages beside many that are there already."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tests.bench import many
from tests.bench.row import Aim, Bench, Compare, Line, Row
from tests.fleet import Published, fpmjail_deb

CHANGED = 3
ALONE = """
set -eu
cd "$1"
for architecture in amd64 arm64; do
    apt-ftparchive --db "$2/$architecture.db" --arch $architecture packages . >"$2/Packages-$architecture"
    gzip -k -f -n "$2/Packages-$architecture"
done
apt-ftparchive release "$2" >"$2/Release"
"""


def publish(bench: Bench) -> Iterator[Line]:
    """Each repetition has three new versions; apt-ftparchive lists the same packages, with its own cache.

    The program is byte-compiled, as it is where its package is installed.
    """
    place = bench.place / "publish"
    place.mkdir()
    changed = bench.some(CHANGED)
    compiled = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(place / "compiled")}
    repository = Published(place / "repository", "http://deb.example.org")
    try:
        all_debs = many.packages(bench, bench.sites)
        bench.tell(f"  first publish of {len(all_debs)} packages")
        fpmjail_deb("publish", repository.root, all_debs[0].parent, "--keep", "1", variables=compiled)
        pool, lists = alone(place, all_debs)
        ours, bare = [], []
        for number in bench.rounds():
            new = newer(bench, place / f"new-{number}", changed, number)
            words = ("publish", repository.root, new[0].parent, "--keep", "1")
            ours.append(seconds(partial(fpmjail_deb, *words, variables=compiled)))
            for deb in new:
                (pool / deb.name).hardlink_to(deb)
            bare.append(seconds(partial(listed, pool, lists)))
    finally:
        repository.close()
    what = f"publish of {len(all_debs)} packages, {changed} changed"
    against = "`apt-ftparchive` alone, with its cache, without a signature"
    yield Line(what, "s", tuple(ours), against, tuple(bare), Aim(Compare.TIMES, 1.5))


def seconds(action: Callable[[], object]) -> float:
    """How long something takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def alone(place: Path, debs: list[Path]) -> tuple[Path, Path]:
    """A directory of all packages, and one of the lists and the cache, which knows them all."""
    pool, lists = place / "pool", place / "lists"
    pool.mkdir()
    lists.mkdir()
    for deb in debs:
        (pool / deb.name).hardlink_to(deb)
    listed(pool, lists)
    return pool, lists


def listed(pool: Path, lists: Path) -> None:
    """Index, compress, sum up: what apt needs and nothing else."""
    subprocess.run(["sh", "-c", ALONE, "sh", str(pool), str(lists)], check=True, stderr=subprocess.DEVNULL)


def newer(bench: Bench, place: Path, sites: int, version: int) -> list[Path]:
    """New versions of the first packages."""
    descriptions = many.describe(place / "sites", sites, bench.release)
    defaults = descriptions / "defaults.yaml"
    defaults.write_text(defaults.read_text().replace("version: 1.0.0", f"version: 1.{version}.0"))
    fpmjail_deb("build", descriptions, "-o", place / "debs")
    return sorted((place / "debs").glob("*.deb"))


PUBLISH = Row("publish", "publishing a few changed packages of many", publish)
