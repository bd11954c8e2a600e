# SPDX-License-Identifier: GPL-2.0-or-later
"""A repository of ten times as many packages as one server has sites: what it costs one of its clients."""

from __future__ import annotations

import gzip
import hashlib
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from tests.bench import many
from tests.bench.row import Aim, Bench, Compare, Line, Row
from tests.bench.rows.refresh import clock
from tests.lifecycle.repository import ARCHITECTURES, MOUNT_POINT, Repository
from tests.lifecycle.server import Server

TIMES = 10
SOURCE = "Types: deb\nURIs: copy://{place}\nSuites: {suite}\nComponents: main\nSigned-By: {key}\n"


class LargeRepository(Repository):
    """The index of a repository with that many packages, compressed as servers have it; one of them is there."""

    def fill(self, deb: Path, packages: int) -> None:
        """List `deb` under that many names, index and sign."""
        shutil.copy(deb, self.root / "pool" / deb.name)
        (stanza,) = self._archive("packages", "pool").strip().split("\n\n")
        name = deb.name.partition("_")[0]
        text = "".join(f"{listed(stanza, name, number)}\n\n" for number in range(packages)).encode()
        suite = self.root / "dists" / self.suite
        for architecture in ARCHITECTURES:
            index = suite / "main" / f"binary-{architecture}"
            shutil.rmtree(index)
            index.mkdir()
            (index / "Packages").write_bytes(text)  # without its sum in Release apt fetches none of the others
            (index / "Packages.gz").write_bytes(gzip.compress(text))
        self._release(suite)

    @property
    def index(self) -> Path:
        """What a client fetches whenever any package has changed."""
        return self.root / "dists" / self.suite / "main" / f"binary-{ARCHITECTURES[0]}" / "Packages.gz"


def listed(stanza: str, name: str, number: int) -> str:
    """A stanza of Packages under another name, with other checksums: they are most of what does not compress."""
    other = stanza.replace(name, f"site-{many.name(number)}-jail")
    for kind, length in (("MD5sum", 32), ("SHA1", 40), ("SHA256", 64), ("SHA512", 128)):
        digest = hashlib.sha512(f"{kind} {number}".encode()).hexdigest()[:length]
        other = re.sub(rf"^{kind}: [0-9a-f]+$", f"{kind}: {digest}", other, flags=re.MULTILINE)
    return other


def client(bench: Bench) -> Iterator[Line]:
    """`apt update` that has to fetch the index anew, and the same with an index of one package."""
    packages = bench.sites * TIMES
    (deb,) = many.packages(bench, 1)
    with many.server(bench) as there:
        large, small = (repository(there, bench, deb, count) for count in (packages, 1))
        ours, one = [], []
        for _ in bench.rounds():
            ((mine,), (other,)) = clock(there, 1, update("large"), update("small"))
            ours.append(mine)
            one.append(other)
        assert there.shell("ls /srv/large/lists").stdout.count("Packages") == 1, "apt fetched no index"
    what = f"`apt update` of one client, {packages} packages"
    yield Line(what, "s", tuple(ours), "1 package", tuple(one), Aim(Compare.MORE, 5))
    sizes = [(repository.index.stat().st_size / 1000,) for repository in (large, small)]
    yield Line(f"index of {packages} packages, compressed", "kB", sizes[0], "1 package", sizes[1])


def repository(there: Server, bench: Bench, deb: Path, packages: int) -> LargeRepository:
    """One of both repositories, in the client's sources; their names begin with their size."""
    name = "small" if packages == 1 else "large"
    made = LargeRepository(there.directory, name, suite=bench.release, key=bench.key)
    made.fill(deb, packages)
    key = f"/usr/share/keyrings/{name}.asc"
    there.write(key, bench.key.public())
    source = SOURCE.format(place=f"{MOUNT_POINT}/{name}", suite=bench.release, key=key)
    there.write(f"/root/{name}.sources", source)
    return made


def update(name: str) -> list[str]:
    """apt-get update of that source alone, as after a change of the index: nothing of it is there yet."""
    place = f"/srv/{name}"
    options = f"-o Dir::Etc::SourceList=/root/{name}.sources -o Dir::Etc::SourceParts=/dev/null"
    state = f"-o Dir::State::Lists={place}/lists -o Dir::Cache={place}/cache -o APT::Update::Error-Mode=any"
    fresh = f"rm -rf {place}; mkdir -p {place}/lists/partial {place}/cache/archives/partial"
    return ["sh", "-ec", f"{fresh}; apt-get {options} {state} update"]


CLIENT = Row("client", "a client of a repository of many servers", client)
