# SPDX-License-Identifier: GPL-2.0-or-later
"""The confused web server: what a site's user leaves in the document root, and what visitors ask for.

In files, links and paths `@own@` is the case's directory as the web server sees it, `@at@` its URL, `@www@` the socket
of Debian's pool, `@victim@` the document root of another site, `@uid@` the number of its user.
"""

from __future__ import annotations

from tests.attacks.cases import Request, Visit

WHO = "<?php echo 'ran as ', posix_geteuid(), ';';"
AS_WEB_SERVER = r"ran as 33;"
TO_WWW = 'SetHandler "proxy:unix:@www@|fcgi://attack"\n'
TO_VICTIM = 'SetHandler "proxy:unix:/run/fpmjail/victim.sock|fcgi://attack"\n'
RESTRICTED = "Apache itself refuses functions of files in a .htaccess, also in the control."
SECRETS = r"SECRET-OF-VICTIM|OUTSIDE-OF-ALL"


def ask(*paths: str) -> tuple[Request, ...]:
    return tuple(Request(path) for path in paths)


def on_reading(name: str, tried: str, letters: str, htaccess: str, note: str = "") -> Visit:
    """A .htaccess that lets the web server read for the site what it may not read itself."""
    files = {".htaccess": htaccess, "x.txt": "own text\n"}
    return Visit(name, tried, letters, SECRETS, ask("@at@/x.txt", "@at@/missing.txt"), files, note=note)


HANDLERS = (
    Visit("user-ini", ".user.ini: auto_prepend_file with a file of the server", "Osssss", SECRETS,
        ask("@at@/deep/who.php"), {"deep/.user.ini": "auto_prepend_file = /srv/outside/secret\n", "deep/who.php": WHO}),
    Visit("handler", ".htaccess: SetHandler to the socket of Debian's pool www", "OsssOs", AS_WEB_SERVER,
        ask("@at@/who.php", "@at@/x.txt"), {"who.php": WHO, "x.txt": "own\n", ".htaccess":
            f'{TO_WWW}<If "true">\n{TO_WWW}</If>\nProxyFCGISetEnvIf "true" SCRIPT_FILENAME "@own@/who.php"\n'},
        note="`htaccess: all` says of itself that it is a way around the jail."),
    Visit("other-socket", ".htaccess: SetHandler to another site's socket", "OsssOs", r"ready",
        ask("@at@/who.php?open=1", "@at@/x.txt?open=1"), {"who.php": WHO, "x.txt": "own\n", ".htaccess":
            f'{TO_VICTIM}<If "true">\n{TO_VICTIM}</If>\n'
            'ProxyFCGISetEnvIf "true" SCRIPT_FILENAME "@victim@/config.php"\n'},
        note="As above."),
    Visit("rewrite", ".htaccess: RewriteRule [P] to the socket of Debian's pool www", "OsssOs", AS_WEB_SERVER,
        ask("@at@/x.txt"), {"who.php": WHO, "x.txt": "own text\n", ".htaccess":
            'RewriteEngine On\nRewriteRule ^ "unix:@www@|fcgi://attack@own@/who.php" [P]\n'}),
    Visit("add-handler", ".htaccess: AddHandler and AddType", "OsssOs", AS_WEB_SERVER,
        ask("@at@/who.odd"), {"who.php": WHO, "who.odd": "own\n", ".htaccess":
            'AddType text/odd .odd\nAddHandler "proxy:unix:@www@|fcgi://attack" .odd\n'
            '<If "true">\nSetHandler none\nAddHandler "proxy:unix:@www@|fcgi://attack" .odd\n</If>\n'
            'ProxyFCGISetEnvIf "true" SCRIPT_FILENAME "@own@/who.php"\n'},
        note="As above."),
    Visit("setenv", ".htaccess: SetEnv PHP_ADMIN_VALUE", "Osssss", r"_site-|root:",
        ask("@at@/who.php"), {".htaccess": "SetEnv PHP_ADMIN_VALUE auto_prepend_file=/etc/passwd\n", "who.php": WHO}),
    Visit("cgi", ".htaccess: Options ExecCGI and a CGI program", "Osssss", r"cgi as \d",
        ask("@at@/x.sh"), {".htaccess": "Options +ExecCGI\nSetHandler cgi-script\nAddHandler cgi-script .sh\n",
            "x.sh": "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\ncgi as %s' \"$(id -u)\"\n"}),
    Visit("ssi", ".htaccess: server-side includes that run a command", "Osssss", r"uid=33",
        ask("@at@/x.txt"), {".htaccess": "Options +Includes\nSetOutputFilter INCLUDES\n",
            "x.txt": '<!--#exec cmd="id" -->\n'}),
)  # fmt: skip

