# SPDX-License-Identifier: GPL-2.0-or-later
"""ELF files are read as pyelftools reads them, and nothing that is none breaks the reader."""

from __future__ import annotations

import struct
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from hypothesis import given
from hypothesis import strategies as st

from fpmjail import elf

PLACES = (Path("/usr/bin"), Path("/usr/sbin"), *Path("/usr/lib").glob("*-linux-gnu"))
MANY = 300
PROGRAM = Path(sys.executable).resolve()


def objects() -> list[Path]:
    """ELF files of this machine, from all over its directories."""
    found = [path for place in PLACES for path in sorted(place.glob("*")) if path.is_file() and not path.is_symlink()]
    binaries = [path for path in found if path.open("rb").read(4) == b"\x7fELF"]
    return binaries[:: max(1, len(binaries) // MANY)]


def by_pyelftools(path: Path) -> elf.Object | None:
    """The same by a parser of all that ELF can hold."""
    with path.open("rb") as file:
        try:
            parsed = ELFFile(file)
            segments: dict[str, Any] = {one.header.p_type: one for one in parsed.iter_segments()}
        except ELFError:
            return None
        tags = list(segments["PT_DYNAMIC"].iter_tags()) if "PT_DYNAMIC" in segments else []
        inner = segments.get("PT_INTERP")
        return elf.Object(
            machine=(parsed.elfclass, struct.unpack_from("<H", file_start(path), 18)[0]),
            interpreter=inner.get_interp_name() if inner else None,
            needed=tuple(tag.needed for tag in tags if tag.entry.d_tag == "DT_NEEDED"),
            rpath=parts(tags, "rpath"),
            runpath=parts(tags, "runpath"),
        )


def file_start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(64)


def parts(tags: list[Any], name: str) -> tuple[str, ...]:
    values = [getattr(tag, name) for tag in tags if tag.entry.d_tag == f"DT_{name.upper()}"]
    return tuple(part for value in values for part in value.split(":") if part)


def test_what_is_read_is_what_pyelftools_reads() -> None:
    seen = objects()
    assert len(seen) > 50
    assert {str(path): elf.read(path) for path in seen} == {str(path): by_pyelftools(path) for path in seen}


@pytest.mark.parametrize("content", [b"", b"#!/bin/sh\n", b"\x7fELF", b"\x7fELF\2\1\1" + b"\0" * 100, b"\x7fELF\3\1"])
def test_what_is_no_elf_file_needs_nothing(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    found = elf.read(file)
    assert found is None or not found.needed


@given(st.lists(st.tuples(st.integers(0, 1023), st.integers(0, 255)), max_size=8), st.integers(0, 8192))
def test_a_damaged_file_never_breaks_the_reader(changes: list[tuple[int, int]], length: int) -> None:
    content = bytearray(PROGRAM.read_bytes()[:length])
    for place, value in changes:
        content[place : place + 1] = bytes((value,))
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        found = elf.read(Path(file.name))
    assert found is None or not any("\0" in name for name in found.needed)
