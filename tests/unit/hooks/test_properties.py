# SPDX-License-Identifier: GPL-2.0-or-later
"""What holds for every mount table and for every manifest."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from fpmjail import image, image_build, mounts
from fpmjail.layout import Layout
from fpmjail.manifest import Entry, Manifest, difference, digest_of
from fpmjail.mounts import Mount

NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/"), min_size=1, max_size=6)
ODD = st.sampled_from([" ", "\t", "\n", "\\", "#", "a b", "\\040", "-", "ü"])
PATHS = st.lists(NAMES.filter(lambda name: name not in (".", "..")) | ODD, max_size=4).map("/".join).map("/{}".format)


@st.composite
def tables(draw: st.DrawFn) -> list[Mount]:
    def mount(target: str) -> Mount:
        return Mount(
            device=f"{draw(st.integers(0, 300))}:{draw(st.integers(0, 300))}",
            root=draw(PATHS),
            target=target,
            options=tuple(draw(st.lists(st.sampled_from(["rw", "ro", "nosuid", "nodev"]), min_size=1, max_size=3))),
            shared=draw(st.booleans()),
            filesystem=draw(st.sampled_from(["ext4", "tmpfs", "overlay", "fuse.sshfs"])),
            source=draw(PATHS | st.just("none")),
        )

    return [mount(target) for target in draw(st.lists(PATHS, max_size=6))]


def written(text: str) -> str:
    """As the kernel writes it (seq_path: blanks, tabs, line ends, backslashes, and # in octal)."""
    return "".join(f"\\{ord(letter):03o}" if letter in " \t\n\\#" else letter for letter in text)


def line(number: int, mount: Mount) -> str:
    optional = " shared:7" if mount.shared else " master:2"
    return (
        f"{number} 1 {mount.device} {written(mount.root)} {written(mount.target)} "
        f"{','.join(mount.options)}{optional} - {mount.filesystem} {written(mount.source)} rw\n"
    )


@given(tables())
def test_a_mount_table_is_read_as_the_kernel_writes_it(table: list[Mount]) -> None:
    text = "".join(line(number, mount) for number, mount in enumerate(table))
    assert list(mounts.parse(text)) == table


@given(tables(), PATHS)
def test_nothing_that_is_mounted_below_a_path_is_overlooked(table: list[Mount], path: str) -> None:
    found = mounts.mounts_below(Path(path), tuple(table))
    inside = [mount for mount in table if Path(mount.target).is_relative_to(path)]
    assert sorted(found, key=repr) == sorted(inside, key=repr)
    assert list(found) == [mount for mount in reversed(table) if mount in inside]


@given(tables(), PATHS)
def test_a_path_lies_on_the_deepest_mount_above_it(table: list[Mount], path: str) -> None:
    found = mounts.of(Path(path), tuple(table))
    above = [mount for mount in table if Path(path).is_relative_to(mount.target)]
    assert (found is None) == (not above)
    assert all(len(Path(mount.target).parts) <= len(Path(found.target).parts) for mount in above if found)


ENTRIES = st.builds(
    Entry,
    path=st.sampled_from([f"usr/{letter}" for letter in "abcdefgh"]),
    type=st.sampled_from(["file", "link", "directory"]),
    mode=st.sampled_from(["0644", "0755"]),
    size=st.integers(0, 1 << 40),
    sha256=st.sampled_from(["", "1" * 64, "2" * 64]),
    target=st.sampled_from(["", "x", "../y"]),
    source=PATHS,
    package=st.none() | NAMES,
    version=st.none() | NAMES,
    capability=NAMES,
)
MANIFESTS = st.lists(ENTRIES, unique_by=lambda entry: entry.path).map(
    lambda entries: Manifest("p", digest_of(entries), "2026-01-01T00:00:00+00:00", tuple(entries))
)


@given(MANIFESTS, MANIFESTS)
def test_a_difference_leads_from_one_manifest_to_the_other_and_back(old: Manifest, new: Manifest) -> None:
    there, back = difference(old, new), difference(new, old)
    assert (there.added, there.removed, there.changed) == (back.removed, back.added, back.changed)
    before, after = ({entry.path for entry in one.entries} for one in (old, new))
    assert (before - set(there.removed)) | set(there.added) == after
    assert set(there.changed) <= before & after


@given(MANIFESTS, MANIFESTS)
def test_two_generations_have_one_name_if_and_only_if_jails_see_the_same(old: Manifest, new: Manifest) -> None:
    different = difference(old, new)
    same = not (different.added or different.removed or different.changed)
    assert (old.digest == new.digest) == same


@given(MANIFESTS, st.data())
def test_a_manifest_is_read_as_written_and_not_once_it_was_changed(manifest: Manifest, data: st.DataObject) -> None:
    with TemporaryDirectory() as directory:
        layout = Layout(Path(directory))
        place = layout.image("p")
        place.mkdir(parents=True)
        image_build.write_manifest(place, manifest)
        path = place / f"{manifest.digest}.json"
        assert image.read_manifest(layout, "p", manifest.digest) == manifest
        content = json.loads(path.read_bytes())
        if content["entries"]:
            content["entries"][data.draw(st.integers(0, len(content["entries"]) - 1))]["mode"] = "4755"
            path.write_text(json.dumps(content))
            assert image.read_manifest(layout, "p", manifest.digest) is None
