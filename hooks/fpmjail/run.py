# SPDX-License-Identifier: MIT
"""Runs of the refresh: by hand, from a dpkg trigger, and the one that has the last word after apt has ended."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any

from fpmjail import files, glance, image, live_files, refresh, state, systemd, watched
from fpmjail import site as sites
from fpmjail.layout import Layout
from fpmjail.refresh import Decision, Mode, Outcome

Say = Callable[[str], None]
REMEMBERED = 50  # outcomes that status.json keeps
ROUNDS = 5  # of the last word: each one only because something changed during the one before
LAST_WORD, WEB_RELOAD = glance.LAST_WORD, glance.WEB_RELOAD


def once(layout: Layout, mode: Mode, say: Say, profiles: frozenset[str] = frozenset()) -> tuple[Outcome, ...]:
    """Refresh all profiles in use, or those that are named, and remember what happened."""
    before, followed = watched.surroundings(layout), watched.sources(layout)
    found, errors = sites.installed(layout)
    before |= watched.servers(found)
    for error in errors:
        say(str(error))
    wanted = [site for site in found if not profiles or site.profile.id in profiles]
    if mode.dry_run:
        return refresh.refresh(layout, wanted, mode)
    files.make_run(layout.run)
    with files.lock(layout.lock_file):
        outcomes = refresh.refresh(layout, wanted, mode)
        words = (*remember(layout, outcomes), *(settle(layout, found, outdated=True) if mode.final else ()))
        # Whether Debian's masters have what they should is not to be seen in any stamp.
        settled = not words and (mode.final or not any(site.shared for site in found))
        if not settled:
            watched.forget(layout)
        elif not profiles and not errors:
            watched.remember(layout, outcomes, before, followed | watched.live(layout))
    for outcome in outcomes:
        if outcome.decision is not Decision.CURRENT or outcome.words:
            say(refresh.line(outcome))
    for text in words:
        say(text)
    heal(layout, found, say)
    return outcomes


def repair(layout: Layout, say: Say, profiles: frozenset[str]) -> None:
    """Compare every copy with its manifest; a damaged generation will be made anew, the masters reloaded."""
    with files.lock(layout.lock_file):
        for profile_id in sorted({site.profile.id for site in sites.installed(layout)[0]}):
            manifest = image.read_manifest(layout, profile_id, image.current(layout, profile_id))
            wrong = image.verify(layout, manifest) if manifest else ()
            if wrong and (not profiles or profile_id in profiles):
                say(f"image {profile_id} is damaged and will be made anew: {', '.join(wrong[:5])}")
                image.forget_inputs(layout, profile_id)
                files.touch(refresh.pending(layout, profile_id))


def settle(layout: Layout, found: Iterable[sites.Site], outdated: bool = False) -> tuple[str, ...]:
    """Let Debian's masters take up new pools, or with `outdated` new libraries; returns what is in the way."""
    known = [site for site in found if site.shared]
    if not known and not layout.fresh_pools.is_dir():
        return ()
    from fpmjail import shared

    return shared.settle(layout, known, outdated)


def remember(layout: Layout, outcomes: Iterable[Outcome]) -> tuple[str, ...]:
    """Write status.json; what keeps it from being written, a full disk or one that is read-only, is no reason to stop
    at: what was done to the jails is done."""
    try:
        write(layout, outcomes)
    except OSError as error:
        return (f"the outcome cannot be written down: {error}",)
    return ()


def write(layout: Layout, outcomes: Iterable[Outcome]) -> None:
    """A run that found nothing to do only sets the file's time. Raises OSError."""
    known = recall(layout)
    latest = {outcome.profile: record(outcome) for outcome in outcomes}
    news = [entry for entry in latest.values() if entry["decision"] != Decision.CURRENT.name]
    same = {name: strip(entry) for name, entry in latest.items()} == {
        name: strip(entry) for name, entry in known["latest"].items()
    }
    if same and not news and layout.status_file.exists():
        files.touch(layout.status_file)
        return
    content = {"format": 1, "latest": latest, "history": [*known["history"], *news][-REMEMBERED:]}
    files.replace_file(layout.status_file, (json.dumps(content, indent=1) + "\n").encode())


