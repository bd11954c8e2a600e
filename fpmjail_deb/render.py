# SPDX-License-Identifier: GPL-2.0-or-later
"""Templates in, text out. The filters quote, so that any printable string is only ever itself.

Each filter is for one place of one grammar; its docstring names the parser that was read or tried. A string that a
grammar cannot hold at all raises BuildError; none holds a line break or another control character.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from fpmjail_deb.errors import BuildError, quote
from fpmjail_deb.resources import templates_directory

_SH_WORD = re.compile(r"[A-Za-z0-9_./:@%+=,-]+")
_APACHE_WORD = re.compile(r"[A-Za-z0-9_./:@*+=,-]+")
_NGINX_WORD = re.compile(r"[A-Za-z0-9_./:@*+=,-]+")
_INI_WORD = re.compile(r"[A-Za-z0-9_./:-]+")
_INI_KEYWORDS = frozenset({"true", "on", "yes", "false", "off", "no", "none", "null"})
_UNIT_WORD = re.compile(r"[A-Za-z0-9_./:@+=,-]+")
_EXPRESSION = re.compile(r"~?[A-Z0-9_]+( ?[&|^] ?~?[A-Z0-9_]+)*")


def sh(text: str) -> str:
    """Return one word of a POSIX shell command."""
    _refuse_control(text)
    return text if _SH_WORD.fullmatch(text) else "'" + text.replace("'", "'\\''") + "'"


def apache(text: str) -> str:
    """Return one argument of an Apache directive (ap_getword_conf: a backslash hides itself and the quote).

    `${NAME}` is replaced before the line is taken apart, so nothing can hide it (ap_resolve_env).
    """
    _refuse_control(text)
    if "${" in text:
        raise BuildError(f'Apache would put a variable in place of the "${{" in {quote(text)}', "write it without")
    return text if _APACHE_WORD.fullmatch(text) else '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'


def apache_path(text: str) -> str:
    """Return the path of a <Directory>: it is a pattern in which a backslash hides `*`, `?`, `[` (apr_fnmatch)."""
    return _quoted(apache(re.sub(r"([*?\[\]\\])", r"\\\1", text)))


def apache_regex(text: str) -> str:
    """Return text that stands in a quoted regular expression of Apache's and means itself."""
    escaped = re.sub(r"([.^$*+?()\[\]{}|\\])", r"\\\1", text)
    return _quoted(apache(escaped))[1:-1]


def apache_string(text: str) -> str:
    """Return a string of Apache's expressions: `%{` and `$1` would be replaced in it (util_expr_scan.l)."""
    _refuse_control(text)
    return "'" + re.sub(r"([\\'%$])", r"\\\1", text) + "'"


def apache_value(text: str) -> str:
    """Return a value that Apache takes for a string of its expressions without quotes (ap_expr, STRING_RESULT)."""
    return _quoted(apache(re.sub(r"([\\%$])", r"\\\1", text)))


def apache_format(text: str) -> str:
    """Return the value of a Header directive: `%t` and `\\n` mean something there (mod_headers, parse_misc_string)."""
    if text.lower().startswith("expr="):
        raise BuildError(f"Apache would compute the header value {quote(text)}", 'do not begin it with "expr="')
    return _quoted(apache(text.replace("\\", "\\\\").replace("%", "%%")))


def nginx(text: str) -> str:
    """Return one argument of an nginx directive (ngx_conf_read_token: a backslash hides itself and the quote).

    `$` begins a variable in most arguments, and nothing hides it there.
    """
    if "$" in text:
        raise BuildError(f'nginx would put a variable in place of the "$" in {quote(text)}', "write it without")
    _refuse_control(text)
    return text if _NGINX_WORD.fullmatch(text) else f'"{_nginx_escaped(text)}"'


def nginx_path(text: str) -> str:
    """Return a path's part of a quoted regular expression, however many slashes a visitor writes."""
    _refuse_control(text)
    parts = (re.sub(r"([.^$*+?()\[\]{}|\\#])", r"\\\1", part) for part in text.split("/"))
    return _nginx_escaped("/+".join(parts))


def ini(text: str) -> str:
    """Return a value of FPM's configuration (zend_ini_scanner.l): single quotes hide all but themselves.

    FPM puts the pool's name in place of `$pool`, wherever it stands (fpm_conf_expand_pool_name).
    """
    _refuse_control(text)
    if "$pool" in text:
        raise BuildError(f'FPM would put the pool\'s name in place of the "$pool" in {quote(text)}', "write it without")
    if _INI_WORD.fullmatch(text) and text.lower() not in _INI_KEYWORDS:
        return text
    return "".join(_ini_piece(piece) for piece in re.split("('+)", text) if piece) or '""'


def ini_expression(text: str) -> str:
    """Return `E_ALL & ~E_NOTICE` as it is, so that FPM computes it; anything else is quoted."""
    return text if _EXPRESSION.fullmatch(text) else ini(text)


def unit(text: str) -> str:
    """Return the whole value of a setting that systemd takes as one text: only `%` means something."""
    _refuse_control(text)
    # An odd number of backslashes at the end would join the next line; a blank behind them is cut off again.
    blank = " " if text.endswith("\\") else ""
    return text.replace("%", "%%") + blank


def unit_word(text: str) -> str:
    """Return one word of a setting that systemd splits at blanks: quotes, backslashes and `%` mean something."""
    _refuse_control(text)
    text = text.replace("%", "%%")
    return text if _UNIT_WORD.fullmatch(text) else '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'


def unit_command(text: str) -> str:
    """Return one word of an ExecStart=: beside what `unit_word` hides, `$` would begin a variable."""
    return unit_word(text).replace("$", "$$")


def render(template: str, values: Mapping[str, object]) -> str:
    """Return a template's text. Raises BuildError for a value that the file's grammar cannot hold."""
    return _environment().get_template(template).render(values)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(templates_directory(), encoding="utf-8"),
        undefined=StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    filters: tuple[Callable[[str], str], ...] = (
        sh, apache, apache_path, apache_regex, apache_string, apache_value, apache_format, nginx, nginx_path,
        ini, ini_expression, unit, unit_word, unit_command,
    )  # fmt: skip
    environment.filters.update({function.__name__: function for function in filters})
    return environment


def _refuse_control(text: str) -> None:
    if not text.isprintable():
        raise BuildError(f"{quote(text)} has an invisible character in it", "write it without")


def _quoted(argument: str) -> str:
    return argument if argument.startswith('"') else f'"{argument}"'


def _nginx_escaped(text: str) -> str:
    return re.sub(r'(["\\])', r"\\\1", text)


def _ini_piece(piece: str) -> str:
    return f'"{piece}"' if piece.startswith("'") else f"'{piece}'"
