# SPDX-License-Identifier: MIT
"""The `fpmjail` command: its options, and for each command the module that does it. Exit status: 0 good, 1 wrong, 2 bad
usage.

What is said goes through `output.py`, but for trees that mounts.py keeps.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Any

from fpmjail import __version__
from fpmjail import help as teach
from fpmjail.layout import Layout
from fpmjail.output import UNDER_DPKG, complain, say, show_json, teller

EPILOG = """\
examples:
  fpmjail status                  every site and image of this server at a glance
  fpmjail check example           prove that a site works and that it is sealed
  fpmjail check --all --nagios    the same for every site, in one line for monitoring
  fpmjail refresh --dry-run       what the next refresh would do
  fpmjail exec example -- php -v  run a command where the site's PHP runs
  fpmjail rollback example        back to the generation before, and stay there

exit status: 0 all is good, 1 something is wrong, 2 the command line is wrong
see also: fpmjail(7) how everything fits together, fpmjail(8) every command, fpmjail-site(5) what sites can be
"""

Command = Callable[[argparse.Namespace, Layout], int]


def configure(arguments: argparse.Namespace, layout: Layout) -> int:
    """Apply a site's description to this server."""
    from fpmjail import configure as sites
    from fpmjail import run, together

    def action(tell: Callable[[str], None]) -> None:
        if UNDER_DPKG in os.environ:  # there one trigger reloads for all sites of the run
            together.configure(layout, arguments.site, tell)
        else:
            sites.configure(layout, arguments.site, tell)
            run.web(layout, teller(arguments))

    return site_action(arguments, action)


def remove(arguments: argparse.Namespace, layout: Layout) -> int:
    """Take a site out of the web server and of systemd; data stays."""
    from fpmjail import takedown as sites

    return site_action(arguments, lambda tell: sites.remove(layout, arguments.site, tell))


def enable(arguments: argparse.Namespace, layout: Layout) -> int:
    """Switch a site on again."""
    from fpmjail import configure as sites

    return site_action(arguments, lambda tell: sites.switch(layout, arguments.site, True, tell))


def disable(arguments: argparse.Namespace, layout: Layout) -> int:
    """Switch a site off; upgrades honour that."""
    from fpmjail import configure as sites

    return site_action(arguments, lambda tell: sites.switch(layout, arguments.site, False, tell))


def site_action(arguments: argparse.Namespace, action: Callable[[Callable[[str], None]], None]) -> int:
    """Do something with one site; its lines carry its name, a fault ends with status 1."""
    from fpmjail.places import SiteFault
    from fpmjail.site import SiteError

    lines: list[str] = []

    def tell(text: str) -> None:
        lines.append(text)
        teller(arguments)(f"{arguments.site}: {text}")

    fault: str | None = None
    try:
        action(tell)
    except (SiteFault, SiteError) as error:
        fault = str(error)
        complain(f"{arguments.site}: {fault}")
    if arguments.json:
        show_json({"site": arguments.site, "good": fault is None, "fault": fault, "words": lines})
    return 0 if fault is None else 1


def refresh(arguments: argparse.Namespace, layout: Layout) -> int:
    """Bring the copies in the jails up to date."""
    from fpmjail import run, systemd
    from fpmjail.refresh import Mode
    from fpmjail.site import NoSuchSite

    tell = teller(arguments)
    try:
        profiles = named_profiles(layout, arguments.target)
    except NoSuchSite as error:
        complain(str(error))
        return 2
    if arguments.wait and systemd.running():
        answer = systemd.systemctl("start", run.LAST_WORD, timeout=3600.0)
        tell(answer.words if answer.words else "every refresh that was asked for has ended")
    if arguments.verify and not arguments.dry_run:
        run.repair(layout, tell, profiles)
    if arguments.when_unlocked:
        outcomes = run.last_word(layout, tell)
    else:
        outcomes = run.once(layout, Mode(dry_run=arguments.dry_run), tell, profiles)
    if arguments.dry_run or not arguments.when_unlocked:
        show_outcomes(arguments, outcomes)
    return 0 if all(outcome.good for outcome in outcomes) else 1


def named_profiles(layout: Layout, targets: Iterable[str]) -> frozenset[str]:
    """The ids of images that are named by a site that has one, or by the beginning of an id. Raises NoSuchSite."""
    from fpmjail import site

    return frozenset(site.with_image(layout, target)[0].profile.id for target in targets)


def show_outcomes(arguments: argparse.Namespace, outcomes: Sequence[Any]) -> None:
    """What each profile would get, or got."""
    from fpmjail import refresh as refreshing
    from fpmjail.refresh import Decision

    if arguments.json:
        show_json([{**asdict(outcome), "decision": outcome.decision.name} for outcome in outcomes])
        return
    for outcome in outcomes:
        if arguments.dry_run or outcome.decision is Decision.CURRENT:
            say(refreshing.line(outcome))


