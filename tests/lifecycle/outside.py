# SPDX-License-Identifier: GPL-2.0-or-later
"""wordpress.org as a site sees it, within the container: HTTPS on an address of its own, under an authority of its own.

The address is a public one: WordPress downloads nothing from private networks.
"""

from __future__ import annotations

from tests.lifecycle.server import Server

ADDRESS = "203.0.114.7"
AUTHORITY = "/usr/local/share/ca-certificates/outside.crt"
DIRECTORY = "/srv/outside"
NAMES = ("api.wordpress.org", "downloads.wordpress.org")

CERTIFICATES = f"""
mkdir -p {DIRECTORY} && cd {DIRECTORY}
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj '/CN=Authority of the tests' \
    -keyout authority.key -out authority.crt
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=api.wordpress.org \
    -keyout server.key -out server.csr
echo 'subjectAltName={",".join(f"DNS:{name}" for name in NAMES)}' >names
openssl x509 -req -in server.csr -CA authority.crt -CAkey authority.key -CAcreateserial -days 30 -extfile names \
    -out server.crt
ip address replace {ADDRESS}/32 dev lo
printf '%s %s\\n' {ADDRESS} '{" ".join(NAMES)}' >>/etc/hosts
"""

SERVE = r"""
import http.server, io, json, re, ssl, sys, zipfile

OFFER = {
    "response": "upgrade", "locale": "en_US", "current": "99.0", "version": "99.0", "php_version": "7.4",
    "mysql_version": "5.5.5", "new_bundled": "6.7", "partial_version": False,
    "download": "https://downloads.wordpress.org/release/wordpress-99.0.zip",
    "packages": {"full": "https://downloads.wordpress.org/release/wordpress-99.0.zip", "no_content": False,
                 "new_bundled": False, "partial": False, "rollback": False},
}
PACKAGE = "https://downloads.wordpress.org/plugin/greeting.%s.zip"
INFORMATION = {"name": "Greeting", "slug": "greeting", "version": "1.0", "author": "Ann", "requires": "5.0",
               "tested": "99.0", "sections": {}, "download_link": PACKAGE % "1.0"}
UPDATE = {"id": "w.org/plugins/greeting", "slug": "greeting", "plugin": "greeting/greeting.php", "new_version": "1.1",
          "url": "https://wordpress.org/plugins/greeting/", "package": PACKAGE % "1.1", "requires": "5.0"}
CODE = '''<?php
/* Plugin Name: Greeting
 * Version: %s */
add_action('wp_footer', function () { echo 'greeting %s'; });
'''

def answer(path):
    plugin = re.fullmatch(r"/plugin/greeting\.(1\.[01])\.zip", path)
    if plugin:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("greeting/greeting.php", CODE % (plugin[1], plugin[1]))
            archive.writestr("greeting/readme.txt", "a" * 300000)
        return "application/zip", packed.getvalue()
    if path.startswith("/core/version-check/"):
        value = {"offers": [OFFER], "translations": []}
    elif path.startswith("/plugins/update-check/"):
        value = {"plugins": {"greeting/greeting.php": UPDATE}, "no_update": {}, "translations": []}
    elif path.startswith("/plugins/info/"):
        value = INFORMATION
    else:
        value = {}
    return "application/json", json.dumps(value).encode()

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        kind, content = answer(self.path.partition("?")[0])
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
    do_POST = do_GET

context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("server.crt", "server.key")
server = http.server.ThreadingHTTPServer((sys.argv[1], 443), Handler)
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
server.serve_forever()
"""


def start(server: Server) -> None:
    """Let wordpress.org be there; nobody trusts it yet."""
    server.shell(CERTIFICATES)
    server.write(f"{DIRECTORY}/serve.py", SERVE)
    server.run(
        "systemd-run", "--quiet", "--unit=outside", f"--working-directory={DIRECTORY}",
        "python3", f"{DIRECTORY}/serve.py", ADDRESS,
    )  # fmt: skip


def trust(server: Server) -> None:
    """What an administrator does with the certificate of an authority of his own."""
    server.shell(f"cp {DIRECTORY}/authority.crt {AUTHORITY} && update-ca-certificates")


def distrust(server: Server) -> None:
    """Take it back."""
    server.shell(f"rm -f {AUTHORITY} && update-ca-certificates --fresh")
