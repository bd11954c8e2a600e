# SPDX-License-Identifier: MIT
"""What `fpmjail COMMAND --help` teaches beside the options: examples, and where to read on."""

from __future__ import annotations

from collections.abc import Mapping

SITE = "the NAME of a site, as `fpmjail status` shows it"
EXAMPLES: Mapping[str, str] = {
    "configure": """\
  fpmjail configure example       after a change in /etc/fpmjail/sites/example: tested first, applied if it is good

A drop-in that does not pass its test is told with file and line; the site goes on with what it had.""",
    "remove": """\
  fpmjail remove example          as `apt remove` does it; `fpmjail configure example` brings it back""",
    "enable": """\
  fpmjail enable example          after `fpmjail disable example`""",
    "disable": """\
  fpmjail disable example         no virtual host, no PHP, no jobs; data and package stay""",
    "refresh": """\
  fpmjail refresh                 now what otherwise happens after each run of apt
  fpmjail refresh --dry-run       which files would change, and of which packages
  fpmjail refresh --verify        look at every copy too; damaged ones are made anew""",
    "reload": """\
  fpmjail reload                  Apache or nginx: only with a configuration that passes its test""",
    "rollback": """\
  fpmjail rollback example                  the copies of before, for every site with the same image; they stay until
  fpmjail rollback example --release-hold   the hold ends and the server is followed again""",
    "status": """\
  fpmjail status                  exit status 1 if a site or an image needs your hand
  fpmjail status --json | jq .    the same for programs""",
    "check": """\
  fpmjail check example           each capability in the jail and outside of it, and every wall
  fpmjail check --all             every site, and what belongs to none
  fpmjail check --all --nagios    one line for monitoring""",
    "files": """\
  fpmjail files example                   each copy: capability, package, version, path
  fpmjail files example --by-capability   what each capability costs""",
    "exec": """\
  fpmjail exec example -- php -v                      as the site's user, behind the walls of its PHP
  fpmjail exec --cwd bin example -- php console.php   begins in bin/ below the document root""",
}


def epilog(command: str) -> str | None:
    """The end of a command's help; None for those that people do not call."""
    examples = EXAMPLES.get(command)
    more = "man 8 fpmjail explains it; man 7 fpmjail shows how everything fits together"
    return f"examples:\n{examples}\n\n{more}" if examples else None
