# SPDX-License-Identifier: GPL-2.0-or-later
"""Puts the files of the visits into sites, and asks a web server for all of them with one command."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.attacks.cases import ALL, NGINX, NONE, OPEN, PLAIN, SAFE, SHARED, STOPPED, Visit
from tests.attacks.ground import Ground, root, user

SITES = {PLAIN: "plain", NONE: "none", SAFE: "safe", SHARED: "pooled", ALL: "all", NGINX: "engine"}
BROWSER = Path(__file__).parent / "payloads/browser.py"
PLANTER = Path(__file__).parent / "payloads/planter.py"


def filled(text: str, site: str, case: str, ground: Ground) -> str:
    """A text of a visit for one site."""
    words = {
        "own": f"{root(site)}/visit-{case}",
        "at": f"/visit-{case}",
        "www": f"/run/php/php{ground.server.php}-fpm.sock",
        "victim": root("victim"),
    }
    return re.sub("@(own|at|www|victim)@", lambda match: words[match.group(1)], text)


def planted(visit: Visit, site: str, ground: Ground) -> dict[str, Any]:
    """What is to be made in a site; a path with a slash in front is below the document root."""

    def place(path: str) -> str:
        return root(site) + filled(path if path.startswith("/") else f"@at@/{path}", site, visit.name, ground)

    return {
        "files": {place(path): filled(text, site, visit.name, ground) for path, text in visit.files.items()},
        "links": {place(path): filled(target, site, visit.name, ground) for path, target in visit.links.items()},
    }


def plant(ground: Ground, visits: Iterable[Visit], place: str) -> None:
    """Make the files of some visits in a site, as its user."""
    site = SITES[place]
    things = [planted(visit, site, ground) for visit in visits]
    ground.server.run("python3", "-c", PLANTER.read_text(), user(site), input=json.dumps(things))


def asked(visits: Iterable[Visit], place: str, ground: Ground) -> list[dict[str, Any]]:
    """All requests to one site, for the browser."""
    site = SITES[place]
    return [
        {
            "case": visit.name,
            "path": filled(request.path, site, visit.name, ground),
            "host": request.host or f"{site}.example.org",
            "headers": [filled(header, site, visit.name, ground) for header in request.headers],
        }
        for visit in visits
        for request in visit.requests
    ]


def browse(ground: Ground, visits: Mapping[str, Visit], place: str) -> dict[str, str]:
    """All answers that a site's visits got, by case."""
    requests = json.dumps(asked(visits.values(), place, ground))
    return dict(json.loads(ground.server.run("python3", "-c", BROWSER.read_text(), input=requests).stdout))


def verdicts(answers: Mapping[str, str], visits: Mapping[str, Visit]) -> dict[str, str]:
    """OPEN or stopped, by name."""
    found = {name: re.search(visit.evidence, answers[name]) for name, visit in visits.items()}
    return {name: OPEN if match else STOPPED for name, match in found.items()}