READING = (
    Visit("links-followed", "symbolic links to files of another site and of the server", "Osssss", SECRETS,
        ask("@at@/file.txt", "@at@/config.txt", "@at@/directory/notes.txt", "@at@/outside"),
        {"x.txt": "own text\n"},
        {"file.txt": "@victim@/notes.txt", "config.txt": "@victim@/config.php", "directory": "@victim@",
            "outside": "/srv/outside/secret"}),
    Visit("links-allowed", ".htaccess: Options FollowSymLinks, and such links", "Osssss", SECRETS,
        ask("@at@/file.txt", "@at@/outside"), {".htaccess": "Options +FollowSymLinks -SymLinksIfOwnerMatch\n"},
        {"file.txt": "@victim@/notes.txt", "outside": "/srv/outside/secret"}),
    Visit("link-to-code", "a symbolic link to another site's PHP", "Osssss", r"ready",
        ask("@at@/e.php?open=1", "@at@/d/config.php?open=1"), {"x.txt": "own\n"},
        {"e.php": "@victim@/config.php", "d": "@victim@"}),
    on_reading("header", ".htaccess: Header with the content of a file", "ssssss",
        'Header always set X-Leak "expr=%{file:/srv/outside/secret}"\n', RESTRICTED),
    on_reading("error-document", ".htaccess: ErrorDocument with the content of a file", "ssssss",
        'ErrorDocument 404 "text %{file:/srv/outside/secret}"\n', RESTRICTED),
    Visit("require", ".htaccess: Require that asks for the content of a file", "ssssss", r"it is[^$]*HTTP/1.1 40[13]",
        ask("@at@/x.txt", "@at@/no/x.txt"), {
            ".htaccess": "Require expr \"file('/srv/outside/secret') =~ /OUTSIDE/\"\n", "x.txt": "it is so\n",
            "no/.htaccess": "Require expr \"file('/srv/outside/secret') =~ /INSIDE/\"\n", "no/x.txt": "it is so\n"},
        note=RESTRICTED),
    Visit("if", ".htaccess: <If> that asks for the content of a file", "ssssss", r"it is[^$]*HTTP/1.1 40[13]",
        ask("@at@/x.txt", "@at@/no/x.txt"), {"x.txt": "it is so\n", "no/x.txt": "it is so\n",
            ".htaccess": "<If \"file('/srv/outside/secret') =~ /INSIDE/\">\nRequire all denied\n</If>\n",
            "no/.htaccess": "<If \"file('/srv/outside/secret') =~ /OUTSIDE/\">\nRequire all denied\n</If>\n"},
        note=RESTRICTED),
    Visit("exists", ".htaccess: Require that asks whether a file of the server exists", "OsOOOs",
        r"it is[^$]*HTTP/1.1 40[13]", ask("@at@/x.txt", "@at@/no/x.txt"), {
            ".htaccess": "Require expr \"-f '/srv/outside/secret'\"\n", "x.txt": "it is so\n",
            "no/.htaccess": "Require expr \"-f '/srv/outside/none'\"\n", "no/x.txt": "it is so\n"},
        note="One question, one answer; no content. Who minds has `htaccess: none`, or nginx."),
)  # fmt: skip