def strip(entry: dict[str, Any]) -> dict[str, Any]:
    """An outcome without its time."""
    return {key: value for key, value in entry.items() if key != "when"}


def record(outcome: Outcome) -> dict[str, Any]:
    """An outcome as it stands in status.json."""
    return {"when": state.now(), **asdict(outcome), "decision": outcome.decision.name, "words": list(outcome.words)}


def recall(layout: Layout) -> dict[str, Any]:
    """What status.json says; an empty one when it is missing or damaged."""
    try:
        content = json.loads(layout.status_file.read_text())
        return {"latest": dict(content["latest"]), "history": list(content["history"])}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {"latest": {}, "history": []}


def requested(layout: Layout) -> int:
    """When a trigger last asked for a refresh, in nanoseconds; 0 for never."""
    try:
        return layout.requested_file.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def last_word(layout: Layout, say: Say) -> tuple[Outcome, ...]:
    """Wait until dpkg has finished, then refresh until nothing is left to do."""
    from fpmjail import dpkg

    outcomes: tuple[Outcome, ...] = ()
    for _ in range(ROUNDS):
        dpkg.wait()
        asked = requested(layout)
        outcomes = once(layout, Mode(final=True), say)
        if requested(layout) == asked and all(o.decision is not Decision.SWITCH for o in outcomes):
            break
    look_again(layout, say)
    return outcomes


def look_again(layout: Layout, say: Say) -> None:
    """Follow what changed meanwhile: while its service runs, systemd does not watch the paths of a path unit."""
    found, _ = sites.installed(layout)
    with files.lock(layout.lock_file):
        for profile_id in sorted({site.profile.id for site in found}):
            live_files.follow(layout, profile_id)
    heal(layout, found, say)


def heal(layout: Layout, found: Iterable[sites.Site], say: Say) -> None:
    """Let sites see the sockets of servers that arrived, or came back."""
    reaching = [site for site in found if site.jail.sockets]
    if reaching:
        from fpmjail import reach

        reach.heal(layout, reaching, say)


def trigger(layout: Layout, names: frozenset[str], say: Say) -> None:
    """What the runtime's postinst calls inside dpkg: refresh if that can be done now, and ask for the last word.

    Never raises: a failing trigger would stop security upgrades of the whole server.
    """
    if names - {WEB_RELOAD}:
        attempt(lambda: in_dpkg(layout, say), say)
    if WEB_RELOAD in names:
        attempt(lambda: web(layout, say), say)


def attempt(step: Callable[[], object], say: Say) -> None:
    """Take a step, or say why it failed."""
    try:
        step()
    except Exception as error:  # whatever it is, dpkg must go on
        say(f"{type(error).__name__}: {error}; see: fpmjail status")


def in_dpkg(layout: Layout, say: Say) -> None:
    """Refresh what can be refreshed now; whatever became of that, the last word is asked for."""
    files.make_run(layout.run)
    files.touch(layout.requested_file)
    try:
        once(layout, Mode(final=False), say)
    finally:
        if systemd.running():
            systemd.systemctl("start", "--no-block", LAST_WORD)


def web(layout: Layout, say: Say) -> str | None:
    """Reload Debian's PHP-FPM, each web server, and sshd once for everything that was configured, then say which new
    sites answer."""
    from fpmjail import announcing, sftp
    from fpmjail import web as servers

    found, _ = sites.installed(layout)
    files.make_run(layout.run)
    with files.lock(layout.lock_file):
        pools = settle(layout, found)
    words, trouble = servers.reload_all(layout, found)
    troubles = [text for text in (*pools, trouble, sftp.reload(layout)) if text]
    for text in (*words, *troubles):
        say(text)
    announcing.announce(layout, found, say)
    return "; ".join(troubles) or None
