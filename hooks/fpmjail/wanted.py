# SPDX-License-Identifier: MIT
"""From a profile to the complete list of what its image must hold on this server, and what that depends on.

Symbolic links of the host stay links: every link on the way to a file is in the image too, so the jail resolves a
path as the host does. What lies outside /usr and /etc is copied to the place where it was asked for.
"""

from __future__ import annotations

import posixpath
import re
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from fpmjail.capability import Definitions, Rule
from fpmjail.host import Host, Resolved, Stamp, multiarch
from fpmjail.layout import Layout
from fpmjail.manifest import BOUND, DIRECTORY, FILE, LINK
from fpmjail.site import BIND, Profile

_TOP = ("usr", "etc")
VARIABLE = "var/lib"  # where links of /usr lead to, such as those to aspell's dictionaries
_OWN = "fpmjail"
_PROBES = "/usr/share/fpmjail/probes/*.php"


@dataclass(frozen=True, slots=True)
class Item:
    """One thing in an image. `path` is relative to it; `kind` is file, link, directory, or bound: a file of
    the host's /usr that is not copied; `source` is the host's path
    of a file or a kept link; `mode` never has more than 0755; `owner` is the host's path whose package made the file,
    where that is not `source`."""

    path: str
    kind: str
    mode: int
    target: str
    source: str
    capability: str
    owner: str = ""


@dataclass(frozen=True, slots=True)
class Live:
    """A file that follows the host by rename. `default` stands in where the host has none, None: nothing does."""

    name: str
    source: str
    default: str | None


