# SPDX-License-Identifier: GPL-2.0-or-later
"""A visitor of a site: keeps cookies, follows redirects, fills in forms. Its requests come from the container."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin

from tests.lifecycle.server import Server

END = "\n-- end --\n"
_jars = itertools.count()
FACTS = END + "%{http_code}\n%{url_effective}\n%{content_type}"


@dataclass(frozen=True, slots=True)
class Answer:
    """The last page of a request: its status, where it is after all redirects, its type and text."""

    status: int
    url: str
    kind: str
    text: str

    def json(self) -> Any:
        """The text as JSON."""
        assert "json" in self.kind, self
        return json.loads(self.text)


@dataclass(frozen=True, slots=True)
class Form:
    """A form of a page: where it goes, and what it sends when nobody fills anything in."""

    action: str
    fields: Mapping[str, str]


class Browser:
    """One visitor's browser, with a cookie jar of its own."""

    def __init__(self, server: Server, host: str) -> None:
        self._server, self._base = server, f"http://{host}"
        self._jar = f"/root/cookies-{next(_jars)}"
        self._options = ["--resolve", f"{host}:80:127.0.0.1", "--cookie", self._jar, "--cookie-jar", self._jar]

    def get(self, path: str, *options: str, input: str = "") -> Answer:
        """Ask for a path of the site, or a whole address, and go where it leads."""
        url = path if path.startswith("http") else self._base + path
        asked = ["curl", "-s", "-S", "-L", "-m", "120", *self._options, "-w", FACTS, *options, url]
        text, _, facts = self._server.container.run(*asked, input=input).stdout.rpartition(END)
        status, address, kind = facts.split("\n")
        return Answer(int(status), address, kind, text)

    def post(self, path: str, fields: Mapping[str, str], *options: str) -> Answer:
        """Send a form."""
        data = [word for name, value in fields.items() for word in ("--data-urlencode", f"{name}={value}")]
        return self.get(path, *data, *options)

    def submit(self, page: Answer, number: int = 0, **values: str) -> Answer:
        """Fill in a form of a page and send it as a browser does."""
        form = forms(page.text)[number]
        return self.post(absolute(page.url, form.action), {**form.fields, **values})

    def send_json(self, path: str, value: object, *options: str) -> Answer:
        """POST a value as JSON."""
        head = ["-H", "Content-Type: application/json", *options, "--data-binary", "@-"]
        return self.get(path, *head, input=json.dumps(value))


class _Forms(HTMLParser):
    """Collects the forms of a page with what their fields hold."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Form] = []
        self._fields: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._fields = {}
            self.found.append(Form(given.get("action", ""), self._fields))
        elif tag in ("input", "button") and given.get("name") and self._sent(given):
            self._fields.setdefault(given["name"], given.get("value", ""))
        elif tag == "textarea" and given.get("name"):
            self._fields.setdefault(given["name"], "")

    @staticmethod
    def _sent(given: Mapping[str, str]) -> bool:
        kind = given.get("type", "text")
        return kind not in ("submit", "button", "file") and (kind not in ("checkbox", "radio") or "checked" in given)


def forms(text: str) -> list[Form]:
    """The forms of a page in their order."""
    parser = _Forms()
    parser.feed(text)
    return parser.found


def absolute(url: str, action: str) -> str:
    """Where a form's action leads from the page at `url`."""
    return urljoin(url, action or url)


def words(text: str) -> str:
    """What a visitor reads: the page without tags, runs of white space as one blank."""
    bare = re.sub(r"<(script|style)\b.*?</\1>|<[^>]*>", " ", text, flags=re.DOTALL)
    return re.sub(r"\s+", " ", bare).strip()
