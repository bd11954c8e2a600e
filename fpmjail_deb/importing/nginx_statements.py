# SPDX-License-Identifier: GPL-2.0-or-later
"""The statements of a server block of nginx -> keys of a description, lines for the drop-in, or remarks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from fpmjail_deb.importing.draft import Draft, scalar
from fpmjail_deb.importing.nginx import Block
from fpmjail_deb.importing.settings import give_setting
from fpmjail_deb.importing.source import Node


def _words(text: str) -> list[str]:
    return text.split()


SEEN_TO = frozenset(
    _words(
        "disable_symlinks error_log fastcgi_buffer_size fastcgi_buffers fastcgi_busy_buffers_size "
        "fastcgi_connect_timeout fastcgi_index fastcgi_pass fastcgi_send_timeout fastcgi_split_path_info listen root "
        "server_name ssl_certificate ssl_certificate_key"
    )
)
"""What the package has an own way for."""

CARRIED = frozenset(
    _words(
        "add_header allow auth_basic auth_basic_user_file charset default_type deny error_page etag expires gzip "
        "gzip_buffers gzip_comp_level gzip_disable gzip_http_version gzip_min_length gzip_proxied gzip_static "
        "gzip_types gzip_vary if_modified_since index internal keepalive_timeout large_client_header_buffers "
        "limit_conn limit_rate limit_req log_not_found access_log open_file_cache return rewrite satisfy "
        "server_tokens set sub_filter try_files types if limit_except location break"
    )
)
"""What the site's drop-in can keep: nothing of it runs a program or PHP outside of the jail."""

ADVICE = {
    "alias": "PHP and the web server see the site's own directory only: copy the directory into the document root",
    "http2": "for the whole server: http2 on; in /etc/nginx/conf.d",
    "include": "not followed: name the file on the command line if it is of this site",
    "proxy_pass": "requests to other programs are not the site's: the drop-in, if it is meant",
    "autoindex": "no listings of directories",
    "ssl_protocols": "for the whole server: /etc/nginx/nginx.conf",
    "ssl_ciphers": "for the whole server: /etc/nginx/nginx.conf",
    "ssl_prefer_server_ciphers": "for the whole server: /etc/nginx/nginx.conf",
    "ssl_session_cache": "for the whole server: /etc/nginx/nginx.conf",
    "ssl_session_timeout": "for the whole server: /etc/nginx/nginx.conf",
    "ssl_session_tickets": "for the whole server: /etc/nginx/nginx.conf",
    "ssl_dhparam": "for the whole server: /etc/nginx/nginx.conf",
    "ssl_stapling": "for the whole server: /etc/nginx/nginx.conf",
    "ssl_stapling_verify": "for the whole server: /etc/nginx/nginx.conf",
    "ssl_trusted_certificate": "for the whole server: /etc/nginx/nginx.conf",
}
_KNOWN_INCLUDES = ("fastcgi_params", "fastcgi.conf", "fastcgi-php.conf", "options-ssl-nginx.conf")
_FRONT = re.compile(
    r"/((?:[A-Za-z0-9_-]+/)*[A-Za-z0-9_.-]+\.php)(?:\?\$(?:args|query_string)|\$is_args\$(?:args|query_string))?"
)
_STANDARD = frozenset(
    _words(
        "SCRIPT_FILENAME QUERY_STRING REQUEST_METHOD CONTENT_TYPE CONTENT_LENGTH SCRIPT_NAME REQUEST_URI DOCUMENT_URI "
        "DOCUMENT_ROOT SERVER_PROTOCOL REQUEST_SCHEME HTTPS GATEWAY_INTERFACE SERVER_SOFTWARE REMOTE_ADDR REMOTE_PORT "
        "SERVER_ADDR SERVER_PORT SERVER_NAME REDIRECT_STATUS PATH_INFO PATH_TRANSLATED HTTP_PROXY REMOTE_USER"
    )
)
_HIDDEN = re.compile(r"\\\.(?:ht|\(\?!|git|svn|env|user\\?\.ini)|^\^?/\\\.|/\\\.")
_NO_PHP = re.compile(r"\^?/\*?\(?\??:?([A-Za-z0-9_./|-]+)\)?/\.?\*?\\?\.\(?(?:php|\?:php).*")


def read_block(block: Block, draft: Draft) -> None:
    """Take over one server block."""
    for node in block.statements:
        _read(node, draft)


def _read(node: Node, draft: Draft) -> None:
    reader = READERS.get(node.name)
    if reader:
        reader(node, draft)
    elif node.name in ADVICE:
        draft.remark(node.location, node.text, ADVICE[node.name])
    elif _harmless(node):
        draft.carry(node)
    elif node.name not in SEEN_TO:
        place = f"/etc/fpmjail/sites/{draft.name}/nginx.d/*.conf"
        draft.remark(node.location, node.text, f"no key for it; if the site needs it: {place}")