@dataclass(frozen=True, slots=True)
class Missing:
    """Something declared that the host does not have; `package` is where Debian keeps it, if known."""

    capability: str
    item: str
    reason: str
    package: str

    def __str__(self) -> str:
        hint = f" (package {self.package})" if self.package else ""
        return f"{self.capability}: {self.item} {self.reason}{hint}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an image must hold. With anything in `missing` it is incomplete and must not replace an older one.

    `warnings` are faults that the host's own PHP has as well. `inputs` maps each host path that was looked at to its
    stamp, None if nothing was there.
    """

    items: tuple[Item, ...]
    live: tuple[Live, ...]
    missing: tuple[Missing, ...]
    warnings: tuple[str, ...]
    inputs: Mapping[str, Stamp | None]

    @property
    def sources(self) -> tuple[str, ...]:
        """The host paths of everything in it, to ask dpkg for their owners."""
        return tuple(sorted({item.owner or item.source for item in self.items if item.source}))


def wanted(profile: Profile, definitions: Definitions, layout: Layout) -> Wanted:
    """Work out the image of `profile` on the host below `layout.root`. Reads, changes nothing."""
    collector = _Collector(profile, layout, definitions)
    collector.sources(definitions, layout)
    for name in sorted(profile.capabilities, key=_rank):
        capability = definitions.capabilities.get(name)
        if capability is None:
            collector.lack(name, f"capability {name}", f"is not defined in {layout.admin_capabilities}", "")
            continue
        for rule in capability.rules:
            collector.apply(name, rule)
    collector.apply(_OWN, Rule("files", (_PROBES,), optional=True))
    return collector.result()


def _rank(name: str) -> tuple[bool, bool, str]:
    """PHP itself comes first, what takes all that is left comes last."""
    return name != "php", name == "full", name


class _Collector:
    """Gathers items rule by rule; the first capability that wants a path names it, PHP itself before all others:
    nobody saves libc by doing without character sets."""

    def __init__(self, profile: Profile, layout: Layout, definitions: Definitions) -> None:
        self._profile = profile
        self._known = definitions.programs
        self._host = Host(layout.root)
        self._items: dict[str, Item] = {}
        self._live: dict[str, Live] = {}
        self._missing: dict[tuple[str, str], Missing] = {}
        self._warnings: dict[str, None] = {}
        self._closures: dict[str, dict[str, str]] = {}

    def sources(self, definitions: Definitions, layout: Layout) -> None:
        """The definitions are inputs like any other file."""
        for source in definitions.sources:
            resolved = self._host.resolve("/" + str(source.relative_to(layout.root)))
            if resolved.is_directory:
                self._host.names(resolved.path)

    def lack(self, capability: str, item: str, reason: str, package: str) -> None:
        self._missing.setdefault((capability, item), Missing(capability, item, reason, self._fill(package)))

    def _fill(self, text: str) -> str:
        return text.replace("{php}", self._profile.php).replace("{multiarch}", multiarch())

    def apply(self, capability: str, rule: Rule) -> None:
        if rule.kind == "php":
            self._php(capability, rule)
        elif rule.kind == "charsets":
            self._charsets(capability, rule, self._profile.charsets)
        elif rule.kind == "locales":
            self._locales(capability, rule)
        elif rule.kind == "timezones":
            self._time_zones(capability, rule)
        elif rule.kind == "declared-programs":
            for path in self._profile.programs:
                self._program(path)
        elif rule.kind == "links":
            self._make_links(capability, rule)
        elif rule.kind == "live":
            self._follow(rule)
        elif rule.kind == "named":
            self._named(capability, rule)
        else:
            self._patterns(capability, rule)

    def _patterns(self, capability: str, rule: Rule) -> None:
        exclude = tuple(self._fill(pattern) for pattern in rule.exclude)
        for pattern in rule.patterns:
            path = self._fill(pattern)
            found = self._host.glob(path, exclude)
            if not found and not rule.optional:
                self.lack(capability, path, "is not there", rule.package)
            for place in found:
                self._add(capability, place, rule)

    def _add(self, capability: str, path: str, rule: Rule) -> bool:
        """Add one path of the host with the links on its way; True if a file was added."""
        resolved = self._host.resolve(path)
        if resolved.is_directory:
            self._add_directory(capability, path, resolved)
            return False
        fault = _fault(resolved)
        if fault:
            if not rule.optional:
                self.lack(capability, path, fault, rule.package)
            return False
        self._add_file(capability, path, resolved)
        if rule.kind in ("programs", "objects"):
            self._closures.setdefault(capability, {})[path] = rule.package
        return True

    def _add_file(self, capability: str, path: str, resolved: Resolved) -> None:
        if all(_inside(place) for place in (resolved.path, *(link for link, _ in resolved.links))):
            self._add_links(capability, resolved)
            path = resolved.path
        else:
            path = self._inner(path)
        assert resolved.status is not None
        mode = 0o755 if resolved.status.st_mode & 0o111 else 0o644
        self._put(Item(path.lstrip("/"), FILE, mode, "", resolved.path, capability))

    def _inner(self, path: str) -> str:
        """Where in the image a file lies whose host path leads out of /usr and /etc."""
        directory = self._host.resolve(posixpath.dirname(path)).path
        return f"{directory}/{posixpath.basename(path)}" if _inside(directory + "/") else path

    def _add_directory(self, capability: str, path: str, resolved: Resolved) -> None:
        if _inside(resolved.path) and all(_inside(link) for link, _ in resolved.links):
            self._add_links(capability, resolved)
            self._host.names(resolved.path)
            self._put(Item(resolved.path.lstrip("/"), DIRECTORY, 0o755, "", resolved.path, capability))

    def _add_links(self, capability: str, resolved: Resolved) -> None:
        for link, target in resolved.links:
            self._put(Item(link.lstrip("/"), LINK, 0o777, target, link, capability))

    def _put(self, item: Item) -> None:
        self._items.setdefault(item.path, item)

    def _make_links(self, capability: str, rule: Rule) -> None:
        for link, target in rule.table:
            path = self._inner(self._fill(link))
            made = Item(path.lstrip("/"), LINK, 0o777, self._fill(target or ""), "", capability)
            self._items[made.path] = made

    def _follow(self, rule: Rule) -> None:
        for source, default in rule.table:
            name = posixpath.basename(source)
            self._live[name] = Live(name, source, default)

    def _named(self, capability: str, rule: Rule) -> None:
        """What a setting leads to; a setting that leads nowhere does so for the host's own PHP as well."""
        for place, expression in rule.table:
            text = (self._host.read(place) or b"").decode("utf-8", "replace")
            for written in re.findall(expression or "", text):
                path = posixpath.normpath(written)
                inside = path.startswith("/") and _inside(path)
                fault = _fault(self._host.resolve(path)) if inside else "is not below /usr or /etc"
                if fault:
                    self._warnings[f"{place} names {written}, which {fault}"] = None
                else:
                    self._add(capability, path, Rule("files"))

    def _charsets(self, capability: str, rule: Rule, names: Iterable[str]) -> None:
        from fpmjail import charset

        directory = self._fill("/usr/lib/{multiarch}/gconv")
        tables = self._host.glob(f"{directory}/gconv-modules") + self._host.glob(f"{directory}/gconv-modules.d/*.conf")
        modules = charset.parse((self._host.read(path) or b"").decode("ascii", "replace") for path in tables)
        for path in (*tables, *self._host.glob(f"{directory}/gconv-modules.cache")):
            self._add(capability, path, rule)
        objects = Rule("objects", package=rule.package)
        for name in names:
            files = modules.of(name)
            if files is None:
                self.lack(capability, f"charset {name}", "is not known to glibc", rule.package)
            for file in files or ():
                self._add(capability, posixpath.join(directory, file.removesuffix(".so") + ".so"), objects)

    def _locales(self, capability: str, rule: Rule) -> None:
        """The locales as locales.compile_all left them; one with another charset than UTF-8 needs that one too."""
        from fpmjail import locales

        if self._profile.libraries == BIND:
            self._servers_locales(capability, rule)
            return
        for one in map(locales.parse, self._profile.locales):
            place = locales.place(self._host, one)
            fault = locales.fault(self._host, one, place)
            if fault:
                self.lack(capability, f"locale {one.name}", fault, rule.package)
                continue
            for source in self._host.glob(f"{place}/**"):
                path = f"{locales.INSTALLED}/{one.directory}{source.removeprefix(place)}".lstrip("/")
                self._put(Item(path, FILE, 0o644, "", self._host.resolve(source).path, capability, one.definition))
        self._charsets(capability, Rule("charsets", package="libc6"), locales.charsets(self._profile.locales))

    def _servers_locales(self, capability: str, rule: Rule) -> None:
        """Nothing can be put into the host's /usr, so a locale is there if the administrator generated it."""
        from fpmjail import locales

        for one in map(locales.parse, self._profile.locales):
            if not locales.generated(self._host, one):
                self.lack(capability, f"locale {one.name}", "is not generated, see locale-gen(8)", rule.package)

    def _time_zones(self, capability: str, rule: Rule) -> None:
        zones = ("UTC", *self._profile.timezones) if self._profile.timezones else ("**",)
        patterns = tuple(f"/usr/share/zoneinfo/{zone}" for zone in zones)
        self._patterns(capability, Rule("files", patterns, exclude=rule.exclude, package=rule.package))

    def _php(self, capability: str, rule: Rule) -> None:
        """Both programs of PHP with all extensions that their own configuration loads."""
        for variant, program in (("fpm", "/usr/sbin/php-fpm{php}"), ("cli", "/usr/bin/php{php}")):
            self._php_program(capability, self._fill(program), f"php{self._profile.php}-{variant}", variant)
        version = f"/etc/php/{self._profile.php}"
        self._patterns(capability, Rule("files", (f"{version}/mods-available/*.ini",), optional=True))

    def _php_program(self, capability: str, program: str, package: str, variant: str) -> None:
        from fpmjail import php

        if not self._add(capability, program, Rule("programs", package=package)):
            return
        place = f"/etc/php/{self._profile.php}/{variant}"
        self._patterns(capability, Rule("directories", (f"{place}/conf.d",), package=package))
        paths = (f"{place}/php.ini", *self._host.glob(f"{place}/conf.d/*.ini"))
        texts = {path: self._ini(capability, path) for path in paths}
        directory = php.extension_directory(self._host.read(program) or b"", texts.values())
        if directory is None:
            self.lack(capability, program, "does not name a directory of extensions", package)
            return
        for path, text in texts.items():
            for extension in php.extensions(text, directory):
                self._extension(capability, extension, path)

    def _program(self, path: str, scripts: tuple[str, ...] = ()) -> None:
        """A program with its data and libraries; `scripts` are those that it interprets, one the other."""
        from fpmjail import program

        known, label = self._known.get(path), program.label(path)
        resolved = self._host.resolve(path)
        start = program.head(self._host, resolved)
        fault = "is a directory" if resolved.is_directory else _fault(resolved) or program.fault(resolved, start)
        if fault:
            needed = f", and {scripts[-1]} needs it" if scripts else ""
            self.lack(label, path, f"{fault}{needed}", known.package if known else "")
            return
        self._add(label, path, Rule("programs", package=known.package if known else ""))
        for one in known.rules if known else ():
            self.apply(label, one)
        for pattern in dict(self._profile.program_files).get(path, ()):
            self._patterns(label, Rule("objects", (pattern,)))
        for interpreter in program.interpreters(self._host, start):
            self._interpreter(interpreter, (*scripts, path))

    def _interpreter(self, path: str, scripts: tuple[str, ...]) -> None:
        """What a script needs to run, unless the jail has it anyway."""
        from fpmjail import program

        script = scripts[-1]
        if path in scripts:
            self.lack(program.label(script), script, f"is a script for {path}, which leads back to itself", "")
        elif path in (*self._profile.programs, "/usr/bin/php", self._fill("/usr/bin/php{php}")):
            return
        elif not program.is_shell(path):
            self._program(path, scripts)
        elif not program.is_plain_shell(path):
            self.lack(program.label(script), script, f"is a script for the shell {path}: declare that as well", "")
        elif program.SHELL not in self._profile.capabilities:
            self.lack(program.label(script), script, f"is a script for {path}: that takes `jail.shell: sh`", "")

    def _ini(self, capability: str, path: str) -> str:
        """PHP passes over an ini file that is not there, and so does the image; it is said."""
        if self._host.resolve(path).status is None:
            self._warnings[f"{path} is not there"] = None
            return ""
        self._add(capability, path, Rule("files"))
        return (self._host.read(path) or b"").decode("utf-8", "replace")

    def _extension(self, capability: str, extension: str, by: str) -> None:
        if self._host.resolve(extension).status is None:
            self._warnings[f"{by} loads {extension}, which is not there"] = None
        else:
            self._add(capability, extension, Rule("objects"))

    def _follow_closures(self) -> None:
        from fpmjail.closure import Closure

        closure = Closure(self._host) if self._closures else None
        for capability, paths in self._closures.items():
            assert closure is not None
            libraries = closure.of(paths)
            for path in libraries.paths:
                self._add(capability, path, Rule("files"))
            for link, target in libraries.outside:
                self._put(Item(link.lstrip("/"), LINK, 0o777, target, "", capability))
            for name, by in libraries.missing:
                self.lack(capability, f"library {name}", f"is needed by {by} and is not there", paths.get(by, ""))

    def _add_parents(self) -> None:
        for item in list(self._items.values()):
            for parent in _parents(item.path) if item.kind != BOUND else ():
                known = self._items.setdefault(parent, Item(parent, DIRECTORY, 0o755, "", "", item.capability))
                if known.kind != DIRECTORY:
                    self.lack(item.capability, f"/{item.path}", f"cannot lie below the {known.kind} /{parent}", "")

    def result(self) -> Wanted:
        self._follow_closures()
        if self._profile.libraries == BIND:
            self._items = {item.path: item for item in map(_outside_usr, self._items.values()) if item}
        self._add_parents()
        return Wanted(
            items=tuple(self._items[path] for path in sorted(self._items)),
            live=tuple(self._live[name] for name in sorted(self._live)),
            missing=tuple(self._missing.values()),
            warnings=tuple(self._warnings),
            inputs=self._host.inputs,
        )