def reload(arguments: argparse.Namespace, layout: Layout) -> int:
    """Test and reload the web server."""
    from fpmjail import run

    trouble = run.web(layout, teller(arguments))
    if arguments.json:
        show_json({"good": trouble is None, "trouble": trouble})
    return 1 if trouble else 0


def trigger(arguments: argparse.Namespace, layout: Layout) -> int:
    """Called by dpkg through the package's postinst; always status 0."""
    from fpmjail import run

    run.trigger(layout, frozenset(arguments.names), say)
    return 0


def follow(arguments: argparse.Namespace, layout: Layout) -> int:
    """Called by fpmjail-live.service: bring resolv.conf, hosts and localtime up to date in the jails."""
    from fpmjail import watched

    tell = teller(arguments)
    for words in watched.follow(layout):
        tell(words)
    return 0


def tend(arguments: argparse.Namespace, layout: Layout) -> int:
    """Called by fpmjail-idle.service: stop the PHP of sites without requests, finish what requests held up."""
    from fpmjail import idle

    faults = idle.tend(layout, idle.now())
    for words in faults:
        complain(words)
    return 1 if faults else 0


def rollback(arguments: argparse.Namespace, layout: Layout) -> int:
    """Go back a generation and stay there."""
    from fpmjail import rollback as going_back
    from fpmjail.site import NoSuchSite

    action = going_back.release if arguments.release_hold else going_back.rollback
    try:
        result = action(layout, arguments.target, arguments.dry_run)
    except (going_back.NoWayBack, NoSuchSite) as error:
        complain(str(error))
        return 1
    if arguments.json:
        show_json({"target": arguments.target, "done": not arguments.dry_run, **asdict(result)})
    for text in () if arguments.json else result.words:
        say(text)
    return 0 if result.good else 1


def status(arguments: argparse.Namespace, layout: Layout) -> int:
    """Every site and every image at a glance."""
    from fpmjail import status as overview

    seen = overview.look(layout)
    if arguments.json:
        show_json(overview.as_json(seen))
    else:
        print(overview.text(seen))
    return 0 if seen.good else 1


def check(arguments: argparse.Namespace, layout: Layout) -> int:
    """Prove that sites work and that they are sealed."""
    from fpmjail import check_command

    return check_command.run(arguments, layout)


def files(arguments: argparse.Namespace, layout: Layout) -> int:
    """Every copy in a site's jail, with the package and version that it came from."""
    from fpmjail import image
    from fpmjail import site as sites

    try:
        site = sites.load(layout.sites / arguments.site / "site.json")
    except sites.SiteError as error:
        complain(f"{arguments.site}: {error}")
        return 1
    manifest = image.read_manifest(layout, site.profile.id, image.current(layout, site.profile.id))
    if manifest is None:
        complain(f"the image of {site.name} has no complete generation: fpmjail refresh")
        return 1
    if arguments.by_capability:
        from fpmjail import cost

        costs = cost.by_capability(manifest.entries, site.capabilities)
        if arguments.json:
            show_json([asdict(one) for one in costs])
        else:
            print(cost.text(costs))
    elif arguments.json:
        show_json([asdict(entry) for entry in manifest.entries])
    else:
        print("\n".join(file_line(entry) for entry in manifest.entries if entry.type in ("file", "link")))
    return 0


def file_line(entry: Any) -> str:
    """One copy on one line."""
    owner = f"{entry.package} {entry.version}" if entry.package else "-"
    target = f" -> {entry.target}" if entry.target else ""
    return f"{entry.capability:16} {owner:44} /{entry.path}{target}"


def exec_(arguments: argparse.Namespace, layout: Layout) -> int:
    """Run a command in a site's jail, as the site's user, within its limits; the exit status is passed on."""
    from fpmjail import inside
    from fpmjail.site import SiteError

    if not arguments.command:
        complain(f"which command? fpmjail exec {arguments.site} -- php -v")
        return 2
    try:
        site = inside.ready(layout, arguments.site)
        command = inside.prepare(layout, site, arguments.command, arguments.cwd, inside.on_terminal())
    except (inside.NotInside, SiteError) as error:
        complain(f"{arguments.site}: {error}")
        return 1
    status, hint = inside.run(site, command)
    if hint:
        complain(hint)
    return status


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        prog="fpmjail",
        description="Keeps the PHP-FPM jails of this server true, and proves it.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"fpmjail {__version__}")
    commands = top.add_subparsers(metavar="COMMAND", required=True)
    add(commands, status)
    add_check(commands)
    copies = add(commands, files)
    copies.add_argument("site", metavar="SITE", help=teach.SITE)
    copies.add_argument("--by-capability", action="store_true", help="only what each capability costs")
    add_exec(commands)
    add_refresh(commands)
    back = add(commands, rollback)
    back.add_argument("target", metavar="SITE|PROFILE", help="a site, or an image as `fpmjail status` shows it")
    back.add_argument("--dry-run", action="store_true", help="only say what that would bring back")
    back.add_argument("--release-hold", action="store_true", help="end a hold and follow the server again")
    for action in (configure, enable, disable, remove):
        add(commands, action).add_argument("site", metavar="SITE", help=teach.SITE)
    add(commands, reload)
    add(commands, follow, hidden=True)
    add(commands, tend, hidden=True)
    add(commands, trigger, hidden=True).add_argument("names", nargs="*")
    return top