def _read_location(node: Node, draft: Draft) -> None:
    children = node.children or ()
    names = {child.name for child in children}
    if "fastcgi_pass" in names or any("fastcgi-php.conf" in child.text for child in children):
        _read_php(children, draft)
    elif node.arguments in (("/",), ("^~", "/")):
        _read_rest(children, draft)
    elif _denies(children) and _NO_PHP.fullmatch(node.arguments[-1] if node.arguments else ""):
        _read_no_php(node, draft)
    elif (_denies(children) and _HIDDEN.search(node.words)) or "well-known" in node.words:
        return
    elif _harmless(node):
        draft.carry(node)
    else:
        harmless = tuple(child for child in children if _harmless(child))
        if harmless:
            draft.carry(replace(node, children=harmless), "what is not kept of it is named on its own")
        for child in children:
            if child not in harmless:
                _read(child, draft)


def _denies(children: Iterable[Node]) -> bool:
    return any((node.name, node.first) in (("deny", "all"), ("return", "403"), ("return", "404")) for node in children)


def _read_no_php(node: Node, draft: Draft) -> None:
    found = _NO_PHP.fullmatch(node.arguments[-1])
    directories = [part.strip("/") for part in found[1].split("|")] if found else []
    draft.give("writable", f"[{', '.join(scalar(part) for part in directories)}]", node.location, "PHP was off")


def _read_php(children: Iterable[Node], draft: Draft) -> None:
    for child in children:
        if child.name not in ("try_files", "fastcgi_pass", "if", "set"):
            _read(child, draft)


def _read_rest(children: Iterable[Node], draft: Draft) -> None:
    for child in children:
        if child.name == "location":
            _read_location(child, draft)
        else:
            _read(child, draft)


def _read_files(node: Node, draft: Draft) -> None:
    last = node.arguments[-1] if node.arguments else ""
    found = _FRONT.fullmatch(last)
    if found:
        draft.give("web.front_controller", scalar(found[1]), node.location)
    elif last.startswith("="):
        draft.give("web.front_controller", "none", node.location)
    else:
        draft.remark(node.location, node.text, "web.front_controller names one script: write this into the drop-in")


def _read_header(node: Node, draft: Draft) -> None:
    words = [word for word in node.arguments if word != "always"]
    if len(words) == 2 and "$" not in words[1]:
        draft.put("web.headers", words[0], words[1], node.location)
    else:
        draft.carry(node)


def _read_parameter(node: Node, draft: Draft) -> None:
    name, value = (*node.arguments, "", "")[:2]
    if name in ("PHP_VALUE", "PHP_ADMIN_VALUE"):
        for line in value.split("\n"):
            key, sign, text = line.partition("=")
            if sign:
                give_setting(key.strip(), text.strip().strip("\"'"), node.location, draft)
    elif name in _STANDARD or name.startswith("HTTP_"):
        return
    elif "$" in value:
        draft.remark(node.location, node.text, "PHP is told what every site is told: this variable is not")
    else:
        draft.put("php.env", name, value, node.location)


def _read_include(node: Node, draft: Draft) -> None:
    if not node.first.endswith(_KNOWN_INCLUDES):
        draft.remark(node.location, node.text, ADVICE["include"])


def _read_body_size(node: Node, draft: Draft) -> None:
    size = node.first.upper()
    if ("php", "settings", "post_max_size") in draft.values:
        draft.remark(node.location, node.text, "nginx takes as much as PHP: post_max_size says")
    elif size in ("0", "0M"):
        draft.remark(node.location, node.text, "nginx takes as much as PHP: php.settings.post_max_size says")
    else:
        draft.put("php.settings", "post_max_size", size, node.location, "nginx follows it")


def _read_timeout(node: Node, draft: Draft) -> None:
    found = re.fullmatch(r"([0-9]{1,5})(s|m|h)?", node.first)
    if found and int(found[1]):
        draft.give("php.pool.request_timeout", node.first, node.location, "nginx's patience")


def _read_log(node: Node, draft: Draft) -> None:
    if node.first == "off":
        draft.give("web.access_log", "false", node.location)


def _read_index(node: Node, draft: Draft) -> None:
    words = [word for word in node.arguments if word in ("index.php", "index.html")]
    if set(node.arguments) - {"index.php", "index.html"} or words[:1] == ["index.html"]:
        advice = "the site has index.php index.html, and a description no key for it"
        draft.remark(node.location, node.text, advice)


def _read_redirect(node: Node, draft: Draft) -> None:
    if not (len(node.arguments) > 1 and node.arguments[1].startswith("https://")):
        draft.carry(node)


READERS: Mapping[str, Callable[[Node, Draft], None]] = {
    "location": _read_location,
    "try_files": _read_files,
    "add_header": _read_header,
    "fastcgi_param": _read_parameter,
    "include": _read_include,
    "client_max_body_size": _read_body_size,
    "fastcgi_read_timeout": _read_timeout,
    "access_log": _read_log,
    "index": _read_index,
    "return": _read_redirect,
}


def _harmless(node: Node) -> bool:
    if node.name == "try_files" and any(word.endswith(".php") for word in node.arguments[:-1]):
        return False
    return node.name in CARRIED and all(_harmless(child) for child in node.children or ())