def _outside_usr(item: Item) -> Item | None:
    """What becomes of an item where the jail has the host's /usr: nothing there is copied, its files are watched.

    What a link there leads to outside is copied to that place.
    """
    if not item.path.startswith("usr/"):
        return item if item.path != "usr" else None
    if item.kind != FILE:
        return None
    if item.source.startswith("/usr/"):
        return replace(item, kind=BOUND)
    return replace(item, path=item.source.lstrip("/")) if item.source.startswith(f"/{VARIABLE}/") else None


def _inside(path: str) -> bool:
    return path.split("/", 2)[1] in _TOP and path.count("/") > 1


def _fault(resolved: Resolved) -> str:
    """Why a path cannot be in an image that everybody may read; empty if it can."""
    if resolved.status is None:
        return f"leads to {resolved.path}, which is not there" if resolved.links else "is not there"
    if not stat.S_ISREG(resolved.status.st_mode):
        return "is neither a file nor a directory"
    if not resolved.status.st_mode & 0o004:
        return f"is not readable for everybody (mode {stat.S_IMODE(resolved.status.st_mode):04o})"
    return ""


def _parents(path: str) -> Iterable[str]:
    parts = path.split("/")[:-1]
    return ("/".join(parts[:length]) for length in range(1, len(parts) + 1))
