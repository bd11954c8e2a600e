# SPDX-License-Identifier: GPL-2.0-or-later
"""The file to start a new site from: every key with its meaning, those with a default as comments."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import yaml

from fpmjail_deb.schema import BY_PATH, FIELDS
from fpmjail_deb.schema.field import Field

WIDTH = 100

WORDPRESS: Mapping[str, str] = MappingProxyType(
    {
        "php.extensions": "[bcmath, curl, gd, imagick, intl, mbstring, mysql, xml, zip]",
        "php.pool.max_children": "12",
        "php.pool.request_timeout": "5m",
        "php.settings": '{memory_limit: 256M, upload_max_filesize: 64M, post_max_size: 64M, max_input_vars: "3000"}',
        "php.limits.memory": "2G",
        "jail.mysql": "socket",
        "writable": "[wp-content/uploads]",
        "cron": '[{name: wp-cron, schedule: "*:0/5", command: php wp-cron.php}]',
    }
)
"""What suits WordPress better than the defaults."""


def starter(name: str, maintainer: str, presets: Mapping[str, str]) -> str:
    """Return the text of a new description; `presets` are values in YAML by key path, written as keys, not comments."""
    given = {
        "site": name,
        "maintainer": yaml.safe_dump(maintainer, allow_unicode=True, width=10**6).partition("\n")[0],
        "domains": f"[{name}.example.org]",
        **presets,
    }
    lines = [
        f'# The website "{name}", for fpmjail-deb. Lines that begin with # are defaults and examples.',
        "# Find mistakes: fpmjail-deb check FILE. Make the packages: fpmjail-deb build FILE. Keys: fpmjail-site(5).",
    ]
    group: tuple[str, ...] = ()
    for row in FIELDS:
        *above, key = row.path.split(".")
        if ".".join(above) in BY_PATH:  # `web.tls` is a key itself; the manual shows what is below it
            continue
        lines += ["", *_opened(group, tuple(above)), *_key(row, key, len(above), given.get(row.path))]
        group = tuple(above)
    return "\n".join(lines) + "\n"


def _opened(group: tuple[str, ...], wanted: tuple[str, ...]) -> list[str]:
    """Return the lines that open the groups of a key, those left open by the key before it excepted."""
    return [f"{'  ' * depth}{part}:" for depth, part in enumerate(wanted) if group[: depth + 1] != wanted[: depth + 1]]


def _key(row: Field[Any], key: str, depth: int, given: str | None) -> list[str]:
    indent = "  " * depth
    doc = row.doc if row.required or row.default is not None else f"{row.doc} Default: {row.otherwise}."
    value = given or row.default or row.example
    line = f"{indent}{'' if given else '# '}{key}: {value}"
    return [*textwrap.wrap(doc, WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# "), line]