SPELLINGS = (
    Visit("uploaded-code", "PHP among the uploads, by many spellings", "Osssss", r"ran as \d",
        ask("/uploads@at@/who.php", "/uploads@at@/who.php/x.txt", "//uploads@at@//who.php", "/uploads@at@/./who.php",
            "/%75ploads@at@/who%2ephp", "/uploads@at@/who.php;x.txt", "/uploads@at@/who.php%00.txt",
            "/uploads@at@/who.php.txt", "/uploads@at@/who.PHP", "/uploads@at@/who.phtml", "/uploads@at@/who.phar",
            "/x/../uploads@at@/who.php", "/x/%2e%2e/uploads@at@/who.php", "/uploads@at@/who.php%20",
            "/uploads@at@/who.php/", "/uploads@at@/who.php%0a", "/index.php/../uploads@at@/who.php"),
        {f"/uploads@at@/who.{ending}": WHO for ending in ("php", "PHP", "phtml", "phar", "php.txt", "php;x.txt")}),
    Visit("path-info", "an image with PHP in it as a directory: x.jpg/y.php", "ssssss", r"ran as \d",
        ask("@at@/x.jpg/y.php", "@at@/x.jpg%00.php", "@at@/x.jpg/.php", "@at@/x.jpg;.php", "@at@/x.jpg%20/y.php",
            "@at@/x.jpg%0a.php", "@at@/x.jpg/%2e%2e/x.jpg/y.php"), {"x.jpg": WHO}),
    Visit("source", "PHP shown instead of run, and hidden files", "Osssss", r"posix_geteuid|HIDDEN",
        ask("@at@/who.php", "@at@/who.php~", "@at@/who.php.bak", "@at@/who.php.", "@at@/who.php%20", "@at@/who.ph%70",
            "@at@/who.php::$DATA", "@at@/.hidden", "@at@/.git/config", "@at@/%2ehidden", "@at@/.git%2fconfig",
            "@at@//.git//config", "@at@/who.php%2f"),
        {"who.php": WHO, "who.php~": WHO, "who.php.bak": WHO, ".hidden": "HIDDEN", ".git/config": "HIDDEN"}),
    Visit("climbing", "a way out of the document root by the path", "ssssss", SECRETS,
        ask(*(f"@at@/{'../' * 12}srv/outside/secret".replace("../", step)
            for step in ("../", "%2e%2e/", ".%2e/", "%2e%2e%2f", "..%5c", "..;/", "%c0%ae%c0%ae/", "%252e%252e/")),
            "//srv/outside/secret", "/%00/srv/outside/secret"), {"x.txt": "own\n"}),
    Visit("host", "another site's name, address or nonsense as Host, and forged forwarding headers", "ssssss",
        r"SECRET-OF-VICTIM|ran as 0",
        tuple(Request("@at@/who.php", host) for host in ("victim.example.org/../", "..", "victim.example.org:80@x",
            "[::1]", "victim", "a" * 300))
        + tuple(Request("@at@/who.php", headers=(header,)) for header in (
            "PHP_ADMIN_VALUE: auto_prepend_file=/etc/passwd", "PHP-VALUE: auto_prepend_file=/etc/passwd",
            "X-Original-URL: /../victim/config.php",
            "X-Rewrite-URL: /config.php", "X-Forwarded-Host: victim.example.org",
            "Script-Filename: @victim@/notes.txt")),
        {"who.php": WHO}),
    Visit("proxy-header", "a visitor's Proxy: header as HTTP_PROXY (httpoxy)", "ssssss", r"proxy=http",
        (Request("@at@/x.php", headers=("Proxy: http://evil.example.org/",)),),
        {"x.php": "<?php echo 'proxy=', getenv('HTTP_PROXY'), $_SERVER['HTTP_PROXY'] ?? '';"}),
)  # fmt: skip

OPENED = '<If "true">\nRequire all granted\nSatisfy Any\n</If>\n<Files who.php>\nRequire all granted\n</Files>\n'
LATER = (
    Visit("uploads-opened", ".htaccess above the uploads that allows PHP there", "Osssss", r"ran as \d",
        ask("/uploads@at@/who.php", "/uploads@at@/deep/who.php"),
        {"/uploads@at@/who.php": WHO, "/uploads@at@/deep/who.php": WHO, "/uploads@at@/.htaccess": OPENED,
            "/uploads@at@/deep/.htaccess": OPENED, "/.htaccess": OPENED, "/uploads/.htaccess": OPENED}),
)  # fmt: skip

FIRST = {visit.name: visit for visit in (*HANDLERS, *READING, *SPELLINGS)}
VISITS = FIRST | {visit.name: visit for visit in LATER}
