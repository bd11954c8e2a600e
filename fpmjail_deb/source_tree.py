# SPDX-License-Identifier: GPL-2.0-or-later
"""A site -> the Debian source package that dpkg-buildpackage makes the same package of. Its last function writes."""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from debian.deb822 import Deb822

from fpmjail_deb.contents import Code, PackagePlan
from fpmjail_deb.description import read_site
from fpmjail_deb.errors import OutputError
from fpmjail_deb.site import Site
from fpmjail_deb.site_names import site_names
from fpmjail_deb.tree import put_entry

DESCRIPTION = "debian/fpmjail.yaml"
STANDARDS = "4.6.2"
RULES = "#!/usr/bin/make -f\n%:\n\tdh $@ --with fpmjail\n"
DEPENDS = "${fpmjail:Depends}, ${misc:Depends}"
README = """\
What stands in debian/fpmjail.yaml becomes the package's jail, virtual host and account: see dh_fpmjail(1).
debian/changelog has the version and the Debian release; dch(1) writes it.
"""


def source_files(made: PackagePlan, description: str) -> Mapping[str, str]:
    """Return the texts of a source package's files by their paths."""
    documents = {file.path.rpartition("/")[2]: file.content for file in made.files if "/share/doc/" in file.path}
    return {
        "debian/changelog": gzip.decompress(documents["changelog.gz"]).decode(),
        "debian/control": _control(dict(made.control)),
        "debian/copyright": documents["copyright"].decode(),
        DESCRIPTION: without_version(description),
        "debian/rules": RULES,
        "debian/source/format": "3.0 (native)\n",
        "debian/README.source": README,
    }


def as_in_the_tree(site: Site, description: str) -> Site:
    """Return the site as dh_fpmjail will read it: its comments name the description by its place in the tree."""
    moved = read_site(without_version(description).encode(), DESCRIPTION)
    return replace(moved, version=site.version)


def without_version(description: str) -> str:
    """Return a description without its version: the changelog has it. Lines keep their numbers."""
    return re.sub(r"^version:[^\n]*$", "# The version stands in debian/changelog.", description, flags=re.MULTILINE)


def _control(fields: Mapping[str, str]) -> str:
    source = Deb822()
    source["Source"] = fields["Package"]
    for name in ("Section", "Priority", "Maintainer"):
        source[name] = fields[name]
    source["Build-Depends"] = "debhelper-compat (= 13), dh-sequence-fpmjail"
    source["Standards-Version"] = STANDARDS
    source["Rules-Requires-Root"] = "no"
    source["Homepage"] = fields["Homepage"]
    binary = Deb822()
    for name in ("Package", "Architecture"):
        binary[name] = fields[name]
    binary["Depends"] = DEPENDS
    binary["Description"] = fields["Description"]
    return f"{source.dump()}\n{binary.dump()}"


def in_the_tree(site: Site, code: Code) -> Code:
    """Return a site's code at its places in the tree, from which dh_fpmjail takes it."""
    root = site_names(site).document_root.lstrip("/")
    return tuple(replace(entry, path=f"{site.code}{entry.path.removeprefix(root)}") for entry in code)


def write_source(files: Mapping[str, str], directory: Path, code: Code = ()) -> None:
    """Write the files and the site's code into a new directory, EFFECT.

    Raises OutputError if there is something in it.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if (directory / "debian").exists():
            raise OutputError(f"{directory}/debian is there already", "remove it, or choose another with -o")
        for name, text in files.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        (directory / "debian/rules").chmod(0o755)
        for entry in code:
            (directory / entry.path).parent.mkdir(parents=True, exist_ok=True)
            put_entry(entry, directory)
    except OSError as error:
        raise OutputError(f"{directory} cannot be written: {error.strerror or error}", "choose another") from error