def add(commands: Any, action: Command, hidden: bool = False) -> argparse.ArgumentParser:
    """A command whose help is its function's docstring."""
    text = (action.__doc__ or "").strip()
    shown = {} if hidden else {"help": text}
    name = action.__name__.rstrip("_")
    made: argparse.ArgumentParser = commands.add_parser(name, description=text, **teaching(name), **shown)
    made.add_argument("--json", action="store_true", help="machine-readable output")
    made.set_defaults(action=action)
    return made


def teaching(name: str) -> dict[str, Any]:
    """Examples below a command's options, as they are written."""
    return {"epilog": teach.epilog(name), "formatter_class": argparse.RawDescriptionHelpFormatter}


def add_check(commands: Any) -> None:
    """The options of `fpmjail check`."""
    made = add(commands, check)
    made.add_argument("site", metavar="SITE", nargs="*", help=teach.SITE)
    made.add_argument("--all", action="store_true", help="every site that is switched on, and what belongs to none")
    made.add_argument("--isolation", action="store_true", help="let the sites try to reach each other")
    made.add_argument("--jail-only", action="store_true", help="do not ask the server's own PHP for comparison")
    made.add_argument("--nagios", action="store_true", help="one line and the exit status of a monitoring plugin")
    made.add_argument("--prometheus", metavar="FILE", help="write metrics for node_exporter; - for standard output")


def add_refresh(commands: Any) -> None:
    """The options of `fpmjail refresh`."""
    made = add(commands, refresh)
    made.add_argument("target", metavar="SITE|PROFILE", nargs="*", help="only the images of these")
    made.add_argument("--dry-run", action="store_true", help="only say what would be done")
    made.add_argument("--verify", action="store_true", help="look at every copy too, and make damaged ones anew")
    made.add_argument("--wait", action="store_true", help="wait until dpkg and every refresh under way have ended")
    made.add_argument("--when-unlocked", action="store_true", help=argparse.SUPPRESS)
    made.add_argument("--unless-quiet", action="store_true", help=argparse.SUPPRESS)  # glance.py answers it


def add_exec(commands: Any) -> None:
    """The options of `fpmjail exec`; the command itself never comes to argparse, which would look for options in it."""
    made = commands.add_parser(
        "exec",
        help=exec_.__doc__,
        description=exec_.__doc__,
        **teaching("exec"),
        usage="fpmjail exec [-h] [--cwd DIRECTORY] SITE -- COMMAND [ARGUMENT ...]",
    )
    made.add_argument("site", metavar="SITE", help=teach.SITE)
    made.add_argument("--cwd", metavar="DIRECTORY", help="where it starts, seen from the document root")
    made.set_defaults(action=exec_, command=())


def split(words: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """What is for us, and the command behind `exec ... --`."""
    if words[:1] != ["exec"] or "--" not in words:
        return words, ()
    end = words.index("--")
    return words[:end], words[end + 1 :]


def bare_command(words: Sequence[str]) -> bool:
    """True for `exec SITE COMMAND` without the `--` between them."""
    if words[:1] != ["exec"]:
        return False
    rest = [word for word in words[1:] if not word.startswith("-")]
    values = sum(word == "--cwd" for word in words)
    return len(rest) - values > 1


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; an error of the system is a sentence, not a traceback."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["check"] and "--nagios" in words:
        return plugin(words)
    return run(words)


def plugin(words: Sequence[str]) -> int:
    """Run as a monitoring plugin: whatever keeps us from checking is `unknown`, status 3, said on standard output."""
    from contextlib import redirect_stderr
    from io import StringIO

    said = StringIO()
    try:
        with redirect_stderr(said):
            status = run(words)
            broken = status == 1 and bool(said.getvalue())
    except SystemExit as end:
        if not end.code:
            raise
        broken = True
    except Exception as error:  # whatever it is: Python's own status 1 would be a warning about the sites
        print(f"{type(error).__name__}: {error}", file=said)
        broken = True
    if not broken:
        return status
    from fpmjail import monitoring

    unknown, line = monitoring.nagios_unknown(said.getvalue().strip().rpartition("\n")[2])
    print(line)
    return unknown


def run(words: Sequence[str]) -> int:
    """Parse the command line and do what it asks for."""
    ours, command = split(words)
    if bare_command(ours):
        complain("put -- before the command: fpmjail exec SITE -- php -v")
        return 2
    arguments = parser().parse_args(ours)
    if command:
        arguments.command = tuple(command)
    if os.geteuid() != 0:
        complain("only root may look into every jail: sudo fpmjail ...")
        return 1
    os.umask(0o022)
    try:
        status: int = arguments.action(arguments, Layout())
    except BrokenPipeError:
        return 1
    except OSError as error:
        complain(str(error))
        return 1
    return status
