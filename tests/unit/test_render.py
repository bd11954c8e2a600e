# SPDX-License-Identifier: GPL-2.0-or-later
"""The quoting filters, each against a small reading of the grammar that it writes."""

from __future__ import annotations

import shlex

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fpmjail_deb import render
from fpmjail_deb.errors import BuildError

PRINTABLE = st.text(st.characters(exclude_categories=("C", "Z"), include_characters=" "), max_size=40)
FILTERS = (
    render.sh,
    render.apache,
    render.apache_path,
    render.apache_regex,
    render.apache_string,
    render.apache_format,
    render.ini,
    render.ini_expression,
    render.unit,
    render.unit_word,
    render.unit_command,
)


def unescaped(text: str) -> str:
    """Take Apache's or systemd's double quotes off a word."""
    if not text.startswith('"'):
        return text
    inner, result = iter(text[1:-1]), ""
    for character in inner:
        result += next(inner) if character == "\\" else character
    return result


def without_ini_quotes(text: str) -> str:
    """Read a value of PHP's ini files as zend_ini_scanner does: quoted pieces stand side by side."""
    result = ""
    while text[:1] in ("'", '"') and text:
        end = text.index(text[0], 1)
        result, text = result + text[1:end], text[end + 1 :]
    return result + text


@given(PRINTABLE)
def test_sh_reads_back_every_word(value: str) -> None:
    assert shlex.split(render.sh(value)) == [value]


@given(PRINTABLE)
def test_systemd_reads_back_every_word(value: str) -> None:
    assert unescaped(render.unit_word(value)).replace("%%", "%") == value


@given(PRINTABLE)
def test_systemd_reads_back_every_word_of_a_command(value: str) -> None:
    assert unescaped(render.unit_command(value).replace("$$", "$")).replace("%%", "%") == value


@given(PRINTABLE.filter(lambda value: "${" not in value))
def test_apache_reads_back_every_argument(value: str) -> None:
    assert unescaped(render.apache(value)) == value


@given(PRINTABLE.filter(lambda value: "$pool" not in value))
def test_php_reads_back_every_ini_value(value: str) -> None:
    written = render.ini(value)
    assert without_ini_quotes(written) == value


@given(PRINTABLE)
def test_the_last_character_of_a_unit_line_never_joins_the_next_one(value: str) -> None:
    assert not render.unit(value).endswith("\\")


@pytest.mark.parametrize("quoting", FILTERS)
@pytest.mark.parametrize("character", ["\n", "\r", "\0", "\x1b", "\u2028", "\x85"])
def test_no_grammar_takes_a_character_that_may_end_a_line(quoting: object, character: str) -> None:
    assert callable(quoting)
    with pytest.raises(BuildError, match="invisible character"):
        quoting(f"one{character}two")


@pytest.mark.parametrize("quoting", [render.apache, render.apache_path, render.apache_format])
def test_apache_takes_no_variable(quoting: object) -> None:
    assert callable(quoting)
    with pytest.raises(BuildError, match="Apache would put a variable"):
        quoting("x${APACHE_RUN_USER}")


def test_a_plain_word_stays_as_a_person_would_write_it() -> None:
    assert [quoting("www.example.org") for quoting in (render.sh, render.apache, render.ini, render.unit_word)] == [
        "www.example.org"
    ] * 4


def test_the_words_that_ini_files_replace_are_quoted() -> None:
    assert [render.ini(word) for word in ("On", "no", "null", "none", "")] == ["'On'", "'no'", "'null'", "'none'", '""']


def test_fpm_would_replace_the_name_of_its_pool() -> None:
    with pytest.raises(BuildError, match="pool"):
        render.ini("/var/log/$pool.log")


def test_an_error_level_is_computed_but_nothing_else_is() -> None:
    assert render.ini_expression("E_ALL & ~E_NOTICE") == "E_ALL & ~E_NOTICE"
    assert render.ini_expression("E_ALL; evil = 1") == "'E_ALL; evil = 1'"
    assert render.ini_expression("E_ALL|~") == "'E_ALL|~'"


def test_the_pattern_of_a_directory_means_itself() -> None:
    assert render.apache_path("/a*b[c]") == '"/a\\\\*b\\\\[c\\\\]"'


def test_a_path_in_a_regular_expression_means_itself() -> None:
    assert render.apache_regex("/var/www/a.b+c") == "/var/www/a\\\\.b\\\\+c"
    assert "${" not in render.apache_regex("/a${b}")


def test_a_string_in_an_expression_means_itself() -> None:
    assert render.apache_string("it's 100% $1 \\") == "'it\\'s 100\\% \\$1 \\\\'"


def test_a_header_is_not_computed() -> None:
    with pytest.raises(BuildError, match="compute"):
        render.apache_format("EXPR=%{REQUEST_URI}")
    assert render.apache_format("100% \\n") == '"100%% \\\\\\\\n"'


def test_a_template_cannot_forget_a_value() -> None:
    with pytest.raises(jinja2.UndefinedError):
        render.render("slice", {})
