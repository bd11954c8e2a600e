# SPDX-License-Identifier: GPL-2.0-or-later
"""The text of an nginx configuration file -> nested statements, as nginx reads them (ngx_conf_read_token).

Nothing that another file holds is looked up: include is a statement like any other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from fpmjail_deb.errors import quote
from fpmjail_deb.importing.source import DEEPEST, Node, refuse
from fpmjail_deb.location import Location

_TOKEN = re.compile(
    r"""(?P<blank>\s+|\#[^\n]*)|(?P<sign>[{};])"""
    r"""|"(?P<double>(?:[^"\\]|\\.)*)"|'(?P<single>(?:[^'\\]|\\.)*)'"""
    r"""|(?P<bare>(?:\$\{|\\.|[^\s{};"'\\])(?:\$\{|\\.|[^\s{;\\])*)|(?P<stray>["'\\])""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\([\"'\\trn])")
_MEANT = {"t": "\t", "r": "\r", "n": "\n"}


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    source: str
    sign: bool
    location: Location


@dataclass(slots=True)
class _Block:
    """A block whose end has not come yet, and the words of the statement that is being read in it."""

    head: tuple[_Token, ...]
    children: list[Node] = field(default_factory=list)
    words: list[_Token] = field(default_factory=list)


def read_nginx_file(text: str, file: str) -> tuple[Node, ...]:
    """Return the statements of a file. Raises DescriptionError for the first thing that is no nginx configuration."""
    stack = [_Block(())]
    for token in _tokens(text, file):
        if not token.sign:
            stack[-1].words.append(token)
        elif token.text == ";":
            _end_statement(stack[-1], token)
        elif token.text == "{":
            _open(stack, token)
        else:
            _close(stack, token)
    _check_ended(stack)
    return tuple(stack[0].children)


def _tokens(text: str, file: str) -> Iterator[_Token]:
    line, begin = 1, 0
    while begin < len(text):
        found = _TOKEN.match(text, begin)
        location = Location(file, line, begin - text.rfind("\n", 0, begin))
        if found is None or found["stray"]:
            refuse(location, f"the quote in {quote(text[begin : begin + 40])} is never closed", "try nginx -t")
        if not found["blank"]:
            quoted = next((found[kind] for kind in ("double", "single") if found[kind] is not None), None)
            word = _ESCAPE.sub(lambda one: _MEANT.get(one[1], one[1]), quoted if quoted is not None else found[0])
            yield _Token(word, found[0], bool(found["sign"]), location)
        line += found[0].count("\n")
        begin = found.end()


def _end_statement(block: _Block, token: _Token) -> None:
    if not block.words:
        refuse(token.location, 'expected a directive before ";"', "try nginx -t")
    block.children.append(_node(tuple(block.words), None))
    block.words = []


def _open(stack: list[_Block], token: _Token) -> None:
    if not stack[-1].words:
        refuse(token.location, 'expected the name of a block before "{"', "try nginx -t")
    if len(stack) > DEEPEST:
        refuse(token.location, f"expected at most {DEEPEST} blocks within each other", "try nginx -t")
    head = tuple(stack[-1].words)
    stack[-1].words = []
    stack.append(_Block(head))


def _close(stack: list[_Block], token: _Token) -> None:
    block = stack[-1]
    if block.words:
        refuse(block.words[0].location, f'expected a ";" behind {quote(block.words[-1].text)}', "try nginx -t")
    if len(stack) == 1:
        refuse(token.location, 'this "}" closes nothing', "try nginx -t")
    stack.pop()
    stack[-1].children.append(_node(block.head, tuple(block.children)))


def _check_ended(stack: list[_Block]) -> None:
    if len(stack) > 1:
        head = stack[-1].head[0]
        refuse(head.location, f"the block {quote(head.text)} is never closed", 'add a "}"')
    if stack[0].words:
        word = stack[0].words[0]
        refuse(word.location, f'expected a ";" behind {quote(stack[0].words[-1].text)}', "try nginx -t")


def _node(words: tuple[_Token, ...], children: tuple[Node, ...] | None) -> Node:
    source = " ".join(word.source for word in words) + ("" if children is not None else ";")
    return Node(words[0].text.lower(), tuple(word.text for word in words[1:]), words[0].location, source, children)
