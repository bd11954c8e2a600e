# SPDX-License-Identifier: GPL-2.0-or-later
"""What holds for the package of every site, however its keys are combined."""

from __future__ import annotations

from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from fpmjail_deb.contents import Directory, File, PackagePlan
from fpmjail_deb.description import read_site
from fpmjail_deb.release import RELEASES
from tests.sites import planned

HOSTS = st.lists(st.sampled_from(["a", "b", "www.a", "c-d"]).map("{}.example.org".format), min_size=1, unique=True)
DIRECTORIES = st.lists(st.sampled_from(["uploads", "cache/deep", "x.y", "files"]), unique=True)
DESCRIPTIONS = st.fixed_dictionaries(
    {"site": st.from_regex(r"[a-z][a-z0-9]{0,9}", fullmatch=True), "maintainer": st.just("A <a@example.org>"),
     "domains": HOSTS, "isolation": st.sampled_from(["dedicated", "shared"])},
    optional={
        "writable": DIRECTORIES,
        "web": st.fixed_dictionaries({}, optional={"server": st.sampled_from(["apache", "nginx"]),
            "document_root": st.sampled_from(["htdocs", "app/public"]), "access_log": st.booleans()}),
        "jail": st.fixed_dictionaries({}, optional={"mysql": st.sampled_from(["none", "socket"]),
            "proc": st.sampled_from(["none", "private", "host"]), "dns": st.sampled_from(["none", "hosts", "resolver"]),
            "shell": st.sampled_from(["none", "restricted"])}),
        "php": st.fixed_dictionaries({}, optional={"env": st.dictionaries(st.sampled_from(["A", "B"]),
            st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=9).map(str.strip))}),
    },
)  # fmt: skip


def package(description: dict[str, Any], release: str = "trixie") -> PackagePlan:
    return planned(read_site(yaml.safe_dump(description).encode(), "x.yaml"), release)


@settings(max_examples=15)
@given(DESCRIPTIONS, st.sampled_from(sorted(RELEASES)))
def test_a_package_holds_what_dpkg_takes_and_nothing_of_another_site(description: dict[str, Any], release: str) -> None:
    made = package(description, release)
    paths = [entry.path for entry in made.entries]
    assert len(set(paths)) == len(paths)
    directories = {entry.path for entry in made.entries if isinstance(entry, Directory)}
    for entry in made.entries:
        assert not entry.path.startswith("/") and ".." not in entry.path.split("/")
        parent = entry.path.rpartition("/")[0]
        assert not parent or parent in directories, entry.path
        if isinstance(entry, File):
            assert entry.mode in (0o644, 0o755) and description["site"] in entry.path
    assert not [path for path in paths if path.startswith(("var/", "run/", "srv/", "home/"))]


@settings(max_examples=8)
@given(DESCRIPTIONS)
def test_the_same_description_gives_the_same_package(description: dict[str, Any]) -> None:
    assert package(description) == package(dict(reversed(description.items())))
