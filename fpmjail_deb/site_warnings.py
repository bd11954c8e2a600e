# SPDX-License-Identifier: GPL-2.0-or-later
"""What a good description allows and its author should know."""

from __future__ import annotations

from collections.abc import Iterator

from fpmjail_deb import capabilities, programs
from fpmjail_deb.errors import Problem
from fpmjail_deb.schema import jail_keys, web_keys
from fpmjail_deb.site import Htaccess, Isolation, Libraries, Proc, Shell, Site


def warnings(site: Site) -> tuple[Problem, ...]:
    """Return what a good description allows and its author should know."""
    htaccess = "with all, whoever can write an .htaccess file runs code as the web server, outside of every jail"
    bind = "with bind, the site sees and can run every program of the server in /usr, shells among them"
    proc = "with host, the site sees every process of the server, with its command line"
    shell = "with sh, whoever finds a hole in the site can use every program of its jail in any combination"
    uploads = "in shared isolation the site can run what it uploads, so a restricted shell is no wall"
    restricted = site.isolation is Isolation.SHARED and site.jail.shell is Shell.RESTRICTED
    dangers = (
        (site.web.htaccess is Htaccess.ALL, web_keys.HTACCESS, htaccess, "safe leaves out what makes that possible"),
        (site.jail.proc is Proc.HOST, jail_keys.PROC, proc, "private has all of /proc but other users' processes"),
        (site.jail.shell is Shell.SH, jail_keys.SHELL, shell, "restricted starts the declared programs only"),
        (site.jail.libraries is Libraries.BIND, jail_keys.LIBRARIES, bind, "image has only what the site needs"),
        (restricted, jail_keys.SHELL, uploads, "with isolation: dedicated it is one"),
    )
    places = dict(site.origins)
    return (
        *(Problem(places[row.path], row.path, words, hint) for there, row, words, hint in dangers if there),
        *_shells(site),
        *_resembling(site),
    )


def _shells(site: Site) -> Iterator[Problem]:
    for index, program in enumerate(site.jail.programs):
        name = program.path.rpartition("/")[2]
        if name in programs.SHELLS:
            path = f"{jail_keys.PROGRAMS.path}[{index}]"
            words = f"with {name}, whoever can run code in the site has a shell with everything else in the jail"
            yield Problem(dict(site.origins)[path], path, words, "leave it out if only exec() needs it")


def _resembling(site: Site) -> Iterator[Problem]:
    """An administrator may call his own as he likes; the server says so if he has none of that name."""
    places = dict(site.origins)
    for index, name in enumerate(site.jail.capabilities):
        ours = capabilities.resembles(name)
        if ours:
            path = f"{jail_keys.CAPABILITIES.path}[{index}]"
            words = f"{name} is none of ours: every server needs /etc/fpmjail/capabilities.d/{name}.json for it"
            yield Problem(places[path], path, words, f'did you mean "{ours}"?')
