# SPDX-License-Identifier: GPL-2.0-or-later
"""The statements of a virtual host of Apache -> keys of a description, lines for the drop-in, or remarks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from fpmjail_deb.importing.apache import Host, flattened
from fpmjail_deb.importing.apache_rewrite import front_controller, leaves_the_server, needs_nothing, to_https
from fpmjail_deb.importing.draft import Draft, scalar
from fpmjail_deb.importing.pool_file import is_on
from fpmjail_deb.importing.settings import give_setting
from fpmjail_deb.importing.source import Node


def _words(text: str) -> list[str]:
    return text.split()


SEEN_TO = frozenset(
    _words(
        "addhandler assignuserid cgipassauth customlog define directoryslash documentroot errorlog "
        "forcetype fcgidwrapper fcgidmaxrequestlen loglevel namevirtualhost proxyfcgibackendtype proxypassmatch "
        "removehandler removetype rewritebase rewriteengine rewriteoptions serveradmin serveralias servername "
        "serverpath serversignature sethandler sslcertificatefile sslcertificatekeyfile sslengine suexecusergroup "
        "suphp_engine suphp_usergroup usecanonicalname action fastcgiexternalserver ipccommtimeout "
        "fcgidiotimeout fcgidbusytimeout allowoverridelist"
    )
)
"""What the package has an own way for, or nothing of which is needed."""

CARRIED = frozenset(
    _words(
        "adddefaultcharset addcharset addencoding addlanguage addoutputfilterbytype addoutputfilter addtype "
        "allow authbasicprovider authgroupfile authname authtype authuserfile authmerging brotlicompressionquality "
        "contentdigest defaultlanguage deflatecompressionlevel deny directoryindex errordocument expiresactive "
        "expiresbytype expiresdefault fileetag header keepalive limitrequestbody limitrequestfields limitrequestline "
        "order redirect redirectmatch redirectpermanent redirecttemp requestheader require rewritecond "
        "rewriterule satisfy setenvif setenvifnocase setoutputfilter browsermatch headername readmename "
        "indexignore indexoptions unsetenv "
        "files filesmatch if elseif else limit limitexcept location locationmatch requireall requireany requirenone "
        "ifmodule"
    )
)
"""What the site's drop-in can keep: nothing of it runs a program or PHP outside of the jail."""

ADVICE = {
    "alias": "PHP and the web server see the site's own directory only: copy the directory into the document root",
    "aliasmatch": "PHP and the web server see the site's own directory only: copy it into the document root",
    "scriptalias": "a jail runs no CGI programs",
    "scriptaliasmatch": "a jail runs no CGI programs",
    "include": "not followed: name the file on the command line if it is of this site",
    "includeoptional": "not followed: name the file on the command line if it is of this site",
    "use": "macros are not followed: write what it makes",
    "macro": "macros are not followed: write what it makes",
    "proxypass": "requests to other programs are not the site's: the drop-in, if it is meant",
    "proxypassreverse": "requests to other programs are not the site's: the drop-in, if it is meant",
    "protocols": "for the whole server: a2enmod http2",
    "sslcertificatechainfile": "the chain stands in the file of the certificate, behind it",
}
OTHER_HANDLER = "not kept: a jail runs PHP alone, no CGI programs, and nothing else for its site"
PHP_HANDLER = re.compile(r"none$|default-handler$|proxy:|.*(php|fcgi)", re.IGNORECASE)
OVERRIDES_LEFT_OUT = ("all", "fileinfo", "options")
_LOG_OFF = "/dev/null"
_PHP_OFF = {"engine": ("off", "0")}
_QUIET_ELSEWHERE = ("allowoverride", "options", "require", "order", "allow", "deny", "satisfy")


