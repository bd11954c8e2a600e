# SPDX-License-Identifier: GPL-2.0-or-later
"""Lines that the restricted shell accepts mean to it what they mean to dash; all others start nothing."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from tests.shell import compiled, soak
from tests.shell.compiled import Workshop

REFUSED = 126

quotable = st.binary(max_size=12).map(lambda text: text.replace(b"\0", b""))
plain = st.text("abzAZ09_-+./:,%@^!{}]=é", min_size=1, max_size=8).map(str.encode)


def in_double_quotes(text: bytes) -> bytes:
    return b'"' + re.sub(rb'([\\$`"])', rb"\\\1", text) + b'"'


def behind_backslashes(text: bytes) -> bytes:
    """escapeshellcmd() does this; a new line is the one character that cannot stand there."""
    return re.sub(rb"(.)", rb"\\\1", text.replace(b"\n", b""), flags=re.DOTALL)


def as_php_escapes(text: bytes) -> bytes:
    """escapeshellarg()."""
    return b"'" + text.replace(b"'", b"'\\''") + b"'"


parts = st.one_of(plain, quotable.map(in_double_quotes), quotable.map(as_php_escapes), quotable.map(behind_backslashes))
words = st.lists(parts, min_size=1, max_size=4).map(b"".join).filter(lambda word: word != b"")
redirections = st.sampled_from(
    (b"2>&1", b">/dev/null", b"2>/dev/null", b"</dev/null", b"0</dev/null", b">>/dev/null", b"1>&2", b">& 2",
     b"> /dev/null", b"2>> '/dev/null'", b">\"/dev/null\"", b"0>&1", b"1</dev/null")
)  # fmt: skip
blanks = st.sampled_from((b" ", b"  ", b"\t", b" \\\n "))
commands = st.sampled_from((b"gs", b"'gs'", b"g\\s", b"exec gs", b"\\\ngs", b"\n gs"))
arguments = st.lists(st.tuples(blanks, st.one_of(words, redirections)), max_size=6)
accepted = st.tuples(commands, arguments).map(
    lambda line: line[0] + b"".join(blank + argument for blank, argument in line[1])
)
pieces = st.one_of(
    st.sampled_from(
        (b"gs", b"gs ", b" ", b"\t", b"\n", b"\\\n", b"'", b'"', b"\\", b"2>&1", b">", b"<", b"&", b">>", b"/dev/null",
         b"2", b"1", b"0", b"3", b"10", b"$", b"`", b"$(gs)", b"*", b"?", b"[a]", b"~", b"#", b";", b"|", b"(", b")",
         b"=", b"A=b", b"!", b"{", b"}", b"exec", b"-", b"--", b"if", b"undeclared", b"\x81", b"\x88",
         b"\xc3\xa9", b"\r")
    ),
    plain,
)  # fmt: skip
nonsense = st.lists(pieces, max_size=10).map(b"".join)
almost = st.tuples(accepted, st.integers(0, 60), pieces).map(
    lambda parts: parts[0][: parts[1]] + parts[2] + parts[0][parts[1] :]
)
anything = st.one_of(almost, nonsense, st.lists(pieces, max_size=6).map(lambda some: b"gs " + b"".join(some)))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return compiled.workshop(tmp_path_factory.mktemp("shell"))


@settings(max_examples=300)
@given(line=accepted, status=st.sampled_from((0, 1, 7, 126, 127, 255)))
@example(line=b"gs '' \"\" a''b 'a'\"b\"\\c", status=0)
@example(line=b">/dev/null 2>&1 gs 2 >/dev/null", status=3)
def test_what_is_accepted_means_what_it_means_to_dash(shop: Workshop, line: bytes, status: int) -> None:
    ours = shop.restricted(line, status)
    assert ours.record is not None, ours.words
    assert ours == shop.dash(line, status)
    assert ours.status == status


@settings(max_examples=700)
@given(line=anything)
@example(line=b"gs 2>&1>/dev/null")
@example(line=b"gs 2\\\n>/dev/null")
@example(line=b"gs \\\n#")
@example(line=b"gs ''~ a~b a#b")
@example(line=b'gs "\\\n" \\')
@example(line=b"gs 2'>'/dev/null \\2>/dev/null '2'>/dev/null")
def test_any_line_is_refused_or_means_what_it_means_to_dash(shop: Workshop, line: bytes) -> None:
    ours = shop.restricted(line, 5)
    event("refused" if ours.record is None else "accepted")
    if ours.record is None:
        assert ours.status == REFUSED and ours.words.startswith("sh: refused: ")
        assert ours.words.count("\n") == 1 and ours.words.isascii()
    else:
        assert ours == shop.dash(line, 5)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("gs -v | head", "one command only: no pipes, no lists, nothing in the background (character 7)"),
        ("gs; id", "one command only"),
        ("gs && id", "one command only"),
        ("gs &", "one command only"),
        ("gs &>/dev/null", "one command only"),
        ("gs >|/dev/null", "one command only"),
        ("gs\nid", "one command only: no second line (character 4)"),
        ("gs $HOME", "nothing is expanded or substituted here"),
        ('gs "$HOME"', "nothing is expanded or substituted here"),
        ("gs `id`", "nothing is expanded or substituted here"),
        ("gs $(id)", "nothing is expanded or substituted here"),
        ("gs *.pdf", "no patterns of file names here: quote it"),
        ("gs ~/a", "no home directories here: quote it"),
        ("gs #a", "no comments here"),
        ("(gs)", "no groups and no functions here"),
        ("{ gs }", "not one of the site's programs"),
        ("! gs", "not one of the site's programs"),
        ("A=b gs", "no variables here"),
        ("gs >out", "redirections lead to /dev/null only"),
        ("gs </etc/passwd", "redirections lead to /dev/null only"),
        ("gs > /dev/nullx", "redirections lead to /dev/null only"),
        ("gs 3>/dev/null", "only 0, 1 and 2 can be redirected"),
        ("gs 2>&3", "only 0, 1 and 2 can be copied"),
        ("gs 2>&-", "only 0, 1 and 2 can be copied"),
        ("gs 2>&", "a redirection leads nowhere"),
        ("gs <<x", "a redirection leads nowhere"),
        ("gs <>/dev/null", "a redirection leads nowhere"),
        ("gs 'a", "a single quote is never closed (character 4)"),
        ('gs "a', "a double quote is never closed"),
        ("gs \\", "a backslash stands at the end"),
        ("", "there is no command"),
        ("exec", "not one of the site's programs"),
        ("undeclared", "not one of the site's programs, see: sh --programs"),
        ("/bin/true", "not one of the site's programs"),
        ("./gs", "not one of the site's programs"),
        ("gs " + "a " * 5000, "too many words"),
        ("gs" + " 2>&1" * 17, "too many redirections"),
    ],
)
def test_what_is_refused_says_why_and_starts_nothing(shop: Workshop, line: str, words: str) -> None:
    shop.log.unlink(missing_ok=True)
    ours = shop.restricted(line.encode())
    assert (ours.status, ours.record) == (REFUSED, None)
    assert words in ours.words
    logged = shop.log.read_text()
    assert re.fullmatch(r"\[20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ\] sh: refused: [ -~]*\n", logged)
    assert logged.endswith(ours.words)


def test_the_clock_of_the_log_is_right(shop: Workshop) -> None:
    shop.log.unlink(missing_ok=True)
    before = int(subprocess.run(["date", "+%s"], capture_output=True, check=True).stdout)
    shop.restricted(b"")
    stamp = shop.log.read_text()[1:21]
    logged = int(subprocess.run(["date", "-d", stamp, "+%s"], capture_output=True, check=True).stdout)
    assert 0 <= logged - before <= 60


def test_a_line_cannot_write_what_it_likes_into_the_log(shop: Workshop) -> None:
    shop.log.unlink(missing_ok=True)
    shop.restricted(b"id\n[2026-01-01T00:00:00Z] sh: all is well\x1b[2J\xff " + b"x" * 5000)
    (line,) = shop.log.read_text().splitlines()
    assert "\x1b" not in line and len(line) < 600


def test_a_log_that_is_a_link_is_not_followed(shop: Workshop) -> None:
    shop.log.unlink(missing_ok=True)
    shop.log.symlink_to(shop.place / "elsewhere")
    assert shop.restricted(b"id").status == REFUSED
    assert not (shop.place / "elsewhere").exists()
    shop.log.unlink()


def test_trixies_php_puts_two_dashes_before_the_line(shop: Workshop) -> None:
    ours = shop.run([shop.shell, "-c", "--", "gs -v"])
    assert ours.record is not None and ours == shop.run(["/bin/dash", "-c", "--", "gs -v"])


@pytest.mark.parametrize(
    "arguments", [[], ["-c"], ["-c", "--"], ["-i"], ["-s"], ["gs"], ["-c", "gs", "gs"], ["-ec", "gs"]]
)
def test_no_other_way_of_starting_it_is_known(shop: Workshop, arguments: list[str]) -> None:
    ours = shop.run([shop.shell, *arguments])
    assert (ours.status, ours.record) == (REFUSED, None)


def test_a_program_is_found_by_its_path_and_by_its_name_whatever_path_says(shop: Workshop) -> None:
    for line in (f"{shop.bin}/gs -v", "gs -v"):
        assert shop.restricted(line.encode(), PATH="/nonexistent").record is not None


def test_a_declared_program_that_is_not_there_or_cannot_run_has_the_status_of_dash(shop: Workshop) -> None:
    assert shop.restricted(b"missing").status == shop.dash(b"missing").status == 127
    assert shop.restricted(b"no-program").status == REFUSED  # dash would read it as a script
    assert "no-program cannot be run" in shop.restricted(b"no-program").words


@pytest.mark.parametrize("arguments", ["", "-t", "-fa@b -t c@d", "-f a", "--version a-b ''", "'-f-X'", "-t -t"])
def test_a_program_gets_the_options_that_were_declared_for_it(shop: Workshop, arguments: str) -> None:
    line = f"limited {arguments}".encode()
    ours = shop.restricted(line)
    assert ours.record is not None and ours == shop.dash(line)


@pytest.mark.parametrize("arguments", ["-X/log", "-tX/log", "-t -C a", "--versions", "--", "'-X' a", "-", "a -X"])
def test_a_program_gets_no_other_option(shop: Workshop, arguments: str) -> None:
    ours = shop.restricted(f"limited {arguments}".encode())
    assert (ours.status, ours.record) == (REFUSED, None)
    assert "the program has no such option here" in ours.words


def test_true_starts_nothing_and_is_true(shop: Workshop) -> None:
    assert shop.restricted(b"'true' 2>&1") == shop.dash(b"'true' 2>&1")
    assert shop.restricted(b"true").status == 0


def test_the_programs_can_be_listed(shop: Workshop) -> None:
    shop.run([shop.shell, "--programs"])
    listed = (shop.place / "stdout").read_text().split()
    assert listed == [str(shop.bin / name) for name in ("gs", "no-program", "missing", "limited")]


def test_variables_that_load_foreign_code_do_not_reach_a_program(shop: Workshop) -> None:
    # An empty LD_PRELOAD: the sanitizers of the shell under test want to be loaded first themselves.
    record = shop.restricted(b"gs", 0, LD_PRELOAD="", GCONV_PATH="/tmp", OPENSSL_CONF="/a.cnf", LANG="C", LD="x").record
    seen = set(re.findall(r"^variable (\w+)=", (record or b"").decode(), re.MULTILINE))
    assert {"LANG", "LD", "PATH"} <= seen
    assert not seen & {"LD_PRELOAD", "GCONV_PATH", "OPENSSL_CONF"}


def test_a_list_that_others_can_write_is_not_believed(shop: Workshop) -> None:
    shop.programs.chmod(0o666)
    ours = shop.restricted(b"gs")
    shop.programs.chmod(0o644)
    assert (ours.status, ours.record) == (REFUSED, None)
    assert "not root's own" in ours.words


def test_without_a_list_nothing_runs(shop: Workshop) -> None:
    shop.programs.rename(shop.programs.with_suffix(".away"))
    ours = shop.restricted(b"gs")
    shop.programs.with_suffix(".away").rename(shop.programs)
    assert (ours.status, ours.record) == (REFUSED, None)


def test_the_longest_line_of_the_kernel_is_read(shop: Workshop) -> None:
    line = b"gs " + b"x" * (128 * 1024 - 4)
    ours = shop.restricted(line)
    assert ours.record is not None and ours == shop.dash(line)


def test_the_fuzzer_finds_nothing(tmp_path: Path) -> None:
    assert soak.fuzz(tmp_path, "-runs=100000", "-seed=1") == ""


def test_the_compilers_own_analysis_finds_nothing(tmp_path: Path) -> None:
    for source in sorted(compiled.SHELL.glob("*.c")):
        assert compiled.complaint("gcc", tmp_path / "object", "-O2", "-fanalyzer", "-c", source) == ""
        assert compiled.complaint("clang", tmp_path / "object", "-O2", "-Wconversion", "-Wshadow", "-c", source) == ""
