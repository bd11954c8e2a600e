# SPDX-License-Identifier: GPL-2.0-or-later
"""Reading YAML: values keep their text and place; what hides or repeats a meaning is refused where it stands."""

import pytest

from fpmjail_deb import document
from fpmjail_deb.document import Mapping, Scalar, Sequence
from fpmjail_deb.errors import DescriptionError
from fpmjail_deb.location import Location


def problems(data: bytes) -> list[str]:
    """Read a file that can be read, or not, and return what is said about it."""
    try:
        return [str(problem) for problem in document.read(data, "f.yaml").problems]
    except DescriptionError as error:
        return [str(problem) for problem in error.problems]


@pytest.mark.parametrize("text", ["8.10", "no", "22:30", "0100", "1_000", "0x1F", "1e3", "~", "2026-01-01", "true"])
def test_a_value_is_the_text_that_stands_there(text: str) -> None:
    [(key, value)] = document.read(f"a:  {text}\n".encode(), "f.yaml").root.entries
    assert (key.text, value) == ("a", Scalar(text, Location("f.yaml", 1, 5), plain=True))


def test_lists_and_groups_know_their_places() -> None:
    root = document.read(b"# comment\na:\n  - x\n  - {b: 'y'}\n", "f.yaml").root
    inner = Mapping(
        ((Scalar("b", Location("f.yaml", 4, 6), True), Scalar("y", Location("f.yaml", 4, 9), False)),),
        Location("f.yaml", 4, 5),
    )
    items = Sequence((Scalar("x", Location("f.yaml", 3, 5), True), inner), Location("f.yaml", 3, 3))
    assert root.entries == ((Scalar("a", Location("f.yaml", 2, 1), True), items),)


