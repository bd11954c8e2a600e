# SPDX-License-Identifier: GPL-2.0-or-later
"""Libraries are found as ld.so finds them."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import elf
import pytest

from fpmjail.closure import Closure, Libraries, read_object
from fpmjail.host import Host, multiarch

ARCH = multiarch()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / f"usr/lib/{ARCH}").mkdir(parents=True)
    (tmp_path / "lib").symlink_to("usr/lib")
    return tmp_path


def closure(root: Path, *paths: str) -> Libraries:
    return Closure(Host(root)).of(paths)


def test_a_closure_is_complete_and_each_object_is_in_it_once(root: Path) -> None:
    elf.write(root / "usr/bin/program", ("liba.so.1", "libb.so.1"), interpreter=f"/lib/{ARCH}/ld.so")
    elf.write(root / f"usr/lib/{ARCH}/ld.so")
    elf.write(root / f"usr/lib/{ARCH}/liba.so.1.2", ("libb.so.1",))
    (root / f"usr/lib/{ARCH}/liba.so.1").symlink_to("liba.so.1.2")
    elf.write(root / f"usr/lib/{ARCH}/libb.so.1", ("liba.so.1", "ld.so"))
    found = closure(root, "/usr/bin/program")
    libraries = [f"/usr/lib/{ARCH}/{name}" for name in ("liba.so.1", "libb.so.1", "ld.so")]
    assert found.paths == ("/usr/bin/program", f"/lib/{ARCH}/ld.so", *libraries)
    assert (found.missing, found.outside) == ((), ())


def test_a_missing_library_is_named_with_who_needs_it(root: Path) -> None:
    elf.write(root / "usr/lib/php/x.so", ("libgone.so.1",))
    assert closure(root, "/usr/lib/php/x.so").missing == (("libgone.so.1", "/usr/lib/php/x.so"),)


def test_a_library_that_another_object_brings_along_is_not_missing(root: Path) -> None:
    elf.write(root / "usr/bin/program", ("libprivate.so.1",), runpath="$ORIGIN/../lib/private")
    elf.write(root / "usr/lib/private/libprivate.so.1")
    elf.write(root / "usr/lib/php/x.so", ("libprivate.so.1",))
    assert closure(root, "/usr/bin/program", "/usr/lib/php/x.so").missing == ()


@pytest.mark.parametrize("origin", ["$ORIGIN", "${ORIGIN}", "$ORIGIN/../gconv/."])
def test_a_runpath_begins_where_the_object_lies(root: Path, origin: str) -> None:
    elf.write(root / "usr/lib/gconv/EUC-JP.so", ("libJIS.so",), runpath=f"/nothing:{origin}")
    elf.write(root / "usr/lib/gconv/libJIS.so")
    assert closure(root, "/lib/gconv/EUC-JP.so").paths == ("/lib/gconv/EUC-JP.so", "/usr/lib/gconv/libJIS.so")


def test_a_runpath_is_for_the_objects_own_needs_and_an_rpath_for_all_below(root: Path) -> None:
    elf.write(root / "usr/bin/rpath", ("liba.so",), rpath="/usr/lib/private")
    elf.write(root / "usr/bin/runpath", ("liba.so",), runpath="/usr/lib/private")
    elf.write(root / "usr/lib/private/liba.so", ("libb.so",))
    elf.write(root / "usr/lib/private/libb.so")
    assert closure(root, "/usr/bin/rpath").missing == ()
    assert closure(root, "/usr/bin/runpath").missing == (("libb.so", "/usr/lib/private/liba.so"),)


def test_what_only_the_cache_finds_is_outside(root: Path) -> None:
    (root / "etc/ld.so.conf.d").mkdir(parents=True)
    (root / "etc/ld.so.conf").write_text("include ld.so.conf.d/*.conf\n")
    (root / "etc/ld.so.conf.d/x.conf").write_text(f"# local\n/usr/local/lib\n/lib/{ARCH}\n")
    elf.write(root / "usr/bin/program", ("liba.so", "libb.so"))
    elf.write(root / "usr/local/lib/liba.so")
    elf.write(root / f"usr/lib/{ARCH}/liba.so")
    elf.write(root / f"usr/lib/{ARCH}/libb.so")
    found = closure(root, "/usr/bin/program")
    assert found.outside == ((f"/usr/lib/{ARCH}/liba.so", "/usr/local/lib/liba.so"),)
    assert found.paths[1:] == ("/usr/local/lib/liba.so", f"/usr/lib/{ARCH}/libb.so")


def test_a_library_of_another_architecture_is_passed_over(root: Path) -> None:
    (root / "etc").mkdir()
    (root / "etc/ld.so.conf").write_text("/usr/lib/foreign\n")
    elf.write(root / "usr/bin/program", ("liba.so",))
    elf.write(root / "usr/lib/foreign/liba.so", machine=183)
    (root / f"usr/lib/{ARCH}/liba.so").write_text("INPUT ( a linker script )")
    elf.write(root / "usr/lib/liba.so")
    assert closure(root, "/usr/bin/program").paths == ("/usr/bin/program", "/usr/lib/liba.so")


def test_looks_in_vain_are_remembered(root: Path) -> None:
    elf.write(root / "usr/bin/program", ("liba.so",))
    elf.write(root / "usr/lib/liba.so")
    (root / "etc").mkdir()
    host = Host(root)
    Closure(host).of(["/usr/bin/program"])
    assert host.inputs[f"/usr/lib/{ARCH}/liba.so"] is None
    assert host.inputs["/etc/ld.so.conf"] is None


@pytest.mark.parametrize(
    "content", [b"", b"#!/bin/sh\n", b"\x7fELF", b"\x7fELF\x02\x01\x01" + bytes(200), b"\x7fELF" + b"\xff" * 300]
)
def test_what_is_not_elf_needs_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "usr/lib").mkdir(parents=True)
    (tmp_path / "usr/lib/x.so").write_bytes(content)
    found = closure(tmp_path, "/usr/lib/x.so")
    assert (found.paths, found.missing) == (("/usr/lib/x.so",), ())


def test_an_object_that_was_replaced_is_read_again(tmp_path: Path) -> None:
    path = elf.write(tmp_path / "x.so", ("old.so",))
    first = read_object(path)
    elf.write(tmp_path / "new", ("brand-new.so",)).rename(path)
    second = read_object(path)
    assert first is not None and second is not None
    assert (first.needed, second.needed) == (("old.so",), ("brand-new.so",))


def test_the_closure_of_a_real_program_is_what_ldd_says() -> None:
    program = os.path.realpath("/bin/tar")
    listing = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    said = {os.path.realpath(path) for path in re.findall(r"(?:=> |^\s)(/\S+)", listing, re.MULTILINE)}
    found = closure(Path("/"), program)
    assert {os.path.realpath(path) for path in found.paths} == said | {program}
    assert found.missing == ()
