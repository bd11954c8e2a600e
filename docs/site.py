# SPDX-License-Identifier: GPL-2.0-or-later
"""What MkDocs is told beside the pages of this directory: their order, and the pages of the reference.

Those are made of the man pages, the table of keys and the examples.
"""

from __future__ import annotations

import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

HOUSE = Path(__file__).resolve().parents[1]

CHAPTERS: dict[str, tuple[str, ...]] = {
    "Tutorial": ("tutorial",),
    "How to": (
        "existing-server", "mod-php", "wordpress", "dokuwiki", "source-package", "publishing", "troubleshooting",
        "from-the-article",
    ),
    "Explanation": ("design", "holds", "threat-model", "attacks", "bench"),
}  # fmt: skip
"""The pages of each chapter in their order; one that is not there is left out, one that is not named comes last."""

MANUALS = ("fpmjail-deb.1", "dh_fpmjail.1", "fpmjail-site.5", "fpmjail.7", "fpmjail.8")
_OUTSIDE = re.compile(r"\[([^\]]+)\]\(\.\./([^)#]+)[^)]*\)")


def on_config(config: Any) -> Any:
    """Order the pages."""
    there = {path.stem for path in Path(config["docs_dir"]).glob("*.md")} - {"index"}
    nav: list[Any] = ["index.md"]
    named = {page for pages in CHAPTERS.values() for page in pages}
    for title, pages in CHAPTERS.items():
        found = [page for page in pages if page in there]
        found += sorted(there - named) if title == "Explanation" else []
        nav.append({title: [f"{page}.md" for page in found]})
    reference = [f"reference/{name}.md" for name in MANUALS if manual(name).is_file()]
    config["nav"] = [*nav, {"Reference": [*reference, "reference/examples.md"]}]
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the pages of the reference."""
    for name in MANUALS:
        if manual(name).is_file():
            files.append(File.generated(config, f"reference/{name}.md", content=reference(name)))
    files.append(File.generated(config, "reference/examples.md", content=examples()))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Let links out of this directory lead to the examples, or be plain words."""
    return _OUTSIDE.sub(_inside, markdown)


def _inside(link: re.Match[str]) -> str:
    words, path = link[1], Path(link[2])
    if path.parts[0] == "examples" and path.suffix == ".yaml":
        return f"[{words}](reference/examples.md#{path.stem})"
    return words


def manual(name: str) -> Path:
    """Return the source of a man page."""
    return HOUSE / "debian/man" / f"{name}.md"


def reference(name: str) -> str:
    """Return a man page as a page of the site: its title, and the table of keys where it has its place."""
    if str(HOUSE) not in sys.path:  # MkDocs takes its own additions back
        sys.path.insert(0, str(HOUSE))
    markdown = import_module("fpmjail_deb.schema.markdown").markdown
    text = manual(name).read_text(encoding="utf-8").replace("@FIELDS@", markdown())
    title = re.sub(r"^(.*)\.(\d)$", r"\1(\2)", name)
    shown = re.sub(r"^(#+ )(.+)$", lambda head: f"#{head[1]}{head[2].capitalize()}", text, flags=re.MULTILINE)
    return f"# {title}\n\n{_linked(shown, name)}"


def _linked(text: str, name: str) -> str:
    """Turn names of other man pages of ours into links."""
    others = {other for other in MANUALS if other != name and manual(other).is_file()}
    return re.sub(
        r"(?<![\w`/-])([a-z_-]+)\(([1-8])\)",
        lambda found: f"[{found[0]}]({found[1]}.{found[2]}.md)" if f"{found[1]}.{found[2]}" in others else found[0],
        text,
    )


def examples() -> str:
    """Return the page with every example, those that share their defaults last."""
    place = HOUSE / "examples"
    paths = [*sorted(place.glob("*.yaml")), *sorted(place.glob("*/**/*.yaml"))]
    titles = {path: path.stem if path.parent == place else str(path.relative_to(place)) for path in paths}
    texts = (f"## {titles[path]}\n\n```yaml\n{path.read_text(encoding='utf-8')}```\n" for path in paths)
    intro = "Descriptions to copy. The tests build and install each of them on both releases.\n"
    return "\n".join(["# Examples", "", intro, *texts])