def test_lines_may_end_as_on_windows() -> None:
    root = document.read(b"a: 1\r\nb: 2\r\n", "f.yaml").root
    assert [(key.text, key.location.line) for key, _ in root.entries] == [("a", 1), ("b", 2)]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", ["f.yaml:1:1: the file is empty; `fpmjail-deb new NAME` writes one to start from"]),
        (b"# nothing\n", ["f.yaml:1:1: the file is empty; `fpmjail-deb new NAME` writes one to start from"]),
        (b"---\n", ["f.yaml:2:1: expected keys such as `site: example`, found nothing; write `key: value`"]),
        (b"- a\n", ["f.yaml:1:1: expected keys such as `site: example`, found a list; write `key: value`"]),
        (b"word\n", ['f.yaml:1:1: expected keys such as `site: example`, found "word"; write `key: value`']),
        (
            b"a: 1\n---\nb: 2\n",
            ["f.yaml:2:1: expected one site in a file, found a second document; move it to a file of its own"],
        ),
        (b"a: 1\nb: \xff\n", ["f.yaml:2:4: expected UTF-8, found the byte 0xff; save the file as UTF-8"]),
        (b"\xff\xfea\0", ["f.yaml:1:1: expected UTF-8, found UTF-16; save the file as UTF-8"]),
        (b"\xef\xbb\xbfa: 1\n", ["f.yaml:1:1: found a byte order mark; save the file as UTF-8 without BOM"]),
        (b"a: 1\n\tb: 2\nc:\t3\n", ["f.yaml:2:1: found a tab; use spaces", "f.yaml:3:3: found a tab; use spaces"]),
        (b"a: x\x07\n", ["f.yaml:1:5: found the character U+0007, which nobody can see; remove it"]),
        (b"a: x\rb", ["f.yaml:1:5: found the character U+000D, which nobody can see; remove it"]),
        (
            "a: 1\nb: \u202ex\n".encode(),
            ["f.yaml:2:4: found the character U+202E, which nobody can see; remove it"],
        ),
        ("a:\u00a0x\n".encode(), ["f.yaml:1:3: found the character U+00A0, which nobody can see; remove it"]),
    ],
)
def test_a_file_without_keys_to_read_says_why(data: bytes, said: list[str]) -> None:
    assert problems(data) == said


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"a: 1\nb: 2\na: 3\n", "f.yaml:3:1: a: found again, first in line 1; keep one"),
        (b"a: {b: 1, 'b': 2}\n", "f.yaml:1:11: a.b: found again, first in line 1; keep one"),
        (b"a: &x 1\n", 'f.yaml:1:4: a: found the anchor "&x"; remove it, or quote the value'),
        (b"a: [*x]\n", 'f.yaml:1:5: a[0]: found the alias "*x"; write the value itself, or quote it'),
        (b"a: !!str 1\n", 'f.yaml:1:4: a: found the tag "tag:yaml.org,2002:str"; remove it, or quote the value'),
        (b"a: ! 1\n", 'f.yaml:1:4: a: found the tag "!"; remove it, or quote the value'),
        (b"a: {<<: {b: 1}}\n", 'f.yaml:1:5: a: found the merge key "<<"; write the keys themselves'),
        (b"? [a]\n: 1\n", "f.yaml:1:3: expected a word as the key, found a list; write `key: value`"),
        (b"a: {~: 1}\n", "f.yaml:1:5: a: expected a word as the key, found nothing; write `key: value`"),
        (b"'': 1\n", "f.yaml:1:1: expected a word as the key, found nothing; write `key: value`"),
        (b'a: "x\\ny"\n', "f.yaml:1:4: a: expected one line, found a line break; write it on one line"),
        (b"a: |\n  x\n", "f.yaml:1:4: a: expected one line, found a line break; write it on one line"),
        (b'a: "x\\0"\n', "f.yaml:1:4: a: found the character U+0000, which nobody can see; remove it"),
        (b'a: "x\\ty"\n', "f.yaml:1:4: a: found a tab; use spaces"),
        (b'a: "\\ud800"\n', "f.yaml:1:4: a: found the character U+D800, which nobody can see; remove it"),
    ],
)
def test_what_hides_or_repeats_a_meaning_is_refused_where_it_stands(data: bytes, said: str) -> None:
    assert problems(data) == [said]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"a: b: c\n", 'f.yaml:1:5: .* put text that contains ": " in quotes, and look at the indentation'),
        (b"a: @x\n", "f.yaml:1:4: .*'@'.* put text that begins with this character in quotes"),
        (b"a: [*.example.org]\n", r'f.yaml:1:6: .* put a wildcard in quotes: "\*.example.org"'),
        (b"a: & b\n", 'f.yaml:1:5: .* put text that begins with "&" in quotes'),
        (b"a: 'x\nb: 1\n", "f.yaml:1:4: .* close the quote that begins here"),
        (b"a: [x\nb: 1\n", "f.yaml:1:4: .* close the bracket that begins here"),
        (b"a:\n  b: 1\n c: 2\n", "f.yaml:3:2: .* the keys of one group begin in the same column"),
        (b'a: "\\q"\n', "f.yaml:1:6: .* write text that contains a backslash in single quotes"),
        (b"key\nb: 1\nc\n", "f.yaml:2:2: .* look at the indentation"),
        (b"a: 1\nb\nc: 1\n", "f.yaml:2:1: .* every line of a group reads `key: value`"),
        (b"a: 1\nb\n", "f.yaml:2:1: .* every line of a group reads `key: value`"),
        (b'a: "\\UFFFFFFFF"\n', "f.yaml:1:7: .* found a number that is too large"),
        (b"%YAML 3.0\n---\na: 1\n", "f.yaml:1:1: expected YAML: .*version 1"),
    ],
)
def test_what_is_not_yaml_names_the_place_and_the_way_out(data: bytes, said: str) -> None:
    with pytest.raises(DescriptionError, match=said) as caught:
        document.read(data, "f.yaml")
    assert len(caught.value.problems) == 1


def test_problems_before_a_syntax_error_are_told_as_well() -> None:
    assert [said.split(": ")[0] for said in problems(b"a: 1\na: 2\nb: @x\n")] == ["f.yaml:2:1", "f.yaml:3:4"]


def test_a_deep_file_is_refused_before_it_is_read() -> None:
    assert problems(b"[" * 100_000) == ["f.yaml:1:10: expected at most 8 levels; check the indentation"]


def test_a_huge_file_is_refused_before_it_is_read() -> None:
    said = "f.yaml:1:1: expected at most 128 KiB; is this a site description?"
    assert problems(b"a" * (document.LARGEST + 1)) == [said]
