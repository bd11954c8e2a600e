# SPDX-License-Identifier: GPL-2.0-or-later
"""Drop-ins: joined in order, and every line of the result can be traced back."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from fpmjail import dropin
from fpmjail.dropin import Part

LINES = st.lists(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1), min_size=1, max_size=6)


def test_drop_ins_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("20-b.conf", "10-a.conf", "README"):
        (tmp_path / name).write_text(name)
    assert [Path(part.source).name for part in dropin.read(tmp_path)] == ["10-a.conf", "20-b.conf"]


def test_a_missing_directory_holds_no_drop_ins(tmp_path: Path) -> None:
    assert dropin.read(tmp_path / "missing") == ()


@given(st.lists(LINES, min_size=1, max_size=4))
def test_every_line_of_the_joined_text_is_traced_to_its_file_and_line(contents: list[list[str]]) -> None:
    parts = [Part(f"/etc/{number}.conf", "\n".join(lines) + "\n") for number, lines in enumerate(contents)]
    joined = dropin.join(parts, ";").splitlines()
    for part, lines in zip(parts, contents, strict=True):
        start = joined.index(f"; {part.source}")
        for offset, line in enumerate(lines, 1):
            assert joined[start + offset] == line
            assert dropin.place(parts, start + offset + 1) == f"{part.source}:{offset}"


def test_a_changed_drop_in_has_another_fingerprint() -> None:
    before, after = (Part("/etc/a.conf", "x"),), (Part("/etc/a.conf", "y"),)
    assert dropin.fingerprint(before) != dropin.fingerprint(after)
    assert dropin.fingerprint(before) == dropin.fingerprint(before)
