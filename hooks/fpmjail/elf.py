# SPDX-License-Identifier: MIT
"""What an ELF file says about the libraries it needs, elf(5).

A refresh looks into hundreds of files, and a parser of all that ELF can hold took half of its time (seen).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from struct import Struct
from typing import BinaryIO

PT_LOAD, PT_DYNAMIC, PT_INTERP = 1, 2, 3
DT_NULL, DT_NEEDED, DT_STRTAB, DT_STRSZ, DT_RPATH, DT_RUNPATH = 0, 1, 5, 10, 15, 29


@dataclass(frozen=True, slots=True)
class Object:
    """What an ELF file says about itself. `machine` tells architectures apart: (class in bits, e_machine)."""

    machine: tuple[int, int]
    interpreter: str | None
    needed: tuple[str, ...]
    rpath: tuple[str, ...]
    runpath: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Format:
    """The layout of one class and byte order; `place` are the numbers of p_offset, p_vaddr, p_filesz in a segment."""

    bits: int
    header: Struct
    segment: Struct
    tag: Struct
    place: tuple[int, int, int]


def _formats() -> Iterator[tuple[bytes, _Format]]:
    for data, order in ((1, "<"), (2, ">")):
        header, segment = Struct(f"{order}16xHHIIIIIHHHHHH"), Struct(f"{order}8I")
        yield bytes((1, data)), _Format(32, header, segment, Struct(f"{order}iI"), (1, 2, 4))
        header, segment = Struct(f"{order}16xHHIQQQIHHHHHH"), Struct(f"{order}II6Q")
        yield bytes((2, data)), _Format(64, header, segment, Struct(f"{order}qQ"), (2, 3, 5))


_FORMATS = dict(_formats())


@dataclass(frozen=True, slots=True)
class _Segment:
    kind: int
    offset: int
    address: int
    size: int


def read(path: Path) -> Object | None:
    """The program headers and the dynamic section of a file; None if it is no ELF file. Raises OSError."""
    with path.open("rb") as file:
        try:
            return _object(file, os.fstat(file.fileno()).st_size)
        except (ValueError, LookupError, struct.error):
            return None


def _object(file: BinaryIO, size: int) -> Object:
    """Raises ValueError, LookupError, struct.error for what is no ELF file."""
    start = file.read(_FORMATS[b"\2\1"].header.size)
    if start[:4] != b"\x7fELF":
        raise ValueError("no ELF file")
    form = _FORMATS[start[4:6]]
    _, machine, _, _, table, _, _, _, width, count, *_ = form.header.unpack_from(start)
    if count and width != form.segment.size:
        raise ValueError("segments of another size")
    segments = [_segment(form, values) for values in form.segment.iter_unpack(_at(file, size, table, width * count))]
    inner = [_at(file, size, one.offset, one.size) for one in segments if one.kind == PT_INTERP]
    sections = [_at(file, size, one.offset, one.size) for one in segments if one.kind == PT_DYNAMIC]
    tags = [pair for section in sections for pair in _tags(form, section)]
    names = _names(file, size, segments, dict(tags)) if tags else b""
    return Object(
        machine=(form.bits, machine),
        interpreter=_text(inner[0], 0) if inner else None,
        needed=tuple(_text(names, value) for tag, value in tags if tag == DT_NEEDED),
        rpath=_paths(names, tags, DT_RPATH),
        runpath=_paths(names, tags, DT_RUNPATH),
    )


def _segment(form: _Format, values: tuple[int, ...]) -> _Segment:
    offset, address, size = (values[number] for number in form.place)
    return _Segment(values[0], offset, address, size)


def _at(file: BinaryIO, size: int, offset: int, length: int) -> bytes:
    if offset + length > size:
        raise ValueError("the file ends too early")
    file.seek(offset)
    return file.read(length)


def _tags(form: _Format, section: bytes) -> Iterator[tuple[int, int]]:
    """Yield the tags of a dynamic section up to its end."""
    for tag, value in form.tag.iter_unpack(section):
        if tag == DT_NULL:
            return
        yield tag, value


def _names(file: BinaryIO, size: int, segments: list[_Segment], tags: dict[int, int]) -> bytes:
    """Return the table of names, whose address in memory is told; empty when nothing refers to it."""
    if DT_STRTAB not in tags:
        return b""
    address = tags[DT_STRTAB]
    for one in segments:
        if one.kind == PT_LOAD and one.address <= address < one.address + one.size:
            return _at(file, size, one.offset + address - one.address, tags[DT_STRSZ])
    raise ValueError("the names are not in the file")


def _text(table: bytes, start: int) -> str:
    return table[start : table.index(b"\0", start)].decode()


def _paths(names: bytes, tags: list[tuple[int, int]], wanted: int) -> tuple[str, ...]:
    texts = (_text(names, value) for tag, value in tags if tag == wanted)
    return tuple(part for text in texts for part in text.split(":") if part)