@dataclass(slots=True)
class Reader:
    """Goes through the statements of a site's virtual hosts, which lie in `root`."""

    draft: Draft
    root: str
    names: Sequence[str]
    rewritten: bool = False
    seen: set[str] = field(default_factory=set)

    def read(self, host: Host) -> None:
        """Take over one virtual host; what another one has said already is not said again."""
        fresh = [node for node in host.statements if "\n".join(node.lines()) not in self.seen]
        self.seen |= {"\n".join(node.lines()) for node in host.statements if node.name not in ("rewritecond",)}
        for block in _blocks(self.kept(fresh, inside=False)):
            lines = [line for node in block for line in node.lines()]
            self.draft.remark(block[0].location, block[-1].text, "no key says this", lines)

    def kept(self, nodes: Iterable[Node], *, inside: bool) -> list[Node]:
        """Take over statements; return those that the drop-in keeps. `inside`: they are of the document root."""
        kept: list[Node] = []
        conditions: list[Node] = []
        for node in flattened(nodes):
            if node.name == "rewritecond":
                conditions.append(node)
                continue
            if node.name == "rewriterule":
                kept += self._rewrite([*conditions, node])
                conditions = []
            elif node.children is not None:
                self._section(node)
            else:
                kept += self._statement(node, inside)
        return kept

    def _rewrite(self, block: Sequence[Node]) -> Sequence[Node]:
        rule = block[-1]
        script = front_controller(block)
        if script:
            self.draft.give("web.front_controller", scalar(script), rule.location)
        elif leaves_the_server(rule):
            self.draft.remark(rule.location, rule.text, "requests to other programs are not the site's")
        elif not needs_nothing(rule) and not to_https(block, self.names):
            return [Node("rewriteengine", ("On",), block[0].location, "RewriteEngine On"), *block]
        return ()

    def _statement(self, node: Node, inside: bool) -> Sequence[Node]:
        if reader := READERS.get(node.name):
            return self._for_the_root([node], inside) if reader(self, node) else ()
        if _runs_something_else(node):
            self.draft.remark(node.location, node.text, OTHER_HANDLER)
        elif node.name in ADVICE or (node.name.startswith("ssl") and node.name not in SEEN_TO):
            advice = ADVICE.get(node.name, "for the whole server: /etc/apache2/mods-available/ssl.conf")
            self.draft.remark(node.location, node.text, advice)
        elif node.name in CARRIED:
            return self._for_the_root([node], inside)
        elif node.name not in SEEN_TO:
            place = f"/etc/fpmjail/sites/{self.draft.name}/apache.d/*.conf"
            self.draft.remark(node.location, node.text, f"no key for it; if the site needs it: {place}")
        return ()

    def _for_the_root(self, nodes: Sequence[Node], inside: bool) -> Sequence[Node]:
        return nodes if inside or nodes[0].name != "directoryindex" else [self._directory(nodes)]

    def _directory(self, nodes: Sequence[Node]) -> Node:
        return Node("directory", (self.root,), nodes[0].location, f'<Directory "{self.root}">', tuple(nodes))

    def _section(self, node: Node) -> None:
        if node.name in ("directory", "location"):
            self._directory_or_location(node)
        elif node.name in ("files", "filesmatch") and _sets_handlers_only(node):
            for child in filter(_runs_something_else, flattened(node.children or ())):
                self.draft.remark(child.location, f"{node.text} {child.text}", OTHER_HANDLER)
        elif node.name == "proxy":
            for child in node.children or ():
                self.read_timeout(child)
        elif _harmless(node):
            self.draft.carry(node)
        else:
            self.draft.remark(node.location, node.text, ADVICE.get(node.name, _DANGER))

    def _directory_or_location(self, node: Node) -> None:
        path = node.first.rstrip("/") or "/"
        if node.first == "~":
            self.draft.remark(node.location, node.text, "write it as a section with Match, into the drop-in")
        elif _around(node, path, self.root):
            kept = self.kept(node.children or (), inside=True)
            if kept:
                self.draft.carry(self._directory(kept))
        elif node.name == "directory" and PurePosixPath(path).is_relative_to(self.root) and _php_is_off(node):
            relative = str(PurePosixPath(path).relative_to(self.root))
            self.draft.give("writable", f"[{scalar(relative)}]", node.location, "PHP was off")
        else:
            self._elsewhere(node)

    def _elsewhere(self, node: Node) -> None:
        inside = node.name == "location" or PurePosixPath(node.first).is_relative_to(self.root)
        kept = tuple(child for child in flattened(node.children or ()) if _harmless(child))
        lost = [child for child in flattened(node.children or ()) if child not in kept and child.name not in _OVERRIDES]
        if inside and kept:
            self.draft.carry(replace(node, children=kept))
        if any(_runs_something_else(child) or child.name not in (*_QUIET_ELSEWHERE, *SEEN_TO) for child in lost):
            words = ", ".join(dict.fromkeys(child.text for child in lost))
            self.draft.remark(node.location, f"{node.text} {words}", _DANGER if inside else "not of the document root")

    def read_index(self, node: Node) -> bool:
        words = [word for word in node.arguments if word in ("index.php", "index.html")]
        return bool(set(node.arguments) - {"index.php", "index.html"}) or words[:1] == ["index.html"]

    def read_fallback(self, node: Node) -> bool:
        script = "none" if node.first.lower() == "disabled" else node.first.lstrip("/")
        self.draft.give("web.front_controller", scalar(script), node.location)
        return False

    def read_override(self, node: Node) -> bool:
        words = {word.lower().partition("=")[0] for word in node.arguments}
        if words == {"none"}:
            self.draft.give("web.htaccess", "none", node.location)
        else:
            self.draft.give("web.htaccess", "safe", node.location)
        if words & set(OVERRIDES_LEFT_OUT):
            self.rewritten = True
            advice = "of .htaccess files the site keeps passwords, redirects, headers; no rewriting, handlers, options"
            advice += ": web.front_controller stands for those of frameworks"
            self.draft.remark(node.location, node.text, advice)
        return False

    def read_options(self, node: Node) -> bool:
        words = {word.lstrip("+").lower() for word in node.arguments if not word.startswith("-")}
        lost = words & {"all", "execcgi", "includes", "includesnoexec", "indexes", "multiviews"}
        if lost:
            advice = "no listings, CGI, includes, MultiViews; links to own files only"
            self.draft.remark(node.location, node.text, advice)
        return False

    def read_require(self, node: Node) -> bool:
        return node.words.lower() != "all granted"

    def read_access(self, node: Node) -> bool:
        return node.words.lower() not in ("from all", "allow,deny", "deny,allow") or node.name == "deny"

    def read_header(self, node: Node) -> bool:
        words = list(node.arguments)
        if words[:1] and words[0].lower() in ("always", "onsuccess"):
            words = words[1:]
        if len(words) != 3 or words[0].lower() != "set" or "%" in words[2]:
            return True
        self.draft.put("web.headers", words[1].rstrip(":"), words[2], node.location)
        return False

    def read_environment(self, node: Node) -> bool:
        if node.arguments:
            self.draft.put("php.env", node.first, " ".join(node.arguments[1:]), node.location)
        return False

    def read_environment_if(self, node: Node) -> bool:
        return node.first.lower() != "authorization"

    def read_timeout(self, node: Node) -> bool:
        found = re.search(r"(?:^|\s|timeout=)([0-9]{1,5})(?:s|$|\s)", node.words)
        if found and int(found[1]) and (node.name != "proxyset" or "timeout=" in node.words):
            self.draft.give("php.pool.request_timeout", f"{found[1]}s", node.location, "the web server's patience")
        return False

    def read_log(self, node: Node) -> bool:
        if node.first == _LOG_OFF:
            self.draft.give("web.access_log", "false", node.location)
        return False

    def read_php(self, node: Node) -> bool:
        if len(node.arguments) >= 2:
            name, value = node.first, " ".join(node.arguments[1:])
            flag = node.name.endswith("_flag")
            give_setting(name, ("1" if is_on(value) else "0") if flag else value, node.location, self.draft)
        return False

    def read_redirect(self, node: Node) -> bool:
        return not to_https([node], self.names)

    def read_type(self, node: Node) -> bool:
        return "php" not in node.first.lower()


_DANGER = "it can run code outside of the jail, so it is not kept"
_OVERRIDES = ("allowoverride", "allowoverridelist", "options")
READERS: Mapping[str, Callable[[Reader, Node], bool]] = {
    "directoryindex": Reader.read_index,
    "fallbackresource": Reader.read_fallback,
    "allowoverride": Reader.read_override,
    "options": Reader.read_options,
    "require": Reader.read_require,
    "order": Reader.read_access,
    "allow": Reader.read_access,
    "deny": Reader.read_access,
    "header": Reader.read_header,
    "setenv": Reader.read_environment,
    "setenvif": Reader.read_environment_if,
    "setenvifnocase": Reader.read_environment_if,
    "timeout": Reader.read_timeout,
    "proxytimeout": Reader.read_timeout,
    "customlog": Reader.read_log,
    "php_value": Reader.read_php,
    "php_flag": Reader.read_php,
    "php_admin_value": Reader.read_php,
    "php_admin_flag": Reader.read_php,
    "addtype": Reader.read_type,
    **dict.fromkeys(("redirect", "redirectmatch", "redirectpermanent", "redirecttemp"), Reader.read_redirect),
}


def _blocks(nodes: Iterable[Node]) -> Iterator[list[Node]]:
    """Yield statements that belong together: a rewrite rule with its conditions."""
    block: list[Node] = []
    for node in nodes:
        block.append(node)
        if node.name not in ("rewriteengine", "rewritecond"):
            yield block
            block = []


def _around(node: Node, path: str, root: str) -> bool:
    """Whether a section is for the whole site."""
    return path == "/" if node.name == "location" else PurePosixPath(root).is_relative_to(path)


def _php_is_off(node: Node) -> bool:
    for child in flattened(node.children or ()):
        if child.name in ("php_flag", "php_admin_flag", "php_value", "php_admin_value") and child.first == "engine":
            return child.words.split()[-1].lower() in _PHP_OFF["engine"]
        if child.name == "filesmatch" and "php" in child.first and _denies(child):
            return True
    handlers = [child for child in flattened(node.children or ()) if child.name in ("sethandler", "removehandler")]
    return any(child.first.lower() in ("none", "default-handler", ".php") for child in handlers)


def _denies(node: Node) -> bool:
    words = {f"{child.name} {child.words}".lower() for child in node.children or ()}
    return bool(words & {"require all denied", "deny from all"})


def _sets_handlers_only(node: Node) -> bool:
    """Whether a section says how PHP runs, or that nobody sees .htaccess: the package's own business."""
    if "\\.ht" in node.first or node.first.startswith(".ht"):
        return True
    children = list(flattened(node.children or ()))
    return all(child.name in SEEN_TO or (child.name == "if" and _sets_handlers_only(child)) for child in children)


def _runs_something_else(node: Node) -> bool:
    """Whether a statement hands requests to something else than PHP, a CGI program for instance."""
    return node.name in ("sethandler", "addhandler") and not PHP_HANDLER.match(node.first)


def _harmless(node: Node) -> bool:
    if node.name == "rewriterule" and leaves_the_server(node):
        return False
    if node.name == "addtype" and "php" in node.first.lower():
        return False
    return node.name in CARRIED and all(_harmless(child) for child in node.children or ())
